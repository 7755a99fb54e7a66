//! GET /api/admin/orders/export: all orders as CSV or NDJSON, in constant memory. The body is made page by page: the next one is
//! read from Redis when the client has taken what was written before.

use std::borrow::Cow;

use actix_web::{
    HttpRequest, HttpResponse,
    dev::Payload,
    http::{
        Method, Version,
        header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE, HeaderName},
    },
    web::{Bytes, Data},
};
use futures_util::{StreamExt, TryStream, TryStreamExt, stream};

use super::{Parameters, authorize};
use crate::{
    domain::{
        ids::SaleId,
        order::{Order, OrderStatus},
    },
    http::{
        answer,
        extract::{FromHttp, Parsed},
        problem::{Code, Problem},
        refusals,
    },
    store::{Failure, OrderWalk, Store},
    wire::{
        order::{OrderRow, PricedItem},
        table::cell::guarded,
    },
};

/// About how many orders will come. Only for an export of all statuses.
static ORDERS_ESTIMATED: HeaderName = HeaderName::from_static("x-orders-estimated");
/// The columns: the fields of [`OrderRow`], by the same names.
const COLUMNS: [&str; 16] = [
    "id",
    "sale",
    "hold_id",
    "product_id",
    "quantity",
    "items",
    "customer_id",
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
pub(in crate::http) async fn orders(
    store: Data<Store>,
    Parsed(request): Parsed<ExportRequest>,
) -> Result<HttpResponse, Problem> {
    let Some(mut walk) = store.walk_orders(request.sale.as_ref(), None).await? else {
        return Err(refusals::sale_not_found());
    };
    let mut response = HttpResponse::Ok();
    response
        .insert_header((CACHE_CONTROL, answer::NO_STORE.clone()))
        .insert_header((CONTENT_TYPE, request.format.media_type()))
        .insert_header((CONTENT_DISPOSITION, format!("attachment; filename=\"{}\"", request.file_name())));
    if request.status.is_none() {
        response.insert_header((ORDERS_ESTIMATED.clone(), store.count_orders(&walk).await?.to_string()));
    }
    if request.head_only {
        return Ok(response.streaming(stream::empty::<Result<Bytes, Failure>>()));
    }
    // The first page is read before the head is sent, so that a store that is gone is a problem and not a body that breaks off.
    let first = store.next_orders(&mut walk).await?.unwrap_or_default();
    let first = [request.format.head(), request.format.rows(request.wanted(&first))].concat();
    Ok(response.streaming(stream::iter([Ok(first.into())]).chain(rest(store, walk, request))))
}

/// The pages after the first. A failure ends the body without its last chunk, so that nobody takes a part for the whole.
fn rest(store: Data<Store>, walk: OrderWalk, request: ExportRequest) -> impl TryStream<Item = Result<Bytes, Failure>> {
    let pages = stream::try_unfold((store, walk, request), async |(store, mut walk, request)| {
        let Some(page) = store.next_orders(&mut walk).await? else { return Ok(None) };
        let rows = request.format.rows(request.wanted(&page));
        Ok(Some((rows.into(), (store, walk, request))))
    });
    // A page without a wanted order is skipped, because an empty chunk would end the body.
    pages
        .try_filter(|rows: &Bytes| std::future::ready(!rows.is_empty()))
        .inspect_err(|failure| tracing::error!(cause = %failure, "an export broke off"))
}

/// The query of an export.
pub(in crate::http) struct ExportRequest {
    format: Format,
    status: Option<OrderStatus>,
    sale: Option<SaleId>,
    head_only: bool,
}

impl FromHttp for ExportRequest {
    async fn read(request: HttpRequest, _payload: Payload) -> Result<Self, Problem> {
        authorize(&request)?;
        if request.version() < Version::HTTP_11 {
            let detail = "before HTTP/1.1 a client cannot distinguish an export that broke off from a whole one";
            return Err(Problem::new(Code::UpgradeRequired, detail));
        }
        let mut parameters = Parameters::of(&request, &["format", "status", "sale"]);
        let asked = Self {
            format: parameters.read("format", "csv or ndjson", Format::parse).unwrap_or(Format::Csv),
            status: parameters.status(),
            sale: parameters.sale(),
            head_only: *request.method() == Method::HEAD,
        };
        parameters.finish(asked)
    }
}

impl ExportRequest {
    fn wanted<'a>(&self, orders: &'a [Order]) -> impl Iterator<Item = OrderRow<'a>> {
        let status = self.status;
        orders.iter().filter(move |order| status.is_none_or(|status| order.status == status)).map(OrderRow::of)
    }

    /// `orders-drop-1-paid.csv`
    fn file_name(&self) -> String {
        let parts = [Some("orders"), self.sale.as_ref().map(SaleId::as_str), self.status.map(OrderStatus::as_str)];
        let stem = parts.into_iter().flatten().collect::<Vec<_>>().join("-");
        format!("{stem}.{}", self.format.ending())
    }
}

