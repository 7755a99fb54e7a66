//! Which test saw each mutant, kept in `killed.txt` beside this file: a run goes on where the one before ended, and tries again only
//! those whose scripts have changed since.

use std::{
    collections::BTreeMap,
    fs,
    hash::{DefaultHasher, Hash, Hasher},
};

use flashsale::store::Catalogue;

use crate::support::mutant::Mutant;

const FILE: &str = "tests/it/mutants/killed.txt";

pub struct Ledger(BTreeMap<String, Kill>);

#[derive(Clone)]
struct Kill {
    /// Hash of the scripts as the mutant has them.
    scripts: String,
    by: String,
}

impl Ledger {
    pub fn open() -> Self {
        let text = fs::read_to_string(FILE).unwrap_or_default();
        let entry = |line: &str| {
            let mut parts = line.split(" | ").map(|part| part.trim().to_owned());
            Some((parts.next()?, Kill { scripts: parts.next()?, by: parts.next()? }))
        };
        Self(text.lines().filter_map(entry).collect())
    }

    /// The test that saw this mutant of the scripts as they are now.
    pub fn killer(&self, mutant: &Mutant) -> Option<&str> {
        let kill = self.0.get(&mutant.name)?;
        (kill.scripts == hash(mutant)).then_some(&*kill.by)
    }

    /// By mutant, the test that saw it the last time, however its scripts were then.
    pub fn last_killers(&self) -> BTreeMap<String, String> {
        let tests = self.0.iter().filter(|(_, kill)| kill.by.contains("::"));
        tests.map(|(name, kill)| (name.clone(), kill.by.clone())).collect()
    }

    pub fn killers(&self) -> impl Iterator<Item = &str> {
        self.0.values().map(|kill| &*kill.by)
    }

    /// Notes what came of a mutant. `None`: it survived.
    pub fn note(&mut self, mutant: &Mutant, killer: Option<&str>) {
        match killer {
            Some(by) => _ = self.0.insert(mutant.name.clone(), Kill { scripts: hash(mutant), by: by.to_owned() }),
            None => _ = self.0.remove(&mutant.name),
        }
        let lines = self.0.iter().map(|(name, Kill { scripts, by })| format!("{name:<46} | {scripts} | {by}\n"));
        fs::write(FILE, lines.collect::<String>()).unwrap();
    }
}

/// Differs where a script differs that the mutant changes, or its mistake.
fn hash(mutant: &Mutant) -> String {
    let own = Catalogue::compiled();
    let mutated = Catalogue::edited(|file, text| mutant.edit(file, text));
    let mut hasher = DefaultHasher::new();
    let changed = mutated.iter().zip(own.iter()).filter(|(mutated, own)| mutated.sha != own.sha);
    changed.for_each(|(mutated, _)| mutated.sha.hash(&mut hasher));
    format!("{:016x}", hasher.finish())
}
