//! Standard Webhooks 1.0 (<https://www.standardwebhooks.com>): HMAC-SHA256 over `<id>.<timestamp>.<body>`, in base64. The body
//! is that of our own webhook.

use std::sync::Arc;

use base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};

use super::{
    Headers, Provider, Sign, Signed, event,
    hmac::{self, Claim, Key},
    signature::{self, Distrust},
};

/// The reference implementations accept base64 without padding too.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);
const KEY_BYTES_MIN: usize = 16;

/// Any sender of the body that our documents describe, signed after this specification.
pub static PROVIDER: Provider = Provider {
    name: "standard",
    path: "/api/payments/webhook",
    media_type: "application/json",
    setting: "webhook.secrets",
    secret_form: "whsec_ followed by base64 of at least 16 bytes",
    names_amount: false,
    credentials: |secrets, tolerance_seconds| hmac::in_headers(secrets, tolerance_seconds, key, claim),
    sign,
    read: |body, headers| {
        let id = named(headers, "id").ok().flatten();
        event::read(body, id)
    },
    write: event::write,
};

fn key(secret: &str) -> Option<Key> {
    let bytes = BASE64.decode(secret.strip_prefix("whsec_")?).ok()?;
    (bytes.len() >= KEY_BYTES_MIN).then(|| Key::new(&bytes)).flatten()
}

fn claim(headers: &dyn Headers) -> Result<Claim, Distrust> {
    let entries = named(headers, "signature")?.ok_or(Distrust::Unsigned)?;
    let id = named(headers, "id")?.ok_or(Distrust::HeaderIncomplete)?;
    let timestamp = named(headers, "timestamp")?.ok_or(Distrust::HeaderIncomplete)?;
    let version_1 = |entry: &str| entry.strip_prefix("v1,").map(|text| BASE64.decode(text).unwrap_or_default());
    Ok(Claim {
        head: format!("{id}.{timestamp}."),
        sent: signature::timestamp(timestamp)?,
        signatures: signature::signatures(entries.split(' '), version_1)?,
    })
}

/// A header under the name in the specification, or under the one that its first implementation used.
fn named<'a>(headers: &'a dyn Headers, name: &str) -> Result<Option<&'a str>, Distrust> {
    match signature::header(headers, &format!("webhook-{name}"))? {
        None => signature::header(headers, &format!("svix-{name}")),
        there => Ok(there),
    }
}

fn sign(secret: &str) -> Option<Arc<Sign>> {
    let key = key(secret)?;
    Some(Arc::new(move |id, now_seconds, body| {
        let signature = BASE64.encode(key.sign(&format!("{id}.{now_seconds}."), body.as_bytes()));
        let headers = vec![
            ("webhook-id", id.to_owned()),
            ("webhook-timestamp", now_seconds.to_string()),
            ("webhook-signature", format!("v1,{signature}")),
        ];
        Signed { headers, body }
    }))
}

#[cfg(test)]
mod tests {
    use super::{
        super::signature::{self, Signer, Verifier},
        *,
    };

    // The example of the specification's reference implementations.
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const ID: &str = "msg_p5jXN8AQM9LWM0D4loKWxJek";
    const BODY: &[u8] = br#"{"test": 2432232314}"#;
    const SIGNATURE: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
    const SENT: u64 = 1_614_265_330;

    fn verifier(secrets: &[&str], allow_unsigned: bool) -> Verifier {
        Verifier::new(&PROVIDER, secrets.iter().copied(), allow_unsigned, 300).unwrap()
    }

