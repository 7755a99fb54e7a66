//! The embedded Redis: a private `valkey-server` or `redis-server` on a unix socket in a data folder.
//!
//! Three locks on files of the folder say all that there is to know, and the kernel takes them back however a process ends.
//! Every process that uses the folder shares `users.lock`. The server itself holds `server.lock`, which it was given as its
//! standard input: while that is taken, nobody starts a second one. A *guard* process holds `guard.lock`; it starts the
//! server, starts it again should it die, and shuts it down in order as soon as nobody shares `users.lock` any more. So a
//! worker that is killed leaves no orphan, and never takes the server from its neighbours.

use std::{
    env,
    fs::{self, File, OpenOptions, TryLockError},
    io,
    os::unix::{ffi::OsStrExt, fs::DirBuilderExt, process::CommandExt},
    path::{self, Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use tokio::{
    runtime::Runtime,
    signal::unix::{Signal, SignalKind, signal},
};

/// Names that a server may have, and where `scripts/bootstrap` puts one when the machine has none.
const SERVER_NAMES: [&str; 2] = ["redis-server", "valkey-server"];
const BOOTSTRAPPED: &str = ".cache/bin";
/// All bytes but those that a path in a URL may have as they are.
const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'_').remove(b'.').remove(b'~');
/// Longest path of a unix socket that every system takes.
const SOCKET_PATH_MAX: usize = 100;
/// How long the server may take to answer, apart from loading its data.
const START_MAX: Duration = Duration::from_secs(20);
/// How long to wait for the server of before to end, and for a neighbour that is starting one: it may load much data.
const USERS_LOCK_MAX: Duration = Duration::from_secs(40);
const START_LOCK_MAX: Duration = Duration::from_mins(10);
const STOP_MAX: Duration = Duration::from_secs(30);
/// How long the last user waits for the server to end before it goes itself.
const FAREWELL_MAX: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(20);
/// How often the guard looks whether the server runs and somebody uses it.
const GUARD_POLL: Duration = Duration::from_millis(100);
/// Pause before a server that died is started again; doubled each time up to the second, until one has lived that long.
const RESTART_PAUSE: Duration = Duration::from_millis(100);
const RESTART_PAUSE_MAX: Duration = Duration::from_secs(5);
/// What to wait for is said once it takes longer.
const SAY_AFTER: Duration = Duration::from_secs(1);

/// Why there is no embedded server; each message says what to do.
#[derive(Debug, thiserror::Error)]
pub enum EmbeddedError {
    #[error(
        "no redis-server or valkey-server found in PATH or {BOOTSTRAPPED}: run scripts/bootstrap, install one, or set redis.url"
    )]
    NoServer,
    #[error("the socket path {0} is too long for a unix socket: set redis.data_dir to a shorter path")]
    PathTooLong(PathBuf),
    #[error("cannot use the data folder {folder}: {source}")]
    Folder { folder: PathBuf, source: io::Error },
    #[error(
        "another process keeps {0} locked: it starts or stops the embedded server; wait for it, or choose another redis.data_dir"
    )]
    Locked(PathBuf),
    #[error("cannot start {server}: {source}")]
    Spawn { server: PathBuf, source: io::Error },
    #[error("the embedded server did not answer within {} s; the end of {log} says:\n{tail}", START_MAX.as_secs())]
    Silent { log: PathBuf, tail: String },
    #[error("the embedded server could not be started: {tail}")]
    Guard { tail: String },
}

/// A use of the data folder; the server runs at least as long as this value lives.
#[derive(Debug)]
pub struct Embedded {
    folder: Folder,
    used: File,
}

