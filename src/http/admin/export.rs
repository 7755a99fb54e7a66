//! GET /api/admin/orders/export: all orders, or all their items or payments, as CSV or NDJSON, in constant memory. The body is made
//! page by page: the next one is read from Redis when the client has taken what was written before.

mod request;
mod rows;
mod times;

use actix_web::{
    HttpResponse,
    http::header::{CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_TYPE, HeaderName},
    web::{Bytes, Data},
};
use futures_util::{StreamExt, TryStream, TryStreamExt, stream};

pub(in crate::http) use self::request::ExportRequest;
use self::request::Per;
use super::{Parameters, authorize};
use crate::{
    domain::order::Order,
    http::{answer, extract::Parsed, problem::Problem, refusals},
    store::{Failure, OrderWalk, ProductNames, Store},
    wire::{item::ItemRow, order::OrderRow, payment::PaymentRow},
};

/// About how many rows will come. Only for an export of orders that are not chosen by what only their records say.
static ORDERS_ESTIMATED: HeaderName = HeaderName::from_static("x-orders-estimated");

pub(in crate::http) async fn orders(
    store: Data<Store>,
    Parsed(request): Parsed<ExportRequest>,
) -> Result<HttpResponse, Problem> {
    let Some(walk) = store.walk_orders(request.sale.as_ref(), None).await? else {
        return Err(refusals::sale_not_found());
    };
    let mut walk = walk.within(request.made());
    let mut response = HttpResponse::Ok();
    response
        .insert_header((CACHE_CONTROL, answer::NO_STORE.clone()))
        .insert_header((CONTENT_TYPE, request.format.media_type()))
        .insert_header((CONTENT_DISPOSITION, format!("attachment; filename=\"{}\"", request.file_name())));
    if request.is_counted() {
        response.insert_header((ORDERS_ESTIMATED.clone(), store.count_orders(&walk).await?.to_string()));
    }
    if request.head_only {
        return Ok(response.streaming(stream::empty::<Result<Bytes, Failure>>()));
    }
    let mut export = Export { store, request, names: ProductNames::default() };
    // The first page is read before the head is sent, so that a store that is gone is a problem and not a body that breaks off.
    let first = export.next_rows(&mut walk).await?.unwrap_or_default();
    let first = [export.request.head(), first].concat();
    Ok(response.streaming(stream::iter([Ok(first.into())]).chain(rest(walk, export))))
}

/// The pages after the first. A failure ends the body without its last chunk, so that nobody takes a part for the whole.
fn rest(walk: OrderWalk, export: Export) -> impl TryStream<Item = Result<Bytes, Failure>> {
    let pages = stream::try_unfold((walk, export), async |(mut walk, mut export)| {
        let Some(rows) = export.next_rows(&mut walk).await? else { return Ok(None) };
        Ok(Some((rows.into(), (walk, export))))
    });
    // A page without a wanted row is skipped, because an empty chunk would end the body.
    pages
        .try_filter(|rows: &Bytes| std::future::ready(!rows.is_empty()))
        .inspect_err(|failure| tracing::error!(cause = %failure, "an export broke off"))
}

/// An export that is being made.
struct Export {
    store: Data<Store>,
    request: ExportRequest,
    names: ProductNames,
}

impl Export {
    /// The rows of the next page of orders. `None` at the end.
    async fn next_rows(&mut self, walk: &mut OrderWalk) -> Result<Option<Vec<u8>>, Failure> {
        let Some(mut page) = self.store.next_orders(walk).await? else { return Ok(None) };
        page.retain(|order| self.request.wants(order));
        self.rows_of(page).await.map(Some)
    }

    /// The rows of orders of one sale.
    async fn rows_of(&mut self, page: Vec<Order>) -> Result<Vec<u8>, Failure> {
        let Self { store, request, names } = self;
        Ok(match request.per {
            Per::Order => request.rows(page.iter().map(OrderRow::of)),
            Per::Item => {
                store.look_up_names(names, &page).await?;
                request.rows(page.iter().flat_map(|order| ItemRow::all_of(order, |product| names.of(product))))
            }
            Per::Payment => {
                let open = store.open_reviews(&page).await?;
                request.rows(page.iter().flat_map(|order| PaymentRow::all_of(order, &open)))
            }
        })
    }
}