    /// Judges the example with some headers changed (or dropped, when empty), at another time.
    fn judge(changed: &[(&'static str, &str)], now: u64) -> Result<(), Distrust> {
        let example = [("webhook-id", ID), ("webhook-timestamp", "1614265330"), ("webhook-signature", SIGNATURE)];
        let mut headers: Vec<(&str, String)> = Vec::new();
        for (name, value) in changed.iter().chain(&example) {
            if !headers.iter().any(|(other, _)| other == name) {
                headers.push((name, (*value).to_owned()));
            }
        }
        headers.retain(|(_, value)| !value.is_empty());
        let verifier = verifier(&["whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAA", SECRET], false);
        signature::judge(&verifier, &headers, BODY, now)
    }

    #[test]
    fn the_example_of_the_specification_is_trusted_with_any_of_the_secrets_and_signatures() {
        assert_eq!(judge(&[], SENT), Ok(()));
        let several = format!("v1,AAAA v1a,xyz  v2,x {SIGNATURE}");
        assert_eq!(judge(&[("webhook-signature", &several)], SENT + 300), Ok(()));
        let unpadded = SIGNATURE.trim_end_matches('=');
        assert_eq!(judge(&[("webhook-signature", unpadded)], SENT - 300), Ok(()));
        let older = [
            ("webhook-id", ""),
            ("webhook-timestamp", ""),
            ("webhook-signature", ""),
            ("svix-id", ID),
            ("svix-timestamp", "1614265330"),
            ("svix-signature", SIGNATURE),
        ];
        assert_eq!(judge(&older, SENT), Ok(()));
    }

    #[test]
    fn what_is_signed_here_is_what_the_specification_says() {
        let body = String::from_utf8(BODY.to_vec()).unwrap();
        let signed = Signer::new(&PROVIDER, SECRET).unwrap().sign(ID, SENT, body.clone());
        let expected = [("webhook-id", ID), ("webhook-timestamp", "1614265330"), ("webhook-signature", SIGNATURE)];
        let headers = expected.map(|(name, value)| (name, value.to_owned())).to_vec();
        assert_eq!(signed, Signed { headers, body });
    }

    #[test]
    fn each_reason_for_distrust_has_its_name() {
        let many = format!("{}{SIGNATURE}", "v1,AAAA ".repeat(16));
        let long = format!("{}{SIGNATURE}", " ".repeat(4_096));
        for (name, value, reason) in [
            ("webhook-signature", "", Distrust::Unsigned),
            ("webhook-id", "", Distrust::HeaderIncomplete),
            ("webhook-timestamp", "", Distrust::HeaderIncomplete),
            ("webhook-signature", "v1,é", Distrust::HeaderUnreadable),
            ("webhook-signature", &long, Distrust::HeaderTooLong),
            ("webhook-signature", &many, Distrust::TooManySignatures),
            ("webhook-signature", "v2,AAAA", Distrust::NoKnownVersion),
            ("webhook-signature", " ", Distrust::NoKnownVersion),
            ("webhook-timestamp", "-9223372036854775808", Distrust::TimestampUnreadable),
            ("webhook-timestamp", "+1614265330", Distrust::TimestampUnreadable),
            ("webhook-timestamp", "99999999999999999999", Distrust::TimestampUnreadable),
            ("webhook-timestamp", "18446744073709551615", Distrust::InFuture),
            ("webhook-timestamp", "0", Distrust::TooOld),
            ("webhook-timestamp", "1614265331", Distrust::NoneFits),
            ("webhook-id", "msg_2", Distrust::NoneFits),
            ("webhook-signature", "v1,AAAA", Distrust::NoneFits),
            ("webhook-signature", "v1,#", Distrust::NoneFits),
        ] {
            assert_eq!(judge(&[(name, value)], SENT), Err(reason), "{name}: {value}");
        }
        assert_eq!(judge(&[], SENT + 301), Err(Distrust::TooOld));
        assert_eq!(judge(&[], SENT - 301), Err(Distrust::InFuture));
    }

    #[test]
    fn unsigned_events_are_trusted_only_when_allowed_and_a_wrong_signature_never() {
        let signed = |signature: &str| {
            let timestamp = SENT.to_string();
            let headers = [("webhook-id", ID), ("webhook-timestamp", &timestamp), ("webhook-signature", signature)];
            headers.map(|(name, value)| (name, value.to_owned())).to_vec()
        };
        let (unsigned, wrong, unreadable) = (Vec::new(), signed("v1,AAAA"), signed("\u{e9}"));
        let verify = |secrets: &[&str], allow: bool, headers: &dyn Headers| {
            signature::judge(&verifier(secrets, allow), headers, BODY, SENT)
        };
        assert_eq!(verify(&[SECRET], true, &unsigned), Ok(()));
        assert_eq!(verify(&[SECRET], false, &unsigned), Err(Distrust::Unsigned));
        assert_eq!(verify(&[SECRET], true, &wrong), Err(Distrust::NoneFits));
        assert_eq!(verify(&[SECRET], true, &unreadable), Err(Distrust::HeaderUnreadable));
        assert_eq!(verify(&[], false, &wrong), Err(Distrust::NoSecret));
        assert!(!verifier(&[], false).trusts_something() && verifier(&[], true).trusts_something());
    }

    #[test]
    fn a_secret_that_cannot_be_one_is_named_by_its_position() {
        for wrong in ["secret", "whsec_", "whsec_AAAA", "whsec_#", ""] {
            assert_eq!(Verifier::new(&PROVIDER, [SECRET, wrong], false, 300).err(), Some(2), "{wrong}");
        }
    }
}
