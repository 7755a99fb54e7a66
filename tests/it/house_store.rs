//! The house rules of the store: one file for each operation, and ids that only its signer makes.

use std::{collections::BTreeSet, fs, path::Path};

use flashsale::store::{Catalogue, Op};

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The names of the modules in a folder, without `mod`.
fn modules(folder: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(folder)).unwrap();
    let names = entries.filter_map(|entry| Some(entry.unwrap().file_name().to_str()?.strip_suffix(".rs")?.to_owned()));
    names.filter(|name| name != "mod").collect()
}

/// The `//!` lines of a file.
fn head(text: &str) -> String {
    text.lines().take_while(|line| line.starts_with("//!")).collect::<Vec<_>>().join("\n")
}

#[test]
fn every_script_has_a_file_of_the_store_with_a_function_of_its_name() {
    let (operations, of_audit) = (modules("src/store"), modules("src/store/audit"));
    for op in Op::ALL {
        let name = op.name();
        let folder = if operations.contains(name) { "src/store" } else { "src/store/audit" };
        let text = read(&format!("{folder}/{name}.rs"));
        assert!(text.contains(&format!("fn {name}(")), "{folder}/{name}.rs has no function {name}");
        assert!(text.contains(&format!("Op::{op:?}")), "{folder}/{name}.rs does not call its script");
        assert!(head(&text).starts_with(&format!("//! `{name}`")), "{folder}/{name}.rs does not begin with its name");
        assert!(!(operations.contains(name) && of_audit.contains(name)), "{name} has two files");
    }
}

#[test]
fn files_of_the_store_that_are_no_operations_are_named_in_its_head() {
    let scripts: BTreeSet<&str> = Catalogue::compiled().iter().map(|script| script.name).collect();
    let named = head(&read("src/store/mod.rs"));
    for module in modules("src/store").iter().filter(|module| !scripts.contains(module.as_str())) {
        assert!(named.contains(&format!("`{module}`")), "src/store/mod.rs does not name {module}");
    }
}

#[test]
fn only_the_signer_of_the_store_makes_signed_ids() {
    for folder in
        ["src/domain", "src/http", "src/store", "src/store/audit", "src/store/redis", "src/store/redis/record"]
    {
        for module in modules(folder) {
            let path = format!("{folder}/{module}.rs");
            let makes_ids = read(&path).contains("Id::signed(");
            let may = ["src/domain/ids.rs", "src/store/ids.rs"].contains(&path.as_str());
            assert!(may || !makes_ids, "{path} makes a signed id");
        }
    }
}

#[test]
fn the_domain_has_neither_randomness_nor_secrets() {
    for module in modules("src/domain") {
        let text = read(&format!("src/domain/{module}.rs"));
        assert!(["getrandom", "hmac", "sha2"].iter().all(|word| !text.contains(word)), "domain/{module}.rs");
    }
}
