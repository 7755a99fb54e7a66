//! The house rules: floors that do not know each other, headers that tell the truth, files that fit a head.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

const LINES_MAX: usize = 460;

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// All files below a folder that end so.
pub fn files(folder: &str, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == ending) {
                found.push(path);
            }
        }
    }
    assert!(!found.is_empty(), "{folder} has no .{ending}");
    found
}

/// The code of a file, without its tests and comments.
pub fn code(path: &Path) -> String {
    let text = read(path);
    let without_tests = text.split("#[cfg(test)]").next().unwrap_or("");
    let lines = without_tests.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

/// What follows `crate::` anywhere in the code: the first word, or all first words of a list.
fn floors_used(code: &str) -> BTreeSet<String> {
    let mut used = BTreeSet::new();
    for part in code.split("crate::").skip(1) {
        let Some(list) = part.strip_prefix('{') else {
            used.insert(part.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or("").to_owned());
            continue;
        };
        let mut depth = 0;
        let mut word = String::new();
        for c in list.chars() {
            match c {
                '}' if depth == 0 => break,
                '{' => depth += 1,
                '}' => depth -= 1,
                _ if depth > 0 => {}
                c if c.is_alphanumeric() || c == '_' => word.push(c),
                ':' | ',' | ' ' | '\n' if !word.is_empty() && c != ' ' && c != '\n' => {
                    used.insert(std::mem::take(&mut word));
                }
                _ => {}
            }
            if c == ',' && depth == 0 {
                word.clear();
            }
            // What follows a floor's name belongs to that floor.
            if c == ':' {
                word.clear();
            }
        }
    }
    used.retain(|word| word.chars().all(|c| c.is_lowercase() || c == '_') && !word.is_empty());
    used
}

#[test]
fn each_floor_knows_only_the_floors_below() {
    let floors: [(&str, &[&str]); 5] = [
        ("src/domain", &["domain"]),
        ("src/store", &["domain", "store"]),
        ("src/webhook", &["domain", "webhook"]),
        ("src/tools", &["domain", "tools", "webhook"]),
        ("src/http", &["domain", "store", "webhook", "http", "config"]),
    ];
    let all = ["app", "cli", "config", "domain", "embedded", "http", "store", "telemetry", "tools", "webhook"];
    for (floor, may) in floors {
        for file in files(floor, "rs") {
            for used in floors_used(&code(&file)).iter().filter(|used| all.contains(&used.as_str())) {
                assert!(may.contains(&used.as_str()), "{} uses crate::{used}", file.display());
            }
        }
    }
}

#[test]
fn only_the_right_floor_knows_a_library() {
    let only: [(&str, &[&str]); 7] = [
        ("redis::", &["src/store", "src/embedded"]),
        ("deadpool_redis", &["src/store"]),
        ("actix_web", &["src/http", "src/app.rs", "src/cli/serve.rs"]),
        ("serde_json", &["src/cli", "src/http", "src/tools", "src/webhook"]),
        ("hyper", &["src/tools/client"]),
        ("fs1:", &["src/store/redis/keys.rs"]),
        ("std::env", &["src/cli", "src/app.rs", "src/embedded"]),
    ];
    for file in files("src", "rs") {
        let name = file.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
        for (word, places) in only {
            let there = places.iter().any(|place| name.starts_with(place));
            // The secret's name stands in a message that tells what to restore.
            assert!(there || !code(&file).contains(word), "{name} knows {word}");
        }
    }
}

#[test]
fn files_fit_a_head() {
    for file in files("src", "rs").into_iter().chain(files("lua", "lua")).chain(files("tests", "rs")) {
        let lines = read(&file).lines().count();
        // The model of the whole sale is one table of cases, easier to check in one piece.
        let bound = if file.ends_with("model/reference.rs") { 850 } else { LINES_MAX };
        assert!(lines <= bound, "{} has {lines} lines", file.display());
    }
}
