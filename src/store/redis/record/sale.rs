//! The terms of a sale, as `lua/lib/sales.lua` stores them: field and value.

use super::{
    Failure, Fields, Reply, currency, instant,
    rules::{self, Rules},
    some,
};
use crate::domain::{
    act::Change,
    ids::{SaleId, Shards},
    quantity::Quantity,
    sale::{OnPaymentEnded, OnPaymentFailed, PaymentAmount, Sale, SaleChange, SaleTerms, Window},
    text::Name,
};

/// The field and the value of a term.
pub type StoredTerm = (&'static str, String);

/// All terms of a new sale.
pub fn stored_terms(terms: &SaleTerms) -> Vec<StoredTerm> {
    stored_change(&SaleChange {
        name: Some(terms.name.clone()),
        starts_ms: Some(terms.window.starts_ms),
        ends_ms: Some(terms.window.ends_ms),
        paused: Some(terms.window.paused),
        hold_ms: Some(terms.hold_ms),
        hold_max_ms: Some(terms.hold_max_ms),
        payment_ms: Some(terms.payment_ms),
        payment_max_ms: Some(terms.payment_max_ms),
        review_ms: Some(terms.review_ms),
        payment_amount: Some(terms.payment_amount),
        on_payment_failed: Some(terms.on_payment_failed),
        on_payment_ended: Some(terms.on_payment_ended),
        restock_refunds: Some(terms.restock_refunds),
        cooldown_holds: Some(terms.cooldown_holds),
        cooldown_ms: Some(terms.cooldown_ms),
        cooldown_counts_releases: Some(terms.cooldown_counts_releases),
        max_per_customer: Some(terms.max_per_customer),
        max_per_group: Some(terms.max_per_group),
        visibility: Some(terms.visibility),
    })
}

/// The terms that a change sets. An empty value takes a term away.
pub fn stored_change(change: &SaleChange) -> Vec<StoredTerm> {
    let instant = |ms: Option<i64>| ms.map_or_else(String::new, |ms| ms.to_string());
    let flag = |is_set: bool| u8::from(is_set).to_string();
    let number = |number: u64| number.to_string();
    let limit = |most: Option<Quantity>| rules::limit(most.map(Quantity::get));
    let number_or_none = |bound: Option<u64>| bound.map_or_else(String::new, number);
    let terms = [
        ("name", change.name.as_ref().map(|name| name.as_str().to_owned())),
        ("starts", change.starts_ms.map(instant)),
        ("ends", change.ends_ms.map(instant)),
        ("paused", change.paused.map(flag)),
        ("hold_ms", change.hold_ms.map(number)),
        ("hold_max_ms", change.hold_max_ms.map(number_or_none)),
        ("payment_ms", change.payment_ms.map(number)),
        ("payment_max_ms", change.payment_max_ms.map(number)),
        ("review_ms", change.review_ms.map(number)),
        ("payment_amount", change.payment_amount.map(|policy| policy.as_str().to_owned())),
        ("on_payment_ended", change.on_payment_ended.map(|policy| policy.as_str().to_owned())),
        ("on_payment_failed", change.on_payment_failed.map(|policy| policy.as_str().to_owned())),
        ("restock_refunds", change.restock_refunds.map(flag)),
        ("cooldown_holds", change.cooldown_holds.map(|holds| rules::limit(Some(holds).filter(|holds| *holds > 0)))),
        ("cooldown_ms", change.cooldown_ms.map(number)),
        ("cooldown_counts_releases", change.cooldown_counts_releases.map(flag)),
        ("max_per_customer", change.max_per_customer.map(limit)),
        ("max_per_group", change.max_per_group.map(limit)),
        ("visibility", change.visibility.map(rules::visibility)),
    ];
    terms.into_iter().filter_map(|(field, value)| Some((field, value?))).collect()
}

/// The sale of a reply that ends with its terms.
pub fn read(id: &SaleId, reply: &mut Reply) -> Result<Sale, Failure> {
    from_fields(id, &reply.list()?.fields()?)
}

/// The sale of a reply that ends with its terms, and with those before a change: none where nothing changed.
pub fn changed(id: &SaleId, reply: &mut Reply) -> Result<Change<Sale>, Failure> {
    let (after, before) = (read(id, reply)?, reply.list()?.fields()?);
    let before = (!before.is_empty()).then(|| from_fields(id, &before)).transpose()?;
    Ok(Change { after, before })
}

/// A sale from its stored terms.
pub fn from_fields(id: &SaleId, fields: &Fields) -> Result<Sale, Failure> {
    let count = |name: &str| u64::try_from(fields.int(name)?).map_err(|_| Failure::unreadable("a term of a sale"));
    let unreadable = || Failure::unreadable("a term of a sale");
    let rules = Rules::of(fields);
    let limit = |name: &str| {
        let most = rules.count(name)?;
        most.map(|most| Quantity::new(most).ok_or_else(unreadable)).transpose()
    };
    // A term that an older version of the service did not know has its default.
    let or = |name: &str, instead: &'static str| fields.get(name).unwrap_or(instead).to_owned();
    Ok(Sale {
        id: id.clone(),
        terms: SaleTerms {
            name: Name::parse(fields.get("name").unwrap_or(id.name())).ok_or_else(unreadable)?,
            window: window(&or("starts", ""), &or("ends", ""), &or("paused", "0"))?,
            hold_ms: count("hold_ms")?,
            hold_max_ms: some(&or("hold_max_ms", "")).map(|_| count("hold_max_ms")).transpose()?,
            payment_ms: count("payment_ms")?,
            payment_max_ms: count("payment_max_ms").or_else(|_| count("payment_ms"))?,
            review_ms: count("review_ms")?,
            payment_amount: PaymentAmount::parse(fields.text("payment_amount")?).ok_or_else(unreadable)?,
            on_payment_ended: OnPaymentEnded::parse(fields.text("on_payment_ended")?).ok_or_else(unreadable)?,
            on_payment_failed: OnPaymentFailed::parse(fields.text("on_payment_failed")?).ok_or_else(unreadable)?,
            restock_refunds: fields.text("restock_refunds")? != "0",
            cooldown_holds: rules.count("cooldown_holds")?.unwrap_or(0),
            cooldown_ms: count("cooldown_ms").unwrap_or(0),
            cooldown_counts_releases: or("cooldown_counts_releases", "0") != "0",
            max_per_customer: limit("max_per_customer")?,
            max_per_group: limit("max_per_group")?,
            visibility: rules.visibility()?,
        },
        currency: fields.get("currency").map(currency).transpose()?,
        shards: shards(fields.get("shards"))?,
    })
}

/// The field of a sale that is spread.
pub fn stored_shards(shards: Shards) -> Option<StoredTerm> {
    shards.are_several().then(|| ("shards", shards.get().to_string()))
}

pub fn shards(stored: Option<&str>) -> Result<Shards, Failure> {
    let read = |text: &str| text.parse().ok().and_then(Shards::new);
    stored.map_or(Some(Shards::ONE), read).ok_or_else(|| Failure::unreadable("a number of shards"))
}

/// When a sale takes holds. Empty: no start, no end. A flag that is neither yes nor no pauses the sale.
pub fn window(starts: &str, ends: &str, paused: &str) -> Result<Window, Failure> {
    Ok(Window {
        starts_ms: some(starts).map(instant).transpose()?,
        ends_ms: some(ends).map(instant).transpose()?,
        paused: !matches!(paused, "" | "0"),
    })
}
