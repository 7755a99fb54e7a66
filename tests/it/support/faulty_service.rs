//! A service that looks like flashsale and has a fault, so that a proof can be seen to fail.

use std::{
    collections::HashMap,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

/// Units of each product.
const TOTAL: i64 = 20;
/// The products of the only sale, `drop`: 1 to 12.
const PRODUCTS: u64 = 12;
/// The product that one fault is about.
const WRONG: u64 = 7;
/// Most units of a product for one customer.
const LIMIT: i64 = 2;

/// What is wrong with the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing, to show that the faults are what fails.
    None,
    /// Every buyer gets a unit, and the counters stop at the last one.
    Oversells,
    /// The counters miss every other unit that was given out.
    Miscounts,
    /// A request that is repeated with the same key gets another hold.
    Forgets,
    /// Two buyers get the same hold.
    Shares,
    /// Every buyer is refused, although there are units.
    Hoards,
    /// One unit too many of product 7 is given out, and the counters do not show it.
    OversellsOne,
    /// A release is answered well, and the units do not come back.
    Keeps,
    /// No customer is refused, whatever the limit.
    IsGenerous,
    /// Every customer is refused at the first unit of product 7.
    IsStrict,
    /// Counters that no sum can hold.
    Overflows,
    /// Each page of a list leads to the same next one.
    Circles,
    /// The log gives an event that it gave before.
    GoesBack,
    /// A body that comes byte by byte, and has no end.
    Trickles,
    /// A body of which nothing comes after the first byte.
    Stops,
}

#[derive(Default)]
struct State {
    /// Holds of each product, and how many of them were released.
    granted: HashMap<u64, i64>,
    released: HashMap<u64, i64>,
    /// The number of the hold that each key has.
    holds: HashMap<String, i64>,
    customers: HashMap<(String, u64), i64>,
}

struct Request {
    method: String,
    path: String,
    key: String,
    body: String,
}

/// Starts the service, which ends with this process.
pub fn start(fault: Fault) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let state = Arc::new(Mutex::new(State::default()));
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let state = Arc::clone(&state);
            thread::spawn(move || serve(stream, fault, &state));
        }
    });
    addr
}

fn serve(stream: TcpStream, fault: Fault, state: &Mutex<State>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut stream = stream;
    while let Some(request) = read(&mut reader) {
        if let Fault::Trickles | Fault::Stops = fault {
            return send_slowly(fault, stream);
        }
        let (status, body) = answer(fault, &mut state.lock().unwrap(), &request);
        let length = body.len();
        if write!(stream, "HTTP/1.1 {status} So\r\nContent-Length: {length}\r\n\r\n{body}").is_err() {
            return;
        }
    }
}

fn send_slowly(fault: Fault, mut stream: TcpStream) {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000000\r\n\r\n ";
    if stream.write_all(head.as_bytes()).is_err() {
        return;
    }
    while fault == Fault::Trickles && stream.write_all(b"\n").is_ok() {
        thread::sleep(Duration::from_millis(20));
    }
    // Until the client leaves.
    let _left = stream.read(&mut [0]);
}

fn read(reader: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut first = String::new();
    reader.read_line(&mut first).ok().filter(|bytes| *bytes > 0)?;
    let mut words = first.split(' ').map(str::to_owned);
    let (method, path) = (words.next()?, words.next()?);
    let mut request = Request { method, path, key: String::new(), body: String::new() };
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|bytes| *bytes > 0)?;
        match line.trim().to_lowercase().split_once(": ") {
            Some(("content-length", value)) => length = value.parse().ok()?,
            Some(("idempotency-key", value)) => value.clone_into(&mut request.key),
            Some(_) => {}
            None => break,
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    request.body = String::from_utf8(body).ok()?;
    Some(request)
}

