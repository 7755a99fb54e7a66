//! POST /api/admin/products.

use actix_web::{HttpRequest, HttpResponse, dev::Payload, web::Data};

use super::authorize;
use crate::{
    domain::{
        ids::{ProductId, SaleId},
        money::{Amount, Currency, LINE_TOTAL_MAX},
        outcome::PutProductOutcome,
        product::{NewProduct, PER_HOLD_MAX, Product, Stock, TOTAL_MAX},
        quantity::Quantity,
        text::Name,
    },
    http::{
        body,
        extract::{Ask, Asked},
        fields::{Json, Object},
        problem::{Code, FieldError, Problem},
        products::ProductBody,
    },
    store::Store,
};

const MAX_PER_HOLD_DEFAULT: u64 = 10;

pub(in crate::http) async fn create(
    store: Data<Store>,
    Asked(product): Asked<NewProduct>,
) -> Result<HttpResponse, Problem> {
    match store.put_product(&product).await? {
        PutProductOutcome::Created { id, sale } => {
            Ok(HttpResponse::Created().json(ProductBody::of(&fresh(&product, id, sale))))
        }
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

fn read_product(json: Json<'_>, errors: &mut Vec<FieldError>) -> Option<NewProduct> {
    let known = ["id", "sale", "name", "price", "currency", "total_stock", "max_per_hold", "max_per_customer"];
    let mut object = Object::open(json, "", &known, errors)?;
    let id = object.count("id", 1, ProductId::MAX).and_then(ProductId::new);
    let sale = object.text("sale", "1 to 32 of a-z, 0-9 and -, and not p followed by digits", |text| {
        SaleId::parse(text).filter(|sale| !sale.is_reserved())
    });
    let name = object.required_text("name", "1 to 200 characters", Name::parse);
    let currency = object.text("currency", "an ISO 4217 code such as USD", Currency::parse);
    let currency = currency.or_else(|| Currency::parse("USD"))?;
    let price = object.required_text("price", "a decimal string in its currency's decimals, such as 9.99", |text| {
        Amount::parse(text, currency.decimals()).ok()
    });
    let total = object.required_count("total_stock", 0, TOTAL_MAX);
    let max_per_hold = object.count("max_per_hold", 1, PER_HOLD_MAX).unwrap_or(MAX_PER_HOLD_DEFAULT);
    if object.take("max_per_customer").is_some() {
        object.complain("max_per_customer", "unsupported", "a limit for each customer cannot be set yet");
    }
    if price.is_some_and(|price| price.times(max_per_hold).ten_thousandths() > LINE_TOTAL_MAX) {
        object.complain("price", "too_large", "price times max_per_hold must be at most 50000000000");
    }
    let max_per_hold = Quantity::new(max_per_hold)?;
    Some(NewProduct { id, sale, name: name?, price: price?, currency, total: total?, max_per_hold })
}

fn currency_differs(sale_currency: &str) -> Problem {
    Problem::of_fields(&[FieldError {
        pointer: "/currency".to_owned(),
        code: "currency_differs",
        detail: format!("all products of this sale are sold in {sale_currency}").into(),
    }])
}

/// As it is now that it was made: all its units are available.
fn fresh(product: &NewProduct, id: ProductId, sale: SaleId) -> Product {
    let total = product.total;
    Product {
        id,
        sale,
        name: product.name.as_str().to_owned(),
        price: product.price,
        currency: product.currency,
        stock: Stock { total, available: total, held: 0, pending: 0, sold: 0 },
        max_per_hold: product.max_per_hold.get(),
        next_release_ms: None,
    }
}