#[derive(Clone, Copy)]
enum Format {
    /// RFC 4180, with a header.
    Csv,
    /// A JSON object and a line feed for each.
    Ndjson,
}

impl Format {
    fn parse(text: &str) -> Option<Self> {
        [Self::Csv, Self::Ndjson].into_iter().find(|format| format.ending() == text)
    }

    fn ending(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Ndjson => "ndjson",
        }
    }

    fn media_type(self) -> &'static str {
        match self {
            Self::Csv => "text/csv; charset=utf-8",
            Self::Ndjson => "application/x-ndjson",
        }
    }

    fn head(self) -> Vec<u8> {
        match self {
            Self::Csv => csv([COLUMNS.map(Cow::Borrowed)].into_iter()),
            Self::Ndjson => Vec::new(),
        }
    }

    fn rows<'a>(self, orders: impl Iterator<Item = OrderRow<'a>>) -> Vec<u8> {
        match self {
            Self::Csv => csv(orders.map(cells)),
            Self::Ndjson => orders.fold(Vec::new(), |mut lines, order| {
                // Writing an order into memory cannot fail.
                let _written = serde_json::to_writer(&mut lines, &order);
                lines.push(b'\n');
                lines
            }),
        }
    }
}

fn csv<'a>(rows: impl Iterator<Item = [Cow<'a, str>; COLUMNS.len()]>) -> Vec<u8> {
    let mut writer = csv::WriterBuilder::new().terminator(csv::Terminator::CRLF).from_writer(Vec::new());
    for row in rows {
        // All rows have the same number of cells, so writing into memory cannot fail.
        let _written = writer.write_record(row.into_iter().map(|cell| guarded(cell).into_owned()));
    }
    writer.into_inner().unwrap_or_default()
}

fn cells(order: OrderRow<'_>) -> [Cow<'_, str>; COLUMNS.len()] {
    let number = |number: Option<u64>| number.map_or(Cow::Borrowed(""), |number| number.to_string().into());
    let text = |text: Option<String>| Cow::Owned(text.unwrap_or_default());
    let items = items(&order);
    [
        order.id,
        order.sale,
        order.hold_id,
        number(order.product_id),
        number(order.quantity),
        items.into(),
        order.customer_id.unwrap_or_default(),
        order.status,
        text(order.total_amount),
        order.currency.unwrap_or_default(),
        order.created_at.into(),
        order.payment_due_at.into(),
        text(order.paid_at),
        order.payment_id.unwrap_or_default(),
        text(order.payment_started_at),
        if order.late { "true" } else { "false" }.into(),
    ]
}

/// `2 of product 1 at 5.00; 1 of product 7 at 120.00`, which no program takes for a time, a date or a number.
fn items(order: &OrderRow<'_>) -> String {
    let item = |item: &PricedItem| format!("{} of product {} at {}", item.quantity, item.product_id, item.unit_price);
    order.items.iter().map(item).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_with_commas_quotes_and_line_ends_are_quoted() {
        let mut row = [const { Cow::Borrowed("") }; COLUMNS.len()];
        row[..3].clone_from_slice(&["a,b".into(), "=\"x\"".into(), "two\nlines".into()]);
        let written = String::from_utf8(csv([row].into_iter())).unwrap();
        assert_eq!(written, "\"a,b\",\"'=\"\"x\"\"\",\"two\nlines\",,,,,,,,,,,,,\r\n");
    }
}
