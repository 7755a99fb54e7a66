//! What tests stand on: private Redis servers, and the service on top of them.

pub mod app;
pub mod law;
pub mod process;
pub mod redis;

/// Waits for a condition, for as long as a slow machine may need.
pub async fn eventually(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let started = std::time::Instant::now();
    while !condition().await {
        assert!(started.elapsed().as_secs() < 60, "{what}: still not so after a minute");
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}
