//! The audit: recomputes the units of sales from their records, and repairs what differs. One file for each of its scripts:
//! `audit_units`, `audit_holds`, `audit_orders` and `repair`. Shards are audited as sales, and then against each other (`shards`).
//!
//! A look reads the units, walks over all keys for the records, reads the customers, and reads the units again. It is exact
//! if no script wrote meanwhile. Otherwise a difference may be a change in progress, so the audit looks again and keeps only
//! what differs by as much each time. No call asks Redis for more than a few thousand values.

mod audit_holds;
mod audit_orders;
mod audit_units;
mod look;
mod read;
mod records;
mod repair;
mod shards;

use std::{collections::BTreeMap, time::Duration};

pub(super) use self::read::bucket;
use super::{Failure, Reply, Store, keys::PRODUCTS, listing::Entry};
use crate::domain::{
    act::Act,
    audit::{AuditOutcome, Difference, DifferenceKind, SaleAudit},
    ids::SaleId,
    outcome::FindSaleOutcome,
};

/// Looks at a sale that changes all the time.
const LOOKS: u32 = 5;
/// Pause between two looks, so that changes in progress end.
const PAUSE: Duration = Duration::from_millis(100);
/// Rounds of repairs and audits of them. A script that writes in between makes another round necessary.
const ROUNDS: u32 = 5;
impl Store {
    /// Audits one sale, or all. A service makes one audit at a time.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn audit(&self, one: Option<&SaleId>) -> Result<AuditOutcome, Failure> {
        self.check_identity().await?;
        let _only = self.audits.lock().await;
        let Some(sales) = self.sales_to_audit(one).await? else { return Ok(AuditOutcome::SaleNotFound) };
        let audits = self.audit_sales(sales.keys().cloned().collect()).await?;
        let audits = self.with_terms(audits, &sales).await?;
        Ok(AuditOutcome::Audited { sales: self.as_wholes(audits).await?, repaired: Vec::new() })
    }

    /// Audits one sale, or all, repairs the repairable differences, and audits again. A sale is repaired only while it
    /// rests.
    ///
    /// # Errors
    /// [`Failure`]; some differences may be repaired then. The same call goes on.
    pub async fn audit_and_repair(&self, one: Option<&SaleId>, act: &Act) -> Result<AuditOutcome, Failure> {
        self.check_identity().await?;
        let _only = self.audits.lock().await;
        let Some(sales) = self.sales_to_audit(one).await? else { return Ok(AuditOutcome::SaleNotFound) };
        let mut repaired = self.mend_shards(sales.keys()).await?;
        let mut audits = self.audit_sales(sales.keys().cloned().collect()).await?;
        for _ in 0..ROUNDS {
            let broken: Vec<_> = audits.iter().filter(|audit| audit.differences.iter().any(|d| d.repairable)).collect();
            if broken.is_empty() {
                break;
            }
            for audit in &broken {
                let done = self.repair(audit, act).await?;
                repaired.extend(done.into_iter().map(|difference| (audit.sale.whole(), difference)));
            }
            let again = broken.into_iter().map(|audit| audit.sale.clone()).collect();
            for newer in self.audit_sales(again).await? {
                audits.iter_mut().filter(|audit| audit.sale == newer.sale).for_each(|audit| *audit = newer.clone());
            }
        }
        let audits = self.with_terms(audits, &sales).await?;
        Ok(AuditOutcome::Audited { sales: self.as_wholes(audits).await?, repaired })
    }

    /// The sale, or all sales: the listed ones, and those that only products name. Each with whether it is listed.
    async fn sales_to_audit(&self, one: Option<&SaleId>) -> Result<Option<BTreeMap<SaleId, bool>>, Failure> {
        let Some(listed) = self.sales(one).await? else { return Ok(None) };
        // That sale can have no products.
        let listed = listed.into_iter().filter(|sale| *sale != self.unmatched_sale);
        let mut sales: BTreeMap<SaleId, bool> = listed.map(|sale| (sale, true)).collect();
        if one.is_some() {
            return Ok(Some(sales).filter(|sales| !sales.is_empty()));
        }
        let add = |mut page: Reply| {
            while !page.is_empty() {
                let (product, listing) = (page.text()?, page.text()?);
                match Entry::read(&listing) {
                    Some(Entry::Product(listing, _)) => {
                        for shard in self.spreads.shards(&listing.sale, listing.shards).iter() {
                            sales.entry(shard.clone()).or_insert(false);
                        }
                    }
                    Some(Entry::Deleted(_)) => {}
                    None => return Err(Failure::unreadable(format!("product {product}"))),
                }
            }
            Ok(())
        };
        self.each_page("HSCAN", PRODUCTS, add).await?;
        Ok(Some(sales))
    }

    /// Adds differences for sales that have products, and whose terms cannot be read or are gone, or that are not listed. A
    /// sale that is being made is listed a moment after its product.
    async fn with_terms(
        &self,
        mut audits: Vec<SaleAudit>,
        sales: &BTreeMap<SaleId, bool>,
    ) -> Result<Vec<SaleAudit>, Failure> {
        for audit in audits.iter_mut().filter(|audit| audit.products > 0) {
            let found = Failure::or_damage(self.find_sale(&audit.sale).await, &audit.sale)?;
            if !matches!(found, Some(FindSaleOutcome::Found(_))) {
                audit.differences.push(Difference::record());
            }
            if sales.get(&audit.sale) == Some(&false) && self.sales(Some(&audit.sale)).await?.is_none() {
                audit.differences.push(Difference::new(DifferenceKind::SaleIndex, 0, 1));
            }
        }
        Ok(audits)
    }

    /// In the order of the sales.
    async fn audit_sales(&self, sales: Vec<SaleId>) -> Result<Vec<SaleAudit>, Failure> {
        let mut open: BTreeMap<SaleId, Option<SaleAudit>> = sales.into_iter().map(|sale| (sale, None)).collect();
        let mut done = BTreeMap::new();
        for looks in 1..=LOOKS {
            for mut audit in self.look_at(&open).await? {
                audit.looks = looks;
                let earlier = open.remove(&audit.sale).flatten();
                if let Some(earlier) = earlier.filter(|_| !audit.is_exact) {
                    audit.differences = Difference::persisting(audit.differences, &earlier.differences);
                }
                if audit.is_exact || audit.differences.is_empty() || looks == LOOKS {
                    done.insert(audit.sale.clone(), audit);
                } else {
                    open.insert(audit.sale.clone(), Some(audit));
                }
            }
            if open.is_empty() {
                break;
            }
            tokio::time::sleep(PAUSE).await;
        }
        Ok(done.into_values().collect())
    }
}
