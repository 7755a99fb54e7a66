//! GET and POST /api/admin/products, GET and PATCH /api/admin/products/{id}, and its stock.

use actix_web::{HttpRequest, HttpResponse, dev::Payload, web::Data};
use serde_json::json;

use super::{Parameters, authorize, sale_not_found};
use crate::{
    domain::{
        ids::{ProductId, SaleId},
        money::{Amount, Currency, LINE_TOTAL_MAX},
        outcome::{ChangeProductOutcome, ListProductsOutcome, PutProductOutcome, RestockOutcome},
        product::{NewProduct, PER_HOLD_MAX, Product, ProductChange, Restock, TOTAL_MAX},
        quantity::Quantity,
        text::{IdempotencyKey, Name},
    },
    http::{
        body,
        extract::{Ask, Asked},
        fields::{Json, Object},
        holds,
        problem::{Code, FieldError, Problem},
        products::{self, NO_STORE, ProductBody},
    },
    store::Store,
};

const MAX_PER_HOLD_DEFAULT: u64 = 10;

pub(in crate::http) async fn list(store: Data<Store>, Asked(ask): Asked<ListRequest>) -> Result<HttpResponse, Problem> {
    match store.list_products(ask.sale.as_ref(), ask.after, ask.limit).await? {
        ListProductsOutcome::Products { list, next } => {
            let rows = products::rows(&list);
            let next = next.map(|id| id.get().to_string());
            Ok(HttpResponse::Ok().insert_header(NO_STORE).json(json!({"data": rows, "next_cursor": next})))
        }
        ListProductsOutcome::SaleNotFound => Err(sale_not_found()),
    }
}

/// As the storefront has it, and not behind its gate.
pub(in crate::http) async fn read(
    store: Data<Store>,
    Asked(ReadRequest(id)): Asked<ReadRequest>,
) -> Result<HttpResponse, Problem> {
    products::product(&store, id).await
}

pub(in crate::http) async fn create(
    store: Data<Store>,
    Asked(product): Asked<NewProduct>,
) -> Result<HttpResponse, Problem> {
    let (product, _) = created(&store, &product).await?;
    Ok(HttpResponse::Created().json(ProductBody::of(&product)))
}

/// The product, and whether its sale was made with it.
pub(super) async fn created(store: &Store, product: &NewProduct) -> Result<(Product, bool), Problem> {
    match store.put_product(product).await? {
        PutProductOutcome::Created { product, new_sale } => Ok((product, new_sale)),
        PutProductOutcome::AlreadyExists => {
            Err(Problem::new(Code::AlreadyExists, "there is a product with this id already"))
        }
        PutProductOutcome::CurrencyDiffers { sale_currency } => Err(currency_differs(&sale_currency)),
    }
}

/// Read only for somebody who may.
impl Ask for NewProduct {
    async fn read(request: HttpRequest, mut payload: Payload) -> Result<Self, Problem> {
        authorize(&request)?;
        body::read_json(&request, &mut payload, read_product).await
    }
}

/// What may be said of a new product.
pub(super) const FIELDS: [&str; 8] =
    ["id", "sale", "name", "price", "currency", "total_stock", "max_per_hold", "max_per_customer"];

pub(super) fn read_product(json: Json<'_>, errors: &mut Vec<FieldError>) -> Option<NewProduct> {
    let mut object = Object::open(json, "", &FIELDS, errors)?;
    let id = object.count("id", 1, ProductId::MAX).and_then(ProductId::new);
    let sale = object.text("sale", "1 to 32 of a-z, 0-9 and -, and not p followed by digits", |text| {
        SaleId::parse(text).filter(|sale| !sale.is_reserved())
    });
    let name = object.required_text("name", Name::RULE, Name::parse);
    let currency = object.text("currency", "an ISO 4217 code such as USD", Currency::parse);
    let currency = currency.or_else(|| Currency::parse("USD"))?;
    let price =
        object.required_text("price", &price_rule(currency), |text| Amount::parse(text, currency.decimals()).ok());
    let total = object.required_count("total_stock", 0, TOTAL_MAX);
    let max_per_hold = object.count("max_per_hold", 1, PER_HOLD_MAX).unwrap_or(MAX_PER_HOLD_DEFAULT);
    let max_per_customer = object.count("max_per_customer", 1, Quantity::MAX).and_then(Quantity::new);
    if price.is_some_and(|price| price.times(max_per_hold).ten_thousandths() > LINE_TOTAL_MAX) {
        object.complain("price", "too_large", "price times max_per_hold must be at most 50000000000");
    }
    let max_per_hold = Quantity::new(max_per_hold)?;
    Some(NewProduct { id, sale, name: name?, price: price?, currency, total: total?, max_per_hold, max_per_customer })
}

/// With an example in as many decimals.
fn price_rule(currency: Currency) -> String {
    let nines = "9".repeat(currency.decimals());
    let example = if nines.is_empty() { "999".to_owned() } else { format!("9.{nines}") };
    format!("a decimal string in the decimals of {}, such as {example}", currency.code())
}

