//! What people take for the URL of a Redis, and what to write instead. No text repeats a part of the URL, which may be a secret.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

const UNESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');
const SEVERAL: &str = "names several servers: it must begin with redis-cluster:// for a cluster, or with redis+sentinel:// and \
    end with the name of the primary for sentinels";
const NO_PASSWORD: &str = "has a user and no password: it must be user:password@ in front of the host";
const ENCODE: &str = "has a user or password that ends too early: percent-encode it, with %23 for #, %2F for /, %3F for ?, \
    %40 for @ and %25 for %; `flashsale config encode-password` reads one and prints it so";

/// Schemes of a URL that names several servers, and of the URL of one of them.
const CLUSTERS: [&str; 4] = ["redis-cluster", "redis+cluster", "valkey-cluster", "valkey+cluster"];
const CLUSTERS_TLS: [&str; 4] = ["rediss-cluster", "rediss+cluster", "valkeys-cluster", "valkeys+cluster"];
const SENTINELS: [&str; 4] = ["redis+sentinel", "redis-sentinel", "valkey+sentinel", "valkey-sentinel"];
const SENTINELS_TLS: [&str; 4] = ["rediss+sentinel", "rediss-sentinel", "valkeys+sentinel", "valkeys-sentinel"];

/// Schemes of something else.
const OTHER_KINDS: [(&[&str], &str); 7] = [
    (&["http", "https"], "is a web address, and Redis has none: it must be redis://host:6379"),
    (&["cluster"], "must begin with redis-cluster://, as in redis-cluster://10.0.0.1:6379,10.0.0.2:6379"),
    (&["sentinel"], "must begin with redis+sentinel://, as in redis+sentinel://10.0.0.1:26379,10.0.0.2:26379/name"),
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

/// What a URL names.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Named {
    One,
    /// Each server as a URL of its own.
    Cluster(Vec<String>),
    /// Each sentinel as a URL with the user, password and database of the primary, and the name of the primary.
    Sentinel(Vec<String>, String),
}

/// # Errors
/// What is wrong with the URL, where that can be said better than that nobody can read it.
pub(super) fn read(url: &str) -> Result<Named, &'static str> {
    let Some((scheme, rest)) = url.split_once("://") else { return complaint(url).map_or(Ok(Named::One), Err) };
    let scheme = scheme.to_lowercase();
    let one = |plain: &[&str], tls: &[&str]| {
        let found = [(plain, "redis"), (tls, "rediss")].into_iter().find(|(known, _)| known.contains(&scheme.as_str()));
        found.map(|(_, one)| one)
    };
    if let Some(one) = one(&CLUSTERS, &CLUSTERS_TLS) {
        let several = Several::read(rest)?;
        if several.path.is_some_and(|path| !matches!(path, "" | "0")) {
            return Err("names a database, and a cluster has database 0 alone");
        }
        return Ok(Named::Cluster(several.urls(one, "")));
    }
    if let Some(one) = one(&SENTINELS, &SENTINELS_TLS) {
        let several = Several::read(rest)?;
        let (name, database) = several.path.unwrap_or("").split_once('/').unwrap_or((several.path.unwrap_or(""), ""));
        if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte)) {
            return Err(
                "must end with the name of the primary, as in redis+sentinel://10.0.0.1:26379,10.0.0.2:26379/name",
            );
        }
        if !database.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err("must end with the name of the primary and, where it is not 0, its database: /name/1");
        }
        return Ok(Named::Sentinel(several.urls(one, database), name.to_owned()));
    }
    complaint(url).map_or(Ok(Named::One), Err)
}

/// The parts of a URL of several servers, behind its scheme.
struct Several<'a> {
    credentials: Option<&'a str>,
    hosts: Vec<&'a str>,
    path: Option<&'a str>,
    /// With the mark in front of it.
    tail: &'a str,
}

