//! Standard Webhooks 1.0 (<https://www.standardwebhooks.com>): HMAC-SHA256 over `<id>.<timestamp>.<body>`, in base64. The body
//! is that of our own webhook.

use base64::{
    Engine, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};

use super::{
    Headers, Provider, Sealed, event,
    signature::{self, Claim, Distrust, Key},
};

/// Padding may be left out, as it may with the reference implementations.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);
const KEY_BYTES_MIN: usize = 16;

/// Whoever sends the body that we describe, signed after this specification.
pub static PROVIDER: Provider = Provider {
    path: "/api/payments/webhook",
    secret_form: "whsec_ followed by base64 of at least 16 bytes",
    names_amount: false,
    key,
    claim,
    read: |body, headers| {
        let id = named(headers, "id").ok().flatten();
        event::read(body, id)
    },
    seal,
    write: event::write,
};

fn key(secret: &str) -> Option<Key> {
    let bytes = BASE64.decode(secret.strip_prefix("whsec_")?).ok()?;
    (bytes.len() >= KEY_BYTES_MIN).then(|| Key::new(&bytes)).flatten()
}

fn claim(headers: Headers<'_, '_>) -> Result<Claim, Distrust> {
    let entries = named(headers, "signature")?.ok_or(Distrust::HeaderMissing)?;
    let id = named(headers, "id")?.ok_or(Distrust::HeaderIncomplete)?;
    let timestamp = named(headers, "timestamp")?.ok_or(Distrust::HeaderIncomplete)?;
    let version_1 = |entry: &str| entry.strip_prefix("v1,").map(|text| BASE64.decode(text).unwrap_or_default());
    Ok(Claim {
        head: format!("{id}.{timestamp}."),
        sent: signature::timestamp(timestamp)?,
        signatures: signature::signatures(entries.split(' '), version_1)?,
    })
}

/// By the name of the specification, or the one that its first implementation used.
fn named<'r>(headers: Headers<'_, 'r>, name: &str) -> Result<Option<&'r str>, Distrust> {
    match signature::header(headers, &format!("webhook-{name}"))? {
        None => signature::header(headers, &format!("svix-{name}")),
        there => Ok(there),
    }
}

fn seal(key: &Key, id: &str, now_seconds: u64, body: &[u8]) -> Sealed {
    let signature = BASE64.encode(key.sign(&format!("{id}.{now_seconds}."), body));
    vec![
        ("webhook-id", id.to_owned()),
        ("webhook-timestamp", now_seconds.to_string()),
        ("webhook-signature", format!("v1,{signature}")),
    ]
}

#[cfg(test)]
mod tests {
    use super::{
        super::signature::{Signer, Verifier},
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

    /// Of the example, with some headers changed (or dropped, when empty), at another time.
    fn judge(changed: &[(&str, &str)], now: u64) -> Result<(), Distrust> {
        let of = |name: &str| {
            let example = match name {
                "webhook-id" => ID,
                "webhook-timestamp" => "1614265330",
                "webhook-signature" => SIGNATURE,
                _ => "",
            };
            let value = changed.iter().find(|(other, _)| *other == name).map_or(example, |(_, value)| value);
            Some(value.as_bytes()).filter(|value| !value.is_empty())
        };
        verifier(&["whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAA", SECRET], false).verify(&of, BODY, now)
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
        let headers = Signer::new(&PROVIDER, SECRET).unwrap().headers(ID, SENT, BODY);
        let expected = [("webhook-id", ID), ("webhook-timestamp", "1614265330"), ("webhook-signature", SIGNATURE)];
        assert_eq!(headers, expected.map(|(name, value)| (name, value.to_owned())));
    }

    #[test]
    fn each_reason_for_distrust_has_its_name() {
        let many = format!("{}{SIGNATURE}", "v1,AAAA ".repeat(16));
        let long = format!("{}{SIGNATURE}", " ".repeat(4_096));
        for (name, value, reason) in [
            ("webhook-signature", "", Distrust::HeaderMissing),
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
        let unsigned = |_: &str| None;
        let wrong = |name: &str| match name {
            "webhook-id" => Some(ID.as_bytes()),
            "webhook-timestamp" => Some("1614265330".as_bytes()),
            "webhook-signature" => Some("v1,AAAA".as_bytes()),
            _ => None,
        };
        let unreadable = |name: &str| (name == "webhook-signature").then_some(&b"\xff"[..]);
        let verify = |secrets: &[&str], allow: bool, headers: Headers<'_, '_>| {
            verifier(secrets, allow).verify(headers, BODY, SENT)
        };
        assert_eq!(verify(&[SECRET], true, &unsigned), Ok(()));
        assert_eq!(verify(&[SECRET], false, &unsigned), Err(Distrust::HeaderMissing));
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
