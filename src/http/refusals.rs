//! Why there is no hold, or no longer one: each refusal says what to do and when.

use super::{
    problem::{Code, Problem},
    time::rfc3339,
};
use crate::domain::{ids::ProductId, outcome::Shortage, sale::SaleStatus};

pub(super) fn different_sales() -> Problem {
    Problem::new(Code::ProductsOfDifferentSales, "products of one hold must be of one sale; make a hold for each sale")
}

pub(super) fn above_limit(product: ProductId, max_per_hold: u64) -> Problem {
    Problem::new(Code::QuantityAboveLimit, format!("one hold may have {max_per_hold} units of this product"))
        .with("product_id", product.get())
        .with("max_per_hold", max_per_hold)
}

pub(super) fn insufficient_stock(shortage: &Shortage) -> Problem {
    let detail = match shortage.reason() {
        "sold_out" => "all units are sold",
        "all_held" => "all units are held or wait for a payment; some may come back",
        _ => "there are fewer units than you ask for",
    };
    let problem = Problem::new(Code::InsufficientStock, detail)
        .with("product_id", shortage.product.get())
        .with("available_stock", shortage.available)
        .with("reason", shortage.reason())
        .with("next_release_at", shortage.next_release_ms.map(rfc3339));
    let wait_ms = shortage.next_release_ms.map_or(1_000, |next| next - shortage.now_ms);
    if shortage.coming_back == 0 {
        return problem;
    }
    // A unit is back as soon as its deadline has passed, hence one millisecond later, in whole seconds.
    problem.retry_after(u64::try_from(wait_ms / 1_000 + 1).unwrap_or(1))
}

pub(super) fn sale_not_open(status: SaleStatus, starts_ms: Option<i64>, now_ms: i64) -> Problem {
    let (code, detail) = match status {
        SaleStatus::Ended => (Code::SaleEnded, "the sale has ended; holds and orders that are there go on"),
        SaleStatus::Scheduled => (Code::SaleNotStarted, "the sale has not started yet"),
        SaleStatus::Paused | SaleStatus::Live => {
            (Code::SalePaused, "the sale is paused; holds and orders that are there go on")
        }
    };
    let problem = Problem::new(code, detail);
    match starts_ms {
        Some(starts) if status == SaleStatus::Scheduled => {
            problem.with("starts_at", rfc3339(starts)).retry_after(seconds_until(starts, now_ms))
        }
        Some(starts) => problem.with("starts_at", rfc3339(starts)),
        None => problem,
    }
}

pub(super) fn customer_id_required(product: ProductId) -> Problem {
    Problem::new(Code::CustomerIdRequired, "this product has a limit for each customer: send customer_id")
        .with("product_id", product.get())
}

pub(super) fn customer_limit_reached(product: ProductId, remaining: u64) -> Problem {
    let detail = format!("this customer may have {remaining} more units, with what is held, ordered and bought");
    Problem::new(Code::CustomerLimitReached, detail).with("product_id", product.get()).with("remaining", remaining)
}

pub(super) fn cooling_down(until_ms: i64, now_ms: i64) -> Problem {
    Problem::new(Code::CustomerCoolingDown, "this customer let several holds lapse, and must wait a while")
        .with("retry_at", rfc3339(until_ms))
        .retry_after(seconds_until(until_ms, now_ms))
}

pub(super) fn extension_limit_reached(deadline_ms: i64) -> Problem {
    Problem::new(Code::ExtensionLimitReached, "the hold has the latest deadline that its sale allows")
        .with("expires_at", rfc3339(deadline_ms))
}

/// Whole seconds, never too few.
fn seconds_until(ms: i64, now_ms: i64) -> u64 {
    u64::try_from((ms - now_ms + 999) / 1_000).unwrap_or(1).max(1)
}
