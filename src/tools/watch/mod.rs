//! The watch: looks at running services again and again, and computes what they decide a second. It reads and changes nothing.

pub mod rates;
pub mod view;

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use serde::de::IgnoredAny;
use tokio::time::timeout;

use self::{
    rates::Seen,
    view::{Reviews, SaleView, ServiceView, StockView, View},
};
use super::client::{
    CallPath, TransportError,
    api::{ApiCall, ApiClient, CallError, Refusal},
    walk::read_list,
};
use crate::wire::{Page, figures::FiguresBody, product::ProductBody, sale::SaleBody};

/// The most products that a look reads.
pub const PRODUCTS_MAX: u64 = 2_000;
/// Open reviews that a look counts.
const REVIEWS_MAX: u64 = 100;
/// A service that takes longer for its figures does not answer. It must not delay what the others show.
const ANSWER_MAX: Duration = Duration::from_secs(3);
/// A process that was not seen for so long is forgotten.
const FORGET: Duration = Duration::from_mins(1);

/// Services that share one Redis, and what was seen of them.
pub struct Watch {
    services: Vec<Service>,
    sale: Option<String>,
    /// What each process counted when it was seen last, by its name.
    seen: HashMap<String, Seen>,
    stock: Option<StockView>,
    /// Since when the stock could not be read.
    stock_silent: Option<Instant>,
    activity: HashMap<u64, f64>,
    /// Whether a service ever answered. From then on only a refusal that would come again is the end.
    has_answered: bool,
}

struct Service {
    client: ApiClient,
    silent: Option<Silence>,
}

struct Silence {
    since: Instant,
    why: String,
}

impl Watch {
    pub fn new(clients: Vec<ApiClient>, sale: Option<String>) -> Self {
        let services = clients.into_iter().map(|client| Service { client, silent: None }).collect();
        Self {
            services,
            sale,
            seen: HashMap::new(),
            stock: None,
            stock_silent: None,
            activity: HashMap::new(),
            has_answered: false,
        }
    }

    /// Looks once. A service that does not answer is a part of the view.
    ///
    /// # Errors
    /// A refusal, which would come again with each look: no such sale, a wrong token. With the URL of who refused.
    pub async fn look(&mut self) -> Result<View, (Box<Refusal>, String)> {
        let has_answered = self.has_answered;
        let answers = join_all(self.services.iter_mut().map(|service| service.figures(has_answered))).await;
        let answers = answers.into_iter().collect::<Result<Vec<_>, _>>()?;
        let now = Instant::now();
        let stock = match answers.iter().position(Option::is_some) {
            Some(first) => self.services[first].stock(self.sale.as_deref(), has_answered).await?,
            None => None,
        };
        self.has_answered |= stock.is_some();
        self.note_stock(stock, now);
        let mut rates = rates::Rates::default();
        let (mut redis_at, mut redis_ms, mut processes) = (None, None::<f64>, Vec::new());
        for figures in answers.into_iter().flatten() {
            redis_at = redis_at.or(figures.redis_at.clone());
            redis_ms = figures.redis_ms.map(|ms| redis_ms.map_or(ms, |most| most.max(ms))).or(redis_ms);
            // Two URLs may lead to the same process.
            if !processes.contains(&figures.process) {
                let seen = Seen::of(&figures, now);
                if let Some(before) = self.seen.insert(figures.process.to_string(), seen) {
                    rates.add(&before, &self.seen[&*figures.process]);
                }
                processes.push(figures.process);
            }
        }
        self.seen.retain(|_, seen| now - seen.at < FORGET);
        Ok(View {
            at: redis_at,
            sale: self.sale.clone(),
            services: self.services.iter().map(|service| service.view(now)).collect(),
            processes: processes.len(),
            seconds: rates.seconds,
            redis_ms,
            holds: rates.holds.into(),
            orders: rates.orders.into(),
            payment_events: rates.payment_events.into(),
            stock: self.stock.clone(),
            stock_silent_seconds: self.stock_silent.map(|since| (now - since).as_secs()),
        })
    }

    /// How much a product changed lately.
    pub fn activity_of(&self, product: u64) -> f64 {
        self.activity.get(&product).copied().unwrap_or_default()
    }

