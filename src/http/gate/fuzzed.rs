//! Properties of what proxies say about their clients.

use std::net::{IpAddr, SocketAddr};

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};

use super::{address::Proxies, network::Network};

const FORWARDED: HeaderName = HeaderName::from_static("x-forwarded-for");
/// Hops that are looked at.
const HOPS: usize = 16;

/// Each line is one header `X-Forwarded-For` from a trusted proxy.
pub(crate) fn forwarded(bytes: &[u8]) {
    let networks = ["10.0.0.0/8", "fd00::/8"].map(|text| Network::parse(text).expect("a network"));
    let peer: IpAddr = "10.0.0.1".parse().expect("an address");
    let proxies = Proxies::new(networks.to_vec());
    let lines: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').collect();
    let Some(headers) = headers(&lines) else { return };
    let origin = proxies.origin(peer, &headers);
    assert_eq!(origin, expected(peer, &lines), "of {:?}", String::from_utf8_lossy(bytes));
    assert_eq!(origin, origin.to_canonical(), "IPv4 is counted as IPv4");
    // One line for many says the same.
    let joined = lines.join(&b","[..]);
    if let Some(headers) = self::headers(&[&joined]) {
        assert_eq!(proxies.origin(peer, &headers), origin, "in one line");
    }
    // What a client wrote itself stands before, and counts for nothing.
    let is_trusted = networks.iter().any(|network| network.contains(origin));
    if !is_trusted && let Some(forged) = self::headers(&[b"192.0.2.1, 10.0.0.9", &joined]) {
        assert_eq!(proxies.origin(peer, &forged), origin, "with more before");
    }
    assert_eq!(Proxies::new(Vec::new()).origin(peer, &headers), peer, "a stranger is not believed");
    if let Ok(text) = str::from_utf8(bytes) {
        network(text);
    }
}

fn headers(lines: &[&[u8]]) -> Option<HeaderMap> {
    let mut headers = HeaderMap::new();
    for line in lines {
        headers.append(FORWARDED, HeaderValue::from_bytes(line).ok()?);
    }
    Some(headers)
}

/// The last address that is not ours, read with the standard library alone.
fn expected(peer: IpAddr, lines: &[&[u8]]) -> IpAddr {
    let is_ours = |address: IpAddr| match address {
        IpAddr::V4(address) => address.octets()[0] == 10,
        IpAddr::V6(address) => address.octets()[0] == 0xfd,
    };
    let all = lines.join(&b","[..]);
    let mut origin = peer;
    for hop in all.split(|byte| *byte == b',').rev().take(HOPS) {
        let Some(address) = str::from_utf8(hop).ok().and_then(|hop| address(hop.trim())) else { break };
        origin = address.to_canonical();
        if !is_ours(origin) {
            break;
        }
    }
    origin
}

/// An address, perhaps with a port. IPv6 may have a zone, and brackets.
fn address(text: &str) -> Option<IpAddr> {
    let without_zone = match text.split_once('%') {
        Some((before, after)) if before.matches(':').count() > 1 && !before.contains(']') => {
            let zone = if before.starts_with('[') { after.find(']') } else { None }.unwrap_or(after.len());
            format!("{before}{}", &after[zone..])
        }
        _ => text.to_owned(),
    };
    let bare = without_zone.parse::<IpAddr>().ok();
    let in_brackets = || match without_zone.strip_prefix('[')?.strip_suffix(']')?.parse().ok()? {
        address @ IpAddr::V6(_) => Some(address),
        IpAddr::V4(_) => None,
    };
    bare.or_else(in_brackets).or_else(|| Some(without_zone.parse::<SocketAddr>().ok()?.ip()))
}

fn network(text: &str) {
    let Some(network) = Network::parse(text) else { return };
    let (base, bits) = text.split_once('/').unwrap_or((text, "128"));
    let base: IpAddr = base.parse().expect("a network begins with an address");
    assert!(network.contains(base), "{text:?} has itself");
    let is_one = !text.contains('/') || bits.trim_start_matches('0') == if base.is_ipv4() { "32" } else { "128" };
    let other: IpAddr = match base {
        IpAddr::V4(base) => IpAddr::V4((base.to_bits() ^ 1).into()),
        IpAddr::V6(base) => IpAddr::V6((base.to_bits() ^ 1).into()),
    };
    assert_eq!(network.contains(other), !is_one, "{other} in {text:?}");
}
