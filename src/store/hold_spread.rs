//! Holds of sales that are spread over several slots. One shard decides. Where it lacks units, those of the others come to it.

use std::{rc::Rc, time::Instant};

use super::{Failure, Store, gather::Supply, hold::HoldAnswer, spread::shard_for};
use crate::domain::{
    hold::HoldCommand,
    ids::{ProductId, SaleId},
    outcome::HoldOutcome,
};

impl Store {
    /// A buyer is refused only for units that were free in no shard.
    pub(super) async fn hold_spread(&self, shards: Rc<[SaleId]>, command: HoldCommand) -> Result<HoldAnswer, Failure> {
        let mut may_have_held = false;
        let answer = self.hold_in_one(shards, command, &mut may_have_held).await;
        // Nobody may say that nothing was done where a shard was asked that did not answer.
        if may_have_held { answer.map_err(Failure::after_decision) } else { answer }
    }

    async fn hold_in_one(
        &self,
        shards: Rc<[SaleId]>,
        command: HoldCommand,
        may_have_held: &mut bool,
    ) -> Result<HoldAnswer, Failure> {
        let mut shard = shard_for(&shards, &command);
        // Where nothing ties a buyer to a shard, one that is away keeps nobody waiting. A hold that it made after all is given
        // back: it has no key.
        let is_free = command.customer.is_none() && command.idempotency_key.is_none();
        let mut others = others(&shards, shard).filter(|_| is_free);
        let until = Instant::now() + self.spreads.tries_max;
        let mut has_copied = false;
        while Instant::now() < until {
            let answer = match self.hold_at(shard, command.clone()).await {
                Ok(answer) => answer,
                Err(failure) => {
                    *may_have_held |= failure.leaves_open();
                    let is_away = matches!(failure, Failure::Unavailable(_) | Failure::TimedOut(_) | Failure::Lost(_));
                    match others.next().filter(|_| is_away && Instant::now() < until) {
                        Some(other) => shard = other,
                        None => return Err(failure),
                    }
                    continue;
                }
            };
            match answer {
                HoldAnswer::Decided(HoldOutcome::InsufficientStock(short)) => {
                    let need = units_of(&command, short.product);
                    match self.spreads.survey(&shards, short.product, need).await? {
                        Supply::There => self.spreads.gather(&shards, short.product, shard, need).await?,
                        Supply::Short(short) if command.idempotency_key.is_none() => {
                            return Ok(HoldAnswer::Decided(HoldOutcome::InsufficientStock(short)));
                        }
                        // The same request, sent twice at once, may have taken the last of them: then this one finds its hold.
                        Supply::Short(short) => {
                            return Ok(match self.hold_at(shard, command).await? {
                                HoldAnswer::Decided(HoldOutcome::InsufficientStock(_)) => {
                                    HoldAnswer::Decided(HoldOutcome::InsufficientStock(short))
                                }
                                answer => answer,
                            });
                        }
                    }
                }
                // A product that was made a moment ago, or whose making was interrupted.
                HoldAnswer::ProductNotFound(product, _) if !has_copied => {
                    self.spreads.copy_to_shards(&shards, Some(product)).await?;
                    has_copied = true;
                }
                answer => return Ok(answer),
            }
        }
        Err(Failure::overloaded("others were faster each time, and units are left"))
    }
}

/// The other shards, from the one behind this on.
fn others<'a>(shards: &'a [SaleId], first: &SaleId) -> impl Iterator<Item = &'a SaleId> {
    let at = shards.iter().position(|shard| shard == first).unwrap_or(0);
    shards.iter().cycle().skip(at + 1).take(shards.len() - 1)
}

fn units_of(command: &HoldCommand, product: ProductId) -> u64 {
    let lines = command.lines.as_slice().iter().filter(|line| line.product == product);
    lines.map(|line| line.quantity.get()).sum()
}
