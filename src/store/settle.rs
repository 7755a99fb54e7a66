//! `settle`: decides what payment events do. One call decides a batch of events of one sale.

use futures_util::future;

use super::{
    Failure, Op, Reply, ScriptCall, ServiceTerms, Store,
    batch::Work,
    idempotency,
    ids::IdSigner,
    keys::SaleKeys,
    record,
    redis::{rank::Rank, slot},
    unknown_word,
};
use crate::domain::{
    ids::{HoldId, SaleId},
    money::Amount,
    outcome::{FindOrderOutcome, SettleOutcome, Settled},
    payment::{PaymentEvent, PaymentStatus, RefundId, StatedAmount, Target},
};

impl Store {
    /// When this returns an outcome, its effect is as durable as the settings ask for.
    ///
    /// # Errors
    /// [`Failure`]; after a timeout the event may be settled. The same event then answers `Duplicate`.
    pub async fn settle(&self, event: &PaymentEvent) -> Result<SettleOutcome, Failure> {
        Rank::Payments.within(async { Ok(self.with_known_skus(self.settle_any(event).await?).await) }).await
    }

    async fn settle_any(&self, event: &PaymentEvent) -> Result<SettleOutcome, Failure> {
        let is_money = event.status.is_about_money();
        match event.target.as_ref().map_or(Ok(None), |target| self.hold_of_target(target)) {
            Ok(Some(hold)) => self.settle_named(hold, event).await,
            // Ids that do not belong together say nothing, but money is never refused.
            Err(TargetsDiffer) if is_money => self.settle_unnamed(event).await,
            Err(TargetsDiffer) => Ok(SettleOutcome::TargetsDiffer),
            Ok(None) => self.settle_unnamed(event).await,
        }
    }

    async fn settle_named(&self, hold: HoldId, event: &PaymentEvent) -> Result<SettleOutcome, Failure> {
        let Some(payment) = &event.payment else { return self.settle_at(hold, event).await };
        // At the same time, which costs no further wait. Both must have succeeded before the event is confirmed.
        let (remembered, decided) =
            future::join(self.remember_payment(payment, &hold), self.decide_at(hold.clone(), event)).await;
        let (outcome, once_key) = decided?;
        let Some(outcome) = outcome else { return self.settle_without_sale(hold.sale(), event).await };
        // The event is settled by now, so no failure may say that nothing was done.
        let noted = self.remembered_or_noted(remembered, payment, &hold).await;
        let has_settled_more = noted.map_err(Failure::after_decision)?;
        let outcome = if has_settled_more {
            self.after_all(outcome, &hold).await.map_err(Failure::after_decision)?
        } else {
            outcome
        };
        self.confirm(hold.sale(), once_key).await?;
        Ok(outcome)
    }

    /// The outcome with the order as it is now, because other events were settled there at the same time.
    async fn after_all(&self, mut outcome: SettleOutcome, hold: &HoldId) -> Result<SettleOutcome, Failure> {
        let Some(settled) = outcome.settled_mut() else { return Ok(outcome) };
        if let FindOrderOutcome::Found(order) = self.find_order(&self.ids().order_of(hold)).await? {
            settled.order = Some(order);
        }
        if let Some((id, _)) = &settled.review {
            let review = self.find_review(id).await?.filter(|review| review.resolved_ms.is_none());
            settled.review = review.map(|review| (review.id, review.reason));
        }
        Ok(outcome)
    }

