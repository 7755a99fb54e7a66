//! The products that buyers want: as the service shows them, and their counters again and again.

use serde::Deserialize;

use super::stock::StockCounters;
use crate::tools::{
    client::{
        CallPath,
        api::{ApiCall, ApiClient, CallError},
    },
    text::cut,
};

const NAME_CHARS_MAX: usize = 60;

/// A product, as far as a rush looks at it. Only its id and its counters must be there.
#[derive(Clone, Debug, Deserialize)]
pub struct WantedProduct {
    pub id: u64,
    #[serde(default)]
    pub sku: Option<String>,
    #[serde(default)]
    pub name: Option<String>,
    #[serde(default)]
    pub sale: Option<String>,
    /// Products that a limit of the sale counts together.
    #[serde(default)]
    pub group: Option<String>,
    #[serde(default)]
    pub max_per_customer: Option<u64>,
    #[serde(default)]
    visibility: Option<String>,
    #[serde(default)]
    archived: bool,
    /// The status of its sale.
    #[serde(default)]
    pub status: Option<String>,
    #[serde(default)]
    pub starts_at: Option<String>,
    #[serde(default)]
    pub ends_at: Option<String>,
    #[serde(flatten)]
    pub stock: StockCounters,
}

impl WantedProduct {
    /// Whether any hold of it is refused, as if it did not exist.
    fn is_withheld(&self) -> bool {
        self.archived || self.visibility.as_deref() == Some("hidden")
    }

    /// SKU and name, as far as there are any, and else the id.
    pub fn title(&self) -> String {
        let parts = [self.sku.as_deref(), self.name.as_deref()];
        let text = parts.into_iter().flatten().collect::<Vec<_>>().join(" ");
        if text.is_empty() { format!("product {}", self.id) } else { cut(&text, NAME_CHARS_MAX) }
    }
}

const PUBLIC: &str = "/api/products";
const ADMIN: &str = "/api/admin/products";

/// Where the products are read.
enum Source {
    Product(CallPath),
    /// The list of its products.
    Sale(CallPath),
}

/// Reads the products of one rush, on a connection of its own.
pub struct ProductReader {
    client: ApiClient,
    source: Source,
    /// The ids of those that are wanted, once they are known.
    wanted: Vec<u64>,
}

impl ProductReader {
    pub fn as_buyer(client: ApiClient, product: u64) -> Self {
        Self::new(client, Source::Product(CallPath::of(PUBLIC).segment(product)))
    }

    /// Reads over the admin route, which takes nothing from the rate limit that buyers meet.
    pub fn as_admin(client: ApiClient, product: u64) -> Self {
        Self::new(client, Source::Product(CallPath::of(ADMIN).segment(product)))
    }

    pub fn of_sale(client: ApiClient, sale: &str, by_admin: bool) -> Self {
        let path = CallPath::of(if by_admin { ADMIN } else { PUBLIC });
        Self::new(client, Source::Sale(path.with("sale", sale)))
    }

    fn new(client: ApiClient, source: Source) -> Self {
        Self { client, source, wanted: Vec::new() }
    }

    /// The products by id that can be held. From now on these are the ones that are read.
    ///
    /// # Errors
    /// [`CallError`].
    pub async fn find(&mut self) -> Result<Vec<WantedProduct>, CallError> {
        let mut products = self.all().await?;
        products.retain(|product| !product.is_withheld());
        products.sort_by_key(|product| product.id);
        self.wanted = products.iter().map(|product| product.id).collect();
        Ok(products)
    }

    /// The counters of the products that were found, in the same order.
    ///
    /// # Errors
    /// [`CallError`]; [`CallError::Unreadable`] when one of them is not there any more.
    pub async fn read(&mut self) -> Result<Vec<StockCounters>, CallError> {
        let products = self.all().await?;
        let of = |id: &u64| products.iter().find(|product| product.id == *id).map(|product| product.stock);
        self.wanted.iter().map(of).collect::<Option<Vec<_>>>().ok_or(CallError::Unreadable)
    }

    async fn all(&mut self) -> Result<Vec<WantedProduct>, CallError> {
        match &self.source {
            Source::Product(path) => Ok(vec![self.client.send(ApiCall::get(path.clone())).await?.json()?]),
            Source::Sale(path) => Ok(self.client.list(path.clone()).await?.data),
        }
    }
}
