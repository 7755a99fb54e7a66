//! The refusals of all resources. Each says what to do, and when where that is known.

use super::problem::{Code, Problem};
use crate::{
    domain::{
        ids::{OrderId, ProductId, SaleId},
        limits::CustomerLimit,
        money::LINE_TOTAL_MAX,
        order::{Order, OrderStatus},
        outcome::{Shortage, ShortageReason},
        review::{Review, ReviewAction},
        sale::SaleStatus,
        sku::Sku,
    },
    wire::time::rfc3339,
};

pub(super) fn price_too_large() -> String {
    format!("price times max_per_hold must be at most {}", LINE_TOTAL_MAX / 10_000)
}

pub(super) fn sale_not_found() -> Problem {
    Problem::new(Code::SaleNotFound, "there is no such sale")
}

pub(super) fn product_not_found() -> Problem {
    Problem::new(Code::ProductNotFound, "there is no such product")
}

pub(super) fn product_has_sku(own: &Sku) -> Problem {
    let detail = "the product has another SKU, which it keeps for ever; a SKU is given once";
    Problem::new(Code::ProductHasSku, detail).with("sku", own.as_str())
}

pub(super) fn product_has_orders() -> Problem {
    Problem::new(Code::ProductHasOrders, "an order of this product was made: archive it, with {\"archived\": true}")
}

pub(super) fn product_has_holds() -> Problem {
    let detail = "units of this product are held: hide it, and try again when they came back";
    Problem::new(Code::ProductHasHolds, detail)
}

pub(super) fn sale_is_spread(sale: &SaleId) -> Problem {
    let detail = format!(
        "the sale {sale} is spread over several slots, and products neither leave nor enter it: make another product"
    );
    Problem::new(Code::SaleIsSpread, detail).with("sale", sale.as_str())
}

pub(super) fn hold_not_found() -> Problem {
    Problem::new(Code::HoldNotFound, "no hold with this id was ever made here")
}

pub(super) fn hold_expired() -> Problem {
    Problem::new(Code::HoldExpired, "the hold has lapsed or was released; its units are available again")
}

pub(super) fn hold_converted(order: &OrderId) -> Problem {
    Problem::new(Code::HoldConverted, "the hold is an order already; cancel the order instead")
        .with("order_id", order.as_str())
}

pub(super) fn order_not_found() -> Problem {
    Problem::new(Code::OrderNotFound, "there is no order with this id")
}

pub(super) fn order_not_cancellable(order: &Order) -> Problem {
    let why = match order.status {
        OrderStatus::RefundRequired => "it is over, and its money must go back: refund what did not go back yet",
        OrderStatus::Refunded => "it is over, and all its money went back: there is nothing to refund",
        OrderStatus::InReview => {
            "a payment came that does not fit, and a person decides about it: resolve the review with refund"
        }
        OrderStatus::Paid
            if order.payment.is_none() && order.total.is_some_and(|(total, _)| total.ten_thousandths() == 0) =>
        {
            "it costs nothing, and money came all the same: refund that first, and then cancel the order"
        }
        OrderStatus::Paid => "its money was captured: refund it instead",
        OrderStatus::Pending | OrderStatus::Expired | OrderStatus::Cancelled => "it changed just now: try again",
    };
    let status = order.status.as_str();
    Problem::new(Code::OrderNotCancellable, format!("the order is {status}: {why}")).with("order_status", status)
}

pub(super) fn order_not_pending(order: &Order) -> Problem {
    let status = order.status.as_str();
    Problem::new(Code::OrderNotPending, format!("the order is {status}: its payment deadline cannot move any more"))
        .with("order_status", status)
}

pub(super) fn review_not_found() -> Problem {
    Problem::new(Code::ReviewNotFound, "there is no review with this id")
}

pub(super) fn payment_not_found() -> Problem {
    Problem::new(Code::PaymentNotFound, "no order and no review is known by this payment")
}

pub(super) fn review_resolved(review: &Review) -> Problem {
    let by = review.action.map_or("a later event", ReviewAction::as_str);
    let detail = format!("the review was resolved before, by {by}; what was decided and noted then stays");
    let problem = Problem::new(Code::ReviewResolved, detail).with("action", review.action.map(ReviewAction::as_str));
    let problem = problem.with("note", review.note.as_deref()).with("resolved_at", review.resolved_ms.map(rfc3339));
    match &review.actor {
        Some(actor) => problem.with("actor", actor.as_str()),
        None => problem,
    }
}

pub(super) fn payment_not_acceptable() -> Problem {
    let detail = "this money cannot pay the order: other money pays it, it went back, or the order has no items; refund it, or dismiss the review";
    Problem::new(Code::PaymentNotAcceptable, detail)
}

pub(super) fn units_gone() -> Problem {
    let detail =
        "the units of the order came back and are somebody else's now; refund the money, or restock and accept it then";
    Problem::new(Code::UnitsGone, detail)
}

pub(super) fn key_reused() -> Problem {
    Problem::new(Code::IdempotencyKeyReused, "this idempotency key came before with another request")
}

pub(super) fn different_sales() -> Problem {
    Problem::new(Code::ProductsOfDifferentSales, "products of one hold must be of one sale; make a hold for each sale")
}

pub(super) fn above_limit(product: ProductId, max_per_hold: u64) -> Problem {
    Problem::new(Code::QuantityAboveLimit, format!("one hold may have {max_per_hold} units of this product"))
        .with("product_id", product.get())
        .with("max_per_hold", max_per_hold)
}

pub(super) fn insufficient_stock(shortage: &Shortage) -> Problem {
    let (reason, detail) = match shortage.reason() {
        ShortageReason::SoldOut => ("sold_out", "all units are sold"),
        ShortageReason::AllHeld => ("all_held", "all units are held or wait for a payment; some may come back"),
        ShortageReason::NotEnough => ("not_enough", "there are fewer units than you ask for"),
    };
    let problem = Problem::new(Code::InsufficientStock, detail)
        .with("product_id", shortage.product.get())
        .with("available_stock", shortage.available)
        .with("reason", reason)
        .with("next_release_at", shortage.next_release_ms.map(rfc3339));
    let wait_ms = shortage.next_release_ms.map_or(1_000, |next| next - shortage.now_ms);
    if shortage.coming_back == 0 {
        return problem;
    }
    // A unit comes back one millisecond after its deadline. Rounded up to whole seconds.
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

pub(super) fn customer_id_required(limit: &CustomerLimit) -> Problem {
    let detail = format!("{} has a limit for each customer: send customer_id", limited(limit));
    with_limit(Problem::new(Code::CustomerIdRequired, detail), limit)
}

pub(super) fn customer_limit_reached(limit: &CustomerLimit, most: u64, remaining: u64) -> Problem {
    let detail = format!(
        "a customer may have {most} units of {}, with what is held, ordered and bought; this one may have {remaining} more",
        limited(limit)
    );
    with_limit(Problem::new(Code::CustomerLimitReached, detail), limit).with("most", most).with("remaining", remaining)
}

fn limited(limit: &CustomerLimit) -> &'static str {
    match limit {
        CustomerLimit::Product(_) => "this product",
        CustomerLimit::Group(_) => "this group of products",
        CustomerLimit::Sale => "this sale",
    }
}

fn with_limit(problem: Problem, limit: &CustomerLimit) -> Problem {
    let problem = problem.with("limit", limit.as_str());
    match limit {
        CustomerLimit::Product(product) => problem.with("product_id", product.get()),
        CustomerLimit::Group(group) => problem.with("group", group.as_str()),
        CustomerLimit::Sale => problem,
    }
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
