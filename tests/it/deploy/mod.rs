//! What deploys the service (compose, nginx, Helm, systemd) names settings, commands, files and ports that there are. Nothing here needs
//! an engine or a cluster; `docs/deploy.md` says what was run on one.

mod compose;
mod debian;
mod helm;
mod nginx;
mod systemd;

use std::{collections::BTreeSet, fs, path::PathBuf};

use serde_json::Value;

use crate::{
    house::{read, root},
    support::{process::without_settings, redis::PROGRAM},
};

/// A file of YAML, its anchors and merges resolved.
fn yaml(name: &str) -> Value {
    serde_saphyr::from_str(&read(&root().join(name))).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The texts of a list.
fn texts(list: &Value) -> Vec<&str> {
    list.as_array().into_iter().flatten().map(|text| text.as_str().unwrap()).collect()
}

/// Every setting, as `section.key`.
fn settings() -> BTreeSet<String> {
    let mut section = "";
    let mut found = BTreeSet::new();
    for line in include_str!("../../../src/config/default.toml").lines() {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            section = name;
        } else if let Some((key, _)) = line.split_once(" = ").filter(|_| !line.starts_with('#')) {
            found.insert(format!("{section}.{key}"));
        }
    }
    found
}

/// The setting of a variable `FLASHSALE_<SECTION>__<KEY>`.
fn setting_of(variable: &str) -> Option<String> {
    let (section, key) = variable.strip_prefix("FLASHSALE_")?.split_once("__")?;
    Some(format!("{}.{}", section.to_lowercase(), key.to_lowercase()))
}

/// Asserts that the program has this command with these flags.
fn assert_is_command(words: &[&str]) {
    let output = without_settings(PROGRAM).args(words).arg("--help").output().unwrap();
    assert!(output.status.success(), "flashsale {words:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// What deploys it: the files at the root, and those of `deploy/` with names of variables in them.
fn files() -> Vec<PathBuf> {
    let mut found = vec![root().join("Dockerfile"), root().join("docker-compose.yml")];
    let mut folders = vec![root().join("deploy")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { found.push(path) }
        }
    }
    found
}

#[test]
fn every_variable_of_a_deployment_is_a_setting() {
    let settings = settings();
    assert!(settings.contains("http.drain_seconds") && settings.len() > 40, "{settings:?}");
    let is_name = |c: char| c.is_ascii_uppercase() || c == '_';
    let mut known = BTreeSet::new();
    for file in files() {
        let text = read(&file);
        for rest in text.split("FLASHSALE_").skip(1) {
            let name = &rest[..rest.find(|c| !is_name(c)).unwrap_or(rest.len())];
            // The template of names in the chart, and the variable that is no setting.
            if name.is_empty() || name == "CONFIG" {
                continue;
            }
            let setting = setting_of(&format!("FLASHSALE_{name}"));
            let is_there = setting.as_ref().is_some_and(|setting| settings.contains(setting));
            assert!(is_there, "{} has FLASHSALE_{name}, which is no setting", file.display());
            known.insert(setting);
        }
    }
    assert!(known.len() >= 6, "{known:?}");
}
