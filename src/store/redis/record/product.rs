//! Products: the rows of `lua/lib/products.lua`, and what an event says of a product.

use super::{
    Failure, Fields, Reply, currency, metadata,
    rules::{self, Rules},
    sale::window,
};
use crate::domain::{
    act::Change,
    ids::{ProductId, SaleId},
    money::Amount,
    product::{NewProduct, Product, Stock},
    quantity::Quantity,
    sale::Window,
};

/// What a reply says once for all products of a sale.
pub struct ProductHead {
    now_ms: i64,
    currency: String,
    window: Window,
}

impl ProductHead {
    pub fn read(reply: &mut Reply) -> Result<Self, Failure> {
        let (now_ms, currency) = (reply.int()?, reply.text()?);
        let window = window(&reply.text()?, &reply.text()?, &reply.text()?)?;
        Ok(Self { now_ms, currency, window })
    }

    pub fn product(&self, sale: &SaleId, mut row: Reply) -> Result<Product, Failure> {
        let id = ProductId::new(row.count()?).ok_or_else(|| Failure::unreadable("a product id"))?;
        let (name, metadata) = (row.text()?, metadata(&row.text()?)?);
        let price = Amount::from_ten_thousandths(row.count()?);
        let stock = Stock {
            total: row.count()?,
            available: row.count()?,
            held: row.count()?,
            pending: row.count()?,
            sold: row.count()?,
        };
        let (max_per_hold, rules) = (row.count()?, row.text()?);
        let rules = Rules::read(&rules);
        let next_release_ms = row.instant_or_none()?;
        // Not in what an older version logged.
        let lent = if row.is_empty() { 0 } else { row.int()? };
        Ok(Product {
            id,
            sale: sale.clone(),
            name,
            sku: None,
            metadata,
            price,
            currency: currency(&self.currency)?,
            stock,
            max_per_hold,
            max_per_customer: rules.count("max_per_customer")?,
            window: self.window,
            now_ms: self.now_ms,
            next_release_ms,
            group: rules.group()?,
            visibility: rules.visibility()?,
            archived: rules.archived(),
            lent,
        })
    }
}

/// The one product of a reply: the head, then its row.
pub fn only_product(sale: &SaleId, reply: &mut Reply) -> Result<Product, Failure> {
    let head = ProductHead::read(reply)?;
    head.product(sale, reply.list()?)
}

/// The product of a reply that ends with its row, and with its row before a change: an empty one where nothing changed.
pub fn changed_product(sale: &SaleId, reply: &mut Reply) -> Result<Change<Product>, Failure> {
    let head = ProductHead::read(reply)?;
    let (after, before) = (head.product(sale, reply.list()?)?, reply.list()?);
    let before = (!before.is_empty()).then(|| head.product(sale, before)).transpose()?;
    Ok(Change { after, before })
}

/// The product that an event is about, before it. `row` has its row in lines.
pub fn before_event(sale: &SaleId, at_ms: i64, fields: &Fields, row: &str) -> Result<Product, Failure> {
    let window = window(fields.text("starts")?, fields.text("ends")?, fields.text("paused")?)?;
    let head = ProductHead { now_ms: at_ms, currency: fields.text("currency")?.to_owned(), window };
    let mut product = head.product(&sale_in(fields, "moved_from", sale)?, Reply::from_lines(row))?;
    // As the log has it after the event: with all its units, wherever they are.
    let Product { stock, lent, .. } = &mut product;
    stock.total = stock.total.saturating_add_signed(*lent);
    stock.available = stock.available.saturating_add_signed(std::mem::take(lent));
    Ok(product)
}

/// The product that an event is about, as it was then.
pub fn from_event(sale: &SaleId, at_ms: i64, fields: &Fields) -> Result<Product, Failure> {
    let rules = Rules::of(fields);
    let count = |name: &str| u64::try_from(fields.int(name)?).map_err(|_| Failure::unreadable("a product in an event"));
    Ok(Product {
        id: ProductId::new(count("product")?).ok_or_else(|| Failure::unreadable("a product id"))?,
        sale: sale_in(fields, "moved_to", sale)?,
        name: fields.text("name")?.to_owned(),
        sku: None,
        metadata: metadata(fields.get("metadata").unwrap_or_default())?,
        price: Amount::from_ten_thousandths(count("price")?),
        currency: currency(fields.text("currency")?)?,
        stock: Stock {
            total: count("total")?,
            available: count("available")?,
            held: count("held")?,
            pending: count("pending")?,
            sold: count("sold")?,
        },
        max_per_hold: count("max_per_hold")?,
        max_per_customer: rules.count("max_per_customer")?,
        window: window(fields.text("starts")?, fields.text("ends")?, fields.text("paused")?)?,
        now_ms: at_ms,
        next_release_ms: Some(fields.int("next_release")?).filter(|ms| *ms > 0),
        group: rules.group()?,
        visibility: rules.visibility()?,
        archived: rules.archived(),
        lent: 0,
    })
}

/// The sale of a product that moves, and otherwise that of the log.
fn sale_in(fields: &Fields, name: &str, of_log: &SaleId) -> Result<SaleId, Failure> {
    let sale = |text| SaleId::parse(text).ok_or_else(|| Failure::unreadable("a sale in an event"));
    fields.get(name).map_or_else(|| Ok(of_log.clone()), sale)
}

/// The rules of a new product.
pub fn rules(product: &NewProduct) -> String {
    rules::text([
        ("max_per_customer", rules::limit(product.max_per_customer.map(Quantity::get))),
        ("group", rules::group(product.group.as_ref())),
        ("visibility", rules::visibility(product.visibility.unwrap_or_default())),
    ])
}
