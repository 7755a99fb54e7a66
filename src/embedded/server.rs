//! The server process: how to find it, start it, ask it and stop it.

use std::{
    env,
    fs::File,
    path::{self, Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use super::{
    EmbeddedError,
    folder::Folder,
    locks::Lock,
    wait::{Notice, POLL, tail, until},
};

/// Names that a server may have, and where `scripts/bootstrap` puts one when the machine has none.
const SERVER_NAMES: [&str; 2] = ["redis-server", "valkey-server"];
pub const BOOTSTRAPPED: &str = ".cache/bin";
/// How long the server may take to answer, apart from loading its data.
pub const START_MAX: Duration = Duration::from_secs(20);
const STOP_MAX: Duration = Duration::from_secs(30);
const QUERY_MAX: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, PartialEq, Eq)]
enum ServerState {
    Gone,
    Loading,
    Ready,
}

impl Folder {
    fn server_pid(&self) -> Option<u32> {
        let info: redis::InfoDict = self.query(redis::cmd("INFO").arg("server"), QUERY_MAX).ok()?;
        info.get("process_id")
    }

    fn state(&self) -> ServerState {
        match self.query::<redis::Value>(&redis::cmd("PING"), QUERY_MAX) {
            Ok(_) => ServerState::Ready,
            Err(_) if self.is_free(Lock::Server) => ServerState::Gone,
            // It runs, and starts, loads its data, or executes a long command.
            Err(_) => ServerState::Loading,
        }
    }

    fn query<T: redis::FromRedisValue>(&self, command: &redis::Cmd, timeout: Duration) -> redis::RedisResult<T> {
        let client = redis::Client::open(self.url())?;
        let mut connection = client.get_connection_with_timeout(timeout)?;
        connection.set_read_timeout(Some(timeout))?;
        command.query(&mut connection)
    }

    /// `guard` is a guard that was just started, because it may fail at once.
    pub fn wait_until_ready(&self, mut guard: Option<&mut Child>) -> Result<(), EmbeddedError> {
        let mut silent_since = Instant::now();
        let mut waiting = Notice::new("the embedded Redis starts, or loads its data");
        loop {
            waiting.log_if_long();
            match self.state() {
                ServerState::Ready => return Ok(()),
                ServerState::Loading => silent_since = Instant::now(),
                ServerState::Gone if silent_since.elapsed() > START_MAX => {
                    return Err(EmbeddedError::Silent { tail: tail(&self.log()), log: self.log() });
                }
                ServerState::Gone if guard.as_mut().is_some_and(|guard| !matches!(guard.try_wait(), Ok(None))) => {
                    return Err(EmbeddedError::Guard { tail: tail(&self.guard_log()) });
                }
                ServerState::Gone => {}
            }
            thread::sleep(POLL);
        }
    }
}

pub fn find() -> Result<PathBuf, EmbeddedError> {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&path).chain([PathBuf::from(BOOTSTRAPPED)]);
    let candidates = folders.flat_map(|folder| SERVER_NAMES.map(|name| folder.join(name)));
    let found = candidates.into_iter().find(|path| path.is_file()).ok_or(EmbeddedError::NoServer)?;
    // Absolute, because the server runs in another folder. Links stay, because a program may depend on the name of its file.
    path::absolute(&found).map_err(|source| EmbeddedError::Spawn { server: found, source })
}

/// `lock` is the server lock, taken. The server holds it as long as it lives.
pub fn spawn(folder: &Folder, server: &Path, lock: File) -> Result<Child, EmbeddedError> {
    let mut command = Command::new(server);
    command.arg("--port").arg("0").arg("--unixsocket").arg(folder.socket()).args(["--unixsocketperm", "700"]);
    command.arg("--dir").arg(folder.path()).arg("--logfile").arg(folder.log()).args(["--daemonize", "no"]);
    command.args(["--appendonly", "yes", "--appendfsync", "everysec", "--save", ""]);
    // Redis spends up to a quarter of its time on dropping expired keys, in slices of a quarter of 1/hz seconds. At the
    // usual hz of 10 it answers nobody for 25 ms at a time while a hundred thousand holds lapse.
    command.args(["--maxmemory-policy", "noeviction", "--hz", "100"]);
    command.current_dir(folder.path()).stdin(lock).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().map_err(|source| EmbeddedError::Spawn { server: server.to_owned(), source })
}

pub fn reap(child: Option<Child>) {
    if let Some(mut child) = child {
        let _ended = child.kill().and_then(|()| child.wait());
    }
}

/// SHUTDOWN makes the server write and sync the append-only file before it ends. Only our own server gets it: somebody may
/// have removed the folder and made another in its place. A server that does not answer is killed. It has written all that
/// it acknowledged.
pub fn stop(folder: &Folder, child: Option<Child>) {
    let adopted = child.is_none() && !folder.is_free(Lock::Server);
    let Some(own) = child.as_ref().map(Child::id).or_else(|| folder.server_pid().filter(|_| adopted)) else { return };
    if folder.server_pid() == Some(own) {
        let _connection_closed: redis::RedisResult<()> = folder.query(redis::cmd("SHUTDOWN").arg("NOSAVE"), STOP_MAX);
        until(STOP_MAX, || folder.is_free(Lock::Server));
    }
    reap(child);
}
