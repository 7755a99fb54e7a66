//! The socket that clients connect to, and the server behind it.

use std::{
    fs, io,
    net::{SocketAddr, TcpListener},
    rc::Rc,
    time::Duration,
};

use actix_service::IntoServiceFactory;
use actix_web::{
    App,
    dev::Server,
    middleware::{NormalizePath, from_fn},
    web::Data,
};
use tokio::net::TcpSocket;

use super::{StartError, files};
use crate::{
    config::{Http, Settings},
    http::{self, FastPath, HttpContext, Pace, RequestMeter},
    store::{Blueprint, Store},
};

/// Linux cuts the backlog of every socket to this many, without a word.
const SYSTEM_BACKLOG: &str = "/proc/sys/net/core/somaxconn";

/// Listens with the backlog of the settings: so many clients may have connected before a worker looks at them. Needs a runtime.
pub(super) fn listen(http: &Http) -> Result<TcpListener, StartError> {
    let bind = || {
        let socket = if http.addr.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        // A service that is started again finds connections of the one before, which have not quite ended.
        socket.set_reuseaddr(true)?;
        socket.bind(http.addr)?;
        socket.listen(http.backlog)?.into_std()
    };
    bind().map_err(|error| StartError::Listen(http.addr, error))
}

/// A first look at the port.
pub(super) fn is_free(addr: SocketAddr) -> Result<(), StartError> {
    TcpListener::bind(addr).map(drop).map_err(|error| StartError::Listen(addr, error))
}

/// The backlog that the system allows.
pub(super) fn system_backlog() -> Option<u32> {
    fs::read_to_string(SYSTEM_BACKLOG).ok().and_then(|text| text.trim().parse().ok())
}

fn warn_of_short_backlog(asked: u32) {
    if let Some(allowed) = system_backlog().filter(|allowed| *allowed < asked) {
        tracing::warn!(
            allowed,
            asked,
            "the system lets fewer clients wait than http.backlog: raise net.core.somaxconn"
        );
    }
}

/// The server of the application. It runs once it is awaited.
pub(super) fn serve(
    settings: &Settings,
    listener: TcpListener,
    blueprint: Blueprint,
    context: HttpContext,
) -> io::Result<Server> {
    let http = &settings.http;
    warn_of_short_backlog(http.backlog);
    let connections = files::share(http.workers);
    let pace = Pace {
        keep_alive: Duration::from_secs(http.keep_alive_seconds),
        first_head: Duration::from_millis(http.head_timeout_ms),
    };
    let builder = Server::build();
    let stopping = builder.graceful_shutdown_signal();
    let edge = move || {
        let store = Data::new(Store::new(&blueprint));
        let (routes_context, meter) = (context.clone(), RequestMeter::new(&context.requests));
        let app = App::new()
            .app_data(store.clone())
            .app_data(Data::new(context.clone()))
            .app_data(Rc::clone(&meter))
            .wrap(from_fn(http::frame))
            .wrap(NormalizePath::trim())
            .configure(move |config| http::routes::configure(config, &routes_context));
        let app = FastPath::beside(app.into_factory(), store, &context, Rc::clone(&meter));
        http::edge(app, connections.places, pace, stopping.clone(), meter.connections())
    };
    Ok(builder
        .workers(http.workers)
        .max_concurrent_connections(connections.accepted_max)
        .shutdown_timeout(http.shutdown_seconds)
        .disable_signals()
        .listen("http", listener, edge)?
        .run())
}
