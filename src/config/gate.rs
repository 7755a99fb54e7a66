//! Settings of the gate in front of the storefront.

use std::{num::NonZeroU32, time::Duration};

use super::{Secret, network::Network, reader::Reader};

/// Shorter keys could be guessed.
const KEY_CHARS_MIN: usize = 16;
const PER_SECOND_MIN: f64 = 0.0001;
const PER_SECOND_MAX: f64 = 1_000_000.0;
const BURST_MAX: u32 = 100_000;

#[derive(Clone, Debug)]
pub struct Gate {
    /// None: no key is asked for.
    pub api_keys: Vec<Secret>,
    /// What each address may ask.
    pub rate: Option<Rate>,
    /// Who is believed about where a request came from.
    pub trusted_proxies: Vec<Network>,
}

/// So many requests at once, and another one each period.
#[derive(Clone, Copy, Debug)]
pub struct Rate {
    pub period: Duration,
    pub burst: NonZeroU32,
}

pub(super) fn read(r: &mut Reader) -> Gate {
    Gate { api_keys: read_keys(r), rate: read_rate(r), trusted_proxies: read_proxies(r) }
}

/// An empty key among others is a mistake, and one alone is none.
fn read_keys(r: &mut Reader) -> Vec<Secret> {
    let keys = r.list("http.api_keys");
    let is_good = |key: &String| key.len() >= KEY_CHARS_MIN && key.bytes().all(|byte| byte.is_ascii_graphic());
    let bad = keys.iter().enumerate().filter(|(_, key)| !is_good(key)).map(|(at, _)| (at + 1).to_string());
    let bad = bad.collect::<Vec<_>>().join(", ");
    if !bad.is_empty() {
        let what = format!("number {bad} must have at least {KEY_CHARS_MIN} characters, all of visible ASCII");
        r.complain("http.api_keys", &what);
    }
    keys.into_iter().map(Secret).collect()
}

fn read_rate(r: &mut Reader) -> Option<Rate> {
    let burst = u32::try_from(r.number("http.rate_limit_burst", 1, BURST_MAX.into())).ok().and_then(NonZeroU32::new);
    let per_second = r.rate("http.rate_limit_per_second", PER_SECOND_MIN, PER_SECOND_MAX)?;
    Some(Rate { period: Duration::from_secs_f64(1.0 / per_second), burst: burst? })
}

fn read_proxies(r: &mut Reader) -> Vec<Network> {
    let texts = r.list("http.trusted_proxies");
    let networks: Vec<_> = texts.iter().filter_map(|text| Network::parse(text)).collect();
    if networks.len() < texts.len() {
        r.complain(
            "http.trusted_proxies",
            "must be addresses or networks such as 10.0.0.0/8 or fd00::/8; none of all addresses, and IPv4 as IPv4",
        );
    }
    networks
}

#[cfg(test)]
mod tests {
    use super::super::{Complaints, Environment, Settings, effective, load};

    fn load_with(file: &str, pairs: &[(&str, &str)]) -> Result<Settings, Complaints> {
        let written = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(written.path(), file).unwrap();
        load(Some(written.path()), &environment(pairs), &vec![])
    }

    fn environment(pairs: &[(&str, &str)]) -> Environment {
        pairs.iter().map(|(name, value)| (format!("FLASHSALE_HTTP__{name}"), (*value).to_owned())).collect()
    }

    #[test]
    fn the_gate_is_open_unless_it_is_set() {
        let gate = load_with("", &[("API_KEYS", ""), ("TRUSTED_PROXIES", " ")]).unwrap().http.gate;
        assert!(gate.api_keys.is_empty() && gate.rate.is_none() && gate.trusted_proxies.is_empty());
    }