impl<'a> Several<'a> {
    fn read(rest: &'a str) -> Result<Self, &'static str> {
        if cut_password(rest) {
            return Err(ENCODE);
        }
        let (credentials, rest) = rest.rsplit_once('@').map_or((None, rest), |(before, rest)| (Some(before), rest));
        let (rest, tail) = rest.find(['?', '#']).map_or((rest, ""), |at| rest.split_at(at));
        let (hosts, path) = rest.split_once('/').map_or((rest, None), |(hosts, path)| (hosts, Some(path)));
        let hosts: Vec<_> = hosts.split(',').map(str::trim).collect();
        if has_no_password(credentials) {
            return Err(NO_PASSWORD);
        }
        if hosts.iter().any(|host| host.is_empty()) {
            return Err("must name its servers with commas between them, as in 10.0.0.1:6379,10.0.0.2:6379");
        }
        Ok(Self { credentials, hosts, path, tail })
    }

    fn urls(&self, scheme: &str, database: &str) -> Vec<String> {
        let credentials = self.credentials.map_or_else(String::new, |credentials| format!("{credentials}@"));
        let url = |host: &&str| format!("{scheme}://{credentials}{host}/{database}{}", self.tail);
        self.hosts.iter().map(url).collect()
    }
}

/// Whether the hosts of a URL are a list.
fn names_several(rest: &str) -> bool {
    let hosts = rest.rsplit_once('@').map_or(rest, |(_, hosts)| hosts);
    hosts.split(['/', '?', '#']).next().is_some_and(|hosts| hosts.contains(','))
}

/// A URL of several servers as a person may see it. `None` where it is no such URL, or may show a secret.
pub(super) fn shown(url: &str) -> Option<String> {
    let (scheme, rest) = url.split_once("://")?;
    let lower = scheme.to_lowercase();
    [CLUSTERS, CLUSTERS_TLS, SENTINELS, SENTINELS_TLS].iter().flatten().find(|known| **known == lower)?;
    let several = Several::read(rest).ok()?;
    let is_plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-:[]/".contains(&byte));
    if !several.hosts.iter().all(|host| is_plain(host)) || !is_plain(several.path.unwrap_or("")) {
        return None;
    }
    let user = if several.credentials.is_some() { "[hidden]@" } else { "" };
    let path = several.path.map_or_else(String::new, |path| format!("/{path}"));
    let tail = match several.tail {
        "" | "#insecure" | "?protocol=resp3" => several.tail,
        _ => "?[hidden]",
    };
    Some(format!("{scheme}://{user}{}{path}{tail}", several.hosts.join(",")))
}

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
        "redis" | "rediss" | "valkey" | "valkeys" if cut_password(rest) => Some(ENCODE),
        "redis" | "rediss" | "valkey" | "valkeys" if names_several(rest) => Some(SEVERAL),
        "redis" | "rediss" | "valkey" | "valkeys" => has_no_password(credentials_of(rest)).then_some(NO_PASSWORD),
        // A socket has its password in the query.
        "unix" | "redis+unix" | "valkey+unix" => rest.contains('#').then_some(ENCODE),
        _ => Some("must begin with redis://, rediss://, unix://, redis-cluster:// or redis+sentinel://"),
    })
}

/// A user whom nobody proves to be is not sent, and the service would be whoever needs no password.
fn has_no_password(credentials: Option<&str>) -> bool {
    credentials.is_some_and(|credentials| !credentials.contains(':') && !credentials.is_empty())
}

fn credentials_of(rest: &str) -> Option<&str> {
    rest.rsplit_once('@').map(|(credentials, _)| credentials)
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
            ("cluster://h:1,h:2", "redis-cluster://"),
            ("sentinel://h:26379/mymaster", "redis+sentinel://"),
            ("redis://h:1,h:2", "several servers"),
            ("redis://app:pw@h:1,h:2/0", "several servers"),
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
            ("redis://app@h:6379", "no password"),
            ("rediss://app@h:6379/1", "no password"),
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
    fn a_url_of_several_servers_is_one_of_each() {
        let urls = |all: &[&str]| all.iter().map(|url| (*url).to_owned()).collect::<Vec<_>>();
        assert_eq!(
            read("redis-cluster://app:p%40ss@10.0.0.1:6379,[::1]:7001"),
            Ok(Named::Cluster(urls(&["redis://app:p%40ss@10.0.0.1:6379/", "redis://app:p%40ss@[::1]:7001/"])))
        );
        assert_eq!(read("RedisS+Cluster://h/0#insecure"), Ok(Named::Cluster(urls(&["rediss://h/#insecure"]))));
        assert_eq!(
            read("redis+sentinel://:pw@a:26379, b:26379/my-drop/2?protocol=resp3"),
            Ok(Named::Sentinel(
                urls(&["redis://:pw@a:26379/2?protocol=resp3", "redis://:pw@b:26379/2?protocol=resp3"]),
                "my-drop".into()
            ))
        );
        assert_eq!(read("redis://h:6379"), Ok(Named::One));
        for (url, word) in [
            ("redis-cluster://h:1/3", "database 0"),
            ("redis-cluster://h:1,,h:2", "commas"),
            ("redis-cluster://", "commas"),
            ("redis+sentinel://h:26379", "name of the primary"),
            ("redis+sentinel://h:26379/", "name of the primary"),
            ("redis+sentinel://h:26379/my drop", "name of the primary"),
            ("redis+sentinel://h:26379/drop/x", "database"),
            ("redis+sentinel://:a/b@h:26379/drop", "%2F"),
            ("redis://h:1,h:2", "several"),
        ] {
            assert!(read(url).is_err_and(|what| what.contains(word)), "{url}: {:?}", read(url));
        }
    }

    #[test]
    fn a_url_of_several_servers_is_shown_without_its_password() {
        for (url, expected) in [
            ("redis-cluster://app:s3cret@h:1,h:2", Some("redis-cluster://[hidden]@h:1,h:2")),
            ("redis+sentinel://:s3@cret@h:1,h:2/drop", Some("redis+sentinel://[hidden]@h:1,h:2/drop")),
            ("redis+sentinel://h:1/drop?pass=s3cret", Some("redis+sentinel://h:1/drop?[hidden]")),
            ("redis+sentinel://app:s3cret/x@h:1/drop", None),
            ("redis-cluster://h:1,s3cret!h", None),
            ("redis://app:s3cret@h", None),
        ] {
            assert_eq!(shown(url).as_deref(), expected, "{url}");
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
