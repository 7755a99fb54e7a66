//! What a worker counts of requests: by route, method and code. Labels are those of the routes, never what a client wrote.

use std::{
    array,
    cell::RefCell,
    collections::BTreeMap,
    rc::Rc,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use actix_web::http::{Method, StatusCode};

use super::{holds, products};
use crate::metrics::{Count, Exposition, Histogram, Kind, Scale, Sums, Workers};

/// The route of a request for which there is none.
const NO_ROUTE: &str = "none";
const OTHER: &str = "other";

/// The codes of answers. Any other one is counted as `other`.
const CODES: [u16; 20] =
    [200, 201, 202, 204, 304, 400, 401, 403, 404, 405, 408, 409, 410, 413, 415, 422, 426, 429, 500, 503];

/// The requests of all workers.
#[derive(Default)]
pub struct Requests {
    routes: Mutex<Vec<(Label, Arc<RouteCells>)>>,
    in_flight: Workers<Count>,
    connections: Workers<Count>,
}

/// A route and a method.
type Label = (String, &'static str);

/// Requests of one worker to one route by one method.
pub(super) struct RouteCells {
    codes: [Count; CODES.len() + 1],
    took: Histogram,
}

/// Counts for one worker.
pub struct RequestMeter {
    all: Arc<Requests>,
    /// A rush asks for the first of them.
    known: RefCell<Vec<(Label, Arc<RouteCells>)>>,
    in_flight: Arc<Count>,
}

/// A request that is being answered, until it is dropped.
pub(super) struct InFlight(Rc<RequestMeter>);

impl RequestMeter {
    pub fn new(all: &Arc<Requests>) -> Rc<Self> {
        let in_flight = all.in_flight.join(Count::new());
        let meter = Self { all: Arc::clone(all), known: RefCell::default(), in_flight };
        meter.route(Some(holds::PATH), &Method::POST);
        meter.route(Some(products::ONE), &Method::GET);
        Rc::new(meter)
    }

    /// The connections that the worker serves.
    pub fn connections(&self) -> Arc<Count> {
        self.all.connections.join(Count::new())
    }

    pub(super) fn begin(self: &Rc<Self>) -> InFlight {
        self.in_flight.add(1);
        InFlight(Rc::clone(self))
    }

    /// The cells of a route, by its pattern. `None`: there is no route.
    pub(super) fn route(&self, pattern: Option<&str>, method: &Method) -> Arc<RouteCells> {
        let (pattern, method) = (pattern.unwrap_or(NO_ROUTE), word(method));
        let mut known = self.known.borrow_mut();
        if let Some((_, cells)) = known.iter().find(|((known, by), _)| known == pattern && *by == method) {
            return Arc::clone(cells);
        }
        let codes = array::from_fn(|_| Count::new());
        let cells = Arc::new(RouteCells { codes, took: Histogram::new(&Scale::TIME) });
        known.push(((pattern.to_owned(), method), Arc::clone(&cells)));
        lock(&self.all.routes).push(((pattern.to_owned(), method), Arc::clone(&cells)));
        cells
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.take(1);
    }
}

impl InFlight {
    pub(super) fn meter(&self) -> &RequestMeter {
        &self.0
    }
}

impl RouteCells {
    pub(super) fn answered(&self, status: StatusCode, took: Duration) {
        let place = CODES.iter().position(|code| *code == status.as_u16());
        self.codes[place.unwrap_or(CODES.len())].add(1);
        self.took.observe_time(took);
    }
}

impl Requests {
    /// Writes what was counted of each route, and of the connections.
    pub(super) fn write(&self, metrics: &mut Exposition) {
        let mut routes = BTreeMap::<Label, Vec<Arc<RouteCells>>>::new();
        for (label, cells) in lock(&self.routes).iter() {
            routes.entry(label.clone()).or_default().push(Arc::clone(cells));
        }
        metrics.family("flashsale_requests_total", Kind::Counter, "Requests that were answered, by the code.");
        for ((route, method), cells) in &routes {
            for place in 0..=CODES.len() {
                let count: u64 = cells.iter().map(|cells| cells.codes[place].get()).sum();
                // A route answers with few of all codes.
                if count > 0 {
                    let code = CODES.get(place).map_or_else(|| OTHER.to_owned(), u16::to_string);
                    metrics.sample(&[("route", route), ("method", method), ("code", &code)], count);
                }
            }
        }
        let help = "From the head of a request to the head of its answer.";
        metrics.family("flashsale_request_duration_seconds", Kind::Histogram, help);
        for ((route, method), cells) in &routes {
            let took = Sums::of_all(&Scale::TIME, cells.iter().map(|cells| &cells.took));
            metrics.histogram(&[("route", route), ("method", method)], &took);
        }
        let help = "Requests that are being answered, this one too.";
        metrics.single("flashsale_requests_in_flight", Kind::Gauge, help, self.in_flight.sum(Count::get));
        let help = "Connections of clients that are served.";
        metrics.single("flashsale_connections", Kind::Gauge, help, self.connections.sum(Count::get));
    }
}

pub(super) fn word(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::HEAD => "HEAD",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::PUT => "PUT",
        Method::OPTIONS => "OPTIONS",
        _ => OTHER,
    }
}

fn lock<T>(list: &Mutex<T>) -> MutexGuard<'_, T> {
    list.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_clients_make_up_adds_no_label() {
        let all = Arc::<Requests>::default();
        let meter = RequestMeter::new(&all);
        for made_up in 0..100 {
            let method = Method::from_bytes(format!("M{made_up}").as_bytes()).unwrap();
            meter.route(None, &method).answered(StatusCode::IM_A_TEAPOT, Duration::from_millis(1));
        }
        let mut metrics = Exposition::default();
        all.write(&mut metrics);
        let text = metrics.into_text();
        let counted: Vec<_> = text.lines().filter(|line| line.starts_with("flashsale_requests_total{")).collect();
        assert_eq!(counted, ["flashsale_requests_total{route=\"none\",method=\"other\",code=\"other\"} 100"]);
    }

    #[test]
    fn workers_are_added_up_and_a_request_is_in_flight_until_it_is_dropped() {
        let all = Arc::<Requests>::default();
        let workers = [RequestMeter::new(&all), RequestMeter::new(&all)];
        let begun = workers.each_ref().map(RequestMeter::begin);
        for meter in &workers {
            meter.route(Some("/api/holds"), &Method::POST).answered(StatusCode::CREATED, Duration::from_millis(1));
        }
        let text = |all: &Requests| {
            let mut metrics = Exposition::default();
            all.write(&mut metrics);
            metrics.into_text()
        };
        assert!(text(&all).contains("{route=\"/api/holds\",method=\"POST\",code=\"201\"} 2\n"));
        assert!(text(&all).contains("flashsale_requests_in_flight 2\n"));
        drop(begun);
        assert!(text(&all).contains("flashsale_requests_in_flight 0\n"));
    }
}
