//! The fast path: holds, orders, payment events and product reads, which a rush asks for, are answered without the router.
//!
//! It has no behaviour of its own. The routes give the same answers, through the same functions. A request on the fast path costs
//! no `HttpRequest`, no routing and one future. Its head is given back before it waits for Redis, so that hundreds of requests
//! may wait in little memory.

use std::{future::Future, pin::Pin, rc::Rc, sync::Arc};

use actix_http::Request;
use actix_web::{
    Error, HttpResponse,
    body::BoxBody,
    dev::{AppConfig, Payload, Response, Service, ServiceFactory, ServiceResponse, forward_ready},
    http::{
        ConnectionType, Method,
        header::{HeaderMap, HeaderName, HeaderValue},
    },
    web::Data,
};

use super::{
    BodyLimits, Cors, Draining, Gate, HttpContext, RequestMeter, admin, body,
    cors::{self, Allowed},
    edge::InCrowd,
    frame::Frame,
    health, holds, metrics, orders, payments,
    problem::{Code, Problem},
    products,
};
use crate::{
    domain::{ids::ProductId, visibility::Audience},
    store::{Store, sequence},
    webhook::{PROVIDERS, signature::Verifier},
};

const SALE_SEQUENCE: HeaderName = HeaderName::from_static("sale-sequence");

type LocalBoxFuture<T> = Pin<Box<dyn Future<Output = T>>>;

/// An application with a fast path beside it.
pub struct FastPath<A> {
    app: A,
    store: Data<Store>,
    limits: BodyLimits,
    verifiers: Arc<[Verifier]>,
    gate: Option<Arc<Gate>>,
    cors: Option<Arc<Cors>>,
    draining: Draining,
    shows_sequence: bool,
    meter: Rc<RequestMeter>,
}

impl<A> FastPath<A> {
    pub fn beside(app: A, store: Data<Store>, context: &HttpContext, meter: Rc<RequestMeter>) -> Self {
        let HttpContext { limits, verifiers, gate, cors, draining, shows_sequence, .. } = context.clone();
        Self { app, store, limits, verifiers, gate, cors, draining, shows_sequence, meter }
    }
}

impl<A> ServiceFactory<Request> for FastPath<A>
where
    A: ServiceFactory<Request, Config = AppConfig, Response = ServiceResponse, Error = Error>,
    A::Future: 'static,
    <A::Service as Service<Request>>::Future: 'static,
{
    type Response = Response<BoxBody>;
    type Error = Error;
    type Config = AppConfig;
    type Service = FastPath<A::Service>;
    type InitError = A::InitError;
    type Future = LocalBoxFuture<Result<Self::Service, A::InitError>>;

    fn new_service(&self, config: AppConfig) -> Self::Future {
        let app = self.app.new_service(config);
        let (store, limits, shows_sequence) = (self.store.clone(), self.limits, self.shows_sequence);
        let (verifiers, gate, cors) = (Arc::clone(&self.verifiers), self.gate.clone(), self.cors.clone());
        let (draining, meter) = (self.draining.clone(), Rc::clone(&self.meter));
        Box::pin(async move {
            let app = app.await?;
            Ok(FastPath { app, store, limits, verifiers, gate, cors, draining, shows_sequence, meter })
        })
    }
}

impl<A> Service<Request> for FastPath<A>
where
    A: Service<Request, Response = ServiceResponse, Error = Error>,
    A::Future: 'static,
{
    type Response = Response<BoxBody>;
    type Error = Error;
    type Future = LocalBoxFuture<Result<Response<BoxBody>, Error>>;

    forward_ready!(app);

    fn call(&self, request: Request) -> Self::Future {
        let Some(cors) = &self.cors else { return self.answer_in_its_place(request) };
        let allowed = cors.allowed(request.head().headers());
        let answer = if cors::is_preflight(request.head()) {
            Box::pin(std::future::ready(Ok(answer_preflight(&allowed, &request, &self.meter))))
        } else {
            self.answer_in_its_place(request)
        };
        Box::pin(async {
            let mut answer = answer.await?;
            allowed.mark(answer.headers_mut());
            Ok(answer)
        })
    }
}

impl<A> FastPath<A>
where
    A: Service<Request, Response = ServiceResponse, Error = Error>,
    A::Future: 'static,
{
    /// The answer to a request of a connection that is in the crowd or comes while the service drains is its last.
    fn answer_in_its_place(&self, request: Request) -> LocalBoxFuture<Result<Response<BoxBody>, Error>> {
        let in_crowd = request.conn_data::<InCrowd>().is_some();
        if !in_crowd && !self.draining.has_begun() {
            return self.answer(request);
        }
        let answer = if in_crowd && !is_vital(request.path()) {
            let route = Wanted::of(&request, &self.verifiers).map(|wanted| wanted.route());
            Box::pin(refuse(full(), request, route, Rc::clone(&self.meter)))
        } else {
            self.answer(request)
        };
        // So the client connects anew, to where there is room.
        Box::pin(async {
            let mut answer = answer.await?;
            answer.head_mut().set_connection_type(ConnectionType::Close);
            Ok(answer)
        })
    }

    fn answer(&self, request: Request) -> LocalBoxFuture<Result<Response<BoxBody>, Error>> {
        let answer = self.plain_answer(request);
        if self.shows_sequence { Box::pin(with_sequence(answer)) } else { answer }
    }

    fn plain_answer(&self, request: Request) -> LocalBoxFuture<Result<Response<BoxBody>, Error>> {
        let Some(wanted) = Wanted::of(&request, &self.verifiers) else {
            let answer = self.app.call(request);
            return Box::pin(async { Ok(answer.await?.into()) });
        };
        if let Some(gate) = self.gate.as_ref().filter(|_| wanted.is_of_storefront())
            && let Err(problem) = gate.pass(request.head())
        {
            return Box::pin(refuse(problem, request, Some(wanted.route()), Rc::clone(&self.meter)));
        }
        let frame = Frame::open(request.head().headers(), &self.meter);
        let (store, limits) = (self.store.clone(), self.limits);
        match wanted {
            Wanted::Product(id) => Box::pin(product(store, id, frame, request)),
            Wanted::Hold => Box::pin(posted(
                frame,
                request,
                holds::PATH,
                async move |headers, payload| holds::wanted(headers, payload, limits).await,
                async move |wanted| holds::hold(&store, wanted).await,
            )),
            Wanted::Order => Box::pin(posted(
                frame,
                request,
                orders::PATH,
                async move |headers, payload| orders::wanted(headers, payload, limits).await,
                async move |wanted| orders::order(&store, wanted).await,
            )),
            Wanted::Payment { path, verifier } => {
                let verifiers = Arc::clone(&self.verifiers);
                Box::pin(posted(
                    frame,
                    request,
                    path,
                    async move |headers, payload| payments::read(&verifiers[verifier], headers, payload, limits).await,
                    async move |reading| payments::answer(&store, &reading).await,
                ))
            }
        }
    }
}

