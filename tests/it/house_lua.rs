//! The house rules of `lua/`: headers that are true, one namespace for each joined script, and names for all keys and
//! arguments. luacheck (`make lint`) sees the rest.

use std::{collections::BTreeSet, path::Path};

use flashsale::store::Catalogue;

use crate::house::{code, files, read, root};

/// The text of a script as its file has it.
fn file_of(script: &str) -> String {
    read(&root().join(format!("lua/{script}.lua")))
}

#[test]
fn every_script_has_its_header_and_its_paragraphs_in_order() {
    for script in Catalogue::compiled().iter() {
        let text = read(&root().join(format!("lua/{}.lua", script.name)));
        let mut lines = text.lines();
        let shebang = lines.next().unwrap();
        assert!(["#!lua", "#!lua flags=allow-oom", "#!lua flags=no-writes"].contains(&shebang), "{}", script.name);
        assert!(lines.next().unwrap().starts_with(&format!("-- {}: ", script.name)), "{}", script.name);
        let sections = ["\n-- uses   ", "\n-- KEYS   ", "\n-- ARGV   ", "\n-- REPLY  ", "\n-- cost   ", "\n-- e.g.   "];
        let paragraphs = ["\n-- names\n", "\n-- facts\n", "\n-- decision", "\n-- effects"];
        in_order(&text, &sections, script.name, true);
        in_order(&text, &paragraphs, script.name, false);
        assert!(!text.contains("fs1:"), "{} spells a key", script.name);
    }
}

fn in_order(text: &str, marks: &[&str], name: &str, all: bool) {
    let found: Vec<usize> = marks.iter().filter_map(|mark| text.find(mark)).collect();
    assert!(found.is_sorted(), "{name}: {marks:?} are not in order");
    assert!(!all || found.len() == marks.len(), "{name}: one of {marks:?} is missing");
}

#[test]
fn catalogue_folder_and_readme_name_the_same_scripts() {
    let names = |folder: &str| -> BTreeSet<String> {
        let stems = files(folder, "lua").into_iter().map(|path| {
            let inner = path.strip_prefix(root().join("lua")).unwrap().with_extension("");
            inner.to_str().unwrap().to_owned()
        });
        stems.collect()
    };
    let in_folder: BTreeSet<String> = names("lua").into_iter().filter(|name| !name.contains('/')).collect();
    let catalogue: BTreeSet<String> = Catalogue::compiled().iter().map(|script| script.name.to_owned()).collect();
    assert_eq!(in_folder, catalogue);
    let readme = read(&root().join("lua/README.md"));
    for name in names("lua") {
        assert!(readme.contains(&format!("| `{name}` |")), "lua/README.md has no row for {name}");
    }
}

#[test]
fn every_key_pattern_stands_in_the_readme() {
    let readme = read(&root().join("lua/README.md"));
    let keys = code(&root().join("src/store/redis/keys.rs"));
    for word in [
        "sale",
        "stock",
        "lapses",
        "deadlines",
        "events",
        "customers",
        "orders",
        "due",
        "reviews",
        "review_records",
        "resolved",
        "product:",
        "hold:",
        "order:",
        "once:",
    ] {
        assert!(keys.contains(word) && readme.contains(&format!("| `fs1:{{s}}:{word}")), "{word}");
    }
    for word in [
        "fs1:{:all}:products",
        "fs1:{:all}:skus",
        "fs1:{:all}:sales",
        "fs1:{:all}:schema",
        "fs1:{:all}:secret",
        "fs1:{:all}:swept",
    ] {
        assert!(keys.contains(word) && readme.contains(&format!("| `{word}`")), "{word}");
    }
}

/// The fragments that the header of a script names, in their order. A line that ends in a comma goes on in the next one.
fn fragments_of(script: &str) -> Vec<String> {
    let (mut fragments, mut goes_on) = (Vec::new(), false);
    for line in script.lines() {
        let names = line.strip_prefix(if goes_on { "--" } else { "-- uses   " });
        goes_on = names.is_some_and(|names| names.ends_with(','));
        let names = names.unwrap_or_default().split(',').map(str::trim);
        fragments.extend(names.filter(|name| !["", "nothing"].contains(name)).map(str::to_owned));
    }
    fragments
}

#[test]
fn the_fragments_of_a_script_are_read() {
    assert_eq!(fragments_of("#!lua\n-- uses   clock,\n--        units, a\nlocal a, b\n"), ["clock", "units", "a"]);
    assert!(fragments_of("#!lua\n-- uses   nothing\n").is_empty());
}

#[test]
fn every_script_is_joined_from_the_fragments_that_it_names_once_in_their_order_and_each_is_used() {
    let mut used = BTreeSet::new();
    for script in Catalogue::compiled().iter() {
        let own = file_of(script.name);
        let (shebang, body) = own.split_once('\n').unwrap();
        let names = fragments_of(&own);
        let fragments = names.iter().map(|name| read(&root().join(format!("lua/lib/{name}.lua"))));
        let joined = format!("{shebang}\n{}{body}", fragments.collect::<String>());
        assert!(script.source == joined, "{} is not its fragments and its own text", script.name);
        let count = names.len();
        let mut names: BTreeSet<_> = names.into_iter().collect();
        assert_eq!(names.len(), count, "{} uses a fragment twice", script.name);
        used.append(&mut names);
    }
    let fragments = files("lua/lib", "lua").into_iter().map(|path| path.file_stem().unwrap().to_owned());
    assert_eq!(used, fragments.map(|name| name.into_string().unwrap()).collect());
}