impl Embedded {
    /// Finds the server that runs on this folder, or has one started, and waits until it answers. `program` is this
    /// program, which runs the guard.
    ///
    /// # Errors
    /// [`EmbeddedError`].
    pub fn start(data_dir: &Path, server: Option<&Path>, program: &Path) -> Result<Self, EmbeddedError> {
        let folder = Folder::open(data_dir)?;
        let used = folder.lock(Lock::Users, USERS_LOCK_MAX, File::try_lock_shared)?;
        let _starter = folder.lock(Lock::Start, START_LOCK_MAX, File::try_lock)?;
        if folder.is_free(Lock::Guard) {
            let server = server.map_or_else(find_server, |path| Ok(path.to_owned()))?;
            let mut guard = spawn_guard(&folder, &server, program)?;
            folder.wait_until_ready(Some(&mut guard))?;
            // Reaps the guard should it end before this process does.
            thread::spawn(move || guard.wait());
        }
        folder.wait_until_ready(None)?;
        Ok(Self { folder, used })
    }

    pub fn url(&self) -> String {
        self.folder.url()
    }

    pub fn socket(&self) -> PathBuf {
        self.folder.socket()
    }
}

impl Drop for Embedded {
    /// The last user waits until the server has ended, so that nobody meets one that is going.
    fn drop(&mut self) {
        let is_last = self.used.try_lock().is_ok();
        let _given_back = self.used.unlock();
        if is_last {
            until(FAREWELL_MAX, || self.folder.is_free(Lock::Server));
        }
    }
}

/// Runs the guard of a data folder until nobody uses it any more.
///
/// # Errors
/// [`EmbeddedError`].
pub fn guard(data_dir: &Path, server: &Path) -> Result<(), EmbeddedError> {
    let folder = Folder::open(data_dir)?;
    let _deaf = ignore_signals().map_err(|source| EmbeddedError::Folder { folder: folder.0.clone(), source })?;
    let users = folder.file(Lock::Users)?;
    let guarding = folder.file(Lock::Guard)?;
    if guarding.try_lock().is_err() {
        return Ok(());
    }
    let mut child = None;
    let kept = keep_running(&folder, server, &users, &mut child);
    // Also when the folder was removed meanwhile: nobody else would end the server.
    stop(&folder, child);
    kept
}

/// Starts the server whenever none runs, for as long as somebody uses the folder.
fn keep_running(folder: &Folder, server: &Path, users: &File, child: &mut Option<Child>) -> Result<(), EmbeddedError> {
    let (mut pause, mut started) = (RESTART_PAUSE, Instant::now());
    while users.try_lock().is_err() {
        let lock = folder.file(Lock::Server)?;
        // Taken: our server runs, or one that outlived its guard.
        if lock.try_lock().is_ok() {
            if child.is_some() {
                let lived = started.elapsed() > RESTART_PAUSE_MAX;
                pause = if lived { RESTART_PAUSE } else { (2 * pause).min(RESTART_PAUSE_MAX) };
                thread::sleep(pause);
            }
            reap(child.replace(spawn_server(folder, server, lock)?));
            started = Instant::now();
        }
        thread::sleep(GUARD_POLL);
    }
    Ok(())
}

/// Whoever ends all processes of our name, or of our terminal, means the service: the guard ends by itself after it.
fn ignore_signals() -> io::Result<(Runtime, Vec<Signal>)> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let heard: io::Result<Vec<Signal>> = {
        let _inside = runtime.enter();
        [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup()].map(signal).into_iter().collect()
    };
    heard.map(|signals| (runtime, signals))
}

#[derive(Clone, Copy)]
enum Lock {
    /// Shared by all who use the server; the guard gets it when they are gone.
    Users,
    /// Held while one process looks for the server or starts it.
    Start,
    /// Held by the guard.
    Guard,
    /// Held by the server.
    Server,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum ServerState {
    Gone,
    Loading,
    Ready,
}

#[derive(Clone, Debug)]
struct Folder(PathBuf);

impl Folder {
    fn open(data_dir: &Path) -> Result<Self, EmbeddedError> {
        let wrong = |source| EmbeddedError::Folder { folder: data_dir.to_owned(), source };
        fs::DirBuilder::new().recursive(true).mode(0o700).create(data_dir).map_err(wrong)?;
        let folder = Self(data_dir.canonicalize().map_err(wrong)?);
        let socket = folder.socket();
        if socket.as_os_str().len() > SOCKET_PATH_MAX {
            return Err(EmbeddedError::PathTooLong(socket));
        }
        Ok(folder)
    }

