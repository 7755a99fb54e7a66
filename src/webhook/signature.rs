//! The rules for all providers: whether unsigned events are allowed, reasons for distrust, bounds on headers, and the tolerance for
//! timestamps. The file of a provider says how it proves that an event is its own.

use std::sync::Arc;

use super::{Credentials, Headers, Message, Provider, Reading, Sign, Signed, event::EventError};

/// Signatures that a request may carry. A sender that rotates its secrets sends two.
const SIGNATURES_MAX: usize = 16;
/// Longer headers are not read.
const HEADER_BYTES_MAX: usize = 4_096;

/// Why an event is not trusted. The log gives the reason, the sender learns only the kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Distrust {
    #[error("there is no signature")]
    Unsigned,
    #[error("the signature headers are incomplete")]
    HeaderIncomplete,
    #[error("a signature header is no ASCII text")]
    HeaderUnreadable,
    #[error("a signature header is too long")]
    HeaderTooLong,
    #[error("too many signatures")]
    TooManySignatures,
    #[error("the timestamp is no whole number of seconds")]
    TimestampUnreadable,
    #[error("the timestamp is too old")]
    TooOld,
    #[error("the timestamp is in the future")]
    InFuture,
    #[error("no signature is of a known version")]
    NoKnownVersion,
    #[error("there is no secret to check it with")]
    NoSecret,
    #[error("no signature fits")]
    NoneFits,
}

/// Why a request of a provider gives no event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    Distrusted(Distrust),
    /// An unsigned event with another media type. A page in somebody's browser can send those without being asked whether it
    /// may. For a signed event the signature decides, whatever a proxy made of its headers.
    OtherMediaType,
    Misread(EventError),
}

/// Opens the events of a provider, with its secrets.
#[derive(Clone)]
pub struct Verifier {
    pub provider: &'static Provider,
    credentials: Credentials,
    has_secrets: bool,
    allow_unsigned: bool,
}

impl Verifier {
    /// # Errors
    /// The position, from 1, of the first secret that does not have the provider's form.
    pub fn new<'a>(
        provider: &'static Provider,
        secrets: impl IntoIterator<Item = &'a str>,
        allow_unsigned: bool,
        tolerance_seconds: u64,
    ) -> Result<Self, usize> {
        let secrets: Vec<&str> = secrets.into_iter().collect();
        let credentials = (provider.credentials)(&secrets, tolerance_seconds)?;
        Ok(Self { provider, credentials, has_secrets: !secrets.is_empty(), allow_unsigned })
    }

    /// Whether an event can be trusted at all.
    pub fn trusts_something(&self) -> bool {
        self.allow_unsigned || self.has_secrets
    }

    /// The event of a request. It is read only when it is trusted, and only from the bytes that are.
    ///
    /// # Errors
    /// [`Refusal`]
    pub async fn open(&self, message: Message<'_>) -> Result<Reading, Refusal> {
        // Without a secret a signature can be neither right nor wrong, so the event counts as unsigned.
        let verified = if self.has_secrets || !self.allow_unsigned {
            self.credentials.verify(message).await
        } else {
            Err(Distrust::Unsigned)
        };
        let trusted = match verified {
            Err(Distrust::Unsigned) if self.allow_unsigned => {
                if !media_type(message.headers).eq_ignore_ascii_case(self.provider.media_type) {
                    return Err(Refusal::OtherMediaType);
                }
                message.body.into()
            }
            verified => verified.map_err(Refusal::Distrusted)?,
        };
        (self.provider.read)(&trusted, message.headers).map_err(Refusal::Misread)
    }
}

/// Signs events as a provider does.
#[derive(Clone)]
pub struct Signer(Arc<Sign>);

impl Signer {
    /// `None` when the secret does not have the provider's form.
    pub fn new(provider: &Provider, secret: &str) -> Option<Self> {
        (provider.sign)(secret).map(Self)
    }

    /// The event as it is sent.
    pub fn sign(&self, id: &str, now_seconds: u64, body: String) -> Signed {
        (self.0)(id, now_seconds, body)
    }
}

/// Reads all secrets of a provider.
///
/// # Errors
/// The position, from 1, of the first secret that cannot be read.
pub fn credentials<T>(secrets: &[&str], read: impl Fn(&str) -> Option<T>) -> Result<Vec<T>, usize> {
    secrets.iter().enumerate().map(|(at, secret)| read(secret).ok_or(at + 1)).collect()
}

/// A header as text, if there is one.
///
/// # Errors
/// When it is too long, or not text.
pub fn header<'a>(headers: &'a dyn Headers, name: &str) -> Result<Option<&'a str>, Distrust> {
    let Some(bytes) = headers.value(name) else { return Ok(None) };
    if bytes.len() > HEADER_BYTES_MAX {
        return Err(Distrust::HeaderTooLong);
    }
    let text = str::from_utf8(bytes).ok().filter(|text| text.is_ascii());
    text.map(Some).ok_or(Distrust::HeaderUnreadable)
}

/// The media type of the body, without its parameters. Empty where the request names none.
fn media_type(headers: &dyn Headers) -> &str {
    let given = headers.value("content-type").and_then(|value| str::from_utf8(value).ok());
    given.and_then(|value| value.split(';').next()).unwrap_or("").trim()
}

/// Epoch seconds, written as digits.
///
/// # Errors
/// When it is anything else.
pub fn timestamp(text: &str) -> Result<u64, Distrust> {
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|_| digits).ok_or(Distrust::TimestampUnreadable)
}

/// Limits how long somebody can send a copy of an event again. The sender's clock may be fast or slow.
///
/// # Errors
/// When it was sent too long ago, or will be.
pub fn check_age(sent: u64, now_seconds: u64, tolerance_seconds: u64) -> Result<(), Distrust> {
    if sent.saturating_add(tolerance_seconds) < now_seconds {
        return Err(Distrust::TooOld);
    }
    if sent > now_seconds.saturating_add(tolerance_seconds) { Err(Distrust::InFuture) } else { Ok(()) }
}

/// The signatures of the version that we know, of all that a header has.
///
/// # Errors
/// When there are too many, or none of that version.
pub fn signatures<'a>(
    all: impl Iterator<Item = &'a str>,
    known: impl Fn(&'a str) -> Option<Vec<u8>>,
) -> Result<Vec<Vec<u8>>, Distrust> {
    let all: Vec<&str> = all.filter(|entry| !entry.is_empty()).take(SIGNATURES_MAX + 1).collect();
    if all.len() > SIGNATURES_MAX {
        return Err(Distrust::TooManySignatures);
    }
    let known: Vec<Vec<u8>> = all.into_iter().filter_map(known).collect();
    if known.is_empty() { Err(Distrust::NoKnownVersion) } else { Ok(known) }
}

/// Whether a verifier trusts a message, whatever its body means.
#[cfg(test)]
pub(super) fn judge(verifier: &Verifier, headers: &dyn Headers, body: &[u8], now_seconds: u64) -> Result<(), Distrust> {
    let opened = futures_util::FutureExt::now_or_never(verifier.open(Message { headers, body, now_seconds }))
        .expect("a signature needs no waiting");
    match opened {
        Err(Refusal::Distrusted(reason)) => Err(reason),
        Ok(_) | Err(Refusal::Misread(_) | Refusal::OtherMediaType) => Ok(()),
    }
}
