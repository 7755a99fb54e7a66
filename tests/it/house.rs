//! The house rules: rooms that know only certain other rooms, files that fit a screen or ten, and one word for each thing.

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

/// The code of a file, without its comments and its module of tests, which stands last.
pub fn code(path: &Path) -> String {
    let text = read(path);
    let without_tests = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or("");
    let lines = without_tests.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

/// The rooms of `src/`, and the rooms that each may know beside itself. Nothing is exempt.
const ROOMS: [(&str, &[&str]); 13] = [
    ("domain", &[]),
    ("config", &[]),
    ("metrics", &[]),
    ("embedded", &[]),
    ("wire", &["domain"]),
    ("webhook", &["domain"]),
    ("trace", &[]),
    ("store", &["domain", "metrics", "trace"]),
    ("tools", &["domain", "webhook", "wire"]),
    ("http", &["domain", "metrics", "store", "trace", "webhook", "wire"]),
    ("telemetry", &["config", "tools", "trace"]),
    ("app", &["config", "domain", "embedded", "http", "store", "webhook"]),
    ("cli", &["app", "config", "domain", "embedded", "store", "telemetry", "tools", "webhook", "wire"]),
];

/// The first name of every path that begins with `crate::`. A list in braces has several.
fn rooms_used(code: &str) -> BTreeSet<String> {
    let mut used = BTreeSet::new();
    for rest in code.split("crate::").skip(1) {
        let (mut depth, mut name, mut is_first) = (0, String::new(), true);
        for c in rest.chars() {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                c if (c.is_alphanumeric() || c == '_') && is_first => name.push(c),
                c if c.is_whitespace() && name.is_empty() => {}
                _ => is_first = false,
            }
            // A comma in the outermost list begins the next path; behind a single path nothing follows.
            if depth <= 1 && (c == ',' || c == '}') || depth == 0 && !is_first {
                used.insert(std::mem::take(&mut name));
                is_first = true;
            }
            if depth == 0 && c != '_' && !c.is_alphanumeric() {
                break;
            }
        }
        used.insert(name);
    }
    used.retain(|name| !name.is_empty());
    used
}

#[test]
fn the_rooms_of_a_file_are_read_from_single_paths_and_from_lists() {
    let rooms = |code: &str| rooms_used(code).into_iter().collect::<Vec<_>>().join(" ");
    assert_eq!(rooms("use crate::domain::ids::SaleId;"), "domain");
    assert_eq!(rooms("let x = crate::store::Store::new(crate::config::FILE);"), "config store");
    assert_eq!(
        rooms("use crate::{domain, store::{Store, http}, wire::{self, time}};\nuse app::X;"),
        "domain store wire"
    );
    assert_eq!(rooms("use crate::{\n    domain::{ids::{A, B}, money},\n    tools::client,\n};"), "domain tools");
    assert_eq!(rooms("use crate::webhook;"), "webhook");
}

#[test]
fn each_room_knows_only_the_rooms_that_it_may() {
    let entries = fs::read_dir(root().join("src")).unwrap().map(|entry| entry.unwrap().path());
    let stems: BTreeSet<String> = entries.map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned()).collect();
    let rooms: BTreeSet<String> = ROOMS.iter().map(|(room, _)| (*room).to_owned()).collect();
    let outside: Vec<_> = stems.symmetric_difference(&rooms).collect();
    assert_eq!(
        outside,
        ["lib", "main"],
        "every file and folder of src is a room of the table, but for the two entries"
    );
    for (room, may) in ROOMS {
        let single = root().join(format!("src/{room}.rs"));
        let files = if single.exists() { vec![single] } else { files(&format!("src/{room}"), "rs") };
        for file in files {
            for used in rooms_used(&code(&file)).iter().filter(|used| rooms.contains(*used) && *used != room) {
                assert!(may.contains(&used.as_str()), "{} uses crate::{used}", file.display());
            }
        }
    }
}

#[test]
fn only_the_right_room_knows_a_library() {
    let only: [(&str, &[&str]); 9] = [
        ("redis::", &["src/store", "src/embedded"]),
        ("deadpool_redis", &["src/store"]),
        ("actix_web", &["src/http", "src/app", "src/cli/serve.rs"]),
        ("serde_json", &["src/cli", "src/http", "src/store/redis/record", "src/tools", "src/webhook", "src/wire"]),
        ("hyper", &["src/tools/client"]),
        ("opentelemetry", &["src/telemetry", "src/trace"]),
        ("fs1:", &["src/store/redis/keys.rs"]),
        ("std::env", &["src/cli", "src/app", "src/embedded"]),
        ("    env,", &["src/cli", "src/embedded"]),
    ];
    for file in files("src", "rs") {
        let name = file.strip_prefix(root()).unwrap().to_str().unwrap().to_owned();
        for (word, places) in only {
            let there = places.iter().any(|place| name.starts_with(place));
            assert!(there || !code(&file).contains(word), "{name} knows {word}");
        }
    }
}

#[test]
fn files_fit_a_head() {
    for file in files("src", "rs").into_iter().chain(files("lua", "lua")).chain(files("tests", "rs")) {
        let lines = read(&file).lines().count();
        // The model of the whole sale is one table of cases, easier to check in one piece.
        let bound = if file.ends_with("model/reference.rs") { 710 } else { LINES_MAX };
        assert!(lines <= bound, "{} has {lines} lines", file.display());
    }
}

/// The words of the last column of the table in ARCHITECTURE.md, which are used for nothing.
fn banned_words() -> Vec<String> {
    let architecture = read(&root().join("ARCHITECTURE.md"));
    let table = architecture.split("\n## Words\n").nth(1).expect("ARCHITECTURE.md has a table of words");
    let rows = table.split("\n## ").next().unwrap().lines().filter(|line| line.starts_with("| ")).skip(1);
    let cells = rows.map(|row| row.strip_suffix(" |").unwrap().rsplit_once('|').unwrap().1.to_owned());
    cells.flat_map(|cell| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>()).collect()
}

/// The words of a text, and the parts of its names: `read_order` and `ReadOrder` have `read` and `order` in them.
fn words(text: &str) -> BTreeSet<String> {
    let mut words = BTreeSet::new();
    for name in text.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|name| !name.is_empty()) {
        words.insert(name.to_owned());
        for part in name.split('_') {
            let starts = part.char_indices().filter(|(_, c)| c.is_uppercase()).map(|(at, _)| at);
            let ends: Vec<usize> = [0].into_iter().chain(starts).chain([part.len()]).collect();
            words.extend(ends.windows(2).map(|pair| part[pair[0]..pair[1]].to_lowercase()));
        }
    }
    words
}

#[test]
fn each_thing_has_one_word() {
    let banned = banned_words();
    assert!(banned.len() > 15, "{banned:?}");
    let places = [
        ("src", "rs"),
        ("src", "toml"),
        ("lua", "lua"),
        ("lua", "md"),
        ("tests", "rs"),
        ("tests", "py"),
        ("docs", "md"),
    ];
    for file in places.into_iter().flat_map(|(folder, ending)| files(folder, ending)) {
        // Decisions keep the words of their day, and this table names what it bans.
        if file.ends_with("docs/decisions.md") {
            continue;
        }
        let text = read(&file).replace("BOOK_KEYS", "");
        let words = words(&text);
        for word in &banned {
            assert!(!words.contains(word), "{} has `{word}`; ARCHITECTURE.md has the word for it", file.display());
        }
    }
}
