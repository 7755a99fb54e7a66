//! A service that looks like ours and lies, so that a proof can be seen to fail.

use std::{
    collections::HashMap,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

const TOTAL: i64 = 20;

/// What it lies about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lie {
    /// Nothing: so the others are what fails.
    None,
    /// Everybody gets a unit, and the counters stop at the last one.
    Oversells,
    /// The counters forget every other unit that was given out.
    Miscounts,
    /// Asked again with the same key, it gives another hold.
    Forgets,
    /// Two buyers get the same hold.
    Shares,
    /// Everybody is refused, though there are units.
    Hoards,
}

#[derive(Default)]
struct Books {
    granted: i64,
    holds: HashMap<String, i64>,
}

struct Heard {
    path: String,
    key: String,
    body: String,
}

/// Starts it; it ends with this process.
pub fn start(lie: Lie) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    let books = Arc::new(Mutex::new(Books::default()));
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let books = Arc::clone(&books);
            thread::spawn(move || serve(stream, lie, &books));
        }
    });
    addr
}

fn serve(stream: TcpStream, lie: Lie, books: &Mutex<Books>) {
    let mut reader = BufReader::new(stream.try_clone().unwrap());
    let mut stream = stream;
    while let Some(heard) = read(&mut reader) {
        let (status, body) = answer(lie, &mut books.lock().unwrap(), &heard);
        let length = body.len();
        if write!(stream, "HTTP/1.1 {status} So\r\nContent-Length: {length}\r\n\r\n{body}").is_err() {
            return;
        }
    }
}

fn read(reader: &mut BufReader<TcpStream>) -> Option<Heard> {
    let mut first = String::new();
    reader.read_line(&mut first).ok().filter(|bytes| *bytes > 0)?;
    let mut heard = Heard { path: first.split(' ').nth(1)?.to_owned(), key: String::new(), body: String::new() };
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|bytes| *bytes > 0)?;
        match line.trim().to_lowercase().split_once(": ") {
            Some(("content-length", value)) => length = value.parse().ok()?,
            Some(("idempotency-key", value)) => value.clone_into(&mut heard.key),
            Some(_) => {}
            None => break,
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    heard.body = String::from_utf8(body).ok()?;
    Some(heard)
}

fn answer(lie: Lie, books: &mut Books, heard: &Heard) -> (u16, String) {
    match heard.path.as_str() {
        "/api/holds" => hold(lie, books, heard),
        "/api/orders" => (201, heard.body.replace("hold_id", "id").replace("hold_", "order_")),
        "/api/payments/webhook" => (200, r#"{"outcome":"applied","order":null}"#.to_owned()),
        _ => (200, product(lie, books)),
    }
}

fn hold(lie: Lie, books: &mut Books, heard: &Heard) -> (u16, String) {
    let known = books.holds.get(&heard.key).copied().filter(|_| lie != Lie::Forgets);
    let sold_out = books.granted >= TOTAL && lie != Lie::Oversells;
    if known.is_none() && (sold_out || lie == Lie::Hoards) {
        return (409, r#"{"code":"insufficient_stock"}"#.to_owned());
    }
    let number = known.unwrap_or_else(|| {
        books.granted += 1;
        books.holds.insert(heard.key.clone(), books.granted);
        books.granted
    });
    let number = if lie == Lie::Shares { number / 2 } else { number };
    let seconds = if heard.body.contains("ttl_seconds") { 1 } else { 900 };
    (201, format!(r#"{{"id":"hold_{number}","expires_in":{seconds}}}"#))
}

fn product(lie: Lie, books: &Books) -> String {
    let held = match lie {
        Lie::Miscounts => books.granted / 2,
        _ => books.granted.min(TOTAL),
    };
    let available = TOTAL - held;
    format!(
        r#"{{"id":1,"total_stock":{TOTAL},"available_stock":{available},"held_stock":{held},"pending_stock":0,"sold_stock":0}}"#
    )
}
