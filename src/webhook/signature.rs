//! Signatures after the Standard Webhooks specification 1.0: HMAC-SHA256 over `<id>.<timestamp>.<body>`, in base64.

use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Signatures that one header may hold; a sender that rotates its secrets sends two.
const SIGNATURES_MAX: usize = 16;

/// What a request says about its signature.
#[derive(Clone, Copy, Debug, Default)]
pub struct Signed<'a> {
    pub id: Option<&'a str>,
    pub timestamp: Option<&'a str>,
    pub signature: Option<&'a str>,
}

/// Why an event is not trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Distrust {
    #[error("the signature headers are missing or incomplete")]
    Missing,
    #[error("no signature fits")]
    Invalid,
    #[error("the timestamp is too far from now")]
    OutOfTolerance,
}

/// Checks signatures with any of several secrets, so that they can be rotated.
#[derive(Clone)]
pub struct Verifier {
    keys: Vec<Hmac<Sha256>>,
    allow_unsigned: bool,
    tolerance_seconds: u64,
}

impl Verifier {
    /// `None` when a secret is not `whsec_` and base64; the position of the first such one, from 1, is in the error.
    ///
    /// # Errors
    /// The position of a secret that cannot be read.
    pub fn new<'a>(
        secrets: impl IntoIterator<Item = &'a str>,
        allow_unsigned: bool,
        tolerance_seconds: u64,
    ) -> Result<Self, usize> {
        let keys = secrets.into_iter().enumerate().map(|(at, secret)| key(secret).ok_or(at + 1));
        Ok(Self { keys: keys.collect::<Result<_, _>>()?, allow_unsigned, tolerance_seconds })
    }

    /// Whether there is a way for an event to be trusted at all.
    pub fn trusts_something(&self) -> bool {
        self.allow_unsigned || !self.keys.is_empty()
    }

    /// # Errors
    /// [`Distrust`], when the event is not signed with one of the secrets within the tolerance.
    pub fn verify(&self, signed: Signed<'_>, body: &[u8], now_seconds: i64) -> Result<(), Distrust> {
        let unsigned = signed.signature.is_none();
        if self.allow_unsigned && (unsigned || self.keys.is_empty()) {
            return Ok(());
        }
        let (Some(id), Some(timestamp), Some(signature)) = (signed.id, signed.timestamp, signed.signature) else {
            return Err(Distrust::Missing);
        };
        let sent: i64 = timestamp.parse().map_err(|_| Distrust::Invalid)?;
        if sent.abs_diff(now_seconds) > self.tolerance_seconds {
            return Err(Distrust::OutOfTolerance);
        }
        let fits = |given: &[u8]| self.keys.iter().any(|key| fits(key, [id, ".", timestamp, "."], body, given));
        let versioned = signature.split(' ').take(SIGNATURES_MAX).filter_map(|part| part.strip_prefix("v1,"));
        let mut given = versioned.filter_map(|text| STANDARD.decode(text).ok());
        if given.any(|given| fits(&given)) { Ok(()) } else { Err(Distrust::Invalid) }
    }
}

/// Signs events, as a payment provider does.
#[derive(Clone)]
pub struct Signer(Hmac<Sha256>);

impl Signer {
    /// `None` when the secret is not `whsec_` and base64 of at least 16 bytes.
    pub fn new(secret: &str) -> Option<Self> {
        key(secret).map(Self)
    }

    /// The value of the header `webhook-signature`.
    pub fn sign(&self, id: &str, timestamp: &str, body: &[u8]) -> String {
        let mac = mac(&self.0, [id, ".", timestamp, "."], body);
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    }
}

fn key(secret: &str) -> Option<Hmac<Sha256>> {
    let bytes = STANDARD.decode(secret.strip_prefix("whsec_")?).ok()?;
    (bytes.len() >= 16).then(|| Hmac::new_from_slice(&bytes).ok()).flatten()
}

/// Compares in constant time.
fn fits(key: &Hmac<Sha256>, head: [&str; 4], body: &[u8], given: &[u8]) -> bool {
    mac(key, head, body).verify_slice(given).is_ok()
}

fn mac(key: &Hmac<Sha256>, head: [&str; 4], body: &[u8]) -> Hmac<Sha256> {
    let mut mac = key.clone();
    for part in head {
        mac.update(part.as_bytes());
    }
    mac.update(body);
    mac
}

#[cfg(test)]
mod tests {
    use super::*;

    // The example of the specification's reference implementations.
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const BODY: &[u8] = br#"{"test": 2432232314}"#;
    const SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
    const SENT: i64 = 1_614_265_330;

    fn signed(signature: &str) -> Signed<'_> {
        Signed { id: Some("msg_p5jXN8AQM9LWM0D4loKWxJek"), timestamp: Some("1614265330"), signature: Some(signature) }
    }

    fn verifier() -> Verifier {
        Verifier::new(["whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAA", SECRET], false, 300).unwrap()
    }

    #[test]
    fn the_example_of_the_specification_is_trusted_with_any_of_the_secrets_and_signatures() {
        let two = format!("v1,AAAA v2,xyz {SIGNATURE}");
        assert_eq!(verifier().verify(signed(SIGNATURE), BODY, SENT), Ok(()));
        assert_eq!(verifier().verify(signed(&two), BODY, SENT + 300), Ok(()));
    }

    #[test]
    fn what_is_signed_here_is_what_the_specification_says() {
        let signer = Signer::new(SECRET).unwrap();
        assert_eq!(signer.sign("msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", BODY), SIGNATURE);
        assert!(Signer::new("secret").is_none());
    }

    #[test]
    fn what_was_changed_or_is_old_or_of_the_future_is_not_trusted() {
        assert_eq!(verifier().verify(signed(SIGNATURE), b"{}", SENT), Err(Distrust::Invalid));
        assert_eq!(verifier().verify(signed("v1,AAAA"), BODY, SENT), Err(Distrust::Invalid));
        assert_eq!(verifier().verify(signed(SIGNATURE), BODY, SENT + 301), Err(Distrust::OutOfTolerance));
        assert_eq!(verifier().verify(signed(SIGNATURE), BODY, SENT - 301), Err(Distrust::OutOfTolerance));
        let hostile = Signed { timestamp: Some("-9223372036854775808"), ..signed(SIGNATURE) };
        assert_eq!(verifier().verify(hostile, BODY, SENT), Err(Distrust::OutOfTolerance));
    }

    #[test]
    fn unsigned_events_are_trusted_only_when_allowed_and_a_wrong_signature_never() {
        assert_eq!(verifier().verify(Signed::default(), BODY, SENT), Err(Distrust::Missing));
        let lax = Verifier::new([SECRET], true, 300).unwrap();
        assert_eq!(lax.verify(Signed::default(), BODY, SENT), Ok(()));
        assert_eq!(lax.verify(signed("v1,AAAA"), BODY, SENT), Err(Distrust::Invalid));
        assert!(!Verifier::new([], false, 300).unwrap().trusts_something());
        assert_eq!(Verifier::new([SECRET, "secret"], false, 300).err(), Some(2));
    }
}
