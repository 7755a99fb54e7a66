//! From settings to parts: the one place where plain values become what the rooms below work with.

use std::time::Duration;

use crate::{
    config::{Complaints, Loaded, RedisSource, Secret, Settings, Sources, load},
    domain::{
        payment::Foreign,
        sale::{SaleChange, SaleDefaults, SaleTerm},
    },
    http::{
        Cors,
        gate::{Gate, Network, Rate},
    },
    store::{Durability, Limits, Login, ServiceTerms, Topology},
    webhook::{PROVIDERS, Provider, signature::Verifier},
};

/// Reads the settings from all their places, and checks that parts can be made of them.
///
/// # Errors
/// [`Complaints`]: everything that is wrong, whichever room it concerns.
pub fn load_settings(sources: Sources<'_>) -> Result<Loaded, Complaints> {
    load(sources, |settings, complaints| drop(Parts::new(settings, complaints)))
}

/// The parts that need more than a look at the form of their settings.
pub(super) struct Parts {
    pub(super) redis: Redis,
    pub(super) durability: Durability,
    pub(super) gate: Option<Gate>,
    pub(super) cors: Option<Cors>,
    /// One for each provider.
    pub(super) verifiers: Vec<Verifier>,
}

pub(super) enum Redis {
    /// The server is ours: where it listens is known once it runs.
    Embedded,
    At(Topology),
}

impl Parts {
    /// Makes what it can, and complains about the rest.
    pub(super) fn new(settings: &Settings, complaints: &mut Complaints) -> Self {
        check_sale(settings, complaints);
        if Foreign::parse(&settings.webhook.foreign).is_none() {
            complaints.add("webhook.foreign", "must be review or ignore");
        }
        if settings.tracing.otlp_endpoint.is_some() && !cfg!(feature = "otlp") {
            complaints.add("tracing.otlp_endpoint", "needs a program that was built with --features otlp");
        }
        Self {
            redis: redis(settings, complaints),
            durability: durability(settings, complaints),
            gate: gate(settings, complaints),
            cors: cors(settings, complaints),
            verifiers: PROVIDERS.iter().filter_map(|provider| verifier(settings, provider, complaints)).collect(),
        }
    }
}

/// The bounds on every wait for Redis.
pub(super) fn limits(settings: &Settings) -> Limits {
    Limits {
        connect: Duration::from_millis(settings.redis.connect_timeout_ms),
        call: Duration::from_millis(settings.redis.call_timeout_ms),
        in_flight_max: settings.redis.in_flight_max,
        queue_max: settings.redis.queue_max,
    }
}

/// The terms of new sales, and how long things are remembered.
pub(super) fn terms(settings: &Settings) -> ServiceTerms {
    ServiceTerms {
        sale: SaleDefaults {
            hold_ms: settings.sale.hold_seconds * 1_000,
            hold_max_ms: Some(settings.sale.hold_seconds_max * 1_000).filter(|ms| *ms > 0),
            payment_ms: settings.sale.payment_seconds * 1_000,
            payment_max_ms: settings.sale.payment_seconds_max * 1_000,
            review_ms: settings.sale.review_seconds * 1_000,
        },
        idempotency_ms: settings.sale.idempotency_seconds * 1_000,
        event_ms: settings.webhook.remember_seconds * 1_000,
        refundable_ms: settings.webhook.refundable_seconds * 1_000,
        foreign: Foreign::parse(&settings.webhook.foreign).unwrap_or(Foreign::Review),
        retention_ms: settings.sale.retention_seconds * 1_000,
        events_max: settings.events.keep_max,
    }
}

fn check_sale(settings: &Settings, complaints: &mut Complaints) {
    let SaleDefaults { hold_ms, hold_max_ms, payment_ms, payment_max_ms, .. } = terms(settings).sale;
    let defaults = SaleChange {
        hold_ms: Some(hold_ms),
        hold_max_ms: Some(hold_max_ms),
        payment_ms: Some(payment_ms),
        payment_max_ms: Some(payment_max_ms),
        ..SaleChange::default()
    };
    for term in defaults.conflicts() {
        match term {
            SaleTerm::HoldLength => complaints.add("sale.hold_seconds", "must not be more than sale.hold_seconds_max"),
            SaleTerm::PaymentLength => {
                complaints.add("sale.payment_seconds", "must not be more than sale.payment_seconds_max");
            }
            // The settings give no start and no end.
            SaleTerm::End => {}
        }
    }
}

