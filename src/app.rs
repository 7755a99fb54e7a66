//! The application: settings in, a running server out.

use std::{
    io,
    net::{SocketAddr, TcpListener},
    sync::Arc,
    time::{Duration, Instant},
};

use actix_service::IntoServiceFactory;
use actix_web::{
    App, HttpServer,
    dev::{Server, ServerHandle},
    middleware::from_fn,
    web::Data,
};

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::{
    config::{RedisSource, Secret, Settings},
    embedded::{Embedded, EmbeddedError},
    http::{self, Admins, BodyLimits, Desk, Draining, FastPath, Gate},
    store::{Blueprint, Catalogue, DurabilityWanted, Failure, Limits, PreflightError, ServiceTerms, Store, Topology},
    webhook::{Provider, signature::Verifier},
};

/// Connections that one worker takes at the same time; more wait to be accepted.
const CONNECTIONS_MAX: usize = 25_000;
const RETRY_PAUSE: Duration = Duration::from_millis(100);

/// Why the service does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Embedded(#[from] EmbeddedError),
    #[error("redis.url cannot be read: use redis://, rediss:// or unix://, with a host and port or a path")]
    Url,
    #[error("{address}: {error}")]
    Preflight { address: String, error: PreflightError },
    #[error("{setting}: number {number} is not {form}")]
    Secret { setting: &'static str, number: usize, form: &'static str },
    #[error("cannot listen on {0}: {1}; --addr or http.addr names another address")]
    Listen(SocketAddr, io::Error),
    #[error("cannot start the server: {0}")]
    Io(#[from] io::Error),
}

/// A service that is about to run.
pub struct Application {
    server: Server,
    addr: SocketAddr,
    blueprint: Blueprint,
    draining: Draining,
    drain: Duration,
    /// How often to say which orders have lapsed.
    sweep: Duration,
    signals: StopSignals,
    /// Keeps the embedded Redis running for as long as the service does.
    embedded: Option<Embedded>,
}

impl Application {
    /// Finds Redis, looks at what it stands on, and listens. Requests are answered once it runs.
    ///
    /// # Errors
    /// [`StartError`], each saying what to do.
    pub async fn build(settings: &Settings, catalogue: Catalogue) -> Result<Self, StartError> {
        // Looked at first, so that a port that is taken leaves no Redis and no data folder behind. It is listened to only when
        // requests can be answered.
        drop(listen(settings.http.addr)?);
        let (topology, embedded) = find_redis(settings)?;
        let blueprint = prepare(settings, topology, Arc::new(catalogue), embedded.is_some()).await?;
        let draining = Draining::default();
        let desk = desk(settings, draining.clone())?;
        let listener = listen(settings.http.addr)?;
        let addr = listener.local_addr()?;
        let server = serve(settings, listener, blueprint.clone(), desk)?;
        tracing::info!(%addr, workers = settings.http.workers, "listening");
        let drain = Duration::from_secs(settings.http.drain_seconds);
        let sweep = Duration::from_millis(settings.events.sweep_ms);
        // From here on a signal stops in order; before, it just ends the process.
        let signals = StopSignals::listen()?;
        Ok(Self { server, addr, blueprint, draining, drain, sweep, signals, embedded })
    }

    /// Where it listens; the port was chosen by the system when the settings said 0.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The path of the embedded server's socket, if there is one.
    pub fn embedded_socket(&self) -> Option<std::path::PathBuf> {
        self.embedded.as_ref().map(Embedded::socket)
    }

    /// A store of its own for the calling thread.
    pub fn store(&self) -> Store {
        Store::new(&self.blueprint)
    }

    /// Stops a running application in order, from anywhere.
    pub fn handle(&self) -> ServerHandle {
        self.server.handle()
    }

    /// Runs until it is told to stop by SIGTERM, SIGINT or its handle; drains first.
    ///
    /// # Errors
    /// When the server fails.
    pub async fn run_until_stopped(self) -> io::Result<()> {
        let handle = self.server.handle();
        let (draining, drain, mut signals) = (self.draining, self.drain, self.signals);
        let sweeping = actix_web::rt::spawn(sweep(Store::new(&self.blueprint), self.sweep));
        let watch = actix_web::rt::spawn(async move {
            signals.received().await;
            tracing::info!(drain_seconds = drain.as_secs(), "stopping");
            draining.begin();
            tokio::time::sleep(drain).await;
            handle.stop(true).await;
        });
        let result = self.server.await;
        watch.abort();
        sweeping.abort();
        drop(self.embedded);
        tracing::info!("stopped");
        result
    }
}

fn listen(addr: SocketAddr) -> Result<TcpListener, StartError> {
    TcpListener::bind(addr).map_err(|error| StartError::Listen(addr, error))
}

fn find_redis(settings: &Settings) -> Result<(Topology, Option<Embedded>), StartError> {
    let limits = Limits {
        connect: Duration::from_millis(settings.redis.connect_timeout_ms),
        call: Duration::from_millis(settings.redis.call_timeout_ms),
        in_flight_max: settings.redis.in_flight_max,
        queue_max: settings.redis.queue_max,
    };
    let (url, embedded) = match &settings.redis.source {
        RedisSource::Standalone { url } => (url.expose().to_owned(), None),
        RedisSource::Embedded { data_dir, server } => {
            let embedded = Embedded::start(data_dir, server.as_deref(), &std::env::current_exe()?)?;
            (embedded.url(), Some(embedded))
        }
    };
    if url.starts_with("rediss://") {
        let _already = rustls::crypto::ring::default_provider().install_default();
    }
    Ok((Topology::single(&url, limits).map_err(|_| StartError::Url)?, embedded))
}

