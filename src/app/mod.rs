//! The application: settings in, a running server out.

mod doctor;
mod entrance;
mod files;
mod listen;
mod parts;
pub mod signals;
mod start;

use std::{io, net::SocketAddr, rc::Rc, sync::Arc, time::Duration};

use actix_web::dev::{Server, ServerHandle};
use sd_notify::NotifyState;

pub use self::{doctor::examine, parts::load_settings};
use self::{entrance::Entrance, parts::Parts, signals::StopSignals};
use crate::{
    config::{Complaints, Secret, Settings, Token},
    embedded::{Embedded, EmbeddedError},
    http::{
        AdminToken, Admins, BodyLimits, Cors, Draining, Gate, HttpContext, Live, MetricsTerms, Pages, SimulatedProvider,
    },
    store::{Blueprint, Catalogue, PreflightError, Store},
    webhook::{PROVIDERS, signature::Verifier},
};

/// How often the service looks whether Redis is the one that it began with.
const IDENTITY_PAUSE: Duration = Duration::from_millis(500);
/// In one of so many looks the service also looks whether all sales are there. A server that comes back is asked at once.
const LOOKS_FOR_SALES: u32 = 20;

/// Why the service does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Settings(#[from] Complaints),
    #[error(transparent)]
    Embedded(#[from] EmbeddedError),
    #[error("redis.url cannot be read: it must name each server by a host and port, or by the path of its socket")]
    Url,
    #[error("{address}: {error}")]
    Preflight { address: String, error: PreflightError },
    #[error("cannot listen on {0}: {1}; --addr or http.addr names another address")]
    Listen(SocketAddr, io::Error),
    #[error("cannot start the server: {0}")]
    Io(#[from] io::Error),
}

/// A service that is about to run.
pub struct Application {
    server: Server,
    addr: SocketAddr,
    entrance: Entrance,
    blueprint: Blueprint,
    draining: Draining,
    drain: Duration,
    /// The pause between two sweeps for orders that have lapsed.
    sweep: Duration,
    signals: StopSignals,
    /// Keeps the embedded Redis running as long as the service.
    embedded: Option<Embedded>,
}

impl Application {
    /// Finds Redis, checks that it is fit, and listens. Requests are answered once the application runs.
    ///
    /// # Errors
    /// [`StartError`], each saying what to do.
    pub async fn build(settings: &Settings, catalogue: Catalogue) -> Result<Self, StartError> {
        let mut complaints = Complaints::default();
        let parts = Parts::new(settings, &mut complaints);
        if !complaints.0.is_empty() {
            return Err(complaints.into());
        }
        // A first look at the port, so that one that is taken leaves no Redis and no data folder behind. The service listens
        // only when it can answer requests.
        listen::is_free(settings.http.addr)?;
        let (topology, embedded) = start::find_redis(settings, parts.redis)?;
        let catalogue = if settings.http.show_sequence { catalogue.numbered() } else { catalogue };
        let catalogue = Arc::new(catalogue);
        let blueprint = start::prepare(settings, topology, catalogue, parts.durability, embedded.is_some()).await?;
        if let Err(failure) = Store::new(&blueprint).look_at_sales().await {
            tracing::warn!(cause = %failure, "whether all sales are there is looked at later");
        }
        let draining = Draining::default();
        let context = context(settings, parts.verifiers, parts.gate, parts.cors, draining.clone());
        let listener = listen::listen(&settings.http)?;
        let addr = listener.local_addr()?;
        let entrance = Entrance::of(&listener)?;
        let server = listen::serve(settings, listener, blueprint.clone(), context)?;
        let drain = Duration::from_secs(settings.http.drain_seconds);
        let sweep = Duration::from_millis(settings.events.sweep_ms);
        // From here on a signal drains the service. Before, it just ends the process.
        let signals = StopSignals::listen()?;
        tracing::info!(%addr, workers = settings.http.workers, "listening");
        Ok(Self { server, addr, entrance, blueprint, draining, drain, sweep, signals, embedded })
    }

    /// The address that it listens on. The system chose the port when the settings said 0.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The socket of the embedded server, if there is one.
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

    /// Runs until a signal to stop ([`StopSignals`]) or its handle stops it. Drains first.
    ///
    /// # Errors
    /// When the server fails.
    pub async fn run_until_stopped(self) -> io::Result<()> {
        supervisor_hears(NotifyState::Ready);
        let handle = self.server.handle();
        let (draining, drain, entrance, mut signals) = (self.draining, self.drain, self.entrance, self.signals);
        let store = Rc::new(Store::new(&self.blueprint));
        let looking = actix_web::rt::spawn(look_at_redis(Rc::clone(&store)));
        let sweeping = actix_web::rt::spawn(sweep(store, self.sweep));
        let watch = actix_web::rt::spawn(async move {
            signals.received().await;
            tracing::info!(drain_seconds = drain.as_secs(), "stopping");
            supervisor_hears(NotifyState::Stopping);
            draining.begin();
            tokio::select! {
                () = finish(drain, entrance) => {}
                // Whoever asks twice does not want to wait.
                () = signals.received() => {}
            }
            handle.stop(true).await;
        });
        let result = self.server.await;
        watch.abort();
        sweeping.abort();
        looking.abort();
        drop(self.embedded);
        tracing::info!("stopped");
        result
    }
}

/// Says to systemd, or whoever else started the service with a `NOTIFY_SOCKET`, how it is. Else to nobody.
fn supervisor_hears(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::warn!(%error, "NOTIFY_SOCKET names nobody who listens");
    }
}

