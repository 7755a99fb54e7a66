//! A file that a command reads, or stdin.

use std::{
    fs::{File, Metadata},
    io::{self, Read},
    path::Path,
};

#[derive(Clone, Copy)]
pub(super) struct Source<'a>(pub(super) &'a Path);

impl Source<'_> {
    fn is_stdin(self) -> bool {
        self.0 == Path::new("-")
    }

    /// As people call it.
    pub(super) fn name(self) -> String {
        if self.is_stdin() { "stdin".to_owned() } else { self.0.display().to_string() }
    }

    /// Its length, where it is a file.
    pub(super) fn bytes(self) -> Option<u64> {
        let metadata = self.0.metadata().ok().filter(|_| !self.is_stdin());
        metadata.filter(Metadata::is_file).map(|metadata| metadata.len())
    }

    /// # Errors
    /// When it cannot be opened.
    pub(super) fn open(self) -> io::Result<Box<dyn Read>> {
        Ok(if self.is_stdin() { Box::new(io::stdin()) } else { Box::new(File::open(self.0)?) })
    }

    pub(super) fn unreadable(self, error: &io::Error) -> String {
        format!("{} cannot be read: {error}", self.name())
    }
}
