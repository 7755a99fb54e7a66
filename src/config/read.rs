//! Reads each setting, with the bounds of its value.

use std::{net::SocketAddr, path::PathBuf};

use url::Url;

use super::{
    Admin, Durability, Events, Http, Log, LogFormat, Metrics, Pages, Redis, RedisSource, Sale, Secret, Settings,
    Tracing, Webhook, address,
    reader::Reader,
    redis_url::{self, Named},
    token::{self, CHARS_MIN as TOKEN_CHARS_MIN, Token},
};

/// The server has no more.
const WORKERS_MAX: usize = 512;
const RATE_MIN: f64 = 0.0001;
const RATE_MAX: f64 = 1_000_000.0;
const RATIO_MIN: f64 = 0.000_001;
const BURST_MAX: u64 = 100_000;

pub(super) fn settings(r: &mut Reader) -> Settings {
    Settings {
        http: http(r),
        redis: redis(r),
        admin: admin(r),
        webhook: webhook(r),
        sale: sale(r),
        durability: Durability {
            payments: r.text("durability.payments"),
            timeout_ms: r.number("durability.timeout_ms", 10, 60_000),
        },
        events: Events {
            keep_max: r.number("events.keep_max", 100, 1_000_000_000),
            sweep_ms: r.number("events.sweep_ms", 0, 3_600_000),
        },
        metrics: metrics(r),
        pages: Pages { storefront: r.flag("pages.storefront"), dashboard: r.flag("pages.dashboard") },
        tracing: tracing(r),
        log: log(r),
    }
}

fn http(r: &mut Reader) -> Http {
    Http {
        addr: address(r),
        backlog: u32::try_from(r.number("http.backlog", 1, 65_535)).unwrap_or(u32::MAX),
        workers: match r.count("http.workers", 0, WORKERS_MAX as u64) {
            0 => std::thread::available_parallelism().map_or(1, |cores| cores.get().min(WORKERS_MAX)),
            workers => workers,
        },
        body_bytes_max: r.count("http.body_bytes_max", 256, 1 << 24),
        webhook_bytes_max: r.count("http.webhook_bytes_max", 256, 1 << 24),
        head_timeout_ms: r.number("http.head_timeout_ms", 10, 600_000),
        read_timeout_ms: r.number("http.read_timeout_ms", 10, 600_000),
        keep_alive_seconds: r.number("http.keep_alive_seconds", 1, 86_400),
        drain_seconds: r.number("http.drain_seconds", 0, 3_600),
        shutdown_seconds: r.number("http.shutdown_seconds", 1, 3_600),
        api_keys: api_keys(r),
        rate_limit_per_second: r.rate("http.rate_limit_per_second", RATE_MIN, RATE_MAX),
        rate_limit_burst: u32::try_from(r.number("http.rate_limit_burst", 1, BURST_MAX)).unwrap_or(u32::MAX),
        cors_origins: r.list("http.cors_origins"),
        trusted_proxies: r.list("http.trusted_proxies"),
        watchers_max: r.count("http.watchers_max", 0, 1_000_000),
        show_sequence: r.flag("http.show_sequence"),
    }
}

fn address(r: &mut Reader) -> SocketAddr {
    address::read(&r.text("http.addr")).unwrap_or_else(|what| {
        r.complain("http.addr", what);
        SocketAddr::from(([127, 0, 0, 1], 0))
    })
}

fn api_keys(r: &mut Reader) -> Vec<Secret> {
    let keys = r.secrets_of("http.api_keys");
    let is_good = |key: &Secret| {
        let key = key.expose();
        key.len() >= TOKEN_CHARS_MIN && key.bytes().all(|byte| byte.is_ascii_graphic())
    };
    let bad = keys.iter().enumerate().filter(|(_, key)| !is_good(key)).map(|(at, _)| (at + 1).to_string());
    let bad = bad.collect::<Vec<_>>().join(", ");
    if !bad.is_empty() {
        let what = format!("number {bad} must have at least {TOKEN_CHARS_MIN} characters, all of visible ASCII");
        r.complain("http.api_keys", &what);
    }
    keys
}

fn redis(r: &mut Reader) -> Redis {
    Redis {
        source: redis_source(r),
        connect_timeout_ms: r.number("redis.connect_timeout_ms", 10, 60_000),
        call_timeout_ms: r.number("redis.call_timeout_ms", 10, 60_000),
        in_flight_max: r.count("redis.in_flight_max", 1, 1_000_000),
        queue_max: r.count("redis.queue_max", 1, 1_000_000),
        startup_seconds: r.number("redis.startup_seconds", 0, 3_600),
    }
}

