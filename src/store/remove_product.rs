//! `remove_product`: takes a product that never sold out of its sale.

use super::{Failure, Op, ScriptCall, Store, keys::SaleKeys, reply::Fields, unknown_word};
use crate::domain::{
    act::Act,
    ids::{ProductId, SaleId},
};

/// What `remove_product` can answer.
#[derive(Debug)]
pub(super) enum RemoveOutcome {
    /// What the product was, if it moves.
    Removed(Fields),
    ProductNotFound,
    HasOrders,
    HasHolds,
}

/// A move from a sale to another one.
pub(super) struct Move<'a> {
    pub from: &'a SaleId,
    pub to: &'a SaleId,
    /// Names this one move.
    pub token: &'a str,
}

impl Store {
    /// `of_move`: `None` to delete the product.
    pub(super) async fn remove_product(
        &self,
        sale: &SaleId,
        id: ProductId,
        of_move: Option<&Move<'_>>,
        act: &Act,
    ) -> Result<RemoveOutcome, Failure> {
        let keys = SaleKeys(sale);
        let mut call = ScriptCall::of(Op::RemoveProduct).keys(keys.book()).key(keys.product(id));
        if let Some(Move { token, .. }) = of_move {
            call = call.key(keys.baggage(id, token)).key(keys.once(&once_of(token)));
        }
        let mut call = self.terms.for_act(call, act).number(id.get());
        if let Some(Move { from, to, .. }) = of_move {
            call = call.arg(from.as_str()).arg(to.as_str()).number(self.terms.idempotency_ms);
        }
        let (word, mut reply) = self.runner.call(call).await?;
        match word.as_str() {
            "removed" => Ok(RemoveOutcome::Removed(reply.list()?.fields()?)),
            "product_not_found" => Ok(RemoveOutcome::ProductNotFound),
            "product_has_orders" => Ok(RemoveOutcome::HasOrders),
            "product_has_holds" => Ok(RemoveOutcome::HasHolds),
            word => Err(unknown_word(Op::RemoveProduct, word)),
        }
    }
}

/// The name under which a sale remembers what it decided about a move.
pub(super) fn once_of(token: &str) -> String {
    format!("move-{token}")
}