    fn socket(&self) -> PathBuf {
        self.0.join("redis.sock")
    }

    fn log(&self) -> PathBuf {
        self.0.join("redis.log")
    }

    fn guard_log(&self) -> PathBuf {
        self.0.join("guard.log")
    }

    fn url(&self) -> String {
        let socket = self.socket();
        format!("unix://{}", percent_encode(socket.as_os_str().as_bytes(), PATH))
    }

    fn server_pid(&self) -> Option<u32> {
        let info: redis::InfoDict = self.ask(redis::cmd("INFO").arg("server"), Duration::from_secs(1)).ok()?;
        info.get("process_id")
    }

    fn file(&self, lock: Lock) -> Result<File, EmbeddedError> {
        let path = self.path(lock);
        let opened = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        opened.map_err(|source| EmbeddedError::Folder { folder: path, source })
    }

    fn lock(
        &self,
        lock: Lock,
        limit: Duration,
        try_lock: impl Fn(&File) -> Result<(), TryLockError>,
    ) -> Result<File, EmbeddedError> {
        let file = self.file(lock)?;
        let mut waiting = Waiting::new("another process starts or stops the embedded Redis of this folder");
        let locked = until(limit, || {
            waiting.say();
            try_lock(&file).is_ok()
        });
        locked.then_some(file).ok_or_else(|| EmbeddedError::Locked(self.0.clone()))
    }

    /// Looks without making the file: the folder may be about to be removed.
    fn is_free(&self, lock: Lock) -> bool {
        File::open(self.path(lock)).map_or(true, |file| file.try_lock().is_ok())
    }

    fn path(&self, lock: Lock) -> PathBuf {
        self.0.join(match lock {
            Lock::Users => "users.lock",
            Lock::Start => "start.lock",
            Lock::Guard => "guard.lock",
            Lock::Server => "server.lock",
        })
    }

    fn state(&self) -> ServerState {
        match self.ask::<redis::Value>(&redis::cmd("PING"), Duration::from_secs(1)) {
            Ok(_) => ServerState::Ready,
            Err(_) if self.is_free(Lock::Server) => ServerState::Gone,
            // It is there, and starts, loads its data, or runs a long command.
            Err(_) => ServerState::Loading,
        }
    }

    fn ask<T: redis::FromRedisValue>(&self, command: &redis::Cmd, patience: Duration) -> redis::RedisResult<T> {
        let client = redis::Client::open(self.url())?;
        let mut connection = client.get_connection_with_timeout(patience)?;
        connection.set_read_timeout(Some(patience))?;
        command.query(&mut connection)
    }

    /// The guard is given where it was just started: it may fail at once.
    fn wait_until_ready(&self, mut guard: Option<&mut Child>) -> Result<(), EmbeddedError> {
        let mut silent_since = Instant::now();
        let mut waiting = Waiting::new("the embedded Redis starts, or loads its data");
        loop {
            waiting.say();
            match self.state() {
                ServerState::Ready => return Ok(()),
                ServerState::Loading => silent_since = Instant::now(),
                ServerState::Gone if silent_since.elapsed() > START_MAX => {
                    return Err(EmbeddedError::Silent { tail: tail(&self.log()), log: self.log() });
                }
                ServerState::Gone if guard.as_mut().is_some_and(|guard| has_ended(guard)) => {
                    return Err(EmbeddedError::Guard { tail: tail(&self.guard_log()) });
                }
                ServerState::Gone => {}
            }
            thread::sleep(POLL);
        }
    }
}

fn find_server() -> Result<PathBuf, EmbeddedError> {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&path).chain([PathBuf::from(BOOTSTRAPPED)]);
    let candidates = folders.flat_map(|folder| SERVER_NAMES.map(|name| folder.join(name)));
    let found = candidates.into_iter().find(|path| path.is_file()).ok_or(EmbeddedError::NoServer)?;
    // The server runs in another folder. Links are not followed: the program may go by the name it is called by.
    path::absolute(&found).map_err(|source| EmbeddedError::Spawn { server: found, source })
}

