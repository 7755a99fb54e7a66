//! `deploy/helm/flashsale`.

use std::process::Command;

use reqwest::Method;

use super::{settings, yaml};
use crate::{
    house::{read, root},
    support::{
        app::{ADMIN_TOKEN, TestApp},
        contract::Ask,
        left_out,
    },
};

const CHART: &str = "deploy/helm/flashsale";

#[test]
fn the_values_of_the_chart_are_settings() {
    let values = yaml(&format!("{CHART}/values.yaml"));
    let known = settings();
    let sections = values["settings"].as_object().unwrap();
    let given = sections
        .iter()
        .flat_map(|(section, keys)| keys.as_object().unwrap().keys().map(move |key| format!("{section}.{key}")));
    let given: Vec<_> = given.collect();
    assert!(given.len() >= 4, "{given:?}");
    for setting in given {
        assert!(known.contains(&setting), "{setting} is no setting");
    }
}

#[test]
fn the_chart_has_the_version_of_the_program() {
    let chart = yaml(&format!("{CHART}/Chart.yaml"));
    assert_eq!(chart["appVersion"], env!("CARGO_PKG_VERSION"));
}

/// Words between two marks, each time that the first one stands in a template.
fn between<'a>(text: &'a str, before: &str, after: &str) -> Vec<&'a str> {
    text.split(before).skip(1).map(|rest| rest.split(after).next().unwrap()).collect()
}

#[tokio::test]
async fn probes_and_the_autoscaler_ask_for_what_there_is() {
    let app = TestApp::selling(1).await;
    let deployment = read(&root().join(CHART).join("templates/deployment.yaml"));
    let probes = between(&deployment, "httpGet: {path: ", ",");
    assert_eq!(probes.len(), 3, "{probes:?}");
    for path in probes {
        assert_eq!(app.get(path).await.status, 200, "{path}");
    }
    let metrics =
        app.request(Method::GET, "/metrics").bearer_auth(ADMIN_TOKEN).ask().await.unwrap().text().await.unwrap();
    let autoscaler = read(&root().join(CHART).join("templates/horizontalpodautoscaler.yaml"));
    let asked = between(&autoscaler, "metric:\n          name: ", "\n");
    assert_eq!(asked.len(), 1, "{asked:?}");
    assert!(metrics.contains(&format!("\n{} ", asked[0])), "no series {}", asked[0]);
}

#[test]
fn helm_and_the_schemas_of_kubernetes_have_no_complaint() {
    let installed = root().join(".cache/chart");
    if !installed.join("installed.txt").exists() {
        return left_out("Helm is not installed in .cache/chart");
    }
    let lint =
        Command::new("python3").arg(root().join("scripts/lint-chart")).env("PYTHONPATH", installed).output().unwrap();
    let said = String::from_utf8_lossy(&lint.stdout) + String::from_utf8_lossy(&lint.stderr);
    assert!(lint.status.success(), "{said}");
}
