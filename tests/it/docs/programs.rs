//! The programs that the documents show are the files of `docs/examples`, which `tests/it/checkout` runs.

use std::{collections::BTreeSet, fs};

use super::{
    all,
    markdown::{Document, root},
};

const MARK: &str = "tested by the_programs_of_the_documents_are_those_that_tests_run";

#[test]
fn the_programs_of_the_documents_are_those_that_tests_run() {
    let folder = fs::read_dir(root().join("docs/examples")).unwrap().map(|entry| entry.unwrap().path());
    let files: BTreeSet<_> = folder.filter(|path| path.is_file()).collect();
    assert!(files.len() >= 3, "{files:?}");
    let mut shown = BTreeSet::new();
    for document in all() {
        for block in document.blocks().iter().filter(|block| ["python", "js"].contains(&block.language)) {
            let program = block.lines.join("\n");
            let (name, at) = (&document.name, block.at);
            assert_eq!(block.mark, Some(MARK), "{name} line {at} has a program without the mark");
            let file = files.iter().find(|file| fs::read_to_string(file).unwrap().trim_end() == program);
            shown.insert(file.unwrap_or_else(|| panic!("{name} line {at} shows no file of docs/examples")));
        }
    }
    assert!(files.iter().all(|file| shown.contains(file)), "of {files:?} only {shown:?} are shown");
    let tests = Document::read("tests/it/checkout/mod.rs").text;
    for file in files {
        let module = file.file_stem().unwrap().to_str().unwrap();
        assert!(tests.contains(&format!("\"{module}\"")), "no test runs {module}");
    }
}