fn spawn_guard(folder: &Folder, server: &Path, program: &Path) -> Result<Child, EmbeddedError> {
    let mut command = Command::new(program);
    command.arg("guard").arg("--data-dir").arg(&folder.0).arg("--server").arg(server);
    // A group of its own: the interrupt key stops the service, which still needs Redis while it drains.
    let log = File::create(folder.guard_log());
    let log = log.map_err(|source| EmbeddedError::Folder { folder: folder.guard_log(), source })?;
    command.process_group(0).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
    command.spawn().map_err(|source| EmbeddedError::Spawn { server: program.to_owned(), source })
}

/// `lock` is `server.lock`, taken: the server holds it for as long as it lives.
fn spawn_server(folder: &Folder, server: &Path, lock: File) -> Result<Child, EmbeddedError> {
    let mut command = Command::new(server);
    command.arg("--port").arg("0").arg("--unixsocket").arg(folder.socket()).args(["--unixsocketperm", "700"]);
    command.arg("--dir").arg(&folder.0).arg("--logfile").arg(folder.log()).args(["--daemonize", "no"]);
    command.args(["--appendonly", "yes", "--appendfsync", "everysec", "--save", ""]);
    // Redis drops keys that have lapsed for a quarter of its time, in pieces of a quarter of 1/hz seconds: at the usual 10 it
    // answers nobody for 25 ms at a time while a hundred thousand holds lapse.
    command.args(["--maxmemory-policy", "noeviction", "--hz", "100"]);
    command.current_dir(&folder.0).stdin(lock).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().map_err(|source| EmbeddedError::Spawn { server: server.to_owned(), source })
}

fn has_ended(child: &mut Child) -> bool {
    !matches!(child.try_wait(), Ok(None))
}

fn reap(child: Option<Child>) {
    if let Some(mut child) = child {
        let _ended = child.kill().and_then(|()| child.wait());
    }
}

/// SHUTDOWN writes and syncs the append-only file before the server goes. It is asked of our own server only: the folder may
/// have been removed, and another made in its place. One that cannot be asked has written all that it answered already,
/// and is ended by force.
fn stop(folder: &Folder, child: Option<Child>) {
    let adopted = child.is_none() && !folder.is_free(Lock::Server);
    let Some(own) = child.as_ref().map(Child::id).or_else(|| folder.server_pid().filter(|_| adopted)) else { return };
    if folder.server_pid() == Some(own) {
        let _connection_closed: redis::RedisResult<()> = folder.ask(redis::cmd("SHUTDOWN").arg("NOSAVE"), STOP_MAX);
        until(STOP_MAX, || folder.is_free(Lock::Server));
    }
    reap(child);
}

/// Says once what is waited for, when it takes long.
struct Waiting {
    what: &'static str,
    since: Instant,
    said: bool,
}

impl Waiting {
    fn new(what: &'static str) -> Self {
        Self { what, since: Instant::now(), said: false }
    }

    fn say(&mut self) {
        if !self.said && self.since.elapsed() > SAY_AFTER {
            tracing::info!("waiting: {}", self.what);
            self.said = true;
        }
    }
}

fn until(limit: Duration, mut done: impl FnMut() -> bool) -> bool {
    let started = Instant::now();
    loop {
        if done() {
            return true;
        }
        if started.elapsed() > limit {
            return false;
        }
        thread::sleep(POLL);
    }
}

fn tail(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().rev().take(5).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join("\n")
}
