//! The fast path: holds and product reads, which a rush asks for, are answered without the router.
//!
//! It has no behaviour of its own. The routes give the same answers, through the same functions. A request on the fast path costs
//! no `HttpRequest`, no routing and one future. Its head is given back before it waits for Redis, so that hundreds of requests
//! may wait in little memory.

use std::{future::Future, pin::Pin, rc::Rc, sync::Arc};

use actix_http::Request;
use actix_web::{
    Error,
    body::BoxBody,
    dev::{AppConfig, Response, Service, ServiceFactory, ServiceResponse, forward_ready},
    http::{
        ConnectionType, Method,
        header::{HeaderName, HeaderValue},
    },
    web::Data,
};

use super::{
    BodyLimits, Cors, Draining, Gate, HttpContext, RequestMeter, admin, body,
    cors::{self, Allowed},
    edge::InCrowd,
    frame::Frame,
    health, holds, metrics,
    problem::{Code, Problem},
    products,
};
use crate::{
    domain::{ids::ProductId, visibility::Audience},
    store::{Store, sequence},
    webhook::PROVIDERS,
};

const SALE_SEQUENCE: HeaderName = HeaderName::from_static("sale-sequence");

type LocalBoxFuture<T> = Pin<Box<dyn Future<Output = T>>>;

/// An application with a fast path beside it.
pub struct FastPath<A> {
    app: A,
    store: Data<Store>,
    limits: BodyLimits,
    gate: Option<Arc<Gate>>,
    cors: Option<Arc<Cors>>,
    draining: Draining,
    shows_sequence: bool,
    meter: Rc<RequestMeter>,
}

impl<A> FastPath<A> {
    pub fn beside(app: A, store: Data<Store>, context: &HttpContext, meter: Rc<RequestMeter>) -> Self {
        let HttpContext { limits, gate, cors, draining, shows_sequence, .. } = context.clone();
        Self { app, store, limits, gate, cors, draining, shows_sequence, meter }
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
        let (gate, cors, draining) = (self.gate.clone(), self.cors.clone(), self.draining.clone());
        let meter = Rc::clone(&self.meter);
        Box::pin(
            async move { Ok(FastPath { app: app.await?, store, limits, gate, cors, draining, shows_sequence, meter }) },
        )
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
            Box::pin(refuse(full(), request, Rc::clone(&self.meter)))
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
        let Some(wanted) = Wanted::of(&request) else {
            let answer = self.app.call(request);
            return Box::pin(async { Ok(answer.await?.into()) });
        };
        if let Some(Err(problem)) = self.gate.as_ref().map(|gate| gate.pass(request.head())) {
            return Box::pin(refuse(problem, request, Rc::clone(&self.meter)));
        }
        let frame = Frame::open(request.head().headers(), &self.meter);
        match wanted {
            Wanted::Hold => Box::pin(hold(self.store.clone(), self.limits, frame, request)),
            Wanted::Product(id) => Box::pin(product(self.store.clone(), id, frame, request)),
        }
    }
}

/// A request that the fast path answers. One with a query is left to the routes, which know no parameter.
enum Wanted {
    Hold,
    Product(ProductId),
}

impl Wanted {
    fn of(request: &Request) -> Option<Self> {
        if request.uri().query().is_some() {
            return None;
        }
        match *request.method() {
            Method::POST if request.path() == holds::PATH => Some(Self::Hold),
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
            Self::Product(_) => products::ONE,
        }
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

async fn refuse(problem: Problem, request: Request, meter: Rc<RequestMeter>) -> Result<Response<BoxBody>, Error> {
    let frame = Frame::open(request.head().headers(), &meter);
    let route = Wanted::of(&request).map(|wanted| wanted.route());
    let (head, mut payload) = request.into_parts();
    let problem = body::drained(problem, &mut payload).await;
    Ok(frame.close(Err(problem), &head.method, route, head.uri.path()).into())
}

async fn hold(
    store: Data<Store>,
    limits: BodyLimits,
    frame: Frame,
    request: Request,
) -> Result<Response<BoxBody>, Error> {
    let (head, mut payload) = request.into_parts();
    let answer = match holds::wanted(head.headers(), &mut payload, limits).await {
        Ok(wanted) => {
            drop((head, payload));
            frame.around(holds::hold(&store, wanted)).await
        }
        Err(problem) => Err(body::drained(problem, &mut payload).await),
    };
    Ok(frame.close(answer, &Method::POST, Some(holds::PATH), holds::PATH).into())
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