fn redis(settings: &Settings, complaints: &mut Complaints) -> Redis {
    let limits = limits(settings);
    let exposed = |urls: &[Secret]| urls.iter().map(|url| url.expose().to_owned()).collect::<Vec<_>>();
    let topology = match &settings.redis.source {
        RedisSource::Embedded { .. } => return Redis::Embedded,
        RedisSource::Standalone { url } => Topology::single(url.expose(), limits),
        RedisSource::Cluster { urls } => Topology::cluster(&exposed(urls), limits),
        RedisSource::Sentinel { urls, name, user, password } => {
            let login = Login { user: user.as_deref(), password: password.as_ref().map(Secret::expose) };
            Topology::sentinel(&exposed(urls), name, login, limits)
        }
    };
    topology.map_or_else(
        |_| {
            let what = "must name each server by a host and port, or by the path of its socket, that can be read";
            complaints.add("redis.url", what);
            Redis::Embedded
        },
        Redis::At,
    )
}

fn durability(settings: &Settings, complaints: &mut Complaints) -> Durability {
    Durability::parse(&settings.durability.payments).unwrap_or_else(|| {
        complaints.add("durability.payments", "must be memory, fsync, or replicas:N with N from 1 to 100");
        Durability::Memory
    })
}

fn gate(settings: &Settings, complaints: &mut Complaints) -> Option<Gate> {
    let http = &settings.http;
    let networks: Vec<_> = http.trusted_proxies.iter().filter_map(|text| Network::parse(text)).collect();
    if networks.len() < http.trusted_proxies.len() {
        let what =
            "must be addresses or networks such as 10.0.0.0/8 or fd00::/8; none of all addresses, and IPv4 as IPv4";
        complaints.add("http.trusted_proxies", what);
    }
    let rate = http.rate_limit_per_second.and_then(|per_second| Rate::new(per_second, http.rate_limit_burst));
    Gate::new(http.api_keys.iter().map(Secret::expose), rate, networks)
}

fn cors(settings: &Settings, complaints: &mut Complaints) -> Option<Cors> {
    Cors::new(&settings.http.cors_origins).unwrap_or_else(|wrong| {
        let numbers = wrong.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let what = "must be an origin as a browser sends it: scheme and host, and the port unless it is the usual one";
        complaints
            .add("http.cors_origins", &format!("number {numbers} {what}, as in https://shop.example; or * alone"));
        None
    })
}

