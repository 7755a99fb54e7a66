//! The ground of the tests: private Redis servers, the service on top of them, and ways to call both.

pub mod app;
pub mod clock;
pub mod cluster;
pub mod commands;
pub mod contract;
pub mod faulty_service;
pub mod invariants;
pub mod mutant;
pub mod nginx;
pub mod orders;
pub mod process;
pub mod redis;
pub mod routes;
pub mod seed;
pub mod sse;
pub mod stalling_proxy;
pub mod stock;
pub mod terminal;
pub mod tls;

use proptest::test_runner::{Config as ProptestConfig, RngSeed};

/// Waits for a condition, as long as a slow machine may need.
pub async fn eventually(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let started = std::time::Instant::now();
    while !condition().await {
        assert!(started.elapsed().as_secs() < 60, "{what}: still not so after a minute");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

/// Says why a test returns without having tested anything. `scripts/test-topologies` counts these.
pub fn left_out(why: &str) {
    println!("left out: {why}");
}

/// Random cases from a printed seed; `FLASHSALE_TEST_SEED` repeats them.
pub fn random_cases(cases: u32) -> ProptestConfig {
    let given = std::env::var("FLASHSALE_TEST_SEED").ok().and_then(|text| text.parse().ok());
    let seed = given.unwrap_or_else(|| getrandom::u64().unwrap());
    println!("FLASHSALE_TEST_SEED={seed} repeats these cases");
    let config = ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() };
    // Nobody wants the shortest case that a mutant fails.
    let max_shrink_iters = if mutant::name().is_some() { 0 } else { config.max_shrink_iters };
    ProptestConfig { rng_seed: RngSeed::Fixed(seed), max_shrink_iters, ..config }
}
