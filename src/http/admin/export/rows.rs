//! The rows of an export, and the formats that they are written in.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::times::Times;
use crate::wire::{hold::ItemBody, item::ItemRow, order::OrderRow, payment::PaymentRow, table::cell::guarded};

/// A line of NDJSON, most fields of which are the cells of a CSV.
pub(super) trait Row: Serialize {
    /// The columns: fields of the row, by the same names.
    const COLUMNS: &'static [&'static str];
    /// Fields that have no column.
    const LISTS: &'static [&'static str] = &[];
}

impl Row for OrderRow<'_> {
    const COLUMNS: &'static [&'static str] = &[
        "id",
        "sale",
        "hold_id",
        "product_id",
        "sku",
        "quantity",
        "items",
        "customer_id",
        "metadata",
        "status",
        "total_amount",
        "captured_amount",
        "refunded_amount",
        "net_amount",
        "currency",
        "created_at",
        "payment_due_at",
        "paid_at",
        "payment_id",
        "payment_started_at",
        "late",
    ];
    const LISTS: &'static [&'static str] = &["payments", "shop_events", "events_left_out"];
}

impl Row for ItemRow<'_> {
    const COLUMNS: &'static [&'static str] = &[
        "order_id",
        "sale",
        "product_id",
        "sku",
        "name",
        "quantity",
        "unit_price",
        "line_amount",
        "currency",
        "customer_id",
        "metadata",
        "status",
        "counted_as",
        "created_at",
        "paid_at",
        "payment_id",
    ];
}

impl Row for PaymentRow<'_> {
    const COLUMNS: &'static [&'static str] = &[
        "order_id",
        "sale",
        "order_created_at",
        "order_status",
        "customer_id",
        "payment_id",
        "payment_status",
        "captured_amount",
        "refunded_amount",
        "net_amount",
        "currency",
        "dispute",
        "review_id",
        "dispute_review_id",
    ];
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// RFC 4180, with a header.
    Csv,
    /// A JSON object and a line feed for each.
    Ndjson,
}

impl Format {
    pub(super) fn parse(text: &str) -> Option<Self> {
        [Self::Csv, Self::Ndjson].into_iter().find(|format| format.ending() == text)
    }

    pub(super) fn ending(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Ndjson => "ndjson",
        }
    }

    pub(super) fn media_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8",
            Self::Ndjson => "application/x-ndjson",
        }
    }
}

/// The header of a CSV.
pub(super) fn head(columns: &[&str]) -> Vec<u8> {
    table([columns.iter().map(|name| Cow::Borrowed(*name)).collect()].into_iter())
}

pub(super) fn csv(rows: impl Iterator<Item = impl Row>, columns: &[&str], times: &Times) -> Vec<u8> {
    table(rows.map(|row| {
        let mut row = object(&row, times);
        columns.iter().map(|name| cell(row.get_mut(*name).map(Value::take)).into()).collect()
    }))
}

/// With all fields where no columns are chosen.
pub(super) fn ndjson(rows: impl Iterator<Item = impl Row>, columns: Option<&[&str]>, times: &Times) -> Vec<u8> {
    rows.fold(Vec::new(), |mut lines, row| {
        // Writing a row into memory cannot fail.
        let _written = match columns {
            None if times.are_plain() => serde_json::to_writer(&mut lines, &row),
            None => serde_json::to_writer(&mut lines, &object(&row, times)),
            Some(columns) => serde_json::to_writer(&mut lines, &chosen(object(&row, times), columns)),
        };
        lines.push(b'\n');
        lines
    })
}

/// Some of the fields, in this order.
fn chosen(mut row: Map<String, Value>, columns: &[&str]) -> Map<String, Value> {
    columns.iter().filter_map(|name| Some(((*name).to_owned(), row.get_mut(*name)?.take()))).collect()
}

/// The fields of a row.
fn object(row: &impl Serialize, times: &Times) -> Map<String, Value> {
    // Every row is an object with texts for names.
    let Ok(Value::Object(mut object)) = serde_json::to_value(row) else { return Map::new() };
    times.write_in(&mut object);
    object
}

fn cell(value: Option<Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text,
        Some(Value::Array(items)) => items.iter().map(item).collect::<Vec<_>>().join("; "),
        Some(other) => other.to_string(),
    }
}

/// `2 of product 1 at 5.00`, which no program takes for a time, a date or a number.
fn item(item: &Value) -> String {
    // Our own items, as they were written.
    ItemBody::deserialize(item).map_or_else(
        |_| String::new(),
        |item| format!("{} of {} at {}", item.quantity, item.product_name(), item.unit_price),
    )
}

fn table<'a>(rows: impl Iterator<Item = Vec<Cow<'a, str>>>) -> Vec<u8> {
    let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
    for row in rows {
        // All rows have the same number of cells, so writing into memory cannot fail.
        let _written = writer.write_record(row.into_iter().map(|cell| guarded(cell).into_owned()));
    }
    writer.into_inner().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_with_commas_quotes_and_line_ends_are_quoted() {
        let row = ["a,b", "=\"x\"", "two\nlines", ""].map(Cow::Borrowed).to_vec();
        let written = String::from_utf8(table([row].into_iter())).unwrap();
        assert_eq!(written, "\"a,b\",\"'=\"\"x\"\"\",\"two\nlines\",\r\n");
    }
}
