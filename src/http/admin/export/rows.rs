//! The rows of an export, and the formats that they are written in.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::Value;

use crate::wire::{hold::ItemBody, order::OrderRow, payment::PaymentRow, table::cell::guarded};

/// A line of NDJSON, some fields of which are the cells of a CSV.
pub(super) trait Row<'a>: Serialize {
    /// The columns: fields of the row, by the same names.
    const COLUMNS: &'static [&'static str];

    /// A cell for each column.
    fn cells(self) -> Vec<Cow<'a, str>>;
}

impl<'a> Row<'a> for OrderRow<'a> {
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
        "currency",
        "created_at",
        "payment_due_at",
        "paid_at",
        "payment_id",
        "payment_started_at",
        "late",
    ];

    fn cells(self) -> Vec<Cow<'a, str>> {
        let number = |number: Option<u64>| number.map_or(Cow::Borrowed(""), |number| number.to_string().into());
        let items = items(&self);
        vec![
            self.id,
            self.sale,
            self.hold_id,
            number(self.product_id),
            text(self.sku),
            number(self.quantity),
            items.into(),
            self.customer_id.unwrap_or_default(),
            text(self.metadata.map(|metadata| Value::Object(metadata).to_string())),
            self.status,
            text(self.total_amount),
            self.currency.unwrap_or_default(),
            self.created_at.into(),
            self.payment_due_at.into(),
            text(self.paid_at),
            self.payment_id.unwrap_or_default(),
            text(self.payment_started_at),
            if self.late { "true" } else { "false" }.into(),
        ]
    }
}

impl<'a> Row<'a> for PaymentRow<'a> {
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

    fn cells(self) -> Vec<Cow<'a, str>> {
        vec![
            self.order_id,
            self.sale,
            self.order_created_at.into(),
            self.order_status,
            self.customer_id.unwrap_or_default(),
            self.payment_id.unwrap_or_default(),
            self.payment_status,
            text(self.captured_amount),
            text(self.refunded_amount),
            text(self.net_amount),
            self.currency.unwrap_or_default(),
            self.dispute.unwrap_or_default(),
            text(self.review_id),
            text(self.dispute_review_id),
        ]
    }
}

fn text<'a>(text: Option<String>) -> Cow<'a, str> {
    text.unwrap_or_default().into()
}

/// `2 of product 1 at 5.00; 1 of product 7 at 120.00`, which no program takes for a time, a date or a number.
fn items(order: &OrderRow<'_>) -> String {
    let item = |item: &ItemBody| format!("{} of {} at {}", item.quantity, item.product_name(), item.unit_price);
    order.items.iter().map(item).collect::<Vec<_>>().join("; ")
}

#[derive(Clone, Copy)]
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

    pub(super) fn head<'a, R: Row<'a>>(self) -> Vec<u8> {
        match self {
            Self::Csv => csv([R::COLUMNS.iter().copied().map(Cow::Borrowed).collect()].into_iter()),
            Self::Ndjson => Vec::new(),
        }
    }

    pub(super) fn rows<'a, R: Row<'a>>(self, rows: impl Iterator<Item = R>) -> Vec<u8> {
        match self {
            Self::Csv => csv(rows.map(R::cells)),
            Self::Ndjson => rows.fold(Vec::new(), |mut lines, row| {
                // Writing a row into memory cannot fail.
                let _written = serde_json::to_writer(&mut lines, &row);
                lines.push(b'\n');
                lines
            }),
        }
    }
}

fn csv<'a>(rows: impl Iterator<Item = Vec<Cow<'a, str>>>) -> Vec<u8> {
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
        let written = String::from_utf8(csv([row].into_iter())).unwrap();
        assert_eq!(written, "\"a,b\",\"'=\"\"x\"\"\",\"two\nlines\",\r\n");
    }
}