/// Waits for a Redis that is not there yet, as it happens when both start together.
async fn prepare(
    settings: &Settings,
    topology: Topology,
    catalogue: Arc<Catalogue>,
    is_ours: bool,
) -> Result<Blueprint, StartError> {
    let timeout = Duration::from_millis(settings.durability.timeout_ms);
    let wanted = DurabilityWanted { payments: settings.durability.payments, timeout, is_ours };
    let patience = Duration::from_secs(settings.redis.startup_seconds);
    let started = Instant::now();
    let mut said = false;
    loop {
        match Blueprint::prepare(topology.clone(), Arc::clone(&catalogue), terms(settings), wanted).await {
            Ok((blueprint, report)) => {
                tracing::info!("store: {report}");
                report.warning().iter().for_each(|warning| tracing::warn!("{warning}"));
                return Ok(blueprint);
            }
            Err(PreflightError::Failure(failure @ (Failure::Unavailable(_) | Failure::TimedOut(_))))
                if started.elapsed() < patience =>
            {
                if !said {
                    tracing::warn!(cause = %failure, "waiting up to {} s for Redis", patience.as_secs());
                    said = true;
                }
                tokio::time::sleep(RETRY_PAUSE).await;
            }
            Err(error) => return Err(StartError::Preflight { address: topology.address(), error }),
        }
    }
}

fn terms(settings: &Settings) -> ServiceTerms {
    ServiceTerms {
        hold_ms: settings.sale.hold_seconds * 1_000,
        hold_max_ms: settings.sale.hold_seconds_max * 1_000,
        payment_ms: settings.sale.payment_seconds * 1_000,
        payment_max_ms: settings.sale.payment_seconds_max * 1_000,
        idempotency_ms: settings.sale.idempotency_seconds * 1_000,
        event_ms: settings.webhook.remember_seconds * 1_000,
        retention_ms: settings.sale.retention_seconds * 1_000,
        events_max: settings.events.keep_max,
    }
}

/// Turns pending orders that have lapsed into events, until it is aborted.
async fn sweep(store: Store, pause: Duration) {
    if pause.is_zero() {
        return;
    }
    loop {
        tokio::time::sleep(pause).await;
        match store.sweep_in_turn(pause).await {
            Ok(0) => {}
            Ok(expired) => tracing::debug!(expired, "orders have lapsed"),
            // Requests tell when Redis is gone; here it is enough that the next turn comes.
            Err(failure) => tracing::debug!(cause = %failure, "orders that lapsed could not be looked for"),
        }
    }
}

fn desk(settings: &Settings, draining: Draining) -> Result<Desk, StartError> {
    let webhook = &settings.webhook;
    let verifier = |(setting, provider, secrets): (_, &'static Provider, &[Secret])| {
        let secrets = secrets.iter().map(Secret::expose);
        Verifier::new(provider, secrets, webhook.allow_unsigned, webhook.tolerance_seconds)
            .map_err(|number| StartError::Secret { setting, number, form: provider.secret_form })
    };
    let verifiers = webhook.providers().into_iter().map(verifier).collect::<Result<Vec<_>, _>>()?;
    if webhook.allow_unsigned {
        tracing::warn!("webhook.allow_unsigned is on: anybody can mark an order as paid");
    } else if !verifiers.iter().any(Verifier::trusts_something) {
        let settings = webhook.providers().map(|(setting, ..)| setting).join(" and ");
        tracing::warn!("nothing in {settings}: every payment event will be refused");
    }
    Ok(Desk {
        limits: BodyLimits {
            body_bytes_max: settings.http.body_bytes_max,
            webhook_bytes_max: settings.http.webhook_bytes_max,
            read_timeout: Duration::from_millis(settings.http.read_timeout_ms),
        },
        verifiers: verifiers.into(),
        admins: Admins::new(
            settings.admin_token.iter().chain(&settings.admin_tokens).map(Secret::expose),
            settings.admin_read_tokens.iter().map(Secret::expose),
        ),
        gate: Gate::new(&settings.http.gate).map(Arc::new),
        draining,
    })
}

fn serve(settings: &Settings, listener: TcpListener, blueprint: Blueprint, desk: Desk) -> io::Result<Server> {
    let http = &settings.http;
    let server = HttpServer::new(move || {
        let store = Data::new(Store::new(&blueprint));
        let routes_desk = desk.clone();
        let app = App::new()
            .app_data(store.clone())
            .app_data(Data::new(desk.clone()))
            .wrap(from_fn(http::frame))
            .configure(move |config| http::routes::configure(config, &routes_desk));
        FastPath::beside(app.into_factory(), store, &desk)
    });
    Ok(server
        .workers(http.workers)
        .max_connections(CONNECTIONS_MAX)
        .keep_alive(Duration::from_secs(http.keep_alive_seconds))
        .client_request_timeout(Duration::from_millis(http.read_timeout_ms))
        .shutdown_timeout(http.shutdown_seconds)
        .disable_signals()
        .listen(listener)?
        .run())
}

/// The signals that stop the service, listened to from before anybody is told that it runs.
struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignals {
    fn listen() -> io::Result<Self> {
        Ok(Self { terminate: signal(SignalKind::terminate())?, interrupt: signal(SignalKind::interrupt())? })
    }

    async fn received(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