    /// An event that names nothing of ours is about the order that earlier events of its payment named.
    async fn settle_unnamed(&self, event: &PaymentEvent) -> Result<SettleOutcome, Failure> {
        if let Some(payment) = &event.payment
            && let Some(hold) = self.hold_of_payment(payment).await?
        {
            // A try of this event before may have kept it, and died before that was settled.
            self.settle_kept(payment, &hold).await?;
            return self.settle_at(hold, event).await;
        }
        // Redis knows nothing of it. If that is because it was emptied, the event must come again.
        self.check_identity().await?;
        if !event.status.is_about_money() {
            return Ok(ignored());
        }
        let Some(payment) = &event.payment else { return self.keep_unmatched(event).await };
        match self.remember_unmatched(payment).await {
            // There is no room for it. The review is what matters: a person sees the money.
            Ok(()) | Err(Failure::Full(_)) => {}
            Err(failure) => return Err(failure),
        }
        let outcome = self.keep_unmatched(event).await?;
        // Another worker may just have learned which order it is.
        match self.hold_of_payment(payment).await? {
            Some(hold) => {
                self.settle_kept(payment, &hold).await?;
                self.settle_at(hold, event).await
            }
            None => Ok(outcome),
        }
    }

    async fn settle_at(&self, hold: HoldId, event: &PaymentEvent) -> Result<SettleOutcome, Failure> {
        let sale = hold.sale().clone();
        let (outcome, once_key) = self.decide_at(hold, event).await?;
        let Some(outcome) = outcome else { return self.settle_without_sale(&sale, event).await };
        self.confirm(&sale, once_key).await?;
        Ok(outcome)
    }

    /// We made the id, and Redis has no such sale. Either it was emptied, and the event must come again. Or it is a backup from
    /// before the sale was made, and then the money is about nothing that anybody knows.
    async fn settle_without_sale(&self, sale: &SaleId, event: &PaymentEvent) -> Result<SettleOutcome, Failure> {
        self.check_identity().await?;
        self.check_made(sale).await?;
        if event.status.is_about_money() { self.keep_unmatched(event).await } else { Ok(ignored()) }
    }

    /// What is decided is not confirmed yet. With the key of the event, for that. `None`: there is no such sale.
    async fn decide_at(&self, hold: HoldId, event: &PaymentEvent) -> Result<(Option<SettleOutcome>, String), Failure> {
        let once = idempotency::hash_of_event(event);
        let once_key = SaleKeys(hold.sale()).once(&once);
        Ok((self.decide(&hold, once, event_text(event)).await?, once_key))
    }

