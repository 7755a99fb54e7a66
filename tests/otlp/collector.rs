//! A small collector: it takes `POST /v1/traces`, and keeps what came.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use opentelemetry_proto::tonic::{
    collector::trace::v1::{ExportTraceServiceRequest, ExportTraceServiceResponse},
    common::v1::{KeyValue, any_value::Value},
    trace::v1::Span,
};
use prost::Message as _;

pub type Attributes = BTreeMap<String, String>;

/// The lines of its head in small letters, and its body.
type Message = (Vec<String>, ExportTraceServiceRequest);

#[derive(Clone, Default)]
pub struct Collector {
    messages: Arc<Mutex<Vec<Message>>>,
    refuses: Arc<AtomicBool>,
    pause_ms: Arc<AtomicU64>,
}

impl Collector {
    pub fn start() -> (Self, SocketAddr) {
        let (collector, listener) = (Self::default(), TcpListener::bind("127.0.0.1:0").unwrap());
        let addr = listener.local_addr().unwrap();
        let taken = collector.clone();
        thread::spawn(move || listener.incoming().flatten().for_each(|stream| taken.answer(&stream)));
        (collector, addr)
    }

    /// From now on it answers 500, or takes spans again.
    pub fn refuse(&self, refuses: bool) {
        self.refuses.store(refuses, Ordering::Relaxed);
    }

    /// From now on it takes so long for each message.
    pub fn be_slow(&self, pause: Duration) {
        self.pause_ms.store(pause.as_millis().try_into().unwrap(), Ordering::Relaxed);
    }

    fn answer(&self, mut stream: &TcpStream) {
        let (sent, message) = read(stream);
        thread::sleep(Duration::from_millis(self.pause_ms.load(Ordering::Relaxed)));
        let (status, body) = if self.refuses.load(Ordering::Relaxed) {
            ("500 Internal Server Error", Vec::new())
        } else {
            let message = ExportTraceServiceRequest::decode(&message[..]).unwrap();
            self.messages.lock().unwrap().push((sent, message));
            ("200 OK", ExportTraceServiceResponse::default().encode_to_vec())
        };
        let length = body.len();
        let head =
            format!("HTTP/1.1 {status}\r\nContent-Type: application/x-protobuf\r\nContent-Length: {length}\r\n\r\n");
        // The process may have ended meanwhile.
        let _sent = stream.write_all(&[head.as_bytes(), &body].concat());
    }

    /// The heads of all messages.
    pub fn heads(&self) -> Vec<Vec<String>> {
        self.messages.lock().unwrap().iter().map(|(head, _)| head.clone()).collect()
    }

    /// All spans, each with the attributes of its resource.
    pub fn spans(&self) -> Vec<(Attributes, Span)> {
        let mut all = Vec::new();
        for of_resource in self.messages.lock().unwrap().iter().flat_map(|(_, message)| &message.resource_spans) {
            let resource = attributes(&of_resource.resource.as_ref().unwrap().attributes);
            let spans = of_resource.scope_spans.iter().flat_map(|of_scope| &of_scope.spans);
            all.extend(spans.map(|span| (resource.clone(), span.clone())));
        }
        all
    }

    /// The spans with this name.
    pub fn named(&self, name: &str) -> Vec<Span> {
        self.spans().into_iter().map(|(_, span)| span).filter(|span| span.name == name).collect()
    }

    /// The only span with this name.
    pub fn only(&self, name: &str) -> Span {
        let mut found = self.named(name);
        let one = found.pop().filter(|_| found.is_empty());
        one.unwrap_or_else(|| {
            let names: Vec<_> = self.spans().into_iter().map(|(_, span)| span.name).collect();
            panic!("not one {name}: {names:?}")
        })
    }
}

/// Head and body of a request that is as it must be.
fn read(stream: &TcpStream) -> (Vec<String>, Vec<u8>) {
    let mut reader = BufReader::new(stream);
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        let line = line.trim_end().to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        head.push(line);
    }
    assert_eq!(head[0], "post /v1/traces http/1.1");
    let of = |name: &str| {
        let found: Vec<_> = head.iter().filter_map(|line| line.strip_prefix(name)).collect();
        let [one] = found[..] else { panic!("{name} {head:?}") };
        one.to_owned()
    };
    assert_eq!(of("content-type: "), "application/x-protobuf");
    let mut body = vec![0; of("content-length: ").parse().unwrap()];
    reader.read_exact(&mut body).unwrap();
    (head, body)
}

pub fn attributes(list: &[KeyValue]) -> Attributes {
    let text = |pair: &KeyValue| match pair.value.as_ref().unwrap().value.as_ref().unwrap() {
        Value::StringValue(text) => text.clone(),
        Value::IntValue(number) => number.to_string(),
        other => format!("{other:?}"),
    };
    list.iter().map(|pair| (pair.key.clone(), text(pair))).collect()
}
