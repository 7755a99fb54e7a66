//! Sales.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::time::rfc3339;
use crate::domain::{ids::Shards, quantity::Quantity, sale::Sale};

/// A sale and its terms.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SaleBody<'a> {
    pub id: Cow<'a, str>,
    pub name: Cow<'a, str>,
    pub starts_at: Option<String>,
    pub ends_at: Option<String>,
    pub paused: bool,
    pub hold_seconds: u64,
    pub hold_seconds_max: u64,
    pub payment_seconds: u64,
    pub payment_seconds_max: u64,
    pub review_seconds: u64,
    pub payment_amount: Cow<'a, str>,
    pub on_payment_failed: Cow<'a, str>,
    pub on_payment_ended: Cow<'a, str>,
    pub restock_refunds: bool,
    pub cooldown_holds: u64,
    pub cooldown_seconds: u64,
    pub cooldown_counts_releases: bool,
    pub currency: Option<Cow<'a, str>>,
    pub max_per_customer: Option<u64>,
    pub max_per_group: Option<u64>,
    pub visibility: Cow<'a, str>,
    /// Over how many slots it is spread. Only where they are several.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub shards: u64,
    /// What a person should know who changed it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
}

impl<'a> SaleBody<'a> {
    pub fn of(sale: &'a Sale) -> Self {
        let terms = &sale.terms;
        Self {
            id: sale.id.as_str().into(),
            name: terms.name.as_str().into(),
            starts_at: terms.window.starts_ms.map(rfc3339),
            ends_at: terms.window.ends_ms.map(rfc3339),
            paused: terms.window.paused,
            hold_seconds: terms.hold_ms / 1_000,
            hold_seconds_max: terms.longest_hold_ms() / 1_000,
            payment_seconds: terms.payment_ms / 1_000,
            payment_seconds_max: terms.payment_max_ms / 1_000,
            review_seconds: terms.review_ms / 1_000,
            payment_amount: terms.payment_amount.as_str().into(),
            on_payment_ended: terms.on_payment_ended.as_str().into(),
            on_payment_failed: terms.on_payment_failed.as_str().into(),
            restock_refunds: terms.restock_refunds,
            cooldown_holds: terms.cooldown_holds,
            cooldown_seconds: terms.cooldown_ms / 1_000,
            cooldown_counts_releases: terms.cooldown_counts_releases,
            currency: sale.currency.map(|currency| currency.code().into()),
            max_per_customer: terms.max_per_customer.map(Quantity::get),
            max_per_group: terms.max_per_group.map(Quantity::get),
            visibility: terms.visibility.as_str().into(),
            shards: sale.shards.get(),
            warnings: Vec::new(),
        }
    }
}

fn one() -> u64 {
    Shards::ONE.get()
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
fn is_one(shards: &u64) -> bool {
    *shards == one()
}
