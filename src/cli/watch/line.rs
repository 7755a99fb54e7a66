//! A look as one line, for logs; and the texts that the table has too.

use crate::{
    cli::table::counted,
    tools::{
        text::printable,
        watch::{
            rates::FamilyView,
            view::{ServiceView, StockView, View},
        },
    },
    wire::{product::ProductBody, time},
};

/// `09:00:07Z drop-1 live: held 812/s, refused 4,310/s (sold_out 4,100), …`
pub(super) fn text(view: &View) -> String {
    let refused = by_reason(&view.holds, "refused");
    let reasons = if refused.is_empty() { String::new() } else { format!(" ({})", refused.join(", ")) };
    let mut parts = vec![
        format!(
            "held {}, refused {}{reasons}, failed {}",
            per_second(view.holds.of_outcome("held")),
            per_second(view.holds.of_outcome("refused")),
            per_second(view.holds.of_outcome("failed")),
        ),
        format!(
            "orders {}, payment events {}",
            per_second(view.orders.of_outcome("created")),
            per_second(view.payment_events.per_second)
        ),
    ];
    if let Some(stock) = &view.stock {
        let Units { available, held, pending, sold, .. } = Units::of(&stock.products);
        let of_some =
            if stock.has_more_products { format!("of the first {}: ", products(stock)) } else { String::new() };
        parts.push(format!("{of_some}available {available}, held {held}, pending {pending}, sold {sold}"));
        parts.push(reviews(stock));
    }
    parts.push(redis(view));
    parts.extend(stale(view));
    parts.extend(view.services.iter().filter_map(silence));
    format!("{} {}: {}{}", clock(view), state(view), whose_rates(view), parts.join("; "))
}

/// Who watches one sale sees the rates of all: a service counts no sale by itself.
pub(super) fn whose_rates(view: &View) -> &'static str {
    if view.sale.is_some() { "all sales " } else { "" }
}

/// `2,000 products`: those that were read.
pub(super) fn products(stock: &StockView) -> String {
    counted(stock.products.len() as u64, "product")
}

/// The time of Redis, `09:00:07Z`.
pub(super) fn clock(view: &View) -> String {
    let time = view.at.as_deref().and_then(|at| at.get(11..19));
    time.map_or_else(|| "--:--:--".to_owned(), |time| format!("{time}Z"))
}

/// `drop-1 opens in 0:42`, `3 sales, 2 live, 1 paused`
pub(super) fn state(view: &View) -> String {
    let Some(stock) = &view.stock else { return "nothing read yet".to_owned() };
    let Some(now_ms) = view.at.as_deref().and_then(time::parse) else { return "state unknown".to_owned() };
    if let [sale] = &stock.sales[..] {
        return printable(&format!("{} {}", sale.id, sale.state(now_ms)));
    }
    let words: Vec<&str> = stock.sales.iter().map(|sale| sale.status(now_ms).as_str()).collect();
    let count = |word: &str| words.iter().filter(|other| **other == word).count();
    let counts = ["live", "scheduled", "paused", "ended"].into_iter().map(|word| (count(word), word));
    let some = counts.filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}"));
    let more = if stock.has_more_products { " or more" } else { "" };
    [counted(words.len() as u64, "sale") + more].into_iter().chain(some).collect::<Vec<_>>().join(", ")
}

/// `sold_out 4,100/s`: each reason of an outcome.
pub(super) fn by_reason(family: &FamilyView, outcome: &str) -> Vec<String> {
    let of_outcome = family.by_outcome.iter().filter(|rate| rate.outcome == outcome);
    of_outcome.map(|rate| format!("{} {}", printable(&rate.reason), per_second(Some(rate.per_second)))).collect()
}

/// `4,310/s`, `0.5/s`; a dash while it is not known.
pub(super) fn per_second(rate: Option<f64>) -> String {
    match rate {
        None => "-".to_owned(),
        Some(0.0) => "0/s".to_owned(),
        Some(rate) if rate < 10.0 => format!("{rate:.1}/s"),
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "rates are small and positive")]
        Some(rate) => format!("{}/s", indicatif::HumanCount(rate.round() as u64)),
    }
}

pub(super) fn redis(view: &View) -> String {
    match view.redis_ms {
        Some(ms) => format!("redis {ms:.1} ms"),
        None if view.processes == 0 => "redis not known".to_owned(),
        None => "redis does not answer".to_owned(),
    }
}

pub(super) fn reviews(stock: &StockView) -> String {
    let more = if stock.reviews.has_more { "+" } else { "" };
    let noun = if stock.reviews.open == 1 { "review" } else { "reviews" };
    format!("{}{more} open {noun}", stock.reviews.open)
}

/// That stock and reviews are old, if they are.
pub(super) fn stale(view: &View) -> Option<String> {
    let seconds = view.stock_silent_seconds.filter(|_| view.stock.is_some())?;
    Some(format!("stock and reviews could not be read for {seconds} s"))
}

/// `1 process`, `2 processes`
pub(super) fn processes(view: &View) -> String {
    format!("{} {}", view.processes, if view.processes == 1 { "process" } else { "processes" })
}

/// `http://…: no answer since 12 s`, if it is so.
pub(super) fn silence(service: &ServiceView) -> Option<String> {
    let seconds = service.silent_seconds?;
    let why = service.why.as_deref().unwrap_or_default();
    Some(printable(&format!("{}: no answer since {seconds} s ({why})", service.url)))
}

/// Units by where they are.
#[derive(Clone, Copy, Default)]
pub(super) struct Units {
    pub(super) total: u64,
    pub(super) available: u64,
    pub(super) held: u64,
    pub(super) pending: u64,
    pub(super) sold: u64,
}

impl Units {
    pub(super) fn of<'a>(products: impl IntoIterator<Item = &'a ProductBody<'static>>) -> Self {
        let add = |sum: Self, product: &ProductBody<'_>| Self {
            total: sum.total.saturating_add(product.total_stock),
            available: sum.available.saturating_add(product.available_stock),
            held: sum.held.saturating_add(product.held_stock),
            pending: sum.pending.saturating_add(product.pending_stock),
            sold: sum.sold.saturating_add(product.sold_stock),
        };
        products.into_iter().fold(Self::default(), add)
    }
}
