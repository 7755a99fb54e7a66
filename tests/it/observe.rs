//! The dashboard of Grafana and the alert rules of Prometheus ask for what there is.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
};

use serde_json::{Value, json};

use crate::{
    house::{read, root},
    support::{
        app::{ADMIN_TOKEN, TestApp},
        contract::Ask,
        left_out,
    },
};

/// Labels that Prometheus adds.
const OF_PROMETHEUS: [&str; 3] = ["job", "instance", "le"];

/// The families of the output, with the values of each label.
type Families = BTreeMap<String, BTreeMap<String, BTreeSet<String>>>;

/// The name of a family, without what a histogram adds to it.
fn family(name: &str) -> &str {
    ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name)
}

fn families(metrics: &str) -> Families {
    let mut families = Families::new();
    for line in metrics.lines().filter(|line| !line.starts_with('#')) {
        let (name, labels) = line.split_once(['{', ' ']).unwrap();
        let known = families.entry(family(name).to_owned()).or_default();
        let labels = labels.rsplit_once('}').map_or("", |(labels, _)| labels);
        for (label, value) in labels.split("\",").filter_map(|pair| pair.split_once("=\"")) {
            known.entry(label.to_owned()).or_default().insert(value.trim_end_matches('"').to_owned());
        }
    }
    families
}

/// Names and selectors of an expression: `flashsale_units` and `state="sold",sale=~"$sale"`.
fn asked(expression: &str) -> Vec<(&str, &str)> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut all = Vec::new();
    let mut rest = expression;
    while let Some(at) = ["flashsale_", "process_"].iter().filter_map(|prefix| rest.find(prefix)).min() {
        rest = &rest[at..];
        let (name, behind) = rest.split_at(rest.find(|c| !is_name(c)).unwrap_or(rest.len()));
        let selectors =
            behind.strip_prefix('{').and_then(|behind| behind.split_once('}')).map_or("", |(inside, _)| inside);
        all.push((name, selectors));
        rest = behind;
    }
    all
}

/// The labels by which an expression groups.
fn grouped_by(expression: &str) -> impl Iterator<Item = &str> {
    let groups = expression.split("by (").skip(1).filter_map(|rest| rest.split_once(')'));
    groups.flat_map(|(labels, _)| labels.split(',').map(str::trim))
}

fn check(expression: &str, families: &Families) {
    let asked = asked(expression);
    assert!(!asked.is_empty() || expression.starts_with("up{"), "nothing of ours in {expression}");
    for (name, selectors) in &asked {
        let labels = families.get(family(name)).unwrap_or_else(|| panic!("no {name}: {expression}"));
        for selector in selectors.split(',').filter(|selector| !selector.is_empty()) {
            let (label, value) = selector.split_once(['=', '!']).unwrap();
            if OF_PROMETHEUS.contains(&label) {
                continue;
            }
            let values = labels.get(label).unwrap_or_else(|| panic!("{name} has no label {label}: {expression}"));
            // `="x"` and `!="x"` name a value, `=~` a pattern.
            let is_value = !value.starts_with('~') && !selector.contains("=~");
            let wanted = value.trim_start_matches(['=', '"']).trim_end_matches('"');
            assert!(
                !is_value || values.contains(wanted),
                "{name} has no {label} {wanted}, but {values:?}: {expression}"
            );
        }
    }
    for label in grouped_by(expression).filter(|label| !OF_PROMETHEUS.contains(label)) {
        let is_there = asked.iter().any(|(name, _)| families[family(name)].contains_key(label));
        assert!(is_there, "nothing has a label {label}: {expression}");
    }
}

/// All `expr` of a document, wherever they stand.
fn expressions(json: &Value, found: &mut Vec<String>) {
    match json {
        Value::Object(fields) => fields.iter().for_each(|(name, value)| match (name.as_str(), value) {
            ("expr", Value::String(text)) => found.push(text.clone()),
            (_, value) => expressions(value, found),
        }),
        Value::Array(list) => list.iter().for_each(|value| expressions(value, found)),
        _ => {}
    }
}

/// The `expr` of rules, which may stand on several lines.
fn rules(yaml: &str) -> Vec<String> {
    let rules = yaml.split("expr:").skip(1).map(|rest| {
        let end = ["\n        for:", "\n        labels:"].iter().filter_map(|end| rest.find(end)).min().unwrap();
        rest[..end].trim().trim_start_matches('|').split_whitespace().collect::<Vec<_>>().join(" ")
    });
    rules.collect()
}

#[tokio::test]
async fn no_panel_and_no_alert_asks_for_what_is_not_there() {
    let app = TestApp::selling(2).await;
    let order = app.ordered().await;
    app.pay("a", json!({"status": "paid", "order_id": order, "amount": "1.00", "currency": "USD"})).await;
    // A 401 is asked for.
    assert_eq!(app.get("/metrics").await.status, 401);
    let scraped = app.request(reqwest::Method::GET, "/metrics").bearer_auth(ADMIN_TOKEN).ask().await.unwrap();
    let families = families(&scraped.text().await.unwrap());
    let dashboard: Value = serde_json::from_str(&read(&root().join("deploy/grafana/flashsale.json"))).unwrap();
    let mut panels = Vec::new();
    expressions(&dashboard, &mut panels);
    let rules = rules(&read(&root().join("deploy/prometheus/alerts.yml")));
    assert!(panels.len() > 40 && rules.len() > 10, "{} panels, {} rules", panels.len(), rules.len());
    panels.iter().chain(&rules).for_each(|expression| check(expression, &families));
    // And nothing that a process counts is left out of the dashboard.
    let shown: BTreeSet<_> = panels.iter().flat_map(|text| asked(text)).map(|(name, _)| family(name)).collect();
    let hidden: Vec<_> = families.keys().filter(|name| !shown.contains(name.as_str())).collect();
    assert!(hidden.is_empty(), "no panel has {hidden:?}");
}

#[test]
fn prometheus_reads_the_rules_and_they_fire_when_they_should() {
    let folder = root().join("deploy/prometheus");
    for arguments in [["check", "rules", "alerts.yml"], ["test", "rules", "alerts.test.yml"]] {
        let Ok(output) = Command::new("promtool").args(arguments).current_dir(&folder).output() else {
            return left_out("promtool is not installed");
        };
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stdout));
    }
}
