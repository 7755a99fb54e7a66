//! The terms of the service under test, and the words of the model for its enums.

use flashsale::{
    domain::{outcome::ShortageReason, payment::Foreign, sale::SaleDefaults},
    store::ServiceTerms,
};

use super::reference::{HOLD_MAX_MS, HOLD_MS, PAYMENT_MAX_MS, PAYMENT_MS, REVIEW_MS};

pub(super) fn terms() -> ServiceTerms {
    let ms = |ms: i64| u64::try_from(ms).unwrap();
    ServiceTerms {
        sale: SaleDefaults {
            hold_ms: ms(HOLD_MS),
            hold_max_ms: Some(ms(HOLD_MAX_MS)),
            payment_ms: ms(PAYMENT_MS),
            payment_max_ms: ms(PAYMENT_MAX_MS),
            review_ms: ms(REVIEW_MS),
        },
        idempotency_ms: 3_600_000,
        event_ms: 3_600_000,
        refundable_ms: 3_600_000,
        foreign: Foreign::Review,
        retention_ms: 3_600_000,
        events_max: 1_000_000,
    }
}

pub(super) fn reason_word(reason: ShortageReason) -> &'static str {
    match reason {
        ShortageReason::SoldOut => "sold_out",
        ShortageReason::AllHeld => "all_held",
        ShortageReason::NotEnough => "not_enough",
    }
}
