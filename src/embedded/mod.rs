//! The embedded Redis: a private `valkey-server` or `redis-server` on a unix socket in a data folder.
//!
//! Four locks on files of the folder (`locks`) are its whole state, and the kernel releases them however a process ends.
//! Every process that uses the folder shares the users lock. One process at a time, with the start lock, looks for the
//! server or starts it. A *guard* process (`guard`) holds the guard lock. It starts the server, starts it again if it dies,
//! and shuts it down in order as soon as nobody shares the users lock. The server itself (`server`) holds the server lock,
//! which it got as its standard input, so nobody starts a second one. A worker that is killed therefore leaves no orphan,
//! and never takes the server away from other processes.

mod ended;
mod folder;
mod guard;
mod locks;
mod server;
mod wait;

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

pub use self::guard::guard;
use self::{folder::Folder, locks::Lock, wait::until};

/// How long to wait until the server of earlier users has ended.
const USERS_LOCK_MAX: Duration = Duration::from_secs(40);
/// How long to wait for another process that starts the server, which may load much data.
const START_LOCK_MAX: Duration = Duration::from_mins(10);
/// How long the last user waits for the server to end.
const END_MAX: Duration = Duration::from_secs(5);

/// Why there is no embedded server. Each message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum EmbeddedError {
    #[error(
        "no redis-server or valkey-server found in PATH or {}: run scripts/bootstrap, install one, or set redis.url",
        server::BOOTSTRAPPED
    )]
    NoServer,
    #[error("the socket path {0} is too long for a unix socket: set redis.data_dir to a shorter path")]
    PathTooLong(PathBuf),
    #[error("cannot use the data folder {folder}: {source}; redis.data_dir names another one")]
    Folder { folder: PathBuf, source: io::Error },
    #[error(
        "another process keeps {0} locked: it starts or stops the embedded server; wait for it, or \
         choose another redis.data_dir"
    )]
    Locked(PathBuf),
    #[error("cannot start {server}: {source}")]
    Spawn { server: PathBuf, source: io::Error },
    #[error("the embedded Redis did not answer within {} s; the end of {log} says:\n{tail}", waited.as_secs())]
    Silent { waited: Duration, log: PathBuf, tail: String },
    #[error("the embedded Redis ended while it started. The last word of {log}:\n  {line}\n{advice}")]
    Ended { log: PathBuf, line: String, advice: String },
    #[error(
        "{0} is there without append-only files, and so the embedded Redis would start empty. Move it away, or load it once: \
         docs/operations.md, Back up"
    )]
    LoneSnapshot(PathBuf),
    /// What the guard wrote.
    #[error("{0}")]
    Guard(String),
}

/// A use of the data folder. The server runs at least as long as this value lives.
#[derive(Debug)]
pub struct Embedded {
    folder: Folder,
    users: File,
}

impl Embedded {
    /// Finds the server of this folder or starts one, and waits until it answers. `program` is this program, which runs the
    /// guard. A server that loads its data may take as long as it needs, and any other one `wait_max`, or a few seconds.
    ///
    /// # Errors
    /// [`EmbeddedError`].
    pub fn start(
        data_dir: &Path,
        server: Option<&Path>,
        program: &Path,
        wait_max: Duration,
    ) -> Result<Self, EmbeddedError> {
        let folder = Folder::open(data_dir)?;
        let users = folder.lock(Lock::Users, USERS_LOCK_MAX, File::try_lock_shared)?;
        let _starter = folder.lock(Lock::Start, START_LOCK_MAX, File::try_lock)?;
        if folder.is_free(Lock::Guard) {
            folder.lone_snapshot().map_or(Ok(()), |snapshot| Err(EmbeddedError::LoneSnapshot(snapshot)))?;
            let server = server.map_or_else(server::find, |path| Ok(path.to_owned()))?;
            let mut guard = guard::spawn(&folder, &server, program)?;
            folder.wait_until_ready(Some(&mut guard), wait_max)?;
            let (folder, program) = (folder.clone(), program.to_owned());
            thread::spawn(move || guard::replace_when_it_ends(guard, &folder, &server, &program));
        }
        folder.wait_until_ready(None, wait_max)?;
        Ok(Self { folder, users })
    }

    pub fn url(&self) -> String {
        self.folder.url()
    }

    /// The URL of the server that runs in this folder. Starts none, and makes no folder.
    pub fn running(data_dir: &Path) -> Option<String> {
        let folder = data_dir.is_dir().then(|| Folder::open(data_dir).ok()).flatten()?;
        folder.socket().exists().then(|| folder.url())
    }

    pub fn socket(&self) -> PathBuf {
        self.folder.socket()
    }
}

impl Drop for Embedded {
    /// The last user waits until the server has ended, so that the next one does not meet a server that is shutting down.
    fn drop(&mut self) {
        let is_last = self.users.try_lock().is_ok();
        let _released = self.users.unlock();
        if is_last {
            until(END_MAX, || self.folder.is_free(Lock::Server));
        }
    }
}
