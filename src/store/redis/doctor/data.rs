//! The data: whether it is of this version, and has its secret. The doctor makes neither.

use super::finding::Chart;

/// What the secret looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SecretState {
    Missing,
    Unreadable,
    Readable,
}

#[derive(Clone, Debug)]
pub(super) struct Stored {
    pub schema: Option<String>,
    pub secret: SecretState,
    /// Whether there are sales or products.
    pub has_sales: bool,
    /// Sales that were made, and are gone: their names. Only a cluster loses them without the directory.
    pub lost: Option<String>,
}

pub(super) fn judge(stored: &Stored, known: &str, chart: &mut Chart) {
    match &stored.schema {
        Some(found) if found != known => chart.problem(
            "schema",
            format!("it holds data of key schema {found}, and this version of flashsale knows schema {known}"),
            "run the version that wrote it, or begin with an empty Redis (docs/operations.md, Upgrade)",
        ),
        Some(found) => chart.ok("schema", format!("schema {found}, as this version of flashsale writes it")),
        None if stored.has_sales => {
            chart.note("schema", "it has sales, but says of no schema", "the next service to start writes it");
        }
        None => chart.ok("schema", "no data yet: the first service begins with schema and secret"),
    }
    if let Some(names) = &stored.lost {
        chart.problem(
            "sales",
            format!("the data of sales is gone ({names}): a server lost it. The service refuses them"),
            "restore the data of that server, or let these sales begin anew (docs/operations.md, When a server of a cluster \
             lost its data)",
        );
    }
    let is_new = stored.schema.is_none() && !stored.has_sales;
    let advice = "restore it from a backup: all ids in customers' hands were signed with it";
    match stored.secret {
        SecretState::Readable => chart.ok("secret", "the secret that signs ids is there"),
        SecretState::Missing if is_new => {}
        SecretState::Missing => chart.problem("secret", "the secret that signs ids is gone", advice),
        SecretState::Unreadable => chart.problem("secret", "the secret that signs ids cannot be read", advice),
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::Level::{Note, Ok, Problem};
    use super::*;

    fn chart_of(schema: Option<&str>, secret: SecretState, has_sales: bool) -> Chart {
        let mut chart = Chart::of("data");
        judge(&Stored { schema: schema.map(str::to_owned), secret, has_sales, lost: None }, "2", &mut chart);
        chart
    }

    #[test]
    fn sales_that_are_gone_are_a_problem() {
        let mut chart = Chart::of("data");
        let lost = Some("drop".to_owned());
        judge(&Stored { schema: None, secret: SecretState::Readable, has_sales: true, lost }, "2", &mut chart);
        chart.has("sales", Problem, "gone (drop)");
        assert!(chart_of(None, SecretState::Readable, true).about("sales").is_empty());
    }

    #[test]
    fn data_of_this_version_needs_its_secret() {
        chart_of(None, SecretState::Missing, false).has("schema", Ok, "no data yet");
        assert!(chart_of(None, SecretState::Missing, false).about("secret").is_empty());
        let whole = chart_of(Some("2"), SecretState::Readable, true);
        whole.has("schema", Ok, "schema 2");
        whole.has("secret", Ok, "is there");
        chart_of(Some("99"), SecretState::Readable, true).has("schema", Problem, "schema 99");
        chart_of(Some("2"), SecretState::Missing, true).has("secret", Problem, "gone");
        chart_of(None, SecretState::Missing, true).has("secret", Problem, "gone");
        chart_of(Some("2"), SecretState::Unreadable, true).has("secret", Problem, "cannot be read");
        chart_of(None, SecretState::Readable, true).has("schema", Note, "no schema");
    }
}
