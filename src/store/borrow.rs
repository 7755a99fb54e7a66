//! `borrow`: adds the units that another shard lent to this one, each of them once.

use super::{Failure, Op, ScriptCall, keys::SaleKeys, spread::Spreads, unknown_word};
use crate::domain::ids::{ProductId, SaleId};

impl Spreads {
    /// `ever`: all units that `from` ever lent to `to`. Whether `to` has the product at all.
    pub(super) async fn borrow(
        &self,
        from: &SaleId,
        to: &SaleId,
        product: ProductId,
        ever: u64,
    ) -> Result<bool, Failure> {
        let keys = SaleKeys(to);
        let call = ScriptCall::of(Op::Borrow).keys(keys.units()).key(keys.loans()).number(product.get());
        match self.runner.call(call.arg(from.as_str()).number(ever)).await?.0.as_str() {
            "borrowed" => Ok(true),
            "product_not_found" => Ok(false),
            word => Err(unknown_word(Op::Borrow, word)),
        }
    }
}
