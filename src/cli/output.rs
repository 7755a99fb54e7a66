//! Where an export goes: to stdout, through what is there and is no file, or into a file that has its name only when it is whole.

use std::{
    fs::{self, File, OpenOptions, Permissions},
    io::{self, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown},
    path::{Path, PathBuf},
};

use crate::tools::client::admin::Trouble;

/// Of a new file: the ids of customers are for its owner.
const MODE: u32 = 0o600;
/// As many symlinks as Linux follows.
const LINKS_MAX: usize = 40;

/// A place that was looked at, and at which nothing was written yet.
pub(super) enum Place {
    Stdout,
    /// A device, a FIFO: what is written there cannot be taken back, nor put beside it first.
    Through(PathBuf),
    /// The file that is there or will be, behind all symlinks.
    File(PathBuf),
}

/// What is written to.
pub(super) enum Output {
    Stdout,
    Through(File, PathBuf),
    /// The file under the name that it has while it grows, and the one that it is to have.
    Growing {
        file: File,
        part: PathBuf,
        path: PathBuf,
    },
}

/// Whether anybody wants more: `head` takes what it needs and goes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Reader {
    Reads,
    Left,
}

impl Place {
    /// # Errors
    /// When nothing can be written there, as into a folder.
    pub(super) fn of(path: Option<&Path>) -> Result<Self, Trouble> {
        let Some(path) = path else { return Ok(Self::Stdout) };
        match fs::metadata(path) {
            Ok(found) if found.is_dir() => {
                Err(Trouble::NotRun(format!("{} is a folder; name a file in it", path.display())))
            }
            Ok(found) if found.is_file() => Ok(Self::File(fs::canonicalize(path).map_err(|e| unwritable(path, &e))?)),
            Ok(_) => Ok(Self::Through(path.to_owned())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::File(behind_links(path))),
            Err(error) => Err(unwritable(path, &error)),
        }
    }

    /// # Errors
    /// When it cannot be opened.
    pub(super) fn open(self) -> Result<Output, Trouble> {
        match self {
            Self::Stdout => Ok(Output::Stdout),
            Self::Through(path) => match OpenOptions::new().write(true).open(&path) {
                Ok(file) => Ok(Output::Through(file, path)),
                Err(error) => Err(unwritable(&path, &error)),
            },
            Self::File(path) => {
                let mut part = path.as_os_str().to_owned();
                part.push(".part");
                let part = PathBuf::from(part);
                let file = grow(&part, &path).map_err(|error| unwritable(&part, &error))?;
                Ok(Output::Growing { file, part, path })
            }
        }
    }
}

impl Output {
    pub(super) fn write(&mut self, piece: &[u8]) -> Result<Reader, Trouble> {
        let (written, name) = match self {
            Self::Stdout => (io::stdout().write_all(piece), None),
            Self::Through(file, path) => (file.write_all(piece), Some(path)),
            Self::Growing { file, part, .. } => (file.write_all(piece), Some(part)),
        };
        read_on(written, name.map(|name| name.as_path()))
    }

    /// All was written: the file gets its name.
    pub(super) fn finish(self) -> Result<Reader, Trouble> {
        match self {
            Self::Stdout => read_on(io::stdout().flush(), None),
            Self::Through(..) => Ok(Reader::Reads),
            Self::Growing { file, part, path } => {
                let renamed =
                    file.sync_all().and_then(|()| is_still(&part, &file)).and_then(|()| fs::rename(&part, &path));
                renamed.map(|()| Reader::Reads).map_err(|error| unwritable(&path, &error))
            }
        }
    }

    /// Where what was written is.
    pub(super) fn place(&self) -> String {
        match self {
            Self::Stdout => "printed".to_owned(),
            Self::Through(_, path) | Self::Growing { part: path, .. } => format!("in {}", path.display()),
        }
    }

    pub(super) fn is_stdout(&self) -> bool {
        matches!(self, Self::Stdout)
    }
}

/// The name behind symlinks of which the last leads to nothing yet.
fn behind_links(path: &Path) -> PathBuf {
    let mut path = path.to_owned();
    for _ in 0..LINKS_MAX {
        let Ok(next) = fs::read_link(&path) else { break };
        path = path.parent().unwrap_or(Path::new("")).join(next);
    }
    path
}

/// A new file, even where a part of an earlier export lies, or a link that somebody put there. From its first byte on it may be
/// read by those who may read the file that it replaces.
fn grow(part: &Path, path: &Path) -> io::Result<File> {
    match fs::remove_file(part) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let file = OpenOptions::new().write(true).create_new(true).mode(MODE).open(part)?;
    if let Ok(replaced) = fs::metadata(path) {
        // Only root may give a file away; whoever else exports owns what was exported.
        let _kept = fchown(&file, Some(replaced.uid()), Some(replaced.gid()));
        file.set_permissions(Permissions::from_mode(replaced.mode() & 0o777))?;
    }
    Ok(file)
}

/// Another export to the same place would have put its own part there, which is not whole.
fn is_still(part: &Path, file: &File) -> io::Result<()> {
    let (there, ours) = (fs::metadata(part)?, file.metadata()?);
    let is_ours = (there.dev(), there.ino()) == (ours.dev(), ours.ino());
    if is_ours { Ok(()) } else { Err(io::Error::other("another export writes there too")) }
}

fn read_on(written: io::Result<()>, name: Option<&Path>) -> Result<Reader, Trouble> {
    match (written, name) {
        (Ok(()), _) => Ok(Reader::Reads),
        (Err(error), _) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Reader::Left),
        (Err(error), None) => Err(Trouble::NotRun(format!("stdout takes no more: {error}; what came is not complete"))),
        (Err(error), Some(path)) => Err(unwritable(path, &error)),
    }
}

fn unwritable(path: &Path, error: &io::Error) -> Trouble {
    Trouble::NotRun(format!("{} cannot be written: {error}", path.display()))
}
