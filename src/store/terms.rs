//! The lengths that the settings of the service give, and the terms of a new sale.

use super::ScriptCall;
use crate::domain::{
    ids::SaleId,
    sale::{OnPaymentFailed, SaleChange, SaleTerms, Window},
    text::Name,
};

/// Defaults for the terms of a sale, and how long Redis remembers things, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct ServiceTerms {
    pub hold_ms: u64,
    pub hold_max_ms: u64,
    pub payment_ms: u64,
    /// From the creation of an order to the latest deadline that a started payment may move it to.
    pub payment_max_ms: u64,
    /// Idempotency keys of holds.
    pub idempotency_ms: u64,
    /// Ids of payment events.
    pub event_ms: u64,
    /// Unpaid orders, after their payment deadline.
    pub retention_ms: u64,
    /// Events that the log of a sale keeps.
    pub events_max: u64,
}

impl ServiceTerms {
    /// Adds the arguments that every script with a book takes first.
    pub(super) fn for_book(&self, call: ScriptCall) -> ScriptCall {
        call.number(self.retention_ms).number(self.events_max)
    }

    /// The terms that a new sale asks for, and the defaults of the service for the rest.
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
