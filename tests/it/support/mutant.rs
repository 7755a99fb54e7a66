//! A mutant is the scripts with one planted mistake (`tests/it/mutants`). Where `FLASHSALE_MUTANT` names one, every catalogue
//! that the tests build in this process is that mutant.

use std::{fs, sync::OnceLock};

use flashsale::store::Catalogue;

pub const VARIABLE: &str = "FLASHSALE_MUTANT";

const LISTS: [&str; 4] = ["selling", "paying", "keeping", "spreading"];

/// One mistake in one file of `lua/`.
pub struct Mutant {
    pub name: String,
    pub file: String,
    /// Parts of the names of tests, in the order in which they run. One of these tests must fail.
    pub by: Vec<String>,
    from: String,
    to: String,
}

/// The mutants of the lists. An entry is its name and file, the tests that run, the lines that it replaces, and the
/// new ones.
pub fn all() -> Vec<Mutant> {
    let read_list = |list| fs::read_to_string(format!("tests/it/mutants/{list}.txt")).unwrap();
    of_text(&LISTS.map(read_list).join("\n"))
}

/// The mutants of a list.
pub fn of_text(text: &str) -> Vec<Mutant> {
    text.split("\n\n").map(str::trim_start).filter(|entry| entry.starts_with("mutant ")).map(read).collect()
}

fn read(entry: &str) -> Mutant {
    let lines = |mark: &'static str| entry.trim_end().lines().filter_map(move |line| line.strip_prefix(mark));
    // A mark alone is an empty text.
    let text = |mark| {
        let text: Vec<_> = lines(mark).map(|line| line.strip_prefix(' ').unwrap_or(line)).collect();
        assert!(!text.is_empty(), "a line `{mark}` is missing in {entry}");
        text.join("\n")
    };
    let (name, file) =
        lines("mutant ").next().and_then(|line| line.split_once(" of ")).expect("mutant <name> of <file>");
    let by = lines("by ").flat_map(str::split_whitespace).map(str::to_owned).collect();
    Mutant { name: name.to_owned(), file: file.to_owned(), by, from: text("-"), to: text("+") }
}

/// The mutant that this process tests, if it tests one.
pub fn name() -> Option<String> {
    std::env::var(VARIABLE).ok()
}

fn current() -> Option<&'static Mutant> {
    static CURRENT: OnceLock<Option<Mutant>> = OnceLock::new();
    let find = |name: String| all().into_iter().find(|mutant| mutant.name == name).expect("a mutant of this name");
    CURRENT.get_or_init(|| name().map(find)).as_ref()
}

/// The text of a file of `lua/`, with the mistake of the mutant that this process tests.
pub fn edit(file: &str, text: &str) -> String {
    current().map_or_else(|| text.to_owned(), |mutant| mutant.edit(file, text))
}

/// The scripts as the service has them, or the mutant that this process tests.
pub fn catalogue() -> Catalogue {
    Catalogue::edited(edit)
}

impl Mutant {
    pub fn edit(&self, file: &str, text: &str) -> String {
        if file != self.file {
            return text.to_owned();
        }
        assert_eq!(text.matches(&*self.from).count(), 1, "{}: how often {file} has `{}`", self.name, self.from);
        text.replacen(&*self.from, &self.to, 1)
    }
}
