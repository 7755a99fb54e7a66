//! One look of an audit at many sales.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{StreamExt, TryStreamExt, stream};

use super::{super::Reply, read, records::Records};
use crate::{
    domain::{
        audit::{SaleAudit, Stored, Tally, compare},
        ids::SaleId,
        text::CustomerId,
    },
    store::{Failure, Store, keys::SaleKeys},
};

/// Sales that are read at the same time.
const CALLS_AT_ONCE: usize = 8;
/// Customers that one call reads.
const WATCHED_MAX: usize = 500;
/// Entries of one page.
const PAGE: u64 = 1_000;

impl Store {
    /// Each sale comes with the result of an earlier look, if there was one.
    pub(super) async fn look_at(
        &self,
        earlier: &BTreeMap<SaleId, Option<SaleAudit>>,
    ) -> Result<Vec<SaleAudit>, Failure> {
        let sales: &Vec<SaleId> = &earlier.keys().cloned().collect();
        self.check_slots_rest().await?;
        let before = self.stored_of(sales).await?;
        let changes = self.runner.changes();
        let mut records = Records::of(self, sales);
        for audit in earlier.values().flatten() {
            let watched = self.watch_customers(audit, records.tally(&audit.sale)).await;
            Failure::or_damage(watched, &audit.sale)?;
        }
        let mut tallies = records.read().await?;
        for sale in sales {
            let (Some(tally), Some(before)) = (tallies.get_mut(sale), before.get(sale)) else { continue };
            if Failure::or_damage(self.compare_customers(sale, tally, before.now_ms).await, sale)?.is_none() {
                tally.add_damage();
            }
        }
        let after = self.stored_of(sales).await?;
        self.check_slots_rest().await?;
        // Another server, or the same one after a restart, would go on with the walk elsewhere and leave out records.
        if self.runner.changes() != changes {
            return Err(Failure::unavailable("the connection was lost during an audit"));
        }
        let audit = |sale: &SaleId| {
            let (before, after, tally) = (before.get(sale)?, after.get(sale)?, tallies.get(sale)?);
            let look = compare(before, after, tally);
            Some(SaleAudit {
                sale: sale.clone(),
                is_exact: look.is_exact,
                looks: 1,
                products: after.products.len(),
                holds: tally.holds,
                orders: tally.orders,
                customers: tally.customers(),
                differences: look.differences,
                last_write: after.last_write,
            })
        };
        Ok(sales.iter().filter_map(audit).collect())
    }

    async fn check_slots_rest(&self) -> Result<(), Failure> {
        if self.runner.moves_slots().await? {
            return Err(Failure::unavailable(
                "slots of the cluster are on their way to other servers, so no audit is exact",
            ));
        }
        Ok(())
    }

    async fn stored_of(&self, sales: &[SaleId]) -> Result<BTreeMap<SaleId, Stored>, Failure> {
        let calls = sales.iter().map(|sale| async move { Ok((sale.clone(), self.stored(sale).await?)) });
        stream::iter(calls).buffer_unordered(CALLS_AT_ONCE).try_collect().await
    }

    async fn stored(&self, sale: &SaleId) -> Result<Stored, Failure> {
        let damaged = || Stored { unreadable: [None].into(), ..Stored::default() };
        Ok(Failure::or_damage(self.audit_units(sale).await, sale)?.unwrap_or_else(damaged))
    }

    async fn watch_customers(&self, audit: &SaleAudit, tally: &mut Tally) -> Result<(), Failure> {
        let [.., key] = SaleKeys(&audit.sale).holding();
        let differing: BTreeSet<&str> =
            audit.differences.iter().filter_map(|difference| Some(difference.customer.as_ref()?.as_str())).collect();
        let differing: Vec<&str> = differing.into_iter().collect();
        for some in differing.chunks(WATCHED_MAX) {
            let mut stored = Reply::read(self.runner.plain(redis::cmd("HMGET").arg(&key).arg(some)).await?)?;
            for customer in some.iter().filter_map(|customer| CustomerId::parse(customer)) {
                let text = stored.text_or_none()?.unwrap_or_default();
                tally.watch_customer(customer, read::shares(&text).unwrap_or_default());
            }
        }
        Ok(())
    }

    async fn compare_customers(&self, sale: &SaleId, tally: &mut Tally, horizon_ms: i64) -> Result<(), Failure> {
        let [.., customers] = SaleKeys(sale).holding();
        let compare = |mut page: Reply| {
            while !page.is_empty() {
                let (customer, text) = (page.text()?, page.text()?);
                let customer = CustomerId::parse(&customer).ok_or_else(|| Failure::unreadable("a customer"))?;
                match read::shares(&text) {
                    Ok(shares) => tally.compare_customer(&customer, &shares, horizon_ms),
                    Err(_) => tally.add_unreadable_customer(&customer),
                }
            }
            Ok(())
        };
        self.each_page("HSCAN", &customers, compare).await?;
        tally.compare_unseen_customers(horizon_ms);
        Ok(())
    }

    /// All of a hash or an index, page by page. An entry may come twice.
    pub(super) async fn each_page(
        &self,
        command: &str,
        key: &str,
        mut visit: impl FnMut(Reply) -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        let mut cursor = "0".to_owned();
        loop {
            let page = redis::cmd(command).arg(key).arg(&cursor).arg("COUNT").arg(PAGE).to_owned();
            let mut reply = Reply::read(self.runner.plain(&page).await?)?;
            cursor = reply.text()?;
            visit(reply.list()?)?;
            if cursor == "0" {
                return Ok(());
            }
        }
    }
}
