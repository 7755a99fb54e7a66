//! What the tests read in a document: its code blocks, its links, and the anchors of its headings.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
};

/// A document of the repository.
pub struct Document {
    /// Relative to the root.
    pub name: String,
    pub text: String,
}

/// A fenced block of code.
#[derive(Debug, PartialEq, Eq)]
pub struct Block<'a> {
    pub language: &'a str,
    /// What the HTML comment on the line above says.
    pub mark: Option<&'a str>,
    pub lines: Vec<&'a str>,
    /// The line of its fence, from 1.
    pub at: usize,
}

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

impl Document {
    pub fn read(name: &str) -> Self {
        let text = fs::read_to_string(root().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        Self { name: name.to_owned(), text }
    }

    /// The pages in `docs/`, in the order of their names.
    pub fn pages() -> Vec<Self> {
        let entries = fs::read_dir(root().join("docs")).unwrap().map(|entry| entry.unwrap().path());
        let mut names: Vec<PathBuf> = entries.filter(|path| path.extension().is_some_and(|end| end == "md")).collect();
        names.sort();
        names.iter().map(|path| Self::read(path.strip_prefix(root()).unwrap().to_str().unwrap())).collect()
    }

    pub fn blocks(&self) -> Vec<Block<'_>> {
        let mut blocks: Vec<Block<'_>> = Vec::new();
        let (mut is_open, mut before) = (false, "");
        for (at, line) in self.text.lines().enumerate() {
            match (is_open, line.strip_prefix("```")) {
                (false, Some(language)) => {
                    let mark = before.strip_prefix("<!-- ").and_then(|rest| rest.strip_suffix(" -->"));
                    blocks.push(Block { language, mark, lines: Vec::new(), at: at + 1 });
                    is_open = true;
                }
                (true, Some(_)) => is_open = false,
                (true, None) => blocks.last_mut().unwrap().lines.push(line),
                (false, None) => {}
            }
            before = line;
        }
        assert!(!is_open, "{} ends inside a block", self.name);
        blocks
    }

    /// The text without code blocks.
    pub fn prose(&self) -> String {
        let parts = self.text.split("\n```").step_by(2);
        parts.collect::<Vec<_>>().join("\n")
    }

    /// The targets of all links and images.
    pub fn links(&self) -> Vec<String> {
        let prose = self.prose();
        prose.split("](").skip(1).map(|rest| rest.split(')').next().unwrap().to_owned()).collect()
    }

    /// The anchors that GitHub gives the headings.
    pub fn anchors(&self) -> Vec<String> {
        let mut seen: HashMap<String, usize> = HashMap::new();
        let prose = self.prose();
        let headings = prose.lines().filter(|line| line.starts_with('#'));
        let anchors = headings.map(|heading| {
            let words = heading.trim_start_matches('#').trim().to_lowercase();
            let kept = words.chars().filter(|c| c.is_alphanumeric() || " -_".contains(*c));
            let slug: String = kept.map(|c| if c == ' ' { '-' } else { c }).collect();
            let earlier = seen.entry(slug.clone()).or_default();
            *earlier += 1;
            if *earlier == 1 { slug } else { format!("{slug}-{}", *earlier - 1) }
        });
        anchors.collect()
    }

    /// Every call of `flashsale` that the document shows, in blocks and in the text, as words.
    pub fn calls(&self) -> Vec<Vec<String>> {
        let blocks = self.blocks();
        let in_blocks = blocks.iter().filter(|block| ["sh", "console"].contains(&block.language)).flat_map(|block| {
            let commands = block.lines.iter().filter(|line| block.language == "sh" || line.starts_with("$ "));
            commands.map(|line| line.split(" # ").next().unwrap().to_owned())
        });
        let prose = self.prose();
        let in_text =
            prose.split('`').skip(1).step_by(2).filter(|code| code.starts_with("flashsale ")).map(str::to_owned);
        let parts = in_blocks
            .chain(in_text)
            .flat_map(|line| line.split(['|', ';', '(', ')', '&']).map(str::to_owned).collect::<Vec<_>>());
        parts.filter_map(|part| words_of_call(&part)).collect()
    }
}

/// The words behind the program's name, where the part of a shell line is a call of it and not the form of one.
fn words_of_call(part: &str) -> Option<Vec<String>> {
    let mut words = part.split_whitespace().skip_while(|word| *word == "$" || *word == "watch" || word.contains('='));
    let program = words.next()?;
    let is_call = program == "flashsale" || program.ends_with("/flashsale");
    (is_call && !part.contains('<')).then(|| words.map(str::to_owned).collect())
}