fn answer(fault: Fault, state: &mut State, request: &Request) -> (u16, String) {
    let last = request.path.rsplit('/').next().unwrap();
    if let Some(page) = page(fault, &request.path) {
        return (200, page);
    }
    match (request.method.as_str(), request.path.as_str()) {
        ("DELETE", _) => release(fault, state, last),
        (_, "/api/holds") => hold(fault, state, request),
        (_, "/api/orders") => (201, request.body.replace("hold_id", "id").replace("hold_", "order_")),
        (_, "/api/payments/webhook") => (200, r#"{"outcome":"applied","order":null}"#.to_owned()),
        (_, "/api/admin/sales/drop") => (200, r#"{"id":"drop"}"#.to_owned()),
        (_, path) if ["/api/products?", "/api/admin/products?"].iter().any(|list| path.starts_with(list)) => {
            let all: Vec<String> = (1..=PRODUCTS).map(|id| product(fault, state, id)).collect();
            (200, format!(r#"{{"data":[{}]}}"#, all.join(",")))
        }
        _ => (200, product(fault, state, last.parse().unwrap_or(1))),
    }
}

/// A page of a list that has a fault.
fn page(fault: Fault, path: &str) -> Option<String> {
    let event = |id: &str| {
        let order = r#"{"id":"order_drop_x","hold_id":"hold_drop_x","items":[],"customer_id":null,"status":"pending",
            "total_amount":"5.00","currency":"USD","created_at":"c","payment_due_at":"d","paid_at":null}"#;
        format!(r#"{{"id":"{id}","type":"order.created","at":"t","sale":"drop","order":{order}}}"#).replace('\n', " ")
    };
    let is_log = path.starts_with("/api/admin/events?");
    match fault {
        Fault::Circles if is_log => Some(r#"{"data":[],"next_cursor":"7","more":true}"#.to_owned()),
        Fault::Circles if path.contains("limit=") => Some(r#"{"data":[],"next_cursor":"again"}"#.to_owned()),
        Fault::GoesBack if is_log && path.contains("after=7") => {
            Some(format!(r#"{{"data":[{}],"next_cursor":"8","more":true}}"#, event("drop:7-1")))
        }
        Fault::GoesBack if is_log => {
            let events = [event("drop:7-0"), event("drop:7-1")].join(",");
            Some(format!(r#"{{"data":[{events}],"next_cursor":"7","more":true}}"#))
        }
        _ => None,
    }
}

fn hold(fault: Fault, state: &mut State, request: &Request) -> (u16, String) {
    let body: serde_json::Value = serde_json::from_str(&request.body).unwrap();
    let product = body["product_id"].as_u64().unwrap();
    let customer = body["customer_id"].as_str().unwrap_or_default().to_owned();
    let granted = state.granted.get(&product).copied().unwrap_or_default();
    let known = state.holds.get(&request.key).copied().filter(|_| fault != Fault::Forgets);
    let most = if fault == Fault::OversellsOne && product == WRONG { TOTAL + 1 } else { TOTAL };
    let sold_out = granted >= most && fault != Fault::Oversells;
    if known.is_none() && (sold_out || fault == Fault::Hoards) {
        return (409, r#"{"code":"insufficient_stock"}"#.to_owned());
    }
    let of_customer = state.customers.entry((customer.clone(), product)).or_default();
    let limit = if fault == Fault::IsStrict && product == WRONG { 0 } else { LIMIT };
    if known.is_none() && !customer.is_empty() && *of_customer >= limit && fault != Fault::IsGenerous {
        return (409, r#"{"code":"customer_limit_reached"}"#.to_owned());
    }
    let number = known.unwrap_or_else(|| {
        *of_customer += 1;
        state.granted.insert(product, granted + 1);
        state.holds.insert(request.key.clone(), granted + 1);
        granted + 1
    });
    let number = if fault == Fault::Shares { number / 2 } else { number };
    let seconds = if request.body.contains("ttl_seconds") { 1 } else { 900 };
    (201, format!(r#"{{"id":"hold_{product}_{number}","expires_in":{seconds}}}"#))
}

fn release(fault: Fault, state: &mut State, hold: &str) -> (u16, String) {
    let product = hold.split('_').nth(1).and_then(|product| product.parse().ok()).unwrap();
    if fault != Fault::Keeps {
        *state.released.entry(product).or_default() += 1;
    }
    (204, String::new())
}

fn product(fault: Fault, state: &State, id: u64) -> String {
    let of = |all: &HashMap<u64, i64>| all.get(&id).copied().unwrap_or_default();
    let given = match fault {
        Fault::Miscounts => of(&state.granted) / 2,
        _ => of(&state.granted).min(TOTAL),
    };
    let held = (given - of(&state.released)).max(0);
    let available = TOTAL - held;
    if fault == Fault::Overflows {
        let far = if given == 0 { i64::MAX } else { i64::MIN };
        return format!(
            r#"{{"id":{id},"sale":"drop","total_stock":{far},"available_stock":{far},"held_stock":{far},
                "pending_stock":{far},"sold_stock":{far}}}"#
        );
    }
    format!(
        r#"{{"id":{id},"sale":"drop","name":"Shoe {id}","max_per_customer":{LIMIT},"total_stock":{TOTAL},
            "available_stock":{available},"held_stock":{held},"pending_stock":0,"sold_stock":0}}"#
    )
}
