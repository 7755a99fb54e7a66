//! Properties of bytes of connections: the edge and the HTTP server agree where each message ends.

use std::cell::LazyCell;

use actix_codec::Decoder;
use actix_http::{
    Request, ServiceConfig,
    h1::{Codec, Message},
};
use actix_web::{rt::Runtime, web::BytesMut};

use super::heads::Heads;

thread_local! {
    /// It has a clock, which needs a runtime once.
    static CONFIG: LazyCell<ServiceConfig> = const {
        LazyCell::new(|| Runtime::new().expect("a runtime").block_on(async { ServiceConfig::default() }))
    };
}

/// The first byte says where the rest is cut, because a connection is read in pieces.
pub(crate) fn heads(bytes: &[u8]) {
    let Some((cut, bytes)) = bytes.split_first() else { return };
    let cut = if *cut == b'.' { bytes.len() } else { usize::from(*cut).min(bytes.len()) };
    let mut passed = bytes.to_vec();
    let mut heads = Heads::First;
    let (first, second) = passed.split_at_mut(cut);
    heads.pass(first);
    heads.pass(second);
    let served = served(&passed);
    for (at, (before, after)) in bytes.iter().zip(&passed).enumerate() {
        if before != after {
            assert_eq!(*after, b' ', "byte {at} became another");
            assert!(served.is_head(at), "byte {at} of a body is blank: {:?}", text(bytes));
        }
    }
    // While a connection is followed, the server sees no upgrade.
    if !heads.are_plain() {
        assert!(!served.upgrades, "an upgrade was not seen: {:?}", text(bytes));
        if let (Heads::Followed { body }, Some(left)) = (&heads, served.left(passed.len())) {
            assert_eq!(*body, left, "bytes of the body that are left: {:?}", text(bytes));
        }
    }
    // The words are all that is different.
    let asks_for_sockets = bytes.to_ascii_lowercase().windows(9).any(|word| word == b"websocket");
    if !asks_for_sockets {
        let plain = self::served(bytes);
        assert_eq!((&plain.messages, plain.is_refused), (&served.messages, served.is_refused), "{:?}", text(bytes));
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// What the HTTP server makes of a connection.
#[derive(Default)]
struct Served {
    messages: Vec<String>,
    /// Where heads begin and end. One that is not whole, or is refused, ends with the bytes.
    heads: Vec<(usize, usize)>,
    upgrades: bool,
    is_refused: bool,
    /// The announced length of the last message, and where its body begins.
    last: Option<(u64, usize)>,
}

impl Served {
    fn is_head(&self, at: usize) -> bool {
        self.heads.iter().any(|(begin, end)| (*begin..*end).contains(&at))
    }

    /// Bytes of the last body that did not come. `None` where the last head is not whole, or refused.
    fn left(&self, bytes: usize) -> Option<u64> {
        let (length, begin) = self.last?;
        let is_last = self.heads.last().is_some_and(|(_, end)| *end == begin);
        (is_last && !self.is_refused).then(|| length.saturating_sub((bytes - begin) as u64))
    }
}

fn served(bytes: &[u8]) -> Served {
    let mut codec = Codec::new(CONFIG.with(|config| ServiceConfig::clone(config)));
    let (mut buffer, mut served) = (BytesMut::from(bytes), Served::default());
    let mut in_body = false;
    loop {
        let begin = bytes.len() - buffer.len();
        match codec.decode(&mut buffer) {
            Ok(Some(Message::Item(request))) => {
                let end = bytes.len() - buffer.len();
                served.heads.push((begin, end));
                served.upgrades |= request.upgrade();
                served.last = length(&request).map(|length| (length, end));
                served.messages.push(summary(&request));
                in_body = true;
            }
            Ok(Some(Message::Chunk(Some(chunk)))) => served.messages.push(text(&chunk)),
            Ok(Some(Message::Chunk(None))) => in_body = false,
            Ok(None) => break,
            Err(_) => {
                served.is_refused = true;
                served.heads.push((begin, bytes.len()));
                break;
            }
        }
    }
    let begin = bytes.len() - buffer.len();
    let is_in_body = in_body && served.last.is_some_and(|(length, begin)| ((bytes.len() - begin) as u64) < length);
    if !is_in_body && begin < bytes.len() {
        served.heads.push((begin, bytes.len()));
    }
    served
}

fn length(request: &Request) -> Option<u64> {
    let headers = request.head().headers();
    if headers.contains_key("transfer-encoding") {
        return None;
    }
    headers.get("content-length").map_or(Some(0), |length| length.to_str().ok()?.trim().parse().ok())
}

fn summary(request: &Request) -> String {
    let others =
        request.head().headers().iter().filter(|(name, _)| !["connection", "upgrade"].contains(&name.as_str()));
    let mut others: Vec<_> = others.map(|(name, value)| format!("{name}: {value:?}")).collect();
    others.sort();
    format!("{} {} {others:?}", request.method(), request.uri())
}
