//! Times on the wire: RFC 3339, UTC, milliseconds.

use std::cell::Cell;

use jiff::{SignedDuration, Timestamp, civil::DateTime, fmt::temporal::Pieces};

/// The beginning of the year 10000.
const END_MS: i64 = 253_402_300_800_000;
/// An offset of RFC 3339 is shorter.
const DAY_SECONDS: u32 = 86_400;
/// Where epoch milliseconds begin. Arithmetic of days knows the last hours of the year 9999, which no `Timestamp` reaches.
const EPOCH: DateTime = DateTime::constant(1970, 1, 1, 0, 0, 0, 0);
/// Characters of an instant on the wire, for any year of four digits.
const CHARS: usize = 24;

thread_local! {
    /// The last instant that was written. Holds of one second share their deadline, so the next is often the same.
    static LAST: Cell<Option<(i64, [u8; CHARS])>> = const { Cell::new(None) };
}

/// Epoch milliseconds of an RFC 3339 time with an offset, in the years 1970 to 9999.
pub fn parse(text: &str) -> Option<i64> {
    let pieces = Pieces::parse(text).ok()?;
    let offset_seconds = pieces.to_numeric_offset()?.seconds();
    if offset_seconds.unsigned_abs() >= DAY_SECONDS {
        return None;
    }
    let ms = if let Ok(instant) = text.parse::<Timestamp>() {
        instant.as_millisecond()
    } else {
        let local = pieces.date().to_datetime(pieces.time()?).duration_since(EPOCH);
        i64::try_from(local.as_millis()).ok()? - i64::from(offset_seconds) * 1_000
    };
    (0..END_MS).contains(&ms).then_some(ms)
}

/// As [`parse`], and digits alone are epoch milliseconds.
pub fn parse_or_epoch_ms(text: &str) -> Option<i64> {
    let ms = text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()));
    ms.filter(|ms| *ms < END_MS).or_else(|| parse(text))
}

/// `2026-11-22T15:04:05.000Z`. An instant that no calendar knows becomes the epoch.
pub fn rfc3339(epoch_ms: i64) -> String {
    if let Some((last_ms, text)) = LAST.get()
        && last_ms == epoch_ms
    {
        return String::from_utf8_lossy(&text).into_owned();
    }
    let instant = EPOCH.checked_add(SignedDuration::from_millis(epoch_ms)).unwrap_or(EPOCH);
    let text = format!("{instant:.3}Z");
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
        assert_eq!(super::parse("2025-11-23T15:03:05+23:59"), Some(1_763_823_845_000));
        assert_eq!(super::parse("9999-12-31T23:59:59.999Z"), Some(super::END_MS - 1));
        assert_eq!(super::parse("9999-12-31T23:59:59+00:01"), Some(super::END_MS - 61_000));
        for text in ["9999-12-31T23:59:59-00:01", "9999-12-32T00:00:00Z", "10000-01-01T00:00:00Z"] {
            assert_eq!(super::parse(text), None, "{text}");
        }
        for text in ["2025-11-23T16:04:05+25:00", "2025-11-22T15:04:05-24:00"] {
            assert_eq!(super::parse(text), None, "{text}");
        }
        for text in ["", "2025-11-22", "2025-11-22T15:04:05", "1969-12-31T23:59:59Z", "tomorrow"] {
            assert_eq!(super::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_query_may_give_epoch_milliseconds() {
        assert_eq!(super::parse_or_epoch_ms("1763823845007"), Some(1_763_823_845_007));
        assert_eq!(super::parse_or_epoch_ms("2025-11-22T15:04:05Z"), Some(1_763_823_845_000));
        for text in ["", "-1", "+1", "1.5", "253402300800000", "99999999999999999999"] {
            assert_eq!(super::parse_or_epoch_ms(text), None, "{text}");
        }
    }

    #[test]
    fn times_have_milliseconds_and_a_z() {
        assert_eq!(super::rfc3339(1_763_823_845_000), "2025-11-22T15:04:05.000Z");
        assert_eq!(super::rfc3339(1_763_823_845_007), "2025-11-22T15:04:05.007Z");
        assert_eq!(super::rfc3339(1_763_823_845_007), "2025-11-22T15:04:05.007Z", "the same again");
        assert_eq!(super::rfc3339(super::END_MS - 1), "9999-12-31T23:59:59.999Z");
    }
}
