//! `restock`: adds or takes units of a product while it sells.

use std::time::Instant;

use super::{
    Failure, Op, ScriptCall, Store,
    gather::Supply,
    idempotency::{self, Use},
    keys::SaleKeys,
    record,
    redis::rank::PERSON,
    unknown_word,
};
use crate::domain::{
    act::Act,
    ids::{ProductId, SaleId, Shards},
    outcome::RestockOutcome,
    product::{Restock, TOTAL_MAX},
    text::IdempotencyKey,
};

impl Store {
    /// # Errors
    /// [`Failure`]; after a timeout the units may have changed. The same call with its idempotency key then changes nothing
    /// more.
    pub async fn restock(
        &self,
        id: ProductId,
        restock: Restock,
        key: Option<&IdempotencyKey>,
        act: &Act,
    ) -> Result<RestockOutcome, Failure> {
        PERSON.within(self.restock_listed(id, restock, key, act)).await
    }

    async fn restock_listed(
        &self,
        id: ProductId,
        restock: Restock,
        key: Option<&IdempotencyKey>,
        act: &Act,
    ) -> Result<RestockOutcome, Failure> {
        let Some((sale, shards)) = self.sale_of(id).await? else { return Ok(RestockOutcome::ProductNotFound) };
        let outcome = self.restock_in(&sale, shards, id, restock, key, act).await?;
        if outcome != RestockOutcome::ProductNotFound {
            return Ok(outcome);
        }
        match self.sale_instead(id, &sale).await? {
            Some((newer, shards)) => self.restock_in(&newer, shards, id, restock, key, act).await,
            None => Ok(outcome),
        }
    }

    /// Units come and go in the first shard. Where it has too few to take away, those of the others come to it.
    async fn restock_in(
        &self,
        sale: &SaleId,
        shards: Shards,
        id: ProductId,
        restock: Restock,
        key: Option<&IdempotencyKey>,
        act: &Act,
    ) -> Result<RestockOutcome, Failure> {
        if !shards.are_several() {
            return self.restock_of(sale, id, restock, key, act).await;
        }
        let shards = self.spreads.shards(sale, shards);
        let until = Instant::now() + self.spreads.tries_max;
        while Instant::now() < until {
            match self.restock_first(&shards, id, restock, key, act).await? {
                RestockOutcome::BelowPromised { .. } => {}
                outcome => return Ok(outcome),
            }
            let Some((now, _)) = self.sum_rows(&shards, &[id]).await?.into_iter().next().transpose()? else {
                return Ok(RestockOutcome::ProductNotFound);
            };
            let need = match restock {
                Restock::Delta(units) => units.unsigned_abs(),
                Restock::Total(units) => now.stock.total.saturating_sub(units),
            };
            match self.spreads.survey(&shards, id, need).await? {
                Supply::There => self.spreads.gather(&shards, id, sale, need).await?,
                Supply::Short(short) => {
                    let floor = now.stock.total.saturating_sub(short.available);
                    // The same call, sent twice at once, may have taken the last of them: then this one finds what it did.
                    return Ok(match self.restock_first(&shards, id, restock, key, act).await? {
                        RestockOutcome::BelowPromised { .. } => RestockOutcome::BelowPromised { floor },
                        outcome => outcome,
                    });
                }
            }
        }
        Err(Failure::overloaded("buyers were faster each time, and units are left"))
    }

    /// In the first shard, with the units of all of them.
    async fn restock_first(
        &self,
        shards: &[SaleId],
        id: ProductId,
        restock: Restock,
        key: Option<&IdempotencyKey>,
        act: &Act,
    ) -> Result<RestockOutcome, Failure> {
        match self.restock_of(&shards[0], id, restock, key, act).await? {
            RestockOutcome::Restocked(change) => {
                let change = self.sum_change(shards, change).await.map_err(Failure::after_decision)?;
                Ok(RestockOutcome::Restocked(change))
            }
            outcome => Ok(outcome),
        }
    }

    async fn restock_of(
        &self,
        sale: &SaleId,
        id: ProductId,
        restock: Restock,
        key: Option<&IdempotencyKey>,
        act: &Act,
    ) -> Result<RestockOutcome, Failure> {
        let (word, mut reply) = self.runner.call(self.restock_call(id, sale, restock, key, act)).await?;
        match word.as_str() {
            "restocked" => Ok(RestockOutcome::Restocked(
                self.with_skus(record::product::changed_product(sale, &mut reply)?).await?,
            )),
            "product_not_found" => Ok(RestockOutcome::ProductNotFound),
            "idempotency_key_reused" => Ok(RestockOutcome::IdempotencyKeyReused),
            "below_promised" => Ok(RestockOutcome::BelowPromised { floor: reply.count()? }),
            "above_maximum" => Ok(RestockOutcome::AboveMaximum { most: reply.count()? }),
            word => Err(unknown_word(Op::Restock, word)),
        }
    }

    fn restock_call(
        &self,
        id: ProductId,
        sale: &SaleId,
        restock: Restock,
        key: Option<&IdempotencyKey>,
        act: &Act,
    ) -> ScriptCall {
        let keys = SaleKeys(sale);
        let (how, units) = match restock {
            Restock::Delta(units) => ("delta", units.to_string()),
            Restock::Total(units) => ("total", units.to_string()),
        };
        let mut call = ScriptCall::of(Op::Restock).keys(keys.book()).key(keys.product(id));
        if let Some(key) = key {
            call = call.key(keys.once(&idempotency::hash(Use::Restock, key)));
        }
        let call = self.terms.for_act(call, act).number(id.get()).arg(how).arg(&units).number(TOTAL_MAX);
        if key.is_none() {
            return call;
        }
        call.arg(idempotency::fingerprint_of_restock(id, how, &units)).number(self.terms.idempotency_ms)
    }
}
