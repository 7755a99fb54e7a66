//! Networks: addresses that begin alike.

use std::net::IpAddr;

/// One address, or a network in CIDR notation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    base: IpAddr,
    /// The number of leading bits that an address must share with the base, at least 1.
    bits: u32,
}

impl Network {
    /// `None` too for a network of all addresses, for IPv4 written as IPv6, and for what only one machine knows (zones).
    pub fn parse(text: &str) -> Option<Self> {
        let (base, bits) = text.split_once('/').map_or((text, None), |(base, bits)| (base, Some(bits)));
        let base: IpAddr = base.parse().ok()?;
        let most = if base.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            None => most,
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => digits.parse().ok()?,
            Some(_) => return None,
        };
        (base == base.to_canonical() && (1..=most).contains(&bits)).then_some(Self { base, bits })
    }

    /// Whether an address, in its canonical form, is one of these.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.base, address) {
            (IpAddr::V4(base), IpAddr::V4(address)) => (base.to_bits() ^ address.to_bits()) >> (32 - self.bits) == 0,
            (IpAddr::V6(base), IpAddr::V6(address)) => (base.to_bits() ^ address.to_bits()) >> (128 - self.bits) == 0,
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Network;

    #[test]
    fn a_network_contains_the_addresses_that_begin_as_it_does() {
        let cases = [
            ("10.0.0.1", "10.0.0.1", "10.0.0.2"),
            ("10.0.0.0/8", "10.255.255.255", "11.0.0.0"),
            ("10.1.2.3/8", "10.0.0.0", "9.255.255.255"),
            ("128.0.0.0/1", "255.255.255.255", "127.255.255.255"),
            ("192.0.2.4/31", "192.0.2.5", "192.0.2.6"),
            ("2001:db8::/32", "2001:db8:ffff::1", "2001:db9::"),
            ("fd00::/8", "fdff::1", "fc00::1"),
            ("::1", "::1", "::2"),
            ("10.0.0.0/8", "10.0.0.1", "::ffff:10.0.0.1"),
        ];
        for (network, within, without) in cases {
            let parsed = Network::parse(network).unwrap();
            assert!(parsed.contains(within.parse().unwrap()), "{within} in {network}");
            assert!(!parsed.contains(without.parse().unwrap()), "{without} in {network}");
        }
    }

    #[test]
    fn what_is_no_network_is_refused() {
        let wrong = [
            "",
            "/8",
            "10.0.0.0/",
            "10.0.0.0/33",
            "10.0.0.0/-1",
            "10.0.0.0/+8",
            "10.0.0.0/8/8",
            "10.0.0",
            "10.0.0.0/0",
            "::/0",
            "::/129",
            "::ffff:10.0.0.0/104",
            "::ffff:10.0.0.1",
            "fe80::1%eth0",
            "localhost",
            "10.0.0.1:80",
            "[::1]",
            " ::1",
        ];
        for text in wrong {
            assert_eq!(Network::parse(text), None, "{text}");
        }
    }
}
