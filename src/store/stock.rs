//! `stock`: products as they stand, exact at the instant of the answer.

use std::{collections::BTreeMap, rc::Rc, time::Duration};

use futures_util::{StreamExt, TryStreamExt, stream};

use super::{
    Call, Failure, Op, Reply, Store,
    batch::Work,
    keys::{PRODUCTS, SaleKeys},
    record,
    reply::Fields,
    unknown_word,
};
use crate::domain::{
    ids::{ProductId, SaleId},
    money::Amount,
    outcome::{ListProductsOutcome, ProductList, StockOutcome},
    product::{Product, Stock},
    sale::Window,
};

/// Products that one call reads.
const CHUNK: usize = 64;
/// Calls of one list that wait for Redis at the same time, so that holds find their place between them.
const CALLS_AT_ONCE: usize = 16;
/// Longest time to list all products.
const LIST_MAX: Duration = Duration::from_secs(5);

impl Store {
    /// # Errors
    /// [`Failure`].
    pub async fn stock(&self, product: ProductId) -> Result<StockOutcome, Failure> {
        let Some(sale) = self.sale_of(product).await? else { return Ok(StockOutcome::ProductNotFound) };
        self.reads.ask(&(sale, product), ()).await
    }

    /// All products, by id. Products of one sale are of one instant, up to 64 of them.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn stock_of_all(&self) -> Result<ProductList, Failure> {
        let all = tokio::time::timeout(LIST_MAX, self.read_all()).await;
        all.unwrap_or_else(|_| Err(Failure::TimedOut("there are too many products to list".to_owned())))
    }

    /// At most `limit` products behind one, by id: all, or those of a sale. `next` is there while there are more.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn list_products(
        &self,
        sale: Option<&SaleId>,
        after: Option<ProductId>,
        limit: usize,
    ) -> Result<ListProductsOutcome, Failure> {
        if sale.is_some() && self.sales(sale).await?.is_none() {
            return Ok(ListProductsOutcome::SaleNotFound);
        }
        let mut places = self.directory().await?;
        places.retain(|(id, of)| after.is_none_or(|after| *id > after) && sale.is_none_or(|sale| of == sale));
        let more = places.len() > limit;
        places.truncate(limit);
        // By the directory and not by what could be read, so that a page on which nothing can be read is not the last.
        let next = places.last().filter(|_| more).map(|(id, _)| *id);
        Ok(ListProductsOutcome::Products { list: self.read_listed(places).await?, next })
    }

    async fn read_all(&self) -> Result<ProductList, Failure> {
        self.read_listed(self.directory().await?).await
    }

    /// Those that are there. One that cannot be read costs the others nothing.
    async fn read_listed(&self, places: Vec<(ProductId, SaleId)>) -> Result<ProductList, Failure> {
        let mut by_sale: BTreeMap<SaleId, Vec<ProductId>> = BTreeMap::new();
        for (product, sale) in places {
            by_sale.entry(sale).or_default().push(product);
        }
        let chunks = by_sale.iter().flat_map(|(sale, ids)| ids.chunks(CHUNK).map(move |chunk| (sale, chunk)));
        let calls = chunks.map(|(sale, chunk)| self.stock_of(sale, chunk));
        let rows: Vec<Rows> = stream::iter(calls).buffer_unordered(CALLS_AT_ONCE).try_collect().await?;
        let mut list = ProductList { products: Vec::new(), left_out: Vec::new() };
        for row in rows.into_iter().flatten() {
            match row {
                Ok(product) => list.products.push(product),
                Err(failure) => list.left_out.push(failure.to_string()),
            }
        }
        list.products.sort_by_key(|product| product.id);
        Ok(list)
    }

    /// All products that were ever given an id, by id.
    async fn directory(&self) -> Result<Vec<(ProductId, SaleId)>, Failure> {
        let all = Reply::read(self.runner.plain(redis::cmd("HGETALL").arg(PRODUCTS)).await?)?;
        let place = |(product, sale): (String, String)| {
            let place = ProductId::parse(&product).zip(SaleId::parse(&sale));
            place.ok_or_else(|| Failure::unreadable(format!("{product} in {sale:?} in the directory of products")))
        };
        let mut places = all.fields()?.into_iter().map(place).collect::<Result<Vec<_>, _>>()?;
        places.sort_unstable();
        Ok(places)
    }

    /// What cannot be read of the sale itself is told as one row.
    async fn stock_of(&self, sale: &SaleId, products: &[ProductId]) -> Result<Rows, Failure> {
        let (word, reply) = self.runner.call(stock_call(sale, products)).await?;
        match read_rows(sale, products, &word, reply) {
            Err(unreadable @ Failure::Unreadable(_)) => Ok(vec![Err(unreadable)]),
            rows => rows,
        }
    }
}

