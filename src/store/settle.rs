//! `settle`: what payment events do, decided in batches for each sale; `keep_unmatched`: what names nothing of ours.

use super::{
    Call, Failure, Op, Reply, Store, Terms,
    batch::Work,
    idempotency::{self, Use},
    keys::SaleKeys,
    record,
    reply::Fields,
    unknown_word,
};
use crate::domain::{
    ids::{HoldId, IdSigner, SaleId},
    outcome::SettleOutcome,
    payment::{PaymentEvent, StatedAmount, Target},
};

impl Store {
    /// Once it answers with an outcome, the effect is stored as durably as was asked for.
    ///
    /// # Errors
    /// [`Failure`]; after a timeout the event may be settled. The same event then answers `Duplicate`.
    pub async fn settle(&self, event: &PaymentEvent) -> Result<SettleOutcome, Failure> {
        let hold = match self.hold_of_target(&event.target) {
            Ok(Some(hold)) if !matches!(event.amount, StatedAmount::NotUnderstood(_)) => hold,
            Ok(_) if event.status.settles() => return self.keep_unmatched(event).await,
            Ok(_) => return Ok(SettleOutcome::Ignored(None)),
            Err(TargetsDiffer) => return Ok(SettleOutcome::TargetsDiffer),
        };
        let sale = hold.sale().clone();
        let ask = SettleAsk::new(hold, event);
        let once_key = SaleKeys(&sale).once(&ask.once);
        let outcome = self.settles.ask(&sale, ask).await?;
        self.confirmed(once_key).await?;
        Ok(outcome)
    }

    /// `None`: this service never made the id.
    fn hold_of_target(&self, target: &Target) -> Result<Option<HoldId>, TargetsDiffer> {
        let of_order = |text: &str| self.ids().parse(text).map(|order| self.ids().hold_of(&order));
        match target {
            Target::Order(order) => Ok(of_order(order)),
            Target::Hold(hold) => Ok(self.ids().parse(hold)),
            Target::Both { order, hold } => {
                let (one, other) = (of_order(order), self.ids().parse(hold));
                if one == other { Ok(one) } else { Err(TargetsDiffer) }
            }
        }
    }
}

struct TargetsDiffer;

/// Settling: a queue for each sale.
pub(super) struct Settles {
    pub(super) terms: Terms,
    pub(super) ids: IdSigner,
}

pub(super) struct SettleAsk {
    hold: HoldId,
    /// Names the event in Redis.
    once: String,
    /// The event as `lua/settle.lua` reads it.
    text: String,
}

impl SettleAsk {
    fn new(hold: HoldId, event: &PaymentEvent) -> Self {
        let (payment, amount, currency) = money(event);
        let (fingerprint, review) = (idempotency::fingerprint_of_event(event), idempotency::review(hold.key(), event));
        let words =
            [event.status.as_str(), &fingerprint, event.key.as_str(), payment, &amount, currency, &review].join("\n");
        Self { hold, once: idempotency::hash(Use::Payment, &event.key), text: words }
    }
}

/// Payment id, amount in ten-thousandths, and currency of an event, each empty where it is not said.
pub(super) fn money(event: &PaymentEvent) -> (&str, String, &'static str) {
    (
        event.payment.as_ref().map_or("", |payment| payment.as_str()),
        event.amount.known().map_or_else(String::new, |amount| amount.ten_thousandths().to_string()),
        event.currency.map_or("", |currency| currency.code()),
    )
}

impl Work for Settles {
    type Key = SaleId;
    type Ask = SettleAsk;
    type Answer = SettleOutcome;
    const BATCH_MAX: usize = 64;

    fn call(&self, sale: &SaleId, asks: &[SettleAsk]) -> Call {
        let keys = SaleKeys(sale);
        let mut call = Call::of(Op::Settle).keys(keys.book()).keys(keys.reviews());
        for SettleAsk { hold, once, .. } in asks {
            call = call.key(keys.hold(hold.key())).key(keys.order(hold.key())).key(keys.once(once));
        }
        let call = self.terms.for_book(call).number(self.terms.event_ms);
        asks.iter().fold(call, |call, ask| call.arg(&ask.text))
    }

    fn read(
        &self,
        _sale: &SaleId,
        asks: Vec<SettleAsk>,
        word: &str,
        mut reply: Reply,
    ) -> Result<Vec<SettleOutcome>, Failure> {
        if word != "decided" {
            return Err(unknown_word(Op::Settle, word));
        }
        let now_ms = reply.int()?;
        let read = |ask: SettleAsk| {
            let (word, fields) = (reply.text()?, Fields::of_lines(&reply.text()?)?);
            let order = || record::order_if_any(&self.ids, &ask.hold, now_ms, &fields);
            match word.as_str() {
                "applied" => Ok(SettleOutcome::Applied(order()?)),
                "duplicate" => Ok(SettleOutcome::Duplicate(order()?)),
                "ignored" => Ok(SettleOutcome::Ignored(order()?)),
                "refund_required" => Ok(SettleOutcome::RefundRequired(order()?)),
                "review" => Ok(SettleOutcome::Review(order()?)),
                "idempotency_key_reused" => Ok(SettleOutcome::IdempotencyKeyReused),
                word => Err(unknown_word(Op::Settle, word)),
            }
        };
        asks.into_iter().map(read).collect()
    }
}
