//! The task that reads one topic for all who watch it.

use std::time::Duration;

use actix_web::web::Data;
use tokio::time::{Instant, sleep};

use super::{
    hub::{Reading, Topic},
    snapshot::Rows,
};
use crate::{
    domain::{
        outcome::{ListProductsOutcome, StockOutcome},
        product_query::ProductQuery,
        visibility::Audience,
    },
    http::answer,
    store::{Failure, Store},
    wire::product::ProductBody,
};

/// The pause between two reads while something changes, and the longest while nothing does.
const PAUSE_MIN: Duration = Duration::from_millis(100);
const PAUSE_MAX: Duration = Duration::from_secs(1);
/// A large sale is read for a part of the time. No more is waited for than the longest pause: a worker that sends an event to thousands
/// of watchers is late with its reads too.
const SHARE: u32 = 10;
/// However many products are watched, a process asks Redis for stock a thousand times a second at most.
const EACH: Duration = Duration::from_millis(1);
/// For how long nothing is said about a store that does not answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// Reads until nobody watches any more.
pub(super) async fn read(store: Data<Store>, reading: Reading) {
    let (mut pause, mut answered) = (PAUSE_MIN, Instant::now());
    loop {
        sleep(pause).await;
        if reading.has_ended() {
            return;
        }
        let (started, last) = (Instant::now(), reading.last());
        let next = match look(&store, reading.topic()).await {
            Ok(Some(rows)) => {
                answered = Instant::now();
                last.next(rows)
            }
            Ok(None) => return reading.publish(last.gone()),
            Err(_) if answered.elapsed() < PATIENCE => None,
            Err(_) => last.unavailable(),
        };
        pause = if next.is_some() { PAUSE_MIN } else { PAUSE_MAX.min(pause + pause / 4) };
        pause = pause
            .max(PAUSE_MAX.min(started.elapsed() * SHARE))
            .max(EACH * u32::try_from(reading.topics_read()).unwrap_or(u32::MAX));
        if let Some(next) = next {
            reading.publish(next);
        }
    }
}

/// The products of a topic now. `None`: it does not exist for everybody.
pub(super) async fn look(store: &Store, topic: &Topic) -> Result<Option<Rows>, Failure> {
    let row = |body: ProductBody<'_>| answer::write(&body);
    match topic {
        Topic::Product(id) => Ok(match store.stock(*id, Audience::Knowing).await? {
            StockOutcome::Stock(product) => Some([(*id, row(ProductBody::of(&product)))].into()),
            StockOutcome::ProductNotFound => None,
        }),
        Topic::Sale(sale) => {
            let query = ProductQuery::of(Audience::Everybody, Some(sale.clone()));
            Ok(match store.list_products(&query).await? {
                ListProductsOutcome::Products { list, .. } => {
                    Some(list.products.iter().map(|product| (product.id, row(ProductBody::of(product)))).collect())
                }
                ListProductsOutcome::SaleNotFound => None,
            })
        }
    }
}
