//! GET /api/admin/orders/export: all orders, or all their payments, as CSV or NDJSON, in constant memory. The body is made page by
//! page: the next one is read from Redis when the client has taken what was written before.

mod rows;

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

use self::rows::Format;
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
    wire::{order::OrderRow, payment::PaymentRow},
};

/// About how many rows will come. Only for an export of orders of all statuses.
static ORDERS_ESTIMATED: HeaderName = HeaderName::from_static("x-orders-estimated");

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
    if request.rows == Rows::Orders && request.status.is_none() {
        response.insert_header((ORDERS_ESTIMATED.clone(), store.count_orders(&walk).await?.to_string()));
    }
    if request.head_only {
        return Ok(response.streaming(stream::empty::<Result<Bytes, Failure>>()));
    }
    // The first page is read before the head is sent, so that a store that is gone is a problem and not a body that breaks off.
    let first = store.next_orders(&mut walk).await?.unwrap_or_default();
    let first = [request.head(), request.rows_of(&store, first).await?].concat();
    Ok(response.streaming(stream::iter([Ok(first.into())]).chain(rest(store, walk, request))))
}

/// The pages after the first. A failure ends the body without its last chunk, so that nobody takes a part for the whole.
fn rest(store: Data<Store>, walk: OrderWalk, request: ExportRequest) -> impl TryStream<Item = Result<Bytes, Failure>> {
    let pages = stream::try_unfold((store, walk, request), async |(store, mut walk, request)| {
        let Some(page) = store.next_orders(&mut walk).await? else { return Ok(None) };
        let rows = request.rows_of(&store, page).await?;
        Ok(Some((rows.into(), (store, walk, request))))
    });
    // A page without a wanted row is skipped, because an empty chunk would end the body.
    pages
        .try_filter(|rows: &Bytes| std::future::ready(!rows.is_empty()))
        .inspect_err(|failure| tracing::error!(cause = %failure, "an export broke off"))
}

/// What a row of an export is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rows {
    Orders,
    Payments,
}

impl Rows {
    fn parse(text: &str) -> Option<Self> {
        [Self::Orders, Self::Payments].into_iter().find(|rows| rows.as_str() == text)
    }

    fn as_str(self) -> &'static str {
        match self {
            Self::Orders => "orders",
            Self::Payments => "payments",
        }
    }
}

/// The query of an export.
pub(in crate::http) struct ExportRequest {
    rows: Rows,
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
        let mut parameters = Parameters::of(&request, &["rows", "format", "status", "sale"]);
        let asked = Self {
            rows: parameters.read("rows", "orders or payments", Rows::parse).unwrap_or(Rows::Orders),
            format: parameters.read("format", "csv or ndjson", Format::parse).unwrap_or(Format::Csv),
            status: parameters.status(),
            sale: parameters.sale(),
            head_only: *request.method() == Method::HEAD,
        };
        parameters.finish(asked)
    }
}

impl ExportRequest {
    fn head(&self) -> Vec<u8> {
        match self.rows {
            Rows::Orders => self.format.head::<OrderRow<'_>>(),
            Rows::Payments => self.format.head::<PaymentRow<'_>>(),
        }
    }

    /// The rows of a page of orders of one sale.
    async fn rows_of(&self, store: &Store, mut page: Vec<Order>) -> Result<Vec<u8>, Failure> {
        page.retain(|order| self.status.is_none_or(|status| order.status == status));
        Ok(match self.rows {
            Rows::Orders => self.format.rows(page.iter().map(OrderRow::of)),
            Rows::Payments => {
                let open = store.open_reviews(&page).await?;
                self.format.rows(page.iter().flat_map(|order| PaymentRow::all_of(order, &open)))
            }
        })
    }

    /// `orders-drop-1-paid.csv`
    fn file_name(&self) -> String {
        let parts =
            [Some(self.rows.as_str()), self.sale.as_ref().map(SaleId::as_str), self.status.map(OrderStatus::as_str)];
        let stem = parts.into_iter().flatten().collect::<Vec<_>>().join("-");
        format!("{stem}.{}", self.format.ending())
    }
}
