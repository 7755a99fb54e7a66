//! Secrets that callers show, as digests: compared in constant time, so that neither a secret nor its length shows.

use sha2::{Digest as _, Sha256};
use subtle::{Choice, ConstantTimeEq};

pub(super) type Digest = [u8; 32];

#[derive(Clone)]
pub(super) struct Digests(Vec<Digest>);

impl Digests {
    pub(super) fn of<'a>(secrets: impl IntoIterator<Item = &'a str>) -> Self {
        Self(secrets.into_iter().map(|secret| digest(secret.as_bytes())).collect())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All are compared, whichever fits.
    pub(super) fn have(&self, given: &Digest) -> bool {
        self.0.iter().fold(Choice::from(0), |fits, digest| fits | digest.ct_eq(given)).into()
    }
}

pub(super) fn digest(secret: &[u8]) -> Digest {
    Sha256::digest(secret).into()
}
