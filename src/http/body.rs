//! Reads bodies: bounded in size and time, JSON alone.

use std::{
    cell::RefCell,
    future::{Future, poll_fn},
    io::Read,
    pin::{Pin, pin},
    rc::Rc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use actix_web::{
    HttpMessage, HttpRequest,
    dev::{Payload, ServiceRequest},
    error::PayloadError,
    http::header::{self, HeaderMap},
    web::{Bytes, BytesMut},
};
use flate2::read::{MultiGzDecoder, ZlibDecoder};
use futures_util::{Stream, StreamExt};

use super::{
    BodyLimits, extract,
    fields::{self, Json},
    problem::{Code, FieldError, Problem},
};

const JSON: &str = "application/json";
const CODINGS: &str = "gzip, deflate, identity";
/// Bytes of a body that nobody needs, and time that it may take, before its connection is given up.
const DRAINED_BYTES_MAX: usize = 64 * 1024;
const DRAINING_MAX: Duration = Duration::from_millis(500);

/// The body as bytes, if it has this media type.
pub(super) async fn read(
    headers: &HeaderMap,
    payload: &mut Payload,
    wanted: &str,
    bytes_max: usize,
    limit: Duration,
) -> Result<Bytes, Problem> {
    if !is_of(media_type(headers), wanted) {
        return Err(other_media_type(wanted));
    }
    read_bytes(headers, payload, bytes_max, limit).await
}

/// The body as bytes, whatever its type.
pub(super) async fn read_bytes(
    headers: &HeaderMap,
    payload: &mut Payload,
    bytes_max: usize,
    limit: Duration,
) -> Result<Bytes, Problem> {
    let coding = coding(headers)?;
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    if announced.is_some_and(|bytes: u64| bytes > bytes_max as u64) {
        return Err(too_large(bytes_max));
    }
    let bytes = in_time(collect(payload, bytes_max), limit).await?;
    if let Some(coding) = coding { decoded(coding, &bytes, bytes_max) } else { Ok(bytes) }
}

/// Nearly every body has the very type. Any other type of JSON is read as well.
fn is_of(media_type: &str, wanted: &str) -> bool {
    let ends_in_json =
        || media_type.len() > 5 && media_type.as_bytes()[media_type.len() - 5..].eq_ignore_ascii_case(b"+json");
    media_type.eq_ignore_ascii_case(wanted)
        || wanted == JSON && (media_type.eq_ignore_ascii_case("text/json") || ends_in_json())
}

#[derive(Clone, Copy)]
enum Coding {
    Gzip,
    Deflate,
}

/// The coding of the body. `None`: it is as it is.
fn coding(headers: &HeaderMap) -> Result<Option<Coding>, Problem> {
    let mut coding = None;
    let lines = headers.get_all(header::CONTENT_ENCODING);
    for word in lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b',')) {
        let known = match word.trim_ascii().to_ascii_lowercase().as_slice() {
            b"" | b"identity" => continue,
            b"gzip" | b"x-gzip" => Coding::Gzip,
            b"deflate" => Coding::Deflate,
            _ => return Err(Problem::unknown_coding(CODINGS)),
        };
        // One in another is nothing that anybody sends in good faith.
        if coding.replace(known).is_some() {
            return Err(Problem::unknown_coding(CODINGS));
        }
    }
    Ok(coding)
}

/// What was coded. It may be no longer than a plain body, so a small body cannot become a large one.
fn decoded(coding: Coding, bytes: &[u8], bytes_max: usize) -> Result<Bytes, Problem> {
    let mut plain = Vec::new();
    let read = match coding {
        Coding::Gzip => MultiGzDecoder::new(bytes).take(bytes_max as u64 + 1).read_to_end(&mut plain),
        Coding::Deflate => ZlibDecoder::new(bytes).take(bytes_max as u64 + 1).read_to_end(&mut plain),
    };
    match read {
        Err(_) => Err(Problem::new(Code::MalformedJson, "the body is not what Content-Encoding says")),
        Ok(read) if read > bytes_max => Err(too_large(bytes_max)),
        Ok(_) => Ok(plain.into()),
    }
}

/// The server polls a request before it has handed over the body that came with it, and again right after. Were the first
/// poll to leave its waker with the body, handing it over would wake a task that is running, which would then run a third
/// time for nothing. So the first poll leaves none, only the alarm. A body that comes later
/// is handed over by the same task that polls the request.
async fn in_time(collecting: impl Future<Output = Result<Bytes, Problem>>, limit: Duration) -> Result<Bytes, Problem> {
    let mut collecting = pin!(collecting);
    let mut alarm = pin!(tokio::time::sleep(limit));
    let mut first = true;
    poll_fn(|context| {
        let mut unheard = Context::from_waker(Waker::noop());
        let whole = collecting.as_mut().poll(if first { &mut unheard } else { &mut *context });
        first = false;
        match whole {
            Poll::Ready(whole) => Poll::Ready(whole),
            Poll::Pending => alarm.as_mut().poll(context).map(|()| Err(too_slow(limit))),
        }
    })
    .await
}

