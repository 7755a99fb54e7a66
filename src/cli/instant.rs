//! Times that people type: an instant, or a distance from now.

use std::time::{Duration, Instant};

use jiff::Timestamp;

const PAST_FORMS: &str = "a time such as 2026-11-27T09:00:00Z or 2026-11-27T10:00+01:00, epoch milliseconds, now, or how long ago as \
                          in 90s, 1h, 1d12h";
const FORMS: &str =
    "a time such as 2026-11-27T09:00:00Z or 2026-11-27T10:00+01:00, now, or from now as in +10m, +90s, +1d12h";

/// For clap: gives the instant as it is on the wire. A distance counts from this machine's clock, from the second that
/// has begun, because people like whole seconds.
pub(super) fn read(text: &str) -> Result<String, String> {
    read_at(text, Timestamp::from_second(Timestamp::now().as_second()).map_err(|error| error.to_string())?)
}

/// For clap: [`read`] of what is past, where a length counts back from now, with or without a minus. Digits alone are epoch milliseconds.
pub(super) fn read_past(text: &str) -> Result<String, String> {
    read_past_at(text, Timestamp::from_second(Timestamp::now().as_second()).map_err(|error| error.to_string())?)
}

fn read_past_at(text: &str, now: Timestamp) -> Result<String, String> {
    let are_digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let instant = match read_length(text.strip_prefix('-').unwrap_or(text)) {
        _ if text == "now" => Some(now),
        _ if are_digits => text.parse().ok().and_then(|ms| Timestamp::from_millisecond(ms).ok()),
        Some(length) => now.checked_sub(length).ok(),
        None => text.parse().ok(),
    };
    instant.map(|instant: Timestamp| format!("{instant:.3}")).ok_or_else(|| PAST_FORMS.to_owned())
}

fn read_at(text: &str, now: Timestamp) -> Result<String, String> {
    let instant = if text == "now" {
        Some(now)
    } else if let Some(length) = text.strip_prefix('+') {
        read_length(length).and_then(|length| now.checked_add(length).ok())
    } else {
        text.parse().ok()
    };
    instant.map(|instant: Timestamp| format!("{instant:.3}")).ok_or_else(|| FORMS.to_owned())
}

/// A pause or a duration, for clap.
pub(super) fn read_pause(text: &str) -> Result<Duration, String> {
    let is_possible = |length: &Duration| !length.is_zero() && Instant::now().checked_add(*length).is_some();
    read_length(text).filter(is_possible).ok_or_else(|| "a time such as 1s, 5m or 1h30m".to_owned())
}

/// A length of whole numbers with units, as in 1d12h.
fn read_length(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut seconds = 0_u64;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let unit_seconds = match rest[digits..].chars().next()? {
            's' => 1,
            'm' => 60,
            'h' => 3_600,
            'd' => 86_400,
            _ => return None,
        };
        let number: u64 = rest[..digits].parse().ok()?;
        seconds = number.checked_mul(unit_seconds)?.checked_add(seconds)?;
        rest = &rest[digits + 1..];
    }
    (!text.is_empty()).then(|| Duration::from_secs(seconds))
}

/// `1h30m`; empty for no time.
pub(super) fn length(seconds: u64) -> String {
    let units = [(86_400, 'd'), (3_600, 'h'), (60, 'm'), (1, 's')];
    let mut rest = seconds;
    let parts = units.map(|(unit_seconds, unit)| {
        let number = rest / unit_seconds;
        rest %= unit_seconds;
        if number == 0 { String::new() } else { format!("{number}{unit}") }
    });
    parts.concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_absolute_or_count_from_now() {
        let now: Timestamp = "2026-11-25T12:00:00.500Z".parse().unwrap();
        for (typed, sent) in [
            ("now", "2026-11-25T12:00:00.500Z"),
            ("+90s", "2026-11-25T12:01:30.500Z"),
            ("+10m", "2026-11-25T12:10:00.500Z"),
            ("+1d12h", "2026-11-27T00:00:00.500Z"),
            ("2026-11-27T09:00:00Z", "2026-11-27T09:00:00.000Z"),
            ("2026-11-27T10:00+01:00", "2026-11-27T09:00:00.000Z"),
        ] {
            assert_eq!(read_at(typed, now).as_deref(), Ok(sent), "{typed}");
        }
        for typed in
            ["", "+", "+10", "+m", "10m", "+1w", "+-1m", "-10m", "tomorrow", "2026-11-27T09:00:00", "2026-11-27"]
        {
            assert_eq!(read_at(typed, now), Err(FORMS.to_owned()), "{typed}");
        }
        assert!(read_at("+99999999999999999999d", now).is_err() && read_at("+9999999999d", now).is_err());
    }

    #[test]
    fn times_that_are_past_may_count_back_from_now() {
        let now: Timestamp = "2026-11-25T12:00:00Z".parse().unwrap();
        for (typed, sent) in [
            ("now", "2026-11-25T12:00:00.000Z"),
            ("90s", "2026-11-25T11:58:30.000Z"),
            ("-90s", "2026-11-25T11:58:30.000Z"),
            ("1d12h", "2026-11-24T00:00:00.000Z"),
            ("1763823845007", "2025-11-22T15:04:05.007Z"),
            ("2026-11-27T10:00+01:00", "2026-11-27T09:00:00.000Z"),
        ] {
            assert_eq!(read_past_at(typed, now).as_deref(), Ok(sent), "{typed}");
        }
        for typed in ["", "-", "+1h", "--1h", "1w", "yesterday", "2026-11-27", "99999999999999999999"] {
            assert_eq!(read_past_at(typed, now), Err(PAST_FORMS.to_owned()), "{typed}");
        }
    }

    #[test]
    fn lengths_are_printed_in_the_units_that_people_use() {
        for (seconds, expected) in [(0, ""), (45, "45s"), (900, "15m"), (5_400, "1h30m"), (90_001, "1d1h1s")] {
            assert_eq!(length(seconds), expected);
        }
    }
}
