//! `arrive_product`: puts a product that moves into its new sale.

use super::{
    Failure, Op, ScriptCall, Store,
    keys::SaleKeys,
    remove_product::{Move, once_of},
    reply::Fields,
    unknown_word,
};
use crate::domain::{act::Act, ids::ProductId};

impl Store {
    /// Whether it is there. Otherwise the sale has another currency.
    pub(super) async fn arrive_product(
        &self,
        id: ProductId,
        of_move: &Move<'_>,
        baggage: &Fields,
        act: &Act,
    ) -> Result<bool, Failure> {
        let Move { from, to, token } = of_move;
        let keys = SaleKeys(to);
        let call =
            ScriptCall::of(Op::ArriveProduct).keys(keys.book()).key(keys.product(id)).key(keys.once(&once_of(token)));
        let mut call = self.terms.for_act(call, act).number(id.get()).arg(from.as_str()).arg(to.as_str());
        call = call.number(self.terms.idempotency_ms);
        for field in ["currency", "name", "metadata", "price", "total", "max_per_hold", "rules"] {
            call = call.arg(baggage.text(field)?);
        }
        match self.runner.call(call).await?.0.as_str() {
            "arrived" => Ok(true),
            "currency_differs" => Ok(false),
            word => Err(unknown_word(Op::ArriveProduct, word)),
        }
    }
}
