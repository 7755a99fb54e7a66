//! Where an export goes: to stdout, through a device or FIFO, or into a file that gets its name only when it is whole.

use std::{
    fs::{self, File, OpenOptions, Permissions},
    io::{self, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown},
    path::{Path, PathBuf},
};

use super::service::CommandError;

/// The mode of a new file: it has the ids of customers, which are for its owner.
const MODE: u32 = 0o600;
/// The number of symlinks that Linux follows.
const LINKS_MAX: usize = 40;

/// Where to write, checked before anything is written.
pub(super) enum Destination {
    Stdout,
    /// A device or FIFO, which cannot be replaced when the export is whole.
    Through(PathBuf),
    /// The file, which may not exist yet, behind all symlinks.
    File(PathBuf),
}

/// An opened destination.
pub(super) enum Output {
    Stdout,
    Through(File, PathBuf),
    /// A file with the name that it has while it grows, and the name that it gets at the end.
    Growing {
        file: File,
        part: PathBuf,
        path: PathBuf,
    },
}

/// Whether anybody reads on: `head` takes what it needs and leaves.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Pipe {
    Open,
    Closed,
}

impl Destination {
    /// # Errors
    /// When nothing can be written there, because it is a folder, say.
    pub(super) fn check(path: Option<&Path>) -> Result<Self, CommandError> {
        let Some(path) = path else { return Ok(Self::Stdout) };
        match fs::metadata(path) {
            Ok(found) if found.is_dir() => {
                Err(CommandError::NotDone(format!("{} is a folder; name a file in it", path.display())))
            }
            Ok(found) if found.is_file() => Ok(Self::File(fs::canonicalize(path).map_err(|e| unwritable(path, &e))?)),
            Ok(_) => Ok(Self::Through(path.to_owned())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Self::File(behind_links(path))),
            Err(error) => Err(unwritable(path, &error)),
        }
    }

    /// # Errors
    /// When it cannot be opened.
    pub(super) fn open(self) -> Result<Output, CommandError> {
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
    pub(super) fn write(&mut self, piece: &[u8]) -> Result<Pipe, CommandError> {
        let (written, name) = match self {
            Self::Stdout => (io::stdout().write_all(piece), None),
            Self::Through(file, path) => (file.write_all(piece), Some(path)),
            Self::Growing { file, part, .. } => (file.write_all(piece), Some(part)),
        };
        pipe_after(written, name.map(|name| name.as_path()))
    }

    /// Ends the output: a file gets its name.
    pub(super) fn finish(self) -> Result<Pipe, CommandError> {
        match self {
            Self::Stdout => pipe_after(io::stdout().flush(), None),
            Self::Through(..) => Ok(Pipe::Open),
            Self::Growing { file, part, path } => {
                let renamed =
                    file.sync_all().and_then(|()| is_still(&part, &file)).and_then(|()| fs::rename(&part, &path));
                renamed.map(|()| Pipe::Open).map_err(|error| unwritable(&path, &error))
            }
        }
    }

    /// Where the written part is.
    pub(super) fn where_written(&self) -> String {
        match self {
            Self::Stdout => "printed".to_owned(),
            Self::Through(_, path) | Self::Growing { part: path, .. } => format!("in {}", path.display()),
        }
    }

    pub(super) fn is_stdout(&self) -> bool {
        matches!(self, Self::Stdout)
    }
}

/// The path behind symlinks of which the last leads to nothing yet.
fn behind_links(path: &Path) -> PathBuf {
    let mut path = path.to_owned();
    for _ in 0..LINKS_MAX {
        let Ok(next) = fs::read_link(&path) else { break };
        path = path.parent().unwrap_or(Path::new("")).join(next);
    }
    path
}

/// A new file, even if a part of an earlier export or somebody's link is there. From its first byte on it is readable for
/// those who may read the file that it replaces.
fn grow(part: &Path, path: &Path) -> io::Result<File> {
    match fs::remove_file(part) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let file = OpenOptions::new().write(true).create_new(true).mode(MODE).open(part)?;
    if let Ok(replaced) = fs::metadata(path) {
        // Only root may give a file away. For anybody else the file stays their own.
        let _kept = fchown(&file, Some(replaced.uid()), Some(replaced.gid()));
        file.set_permissions(Permissions::from_mode(replaced.mode() & 0o777))?;
    }
    Ok(file)
}

/// Checks that no other export has put its own, unfinished part there.
fn is_still(part: &Path, file: &File) -> io::Result<()> {
    let (there, ours) = (fs::metadata(part)?, file.metadata()?);
    let is_ours = (there.dev(), there.ino()) == (ours.dev(), ours.ino());
    if is_ours { Ok(()) } else { Err(io::Error::other("another export writes there too")) }
}

fn pipe_after(written: io::Result<()>, name: Option<&Path>) -> Result<Pipe, CommandError> {
    match (written, name) {
        (Ok(()), _) => Ok(Pipe::Open),
        (Err(error), _) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Pipe::Closed),
        (Err(error), None) => {
            Err(CommandError::NotDone(format!("stdout takes no more: {error}; the output is not complete")))
        }
        (Err(error), Some(path)) => Err(unwritable(path, &error)),
    }
}

fn unwritable(path: &Path, error: &io::Error) -> CommandError {
    CommandError::NotDone(format!("{} cannot be written: {error}", path.display()))
}
