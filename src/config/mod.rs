//! Settings: compiled-in defaults < file < environment < flags. All complaints are made together.

mod gate;
mod network;
mod reader;

use std::{fmt, net::SocketAddr, path::Path, path::PathBuf};

use self::reader::Reader;
pub use self::{
    gate::{Gate, Rate},
    network::Network,
};
use crate::{
    store::{Durability, Topology},
    webhook::{Provider, signature::Verifier, standard, stripe},
};

/// The defaults, as a person reads them; every key that exists stands here.
pub const DEFAULTS: &str = include_str!("default.toml");
/// Read when it is there and no other file is named.
pub const FILE: &str = "flashsale.toml";

/// A text that is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[hidden]")
    }
}

#[derive(Clone, Debug)]
pub struct Settings {
    pub http: Http,
    pub redis: Redis,
    pub admin_token: Option<Secret>,
    /// Beside that one.
    pub admin_tokens: Vec<Secret>,
    pub admin_read_tokens: Vec<Secret>,
    pub webhook: Webhook,
    pub sale: Sale,
    pub durability: DurabilitySettings,
    pub events: Events,
    pub log: Log,
}

#[derive(Clone, Debug)]
pub struct Http {
    pub addr: SocketAddr,
    pub workers: usize,
    pub body_bytes_max: usize,
    pub webhook_bytes_max: usize,
    pub read_timeout_ms: u64,
    pub keep_alive_seconds: u64,
    pub drain_seconds: u64,
    pub shutdown_seconds: u64,
    pub gate: Gate,
}

#[derive(Clone, Debug)]
pub struct Redis {
    pub source: RedisSource,
    pub connect_timeout_ms: u64,
    pub call_timeout_ms: u64,
    pub in_flight_max: usize,
    pub queue_max: usize,
    pub startup_seconds: u64,
}

/// Where Redis comes from. The URL may hold a password.
#[derive(Clone, Debug)]
pub enum RedisSource {
    Embedded { data_dir: PathBuf, server: Option<PathBuf> },
    Standalone { url: Secret },
}

#[derive(Clone, Debug)]
pub struct Webhook {
    pub secrets: Vec<Secret>,
    pub stripe_secrets: Vec<Secret>,
    pub allow_unsigned: bool,
    pub tolerance_seconds: u64,
    pub remember_seconds: u64,
}

impl Webhook {
    /// Who may send payment events: the setting of their secrets, how they send, and the secrets.
    pub fn providers(&self) -> [(&'static str, &'static Provider, &[Secret]); 2] {
        [
            (standard::PROVIDER.setting, &standard::PROVIDER, &self.secrets),
            (stripe::PROVIDER.setting, &stripe::PROVIDER, &self.stripe_secrets),
        ]
    }
}

#[derive(Clone, Debug)]
pub struct Sale {
    pub hold_seconds: u64,
    pub hold_seconds_max: u64,
    pub payment_seconds: u64,
    pub payment_seconds_max: u64,
    pub idempotency_seconds: u64,
    pub retention_seconds: u64,
}

#[derive(Clone, Copy, Debug)]
pub struct DurabilitySettings {
    pub payments: Durability,
    pub timeout_ms: u64,
}

#[derive(Clone, Copy, Debug)]
pub struct Events {
    pub keep_max: u64,
    pub sweep_ms: u64,
}

#[derive(Clone, Debug)]
pub struct Log {
    pub filter: String,
    pub format: LogFormat,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    Auto,
    Text,
    Json,
}

/// Everything that is wrong with the settings.
#[derive(Debug, thiserror::Error)]
#[error("the settings cannot be used:\n{}", .0.iter().map(|c| format!("  - {c}")).collect::<Vec<_>>().join("\n"))]
pub struct Complaints(pub Vec<String>);

