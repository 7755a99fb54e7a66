//! The parts of a provider that signs with HMAC-SHA256: keys, of which any may fit so that secrets can be rotated, comparing in
//! constant time, and [`in_headers`] for a signature and a timestamp in headers. A provider that puts them elsewhere uses the
//! keys alone.

use std::{future, sync::Arc};

use futures_util::future::LocalBoxFuture;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use super::{
    Credentials, Headers, Message, Verdict, Verify,
    signature::{self, Distrust},
};

/// A secret, ready to sign with.
#[derive(Clone)]
pub struct Key(Hmac<Sha256>);

impl Key {
    pub fn new(bytes: &[u8]) -> Option<Self> {
        Hmac::new_from_slice(bytes).ok().map(Self)
    }

    /// The signature of a head, and of the body that follows it.
    pub fn sign(&self, head: &str, body: &[u8]) -> [u8; 32] {
        let mut mac = self.0.clone();
        mac.update(head.as_bytes());
        mac.update(body);
        mac.finalize().into_bytes().into()
    }
}

/// The keys of all secrets of a provider.
pub struct Keys(Vec<Key>);

impl Keys {
    /// # Errors
    /// The position, from 1, of the first secret that is no key.
    pub fn new(secrets: &[&str], key: fn(&str) -> Option<Key>) -> Result<Self, usize> {
        signature::credentials(secrets, key).map(Self)
    }

    /// Checks that one of the signatures is of one of the keys.
    ///
    /// # Errors
    /// [`Distrust::NoSecret`] without keys, else [`Distrust::NoneFits`].
    pub fn check(&self, head: &str, body: &[u8], signatures: &[Vec<u8>]) -> Result<(), Distrust> {
        if self.0.is_empty() {
            return Err(Distrust::NoSecret);
        }
        // Signs once for each secret, however many signatures there are.
        let fits = |key: &Key| {
            let expected = key.sign(head, body);
            signatures.iter().any(|given| expected.ct_eq(given).into())
        };
        if self.0.iter().any(fits) { Ok(()) } else { Err(Distrust::NoneFits) }
    }
}

/// What the headers of a request claim about its signature.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// What was signed before the body.
    pub head: String,
    /// Epoch seconds.
    pub sent: u64,
    /// One of them must fit. One that could not be decoded is empty, and never fits.
    pub signatures: Vec<Vec<u8>>,
}

/// Verifies events whose signature and timestamp are in headers, where `claim` finds them.
///
/// # Errors
/// The position, from 1, of the first secret that is no key.
pub fn in_headers(
    secrets: &[&str],
    tolerance_seconds: u64,
    key: fn(&str) -> Option<Key>,
    claim: fn(&dyn Headers) -> Result<Claim, Distrust>,
) -> Result<Credentials, usize> {
    Ok(Arc::new(InHeaders { keys: Keys::new(secrets, key)?, tolerance_seconds, claim }))
}

struct InHeaders {
    keys: Keys,
    tolerance_seconds: u64,
    claim: fn(&dyn Headers) -> Result<Claim, Distrust>,
}

impl InHeaders {
    fn check<'a>(&self, message: Message<'a>) -> Verdict<'a> {
        let claim = (self.claim)(message.headers)?;
        signature::check_age(claim.sent, message.now_seconds, self.tolerance_seconds)?;
        self.keys.check(&claim.head, message.body, &claim.signatures)?;
        Ok(message.body.into())
    }
}

impl Verify for InHeaders {
    fn verify<'a>(&'a self, message: Message<'a>) -> LocalBoxFuture<'a, Verdict<'a>> {
        Box::pin(future::ready(self.check(message)))
    }
}