/// A request that the fast path answers. One with a query is left to the routes, which know what to make of it.
enum Wanted {
    Hold,
    Order,
    Product(ProductId),
    /// `verifier`: the place of that of its provider.
    Payment {
        path: &'static str,
        verifier: usize,
    },
}

impl Wanted {
    fn of(request: &Request, verifiers: &[Verifier]) -> Option<Self> {
        if request.uri().query().is_some() {
            return None;
        }
        match *request.method() {
            Method::POST => match request.path() {
                holds::PATH => Some(Self::Hold),
                orders::PATH => Some(Self::Order),
                path => {
                    let verifier = payments::place_of(verifiers, path)?;
                    Some(Self::Payment { path: verifiers[verifier].provider.path, verifier })
                }
            },
            Method::GET | Method::HEAD => {
                let id = request.path().strip_prefix(products::PATH)?.strip_prefix('/')?;
                ProductId::parse(id).map(Self::Product)
            }
            _ => None,
        }
    }

    /// As the routes name it.
    fn route(&self) -> &'static str {
        match self {
            Self::Hold => holds::PATH,
            Self::Order => orders::PATH,
            Self::Product(_) => products::ONE,
            Self::Payment { path, .. } => path,
        }
    }

    /// Whether buyers ask for it, whom the gate counts.
    fn is_of_storefront(&self) -> bool {
        !matches!(self, Self::Payment { .. })
    }
}

/// What is answered in the crowd too: those who look after the service, and money.
fn is_vital(path: &str) -> bool {
    [health::LIVEZ, health::READYZ, metrics::PATH].contains(&path)
        || path.starts_with(admin::PREFIX)
        || PROVIDERS.iter().any(|provider| provider.path == path)
}

fn full() -> Problem {
    let detail = "this service has as many connections as it may have; nothing was done, try again later";
    Problem::new(Code::Overloaded, detail).retry_after(1)
}

fn answer_preflight(allowed: &Allowed, request: &Request, meter: &Rc<RequestMeter>) -> Response<BoxBody> {
    let frame = Frame::open(request.head().headers(), meter);
    frame.close(allowed.preflight(), request.method(), None, request.path()).into()
}

/// The answer says where the decision stands among all of its sale.
async fn with_sequence(answer: LocalBoxFuture<Result<Response<BoxBody>, Error>>) -> Result<Response<BoxBody>, Error> {
    let (answer, sequence) = sequence::watched(answer).await;
    let mut answer = answer?;
    if let Some(sequence) = sequence {
        let text = HeaderValue::try_from(sequence.to_string()).expect("digits and a point");
        answer.headers_mut().insert(SALE_SEQUENCE, text);
    }
    Ok(answer)
}

/// `route`: its pattern, if there is one.
async fn refuse(
    problem: Problem,
    request: Request,
    route: Option<&'static str>,
    meter: Rc<RequestMeter>,
) -> Result<Response<BoxBody>, Error> {
    let frame = Frame::open(request.head().headers(), &meter);
    let (head, mut payload) = request.into_parts();
    let problem = body::drained(problem, &mut payload).await;
    Ok(frame.close(Err(problem), &head.method, route, head.uri.path()).into())
}

/// Reads a body, gives its head back, and does what it wants.
async fn posted<T>(
    frame: Frame,
    request: Request,
    path: &'static str,
    read: impl AsyncFnOnce(&HeaderMap, &mut Payload) -> Result<T, Problem>,
    act: impl AsyncFnOnce(T) -> Result<HttpResponse, Problem>,
) -> Result<Response<BoxBody>, Error> {
    let (head, mut payload) = request.into_parts();
    let answer = match read(head.headers(), &mut payload).await {
        Ok(wanted) => {
            drop((head, payload));
            frame.around(act(wanted)).await
        }
        Err(problem) => Err(body::drained(problem, &mut payload).await),
    };
    Ok(frame.close(answer, &Method::POST, Some(path), path).into())
}

async fn product(
    store: Data<Store>,
    id: ProductId,
    frame: Frame,
    request: Request,
) -> Result<Response<BoxBody>, Error> {
    let method = request.method().clone();
    drop(request);
    let answer = frame.around(products::product(&store, id, Audience::Knowing)).await;
    Ok(frame.close(answer, &method, Some(products::ONE), format_args!("{}/{id}", products::PATH)).into())
}
