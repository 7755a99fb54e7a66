//! The fuzz targets: a function for each reader of bytes from outside, which holds it to what must be true of whatever it reads.
//! They stand beside the readers, in files called `fuzzed.rs`. `make fuzz` looks for bytes that break them, and the test below
//! runs all bytes of `fuzz/corpus` again.

use crate::{config, domain, http, store, webhook, wire};

/// Panics when the bytes are read as they must not be.
pub type Target = fn(&[u8]);

/// All targets, by the name of their folder in `fuzz/corpus`.
pub const TARGETS: [(&str, Target); 16] = [
    ("amounts", domain::fuzzed::amounts),
    ("bodies", http::fuzzed::bodies),
    ("cells", wire::fuzzed::cells),
    ("encodings", wire::fuzzed::encodings),
    ("events", webhook::fuzzed::events),
    ("forwarded", http::gate::fuzzed::forwarded),
    ("heads", http::fuzzed::heads),
    ("ids", store::fuzzed::ids),
    ("lines", http::fuzzed::lines),
    ("queries", http::fuzzed::queries),
    ("settings", config::fuzzed::settings),
    ("signatures", webhook::fuzzed::signatures),
    ("tables", http::fuzzed::tables),
    ("transfers", http::fuzzed::transfers),
    ("values", config::fuzzed::values),
    ("words", domain::fuzzed::words),
];

/// The target with this name.
pub fn target(name: &str) -> Option<Target> {
    TARGETS.iter().find(|(other, _)| *other == name).map(|(_, target)| *target)
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs, panic::catch_unwind, path::Path};

    use super::*;

    #[test]
    fn all_that_was_found_is_read_as_it_must_be() {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus");
        let entries =
            |folder: &Path| fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect::<Vec<_>>();
        let folders: BTreeSet<String> =
            entries(&corpus).iter().map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect();
        assert_eq!(folders, TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect());
        let mut broken = Vec::new();
        for (name, target) in TARGETS {
            let files = entries(&corpus.join(name));
            assert!(files.len() > 1, "{name} has no seeds");
            for file in files {
                let bytes = fs::read(&file).unwrap();
                if catch_unwind(|| target(&bytes)).is_err() {
                    broken.push(file);
                }
            }
        }
        assert!(broken.is_empty(), "{broken:#?}");
    }
}
