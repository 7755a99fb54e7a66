//! Sentinels: how many there are, and whether they agree.

use std::collections::BTreeSet;

use super::finding::Chart;

/// Two of three can still decide when one is lost.
const SENTINELS_MIN: u64 = 3;

/// A sentinel of the settings, and what it says; or why it says nothing.
pub(super) struct Sentinel {
    pub address: String,
    pub view: Result<View, String>,
}

/// What a sentinel says of the primary.
#[derive(Debug)]
pub(super) struct View {
    /// The address of the primary.
    pub named: String,
    /// SENTINEL MASTER may be refused.
    pub more: Option<More>,
}

#[derive(Debug)]
pub(super) struct More {
    pub quorum: u64,
    pub others: u64,
    /// The sentinel takes the primary for gone.
    pub is_down: bool,
}

pub(super) fn judge(sentinels: &[Sentinel], chart: &mut Chart) {
    let views: Vec<_> = sentinels.iter().filter_map(|sentinel| sentinel.view.as_ref().ok()).collect();
    for sentinel in sentinels {
        if let Err(why) = &sentinel.view {
            chart.warning(
                "sentinel",
                format!("{} does not answer: {why}", sentinel.address),
                "start it, or correct redis.url, redis.sentinel_user and redis.sentinel_password",
            );
        }
    }
    if views.len() * 2 <= sentinels.len() {
        chart.problem(
            "sentinels",
            format!("{} of {} answer: no majority names the primary", views.len(), sentinels.len()),
            "start the others",
        );
    }
    let named: BTreeSet<_> = views.iter().map(|view| view.named.as_str()).collect();
    match named.iter().copied().collect::<Vec<_>>()[..] {
        [] => {}
        [one] => chart.ok("primary", format!("all name {one}")),
        ref several => chart.problem(
            "primary",
            format!("they do not agree: {}", several.join(", ")),
            "during a fail-over, wait; else a sentinel is cut off, or watches another primary of the same name",
        ),
    }
    number(sentinels.len() as u64, &views, chart);
}

fn number(in_settings: u64, views: &[&View], chart: &mut Chart) {
    let more: Vec<_> = views.iter().filter_map(|view| view.more.as_ref()).collect();
    if more.is_empty() {
        if !views.is_empty() {
            let advice = "allow +sentinel|master to the user of the service";
            chart.note("quorum", "SENTINEL MASTER is refused, so the quorum was not looked at", advice);
        }
        return;
    }
    if more.iter().any(|more| more.is_down) {
        chart.problem(
            "primary",
            "a sentinel takes the primary for gone",
            "wait for the fail-over, or start the primary",
        );
    }
    let known = more.iter().map(|more| more.others + 1).max().unwrap_or(0);
    let quorum = more.iter().map(|more| more.quorum).max().unwrap_or(0);
    if quorum > known {
        let found = format!("the quorum is {quorum}, and {known} know each other: no fail-over ever begins");
        chart.problem("quorum", found, "start more sentinels, or lower the quorum (SENTINEL SET)");
    } else if known < SENTINELS_MIN {
        let found = format!("{known} of them: when one is lost, the others are no majority, and nothing fails over");
        chart.warning("quorum", found, "use three sentinels, on machines of their own");
    } else {
        chart.ok("quorum", format!("{quorum} of {known} sentinels begin a fail-over"));
    }
    if in_settings < known {
        let found = format!("redis.url names {in_settings} of {known} sentinels");
        chart.note("settings", found, "name all of them, so that the service finds the primary when some are lost");
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level::{Note, Ok, Problem, Warning};
    use super::*;

    fn sentinel(named: &str, quorum: u64, others: u64) -> Sentinel {
        let more = Some(More { quorum, others, is_down: false });
        Sentinel { address: "s".to_owned(), view: Result::Ok(View { named: named.to_owned(), more }) }
    }

    fn away() -> Sentinel {
        Sentinel { address: "10.0.0.9:26379".to_owned(), view: Err("timed out".to_owned()) }
    }

    fn chart_of(sentinels: &[Sentinel]) -> Chart {
        let mut chart = Chart::of("sentinels");
        judge(sentinels, &mut chart);
        chart
    }

    #[test]
    fn three_that_agree_are_fine() {
        let chart = chart_of(&[sentinel("a", 2, 2), sentinel("a", 2, 2), sentinel("a", 2, 2)]);
        chart.has("primary", Ok, "all name a");
        chart.has("quorum", Ok, "2 of 3");
        assert_eq!(chart.findings().len(), 2);
    }

    #[test]
    fn each_weakness_of_sentinels_is_a_finding() {
        let chart = chart_of(&[sentinel("a", 2, 2), sentinel("a", 2, 2), away()]);
        chart.has("sentinel", Warning, "10.0.0.9:26379 does not answer: timed out");
        assert!(chart.about("sentinels").is_empty());
        chart_of(&[sentinel("a", 2, 2), away()]).has("sentinels", Problem, "1 of 2");
        chart_of(&[sentinel("a", 2, 2), sentinel("b", 2, 2), sentinel("b", 2, 2)]).has("primary", Problem, "a, b");
        chart_of(&[sentinel("a", 1, 0)]).has("quorum", Warning, "1 of them");
        chart_of(&[sentinel("a", 4, 2)]).has("quorum", Problem, "no fail-over ever");
        chart_of(&[sentinel("a", 2, 2)]).has("settings", Note, "1 of 3");
        let silent = Sentinel { address: "s".to_owned(), view: Result::Ok(View { named: "a".to_owned(), more: None }) };
        chart_of(&[silent]).has("quorum", Note, "+sentinel|master");
        let down = Some(More { quorum: 2, others: 2, is_down: true });
        let about = chart_of(&[Sentinel {
            address: "s".to_owned(),
            view: Result::Ok(View { named: "a".to_owned(), more: down }),
        }])
        .about("primary");
        assert!(about.iter().any(|(level, found)| *level == Problem && found.contains("gone")), "{about:?}");
    }
}
