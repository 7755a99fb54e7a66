//! docs/threats.md names a test for each attack, and the test exists.

use std::{fs, path::Path};

use crate::docs::markdown::root;

fn texts_below(folder: &Path) -> String {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let texts = entries.map(|path| match path.extension() {
        _ if path.is_dir() => texts_below(&path),
        Some(extension) if extension == "rs" => fs::read_to_string(path).unwrap(),
        _ => String::new(),
    });
    texts.collect()
}

#[test]
fn every_attack_of_the_threats_has_a_test_that_tries_it() {
    let code = texts_below(&root().join("tests/it")) + &texts_below(&root().join("src"));
    let document = fs::read_to_string(root().join("docs/threats.md")).unwrap();
    let mut attacks = 0;
    // The tables of attacks have three columns, that of rights has two.
    let rows = document.lines().filter(|line| line.starts_with("| ") && line.matches(" | ").count() == 2);
    for row in rows.filter(|row| !row.starts_with("| what they try")) {
        let tests = row.trim_end_matches(" |").rsplit(" | ").next().unwrap();
        let named: Vec<_> = tests.split('`').skip(1).step_by(2).collect();
        assert!(!named.is_empty(), "no test is named in: {row}");
        for test in named {
            assert!(code.contains(&format!("fn {test}(")), "{test} of docs/threats.md is no test");
        }
        attacks += 1;
    }
    assert!(attacks >= 35, "{attacks} attacks are read from docs/threats.md");
}
