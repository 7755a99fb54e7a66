//! Secrets that callers show, as digests: compared in constant time, so that neither a secret nor its length shows.

use sha2::{Digest as _, Sha256};
use subtle::{ConditionallySelectable, ConstantTimeEq};

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

    /// The place of the one that fits. All are compared.
    pub(super) fn find(&self, given: &Digest) -> Option<usize> {
        let mut found = 0_u64;
        for (place, digest) in (1..).zip(&self.0) {
            found.conditional_assign(&place, digest.ct_eq(given));
        }
        usize::try_from(found).ok()?.checked_sub(1)
    }
}

pub(super) fn digest(secret: &[u8]) -> Digest {
    Sha256::digest(secret).into()
}