pub(in crate::http) async fn change(
    store: Data<Store>,
    Asked(ask): Asked<ChangeRequest>,
) -> Result<HttpResponse, Problem> {
    match store.change_product(ask.id, &ask.change).await? {
        ChangeProductOutcome::Changed(product) => Ok(HttpResponse::Ok().json(ProductBody::of(&product))),
        ChangeProductOutcome::ProductNotFound => Err(products::not_found()),
        ChangeProductOutcome::PriceTooFine(currency) => {
            let decimals = currency.decimals();
            Err(wrong_price(format!("price must have at most {decimals} decimals, as {} has", currency.code())))
        }
        ChangeProductOutcome::PriceTooLarge => {
            Err(wrong_price("price times max_per_hold must be at most 50000000000".to_owned()))
        }
    }
}

pub(in crate::http) async fn restock(
    store: Data<Store>,
    Asked(ask): Asked<RestockRequest>,
) -> Result<HttpResponse, Problem> {
    match store.restock(ask.id, ask.restock, ask.key.as_ref()).await? {
        RestockOutcome::Restocked(product) => Ok(HttpResponse::Ok().json(ProductBody::of(&product))),
        RestockOutcome::ProductNotFound => Err(products::not_found()),
        RestockOutcome::IdempotencyKeyReused => Err(holds::key_reused()),
        RestockOutcome::BelowPromised { floor } => Err(below_promised(floor)),
        RestockOutcome::AboveMaximum { most } => Err(Problem::of_fields(&[FieldError {
            pointer: String::new(),
            code: "too_large",
            detail: format!("a product may have {most} units").into(),
        }])),
    }
}

pub(in crate::http) struct ListRequest {
    sale: Option<SaleId>,
    after: Option<ProductId>,
    limit: usize,
}

impl Ask for ListRequest {
    async fn read(request: HttpRequest, _payload: Payload) -> Result<Self, Problem> {
        authorize(&request)?;
        let mut parameters = Parameters::of(&request, &["sale", "limit", "cursor"]);
        let asked = Self {
            sale: parameters.sale(),
            after: parameters.read("cursor", "the next_cursor of a page before", ProductId::parse),
            limit: parameters.limit(),
        };
        parameters.finish(asked)
    }
}

pub(in crate::http) struct ReadRequest(ProductId);

impl Ask for ReadRequest {
    async fn read(request: HttpRequest, _payload: Payload) -> Result<Self, Problem> {
        authorize(&request)?;
        id_in_path(&request).map(Self)
    }
}

/// A body of PATCH /api/admin/products/{id}, and of which product.
pub(in crate::http) struct ChangeRequest {
    id: ProductId,
    change: ProductChange,
}

impl Ask for ChangeRequest {
    async fn read(request: HttpRequest, mut payload: Payload) -> Result<Self, Problem> {
        authorize(&request)?;
        let id = id_in_path(&request)?;
        Ok(Self { id, change: body::read_json(&request, &mut payload, read_change).await? })
    }
}

/// A body of POST /api/admin/products/{id}/restock, its key, and of which product.
pub(in crate::http) struct RestockRequest {
    id: ProductId,
    restock: Restock,
    key: Option<IdempotencyKey>,
}

impl Ask for RestockRequest {
    async fn read(request: HttpRequest, mut payload: Payload) -> Result<Self, Problem> {
        authorize(&request)?;
        let (id, key) = (id_in_path(&request)?, holds::idempotency_key(request.headers())?);
        Ok(Self { id, key, restock: body::read_json(&request, &mut payload, read_restock).await? })
    }
}

fn id_in_path(request: &HttpRequest) -> Result<ProductId, Problem> {
    ProductId::parse(request.match_info().query("id")).ok_or_else(products::not_found)
}

fn read_change(json: Json<'_>, errors: &mut Vec<FieldError>) -> Option<ProductChange> {
    let mut object = Object::open(json, "", &["name", "price", "max_per_hold", "max_per_customer"], errors)?;
    let no_limit = object.clears("max_per_customer").then_some(None);
    Some(ProductChange {
        name: object.text("name", Name::RULE, Name::parse),
        price: object.text("price", "a decimal string such as 9.99", |text| Amount::parse(text, 4).ok()),
        max_per_hold: object.count("max_per_hold", 1, PER_HOLD_MAX).and_then(Quantity::new),
        max_per_customer: no_limit
            .or_else(|| object.count("max_per_customer", 1, Quantity::MAX).and_then(Quantity::new).map(Some)),
    })
}

fn read_restock(json: Json<'_>, errors: &mut Vec<FieldError>) -> Option<Restock> {
    let mut object = Object::open(json, "", &["delta", "total"], errors)?;
    let bound = i64::try_from(TOTAL_MAX).unwrap_or(i64::MAX);
    let (delta, total) = (object.integer("delta", bound), object.count("total", 0, TOTAL_MAX));
    match (delta, total) {
        (Some(delta), None) => Some(Restock::Delta(delta)),
        (None, Some(total)) => Some(Restock::Total(total)),
        _ => {
            if object.errors().is_empty() {
                object.complain("delta", "conflict", "send delta, or total, one of them");
            }
            None
        }
    }
}

fn wrong_price(detail: String) -> Problem {
    Problem::of_fields(&[FieldError { pointer: "/price".to_owned(), code: "invalid_format", detail: detail.into() }])
}

fn below_promised(floor: u64) -> Problem {
    let detail = format!("{floor} units are held, pending or sold: there cannot be fewer");
    Problem::new(Code::BelowPromised, detail).with("floor", floor)
}

fn currency_differs(sale_currency: &str) -> Problem {
    Problem::of_fields(&[FieldError {
        pointer: "/currency".to_owned(),
        code: "currency_differs",
        detail: format!("all products of this sale are sold in {sale_currency}").into(),
    }])
}
