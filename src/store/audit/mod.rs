//! `audit_units`, `audit_holds`, `audit_orders` and `repair`: recomputes what is stored of sales from their records, and puts
//! right what differs.
//!
//! A look reads the units, walks over all keys for the records, reads the customers, and reads the units again. If nothing was
//! written meanwhile it is exact. Else what differs may only have moved, and the sale is looked at again. No call asks Redis for
//! more than a few thousand values.

mod look;
mod read;
mod records;

use std::{collections::BTreeMap, time::Duration};

use super::{
    Failure, Op, Reply, ScriptCall, Store,
    keys::{PRODUCTS, SaleKeys},
    unknown_word,
};
use crate::domain::{
    audit::{AuditOutcome, Difference, SaleAudit, Turn, What},
    ids::SaleId,
    outcome::FindSaleOutcome,
};

/// Looks at a sale that moves, before what differed in all of them is reported.
const LOOKS: u32 = 5;
/// Between two looks, so that what moves can.
const PAUSE: Duration = Duration::from_millis(100);
/// Times that an audit and its repairs are made again, because something was written in between.
const ROUNDS: u32 = 5;
/// Differences that one call repairs; a few more, if they are of one product.
const REPAIRS_MAX: usize = 64;
/// Before each repair, so that its instant differs from that of whatever was written before.
const MOMENT: Duration = Duration::from_millis(2);

impl Store {
    /// Audits one sale, or all. One audit at a time: others of this service wait.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn audit(&self, one: Option<&SaleId>) -> Result<AuditOutcome, Failure> {
        let _turn = self.audits.lock().await;
        let Some(sales) = self.sales_to_audit(one).await? else { return Ok(AuditOutcome::SaleNotFound) };
        let audits = self.audit_sales(sales.keys().cloned().collect()).await?;
        Ok(AuditOutcome::Audited { sales: self.with_terms(audits, &sales).await?, repaired: Vec::new() })
    }

    /// Audits one sale, or all, repairs what can be repaired, and audits again. Only a sale that rests is repaired.
    ///
    /// # Errors
    /// [`Failure`]; some of it may be repaired then. The same call goes on.
    pub async fn audit_and_repair(&self, one: Option<&SaleId>) -> Result<AuditOutcome, Failure> {
        let _turn = self.audits.lock().await;
        let Some(sales) = self.sales_to_audit(one).await? else { return Ok(AuditOutcome::SaleNotFound) };
        let mut repaired = Vec::new();
        let mut audits = self.audit_sales(sales.keys().cloned().collect()).await?;
        for _ in 0..ROUNDS {
            let broken: Vec<_> = audits.iter().filter(|audit| audit.differences.iter().any(|d| d.repairable)).collect();
            if broken.is_empty() {
                break;
            }
            for audit in &broken {
                let done = self.repair(audit).await?;
                repaired.extend(done.into_iter().map(|difference| (audit.sale.clone(), difference)));
            }
            let again = broken.into_iter().map(|audit| audit.sale.clone()).collect();
            for newer in self.audit_sales(again).await? {
                audits.iter_mut().filter(|audit| audit.sale == newer.sale).for_each(|audit| *audit = newer.clone());
            }
        }
        Ok(AuditOutcome::Audited { sales: self.with_terms(audits, &sales).await?, repaired })
    }

    /// The sale, or all sales: those that are listed, and those of products whose sale is not. Each with whether it is listed.
    async fn sales_to_audit(&self, one: Option<&SaleId>) -> Result<Option<BTreeMap<SaleId, bool>>, Failure> {
        let Some(listed) = self.sales(one).await? else { return Ok(None) };
        // No product can be in the sale that keeps what was never made here.
        let listed = listed.into_iter().filter(|sale| *sale != self.unmatched_sale);
        let mut sales: BTreeMap<SaleId, bool> = listed.map(|sale| (sale, true)).collect();
        if one.is_some() {
            return Ok(Some(sales).filter(|sales| !sales.is_empty()));
        }
        let add = |mut page: Reply| {
            while !page.is_empty() {
                let (_product, sale) = (page.text()?, page.text()?);
                sales.entry(SaleId::parse(&sale).ok_or_else(|| Failure::unreadable("a sale id"))?).or_insert(false);
            }
            Ok(())
        };
        self.each_page("HSCAN", PRODUCTS, add).await?;
        Ok(Some(sales))
    }

    /// Tells of sales whose terms cannot be read, or are gone, or that are in no list, though they have products. One that is
    /// being made is listed a moment after its product is named.
    async fn with_terms(
        &self,
        mut audits: Vec<SaleAudit>,
        sales: &BTreeMap<SaleId, bool>,
    ) -> Result<Vec<SaleAudit>, Failure> {
        for audit in audits.iter_mut().filter(|audit| audit.products > 0) {
            let found = Failure::or_damage(self.find_sale(&audit.sale).await, &audit.sale)?;
            if !matches!(found, Some(FindSaleOutcome::Found(_))) {
                audit.differences.push(Difference::new(What::Record, 1, 0));
            }
            if sales.get(&audit.sale) == Some(&false) && self.sales(Some(&audit.sale)).await?.is_none() {
                audit.differences.push(Difference::new(What::SaleIndex, 0, 1));
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

    /// Gives what was repaired: nothing, if something was written since the audit.
    async fn repair(&self, audit: &SaleAudit) -> Result<Vec<Difference>, Failure> {
        let mut repaired = Vec::new();
        let wanted = audit.differences.iter().filter(|d| d.repairable && audit.is_exact).collect();
        let mut last_now_ms = audit.last_now_ms;
        for some in calls_of(wanted) {
            tokio::time::sleep(MOMENT).await;
            let call = self.terms.for_book(ScriptCall::of(Op::Repair).keys(SaleKeys(&audit.sale).book()));
            let call = call.arg(last_now_ms.to_string());
            let call = some.iter().fold(call, |call, difference| call.arg(read::lines_of(difference)));
            let (word, mut reply) = self.runner.call(call).await?;
            match word.as_str() {
                "repaired" => last_now_ms = reply.int()?,
                "moved" | "below_zero" => break,
                word => return Err(unknown_word(Op::Repair, word)),
            }
            repaired.extend(some.into_iter().cloned());
        }
        Ok(repaired)
    }
}

/// What is repaired together, in the order of the turns.
fn calls_of(mut wanted: Vec<&Difference>) -> Vec<Vec<&Difference>> {
    wanted.sort_by_key(|difference| difference.turn());
    let mut calls: Vec<Vec<&Difference>> = Vec::new();
    for difference in wanted {
        let joins = |call: &&mut Vec<&Difference>| {
            let is_one_product = call.last().is_some_and(|last| last.product == difference.product);
            call[0].turn() == difference.turn()
                && (call.len() < REPAIRS_MAX || (difference.turn() == Turn::Counters && is_one_product))
        };
        match calls.last_mut().filter(joins) {
            Some(call) => call.push(difference),
            None => calls.push(vec![difference]),
        }
    }
    calls
}
