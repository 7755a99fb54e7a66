//! Figures: what a process counts of its decisions. Each has a family, an outcome and a reason, from closed sets.

/// What is counted together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    Holds,
    Orders,
    PaymentEvents,
}

/// Declares the figures, one line for each: family, outcome, and reason where the outcome has several.
macro_rules! figures {
    ($($figure:ident $family:ident $outcome:literal $reason:literal,)+) => {
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Figure {
            $($figure,)+
        }

        impl Figure {
            pub const COUNT: usize = Self::ALL.len();
            pub const ALL: [Self; [$($outcome,)+].len()] = [$(Self::$figure,)+];

            /// Family, outcome, and reason or ''.
            pub fn labels(self) -> (Family, &'static str, &'static str) {
                match self {
                    $(Self::$figure => (Family::$family, $outcome, $reason),)+
                }
            }
        }
    };
}

figures! {
    HoldHeld Holds "held" "",
    HoldReplayed Holds "replayed" "",
    HoldSoldOut Holds "refused" "sold_out",
    HoldAllHeld Holds "refused" "all_held",
    HoldNotEnough Holds "refused" "not_enough",
    HoldSaleNotStarted Holds "refused" "sale_not_started",
    HoldSalePaused Holds "refused" "sale_paused",
    HoldSaleEnded Holds "refused" "sale_ended",
    HoldQuantityAboveLimit Holds "refused" "quantity_above_limit",
    HoldCustomerIdRequired Holds "refused" "customer_id_required",
    HoldCustomerLimitReached Holds "refused" "customer_limit_reached",
    HoldCustomerCoolingDown Holds "refused" "customer_cooling_down",
    HoldProductNotFound Holds "refused" "product_not_found",
    HoldProductsOfDifferentSales Holds "refused" "products_of_different_sales",
    HoldIdempotencyKeyReused Holds "refused" "idempotency_key_reused",
    HoldOverloaded Holds "failed" "overloaded",
    HoldStoreReplaced Holds "failed" "store_replaced",
    HoldStoreFull Holds "failed" "store_full",
    HoldStoreTimeout Holds "failed" "store_timeout",
    HoldStoreUnavailable Holds "failed" "store_unavailable",
    OrderCreated Orders "created" "",
    OrderExists Orders "exists" "",
    OrderHoldExpired Orders "refused" "hold_expired",
    OrderOverloaded Orders "failed" "overloaded",
    OrderStoreReplaced Orders "failed" "store_replaced",
    OrderStoreFull Orders "failed" "store_full",
    OrderStoreTimeout Orders "failed" "store_timeout",
    OrderStoreUnavailable Orders "failed" "store_unavailable",
    EventApplied PaymentEvents "applied" "",
    EventDuplicate PaymentEvents "duplicate" "",
    EventIgnored PaymentEvents "ignored" "",
    EventRefundRequired PaymentEvents "refund_required" "",
    EventReview PaymentEvents "review" "",
    EventUnmatched PaymentEvents "unmatched" "",
    EventTargetsDiffer PaymentEvents "refused" "targets_differ",
    EventIdempotencyKeyReused PaymentEvents "refused" "idempotency_key_reused",
    EventOverloaded PaymentEvents "failed" "overloaded",
    EventStoreReplaced PaymentEvents "failed" "store_replaced",
    EventStoreFull PaymentEvents "failed" "store_full",
    EventStoreTimeout PaymentEvents "failed" "store_timeout",
    EventStoreUnavailable PaymentEvents "failed" "store_unavailable",
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn no_two_figures_have_the_same_labels() {
        let mut seen = HashSet::new();
        for figure in Figure::ALL {
            let (family, outcome, reason) = figure.labels();
            assert!(seen.insert((family as u8, outcome, reason)), "{figure:?}");
        }
    }
}
