//! `audit_units`: the counters, buckets and deadlines of a sale, at one instant. A sale with too many of them for one call
//! is read page by page.

use super::read;
use crate::{
    domain::{audit::Stored, ids::SaleId},
    store::{Failure, Op, ScriptCall, Store, keys::SaleKeys, unknown_word},
};

/// Fields and members that one call may return.
const VALUES_MAX: u64 = 2_048;

impl Store {
    pub(super) async fn audit_units(&self, sale: &SaleId) -> Result<Stored, Failure> {
        let keys = SaleKeys(sale).units();
        let (word, mut reply) = self.runner.call(ScriptCall::of(Op::AuditUnits).keys(&keys).number(VALUES_MAX)).await?;
        let mut stored = Stored { now_ms: reply.int()?, last_write: reply.int()?, ..Stored::default() };
        match word.as_str() {
            "units" => {
                read::counters(&mut stored, reply.list()?.fields()?)?;
                read::buckets(&mut stored, reply.list()?.fields()?)?;
                read::deadlines(&mut stored, reply.list()?.fields()?)?;
            }
            "too_many" => {
                let [_, stock, lapses, deadlines] = &keys;
                let all = &mut stored;
                self.each_page("HSCAN", stock, |page| read::counters(all, page.fields()?)).await?;
                self.each_page("HSCAN", lapses, |page| read::buckets(all, page.fields()?)).await?;
                self.each_page("ZSCAN", deadlines, |page| read::deadlines(all, page.fields()?)).await?;
            }
            word => return Err(unknown_word(Op::AuditUnits, word)),
        }
        Ok(stored)
    }
}
