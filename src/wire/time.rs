//! Times on the wire: RFC 3339, UTC, milliseconds.

use std::cell::Cell;

use jiff::Timestamp;

/// Characters of an instant on the wire, for any year of four digits.
const CHARS: usize = 24;

thread_local! {
    /// The last instant that was written. Holds of one second share their deadline, so the next is often the same.
    static LAST: Cell<Option<(i64, [u8; CHARS])>> = const { Cell::new(None) };
}

/// From 1970 to 9999.
const YEARS_MS: std::ops::Range<i64> = 0..253_402_300_800_000;

/// Epoch milliseconds of an RFC 3339 time with an offset, in the years 1970 to 9999.
pub fn parse(text: &str) -> Option<i64> {
    let instant: Timestamp = text.parse().ok()?;
    Some(instant.as_millisecond()).filter(|ms| YEARS_MS.contains(ms))
}

/// [`parse`], also of epoch milliseconds in digits.
pub fn parse_or_ms(text: &str) -> Option<i64> {
    let are_digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if are_digits { text.parse().ok().filter(|ms| YEARS_MS.contains(ms)) } else { parse(text) }
}

/// `2026-11-22T15:04:05.000Z`. An instant that no calendar knows becomes the epoch.
pub fn rfc3339(epoch_ms: i64) -> String {
    if let Some((last_ms, text)) = LAST.get()
        && last_ms == epoch_ms
    {
        return String::from_utf8_lossy(&text).into_owned();
    }
    let instant = Timestamp::from_millisecond(epoch_ms).unwrap_or(Timestamp::UNIX_EPOCH);
    let text = format!("{instant:.3}");
    if let Ok(bytes) = text.as_bytes().try_into() {
        LAST.set(Some((epoch_ms, bytes)));
    }
    text
}

#[cfg(test)]
mod tests {
    #[test]
    fn times_are_read_with_any_offset() {
        assert_eq!(super::parse("2025-11-22T15:04:05Z"), Some(1_763_823_845_000));
        assert_eq!(super::parse("2025-11-22T16:04:05.007+01:00"), Some(1_763_823_845_007));
        for text in ["", "2025-11-22", "2025-11-22T15:04:05", "1969-12-31T23:59:59Z", "tomorrow"] {
            assert_eq!(super::parse(text), None, "{text}");
        }
    }

    #[test]
    fn digits_alone_are_epoch_milliseconds() {
        for text in ["1763823845007", "2025-11-22T15:04:05.007Z"] {
            assert_eq!(super::parse_or_ms(text), Some(1_763_823_845_007), "{text}");
        }
        for text in ["", "-1", "+1", "1e12", "99999999999999999999", "253402300800000", "2025-11-22"] {
            assert_eq!(super::parse_or_ms(text), None, "{text}");
        }
    }

    #[test]
    fn times_have_milliseconds_and_a_z() {
        assert_eq!(super::rfc3339(1_763_823_845_000), "2025-11-22T15:04:05.000Z");
        assert_eq!(super::rfc3339(1_763_823_845_007), "2025-11-22T15:04:05.007Z");
        assert_eq!(super::rfc3339(1_763_823_845_007), "2025-11-22T15:04:05.007Z", "the same again");
    }
}
