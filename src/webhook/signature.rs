//! What all schemes of signing have in common: HMAC-SHA256 over a head and the body as it came, checked in constant time with
//! any of several secrets, within a tolerance to both sides of now. A scheme only says where in the headers things stand.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use super::{Headers, Provider, Sealed};

/// Signatures that a request may carry; a sender that rotates its secrets sends two.
const SIGNATURES_MAX: usize = 16;
/// Longer headers are not looked at.
const HEADER_BYTES_MAX: usize = 4_096;

/// What a request claims about its signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Stands before the body in what was signed.
    pub head: String,
    /// Epoch seconds.
    pub sent: u64,
    /// One of them must fit. What could not be decoded is empty, and never does.
    pub signatures: Vec<Vec<u8>>,
}

/// Why an event is not trusted. The log says which; the sender is only told the kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Distrust {
    #[error("the signature header is missing")]
    HeaderMissing,
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

/// A secret, ready to sign with.
#[derive(Clone)]
pub struct Key(Hmac<Sha256>);

impl Key {
    pub fn new(bytes: &[u8]) -> Option<Self> {
        Hmac::new_from_slice(bytes).ok().map(Self)
    }

    /// The signature of a body below its head.
    pub fn sign(&self, head: &str, body: &[u8]) -> [u8; 32] {
        let mut mac = self.0.clone();
        mac.update(head.as_bytes());
        mac.update(body);
        mac.finalize().into_bytes().into()
    }
}

/// Checks the signatures of a provider's events with any of several secrets, so that they can be rotated.
#[derive(Clone)]
pub struct Verifier {
    pub provider: &'static Provider,
    keys: Vec<Key>,
    allow_unsigned: bool,
    tolerance_seconds: u64,
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
        let keys = secrets.into_iter().enumerate().map(|(at, secret)| (provider.key)(secret).ok_or(at + 1));
        Ok(Self { provider, keys: keys.collect::<Result<_, _>>()?, allow_unsigned, tolerance_seconds })
    }

    /// Whether there is a way for an event to be trusted at all.
    pub fn trusts_something(&self) -> bool {
        self.allow_unsigned || !self.keys.is_empty()
    }

    /// # Errors
    /// [`Distrust`], when the event is not signed with one of the secrets within the tolerance.
    pub fn verify(&self, headers: Headers<'_, '_>, body: &[u8], now_seconds: u64) -> Result<(), Distrust> {
        // Without a secret a signature can be neither right nor wrong: the event is as good as unsigned.
        if self.allow_unsigned && self.keys.is_empty() {
            return Ok(());
        }
        let claim = match (self.provider.claim)(headers) {
            Err(Distrust::HeaderMissing) if self.allow_unsigned => return Ok(()),
            claim => claim?,
        };
        if claim.sent.saturating_add(self.tolerance_seconds) < now_seconds {
            return Err(Distrust::TooOld);
        }
        if claim.sent > now_seconds.saturating_add(self.tolerance_seconds) {
            return Err(Distrust::InFuture);
        }
        if self.keys.is_empty() {
            return Err(Distrust::NoSecret);
        }
        // Signed once for each secret, however many signatures the header has.
        let fits = |key: &Key| {
            let expected = key.sign(&claim.head, body);
            claim.signatures.iter().any(|given| expected.ct_eq(given).into())
        };
        if self.keys.iter().any(fits) { Ok(()) } else { Err(Distrust::NoneFits) }
    }
}

/// Signs events, as a provider does.
#[derive(Clone)]
pub struct Signer {
    provider: &'static Provider,
    key: Key,
}

impl Signer {
    /// `None` when the secret does not have the provider's form.
    pub fn new(provider: &'static Provider, secret: &str) -> Option<Self> {
        Some(Self { provider, key: (provider.key)(secret)? })
    }

    /// The headers that sign the body.
    pub fn headers(&self, id: &str, now_seconds: u64, body: &[u8]) -> Sealed {
        (self.provider.seal)(&self.key, id, now_seconds, body)
    }
}

/// A header as text, if it is there.
///
/// # Errors
/// When it is too long, or no text.
pub fn header<'r>(headers: Headers<'_, 'r>, name: &str) -> Result<Option<&'r str>, Distrust> {
    let Some(bytes) = headers(name) else { return Ok(None) };
    if bytes.len() > HEADER_BYTES_MAX {
        return Err(Distrust::HeaderTooLong);
    }
    let text = str::from_utf8(bytes).ok().filter(|text| text.is_ascii());
    text.map(Some).ok_or(Distrust::HeaderUnreadable)
}

/// Epoch seconds: digits alone.
///
/// # Errors
/// When it is anything else.
pub fn timestamp(text: &str) -> Result<u64, Distrust> {
    let digits = text.bytes().all(|b| b.is_ascii_digit());
    text.parse().ok().filter(|_| digits).ok_or(Distrust::TimestampUnreadable)
}

/// The signatures of the version that we know, of all that a header has.
///
/// # Errors
/// When there are too many, or none of that version.
pub fn signatures<'r>(
    all: impl Iterator<Item = &'r str>,
    known: impl Fn(&'r str) -> Option<Vec<u8>>,
) -> Result<Vec<Vec<u8>>, Distrust> {
    let all: Vec<&str> = all.filter(|entry| !entry.is_empty()).take(SIGNATURES_MAX + 1).collect();
    if all.len() > SIGNATURES_MAX {
        return Err(Distrust::TooManySignatures);
    }
    let known: Vec<Vec<u8>> = all.into_iter().filter_map(known).collect();
    if known.is_empty() { Err(Distrust::NoKnownVersion) } else { Ok(known) }
}
