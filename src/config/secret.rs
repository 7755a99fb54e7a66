//! Secrets: texts that are never printed.

use std::fmt;

use url::{Position, Url};

use super::redis_url;

/// What stands in the place of a secret.
pub const HIDDEN: &str = "[hidden]";

/// A text that nothing prints: `Debug` writes a mark, and there is no `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text itself, for the code that must send or compare it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

/// Whether a parameter in the query of a URL of Redis is no secret. Everything else is hidden, its name too: a password with an
/// unescaped `?` would begin a query.
fn is_harmless(name: &str, value: &str) -> bool {
    match name {
        "db" => value.bytes().all(|byte| byte.is_ascii_digit()),
        "protocol" => ["2", "3", "resp2", "resp3"].contains(&value),
        _ => false,
    }
}

/// The parameters with credentials, of which at least the name may be shown.
const NAMED_PARAMETERS: [&str; 4] = ["user", "pass", "username", "password"];

/// A URL without its credentials, so that a person can see where a server is. It is hidden whole where it cannot be read.
pub fn without_credentials(url: &str) -> String {
    if let Some(several) = redis_url::shown(url) {
        return several;
    }
    let Ok(url) = Url::parse(url) else { return HIDDEN.to_owned() };
    let is_socket = url.scheme().ends_with("unix") && url.path().starts_with('/');
    // An `@` behind the host belongs to a password that was not escaped. Then even the host may be a part of it.
    if !is_socket && url[Position::BeforePath..].contains('@') {
        return format!("{}://{HIDDEN}", url.scheme());
    }
    let user = if url.username().is_empty() && url.password().is_none() { "" } else { "[hidden]@" };
    let host = url.host_str().unwrap_or("");
    let port = url.port().map_or_else(String::new, |port| format!(":{port}"));
    // The path is a database for a server, and a file for a socket. Anything else may be the rest of a password.
    let is_database = url.path().trim_start_matches('/').bytes().all(|byte| byte.is_ascii_digit());
    let path = if is_socket || is_database { url.path() } else { "/[hidden]" };
    let query = url.query().map_or_else(String::new, |query| format!("?{}", shown_query(query)));
    let fragment = match url.fragment() {
        None => "",
        Some("insecure") => "#insecure",
        Some(_) => "#[hidden]",
    };
    format!("{}://{user}{host}{port}{path}{query}{fragment}", url.scheme())
}

fn shown_query(query: &str) -> String {
    let shown = query.split('&').map(|parameter| match parameter.split_once('=') {
        Some((name, value)) if is_harmless(name, value) => parameter.to_owned(),
        Some((name, _)) if NAMED_PARAMETERS.contains(&name) => format!("{name}={HIDDEN}"),
        _ => HIDDEN.to_owned(),
    });
    shown.collect::<Vec<_>>().join("&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_shows_where_redis_is_and_none_of_its_credentials() {
        for (url, shown) in [
            ("redis://127.0.0.1:6379", "redis://127.0.0.1:6379"),
            ("redis://[::1]:6379/7", "redis://[::1]:6379/7"),
            ("redis://:s3cret@h:6379/0?protocol=resp3", "redis://[hidden]@h:6379/0?protocol=resp3"),
            ("rediss://app:s3cret@h/#insecure", "rediss://[hidden]@h/#insecure"),
            ("redis://app:s3%63ret@h", "redis://[hidden]@h"),
            ("redis://app@h", "redis://[hidden]@h"),
            ("redis://h:6379?password=s3cret", "redis://h:6379?password=[hidden]"),
            ("redis://h:6379?Password=s3cret&db=1", "redis://h:6379?[hidden]&db=1"),
            ("redis://h?%70ass=s3cret", "redis://h?[hidden]"),
            ("redis://h?s3cret", "redis://h?[hidden]"),
            (
                "unix:///run/redis.sock?user=app&pass=s3cret&db=2",
                "unix:///run/redis.sock?user=[hidden]&pass=[hidden]&db=2",
            ),
            ("unix:///run/redis.sock#s3cret", "unix:///run/redis.sock#[hidden]"),
            // Characters of a password that must be escaped, and are not.
            ("redis://:p@s3cret@h", "redis://[hidden]@h"),
            ("redis://app:1/s3cret@h", "redis://[hidden]"),
            ("redis://app:1?s3cret@h", "redis://[hidden]"),
            ("redis://app:1#s3cret@h", "redis://[hidden]"),
            ("redis://h/s3cret", "redis://h/[hidden]"),
            ("redis://h?db=s3cret", "redis://h?[hidden]"),
            ("unix:///run/redis.sock?pass=s3@cret", "unix:///run/redis.sock?pass=[hidden]"),
            ("redis://app:s3cret/x@h", "[hidden]"),
            ("redis:s3cret@h", "redis://[hidden]"),
            ("s3cret", "[hidden]"),
            ("", "[hidden]"),
        ] {
            assert_eq!(without_credentials(url), shown, "{url}");
        }
    }

    #[test]
    fn a_secret_is_not_in_its_debug_text() {
        assert_eq!(format!("{:?}", Some(Secret::new("s3cret"))), "Some([hidden])");
    }
}
