//! Settings: compiled-in defaults < file < environment < flags, read into plain values.
//!
//! This room checks the form of each value. What a value means is checked by the room that uses it, through the `check` of
//! [`load`], so that one message has all complaints.

mod address;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzed;
mod given;
mod read;
mod reader;
mod redis_url;
mod secret;
#[cfg(test)]
mod tests;
mod token;

use std::{
    collections::HashMap,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use self::reader::Reader;
pub use self::{
    given::plain_text,
    redis_url::encode_password,
    secret::{HIDDEN, Secret, without_credentials},
    token::Token,
};

/// The defaults, as a person reads them. Every setting has a line here.
pub const DEFAULTS: &str = include_str!("default.toml");
/// The settings file that is read when none is named and this one exists.
pub const FILE: &str = "flashsale.toml";

#[derive(Clone, Debug)]
pub struct Settings {
    pub http: Http,
    pub redis: Redis,
    pub admin: Admin,
    pub webhook: Webhook,
    pub sale: Sale,
    pub durability: Durability,
    pub events: Events,
    pub metrics: Metrics,
    pub pages: Pages,
    pub tracing: Tracing,
    pub log: Log,
}

#[derive(Clone, Debug)]
pub struct Http {
    pub addr: SocketAddr,
    /// Clients that may have connected and wait to be accepted.
    pub backlog: u32,
    /// At least 1.
    pub workers: usize,
    pub body_bytes_max: usize,
    pub webhook_bytes_max: usize,
    /// For the first head of a connection.
    pub head_timeout_ms: u64,
    /// For a body.
    pub read_timeout_ms: u64,
    pub keep_alive_seconds: u64,
    pub drain_seconds: u64,
    pub shutdown_seconds: u64,
    /// Empty: the storefront needs no key.
    pub api_keys: Vec<Secret>,
    /// Calls a second of one client address. `None`: no limit.
    pub rate_limit_per_second: Option<f64>,
    pub rate_limit_burst: u32,
    /// Origins of web pages, such as `https://shop.example`, or `*` alone.
    pub cors_origins: Vec<String>,
    /// Addresses and networks, such as `10.0.0.0/8`.
    pub trusted_proxies: Vec<String>,
    /// Streams of stock at the same time.
    pub watchers_max: usize,
    pub show_sequence: bool,
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
    Embedded {
        data_dir: PathBuf,
        server: Option<PathBuf>,
    },
    Standalone {
        url: Secret,
    },
    /// Each URL is that of a sentinel, with the user and password of the primary.
    Sentinel {
        urls: Vec<Secret>,
        name: String,
        user: Option<String>,
        password: Option<Secret>,
    },
    /// Some servers of the cluster.
    Cluster {
        urls: Vec<Secret>,
    },
}

/// Tokens of the admin routes. Without any token these routes do not exist.
#[derive(Clone, Debug)]
pub struct Admin {
    pub token: Option<Secret>,
    /// More tokens with the same rights.
    pub tokens: Vec<Token>,
    /// Tokens that may read and change nothing.
    pub read_tokens: Vec<Token>,
}

#[derive(Clone, Debug)]
pub struct Webhook {
    /// The secrets of each provider, by the name of their setting: `webhook.secrets`, `webhook.stripe_secrets`.
    pub secrets: HashMap<String, Vec<Secret>>,
    pub allow_unsigned: bool,
    /// Unsigned events are accepted from providers without a secret. No setting: the demo sets it.
    pub allow_unsigned_without_secrets: bool,
    /// There is a provider for trying things. No setting: the demo sets it.
    pub simulated: bool,
    pub tolerance_seconds: u64,
    pub remember_seconds: u64,
    pub refundable_seconds: u64,
    pub foreign: String,
}

impl Webhook {
    /// The secrets of the provider with this setting.
    pub fn secrets_of(&self, setting: &str) -> &[Secret] {
        self.secrets.get(setting).map_or(&[], Vec::as_slice)
    }

    /// Whether unsigned events of the provider with this setting are accepted.
    pub fn allows_unsigned(&self, setting: &str) -> bool {
        self.allow_unsigned || self.allow_unsigned_without_secrets && self.secrets_of(setting).is_empty()
    }
}

#[derive(Clone, Debug)]
pub struct Sale {
    pub hold_seconds: u64,
    /// 0: as `hold_seconds`.
    pub hold_seconds_max: u64,
    pub payment_seconds: u64,
    pub payment_seconds_max: u64,
    pub review_seconds: u64,
    pub idempotency_seconds: u64,
    pub retention_seconds: u64,
}

#[derive(Clone, Debug)]
pub struct Durability {
    /// `memory`, `fsync` or `replicas:N`.
    pub payments: String,
    pub timeout_ms: u64,
}

#[derive(Clone, Copy, Debug)]
pub struct Events {
    pub keep_max: u64,
    pub sweep_ms: u64,
}

/// Who may read `/metrics` beside admins, and how much of the store it shows.
#[derive(Clone, Debug)]
pub struct Metrics {
    /// Everybody may.
    pub open: bool,
    pub token: Option<Secret>,
    pub products_max: usize,
}

/// Pages for people.
#[derive(Clone, Copy, Debug)]
pub struct Pages {
    pub storefront: bool,
    pub dashboard: bool,
}

/// Traces for a collector.
#[derive(Clone, Debug)]
pub struct Tracing {
    /// Its URL. `None`: nothing is traced.
    pub otlp_endpoint: Option<String>,
    /// From 0 to 1.
    pub sample_ratio: f64,
    /// A request belongs to the trace that it names.
    pub trust_callers: bool,
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

/// Everything that is wrong with the settings: each complaint begins with the name of its setting. Empty: nothing is wrong.
#[derive(Debug, Default, thiserror::Error)]
#[error("the settings cannot be used:\n{}", .0.iter().map(|c| format!("  - {c}")).collect::<Vec<_>>().join("\n"))]
pub struct Complaints(pub Vec<String>);

impl Complaints {
    /// `what` must not repeat a value that may be a secret.
    pub fn add(&mut self, setting: &str, what: &str) {
        self.0.push(format!("{setting} {what}"));
    }
}

/// The settings that flags give: `("http.addr", "0.0.0.0:80")`.
pub type Overrides = Vec<(&'static str, String)>;

/// Environment variables, by name.
pub type Environment = HashMap<String, String>;

/// The places that settings come from.
#[derive(Clone, Copy)]
pub struct Sources<'a> {
    pub file: Option<&'a Path>,
    pub environment: &'a Environment,
    pub flags: &'a Overrides,
}

/// Adds what is wrong with settings whose form is right.
pub type Check = fn(&Settings, &mut Complaints);

/// Settings whose form was checked, and how to print them.
pub struct Loaded {
    pub settings: Settings,
    reader: Reader,
}

impl Loaded {
    /// The settings in force, as TOML with secrets hidden.
    pub fn render(&self) -> String {
        self.reader.render()
    }

    /// Whether somebody gave the setting, instead of leaving it to its default.
    pub fn is_given(&self, setting: &str) -> bool {
        self.reader.is_given(setting)
    }

    /// The settings that were read as secrets, by name.
    pub fn secrets(&self) -> impl Iterator<Item = &str> {
        self.reader.secrets()
    }
}

/// Reads the settings from all their places.
///
/// # Errors
/// [`Complaints`]: unknown keys and bad values, all of them.
pub fn load(sources: Sources<'_>, check: Check) -> Result<Loaded, Complaints> {
    let mut reader = Reader::gather(sources)?;
    let settings = read::settings(&mut reader);
    check(&settings, &mut reader.complaints);
    if reader.complaints.0.is_empty() { Ok(Loaded { settings, reader }) } else { Err(reader.complaints) }
}
