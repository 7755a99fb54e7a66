//! `put_sale`, `change_sale` and `find_sale`: the terms of sales.

use super::{
    Call, Failure, Op, Reply, Store, Terms,
    keys::{SALES, SaleKeys},
    record,
    reply::Fields,
    unknown_word,
};
use crate::domain::{
    ids::SaleId,
    outcome::{ChangeSaleOutcome, FindSaleOutcome, PutSaleOutcome},
    sale::{OnPaymentFailed, Sale, SaleChange, SaleTerms, Window},
    text::Name,
};

/// Sales that are read at the same time.
const CALLS_AT_ONCE: usize = 16;

/// A term as it is stored: field and value.
pub(super) type StoredTerm = (&'static str, String);

impl Store {
    /// # Errors
    /// [`Failure`]; after a timeout the sale may exist.
    pub async fn put_sale(&self, id: &SaleId, wanted: &SaleChange) -> Result<PutSaleOutcome, Failure> {
        self.runner.plain(redis::cmd("SADD").arg(SALES).arg(id.as_str())).await?;
        let call = self.terms.for_book(Call::of(Op::PutSale).keys(SaleKeys(id).book()));
        let call = with_terms(call, stored(&self.terms.of_new_sale(id, wanted)));
        let (word, mut reply) = self.runner.call(call).await?;
        match word.as_str() {
            "created" => Ok(PutSaleOutcome::Created(read_sale(id, &mut reply)?)),
            "already_exists" => Ok(PutSaleOutcome::AlreadyExists),
            word => Err(unknown_word(Op::PutSale, word)),
        }
    }

    /// # Errors
    /// [`Failure`]; after a timeout the terms may be changed. The same call then changes nothing more.
    pub async fn change_sale(&self, id: &SaleId, change: &SaleChange) -> Result<ChangeSaleOutcome, Failure> {
        let call = self.terms.for_book(Call::of(Op::ChangeSale).keys(SaleKeys(id).book()));
        let (word, mut reply) = self.runner.call(with_terms(call, changed(change))).await?;
        match word.as_str() {
            "changed" => Ok(ChangeSaleOutcome::Changed(read_sale(id, &mut reply)?)),
            "sale_not_found" => Ok(ChangeSaleOutcome::SaleNotFound),
            "terms_conflict" => Ok(ChangeSaleOutcome::TermsConflict { field: reply.text()? }),
            word => Err(unknown_word(Op::ChangeSale, word)),
        }
    }

    /// # Errors
    /// [`Failure`].
    pub async fn find_sale(&self, id: &SaleId) -> Result<FindSaleOutcome, Failure> {
        let (word, mut reply) = self.runner.call(Call::of(Op::FindSale).key(SaleKeys(id).sale())).await?;
        match word.as_str() {
            "found" => Ok(FindSaleOutcome::Found(read_sale(id, &mut reply)?)),
            "sale_not_found" => Ok(FindSaleOutcome::SaleNotFound),
            word => Err(unknown_word(Op::FindSale, word)),
        }
    }

    /// Sales by name behind one, at most `limit`, and whether there are more.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn list_sales(&self, after: Option<&SaleId>, limit: usize) -> Result<(Vec<Sale>, bool), Failure> {
        use futures_util::{StreamExt, TryStreamExt, stream};
        let ids = self.sales(None).await?.unwrap_or_default();
        let rest: Vec<SaleId> = ids.into_iter().filter(|id| after.is_none_or(|after| id > after)).collect();
        // One of them may have a name and no terms: it is being made, or is where unmatched events are kept.
        let calls = rest.iter().map(|id| self.find_sale(id));
        let found = stream::iter(calls).buffered(CALLS_AT_ONCE).try_filter_map(async |outcome| {
            Ok(match outcome {
                FindSaleOutcome::Found(sale) => Some(sale),
                FindSaleOutcome::SaleNotFound => None,
            })
        });
        let mut sales: Vec<Sale> = found.take(limit + 1).try_collect().await?;
        let more = sales.len() > limit;
        sales.truncate(limit);
        Ok((sales, more))
    }
}

