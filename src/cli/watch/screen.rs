//! The live table: drawn in place on a screen of its own, as wide and as high as the terminal is at that moment.

use std::io::{self, Write};

use console::{Term, measure_text_width, truncate_str};

use super::line::{self, Units, by_reason, per_second};
use crate::{
    cli::table::{Column, Table, cell, counted, name_of},
    tools::watch::{
        Watch,
        rates::FamilyView,
        view::{StockView, View},
    },
    wire::product::ProductBody,
};

/// Switches to the other screen of the terminal, without a cursor.
const OPEN: &str = "\u{1b}[?1049h\u{1b}[?25l";
const CLOSE: &str = "\u{1b}[?25h\u{1b}[?1049l";
const HOME: &str = "\u{1b}[H";
const CLEAR_LINE: &str = "\u{1b}[K";
const CLEAR_REST: &str = "\u{1b}[J";
/// The size of a terminal that does not say its own.
const SIZE: (u16, u16) = (24, 80);
const NAME_COLUMNS_MIN: usize = 8;
const NAME_COLUMNS_MAX: usize = 24;
/// What the other columns of the table usually take.
const NUMBERS_COLUMNS: usize = 50;
const BAR_COLUMNS_MIN: usize = 8;
const BAR_COLUMNS_MAX: usize = 40;

pub(super) struct Screen {
    terminal: Term,
    top: Option<u64>,
    /// What was drawn last, to leave it behind.
    last: Vec<String>,
    is_open: bool,
}

impl Screen {
    pub(super) fn open(top: Option<u64>) -> Self {
        Self { terminal: Term::stdout(), top, last: Vec::new(), is_open: false }
    }

    pub(super) fn draw(&mut self, view: &View, watch: &Watch) -> io::Result<()> {
        let (height, width) = self.terminal.size_checked().filter(|(_, columns)| *columns > 0).unwrap_or(SIZE);
        self.last = frame(view, |product| watch.activity_of(product), self.top, width.into(), height.into());
        let mut text = String::from(if self.is_open { HOME } else { OPEN });
        if !self.is_open {
            text.push_str(HOME);
        }
        self.is_open = true;
        let lines: Vec<String> = self.last.iter().map(|line| format!("{line}{CLEAR_LINE}")).collect();
        text.push_str(&lines.join("\n"));
        text.push_str(CLEAR_REST);
        // In one piece, so that nothing flickers.
        let mut stdout = io::stdout();
        stdout.write_all(text.as_bytes())?;
        stdout.flush()
    }

    pub(super) fn close(&mut self) {
        if self.is_open {
            self.is_open = false;
            let _terminal_gone = writeln!(io::stdout(), "{CLOSE}{}", self.last.join("\n"));
        }
    }
}

/// A panic too gives the terminal back.
impl Drop for Screen {
    fn drop(&mut self) {
        self.close();
    }
}

/// The lines of a screen, none wider and not more than it has.
fn frame(view: &View, activity: impl Fn(u64) -> f64, top: Option<u64>, width: usize, height: usize) -> Vec<String> {
    let mut lines = vec![beside(&line::state(view), &line::clock(view), width)];
    lines.extend(view.services.iter().filter_map(line::silence));
    lines.extend(line::stale(view));
    let cut = view.stock.as_ref().filter(|stock| stock.has_more_products);
    lines.extend(cut.map(|stock| format!("only the first {} are shown and summed", line::products(stock))));
    lines.push(line::whose_rates(view).trim_end().to_owned());
    lines.push(family(
        "holds",
        &view.holds,
        &[("held", true), ("replayed", false), ("refused", true), ("failed", true)],
    ));
    for outcome in ["refused", "failed"] {
        let reasons = by_reason(&view.holds, outcome);
        lines.extend((!reasons.is_empty()).then(|| format!("  {outcome:<10}{}", reasons.join("   "))));
    }
    lines.push(family(
        "orders",
        &view.orders,
        &[("created", true), ("exists", false), ("refused", false), ("failed", false)],
    ));
    let events = ["applied", "duplicate", "review", "refund_required", "unmatched", "ignored", "refused", "failed"];
    lines.push(family("payments", &view.payment_events, &events.map(|outcome| (outcome, outcome == "applied"))));
    let reviews = view.stock.as_ref().map(line::reviews);
    let parts: Vec<String> =
        [Some(line::redis(view)), reviews, Some(line::processes(view))].into_iter().flatten().collect();
    lines.push(parts.join("   "));
    if let Some(stock) = &view.stock {
        lines.push(String::new());
        // The header of the table, the sum of the others, and the legend.
        let room = height.saturating_sub(lines.len() + 3);
        let most = top.map_or(room, |top| room.min(usize::try_from(top).unwrap_or(room))).max(1);
        lines.extend(table(stock, activity, most, width));
    }
    lines.truncate(height);
    lines.iter().map(|line| truncate_str(line, width, "…").into_owned()).collect()
}

