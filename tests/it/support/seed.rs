//! Many orders, made through the store in batches, as the service makes them.

use std::{sync::Arc, time::Duration};

use flashsale::{
    domain::{
        hold::{HoldCommand, Line, Lines},
        ids::ProductId,
        outcome::{HoldOutcome, OrderOutcome},
        payment::Foreign,
        quantity::Quantity,
        sale::SaleDefaults,
        text::CustomerId,
    },
    store::{Blueprint, Durability, DurabilityWanted, Failure, Limits, ServiceTerms, Store},
};
use futures_util::{StreamExt, stream};
use tokio::task::LocalSet;

use super::{mutant, redis::topology};

/// Orders that are being made at the same time.
const AT_ONCE: usize = 512;
const HOUR_MS: u64 = 3_600_000;

/// Pending orders of one unit, each for another customer, whose id is as long as ids may be.
pub async fn orders(redis_url: &str, product: u64, count: usize) {
    LocalSet::new()
        .run_until(async {
            let store = store(redis_url).await;
            let make = |number| order(&store, product, number);
            stream::iter(0..count).map(make).buffer_unordered(AT_ONCE).collect::<()>().await;
        })
        .await;
}

async fn order(store: &Store, product: u64, number: usize) {
    let line = Line { product: ProductId::new(product).unwrap(), quantity: Quantity::new(1).unwrap() };
    let command = HoldCommand {
        lines: Lines::new(vec![line]).unwrap(),
        customer: CustomerId::parse(&format!("{number:0>128}")),
        metadata: None,
        hold_ms: None,
        idempotency_key: None,
    };
    let outcome = loop {
        match store.hold(command.clone()).await {
            // It was never sent, because the machine is busy.
            Err(Failure::Overloaded(_)) => {}
            decided => break decided.unwrap(),
        }
    };
    let HoldOutcome::Held(hold) = outcome else { panic!("no hold for order {number}") };
    assert!(matches!(store.order(hold.id).await.unwrap(), OrderOutcome::Created(_)));
}

async fn store(redis_url: &str) -> Store {
    let timeout = Duration::from_secs(30);
    let limits = Limits { connect: timeout, call: timeout, in_flight_max: 2 * AT_ONCE, queue_max: AT_ONCE };
    let terms = ServiceTerms {
        sale: SaleDefaults {
            hold_ms: HOUR_MS,
            hold_max_ms: None,
            payment_ms: HOUR_MS,
            payment_max_ms: HOUR_MS,
            review_ms: HOUR_MS,
        },
        idempotency_ms: HOUR_MS,
        event_ms: HOUR_MS,
        refundable_ms: HOUR_MS,
        foreign: Foreign::Review,
        retention_ms: HOUR_MS,
        events_max: 1_000,
    };
    let topology = topology(redis_url, limits);
    let wanted = DurabilityWanted { payments: Durability::Memory, timeout, is_ours: true };
    let prepared = Blueprint::prepare(topology, Arc::new(mutant::catalogue()), terms, wanted).await;
    Store::new(&prepared.unwrap().0)
}
