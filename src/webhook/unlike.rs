//! Three providers that neither HMAC nor headers are enough for, with the body of our own webhook: one signs a part of the body
//! inside the body, one signs with a private key, one signs nothing and must be asked. They hold [`Provider`] to its promise
//! that a new provider is a file and a line.

use std::{borrow::Cow, future, sync::Arc};

use futures_util::future::LocalBoxFuture;
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use serde_json::Value;

use super::{
    Message, Provider, Signed, Verdict, Verify, event,
    hmac::{Key, Keys},
    signature::{self, Distrust},
};

/// Adyen's way: the field `signature` signs some of the other fields. There is no timestamp.
pub static IN_BODY: Provider = Provider {
    name: "in-body",
    path: "/api/payments/webhooks/in-body",
    media_type: "application/json",
    setting: "webhook.in_body_secrets",
    secret_form: "32 hex digits",
    names_amount: false,
    credentials: |secrets, _| Ok(Arc::new(InBody(Keys::new(secrets, hex_key)?))),
    sign: |secret| {
        let key = hex_key(secret)?;
        Some(Arc::new(move |_, _, body| {
            let mut body: Value = serde_json::from_str(&body).expect("a written event is JSON");
            body["signature"] = hex::encode(key.sign("", signed_fields(&body).as_bytes())).into();
            Signed { headers: Vec::new(), body: body.to_string() }
        }))
    },
    read: |body, _| event::read(body, None),
    write: event::write,
};

struct InBody(Keys);

fn hex_key(secret: &str) -> Option<Key> {
    let bytes = hex::decode(secret).ok()?;
    (bytes.len() == 16).then(|| Key::new(&bytes)).flatten()
}

fn signed_fields(body: &Value) -> String {
    [&body["idempotency_key"], &body["payload"]["status"], &body["payload"]["order_id"]].map(Value::to_string).join(":")
}

impl InBody {
    fn check<'a>(&self, message: Message<'a>) -> Verdict<'a> {
        let body: Value = serde_json::from_slice(message.body).map_err(|_| Distrust::Unsigned)?;
        let signature = body.get("signature").and_then(Value::as_str).ok_or(Distrust::Unsigned)?;
        let signature = hex::decode(signature).unwrap_or_default();
        self.0.check("", signed_fields(&body).as_bytes(), &[signature])?;
        Ok(message.body.into())
    }
}

impl Verify for InBody {
    fn verify<'a>(&'a self, message: Message<'a>) -> LocalBoxFuture<'a, Verdict<'a>> {
        Box::pin(future::ready(self.check(message)))
    }
}

/// The provider keeps a private key. The setting has its public keys. Ed25519 is the example of any other kind of key.
pub static ASYMMETRIC: Provider = Provider {
    name: "asymmetric",
    path: "/api/payments/webhooks/asymmetric",
    media_type: "application/json",
    setting: "webhook.asymmetric_public_keys",
    secret_form: "64 hex digits",
    names_amount: false,
    credentials: |keys, tolerance_seconds| {
        Ok(Arc::new(Asymmetric { keys: signature::credentials(keys, hex_32)?, tolerance_seconds }))
    },
    // Signs with the seed of a private key, which only tests have.
    sign: |secret| {
        let pair = Ed25519KeyPair::from_seed_unchecked(&hex_32(secret)?).ok()?;
        Some(Arc::new(move |_, now_seconds, body| {
            let signature = hex::encode(pair.sign(format!("{now_seconds}.{body}").as_bytes()));
            let headers = vec![("x-timestamp", now_seconds.to_string()), ("x-signature", signature)];
            Signed { headers, body }
        }))
    },
    read: |body, _| event::read(body, None),
    write: event::write,
};

struct Asymmetric {
    keys: Vec<[u8; 32]>,
    tolerance_seconds: u64,
}

fn hex_32(text: &str) -> Option<[u8; 32]> {
    hex::decode(text).ok()?.try_into().ok()
}

impl Asymmetric {
    fn check<'a>(&self, message: Message<'a>) -> Verdict<'a> {
        let given = signature::header(message.headers, "x-signature")?.ok_or(Distrust::Unsigned)?;
        let given = hex::decode(given).unwrap_or_default();
        let timestamp = signature::header(message.headers, "x-timestamp")?.ok_or(Distrust::HeaderIncomplete)?;
        signature::check_age(signature::timestamp(timestamp)?, message.now_seconds, self.tolerance_seconds)?;
        let signed = [timestamp.as_bytes(), b".", message.body].concat();
        let fits = |key: &[u8; 32]| UnparsedPublicKey::new(&ED25519, key).verify(&signed, &given).is_ok();
        if self.keys.iter().any(fits) { Ok(message.body.into()) } else { Err(Distrust::NoneFits) }
    }
}

impl Verify for Asymmetric {
    fn verify<'a>(&'a self, message: Message<'a>) -> LocalBoxFuture<'a, Verdict<'a>> {
        Box::pin(future::ready(self.check(message)))
    }
}

/// Mollie's way: the body is `id=…`, which anybody can write. The event is what the provider's own interface answers about it.
pub static ASKED: Provider = Provider {
    name: "asked",
    path: "/api/payments/webhooks/asked",
    media_type: "application/x-www-form-urlencoded",
    setting: "webhook.asked_tokens",
    secret_form: "a token of the provider's interface",
    names_amount: false,
    credentials: |tokens, _| {
        let token = signature::credentials(tokens, |token| token.starts_with("live_").then(|| token.to_owned()))?.pop();
        Ok(Arc::new(Asked { token }))
    },
    sign: |_| None,
    read: |body, _| event::read(body, None),
    write: |sample| format!("id={}", sample.payment),
};