/// What flags say, as settings: `("http.addr", "0.0.0.0:80")`.
pub type Overrides = Vec<(&'static str, String)>;

/// Reads the settings from all their places.
///
/// # Errors
/// [`Complaints`]: unknown keys and bad values, all of them.
pub fn load(file: Option<&Path>, environment: &Environment, flags: &Overrides) -> Result<Settings, Complaints> {
    let mut reader = Reader::gather(file, environment, flags)?;
    let settings = read(&mut reader);
    reader.finish(settings)
}

/// The settings in force, as TOML with secrets hidden.
///
/// # Errors
/// As [`load`].
pub fn effective(file: Option<&Path>, environment: &Environment, flags: &Overrides) -> Result<String, Complaints> {
    load(file, environment, flags)?;
    Ok(Reader::gather(file, environment, flags)?.render())
}

/// Environment variables, as the process sees them or as a test says.
pub type Environment = std::collections::HashMap<String, String>;

fn read(r: &mut Reader) -> Settings {
    let mut settings = Settings {
        http: read_http(r),
        redis: read_redis(r),
        admin_token: r.secret("admin.token"),
        admin_tokens: r.secrets("admin.tokens"),
        admin_read_tokens: r.secrets("admin.read_tokens"),
        webhook: read_webhook(r),
        sale: read_sale(r),
        durability: read_durability(r),
        events: Events {
            keep_max: r.number("events.keep_max", 100, 1_000_000_000),
            sweep_ms: r.number("events.sweep_ms", 0, 3_600_000),
        },
        log: read_log(r),
    };
    let is_short = |token: &Secret| token.expose().len() < 16;
    for (key, is_wrong) in [
        ("admin.token", settings.admin_token.as_ref().is_some_and(is_short)),
        ("admin.tokens", settings.admin_tokens.iter().any(is_short)),
        ("admin.read_tokens", settings.admin_read_tokens.iter().any(is_short)),
    ] {
        if is_wrong {
            r.complain(key, "must have at least 16 characters");
        }
    }
    for (setting, provider, secrets) in settings.webhook.providers() {
        if let Err(number) = Verifier::new(provider, secrets.iter().map(Secret::expose), false, 0) {
            r.complain(setting, &format!("number {number} must be {}", provider.secret_form));
        }
    }
    if settings.http.workers == 0 {
        settings.http.workers = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    }
    settings
}

fn read_http(r: &mut Reader) -> Http {
    Http {
        addr: r.parsed(
            "http.addr",
            "an address and port such as 127.0.0.1:8080",
            SocketAddr::from(([127, 0, 0, 1], 0)),
        ),
        workers: r.count("http.workers", 0, 1024),
        body_bytes_max: r.count("http.body_bytes_max", 256, 1 << 24),
        webhook_bytes_max: r.count("http.webhook_bytes_max", 256, 1 << 24),
        read_timeout_ms: r.number("http.read_timeout_ms", 10, 600_000),
        keep_alive_seconds: r.number("http.keep_alive_seconds", 1, 3_600),
        drain_seconds: r.number("http.drain_seconds", 0, 3_600),
        shutdown_seconds: r.number("http.shutdown_seconds", 1, 3_600),
        gate: gate::read(r),
    }
}

fn read_redis(r: &mut Reader) -> Redis {
    Redis {
        source: read_redis_source(r),
        connect_timeout_ms: r.number("redis.connect_timeout_ms", 10, 60_000),
        call_timeout_ms: r.number("redis.call_timeout_ms", 10, 60_000),
        in_flight_max: r.count("redis.in_flight_max", 1, 1_000_000),
        queue_max: r.count("redis.queue_max", 1, 1_000_000),
        startup_seconds: r.number("redis.startup_seconds", 0, 3_600),
    }
}

fn read_redis_source(r: &mut Reader) -> RedisSource {
    let (mode, url) = (r.text("redis.mode"), r.text("redis.url"));
    let embedded = |r: &mut Reader| RedisSource::Embedded {
        data_dir: PathBuf::from(r.present("redis.data_dir")),
        server: Some(r.text("redis.server")).filter(|path| !path.is_empty()).map(PathBuf::from),
    };
    match (mode.as_str(), url.is_empty()) {
        ("" | "embedded", true) => embedded(r),
        ("" | "standalone", false) => {
            if !Topology::understands(&url) {
                r.complain(
                    "redis.url",
                    "must be redis://, rediss:// or unix://, with a host and port or a path that can be read",
                );
            }
            RedisSource::Standalone { url: Secret(url) }
        }
        ("embedded", false) => {
            r.complain("redis.mode", "is embedded, but redis.url names a server: drop one of them");
            embedded(r)
        }
        ("standalone", true) => {
            r.complain("redis.url", "is needed when redis.mode is standalone, as in redis://127.0.0.1:6379");
            embedded(r)
        }
        _ => {
            r.complain("redis.mode", "must be embedded, standalone or empty");
            embedded(r)
        }
    }
}

fn read_webhook(r: &mut Reader) -> Webhook {
    Webhook {
        secrets: r.secrets("webhook.secrets"),
        stripe_secrets: r.secrets("webhook.stripe_secrets"),
        allow_unsigned: r.flag("webhook.allow_unsigned"),
        tolerance_seconds: r.number("webhook.tolerance_seconds", 1, 86_400),
        remember_seconds: r.number("webhook.remember_seconds", 60, 31_536_000),
    }
}

fn read_sale(r: &mut Reader) -> Sale {
    let sale = Sale {
        hold_seconds: r.number("sale.hold_seconds", 1, 86_400),
        hold_seconds_max: r.number("sale.hold_seconds_max", 1, 604_800),
        payment_seconds: r.number("sale.payment_seconds", 1, 604_800),
        payment_seconds_max: r.number("sale.payment_seconds_max", 1, 604_800),
        idempotency_seconds: r.number("sale.idempotency_seconds", 60, 31_536_000),
        retention_seconds: r.number("sale.retention_seconds", 60, 315_360_000),
    };
    if sale.hold_seconds > sale.hold_seconds_max {
        r.complain("sale.hold_seconds", "must not be more than sale.hold_seconds_max");
    }
    if sale.payment_seconds > sale.payment_seconds_max {
        r.complain("sale.payment_seconds", "must not be more than sale.payment_seconds_max");
    }
    sale
}

fn read_durability(r: &mut Reader) -> DurabilitySettings {
    let payments = Durability::parse(&r.text("durability.payments")).unwrap_or_else(|| {
        r.complain("durability.payments", "must be memory, fsync, or replicas:N with N from 1 to 100");
        Durability::Memory
    });
    DurabilitySettings { payments, timeout_ms: r.number("durability.timeout_ms", 10, 60_000) }
}

fn read_log(r: &mut Reader) -> Log {
    let format = match r.text("log.format").as_str() {
        "text" => LogFormat::Text,
        "json" => LogFormat::Json,
        "auto" => LogFormat::Auto,
        _ => {
            r.complain("log.format", "must be text, json or auto");
            LogFormat::Auto
        }
    };
    let filter = r.text("log.filter");
    if let Err(error) = tracing_subscriber::EnvFilter::try_new(&filter) {
        r.complain("log.filter", &format!("is no filter: {error}"));
    }
    Log { filter, format }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(pairs: &[(&str, &str)]) -> Environment {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn file(text: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        file
    }

    #[test]
    fn the_defaults_are_good() {
        let settings = load(Some(file("").path()), &environment(&[]), &vec![]).unwrap();
        assert_eq!(settings.http.addr.to_string(), "127.0.0.1:8080");
        assert!(matches!(settings.redis.source, RedisSource::Embedded { .. }));
    }

    #[test]
    fn a_flag_wins_over_the_environment_and_that_over_the_file() {
        let file = file("[http]\naddr = \"127.0.0.1:1\"\nworkers = 1\n[sale]\nhold_seconds = 7\n");
        let environment = environment(&[("FLASHSALE_HTTP__ADDR", "127.0.0.1:2"), ("FLASHSALE_HTTP__WORKERS", "3")]);
        let flags = vec![("http.addr", "127.0.0.1:4".to_owned())];
        let settings = load(Some(file.path()), &environment, &flags).unwrap();
        assert_eq!(settings.http.addr.port(), 4);
        assert_eq!(settings.http.workers, 3);
        assert_eq!(settings.sale.hold_seconds, 7);
    }

    #[test]
    fn all_complaints_are_made_together() {
        let file = file("[http]\nadr = 1\n[sale]\nhold_seconds = 0\n");
        let environment = environment(&[("FLASHSALE_REDIS__MODE", "memory"), ("FLASHSALE_NOISE", "1")]);
        let flags = vec![("http.addr", "here".to_owned())];
        let Complaints(complaints) = load(Some(file.path()), &environment, &flags).unwrap_err();
        for key in ["http.adr", "noise", "redis.mode", "http.addr", "sale.hold_seconds"] {
            assert!(complaints.iter().any(|c| c.starts_with(key)), "{key} is missing in {complaints:?}");
        }
        assert_eq!(complaints.len(), 5);
    }

    #[test]
    fn what_would_fail_later_is_a_complaint_at_once() {
        let wrong = [
            ("redis.url", "REDIS_URL", "http://hunter2@x"),
            ("redis.url", "REDIS_URL", "redis://x:port"),
            ("redis.data_dir", "FLASHSALE_REDIS__DATA_DIR", ""),
            ("webhook.secrets", "FLASHSALE_WEBHOOK__SECRETS", "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw,hunter2"),
            ("webhook.stripe_secrets", "FLASHSALE_WEBHOOK__STRIPE_SECRETS", "sk_live_hunter2hunter2hunter2"),
            ("admin.token", "FLASHSALE_ADMIN__TOKEN", "hunter2"),
        ];
        for (key, name, value) in wrong {
            let Complaints(complaints) =
                load(Some(file("").path()), &environment(&[(name, value)]), &vec![]).unwrap_err();
            assert!(complaints.len() == 1 && complaints[0].starts_with(key), "{complaints:?}");
            assert!(!complaints[0].contains("hunter2"), "{complaints:?}");
        }
    }

    #[test]
    fn a_redis_url_makes_it_standalone_and_secrets_are_never_shown() {
        let environment = environment(&[
            ("REDIS_URL", "redis://user:hunter2@127.0.0.1:1"),
            ("FLASHSALE_WEBHOOK__SECRETS", "whsec_aHVudGVyMmh1bnRlcjJodW50ZXIy,whsec_aHVudGVyMmh1bnRlcjJodW50ZXIz"),
            ("FLASHSALE_WEBHOOK__STRIPE_SECRETS", "whsec_hunter2hunter2hunter2, whsec_hunter2hunter2hunter3"),
            ("FLASHSALE_ADMIN__TOKEN", "hunter2hunter2hunter2"),
        ]);
        let none = file("");
        let settings = load(Some(none.path()), &environment, &vec![]).unwrap();
        assert!(matches!(settings.redis.source, RedisSource::Standalone { .. }));
        assert_eq!((settings.webhook.secrets.len(), settings.webhook.stripe_secrets.len()), (2, 2));
        let shown = effective(Some(none.path()), &environment, &vec![]).unwrap() + &format!("{settings:?}");
        assert!(!shown.contains("hunter2") && !shown.contains("aHVudGVy"), "{shown}");
        assert!(shown.contains("redis://[hidden]@127.0.0.1:1"), "where Redis is may be seen: {shown}");
    }

    #[test]
    fn what_is_shown_can_be_read_again() {
        let environment =
            environment(&[("FLASHSALE_HTTP__WORKERS", "3"), ("FLASHSALE_WEBHOOK__ALLOW_UNSIGNED", "true")]);
        let shown = effective(Some(file("").path()), &environment, &vec![]).unwrap();
        let again = load(Some(file(&shown).path()), &Environment::new(), &vec![]).unwrap();
        assert_eq!(again.http.workers, 3);
        assert!(again.webhook.allow_unsigned);
    }
}
