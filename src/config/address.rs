//! Addresses to listen on, in the forms that people write.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

const FORMS: &str = "must be an address and port such as 127.0.0.1:8080 or [::1]:8080; localhost:8080 and 8080 are this \
    machine alone, :8080 is every IPv4 address of it";

/// # Errors
/// What is wrong with it.
pub(super) fn read(text: &str) -> Result<SocketAddr, &'static str> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    if text.contains("://") {
        return Err("must be an address and port such as 127.0.0.1:8080, without http:// and a path");
    }
    if text.trim_matches(['[', ']']).parse::<IpAddr>().is_ok() {
        return Err("has no port: write 127.0.0.1:8080, or [::1]:8080 with its brackets");
    }
    let (host, port) = text.rsplit_once(':').unwrap_or(("localhost", text));
    let ip = match host {
        "" | "*" => Ipv4Addr::UNSPECIFIED,
        host if host.eq_ignore_ascii_case("localhost") => Ipv4Addr::LOCALHOST,
        _ => return Err(FORMS),
    };
    let is_number = port.bytes().all(|byte| byte.is_ascii_digit());
    port.parse().ok().filter(|_| is_number).map(|port| SocketAddr::from((ip, port))).ok_or(FORMS)
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn addresses_are_read_in_the_forms_that_people_write() {
        for (text, address) in [
            ("127.0.0.1:8080", "127.0.0.1:8080"),
            ("[::1]:8080", "[::1]:8080"),
            ("localhost:8080", "127.0.0.1:8080"),
            ("LocalHost:80", "127.0.0.1:80"),
            ("8080", "127.0.0.1:8080"),
            (":8080", "0.0.0.0:8080"),
            ("*:8080", "0.0.0.0:8080"),
            ("[::]:0", "[::]:0"),
        ] {
            assert_eq!(read(text).map(|read| read.to_string()), Ok(address.to_owned()), "{text}");
        }
        for (text, word) in [
            ("http://127.0.0.1:8080", "without http://"),
            ("127.0.0.1", "no port"),
            ("::1", "no port"),
            ("[::1]", "no port"),
            ("shop.example:8080", "must be"),
            ("localhost", "must be"),
            ("+80", "must be"),
            (":99999", "must be"),
            ("8080/tcp", "must be"),
        ] {
            assert!(read(text).is_err_and(|what| what.contains(word)), "{text}: {:?}", read(text));
        }
    }
}