struct Asked {
    token: Option<String>,
}

impl Asked {
    /// Stands for the interface of the provider, which is somewhere in the network.
    async fn payment(token: &str, id: &str) -> Option<Vec<u8>> {
        tokio::task::yield_now().await;
        (token == ASKED_TOKEN && id == "tr_1").then(|| ASKED_ANSWER.into())
    }
}

pub const ASKED_TOKEN: &str = "live_1";
const ASKED_ANSWER: &str = r#"{"idempotency_key":"tr_1-paid","payload":{"status":"paid","order_id":"order_p1_x"}}"#;

impl Verify for Asked {
    fn verify<'a>(&'a self, message: Message<'a>) -> LocalBoxFuture<'a, Verdict<'a>> {
        Box::pin(async move {
            let id = str::from_utf8(message.body).ok().and_then(|body| body.strip_prefix("id="));
            let (id, token) = (id.ok_or(Distrust::Unsigned)?, self.token.as_deref().ok_or(Distrust::NoSecret)?);
            Self::payment(token, id).await.map(Cow::Owned).ok_or(Distrust::NoneFits)
        })
    }
}

/// The seed of a key to sign with, and its public key, both in hex.
pub fn key_pair() -> (String, String) {
    let seed = [7; 32];
    let pair = Ed25519KeyPair::from_seed_unchecked(&seed).unwrap();
    (hex::encode(seed), hex::encode(pair.public_key()))
}

mod tests {
    use super::{
        super::{
            Reading,
            signature::{Refusal, Signer, Verifier},
        },
        *,
    };
    use crate::domain::payment::PaymentEvent;

    const SECRET: &str = "000102030405060708090a0b0c0d0e0f";
    const OLD_SECRET: &str = "f0e0d0c0b0a090807060504030201000";
    const BODY: &str = r#"{"idempotency_key":"k","payload":{"status":"paid","order_id":"order_p1_x"}}"#;
    const SENT: u64 = 1_700_000_000;

    async fn open(
        provider: &'static Provider,
        secrets: &[&str],
        signed: &Signed,
        now_seconds: u64,
    ) -> Result<PaymentEvent, Refusal> {
        let verifier = Verifier::new(provider, secrets.iter().copied(), false, 300).unwrap();
        let message = Message { headers: &signed.headers, body: signed.body.as_bytes(), now_seconds };
        verifier.open(message).await.map(|reading| match reading {
            Reading::Event(event) => *event,
            other => panic!("{other:?}"),
        })
    }

    fn sign(provider: &'static Provider, secret: &str) -> Signed {
        Signer::new(provider, secret).unwrap().sign("k", SENT, BODY.to_owned())
    }

    #[tokio::test]
    async fn a_signature_may_stand_in_the_body() {
        let signed = sign(&IN_BODY, SECRET);
        assert!(signed.headers.is_empty());
        let event = open(&IN_BODY, &[OLD_SECRET, SECRET], &signed, SENT).await.unwrap();
        assert_eq!(event.key.as_str(), "k");
        let forged = |body: String| Signed { headers: Vec::new(), body };
        for (body, reason) in [
            (signed.body.replace("order_p1_x", "order_p1_y"), Distrust::NoneFits),
            (BODY.to_owned(), Distrust::Unsigned),
            ("{".to_owned(), Distrust::Unsigned),
        ] {
            let opened = open(&IN_BODY, &[SECRET], &forged(body), SENT).await;
            assert_eq!(opened, Err(Refusal::Distrusted(reason)));
        }
        assert_eq!(open(&IN_BODY, &[], &signed, SENT).await, Err(Refusal::Distrusted(Distrust::NoSecret)));
        assert_eq!(Verifier::new(&IN_BODY, [SECRET, "short"], false, 300).err(), Some(2));
    }

    #[tokio::test]
    async fn a_signature_may_be_of_a_private_key() {
        let (seed, public_key) = key_pair();
        let signed = sign(&ASYMMETRIC, &seed);
        let other_key = "00".repeat(32);
        let keys = [other_key.as_str(), public_key.as_str()];
        assert_eq!(open(&ASYMMETRIC, &keys, &signed, SENT + 300).await.unwrap().key.as_str(), "k");
        let changed = Signed { body: BODY.replace("paid", "refunded"), ..signed.clone() };
        for (keys, signed, now_seconds, reason) in [
            (&keys[..], &changed, SENT, Distrust::NoneFits),
            (&keys[..1], &signed, SENT, Distrust::NoneFits),
            (&keys[..], &signed, SENT + 301, Distrust::TooOld),
            (&keys[..], &Signed { headers: Vec::new(), body: BODY.to_owned() }, SENT, Distrust::Unsigned),
        ] {
            let opened = open(&ASYMMETRIC, keys, signed, now_seconds).await;
            assert_eq!(opened, Err(Refusal::Distrusted(reason)));
        }
    }

    #[tokio::test]
    async fn an_event_may_be_what_the_provider_answers_when_it_is_asked() {
        let hint = |body: &str| Signed { headers: Vec::new(), body: body.to_owned() };
        let event = open(&ASKED, &[ASKED_TOKEN], &hint("id=tr_1"), SENT).await.unwrap();
        assert_eq!(event.key.as_str(), "tr_1-paid", "from the answer, not from the body");
        for (token, body, reason) in [
            (ASKED_TOKEN, "id=tr_2", Distrust::NoneFits),
            (ASKED_TOKEN, BODY, Distrust::Unsigned),
            ("live_2", "id=tr_1", Distrust::NoneFits),
        ] {
            assert_eq!(open(&ASKED, &[token], &hint(body), SENT).await, Err(Refusal::Distrusted(reason)));
        }
    }
}