/// Two texts at both ends of a line.
fn beside(left: &str, right: &str, width: usize) -> String {
    let room = width.saturating_sub(measure_text_width(right) + 1);
    let left = truncate_str(left, room, "…");
    let gap = width.saturating_sub(measure_text_width(&left) + measure_text_width(right));
    format!("{left}{}{right}", " ".repeat(gap))
}

/// The rates of outcomes. Those that are usual are there even when they are zero.
fn family(name: &str, family: &FamilyView, outcomes: &[(&str, bool)]) -> String {
    let rates = outcomes.iter().map(|(outcome, is_usual)| (outcome, family.of_outcome(outcome), *is_usual));
    let some = rates.filter(|(_, rate, is_usual)| *is_usual || rate.is_some_and(|rate| rate > 0.0));
    let words: Vec<String> = some.map(|(outcome, rate, _)| format!("{outcome} {}", per_second(rate))).collect();
    format!("{name:<10}  {}", words.join("   "))
}

/// The most active products, in the order of their ids, and the sum of the others.
fn table(stock: &StockView, activity: impl Fn(u64) -> f64, most: usize, width: usize) -> Vec<String> {
    let mut products: Vec<&ProductBody<'static>> = stock.products.iter().collect();
    products.sort_by(|a, b| activity(b.id).total_cmp(&activity(a.id)).then(a.id.cmp(&b.id)));
    let rest = products.split_off(most.min(products.len()));
    products.sort_by_key(|product| product.id);
    let has_skus = stock.products.iter().any(|product| product.sku.is_some());
    let name_columns = width.saturating_sub(NUMBERS_COLUMNS).clamp(NAME_COLUMNS_MIN, NAME_COLUMNS_MAX);
    let row = |product: &&ProductBody<'static>| {
        let name = name_of(Some(&product.name), name_columns);
        ([product.id.to_string(), cell(&product.sku), name], Units::of([*product]))
    };
    let mut rows: Vec<([String; 3], Units)> = products.iter().map(row).collect();
    if !rest.is_empty() {
        // With a sign in front, which no narrow column cuts off.
        let more = if stock.has_more_products { "≥ " } else { "" };
        let name = format!("{more}{}", counted(rest.len() as u64, "other product"));
        rows.push((["+".to_owned(), String::new(), name_of(Some(&name), name_columns)], Units::of(rest)));
    }
    let sku = has_skus.then_some(Column::Left("SKU"));
    let columns = [Column::Right("ID")].into_iter().chain(sku).chain([
        Column::Spare("PRODUCT"),
        Column::Right("AVAILABLE"),
        Column::Right("HELD"),
        Column::Right("PENDING"),
        Column::Right("SOLD"),
        Column::SpareRight("TOTAL"),
    ]);
    let mut table = Table::new(&columns.collect::<Vec<_>>());
    for ([id, sku, name], units) in &rows {
        let numbers = [units.available, units.held, units.pending, units.sold, units.total].map(|n| n.to_string());
        let sku = has_skus.then(|| sku.clone());
        table.row([id.clone()].into_iter().chain(sku).chain([name.clone()]).chain(numbers));
    }
    let plain = table.plain(width);
    let used = plain.lines().map(measure_text_width).max().unwrap_or(0);
    let columns = width.saturating_sub(used + 2).min(BAR_COLUMNS_MAX);
    let mut lines: Vec<String> = plain.lines().map(str::to_owned).collect();
    if columns >= BAR_COLUMNS_MIN {
        for (line, (_, units)) in lines.iter_mut().skip(1).zip(&rows) {
            let gap = used + 2 - measure_text_width(line);
            *line = format!("{line}{}{}", " ".repeat(gap), bar(units, columns));
        }
        lines.push("█ sold  ▓ pending  ▒ held  · available".to_owned());
    }
    lines
}

