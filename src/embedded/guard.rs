//! The guard: the process that keeps the server of a data folder running, and ends it after its last user.

use std::{
    env,
    ffi::OsStr,
    fs::{File, OpenOptions},
    io::{self, Write},
    os::unix::{fs::OpenOptionsExt, process::CommandExt},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

use tokio::{
    runtime::Runtime,
    signal::unix::{Signal, SignalKind, signal},
};

use super::{EmbeddedError, ended::Run, folder::Folder, locks::Lock, server};

/// How often the guard checks whether the server runs and somebody uses it.
const GUARD_POLL: Duration = Duration::from_millis(100);
/// Pause before a server that died is started again. It doubles each time up to the maximum, until a server has lived that
/// long.
const RESTART_PAUSE: Duration = Duration::from_millis(100);
const RESTART_PAUSE_MAX: Duration = Duration::from_secs(5);
/// Before a guard that was killed is replaced, at first.
const REPLACE_PAUSE: Duration = Duration::from_secs(1);
/// How often a server that is killed before it answers anybody is started. One that ends by itself will do so again.
const STARTS_MAX: u32 = 3;

/// Starts the guard in a process of its own. `program` is this program.
pub fn spawn(folder: &Folder, server: &Path, program: &Path) -> Result<Child, EmbeddedError> {
    let mut command = Command::new(program);
    command.arg("guard").arg("--data-dir").arg(folder.path()).arg("--server").arg(server);
    // A process group of its own, because the interrupt key stops the service, which still needs Redis while it drains.
    // Neither guard nor server needs a secret of the settings.
    let is_setting = |name: &OsStr| name.to_string_lossy().starts_with("FLASHSALE_") || name == "REDIS_URL";
    env::vars_os().filter(|(name, _)| is_setting(name)).for_each(|(name, _)| _ = command.env_remove(name));
    let log = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(folder.guard_log());
    let log = log.map_err(|source| EmbeddedError::Folder { folder: folder.guard_log(), source })?;
    command.process_group(0).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
    command.spawn().map_err(|source| EmbeddedError::Spawn { server: program.to_owned(), source })
}

/// Waits for a guard that this process has started. One that ends while somebody uses the folder was killed, so that nobody would start
/// the server again or end it: another one takes its place. Nobody uses a folder that was removed.
pub fn replace_when_it_ends(mut guard: Child, folder: &Folder, server: &Path, program: &Path) {
    let mut pause = REPLACE_PAUSE;
    loop {
        let _ended = guard.wait();
        thread::sleep(pause);
        // Another process may have replaced it.
        while !folder.is_free(Lock::Users) && !folder.is_free(Lock::Guard) {
            thread::sleep(REPLACE_PAUSE);
        }
        if folder.is_free(Lock::Users) {
            return;
        }
        tracing::warn!("the guard of the embedded Redis ended; another one takes its place");
        guard = match spawn(folder, server, program) {
            Ok(guard) => guard,
            Err(cause) => {
                return tracing::error!(%cause, "the embedded Redis has no guard: nobody starts it again should it end");
            }
        };
        pause = (2 * pause).min(RESTART_PAUSE_MAX);
    }
}

/// Runs the guard of a data folder until nobody uses the folder.
///
/// # Errors
/// [`EmbeddedError`].
pub fn guard(data_dir: &Path, server_program: &Path) -> Result<(), EmbeddedError> {
    // The server inherits it. Its files have the secret that signs ids, and what is known of customers, and the folder may be
    // one that others can enter.
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    let folder = Folder::open(data_dir)?;
    let _ignored =
        ignore_signals().map_err(|source| EmbeddedError::Folder { folder: folder.path().to_owned(), source })?;
    let users = folder.file(Lock::Users)?;
    let guarding = folder.file(Lock::Guard)?;
    if guarding.try_lock().is_err() {
        return Ok(());
    }
    let mut child = None;
    let kept = keep_running(&folder, server_program, &users, &mut child);
    // Also if the folder was removed meanwhile, because no other process would end the server.
    server::stop(&folder, child);
    kept
}

/// Starts the server whenever none runs, for as long as somebody uses the folder. A server that never worked is given up.
fn keep_running(
    folder: &Folder,
    server_program: &Path,
    users: &File,
    child: &mut Option<Child>,
) -> Result<(), EmbeddedError> {
    let (mut pause, mut run) = (RESTART_PAUSE, Run::begin(folder));
    let (mut has_worked, mut starts, mut noted) = (false, 0, String::new());
    while users.try_lock().is_err() {
        let lock = folder.file(Lock::Server)?;
        // Taken: our server runs, or one that outlived its guard.
        if lock.try_lock().is_ok() {
            if let Some(ended) = child.take() {
                let status = server::reap(ended);
                has_worked |= run.has_worked();
                let ends_by_itself = status.is_some_and(|status| status.code().is_some_and(|code| code != 0));
                if !has_worked && (ends_by_itself || starts >= STARTS_MAX) {
                    return Err(run.error(server_program));
                }
                let note = run.note(status);
                // Into the log of the guard. Not again and again, should the server end in the same way for days.
                if note != noted {
                    let _disk_full = writeln!(io::stderr(), "{note}");
                    noted = note;
                }
                let lived = run.started.elapsed() > RESTART_PAUSE_MAX;
                pause = if lived { RESTART_PAUSE } else { (2 * pause).min(RESTART_PAUSE_MAX) };
                thread::sleep(pause);
            }
            run = Run::begin(folder);
            starts += 1;
            *child = Some(server::spawn(folder, server_program, lock)?);
        } else if child.is_none() {
            has_worked = true;
        }
        thread::sleep(GUARD_POLL);
    }
    Ok(())
}

/// A signal to all processes of our name, or of our terminal, is for the service. The guard ends by itself after the
/// service.
fn ignore_signals() -> io::Result<(Runtime, Vec<Signal>)> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let signals: io::Result<Vec<Signal>> = {
        let _inside = runtime.enter();
        let of_service = [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::quit(), SignalKind::hangup()];
        of_service.map(signal).into_iter().collect()
    };
    signals.map(|signals| (runtime, signals))
}