    fn note_stock(&mut self, stock: Option<StockView>, now: Instant) {
        /// The part of its activity that a product keeps from look to look.
        const KEPT: f64 = 0.8;
        let Some(stock) = stock else {
            self.stock_silent.get_or_insert(now);
            return;
        };
        let before: HashMap<u64, [u64; 4]> =
            self.stock.iter().flat_map(|stock| &stock.products).map(|product| (product.id, units(product))).collect();
        let changed = |product: &ProductBody<'_>| {
            let was = before.get(&product.id).copied().unwrap_or_else(|| units(product));
            let moved = was.iter().zip(units(product)).map(|(was, is)| was.abs_diff(is)).fold(0, u64::saturating_add);
            #[expect(clippy::cast_precision_loss, reason = "only compared")]
            let moved = moved as f64;
            (product.id, self.activity_of(product.id) * KEPT + moved)
        };
        self.activity = stock.products.iter().map(changed).collect();
        self.stock = Some(stock);
        self.stock_silent = None;
    }
}

/// Available, held, pending and sold.
fn units(product: &ProductBody<'_>) -> [u64; 4] {
    [product.available_stock, product.held_stock, product.pending_stock, product.sold_stock]
}

impl Service {
    async fn figures(&mut self, has_answered: bool) -> Result<Option<FiguresBody<'static>>, (Box<Refusal>, String)> {
        // The service measures Redis for its answer, and bounds that.
        let asked = timeout(ANSWER_MAX, self.client.send(ApiCall::get(CallPath::of("/api/admin/figures")))).await;
        let answer = match asked {
            Ok(answer) => answer.and_then(|reply| reply.json()),
            Err(_) => Err(CallError::Transport(TransportError::TimedOut(ANSWER_MAX))),
        };
        let since = self.silent.take().map_or_else(Instant::now, |silence| silence.since);
        self.silent = answer.as_ref().err().map(|error| Silence { since, why: error.to_string() });
        self.unless_refused(answer, has_answered)
    }

    /// The stock of a sale or of all, and open reviews. A service whose Redis is away cannot read them.
    async fn stock(
        &mut self,
        sale: Option<&str>,
        has_answered: bool,
    ) -> Result<Option<StockView>, (Box<Refusal>, String)> {
        let read = read_stock(&mut self.client, sale).await;
        self.unless_refused(read, has_answered)
    }

    /// `None`: there is no answer now.
    fn unless_refused<T>(
        &self,
        answer: Result<T, CallError>,
        has_answered: bool,
    ) -> Result<Option<T>, (Box<Refusal>, String)> {
        let is_end = |refusal: &Refusal| if has_answered { refusal.will_come_again() } else { refusal.is_refusal() };
        match answer {
            Err(CallError::Refused(refusal)) if is_end(&refusal) => Err((refusal, self.client.url().to_owned())),
            answer => Ok(answer.ok()),
        }
    }

    fn view(&self, now: Instant) -> ServiceView {
        ServiceView {
            url: self.client.url().to_owned(),
            silent_seconds: self.silent.as_ref().map(|silence| now.saturating_duration_since(silence.since).as_secs()),
            why: self.silent.as_ref().map(|silence| silence.why.clone()),
        }
    }
}

async fn read_stock(client: &mut ApiClient, sale: Option<&str>) -> Result<StockView, CallError> {
    let named = match sale {
        Some(sale) => {
            let reply = client.send(ApiCall::get(CallPath::of("/api/admin/sales").segment(sale))).await?;
            Some(reply.json::<SaleBody<'static>>()?)
        }
        None => None,
    };
    let path = CallPath::of("/api/admin/products").maybe("sale", sale);
    let Page { data: products, next_cursor } =
        read_list::<ProductBody<'static>>(client, path, Some(PRODUCTS_MAX), |_| {}).await?;
    let path = CallPath::of("/api/admin/reviews").with("status", "open").with("limit", REVIEWS_MAX);
    let reviews = client.send(ApiCall::get(path.maybe("sale", sale))).await?;
    let reviews: Page<IgnoredAny> = reviews.json()?;
    let sales = match named {
        Some(sale) => vec![SaleView::named(&sale)],
        None => SaleView::of_products(&products),
    };
    Ok(StockView {
        sales,
        products,
        has_more_products: next_cursor.is_some(),
        reviews: Reviews { open: reviews.data.len(), has_more: reviews.next_cursor.is_some() },
    })
}