/// Answers until the proxies in front have gone elsewhere. Nobody is in front where there is no drain.
async fn finish(drain: Duration, entrance: Entrance) {
    if !drain.is_zero() {
        tokio::time::sleep(drain).await;
        entrance.close().await;
    }
}

/// Looks whether Redis was emptied or replaced, until it is aborted. The store logs that, and then answers nothing else.
async fn look_at_redis(store: Rc<Store>) {
    for look in 1_u32.. {
        tokio::time::sleep(IDENTITY_PAUSE).await;
        store.look_for_primary().await;
        let mut seen = store.check_identity().await;
        if seen.is_ok() && look % LOOKS_FOR_SALES == 0 {
            seen = store.look_at_sales().await;
        }
        if let Err(failure) = seen {
            tracing::debug!(cause = %failure, "Redis is gone or another");
        }
    }
}

/// Writes the events of pending orders that have lapsed, until it is aborted.
async fn sweep(store: Rc<Store>, pause: Duration) {
    if pause.is_zero() {
        return;
    }
    loop {
        tokio::time::sleep(pause).await;
        match store.sweep_in_turn(pause).await {
            Ok(0) => {}
            Ok(expired) => tracing::debug!(expired, "orders have lapsed"),
            // Requests report a Redis that is gone. Here it is enough that the next turn comes.
            Err(failure) => tracing::debug!(cause = %failure, "the sweep for lapsed orders failed"),
        }
    }
}

/// A token may be sent with its name and without.
fn shown(token: &Token) -> [AdminToken<'_>; 2] {
    [&token.secret, &token.whole].map(|text| AdminToken { name: token.name.as_deref(), secret: text.expose() })
}

fn context(
    settings: &Settings,
    verifiers: Vec<Verifier>,
    gate: Option<Gate>,
    cors: Option<Cors>,
    draining: Draining,
) -> HttpContext {
    let unsigned: Vec<&str> = PROVIDERS
        .iter()
        .filter(|provider| settings.webhook.allows_unsigned(provider.setting))
        .map(|provider| provider.path)
        .collect();
    if settings.webhook.allow_unsigned {
        tracing::warn!("webhook.allow_unsigned is on: anybody can mark an order as paid");
    } else if !unsigned.is_empty() {
        tracing::warn!("unsigned events are accepted at {}: anybody can mark an order as paid", unsigned.join(" and "));
    } else if !verifiers.iter().any(Verifier::trusts_something) {
        let settings = PROVIDERS.map(|provider| provider.setting).join(" and ");
        tracing::warn!("nothing in {settings}: every payment event will be refused");
    }
    let tokens = settings.admin.token.iter().map(|token| AdminToken { name: None, secret: token.expose() });
    let admins = Admins::new(
        tokens.chain(settings.admin.tokens.iter().flat_map(shown)),
        settings.admin.read_tokens.iter().flat_map(shown).map(|token| token.secret),
    );
    let admins_exist = admins.is_some();
    if admins.is_none() {
        tracing::warn!("no token in admin.token, admin.tokens or admin.read_tokens: there are no admin routes");
    }
    HttpContext {
        limits: BodyLimits {
            body_bytes_max: settings.http.body_bytes_max,
            webhook_bytes_max: settings.http.webhook_bytes_max,
            read_timeout: Duration::from_millis(settings.http.read_timeout_ms),
        },
        verifiers: verifiers.into(),
        admins,
        gate: gate.map(Arc::new),
        cors: cors.map(Arc::new),
        draining,
        metrics: MetricsTerms::new(
            settings.metrics.open,
            settings.metrics.token.iter().map(Secret::expose),
            settings.metrics.products_max,
        ),
        pages: Pages { storefront: settings.pages.storefront, dashboard: settings.pages.dashboard && admins_exist },
        simulated_provider: settings.webhook.simulated.then(SimulatedProvider::new).flatten().map(Arc::new),
        live: Arc::new(Live::new(settings.http.watchers_max)),
        requests: Arc::default(),
        shows_sequence: settings.http.show_sequence,
    }
}