fn redis_source(r: &mut Reader) -> RedisSource {
    let (mode, url) = (r.text("redis.mode"), r.secret_url("redis.url"));
    let user = Some(r.text("redis.sentinel_user")).filter(|user| !user.is_empty());
    let password = r.secret("redis.sentinel_password");
    let secrets = |urls: Vec<String>| urls.into_iter().map(Secret::new).collect();
    let wrong = match (mode.as_str(), url) {
        ("" | "standalone" | "sentinel" | "cluster", Some(url)) => match (mode.as_str(), redis_url::read(url.expose()))
        {
            (_, Err(what)) => Some(("redis.url", what)),
            ("" | "standalone", Ok(Named::One)) => return RedisSource::Standalone { url },
            ("" | "sentinel", Ok(Named::Sentinel(urls, name))) => {
                return RedisSource::Sentinel { urls: secrets(urls), name, user, password };
            }
            ("" | "cluster", Ok(Named::Cluster(urls))) => return RedisSource::Cluster { urls: secrets(urls) },
            _ => Some(("redis.mode", "and the beginning of redis.url name different things: leave redis.mode empty")),
        },
        ("sentinel", None) => {
            Some(("redis.url", "is needed when redis.mode is sentinel, as in redis+sentinel://10.0.0.1:26379/name"))
        }
        ("cluster", None) => {
            Some(("redis.url", "is needed when redis.mode is cluster, as in redis-cluster://10.0.0.1:6379"))
        }
        ("" | "embedded", None) => None,
        ("embedded", Some(_)) => Some(("redis.mode", "is embedded, but redis.url names a server: drop one of them")),
        ("standalone", None) => {
            Some(("redis.url", "is needed when redis.mode is standalone, as in redis://127.0.0.1:6379"))
        }
        _ => Some(("redis.mode", "must be embedded, standalone, sentinel, cluster or empty")),
    };
    if let Some((key, what)) = wrong {
        r.complain(key, what);
    }
    RedisSource::Embedded {
        data_dir: PathBuf::from(r.present("redis.data_dir")),
        server: Some(r.text("redis.server")).filter(|path| !path.is_empty()).map(PathBuf::from),
    }
}

fn admin(r: &mut Reader) -> Admin {
    let mut tokens_of = |key: &str| r.secrets_of(key).iter().map(Token::of).collect();
    let (tokens, read_tokens): (Vec<_>, Vec<_>) = (tokens_of("admin.tokens"), tokens_of("admin.read_tokens"));
    let token = r.secret("admin.token");
    let one = token.clone().map(Token::unnamed);
    let lists = [
        ("admin.token", one.iter().collect()),
        ("admin.tokens", tokens.iter().collect()),
        ("admin.read_tokens", read_tokens.iter().collect()),
    ];
    token::check(&lists, &mut r.complaints);
    Admin { token, tokens, read_tokens }
}

fn metrics(r: &mut Reader) -> Metrics {
    let token = r.secret("metrics.token");
    if token.as_ref().is_some_and(|token| token.expose().chars().count() < TOKEN_CHARS_MIN) {
        r.complain("metrics.token", &format!("must have at least {TOKEN_CHARS_MIN} characters"));
    }
    Metrics { open: r.flag("metrics.open"), token, products_max: r.count("metrics.products_max", 0, 100_000) }
}

fn tracing(r: &mut Reader) -> Tracing {
    let url = Some(r.text("tracing.otlp_endpoint")).filter(|url| !url.is_empty());
    let is_plain = |url: &String| {
        let is_http = ["http://", "https://"].iter().any(|scheme| url.starts_with(scheme));
        is_http && !url.contains(['@', '?', '#']) && Url::parse(url).is_ok()
    };
    if url.as_ref().is_some_and(|url| !is_plain(url)) {
        // It is not repeated: it may hold a password.
        r.complain("tracing.otlp_endpoint", "must be http:// or https:// with a host, as in http://127.0.0.1:4318");
    }
    Tracing {
        otlp_endpoint: url,
        sample_ratio: r.rate("tracing.sample_ratio", RATIO_MIN, 1.0).unwrap_or(0.0),
        trust_callers: r.flag("tracing.trust_callers"),
    }
}

fn webhook(r: &mut Reader) -> Webhook {
    Webhook {
        secrets: r.secrets_in("webhook."),
        allow_unsigned: r.flag("webhook.allow_unsigned"),
        allow_unsigned_without_secrets: false,
        simulated: false,
        tolerance_seconds: r.number("webhook.tolerance_seconds", 1, 86_400),
        remember_seconds: r.number("webhook.remember_seconds", 60, 31_536_000),
        refundable_seconds: r.number("webhook.refundable_seconds", 60, 157_680_000),
        foreign: r.text("webhook.foreign"),
    }
}

fn sale(r: &mut Reader) -> Sale {
    Sale {
        hold_seconds: r.number("sale.hold_seconds", 1, 86_400),
        hold_seconds_max: r.number("sale.hold_seconds_max", 0, 604_800),
        payment_seconds: r.number("sale.payment_seconds", 1, 604_800),
        payment_seconds_max: r.number("sale.payment_seconds_max", 1, 604_800),
        review_seconds: r.number("sale.review_seconds", 1, 31_536_000),
        idempotency_seconds: r.number("sale.idempotency_seconds", 60, 31_536_000),
        retention_seconds: r.number("sale.retention_seconds", 60, 315_360_000),
    }
}

fn log(r: &mut Reader) -> Log {
    let format = match r.text("log.format").as_str() {
        "text" => LogFormat::Text,
        "json" => LogFormat::Json,
        "auto" => LogFormat::Auto,
        _ => {
            r.complain("log.format", "must be text, json or auto");
            LogFormat::Auto
        }
    };
    let filter = r.present("log.filter");
    if let Err(error) = tracing_subscriber::EnvFilter::try_new(&filter) {
        r.complain("log.filter", &format!("is no filter: {error}"));
    }
    Log { filter, format }
}