/// Sold, pending, held and available units as parts of a bar.
fn bar(units: &Units, columns: usize) -> String {
    let total = units.total.max(1);
    // A faulty service may have more units in parts than in all.
    let column = |sum: u64| {
        usize::try_from(u128::from(sum) * columns as u128 / u128::from(total)).unwrap_or(columns).min(columns)
    };
    let (mut bar, mut sum, mut at) = (String::new(), 0_u64, 0);
    for (part, sign) in [(units.sold, "█"), (units.pending, "▓"), (units.held, "▒"), (units.available, "·")] {
        sum = sum.saturating_add(part);
        bar.push_str(&sign.repeat(column(sum) - at));
        at = column(sum);
    }
    bar
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::tools::watch::view::{Reviews, SaleView, ServiceView};

    fn product(id: u64, [available, held, pending, sold]: [u64; 4]) -> ProductBody<'static> {
        let product = json!({"id": id, "sale": "drop-1", "name": format!("Shoe {id}"), "price": "50.00", "currency": "USD",
            "total_stock": available + held + pending + sold, "available_stock": available, "held_stock": held,
            "pending_stock": pending, "sold_stock": sold, "max_per_hold": 1, "max_per_customer": null, "visibility": "public", "status": "live",
            "starts_at": null, "ends_at": null, "next_release_at": null});
        serde_json::from_value(product).unwrap()
    }

    fn view(products: Vec<ProductBody<'static>>) -> View {
        View {
            at: Some("2026-11-27T09:00:07.000Z".to_owned()),
            sale: Some("drop-1".to_owned()),
            services: vec![ServiceView {
                url: "http://a".to_owned(),
                silent_seconds: Some(12),
                why: Some("no".to_owned()),
            }],
            processes: 2,
            seconds: None,
            redis_ms: Some(0.42),
            holds: FamilyView::default(),
            orders: FamilyView::default(),
            payment_events: FamilyView::default(),
            stock: Some(StockView {
                sales: vec![SaleView { id: "drop-1".to_owned(), starts_at: None, ends_at: None, paused: false }],
                products,
                has_more_products: false,
                reviews: Reviews { open: 1, has_more: false },
            }),
            stock_silent_seconds: None,
        }
    }

    #[test]
    fn a_frame_fits_the_terminal_whatever_its_size() {
        let view = view((1..=50).map(|id| product(id, [id, 1, 1, 1])).collect());
        for (width, height) in [(80, 24), (200, 60), (40, 10), (10, 3), (1, 1)] {
            let lines = frame(&view, |_| 0.0, None, width, height);
            assert!(lines.len() <= height, "{width}x{height}: {} lines", lines.len());
            assert!(lines.iter().all(|line| measure_text_width(line) <= width), "{width}x{height}: {lines:#?}");
        }
    }

    #[test]
    fn a_frame_has_the_most_active_products_and_the_sum_of_the_others() {
        let view = view((1..=30).map(|id| product(id, [1, 2, 3, 4])).collect());
        let lines = frame(&view, |id| if id == 7 || id == 29 { 1.0 } else { 0.0 }, Some(2), 100, 24);
        let text = lines.join("\n");
        assert!(text.starts_with("drop-1 live"), "{text}");
        assert!(lines[0].ends_with("09:00:07Z"), "{text}");
        assert!(text.contains("http://a: no answer since 12 s (no)"), "{text}");
        assert!(text.contains("redis 0.4 ms   1 open review   2 processes"), "{text}");
        let rows: Vec<&String> = lines.iter().skip_while(|line| !line.contains("PRODUCT")).skip(1).collect();
        let words = |row: &String| row.split_whitespace().take(8).map(str::to_owned).collect::<Vec<_>>().join(" ");
        assert_eq!(words(rows[0]).split(" █").next().unwrap(), "7 Shoe 7 1 2 3 4 10");
        assert_eq!(words(rows[1]).split(" █").next().unwrap(), "29 Shoe 29 1 2 3 4 10");
        assert!(rows[2].contains("+  28 other products         28    56       84   112    280"), "{text}");
        assert!(rows[3].contains("█ sold"), "{text}");
        assert_eq!(lines.iter().filter(|line| *line == "all sales").count(), 1, "whose rates they are: {text}");
    }

    #[test]
    fn what_is_not_read_is_said_in_a_line_and_in_a_table_of_any_width() {
        let mut view = view((1..=30).map(|id| product(id, [1, 2, 3, 4])).collect());
        view.stock.as_mut().unwrap().has_more_products = true;
        let lines = frame(&view, |_| 0.0, Some(2), 100, 24).join("\n");
        assert!(lines.contains("only the first 30 products are shown and summed"), "{lines}");
        assert!(lines.contains("≥ 28 other products"), "{lines}");
        let line = line::text(&view);
        assert!(line.contains("; of the first 30 products: available 30, held 60, pending 90, sold 120; "), "{line}");
        (view.processes, view.redis_ms) = (0, None);
        assert!(line::text(&view).contains("; redis not known; "), "nobody asked it");
    }

    #[test]
    fn a_narrow_terminal_keeps_the_sku_and_the_units() {
        let shoe =
            |id, sku: Option<&'static str>| ProductBody { sku: sku.map(Into::into), ..product(id, [1, 2, 3, 4]) };
        let view = view(vec![shoe(7, Some("AIR-41")), shoe(8, None)]);
        let rows = |width| {
            let lines = frame(&view, |_| 0.0, None, width, 24);
            let table = lines.into_iter().skip_while(|line| !line.contains("AVAILABLE")).take(3);
            table.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect::<Vec<_>>()
        };
        assert_eq!(rows(45), ["ID SKU AVAILABLE HELD PENDING SOLD", "7 AIR-41 1 2 3 4", "8 - 1 2 3 4"]);
        assert_eq!(rows(66)[0], "ID SKU PRODUCT AVAILABLE HELD PENDING SOLD TOTAL");
    }

    #[test]
    fn a_bar_is_as_long_as_it_should_be_and_empty_for_nothing() {
        let units = |available, held, pending, sold| Units {
            total: available + held + pending + sold,
            available,
            held,
            pending,
            sold,
        };
        assert_eq!(bar(&units(2, 1, 1, 4), 8), "████▓▒··");
        assert_eq!(bar(&units(0, 0, 0, 3), 8), "████████");
        assert_eq!(bar(&units(1, 1, 1, 0), 8).chars().count(), 8);
        assert_eq!(bar(&units(0, 0, 0, 0), 8), "");
    }
}
