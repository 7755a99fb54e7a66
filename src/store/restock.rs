//! `restock`: adds or takes units of a product while it sells.

use super::{
    Failure, Op, ScriptCall, Store,
    idempotency::{self, Use},
    keys::SaleKeys,
    record, unknown_word,
};
use crate::domain::{
    act::Act,
    ids::{ProductId, SaleId},
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
        let Some(sale) = self.sale_of(id).await? else { return Ok(RestockOutcome::ProductNotFound) };
        let outcome = self.restock_of(&sale, id, restock, key, act).await?;
        if outcome != RestockOutcome::ProductNotFound {
            return Ok(outcome);
        }
        match self.sale_instead(id, &sale).await? {
            Some(newer) => self.restock_of(&newer, id, restock, key, act).await,
            None => Ok(outcome),
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
