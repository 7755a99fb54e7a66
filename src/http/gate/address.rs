//! Whose request is it? The peer's, unless a proxy that is trusted says for whom it asks.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::atomic::{AtomicBool, Ordering},
};

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};

use super::network::Network;

static X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// Proxies behind one another that are looked at, from the nearest on.
const HOPS_MAX: usize = 16;

/// The half of an IPv6 address that the network assigns. Each customer chooses the other half freely.
const NETWORK_HALF: u128 = !(u64::MAX as u128);

/// A client that the limit counts as one: an IPv4 address, or all IPv6 addresses of one /64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Client(IpAddr);

impl Client {
    pub(super) fn of(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & NETWORK_HALF).into(),
            ipv4 @ IpAddr::V4(_) => ipv4,
        })
    }
}

/// The proxies whose `X-Forwarded-For` is trusted.
pub(super) struct Proxies {
    trusted: Vec<Network>,
    has_warned: AtomicBool,
}

impl Proxies {
    pub(super) fn new(trusted: Vec<Network>) -> Self {
        Self { trusted, has_warned: AtomicBool::new(false) }
    }

    pub(super) fn client(&self, peer: Option<SocketAddr>, headers: &HeaderMap) -> Client {
        // There is one, unless a test made the request.
        let peer = peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.ip().to_canonical());
        if !self.trust(peer) {
            self.warn_of_proxy(peer, headers);
        }
        Client::of(self.origin(peer, headers))
    }

    fn trust(&self, address: IpAddr) -> bool {
        self.trusted.iter().any(|network| network.contains(address))
    }

    /// Each proxy appends the address that called it, so the header is read from its end. The first address that is no trusted proxy
    /// is the client's. The client itself may have written everything before it.
    pub(super) fn origin(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let lines = headers.get_all(&X_FORWARDED_FOR).rev().map(HeaderValue::as_bytes);
        let mut hops = lines.flat_map(|line| line.rsplit(|byte| *byte == b',')).take(HOPS_MAX);
        let mut origin = peer;
        while self.trust(origin) {
            match hops.next().map(read_hop) {
                Some(Some(address)) => origin = address,
                // Whoever wrote no address is counted itself.
                Some(None) | None => break,
            }
        }
        origin
    }

    /// Logged once, because it concerns every request.
    fn warn_of_proxy(&self, peer: IpAddr, headers: &HeaderMap) {
        let looks_like_a_proxy = || is_near(peer) && headers.contains_key(&X_FORWARDED_FOR);
        if !self.has_warned.load(Ordering::Relaxed)
            && looks_like_a_proxy()
            && !self.has_warned.swap(true, Ordering::Relaxed)
        {
            tracing::warn!(
                %peer,
                "a request came with X-Forwarded-For, which is not believed: all behind that peer count as one address for \
                 the rate limit. If it is your proxy, name it in http.trusted_proxies"
            );
        }
    }
}

/// Where proxies stand.
fn is_near(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_loopback() || address.is_private() || address.is_link_local(),
        IpAddr::V6(address) => address.is_loopback() || address.is_unique_local() || address.is_unicast_link_local(),
    }
}

/// An address as proxies write it: bare or with a port. That of IPv6 may have brackets and a zone.
fn read_hop(bytes: &[u8]) -> Option<IpAddr> {
    let text = str::from_utf8(bytes).ok()?.trim();
    let address = text.parse().ok().or_else(|| read_ipv6(text)).or_else(|| Some(text.parse::<SocketAddr>().ok()?.ip()));
    address.map(|address| address.to_canonical())
}

