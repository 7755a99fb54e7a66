//! `audit_holds`: adds live holds to a tally.

use super::records::{RecordKey, text, units};
use crate::{
    domain::{
        audit::{Bucket, BucketKind, Tally},
        ids::SaleId,
    },
    store::{Failure, Op, ScriptCall, Store, keys::SaleKeys, record, unknown_word},
};

impl Store {
    pub(super) async fn audit_holds(
        &self,
        sale: &SaleId,
        some: &[RecordKey],
        tally: &mut Tally,
    ) -> Result<(), Failure> {
        let keys = SaleKeys(sale);
        let call = ScriptCall::of(Op::AuditHolds).key(keys.sale()).keys(some.iter().map(|key| keys.hold(text(key))));
        let (word, mut reply) = self.runner.call(call).await?;
        if word != "holds" {
            return Err(unknown_word(Op::AuditHolds, &word));
        }
        for key in some {
            let (deadline_ms, lines, customer) = (reply.int()?, reply.text()?, reply.text()?);
            if deadline_ms == 0 {
                continue;
            }
            tally.holds += 1;
            let Ok(lines) = record::lines(&lines) else {
                self.add_unreadable(sale, key, tally);
                continue;
            };
            for line in lines.as_slice() {
                let bucket = Bucket { deadline_ms, product: line.product, kind: BucketKind::Held };
                tally.add_due_back(bucket, units(line), record::customer(&customer).as_ref());
            }
        }
        Ok(())
    }
}
