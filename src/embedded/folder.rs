//! The data folder, and the names of the files in it.

use std::{
    fs,
    os::unix::{ffi::OsStrExt, fs::DirBuilderExt},
    path::{Path, PathBuf},
};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};

use super::EmbeddedError;

/// Longest path of a unix socket that every system accepts.
const SOCKET_PATH_MAX: usize = 100;
/// The bytes that a path in a URL cannot have as they are.
const ESCAPED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'_').remove(b'.').remove(b'~');

#[derive(Clone, Debug)]
pub struct Folder(PathBuf);

impl Folder {
    pub fn open(data_dir: &Path) -> Result<Self, EmbeddedError> {
        let wrong = |source| EmbeddedError::Folder { folder: data_dir.to_owned(), source };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(data_dir).map_err(wrong)?;
        let folder = Self(data_dir.canonicalize().map_err(wrong)?);
        let socket = folder.socket();
        if socket.as_os_str().len() > SOCKET_PATH_MAX {
            return Err(EmbeddedError::PathTooLong(socket));
        }
        Ok(folder)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn socket(&self) -> PathBuf {
        self.0.join("redis.sock")
    }

    pub fn log(&self) -> PathBuf {
        self.0.join("redis.log")
    }

    pub fn append_only_files(&self) -> PathBuf {
        self.0.join("appendonlydir")
    }

    /// A snapshot that the server would not read, because it reads append-only files alone.
    pub fn lone_snapshot(&self) -> Option<PathBuf> {
        Some(self.0.join("dump.rdb")).filter(|snapshot| snapshot.exists() && !self.append_only_files().exists())
    }

    pub fn guard_log(&self) -> PathBuf {
        self.0.join("guard.log")
    }

    pub fn url(&self) -> String {
        let socket = self.socket();
        format!("unix://{}", percent_encode(socket.as_os_str().as_bytes(), ESCAPED))
    }
}
