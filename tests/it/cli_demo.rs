//! `flashsale serve --demo`: which payment events it takes, and what it says about that.

use std::{net::SocketAddr, path::Path};

use tempfile::TempDir;

use crate::support::{
    process::{ServiceProcess, command},
    redis::free_port,
};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const STRIPE_SECRET: &str = "whsec_4f5c0c2a7d9e4b1f8a6d3e2c1b0a9f8e";
const OWN: &str = "/api/payments/webhook";
const STRIPE: &str = "/api/payments/webhooks/stripe";

/// A demo with these settings.
fn demo(folder: &TempDir, settings: &[(&str, &str)]) -> ServiceProcess {
    let mut program = command(&folder.path().join("data"));
    program.envs(settings.iter().map(|(name, value)| (format!("FLASHSALE_WEBHOOK__{name}"), *value)));
    ServiceProcess::run(program, SocketAddr::from(([127, 0, 0, 1], free_port())))
}

/// HTTP status of the answer to an event of a provider about an order of nobody.
fn answer(service: &ServiceProcess, provider: &str, more: &[&str]) -> String {
    let mut program = command(Path::new("unused"));
    program.args(["trigger", "paid", "order_x", "--amount", "5.00", "--provider", provider, "--url", &service.url()]);
    let output = program.args(more).output().unwrap();
    let line = String::from_utf8(output.stdout).unwrap();
    line.split_whitespace().skip(2).take(2).collect::<Vec<_>>().join(" ")
}

const TAKEN: &str = "200 unmatched";
const UNSIGNED: &str = "401 signature_missing:";

#[test]
fn without_secrets_unsigned_events_are_taken() {
    let folder = TempDir::with_prefix("fs").unwrap();
    let service = demo(&folder, &[]);
    assert_eq!(["standard", "stripe"].map(|provider| answer(&service, provider, &[])), [TAKEN; 2]);
    for path in [OWN, STRIPE] {
        assert!(service.welcome.contains(&format!("{path} takes unsigned events, because this is a demo\n")), "{path}");
    }
    assert!(service.welcome.contains("curl") && !service.welcome.contains("WEBHOOK_SECRET"), "{}", service.welcome);
}

#[test]
fn a_provider_with_a_secret_is_verified_although_another_has_none() {
    for (setting, secret, signing, other, path, other_path) in [
        ("SECRETS", SECRET, "standard", "stripe", OWN, STRIPE),
        ("STRIPE_SECRETS", STRIPE_SECRET, "stripe", "standard", STRIPE, OWN),
    ] {
        let folder = TempDir::with_prefix("fs").unwrap();
        let service = demo(&folder, &[(setting, secret)]);
        assert_eq!(answer(&service, signing, &[]), UNSIGNED, "{setting}");
        assert_eq!(answer(&service, signing, &["--secret", secret]), TAKEN, "{setting}");
        assert_eq!(answer(&service, other, &[]), TAKEN, "{setting}");
        let welcome = &service.welcome;
        let named =
            format!("{path} takes only events that are signed with one of webhook.{}\n", setting.to_lowercase());
        assert!(welcome.contains(&named), "{welcome}");
        assert!(welcome.contains(&format!("{other_path} takes unsigned events, because")), "{welcome}");
        // A curl cannot sign.
        assert_eq!(welcome.contains("trigger paid \"$ORDER\""), signing == "standard", "{welcome}");
        assert_eq!(welcome.contains("idempotency_key"), signing == "stripe", "{welcome}");
        assert!(!welcome.contains(secret), "{welcome}");
    }
}

#[test]
fn what_the_settings_say_about_unsigned_events_holds_in_a_demo_too() {
    let folder = TempDir::with_prefix("fs").unwrap();
    let strict = demo(&folder, &[("ALLOW_UNSIGNED", "false"), ("STRIPE_SECRETS", STRIPE_SECRET)]);
    assert_eq!(["standard", "stripe"].map(|provider| answer(&strict, provider, &[])), [UNSIGNED; 2]);
    let welcome = &strict.welcome;
    assert!(welcome.contains(&format!("{OWN} takes no events, because webhook.secrets is empty\n")), "{welcome}");
    assert!(
        welcome.contains("# nobody can pay: set webhook.secrets") && !welcome.contains("idempotency_key"),
        "{welcome}"
    );

    let folder = TempDir::with_prefix("fs").unwrap();
    let open = demo(&folder, &[("ALLOW_UNSIGNED", "true"), ("SECRETS", SECRET), ("STRIPE_SECRETS", STRIPE_SECRET)]);
    assert_eq!(["standard", "stripe"].map(|provider| answer(&open, provider, &[])), [TAKEN; 2]);
    for path in [OWN, STRIPE] {
        assert!(
            open.welcome.contains(&format!("{path} takes unsigned events too, by webhook.allow_unsigned\n")),
            "{path}"
        );
    }
}
