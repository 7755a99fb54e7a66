//! `note_payment`: keeps a note of a payment beside its order, until the directory of payments has it.

use super::{Failure, Op, ScriptCall, Store, keys::SaleKeys, unknown_word};
use crate::domain::{ids::HoldId, payment::PaymentId};

impl Store {
    pub(super) async fn note_payment(&self, payment: &PaymentId, hold: &HoldId) -> Result<(), Failure> {
        let note = format!("{} {}", hold.key(), payment.as_str());
        let call = ScriptCall::of(Op::NotePayment).key(SaleKeys(hold.sale()).noted()).arg(note);
        match self.runner.call(call).await?.0.as_str() {
            "noted" => Ok(()),
            word => Err(unknown_word(Op::NotePayment, word)),
        }
    }
}
