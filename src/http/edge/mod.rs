//! The edge: from accepted connections to requests. Each worker serves a bounded number of connections, which follows from the
//! files that the process may open.
//!
//! Nobody is left waiting in front of a full service. Beyond its places a worker keeps a few more connections, the crowd, and
//! answers their first request: health checks, admins and payment events as ever, everybody else 503. The crowd makes room for
//! newcomers by closing whoever has said nothing yet.

mod crowd;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzed;
mod hangup;
mod heads;
mod wire;

use std::{
    cell::Cell,
    fmt,
    future::Future,
    net::SocketAddr,
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use actix_http::{HttpService, Protocol, Request, error::DispatchError};
use actix_server::GracefulShutdownSignal;
use actix_service::{IntoServiceFactory, ServiceFactoryExt, map_config};
use actix_web::{
    Error,
    body::BoxBody,
    dev::{AppConfig, Response, Service, ServiceFactory},
    rt::net::TcpStream,
};

use self::{crowd::Crowd, wire::Wire};
pub(super) use self::{
    crowd::InCrowd,
    hangup::{Hangup, gone},
};
use crate::metrics::Count;

/// How long a connection that is about to close is read to its end, so that the client sees the last answer.
const LINGER: Duration = Duration::from_secs(1);

/// Connections of one worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Places {
    pub served_max: usize,
    /// Connections beyond those, which get one answer.
    pub crowd_max: usize,
}

/// Bounds on the time that connections take.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    pub keep_alive: Duration,
    /// For the first head of a connection.
    pub first_head: Duration,
}

/// The service for connections: one for each worker.
pub struct Edge<H> {
    http: H,
    places: Places,
    served: Served,
    crowd: Rc<Crowd>,
}

/// How many connections a worker serves, for itself and for metrics.
#[derive(Clone)]
struct Served {
    now: Rc<Cell<usize>>,
    counted: Arc<Count>,
}

/// Makes the edge in front of an application. `counted`: the connections that it serves, for metrics.
pub fn edge<F, S>(
    app: F,
    places: Places,
    pace: Pace,
    stopping: GracefulShutdownSignal,
    counted: Arc<Count>,
) -> Edge<impl ServiceFactory<Connection, Config = (), Response = (), Error = DispatchError, InitError = ()>>
where
    F: IntoServiceFactory<S, Request>,
    S: ServiceFactory<Request, Config = AppConfig, Response = Response<BoxBody>, Error = Error> + 'static,
    S::InitError: fmt::Debug,
    <S::Service as Service<Request>>::Future: 'static,
{
    let http = HttpService::build()
        .keep_alive(pace.keep_alive)
        .client_request_timeout(pace.first_head)
        .client_disconnect_timeout(LINGER)
        .graceful_shutdown_signal(move || {
            let stopping = stopping.clone();
            async move { stopping.notified().await }
        })
        .on_connect_ext(|wire: &Wire, extensions| {
            extensions.insert(wire.hangup());
            if wire.is_in_crowd() {
                extensions.insert(InCrowd);
            }
        })
        .finish(map_config(app.into_factory().map_err(|error| error.error_response()), |()| AppConfig::default()));
    let served = Served { now: Rc::default(), counted };
    Edge { http, places, served, crowd: Rc::new(Crowd::new(places.crowd_max)) }
}

/// A connection as `HttpService` takes it.
pub type Connection = (Wire, Protocol, Option<SocketAddr>);

impl<H> ServiceFactory<TcpStream> for Edge<H>
where
    H: ServiceFactory<Connection, Config = (), Response = (), InitError = ()>,
    H::Error: 'static,
    H::Future: 'static,
    H::Service: 'static,
{
    type Response = ();
    type Error = H::Error;
    type Config = ();
    type Service = Edge<H::Service>;
    type InitError = ();
    type Future = Pin<Box<dyn Future<Output = Result<Self::Service, ()>>>>;

    fn new_service(&self, (): ()) -> Self::Future {
        let http = self.http.new_service(());
        let (places, served, crowd) = (self.places, self.served.clone(), Rc::clone(&self.crowd));
        Box::pin(async move { Ok(Edge { http: http.await?, places, served, crowd }) })
    }
}

impl<H> Service<TcpStream> for Edge<H>
where
    H: Service<Connection, Response = ()>,
    H::Error: 'static,
    H::Future: 'static,
{
    type Response = ();
    type Error = H::Error;
    type Future = Seated<H::Future>;

    actix_service::forward_ready!(http);

    fn call(&self, io: TcpStream) -> Self::Future {
        let peer = io.peer_addr().ok();
        let serve = |wire| Box::pin(self.http.call((wire, Protocol::Http1, peer)));
        if self.served.now.get() < self.places.served_max {
            return Seated::Served(serve(Wire::new(io)), Seat::take(&self.served));
        }
        let Some(place) = self.crowd.enter() else {
            crowd::refuse(io);
            return Seated::Refused;
        };
        let served = serve(Wire::in_the_crowd(io, Rc::clone(&place)));
        Seated::InCrowd(Box::pin(Rc::clone(&self.crowd).keep(place, served)))
    }
}

/// A connection until it ends.
pub enum Seated<F: Future> {
    Served(Pin<Box<F>>, Seat),
    InCrowd(Pin<Box<dyn Future<Output = F::Output>>>),
    Refused,
}

impl<E, F: Future<Output = Result<(), E>>> Future for Seated<F> {
    type Output = Result<(), E>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.get_mut() {
            Self::Served(connection, _) => connection.as_mut().poll(context),
            Self::InCrowd(connection) => connection.as_mut().poll(context),
            Self::Refused => Poll::Ready(Ok(())),
        }
    }
}

/// Counts as one served connection until it is dropped.
pub struct Seat(Served);

impl Seat {
    fn take(served: &Served) -> Self {
        served.now.set(served.now.get() + 1);
        served.counted.add(1);
        Self(served.clone())
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.now.set(self.0.now.get() - 1);
        self.0.counted.take(1);
    }
}