    /// Money finds its units in whatever shard of the sale they are. `None`: there is no such sale.
    pub(super) async fn decide(
        &self,
        hold: &HoldId,
        once: String,
        text: String,
    ) -> Result<Option<SettleOutcome>, Failure> {
        let is_paid = text.split('\n').next() == Some(PaymentStatus::Paid.as_str());
        let mut search = if is_paid { Some(self.search_in(hold.sale()).await) } else { None };
        loop {
            let search = search.as_mut().filter(|search| !search.is_over());
            let waits = search.is_some();
            let item = SettleItem { hold: hold.clone(), once: once.clone(), text: text.clone(), waits };
            match (self.settles.submit(hold.sale(), item).await??, search) {
                (Decision::NoSale, _) => return Ok(None),
                (Decision::Made(outcome), _) => return Ok(Some(*outcome)),
                (Decision::UnitsGone, Some(search)) => self.gather_for(&self.ids().order_of(hold), search).await,
                (Decision::UnitsGone, None) => return Err(unknown_word(Op::Settle, "units_gone")),
            }
        }
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

fn ignored() -> SettleOutcome {
    SettleOutcome::Ignored(Settled::default())
}

/// Settles events: a queue for each sale.
pub(super) struct Settles {
    pub(super) terms: ServiceTerms,
    pub(super) ids: IdSigner,
}

pub(super) struct SettleItem {
    hold: HoldId,
    /// The hash that names the event in Redis.
    once: String,
    /// As [`event_text`] writes it.
    text: String,
    /// Whether nothing is decided where the order lacks units that other shards may have.
    waits: bool,
}

/// What the script says of an event.
pub(super) enum Decision {
    NoSale,
    UnitsGone,
    /// Boxed, because it goes through several futures, and those of payments are large.
    Made(Box<SettleOutcome>),
}

/// An event as the scripts read it: eleven lines, of which all but the first three may be empty. The last is for
/// `keep_unmatched`, which adds when the event came.
pub(super) fn event_text(event: &PaymentEvent) -> String {
    let (payment, amount, currency) = money(event);
    let ten_thousandths = |amount: Amount| amount.ten_thousandths().to_string();
    let unclear = match &event.amount {
        StatedAmount::NotUnderstood(raw) => raw.chars().filter(|c| !c.is_control()).collect(),
        StatedAmount::NotGiven | StatedAmount::Is(_) => String::new(),
    };
    [
        event.status.as_str(),
        &idempotency::fingerprint_of_event(event),
        event.key.as_str(),
        payment,
        &amount,
        currency,
        &event.goods.map_or_else(String::new, |(goods, _)| ten_thousandths(goods)),
        event.refund.as_ref().map_or("", RefundId::as_str),
        &event.sent_seconds.map_or_else(String::new, |seconds| seconds.to_string()),
        &unclear,
        "",
    ]
    .join("\n")
}

/// Payment id, amount in ten-thousandths, and currency of an event. Each is empty where the event has none.
pub(super) fn money(event: &PaymentEvent) -> (&str, String, &'static str) {
    (
        event.payment.as_ref().map_or("", |payment| payment.as_str()),
        event.amount.known().map_or_else(String::new, |amount| amount.ten_thousandths().to_string()),
        event.currency.map_or("", |currency| currency.code()),
    )
}

impl Work for Settles {
    type Key = SaleId;
    type Item = SettleItem;
    /// A failure is its own: one order that cannot be read keeps no other from its money.
    type Answer = Result<Decision, Failure>;
    const OP: Op = Op::Settle;
    const BATCH_MAX: usize = 64;

    fn slot(sale: &SaleId) -> u16 {
        slot::of_sale(sale)
    }

    fn call(&self, sale: &SaleId, items: &[SettleItem]) -> ScriptCall {
        let keys = SaleKeys(sale);
        let mut call = ScriptCall::of(Self::OP).keys(keys.book()).keys(keys.reviews());
        for SettleItem { hold, once, .. } in items {
            call = call.key(keys.hold(hold.key())).key(keys.order(hold.key())).key(keys.once(once));
        }
        let call = self.terms.for_book(call).number(self.terms.event_ms);
        items.iter().fold(call, |call, item| call.arg(format!("{}\n{}", item.text, if item.waits { "1" } else { "" })))
    }

    fn read(
        &self,
        _sale: &SaleId,
        items: Vec<SettleItem>,
        word: &str,
        mut reply: Reply,
    ) -> Result<Vec<Self::Answer>, Failure> {
        match word {
            "decided" => {}
            "sale_not_found" => return Ok(items.iter().map(|_| Ok(Decision::NoSale)).collect()),
            word => return Err(unknown_word(Op::Settle, word)),
        }
        let now_ms = reply.int()?;
        let read = |item: SettleItem| {
            let (word, text) = (reply.text()?, reply.text()?);
            let (review, reason) = (reply.text()?, reply.text()?);
            let settled = || {
                let order = record::order::order_if_any(&self.ids, &item.hold, now_ms, &text)?;
                let review = record::review::id_and_reason(item.hold.sale(), &review, &reason)?;
                Ok(Settled { order, review })
            };
            if word == "units_gone" {
                return Ok(Ok(Decision::UnitsGone));
            }
            let outcome = match word.as_str() {
                "applied" => settled().map(SettleOutcome::Applied),
                "duplicate" => settled().map(SettleOutcome::Duplicate),
                "ignored" => settled().map(SettleOutcome::Ignored),
                "refund_required" => settled().map(SettleOutcome::RefundRequired),
                "review" => settled().map(SettleOutcome::Review),
                "idempotency_key_reused" => Ok(SettleOutcome::IdempotencyKeyReused),
                word => return Err(unknown_word(Op::Settle, word)),
            };
            Ok(outcome.map(|outcome| Decision::Made(Box::new(outcome))))
        };
        items.into_iter().map(read).collect()
    }
}