fn verifier(settings: &Settings, provider: &'static Provider, complaints: &mut Complaints) -> Option<Verifier> {
    let webhook = &settings.webhook;
    let secrets = webhook.secrets_of(provider.setting).iter().map(Secret::expose);
    let allow_unsigned = webhook.allows_unsigned(provider.setting);
    match Verifier::new(provider, secrets, allow_unsigned, webhook.tolerance_seconds) {
        Ok(verifier) => Some(verifier),
        Err(number) => {
            complaints.add(provider.setting, &format!("number {number} must be {}", provider.secret_form));
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{DEFAULTS, Environment};

    fn load_with(file: &str, pairs: &[(&str, &str)]) -> Result<Loaded, Complaints> {
        let written = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(written.path(), file).unwrap();
        let environment: Environment =
            pairs.iter().map(|(name, value)| (format!("FLASHSALE_{name}"), (*value).to_owned())).collect();
        load_settings(Sources { file: Some(written.path()), environment: &environment, flags: &vec![] })
    }

    #[test]
    fn every_provider_has_its_setting_and_every_list_of_secrets_a_provider() {
        let settings = load_with("", &[]).unwrap().settings;
        let mut named: Vec<&str> = PROVIDERS.iter().map(|provider| provider.setting).collect();
        let mut read: Vec<&str> = settings.webhook.secrets.keys().map(String::as_str).collect();
        named.sort_unstable();
        read.sort_unstable();
        assert_eq!(named, read, "{DEFAULTS}");
    }

    #[cfg(not(feature = "otlp"))]
    #[test]
    fn a_program_without_traces_refuses_a_collector_instead_of_saying_nothing() {
        let Err(Complaints(complaints)) = load_with("[tracing]\notlp_endpoint = \"http://127.0.0.1:4318\"\n", &[])
        else {
            panic!("it was taken");
        };
        let [complaint] = &complaints[..] else { panic!("{complaints:?}") };
        assert!(complaint.starts_with("tracing.otlp_endpoint needs a program that was built with"), "{complaint}");
    }

    #[test]
    fn the_gate_is_open_unless_it_is_set() {
        for file in ["", "[http]\napi_keys = []\ntrusted_proxies = []\n"] {
            let loaded = load_with(file, &[]).unwrap();
            let parts = Parts::new(&loaded.settings, &mut Complaints::default());
            assert!(parts.gate.is_none() && loaded.settings.http.trusted_proxies.is_empty());
        }
    }

    #[test]
    fn complaints_about_form_and_meaning_are_made_together_and_repeat_no_secret() {
        let wrong = [
            ("HTTP__API_KEYS", "hunter2hunter2hunter2,"),
            ("HTTP__RATE_LIMIT_PER_SECOND", "-1"),
            ("HTTP__RATE_LIMIT_BURST", "0"),
            ("HTTP__TRUSTED_PROXIES", "10.0.0.0/8,10.0.0.0/99"),
            ("HTTP__WORKERS", "many"),
            ("SALE__PAYMENT_SECONDS", "7200"),
            ("DURABILITY__PAYMENTS", "disk"),
            ("REDIS__URL", "http://hunter2@x"),
            ("WEBHOOK__SECRETS", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw,hunter2"),
            ("WEBHOOK__STRIPE_SECRETS", "sk_live_hunter2hunter2hunter2"),
            ("ADMIN__TOKEN", "hunter2"),
        ];
        let Err(Complaints(complaints)) = load_with("", &wrong) else { panic!("all of it was taken") };
        assert_eq!(complaints.len(), wrong.len(), "{complaints:?}");
        for (name, _) in wrong {
            let key = name.to_lowercase().replace("__", ".");
            assert!(complaints.iter().any(|complaint| complaint.starts_with(&key)), "{key} in {complaints:?}");
        }
        assert!(!complaints.concat().contains("hunter2"), "{complaints:?}");
    }

    #[test]
    fn each_value_of_the_gate_that_cannot_be_is_a_complaint() {
        let wrong = [
            ("API_KEYS", "tooshort"),
            ("API_KEYS", ","),
            ("API_KEYS", "a key with blanks in it"),
            ("API_KEYS", "schlüssel-eines-ladens"),
            ("RATE_LIMIT_PER_SECOND", "NaN"),
            ("RATE_LIMIT_PER_SECOND", "inf"),
            ("RATE_LIMIT_PER_SECOND", "0.00001"),
            ("RATE_LIMIT_PER_SECOND", "many"),
            ("RATE_LIMIT_PER_SECOND", ""),
            ("RATE_LIMIT_BURST", "100001"),
            ("TRUSTED_PROXIES", "0.0.0.0/0"),
            ("TRUSTED_PROXIES", "proxy.internal"),
            ("TRUSTED_PROXIES", "10.0.0.1,,10.0.0.2"),
        ];
        for (name, value) in wrong {
            let Err(Complaints(complaints)) = load_with("", &[(&*format!("HTTP__{name}"), value)]) else {
                panic!("{name}={value} was taken")
            };
            assert!(complaints.len() == 1 && complaints[0].starts_with("http."), "{name}={value}: {complaints:?}");
        }
        let Err(Complaints(complaints)) = load_with("", &[("HTTP__API_KEYS", "a,hunter2hunter2hunter2,b")]) else {
            panic!("short keys were taken")
        };
        assert!(complaints[0].starts_with("http.api_keys number 1, 3 must have"), "{complaints:?}");
    }

    #[test]
    fn a_list_in_a_file_is_what_commas_are_in_the_environment() {
        let file = "[http]\napi_keys = [\"key-of-a-shop-1234\", \"key-of-a-shop-5678\"]\nrate_limit_per_second = 0.5\n\
                    trusted_proxies = [\"10.0.0.0/8\", \"::1\"]\n";
        let pairs = [
            ("HTTP__API_KEYS", "key-of-a-shop-1234, key-of-a-shop-5678"),
            ("HTTP__RATE_LIMIT_PER_SECOND", "0.5"),
            ("HTTP__TRUSTED_PROXIES", "10.0.0.0/8,::1"),
        ];
        for loaded in [load_with(file, &[]).unwrap(), load_with("", &pairs).unwrap()] {
            let http = &loaded.settings.http;
            assert_eq!(http.api_keys.iter().map(Secret::expose).collect::<Vec<_>>()[1], "key-of-a-shop-5678");
            assert_eq!((http.api_keys.len(), http.trusted_proxies.len()), (2, 2));
            assert_eq!(http.rate_limit_per_second, Some(0.5));
            assert_eq!(Rate::new(0.5, 1).unwrap().period, Duration::from_secs(2));
        }
    }
}
