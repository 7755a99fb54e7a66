//! The clock of a server, as far as one connection to it shows: how late it can be there at an instant of ours.
//!
//! A server that said a time in answer to what was sent at an instant had no later time at that instant. Each answer gives such
//! a bound, and the lowest is kept: that of the quickest way there. So a call that the server takes up before its callers give
//! up is never refused, unless the clock there stepped forward. The server then says what it is now.

use std::{cell::Cell, time::Instant};

use redis::Value;

use super::reply::Reply;

/// A clock there may run this much faster than ours: a millisecond in each second, twice what NTP corrects.
const DRIFT: u128 = 1_000;
/// The server cuts its time to milliseconds.
const CUT_MS: i64 = 1;

#[derive(Default)]
pub struct ServerClock {
    known: Cell<Option<Bound>>,
}

/// At this instant the server's clock had at most this time.
#[derive(Clone, Copy)]
struct Bound {
    at: Instant,
    ms: i64,
}

impl ServerClock {
    /// The latest time that the server can have at an instant. `None`: it never said a time.
    pub fn latest_at(&self, instant: Instant) -> Option<i64> {
        let Bound { at, ms } = self.known.get()?;
        let since = instant.saturating_duration_since(at).as_millis();
        Some(ms.saturating_add(i64::try_from(since + since / DRIFT).unwrap_or(i64::MAX)))
    }

    /// What the server said in answer to what was sent at this instant. Keeps the lower bound.
    pub fn note(&self, sent: Instant, said_ms: i64) {
        let ms = said_ms + CUT_MS;
        if self.latest_at(sent).is_none_or(|latest| ms <= latest) {
            self.known.set(Some(Bound { at: sent, ms }));
        }
    }

    /// The same from a server whose clock stepped forward: what was known is wrong.
    pub fn correct(&self, sent: Instant, said_ms: i64) {
        self.known.set(Some(Bound { at: sent, ms: said_ms + CUT_MS }));
    }

    /// The same, from an answer to TIME.
    pub fn note_time(&self, sent: Instant, answer: Value) {
        let seconds_and_micros = Reply::read(answer).and_then(|mut time| Ok((time.int()?, time.int()?)));
        if let Ok((seconds, micros)) = seconds_and_micros {
            self.note(sent, seconds * 1_000 + micros / 1_000);
        }
    }
}

/// The word of a script's reply, and the time behind it.
pub fn word_and_time(reply: &Value) -> Option<(&[u8], i64)> {
    let Value::Array(values) = reply else { return None };
    match &values[..] {
        [Value::BulkString(word), Value::Int(ms), ..] => Some((word, *ms)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// A second after an instant: how much later than 0 the server can be.
    fn a_second_later(clock: &ServerClock, at: Instant) -> Option<i64> {
        clock.latest_at(at + Duration::from_secs(1))
    }

    #[test]
    fn the_quickest_answer_is_kept_and_grows_looser_with_the_drift_of_clocks() {
        let (clock, start) = (ServerClock::default(), Instant::now());
        assert_eq!(a_second_later(&clock, start), None, "nothing is known before the server said a time");
        // The server is 5 s ahead of the start, and the first answer took 40 ms to get its time.
        clock.note(start, 5_040);
        assert_eq!(a_second_later(&clock, start), Some(6_042));
        let next = start + Duration::from_millis(100);
        clock.note(next, 5_102);
        assert_eq!(a_second_later(&clock, next), Some(6_104), "2 ms is less");
        clock.note(next, 5_160);
        assert_eq!(a_second_later(&clock, next), Some(6_104), "60 ms is more");
        let hour = start + Duration::from_hours(1);
        assert_eq!(clock.latest_at(hour), Some(5_103 + 3_599_900 + 3_599));
        clock.note(hour, 3_605_020);
        assert_eq!(clock.latest_at(hour), Some(3_605_021), "an old bound is replaced by one that is tighter by now");
    }

    #[test]
    fn a_time_that_is_too_far_ahead_is_corrected_by_itself_and_one_that_is_behind_by_the_server() {
        let (clock, start) = (ServerClock::default(), Instant::now());
        clock.note(start, 60_000);
        clock.note(start, 1_000);
        assert_eq!(clock.latest_at(start), Some(1_001), "the clock there stepped back, or a sale was ahead of it");
        clock.note(start, 60_000);
        assert_eq!(clock.latest_at(start), Some(1_001), "a sale that is ahead of the clock says nothing about it");
        clock.correct(start, 60_000);
        assert_eq!(clock.latest_at(start), Some(60_001));
    }

    #[test]
    fn the_time_of_a_server_is_seconds_and_microseconds() {
        let (clock, start) = (ServerClock::default(), Instant::now());
        clock.note_time(start, Value::Array(["12", "345678"].map(|part| Value::BulkString(part.into())).to_vec()));
        assert_eq!(clock.latest_at(start), Some(12_346));
        let nothing = ServerClock::default();
        nothing.note_time(start, Value::Okay);
        assert_eq!(nothing.latest_at(start), None);
    }
}
