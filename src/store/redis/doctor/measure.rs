//! How long a server takes to answer, and how far its clock is from the one here.

use std::time::Duration;

use super::finding::Chart;

const CLOCK_OFF_MS: u64 = 2_000;
const SLOW: Duration = Duration::from_millis(5);

/// One call of TIME.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sample {
    /// From the question to the answer.
    pub took: Duration,
    /// The clocks of the server and of this machine, at the same moment as far as that can be known: half way.
    pub server_ms: i64,
    pub here_ms: i64,
}

/// `waits_max` is the longest wait for an answer, of the settings.
pub(super) fn judge(samples: &[Sample], waits_max: Duration, chart: &mut Chart) {
    let mut took: Vec<_> = samples.iter().map(|sample| sample.took).collect();
    took.sort_unstable();
    let (Some(worst), Some(best)) = (took.last(), samples.iter().min_by_key(|sample| sample.took)) else { return };
    let median = took[took.len() / 2];
    let found = format!("{} to answer, at worst {} of {} times", ms(median), ms(*worst), took.len());
    if *worst * 2 > waits_max {
        let advice = "look at the load of Redis and at the network, or raise redis.call_timeout_ms";
        chart.warning("latency", format!("{found}; redis.call_timeout_ms is {}", ms(waits_max)), advice);
    } else if median > SLOW {
        let advice = "put the service beside its Redis: a sale decides one batch of holds for each answer";
        chart.warning("latency", found, advice);
    } else {
        chart.ok("latency", found);
    }
    clock(*best, chart);
}

fn clock(best: Sample, chart: &mut Chart) {
    let off = best.server_ms - best.here_ms;
    let unsure = best.took / 2;
    let word = if off < 0 { "behind" } else { "ahead of" };
    let found = format!("{} ms {word} this machine, give or take {}", off.unsigned_abs(), ms(unsure));
    let least = off.unsigned_abs().saturating_sub(u64::try_from(unsure.as_millis()).unwrap_or(u64::MAX));
    if least > CLOCK_OFF_MS {
        chart.warning(
            "clock",
            found,
            "set both clocks by NTP: deadlines are of Redis' clock, and the age of payment events of this one",
        );
    } else {
        chart.ok("clock", found);
    }
}

fn ms(time: Duration) -> String {
    let ms = time.as_secs_f64() * 1_000.0;
    if ms < 10.0 { format!("{ms:.1} ms") } else { format!("{ms:.0} ms") }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level::{Ok, Warning};
    use super::*;

    fn chart_of(samples: &[(u64, i64)]) -> Chart {
        let sample = |(took, off): &(u64, i64)| Sample {
            took: Duration::from_millis(*took),
            server_ms: 1_000_000 + off,
            here_ms: 1_000_000,
        };
        let mut chart = Chart::of("here");
        judge(&samples.iter().map(sample).collect::<Vec<_>>(), Duration::from_secs(1), &mut chart);
        chart
    }

    #[test]
    fn a_near_server_with_the_same_clock_is_fine() {
        let chart = chart_of(&[(1, 0), (2, 1), (40, 20)]);
        chart.has("latency", Ok, "2.0 ms to answer, at worst 40 ms of 3 times");
        chart.has("clock", Ok, "0 ms ahead of this machine, give or take 0.5 ms");
    }

    #[test]
    fn a_far_server_and_another_clock_are_warnings() {
        chart_of(&[(20, 0), (21, 0), (22, 0)]).has("latency", Warning, "beside its Redis");
        chart_of(&[(1, 0), (1, 0), (700, 0)]).has("latency", Warning, "redis.call_timeout_ms");
        chart_of(&[(1, -3_000)]).has("clock", Warning, "3000 ms behind");
        chart_of(&[(1, 60_000)]).has("clock", Warning, "NTP");
        // The answer took so long that nobody knows.
        chart_of(&[(900, 2_300)]).has("clock", Ok, "give or take 450 ms");
    }
}
