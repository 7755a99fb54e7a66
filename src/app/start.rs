//! Start-up: finds Redis, waits for it, and prepares what all workers share.

use std::{
    slice::from_ref,
    sync::Arc,
    time::{Duration, Instant},
};

use super::{
    StartError,
    parts::{Redis, limits, terms},
};
use crate::{
    config::{RedisSource, Secret, Settings},
    embedded::Embedded,
    store::{Blueprint, Catalogue, Durability, DurabilityWanted, Failure, PreflightError, Topology, doctor::Finding},
};

const RETRY_PAUSE: Duration = Duration::from_millis(100);

/// Chooses who encrypts, where a URL asks for that.
pub(super) fn prepare_tls(source: &RedisSource) {
    let urls = match source {
        RedisSource::Embedded { .. } => &[],
        RedisSource::Standalone { url } => from_ref(url),
        RedisSource::Sentinel { urls, .. } | RedisSource::Cluster { urls } => urls.as_slice(),
    };
    let has_tls = |url: &Secret| {
        let url = url.expose().to_ascii_lowercase();
        ["rediss:", "valkeys:"].iter().any(|tls| url.starts_with(tls))
    };
    if urls.iter().any(has_tls) {
        let _already_there = rustls::crypto::ring::default_provider().install_default();
    }
}

/// Where Redis is. The embedded server is started for it.
pub(super) fn find_redis(settings: &Settings, redis: Redis) -> Result<(Topology, Option<Embedded>), StartError> {
    prepare_tls(&settings.redis.source);
    match (redis, &settings.redis.source) {
        (Redis::At(topology), _) => Ok((topology, None)),
        (Redis::Embedded, RedisSource::Embedded { data_dir, server }) => {
            let wait_max = Duration::from_secs(settings.redis.startup_seconds);
            let embedded = Embedded::start(data_dir, server.as_deref(), &std::env::current_exe()?, wait_max)?;
            let topology = Topology::single(&embedded.url(), limits(settings)).map_err(|_| StartError::Url)?;
            Ok((topology, Some(embedded)))
        }
        (Redis::Embedded, _) => Err(StartError::Url),
    }
}

/// Waits for a Redis that is still starting, as it happens when both start together.
pub(super) async fn prepare(
    settings: &Settings,
    topology: Topology,
    catalogue: Arc<Catalogue>,
    payments: Durability,
    is_ours: bool,
) -> Result<Blueprint, StartError> {
    let timeout = Duration::from_millis(settings.durability.timeout_ms);
    let wanted = DurabilityWanted { payments, timeout, is_ours };
    let wait_max = Duration::from_secs(settings.redis.startup_seconds);
    let started = Instant::now();
    let mut has_warned = false;
    loop {
        match Blueprint::prepare(topology.clone(), Arc::clone(&catalogue), terms(settings), wanted).await {
            Ok((blueprint, report)) => {
                tracing::info!("store: {report}");
                for Finding { place, found, advice, .. } in report.weaknesses() {
                    tracing::warn!("{place}: {found}; {advice} (flashsale doctor says more)");
                }
                return Ok(blueprint);
            }
            Err(PreflightError::Failure(failure @ (Failure::Unavailable(_) | Failure::TimedOut(_))))
                if started.elapsed() < wait_max =>
            {
                if !has_warned {
                    tracing::warn!(cause = %failure, "waiting up to {} s for Redis", wait_max.as_secs());
                    has_warned = true;
                }
                tokio::time::sleep(RETRY_PAUSE).await;
            }
            Err(error) => return Err(StartError::Preflight { address: topology.to_string(), error }),
        }
    }
}
