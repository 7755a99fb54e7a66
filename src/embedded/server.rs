//! The server process: how to find it, start it, ask it and stop it.

use std::{
    env,
    fs::File,
    path::{self, Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
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
/// The least time that a server gets to say anything.
const START_MIN: Duration = Duration::from_secs(5);
const STOP_MAX: Duration = Duration::from_secs(30);
const QUERY_MAX: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, PartialEq, Eq)]
enum ServerState {
    Gone,
    /// It runs, and says nothing: it starts, executes a long command, or hangs.
    Silent,
    /// It answers that it loads its data, or is busy.
    Busy,
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
            Err(error) if error.code().is_some() => ServerState::Busy,
            Err(_) if self.is_free(Lock::Server) => ServerState::Gone,
            Err(_) => ServerState::Silent,
        }
    }

    fn query<T: redis::FromRedisValue>(&self, command: &redis::Cmd, timeout: Duration) -> redis::RedisResult<T> {
        let client = redis::Client::open(self.url())?;
        let mut connection = client.get_connection_with_timeout(timeout)?;
        connection.set_read_timeout(Some(timeout))?;
        command.query(&mut connection)
    }

    /// `guard` is a guard that was just started, because it may fail at once.
    pub fn wait_until_ready(&self, mut guard: Option<&mut Child>, wait_max: Duration) -> Result<(), EmbeddedError> {
        let wait_max = wait_max.max(START_MIN);
        let mut silent_since = Instant::now();
        let mut waiting = Notice::new("the embedded Redis starts, or loads its data");
        loop {
            waiting.log_if_long();
            let has_ended = guard.as_mut().is_some_and(|guard| !matches!(guard.try_wait(), Ok(None)));
            match self.state() {
                ServerState::Ready => return Ok(()),
                ServerState::Busy => silent_since = Instant::now(),
                ServerState::Gone if has_ended => return Err(self.guard_error()),
                ServerState::Gone | ServerState::Silent if silent_since.elapsed() > wait_max => {
                    let log = self.log();
                    return Err(EmbeddedError::Silent { waited: wait_max, tail: tail(&log), log });
                }
                ServerState::Gone | ServerState::Silent => {}
            }
            thread::sleep(POLL);
        }
    }

    /// What the guard wrote before it ended.
    fn guard_error(&self) -> EmbeddedError {
        let log = self.guard_log();
        let said = tail(&log);
        let said = said.strip_prefix("flashsale: ").unwrap_or(&said);
        EmbeddedError::Guard(if said.is_empty() {
            format!(
                "the guard of the embedded Redis ended, and could not write why into {}: is the disk full?",
                log.display()
            )
        } else {
            said.to_owned()
        })
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

/// Ends a server, if it has not ended by itself.
pub fn reap(mut child: Child) -> Option<ExitStatus> {
    let _already = child.kill();
    child.wait().ok()
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
    child.map(reap);
}