/// Products that are there, each as far as it can be read.
type Rows = Vec<Result<Product, Failure>>;

/// Reading one product for all who wait for it. The read starts after they asked, so what they are told was true at an
/// instant in between.
pub(super) struct Reads;

impl Work for Reads {
    type Key = (SaleId, ProductId);
    type Ask = ();
    type Answer = StockOutcome;
    const BATCH_MAX: usize = usize::MAX;

    fn call(&self, (sale, product): &Self::Key, _asks: &[()]) -> Call {
        stock_call(sale, &[*product])
    }

    fn read(
        &self,
        (sale, product): &Self::Key,
        asks: Vec<()>,
        word: &str,
        reply: Reply,
    ) -> Result<Vec<StockOutcome>, Failure> {
        let found = read_rows(sale, &[*product], word, reply)?.pop().transpose()?.map(Rc::new);
        let outcome = found.map_or(StockOutcome::ProductNotFound, StockOutcome::Stock);
        Ok(vec![outcome; asks.len()])
    }
}

fn stock_call(sale: &SaleId, products: &[ProductId]) -> Call {
    let keys = SaleKeys(sale);
    let call = Call::of(Op::Stock).keys(keys.units()).keys(products.iter().map(|id| keys.product(*id)));
    products.iter().fold(call, |call, id| call.number(id.get()))
}

fn read_rows(sale: &SaleId, products: &[ProductId], word: &str, mut reply: Reply) -> Result<Rows, Failure> {
    if word != "stock" {
        return Err(unknown_word(Op::Stock, word));
    }
    let head = Head::read(&mut reply).map_err(|failure| failure.of(format!("sale {sale}")))?;
    let mut found = Vec::new();
    for product in products {
        let row = reply.list()?;
        if !row.is_empty() {
            let read = read_product(sale, &head, row);
            found.push(read.map_err(|failure| failure.of(format!("product {} of sale {sale}", product.get()))));
        }
    }
    Ok(found)
}

/// The one product of a reply: what is said of its sale, then its row.
pub(super) fn read_one(sale: &SaleId, reply: &mut Reply) -> Result<Product, Failure> {
    let head = Head::read(reply)?;
    read_product(sale, &head, reply.list()?)
}

/// What is said once for all products of a sale.
struct Head {
    now_ms: i64,
    currency: String,
    window: Window,
}

impl Head {
    fn read(reply: &mut Reply) -> Result<Self, Failure> {
        let (now_ms, currency) = (reply.int()?, reply.text()?);
        let window = record::window(&reply.text()?, &reply.text()?, &reply.text()?)?;
        Ok(Self { now_ms, currency, window })
    }
}

fn read_product(sale: &SaleId, head: &Head, mut row: Reply) -> Result<Product, Failure> {
    Ok(Product {
        id: ProductId::new(row.count()?).ok_or_else(|| Failure::unreadable("a product id"))?,
        sale: sale.clone(),
        name: row.text()?,
        price: Amount::from_ten_thousandths(row.count()?),
        currency: record::currency(&head.currency)?,
        stock: Stock {
            total: row.count()?,
            available: row.count()?,
            held: row.count()?,
            pending: row.count()?,
            sold: row.count()?,
        },
        max_per_hold: row.count()?,
        max_per_customer: limit(&row.text()?)?,
        window: head.window,
        now_ms: head.now_ms,
        next_release_ms: row.instant_or_none()?,
    })
}

/// A product as an event tells it.
pub(super) fn from_event(sale: &SaleId, at_ms: i64, fields: &Fields) -> Result<Product, Failure> {
    let count = |name: &str| u64::try_from(fields.int(name)?).map_err(|_| Failure::unreadable("a product in an event"));
    Ok(Product {
        id: ProductId::new(count("product")?).ok_or_else(|| Failure::unreadable("a product id"))?,
        sale: sale.clone(),
        name: fields.text("name")?.to_owned(),
        price: Amount::from_ten_thousandths(count("price")?),
        currency: record::currency(fields.text("currency")?)?,
        stock: Stock {
            total: count("total")?,
            available: count("available")?,
            held: count("held")?,
            pending: count("pending")?,
            sold: count("sold")?,
        },
        max_per_hold: count("max_per_hold")?,
        max_per_customer: limit(fields.text("max_per_customer")?)?,
        window: record::window(fields.text("starts")?, fields.text("ends")?, fields.text("paused")?)?,
        now_ms: at_ms,
        next_release_ms: Some(fields.int("next_release")?).filter(|ms| *ms > 0),
    })
}

/// Empty: none.
fn limit(text: &str) -> Result<Option<u64>, Failure> {
    (!text.is_empty()).then(|| text.parse().map_err(|_| Failure::unreadable("a limit"))).transpose()
}
