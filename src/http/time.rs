//! Times on the wire: RFC 3339, UTC, milliseconds.

use jiff::Timestamp;

/// `2026-11-22T15:04:05.000Z`. An instant that no calendar knows becomes the epoch.
pub(super) fn rfc3339(epoch_ms: i64) -> String {
    let instant = Timestamp::from_millisecond(epoch_ms).unwrap_or(Timestamp::UNIX_EPOCH);
    format!("{instant:.3}")
}

#[cfg(test)]
mod tests {
    #[test]
    fn times_have_milliseconds_and_a_z() {
        assert_eq!(super::rfc3339(1_763_823_845_000), "2025-11-22T15:04:05.000Z");
        assert_eq!(super::rfc3339(1_763_823_845_007), "2025-11-22T15:04:05.007Z");
    }
}
