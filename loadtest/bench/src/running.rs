//! Processes that the benchmark starts. They end with it: when it is done, after an error, after Ctrl-C and, if setpriv is
//! installed, even when it is killed.

use std::{
    ffi::OsStr,
    io::{self, Read},
    path::{Path, PathBuf},
    process::{Child, Command, ExitCode, Stdio},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use tokio::signal::unix::{SignalKind, signal};

static CHILDREN: Mutex<Vec<Arc<Mutex<Child>>>> = Mutex::new(Vec::new());
static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// The status that a shell reports for a program that Ctrl-C ended.
const INTERRUPTED_STATUS: u8 = 130;

/// A process that ends when this is dropped.
pub struct Running {
    child: Arc<Mutex<Child>>,
    pid: u32,
}

/// The user that a process runs as.
#[derive(Clone, Copy)]
pub struct User {
    pub uid: u32,
    pub gid: u32,
}

impl Running {
    /// # Errors
    /// When it cannot be started, or the benchmark is ending.
    pub fn start(command: &mut Command) -> io::Result<Self> {
        let mut children = lock(&CHILDREN);
        if is_interrupted() {
            return Err(interruption());
        }
        let name = command.get_program().to_string_lossy().into_owned();
        let child = command.stdin(Stdio::null()).spawn();
        let child = child.map_err(|error| io::Error::other(format!("{name} cannot be started: {error}")))?;
        let pid = child.id();
        let child = Arc::new(Mutex::new(child));
        children.push(Arc::clone(&child));
        Ok(Self { child, pid })
    }

    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Whether the process still runs.
    pub fn is_alive(&self) -> bool {
        matches!(lock(&self.child).try_wait(), Ok(None))
    }

    /// Ends the process by a signal, and waits for it.
    pub fn end_by(&self, signal: &str) {
        let _gone_already = Command::new("kill").args([format!("-{signal}"), self.pid.to_string()]).status();
        let _reaped = lock(&self.child).wait();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        lock(&CHILDREN).retain(|child| !Arc::ptr_eq(child, &self.child));
        end(&self.child);
    }
}

/// The whole output of a program, once it has ended.
///
/// # Errors
/// When it cannot be started, fails, or the benchmark is ending.
pub fn output(command: &mut Command) -> io::Result<String> {
    let running = Running::start(command.stdout(Stdio::piped()).stderr(Stdio::piped()))?;
    let (stdout, stderr) = {
        let mut child = lock(&running.child);
        (child.stdout.take(), child.stderr.take())
    };
    // Reading one to its end while the other is full would wait for ever.
    let complaints = thread::spawn(move || read_all(stderr));
    let said = read_all(stdout);
    let complained = complaints.join().unwrap_or_default();
    let status = lock(&running.child).wait()?;
    if is_interrupted() {
        return Err(interruption());
    }
    if status.success() {
        Ok(said)
    } else {
        let name = command.get_program().to_string_lossy().into_owned();
        Err(io::Error::other(format!("{name} failed: {}", complained.trim())))
    }
}

fn read_all(stream: Option<impl Read>) -> String {
    let mut text = String::new();
    if let Some(mut stream) = stream {
        let _cut_short = stream.read_to_string(&mut text);
    }
    text
}

/// A command whose process the kernel ends together with this program, if setpriv is installed.
pub fn command(program: impl AsRef<OsStr>, user: Option<User>) -> Command {
    let Some(setpriv) = find("setpriv") else { return Command::new(program) };
    let mut command = Command::new(setpriv);
    if let Some(User { uid, gid }) = user {
        command.args([format!("--reuid={uid}"), format!("--regid={gid}"), "--clear-groups".to_owned()]);
    }
    command.args(["--pdeathsig", "KILL", "--"]).arg(program);
    command
}

/// A program in PATH.
pub fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| is_program(file))
}

fn is_program(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    file.metadata().is_ok_and(|it| it.is_file() && it.permissions().mode() & 0o111 != 0)
}

/// Does the work. A signal ends all processes, so that whatever the work waits for fails, and the work ends as it does after an
/// error: nothing keeps running, and no folder stays behind.
pub fn until_interrupted(work: impl FnOnce() -> io::Result<()>) -> ExitCode {
    thread::spawn(listen);
    match work() {
        _ if is_interrupted() => {
            complain("interrupted: everything that was started has ended");
            ExitCode::from(INTERRUPTED_STATUS)
        }
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error.to_string());
            ExitCode::FAILURE
        }
    }
}

pub fn is_interrupted() -> bool {
    INTERRUPTED.load(Ordering::Relaxed)
}

fn complain(text: &str) {
    eprintln!("bench: {text}");
}

fn listen() {
    let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_io().build() else { return };
    runtime.block_on(async {
        let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
        let [Ok(mut interrupt), Ok(mut terminate), Ok(mut hangup)] = kinds.map(signal) else { return };
        loop {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                _ = hangup.recv() => {}
            }
            let children = lock(&CHILDREN);
            INTERRUPTED.store(true, Ordering::Relaxed);
            children.iter().for_each(|child| _ = lock(child).kill());
        }
    });
}

fn interruption() -> io::Error {
    io::Error::new(io::ErrorKind::Interrupted, "interrupted")
}

fn end(child: &Mutex<Child>) {
    let mut child = lock(child);
    let _gone_already = child.kill();
    let _reaped = child.wait();
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
