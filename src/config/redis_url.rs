//! What people take for the URL of a Redis, and what to write instead. No text repeats a part of the URL, which may be a secret.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

const UNESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
const ENCODE: &str = "has a user or password that ends too early: percent-encode it, with %23 for #, %2F for /, %3F for ?, \
    %40 for @ and %25 for %; `flashsale config encode-password` reads one and prints it so";

/// Schemes of something else.
const OTHER_KINDS: [(&[&str], &str); 7] = [
    (&["http", "https"], "is a web address, and Redis has none: it must be redis://host:6379"),
    (
        &["redis-cluster", "redis+cluster", "rediss-cluster", "rediss+cluster", "cluster"],
        "names a cluster, which is not supported yet: it must be one primary, as in redis://host:6379",
    ),
    (
        &["redis-sentinel", "redis+sentinel", "rediss-sentinel", "rediss+sentinel", "sentinel"],
        "names Sentinel, which is not supported yet: it must be the primary, as in redis://host:6379",
    ),
    (
        &["redis-socket", "redis+socket", "unix+redis", "socket", "file"],
        "must be unix:///path/to/redis.sock for a socket, with three slashes",
    ),
    (&["redis-tls", "redis+tls", "redis-ssl", "redis+ssl", "tls", "ssl"], "must be rediss://host:6379 for TLS"),
    (&["tcp"], "must begin with redis:// instead of tcp://"),
    (
        &[
            "postgres",
            "postgresql",
            "mysql",
            "mariadb",
            "mongodb",
            "mongodb+srv",
            "memcached",
            "memcache",
            "amqp",
            "amqps",
            "nats",
            "kafka",
            "sqlite",
            "etcd",
        ],
        "names a server of another kind: it must be a Redis or Valkey, as in redis://host:6379",
    ),
];

/// What is wrong with the URL, where that can be said better than that nobody can read it.
pub(super) fn complaint(url: &str) -> Option<&'static str> {
    let Some((scheme, rest)) = url.split_once("://") else {
        // `unix:/path` is a URL too.
        let is_known = url.starts_with("unix:/");
        let is_path = url.starts_with('/') || url.starts_with("./");
        return match (is_known, is_path) {
            (true, _) => None,
            (false, true) => Some("is a path: it must be unix:///path/to/redis.sock"),
            (false, false) => Some("has no scheme: it must begin with redis://, as in redis://localhost:6379"),
        };
    };
    let scheme = scheme.to_lowercase();
    let other = OTHER_KINDS.iter().find(|(schemes, _)| schemes.contains(&scheme.as_str()));
    other.map(|(_, what)| *what).or_else(|| match scheme.as_str() {
        "redis" | "rediss" | "valkey" | "valkeys" => cut_password(rest).then_some(ENCODE),
        // A socket has its password in the query.
        "unix" | "redis+unix" | "valkey+unix" => rest.contains('#').then_some(ENCODE),
        _ => Some("must begin with redis://, rediss:// or unix://"),
    })
}

/// Whether a URL ends its authority before the last `@`, which stands behind the password.
fn cut_password(rest: &str) -> bool {
    rest.rsplit_once('@').is_some_and(|(credentials, _)| credentials.contains(['/', '?', '#']))
}

/// A user or password as it stands in a URL.
pub fn encode_password(password: &str) -> String {
    utf8_percent_encode(password, UNESCAPED).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_of_another_kind_says_what_it_is() {
        for (url, word) in [
            ("http://h:6379", "web address"),
            ("HTTPS://h", "web address"),
            ("redis-cluster://h:1,h:2", "cluster"),
            ("redis+sentinel://h:26379/mymaster", "Sentinel"),
            ("redis+socket:///run/redis.sock", "unix:///"),
            ("tls://h:6379", "rediss://"),
            ("tcp://h:6379", "instead of tcp://"),
            ("postgres://app:s3cret@h/db", "another kind"),
            ("memcached://h:11211", "another kind"),
            ("ftp://h", "must begin with redis://"),
            ("localhost:6379", "no scheme"),
            ("app:s3cret@h:6379", "no scheme"),
            ("h", "no scheme"),
            ("/run/redis.sock", "is a path"),
            ("redis://:a/b@h:6379", "%2F"),
            ("redis://app:1?b@h:6379", "%3F"),
            ("rediss://app:a#b@h:6379", "%23"),
            ("redis://app:1/a@b@h:6379", "%40"),
            ("unix:///run/redis.sock?user=app&pass=a#b", "%23"),
        ] {
            assert!(complaint(url).is_some_and(|what| what.contains(word)), "{url}: {:?}", complaint(url));
        }
        for url in [
            "redis://127.0.0.1:6379",
            "redis://app:p@ss@h:6379/0?protocol=resp3",
            "rediss://app:s3%2Fcret@h/#insecure",
            "valkey://h",
            "unix:///run/redis.sock?db=2&pass=a",
            "unix:/run/redis.sock",
        ] {
            assert_eq!(complaint(url), None, "{url}");
        }
    }

    #[test]
    fn an_encoded_password_stands_in_a_url() {
        let password = "p/a?s#s@w%o:r d\u{e9}";
        let url = url::Url::parse(&format!("redis://app:{}@h:6379", encode_password(password))).unwrap();
        let decoded = percent_encoding::percent_decode_str(url.password().unwrap()).decode_utf8().unwrap();
        assert_eq!((decoded.as_ref(), url.host_str()), (password, Some("h")));
    }
}
