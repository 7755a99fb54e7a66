//! The body of a new product: of `POST /api/admin/products`, and of each row of an import.

use super::sales::read_shards;
use crate::{
    domain::{
        act::Act,
        ids::{ProductId, SaleId, Shards},
        limits::Group,
        money::{Amount, Currency},
        outcome::PutProductOutcome,
        product::{MAX_PER_HOLD_DEFAULT, NewProduct, PER_HOLD_MAX, Product, TOTAL_MAX, fits_one_hold},
        quantity::Quantity,
        sku::Sku,
        text::Name,
        visibility::Visibility,
    },
    http::{
        fields::{Json, Object},
        problem::{Code, FieldError, Problem},
        refusals,
    },
    store::Store,
    wire::table::COLUMNS,
};

pub(super) fn read(json: Json<'_>, errors: &mut Vec<FieldError>) -> Option<NewProduct> {
    let known = [&["shards"], &COLUMNS[..]].concat();
    let mut object = Object::open(json, "", &known, errors)?;
    let id = object.count("id", 1, ProductId::MAX).and_then(ProductId::new);
    let sale = object.text("sale", "1 to 32 of a-z, 0-9 and -, and not p followed by digits", |text| {
        SaleId::parse(text).filter(|sale| !sale.is_reserved())
    });
    let shards = read_shards(&mut object);
    if shards.is_some() && sale.is_some() {
        object.complain("shards", "conflict", "the sale says its number of shards, when it is made");
    }
    let name = object.required_text("name", Name::RULE, Name::parse);
    let sku = object.text("sku", Sku::RULE, Sku::parse);
    let metadata = object.metadata();
    let currency =
        object.text("currency", "an ISO 4217 code such as USD", |code| Currency::parse(&code.to_ascii_uppercase()));
    let currency = currency.or_else(|| Currency::parse("USD"))?;
    let price =
        object.required_text("price", &price_rule(currency), |text| Amount::parse_price(text, currency.decimals()));
    let total = object.required_count("total_stock", 0, TOTAL_MAX);
    let max_per_hold = object.count("max_per_hold", 1, PER_HOLD_MAX).and_then(Quantity::new);
    let max_per_customer = object.count("max_per_customer", 1, Quantity::MAX).and_then(Quantity::new);
    let group = object.text("group", Group::RULE, Group::parse);
    let visibility = object.text("visibility", Visibility::RULE, Visibility::parse);
    let most = max_per_hold.map_or(MAX_PER_HOLD_DEFAULT, Quantity::get);
    if price.is_some_and(|price| !fits_one_hold(price, most)) {
        object.complain("price", "too_large", refusals::price_too_large());
    }
    Some(NewProduct {
        id,
        sale,
        shards: shards.unwrap_or(Shards::ONE),
        name: name?,
        sku,
        metadata,
        price: price?,
        currency,
        total: total?,
        max_per_hold,
        max_per_customer,
        group,
        visibility,
    })
}

/// The rule for a price, with an example in as many decimals.
fn price_rule(currency: Currency) -> String {
    let nines = "9".repeat(currency.decimals());
    let example = if nines.is_empty() { "999".to_owned() } else { format!("9.{nines}") };
    format!("a decimal string in the decimals of {}, such as {example}", currency.code())
}

/// Makes a product. Answers it, and whether it made its sale too.
pub(super) async fn create(store: &Store, product: &NewProduct, act: &Act) -> Result<(Product, bool), Problem> {
    created(product, store.put_product(product, act).await?)
}

/// The product that was made, and whether it made its sale too.
pub(super) fn created(product: &NewProduct, outcome: PutProductOutcome) -> Result<(Product, bool), Problem> {
    match outcome {
        PutProductOutcome::Created { product, new_sale } => Ok((product, new_sale)),
        PutProductOutcome::AlreadyExists(id) => Err(already_exists(product, id)),
        PutProductOutcome::CurrencyDiffers { sale_currency } => Err(currency_differs("/currency", sale_currency)),
    }
}

/// The refusal of a product whose id or SKU the product `id` has.
pub(super) fn already_exists(wanted: &NewProduct, id: ProductId) -> Problem {
    let problem = match wanted.id {
        Some(own) if own == id => Problem::new(Code::AlreadyExists, "there is a product with this id already"),
        _ => sku_exists(),
    };
    problem.with("id", id.get())
}

pub(super) fn sku_exists() -> Problem {
    Problem::new(Code::AlreadyExists, "there is a product with this SKU already")
}

/// `pointer`: the field that does not fit.
pub(super) fn currency_differs(pointer: &str, sale_currency: Currency) -> Problem {
    Problem::of_fields(&[FieldError {
        pointer: pointer.to_owned(),
        code: "currency_differs",
        detail: format!("all products of this sale are sold in {}", sale_currency.code()).into(),
    }])
}