impl Terms {
    /// What was asked for, and the service's defaults for the rest.
    pub(super) fn of_new_sale(&self, id: &SaleId, wanted: &SaleChange) -> SaleTerms {
        let wanted = wanted.clone();
        let name = wanted.name.or_else(|| Name::parse(id.as_str()));
        let hold_max_ms = wanted.hold_max_ms.unwrap_or_else(|| self.hold_max_ms.max(wanted.hold_ms.unwrap_or(0)));
        let payment_max_ms =
            wanted.payment_max_ms.unwrap_or_else(|| self.payment_max_ms.max(wanted.payment_ms.unwrap_or(0)));
        SaleTerms {
            name: name.expect("the id of a sale is a name"),
            window: Window {
                starts_ms: wanted.starts_ms.flatten(),
                ends_ms: wanted.ends_ms.flatten(),
                paused: wanted.paused.unwrap_or(false),
            },
            hold_ms: wanted.hold_ms.unwrap_or_else(|| self.hold_ms.min(hold_max_ms)),
            hold_max_ms,
            payment_ms: wanted.payment_ms.unwrap_or_else(|| self.payment_ms.min(payment_max_ms)),
            payment_max_ms,
            on_payment_failed: wanted.on_payment_failed.unwrap_or(OnPaymentFailed::Release),
            restock_refunds: wanted.restock_refunds.unwrap_or(true),
            cooldown_holds: wanted.cooldown_holds.unwrap_or(0),
            cooldown_ms: wanted.cooldown_ms.unwrap_or(self.hold_ms),
        }
    }
}

pub(super) fn with_terms(call: Call, terms: Vec<StoredTerm>) -> Call {
    terms.into_iter().fold(call, |call, (field, value)| call.arg(field).arg(value))
}

pub(super) fn stored(terms: &SaleTerms) -> Vec<StoredTerm> {
    changed(&SaleChange {
        name: Some(terms.name.clone()),
        starts_ms: Some(terms.window.starts_ms),
        ends_ms: Some(terms.window.ends_ms),
        paused: Some(terms.window.paused),
        hold_ms: Some(terms.hold_ms),
        hold_max_ms: Some(terms.hold_max_ms),
        payment_ms: Some(terms.payment_ms),
        payment_max_ms: Some(terms.payment_max_ms),
        on_payment_failed: Some(terms.on_payment_failed),
        restock_refunds: Some(terms.restock_refunds),
        cooldown_holds: Some(terms.cooldown_holds),
        cooldown_ms: Some(terms.cooldown_ms),
    })
}

fn changed(change: &SaleChange) -> Vec<StoredTerm> {
    let instant = |ms: Option<i64>| ms.map_or_else(String::new, |ms| ms.to_string());
    let flag = |is_set: bool| u8::from(is_set).to_string();
    let number = |number: u64| number.to_string();
    let terms = [
        ("name", change.name.as_ref().map(|name| name.as_str().to_owned())),
        ("starts", change.starts_ms.map(instant)),
        ("ends", change.ends_ms.map(instant)),
        ("paused", change.paused.map(flag)),
        ("hold_ms", change.hold_ms.map(number)),
        ("hold_max_ms", change.hold_max_ms.map(number)),
        ("payment_ms", change.payment_ms.map(number)),
        ("payment_max_ms", change.payment_max_ms.map(number)),
        ("on_payment_failed", change.on_payment_failed.map(|policy| policy.as_str().to_owned())),
        ("restock_refunds", change.restock_refunds.map(flag)),
        ("cooldown_holds", change.cooldown_holds.map(number)),
        ("cooldown_ms", change.cooldown_ms.map(number)),
    ];
    terms.into_iter().filter_map(|(field, value)| Some((field, value?))).collect()
}

fn read_sale(id: &SaleId, reply: &mut Reply) -> Result<Sale, Failure> {
    sale_of(id, &reply.list()?.fields()?)
}

/// A sale from its stored terms.
pub(super) fn sale_of(id: &SaleId, fields: &Fields) -> Result<Sale, Failure> {
    let count = |name: &str| u64::try_from(fields.int(name)?).map_err(|_| Failure::unreadable("a term of a sale"));
    let unreadable = || Failure::unreadable("a term of a sale");
    // What an older version of the service did not know yet has its default.
    let or = |name: &str, instead: &'static str| fields.get(name).unwrap_or(instead).to_owned();
    Ok(Sale {
        id: id.clone(),
        terms: SaleTerms {
            name: Name::parse(fields.get("name").unwrap_or(id.as_str())).ok_or_else(unreadable)?,
            window: record::window(&or("starts", ""), &or("ends", ""), &or("paused", "0"))?,
            hold_ms: count("hold_ms")?,
            hold_max_ms: count("hold_max_ms")?,
            payment_ms: count("payment_ms")?,
            payment_max_ms: count("payment_max_ms").or_else(|_| count("payment_ms"))?,
            on_payment_failed: OnPaymentFailed::parse(fields.text("on_payment_failed")?).ok_or_else(unreadable)?,
            restock_refunds: fields.text("restock_refunds")? != "0",
            cooldown_holds: count("cooldown_holds").unwrap_or(0),
            cooldown_ms: count("cooldown_ms").unwrap_or(0),
        },
        currency: fields.get("currency").map(record::currency).transpose()?,
    })
}
