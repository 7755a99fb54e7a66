//! The lengths of time that the settings of the service give.

use super::{ScriptCall, record};
use crate::domain::{act::Act, payment::Foreign, sale::SaleDefaults};

/// Defaults for the terms of a sale, and how long Redis remembers things, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct ServiceTerms {
    pub sale: SaleDefaults,
    /// Idempotency keys of holds.
    pub idempotency_ms: u64,
    /// Ids of payment events.
    pub event_ms: u64,
    /// Which order a payment is about: as long as money of it can come back.
    pub refundable_ms: u64,
    /// What to do with money that names nothing of ours.
    pub foreign: Foreign,
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

    /// Adds the same, with who acts and why for the events that the script writes.
    pub(super) fn for_act(&self, call: ScriptCall, act: &Act) -> ScriptCall {
        call.number(self.retention_ms).arg(format!("{}{}", self.events_max, record::event::act_lines(act)))
    }
}