fn read_ipv6(text: &str) -> Option<IpAddr> {
    let (bare, port) = match text.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?,
        None => (text, ""),
    };
    let is_port =
        |port: &str| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok();
    let address = bare.split_once('%').map_or(bare, |(address, _zone)| address);
    let fits = port.is_empty() || port.strip_prefix(':').is_some_and(is_port);
    address.parse::<Ipv6Addr>().ok().filter(|_| fits).map(IpAddr::V6)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn origin(trusted: &str, peer: &str, lines: &[&str]) -> String {
        let networks = trusted.split_whitespace().map(|text| Network::parse(text).unwrap()).collect();
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(X_FORWARDED_FOR.clone(), HeaderValue::from_bytes(line.as_bytes()).unwrap());
        }
        let peer: IpAddr = peer.parse().unwrap();
        Proxies::new(networks).origin(peer.to_canonical(), &headers).to_string()
    }

    #[test]
    fn the_client_is_the_last_address_that_is_not_trusted() {
        let cases: [(&str, &str, &[&str], &str); 9] = [
            ("10.0.0.1", "10.0.0.1", &["203.0.113.7"], "203.0.113.7"),
            ("10.0.0.1", "10.0.0.1", &["198.51.100.1, 203.0.113.7"], "203.0.113.7"),
            ("10.0.0.0/8", "10.0.0.1", &["198.51.100.1, 203.0.113.7, 10.9.9.9"], "203.0.113.7"),
            ("10.0.0.0/8", "10.0.0.1", &["198.51.100.1", "203.0.113.7", "10.9.9.9, 10.8.8.8"], "203.0.113.7"),
            ("10.0.0.0/8", "10.0.0.1", &["10.7.7.7, 10.8.8.8"], "10.7.7.7"),
            ("10.0.0.0/8", "10.0.0.1", &[], "10.0.0.1"),
            ("10.0.0.0/8", "::ffff:10.0.0.1", &["203.0.113.7"], "203.0.113.7"),
            ("10.0.0.0/8", "10.0.0.1", &["198.51.100.1, ::ffff:203.0.113.7, ::ffff:10.0.0.2"], "203.0.113.7"),
            ("fd00::/8 10.0.0.0/8", "fd00::1", &["2001:db8::7, 10.0.0.2"], "2001:db8::7"),
        ];
        for (trusted, peer, lines, expected) in cases {
            assert_eq!(origin(trusted, peer, lines), expected, "{lines:?} from {peer}");
        }
    }

    #[test]
    fn who_is_not_trusted_is_not_believed() {
        for peer in ["203.0.113.9", "11.0.0.1", "2001:db8::1", "127.0.0.1"] {
            assert_eq!(origin("10.0.0.0/8", peer, &["198.51.100.1"]), peer);
            assert_eq!(origin("", peer, &["198.51.100.1"]), peer);
        }
    }

    #[test]
    fn an_entry_that_is_no_address_counts_to_whoever_wrote_it() {
        let odd = [
            "unknown",
            "_hidden",
            "",
            " ",
            "203.0.113",
            "203.0.113.7:port",
            "203.0.113.7:99999",
            "203.0.113.7:+80",
            "203.0.113.7%eth0",
            "[203.0.113.7]:80",
            "[2001:db8::7]:+443",
            "[2001:db8::7",
            "é",
            "[2001:db8::7]443",
            "[2001:db8::7]:",
            "2001:db8::7::1",
            "203.0.113.7 198.51.100.1",
            "for=203.0.113.7",
            "[]",
            ":",
            "%",
        ];
        for entry in odd {
            let line = format!("198.51.100.1, {entry}, 10.0.0.2");
            assert_eq!(origin("10.0.0.0/8", "10.0.0.1", &[&line]), "10.0.0.2", "{entry}");
        }
    }

    #[test]
    fn ports_brackets_and_zones_are_left_out() {
        let cases = [
            ("203.0.113.7:443", "203.0.113.7"),
            ("[2001:db8::7]", "2001:db8::7"),
            ("[2001:db8::7]:443", "2001:db8::7"),
            ("2001:db8::7%eth0", "2001:db8::7"),
            ("[fe80::7%25eth0]:443", "fe80::7"),
            ("\t203.0.113.7 ", "203.0.113.7"),
            ("[::ffff:203.0.113.7]:1", "203.0.113.7"),
        ];
        for (entry, expected) in cases {
            assert_eq!(origin("10.0.0.1", "10.0.0.1", &[entry]), expected, "{entry}");
        }
    }

    #[test]
    fn so_many_hops_are_looked_at_and_no_more() {
        let line = format!("203.0.113.7{}", ", 10.0.0.2".repeat(10_000));
        assert_eq!(origin("10.0.0.0/8", "10.0.0.1", &[&line]), "10.0.0.2");
        let lines = vec!["10.0.0.3"; 90];
        assert_eq!(origin("10.0.0.0/8", "10.0.0.1", &lines), "10.0.0.3");
        assert_eq!(origin("10.0.0.0/8", "10.0.0.1", &[&",".repeat(100_000)]), "10.0.0.1");
    }

    #[test]
    fn ipv6_is_counted_by_its_first_half_and_mapped_ipv4_as_ipv4() {
        let client = |text: &str| Client::of(text.parse().unwrap());
        assert_eq!(client("2001:db8:1:2::1"), client("2001:db8:1:2:ffff:ffff:ffff:ffff"));
        assert_ne!(client("2001:db8:1:2::1"), client("2001:db8:1:3::1"));
        assert_eq!(client("::ffff:203.0.113.7"), client("203.0.113.7"));
        assert_ne!(client("203.0.113.7"), client("203.0.113.8"));
    }
}
