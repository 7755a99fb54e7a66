//! `lend`: takes free units of a product out of a shard, for another one.

use super::{Failure, Op, ScriptCall, keys::SaleKeys, spread::Spreads, unknown_word};
use crate::domain::ids::{ProductId, SaleId};

/// A loan of a shard to another one.
pub(super) struct Loan {
    pub units: u64,
    /// All units that it ever lent to that one, which is what [`Spreads::borrow`] needs.
    pub ever: u64,
}

impl Spreads {
    /// At most so many units, perhaps none. They are under way until `borrow` adds them. A repetition lends more, which harms
    /// nobody.
    pub(super) async fn lend(
        &self,
        from: &SaleId,
        to: &SaleId,
        product: ProductId,
        most: u64,
    ) -> Result<Loan, Failure> {
        let keys = SaleKeys(from);
        let call = ScriptCall::of(Op::Lend).keys(keys.units()).key(keys.loans()).number(product.get());
        let (word, mut reply) = self.runner.call(call.arg(to.as_str()).number(most)).await?;
        match word.as_str() {
            "lent" => Ok(Loan { units: reply.count()?, ever: reply.count()? }),
            "product_not_found" => Ok(Loan { units: 0, ever: 0 }),
            word => Err(unknown_word(Op::Lend, word)),
        }
    }
}