    #[test]
    fn a_list_in_a_file_is_what_commas_are_in_the_environment() {
        let file = "[http]\napi_keys = [\"key-of-a-shop-1234\", \"key-of-a-shop-5678\"]\nrate_limit_per_second = 0.5\n\
                    trusted_proxies = [\"10.0.0.0/8\", \"::1\"]\n";
        let pairs = [
            ("API_KEYS", "key-of-a-shop-1234, key-of-a-shop-5678"),
            ("RATE_LIMIT_PER_SECOND", "0.5"),
            ("TRUSTED_PROXIES", "10.0.0.0/8,::1"),
        ];
        for gate in [load_with(file, &[]).unwrap().http.gate, load_with("", &pairs).unwrap().http.gate] {
            assert_eq!(gate.api_keys.iter().map(super::Secret::expose).collect::<Vec<_>>()[1], "key-of-a-shop-5678");
            assert_eq!((gate.api_keys.len(), gate.trusted_proxies.len()), (2, 2));
            assert_eq!(gate.rate.unwrap().period.as_secs(), 2);
        }
    }

    #[test]
    fn what_is_shown_hides_the_keys_and_can_be_read_again() {
        let none = tempfile::NamedTempFile::new().unwrap();
        let text = "[http]\napi_keys = [\"hunter2hunter2hunter2\"]\ntrusted_proxies = [\"10.0.0.0/8\", \"::1\"]\n\
                    rate_limit_per_second = 0.25\n";
        std::fs::write(none.path(), text).unwrap();
        let shown = effective(Some(none.path()), &Environment::new(), &vec![]).unwrap();
        assert!(!shown.contains("hunter2") && shown.contains("rate_limit_per_second = 0.25"), "{shown}");
        assert!(shown.contains("api_keys = [\"[hidden]\"]\n"), "a list is shown as a list: {shown}");
        let again = load_with(&shown.replace("[hidden]", "hunter2hunter2hunter2"), &[]).unwrap().http.gate;
        assert_eq!((again.trusted_proxies.len(), again.rate.unwrap().period.as_secs()), (2, 4));
        assert!(!format!("{again:?}").contains("hunter2"));
    }

    #[test]
    fn all_that_is_wrong_with_the_gate_is_said_together() {
        let wrong = [
            ("API_KEYS", "hunter2hunter2hunter2,"),
            ("RATE_LIMIT_PER_SECOND", "-1"),
            ("RATE_LIMIT_BURST", "0"),
            ("TRUSTED_PROXIES", "10.0.0.0/8,10.0.0.0/99"),
            ("WORKERS", "many"),
        ];
        let Complaints(complaints) = load_with("", &wrong).unwrap_err();
        assert_eq!(complaints.len(), wrong.len(), "{complaints:?}");
        for (name, _) in wrong {
            let key = format!("http.{}", name.to_lowercase());
            assert!(complaints.iter().any(|complaint| complaint.starts_with(&key)), "{key} in {complaints:?}");
        }
        assert!(!complaints.concat().contains("hunter2"), "{complaints:?}");
        let Complaints(complaints) = load_with("", &[("API_KEYS", "a,hunter2hunter2hunter2,b")]).unwrap_err();
        assert!(complaints[0].starts_with("http.api_keys number 1, 3 must have"), "{complaints:?}");
    }

    #[test]
    fn each_value_that_cannot_be_is_a_complaint() {
        let wrong = [
            ("API_KEYS", "tooshort"),
            ("API_KEYS", ","),
            ("API_KEYS", "a key with blanks in it"),
            ("API_KEYS", "schlüssel-eines-ladens"),
            ("RATE_LIMIT_PER_SECOND", "NaN"),
            ("RATE_LIMIT_PER_SECOND", "inf"),
            ("RATE_LIMIT_PER_SECOND", "0.00001"),
            ("RATE_LIMIT_PER_SECOND", "many"),
            ("RATE_LIMIT_PER_SECOND", ""),
            ("RATE_LIMIT_BURST", "100001"),
            ("TRUSTED_PROXIES", "0.0.0.0/0"),
            ("TRUSTED_PROXIES", "proxy.internal"),
            ("TRUSTED_PROXIES", "10.0.0.1,,10.0.0.2"),
        ];
        for (name, value) in wrong {
            let Complaints(complaints) = load_with("", &[(name, value)]).unwrap_err();
            assert!(complaints.len() == 1 && complaints[0].starts_with("http."), "{name}={value}: {complaints:?}");
        }
    }
}
