//! What is in the store now, for metrics: products with their stock, sales, pending orders, and open reviews. One look serves all
//! who ask within a few seconds, on whichever worker.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::sync::Mutex;

use super::{Failure, Reply, Store, keys::SaleKeys, redis::rank::PERSON};
use crate::domain::{
    outcome::{ListProductsOutcome, ListReviewsOutcome},
    product::Product,
    product_query::ProductQuery,
    review::{ReviewReason, ReviewStatus},
    sale::Sale,
    visibility::Audience,
};

/// How old a look may be.
const AGE_MAX: Duration = Duration::from_secs(5);
/// Longest time for a look. Metrics of the process do not wait for longer.
const LOOK_MAX: Duration = Duration::from_secs(2);
/// Sales that are looked at. Their orders are counted one sale at a time.
const SALES_MAX: usize = 1_000;
/// Open reviews that are counted.
const REVIEWS_MAX: usize = 1_000;
const CALLS_AT_ONCE: usize = 16;

/// What a look found. Everything in it is bounded, and says whether there is more.
#[derive(Debug)]
pub struct State {
    /// The time of Redis.
    pub now_ms: i64,
    /// By id.
    pub products: Vec<Product>,
    pub has_more_products: bool,
    /// By name, each with its pending orders: those that wait for a payment or whose lapse is not logged yet.
    pub sales: Vec<(Sale, u64)>,
    pub has_more_sales: bool,
    /// Open reviews by reason.
    pub reviews: BTreeMap<ReviewReason, OpenReviews>,
    pub has_more_reviews: bool,
}

#[derive(Clone, Copy, Debug)]
pub struct OpenReviews {
    pub count: u64,
    /// When the first of them was opened.
    pub opened_ms: i64,
}

/// The last look, and when it was.
pub type LastLook = Arc<Mutex<Option<(Instant, Arc<State>)>>>;

impl Store {
    /// At most so many products are read.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn state(&self, products_max: usize) -> Result<Arc<State>, Failure> {
        let looking = async {
            let mut last = self.last_look.lock().await;
            if let Some((at, state)) = &*last
                && at.elapsed() < AGE_MAX
            {
                return Ok(Arc::clone(state));
            }
            // In an overload a person wants to see it most of all.
            let state = Arc::new(PERSON.within(self.look_at_all(products_max)).await?);
            *last = Some((Instant::now(), Arc::clone(&state)));
            Ok(state)
        };
        let in_time = tokio::time::timeout(LOOK_MAX, looking).await;
        in_time.unwrap_or_else(|_| Err(Failure::timed_out("there is too much to look at")))
    }

    async fn look_at_all(&self, products_max: usize) -> Result<State, Failure> {
        let (products, has_more_products) = self.some_products(products_max).await?;
        let (sales, has_more_sales) = self.list_sales(None, SALES_MAX).await?;
        let calls = sales.into_iter().map(async |sale| Ok::<_, Failure>((self.pending_orders(&sale).await?, sale)));
        let counted: Vec<_> = stream::iter(calls).buffered(CALLS_AT_ONCE).try_collect().await?;
        let (reviews, has_more_reviews) = self.reviews_by_reason().await?;
        let sales = counted.into_iter().map(|(pending, sale)| (sale, pending)).collect();
        let (_, now_ms) = self.measure_redis().await?;
        Ok(State { now_ms, products, has_more_products, sales, has_more_sales, reviews, has_more_reviews })
    }

    async fn some_products(&self, limit: usize) -> Result<(Vec<Product>, bool), Failure> {
        let query = ProductQuery { limit, archived: Some(false), ..ProductQuery::of(Audience::Admins, None) };
        match self.list_products(&query).await? {
            ListProductsOutcome::Products { list, next } => Ok((list.products, next.is_some())),
            ListProductsOutcome::SaleNotFound => Ok((Vec::new(), false)),
        }
    }

    async fn reviews_by_reason(&self) -> Result<(BTreeMap<ReviewReason, OpenReviews>, bool), Failure> {
        let mut by_reason = BTreeMap::new();
        let open = self.list_reviews(ReviewStatus::Open, None, None, REVIEWS_MAX).await?;
        let ListReviewsOutcome::Reviews { reviews, next } = open else { return Ok((by_reason, false)) };
        for review in reviews {
            let none = OpenReviews { count: 0, opened_ms: review.opened_ms };
            let of_reason = by_reason.entry(review.reason).or_insert(none);
            of_reason.count += 1;
            of_reason.opened_ms = of_reason.opened_ms.min(review.opened_ms);
        }
        Ok((by_reason, next.is_some()))
    }

    async fn pending_orders(&self, sale: &Sale) -> Result<u64, Failure> {
        let mut pending = 0;
        for shard in self.spreads.shards(&sale.id, sale.shards).iter() {
            // None of one that is gone with its server.
            let count = self.runner.plain(redis::cmd("ZCARD").arg(SaleKeys(shard).due())).await;
            pending += Failure::or_damage(count, shard)?.map_or(Ok(0), |count| Reply::one(count).count())?;
        }
        Ok(pending)
    }
}
