//! The locks of a data folder.

use std::{
    fs::{File, OpenOptions, TryLockError},
    os::unix::fs::OpenOptionsExt,
    path::PathBuf,
    time::Duration,
};

use super::{
    EmbeddedError,
    folder::Folder,
    wait::{Notice, until},
};

#[derive(Clone, Copy)]
pub enum Lock {
    /// Shared by all processes that use the server. The guard gets it when they are gone.
    Users,
    /// Held while one process looks for the server or starts it.
    Start,
    /// Held by the guard.
    Guard,
    /// Held by the server.
    Server,
}

impl Folder {
    /// Whoever can open the file can take the lock, so nobody else may.
    pub fn file(&self, lock: Lock) -> Result<File, EmbeddedError> {
        let path = self.lock_path(lock);
        let opened = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path);
        opened.map_err(|source| EmbeddedError::Folder { folder: path, source })
    }

    pub fn lock(
        &self,
        lock: Lock,
        limit: Duration,
        try_lock: impl Fn(&File) -> Result<(), TryLockError>,
    ) -> Result<File, EmbeddedError> {
        let file = self.file(lock)?;
        let mut waiting = Notice::new("another process starts or stops the embedded Redis of this folder");
        let locked = until(limit, || {
            waiting.log_if_long();
            try_lock(&file).is_ok()
        });
        locked.then_some(file).ok_or_else(|| EmbeddedError::Locked(self.path().to_owned()))
    }

    /// Does not make the file, because somebody may be removing the folder.
    pub fn is_free(&self, lock: Lock) -> bool {
        File::open(self.lock_path(lock)).map_or(true, |file| file.try_lock().is_ok())
    }

    fn lock_path(&self, lock: Lock) -> PathBuf {
        self.path().join(match lock {
            Lock::Users => "users.lock",
            Lock::Start => "start.lock",
            Lock::Guard => "guard.lock",
            Lock::Server => "server.lock",
        })
    }
}
