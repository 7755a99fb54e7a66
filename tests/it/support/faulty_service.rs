//! A service that looks like flashsale and has a fault, so that a proof can be seen to fail.

use std::{
    collections::HashMap,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

const TOTAL: i64 = 20;

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
}

#[derive(Default)]
struct State {
    granted: i64,
    holds: HashMap<String, i64>,
}

struct Request {
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
        let (status, body) = answer(fault, &mut state.lock().unwrap(), &request);
        let length = body.len();
        if write!(stream, "HTTP/1.1 {status} So\r\nContent-Length: {length}\r\n\r\n{body}").is_err() {
            return;
        }
    }
}

fn read(reader: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut first = String::new();
    reader.read_line(&mut first).ok().filter(|bytes| *bytes > 0)?;
    let mut request = Request { path: first.split(' ').nth(1)?.to_owned(), key: String::new(), body: String::new() };
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
    match request.path.as_str() {
        "/api/holds" => hold(fault, state, request),
        "/api/orders" => (201, request.body.replace("hold_id", "id").replace("hold_", "order_")),
        "/api/payments/webhook" => (200, r#"{"outcome":"applied","order":null}"#.to_owned()),
        _ => (200, product(fault, state)),
    }
}

fn hold(fault: Fault, state: &mut State, request: &Request) -> (u16, String) {
    let known = state.holds.get(&request.key).copied().filter(|_| fault != Fault::Forgets);
    let sold_out = state.granted >= TOTAL && fault != Fault::Oversells;
    if known.is_none() && (sold_out || fault == Fault::Hoards) {
        return (409, r#"{"code":"insufficient_stock"}"#.to_owned());
    }
    let number = known.unwrap_or_else(|| {
        state.granted += 1;
        state.holds.insert(request.key.clone(), state.granted);
        state.granted
    });
    let number = if fault == Fault::Shares { number / 2 } else { number };
    let seconds = if request.body.contains("ttl_seconds") { 1 } else { 900 };
    (201, format!(r#"{{"id":"hold_{number}","expires_in":{seconds}}}"#))
}

fn product(fault: Fault, state: &State) -> String {
    let held = match fault {
        Fault::Miscounts => state.granted / 2,
        _ => state.granted.min(TOTAL),
    };
    let available = TOTAL - held;
    format!(
        r#"{{"id":1,"total_stock":{TOTAL},"available_stock":{available},"held_stock":{held},"pending_stock":0,"sold_stock":0}}"#
    )
}