/// The body as a JSON value of known shape: `read_object` takes what it knows and complains about the rest.
pub(super) async fn read_json<T>(
    request: &HttpRequest,
    payload: &mut Payload,
    read_object: impl FnOnce(Json<'_>, &mut Vec<FieldError>) -> Option<T>,
) -> Result<T, Problem> {
    read_json_of(request.headers(), payload, extract::context(request).limits, read_object).await
}

/// [`read_json`] for the parts of a request.
pub(super) async fn read_json_of<T>(
    headers: &HeaderMap,
    payload: &mut Payload,
    limits: BodyLimits,
    read_object: impl FnOnce(Json<'_>, &mut Vec<FieldError>) -> Option<T>,
) -> Result<T, Problem> {
    let bytes = read(headers, payload, JSON, limits.body_bytes_max, limits.read_timeout).await?;
    let json = fields::parse(&bytes).map_err(|_| not_json())?;
    let mut errors = Vec::new();
    match read_object(json, &mut errors) {
        Some(value) if errors.is_empty() => Ok(value),
        _ => Err(Problem::of_fields(&errors)),
    }
}

pub(super) fn other_media_type(wanted: &str) -> Problem {
    Problem::new(Code::UnsupportedMediaType, format!("send Content-Type: {wanted}"))
}

pub(super) fn not_json() -> Problem {
    Problem::new(Code::MalformedJson, "the body could not be read as JSON, or has a number that is too large")
}

async fn collect(payload: &mut Payload, bytes_max: usize) -> Result<Bytes, Problem> {
    let mut first = Bytes::new();
    let mut rest = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk =
            chunk.map_err(|_| Problem::new(Code::MalformedJson, "the body ended early or is damaged").closing())?;
        if first.len() + rest.len() + chunk.len() > bytes_max {
            return Err(too_large(bytes_max));
        }
        // Nearly every body comes in one piece, which is then not copied.
        if first.is_empty() {
            first = chunk;
        } else {
            rest.extend_from_slice(&chunk);
        }
    }
    if rest.is_empty() {
        return Ok(first);
    }
    Ok([&first[..], &rest[..]].concat().into())
}

/// Reads and drops the rest of a body, so that the connection can serve the next request. Whether it came to the end: more than
/// this costs more than a new connection.
pub(super) async fn drain(payload: &mut Payload) -> bool {
    let rest = async {
        let mut bytes = 0;
        while let Some(chunk) = payload.next().await {
            bytes += chunk.map_or(usize::MAX, |chunk| chunk.len());
            if bytes > DRAINED_BYTES_MAX {
                return false;
            }
        }
        true
    };
    tokio::time::timeout(DRAINING_MAX, rest).await.unwrap_or(false)
}

/// A refusal of a request whose body may not have been read.
pub(super) async fn drained(refusal: Problem, payload: &mut Payload) -> Problem {
    if refusal.closes() || drain(payload).await { refusal } else { refusal.closing() }
}

/// A body that its handler reads, and that is drained when the handler has left something.
pub(super) struct Shared(Rc<RefCell<Payload>>);

impl Shared {
    /// `None` when there is no body.
    pub(super) fn of(request: &mut ServiceRequest) -> Option<Self> {
        let payload = request.take_payload();
        if matches!(payload, Payload::None) {
            return None;
        }
        let shared = Rc::new(RefCell::new(payload));
        request.set_payload(Payload::Stream { payload: Box::pin(Self(Rc::clone(&shared))) });
        Some(Self(shared))
    }

    pub(super) async fn drain(self) -> bool {
        let mut payload = self.0.replace(Payload::None);
        drain(&mut payload).await
    }
}

impl Stream for Shared {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.0.borrow_mut().poll_next_unpin(context)
    }
}

fn too_slow(limit: Duration) -> Problem {
    Problem::new(Code::RequestTimeout, format!("the body did not arrive within {} ms", limit.as_millis())).closing()
}

fn too_large(bytes_max: usize) -> Problem {
    Problem::new(Code::BodyTooLarge, format!("a body may have {bytes_max} bytes"))
}

/// The media type of the body, without its parameters. Empty where the request names none.
pub(super) fn media_type(headers: &HeaderMap) -> &str {
    let given = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    given.and_then(|value| value.split(';').next()).unwrap_or("").trim()
}
