//! `order`: turns live holds into pending orders. One call makes a batch of orders of one sale.

use super::{
    Failure, IdSigner, Op, Reply, ScriptCall, ServiceTerms, Store,
    batch::Work,
    keys::SaleKeys,
    record,
    redis::{rank::Rank, slot},
    unknown_word,
};
use crate::domain::{
    ids::{HoldId, SaleId},
    outcome::OrderOutcome,
};

impl Store {
    /// # Errors
    /// [`Failure`]; after a timeout the order may exist. The same call then returns it.
    pub async fn order(&self, hold: HoldId) -> Result<OrderOutcome, Failure> {
        let sale = hold.sale().clone();
        let outcome = self.orders.submit(&sale, hold).await??;
        Rank::Orders.within(self.with_skus(outcome)).await
    }
}

/// Makes orders: a queue for each sale.
pub(super) struct Orders {
    pub(super) terms: ServiceTerms,
    pub(super) ids: IdSigner,
}

impl Work for Orders {
    type Key = SaleId;
    type Item = HoldId;
    /// A failure is its own: one order that cannot be read keeps no other from its buyer.
    type Answer = Result<OrderOutcome, Failure>;
    const OP: Op = Op::Order;
    const BATCH_MAX: usize = 64;

    fn slot(sale: &SaleId) -> u16 {
        slot::of_sale(sale)
    }

    fn call(&self, sale: &SaleId, holds: &[HoldId]) -> ScriptCall {
        let keys = SaleKeys(sale);
        let call = ScriptCall::of(Self::OP).keys(keys.book());
        let call = holds.iter().fold(call, |call, hold| call.key(keys.hold(hold.key())).key(keys.order(hold.key())));
        self.terms.for_book(call)
    }

    fn read(
        &self,
        _sale: &SaleId,
        holds: Vec<HoldId>,
        word: &str,
        mut reply: Reply,
    ) -> Result<Vec<Self::Answer>, Failure> {
        if word != "decided" {
            return Err(unknown_word(Op::Order, word));
        }
        let now_ms = reply.int()?;
        let read = |hold: HoldId| {
            let (word, text) = (reply.text()?, reply.text()?);
            let order = || record::order::order(&self.ids, &hold, now_ms, &text);
            match word.as_str() {
                "created" => Ok(order().map(OrderOutcome::Created)),
                "exists" => Ok(order().map(OrderOutcome::Exists)),
                "hold_expired" => Ok(Ok(OrderOutcome::HoldExpired)),
                word => Err(unknown_word(Op::Order, word)),
            }
        };
        holds.into_iter().map(read).collect()
    }
}