/// Names that a text declares at its top level: `local function name(` and `local one, other = …` at the start of a line.
fn top_level_locals(source: &str) -> Vec<&str> {
    let declared = source.lines().filter_map(|line| line.strip_prefix("local "));
    let names = declared.flat_map(|rest| match rest.strip_prefix("function ") {
        Some(function) => function.split('(').take(1).collect::<Vec<_>>(),
        None => rest.split('=').next().unwrap_or("").split(',').collect(),
    });
    names.map(str::trim).collect()
}

/// Names that a joined script declares more than once. The later declaration hides the earlier one from all that follows.
fn clashes(source: &str) -> Vec<&str> {
    let mut seen = BTreeSet::new();
    top_level_locals(source).into_iter().filter(|name| !seen.insert(*name)).collect()
}

#[test]
fn no_two_parts_of_a_joined_script_declare_the_same_name() {
    for script in Catalogue::compiled().iter() {
        assert_eq!(clashes(&script.source), Vec::<&str>::new(), "{}", script.name);
        let declared = script.source.matches("\nlocal ").count();
        assert!(declared > 0 && top_level_locals(&script.source).len() >= declared, "{}", script.name);
    }
}

#[test]
fn a_name_that_is_declared_twice_is_found() {
    let fragments = "local customers, touched = {}, {}\nlocal function add(a)\n  local sum = a\nend\nlocal closed\n";
    assert_eq!(top_level_locals(fragments), ["customers", "touched", "add", "closed"]);
    assert_eq!(clashes(fragments), Vec::<&str>::new());
    for (body, clash) in [
        ("local records, touched = {}, {}\n", "touched"),
        ("local add = 1\n", "add"),
        ("local a, closed =\n  unpack(b)\n", "closed"),
    ] {
        assert_eq!(clashes(&format!("{fragments}{body}")), [clash], "{body}");
    }
    assert_eq!(
        clashes(&format!("{fragments}  local touched = 1\n")),
        Vec::<&str>::new(),
        "an inner scope hides nothing"
    );
}

/// The numbers of a section of a header: `1 sale HASH, 2 stock HASH` gives 1 and 2.
fn numbers(header: &str, section: &str, next: &str) -> Vec<usize> {
    let (_, text) = header.split_once(section).unwrap();
    let (text, _) = text.split_once(next).unwrap();
    let words: Vec<&str> = text.split_whitespace().collect();
    let mut found = vec![];
    for word in words {
        // Others are parts of a sentence.
        if word.parse() == Ok(found.len() + 1) {
            found.push(found.len() + 1);
        }
    }
    found
}

#[test]
fn every_script_checks_its_arity_and_names_its_keys_and_arguments_at_its_head() {
    for script in Catalogue::compiled().iter() {
        let text = file_of(script.name);
        let (head, rest) = text.split_once("\n-- facts\n").unwrap();
        let arity = format!("return redis.error_reply('ERR {}: wrong number of keys or arguments')", script.name);
        assert!(head.contains(&arity), "{} does not check its arity", script.name);
        for number in numbers(head, "\n-- KEYS ", "\n-- ARGV ") {
            let behind_book = format!("KEYS[BOOK_KEYS + {}]", number.saturating_sub(8));
            let is_bound = script.source.contains(&format!("KEYS[{number}]")) || script.source.contains(&behind_book);
            assert!(is_bound, "{} gives KEYS[{number}] no name", script.name);
        }
        for number in numbers(head, "\n-- ARGV ", "\n-- REPLY ") {
            assert!(script.source.contains(&format!("ARGV[{number}]")), "{} gives ARGV[{number}] no name", script.name);
        }
        for (list, follows) in
            ["KEYS[", "ARGV["].iter().flat_map(|list| rest.split(list).skip(1).map(move |f| (list, f)))
        {
            let by_number = follows.starts_with(|c: char| c.is_ascii_digit()) || follows.starts_with("BOOK_KEYS");
            assert!(!by_number, "{} uses {list}{} behind its head", script.name, follows.get(..12).unwrap_or(follows));
        }
    }
}

#[test]
fn the_numbers_of_a_header_are_read() {
    let count = |script: &str| {
        let text = file_of(script);
        (numbers(&text, "\n-- KEYS ", "\n-- ARGV ").len(), numbers(&text, "\n-- ARGV ", "\n-- REPLY ").len())
    };
    assert_eq!(
        (count("extend"), count("hold"), count("keep_unmatched"), count("confirm")),
        ((10, 3), (5, 3), (13, 16), (1, 0))
    );
}

#[test]
fn fragments_name_keys_and_arguments_where_they_begin() {
    // A plain way is the beginning of one script, and reads what that is called with.
    let is_plain_way = |path: &Path| path.file_name().unwrap().to_str().unwrap().starts_with("plain_");
    for path in files("lua/lib", "lua").into_iter().filter(|path| !is_plain_way(path)) {
        let text = read(&path);
        let uses = |line: &&str| line.contains("KEYS[") || line.contains("ARGV[");
        let late = text.lines().filter(uses).find(|line| !line.starts_with("local "));
        assert_eq!(late, None, "{}", path.display());
    }
}
