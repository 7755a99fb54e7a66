//! The program as a process of its own, which a test can kill.

use std::{
    ffi::OsStr,
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use super::redis::{PROGRAM, free_port, signal_process};

/// `flashsale serve --demo` on a data folder.
pub struct ServiceProcess {
    child: Child,
    pub addr: SocketAddr,
    /// What the service printed when it was ready.
    pub welcome: String,
}

impl ServiceProcess {
    pub fn start(data_dir: &Path) -> Self {
        Self::start_at(data_dir, SocketAddr::from(([127, 0, 0, 1], free_port())))
    }

    pub fn start_at(data_dir: &Path, addr: SocketAddr) -> Self {
        Self::run(command(data_dir), addr)
    }

    /// Starts the service with this command and its environment.
    pub fn run(mut command: Command, addr: SocketAddr) -> Self {
        command.args(["serve", "--demo", "--addr", &addr.to_string()]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut welcome = String::new();
        while !welcome.contains("Ctrl-C") {
            let line = lines.next().expect("the service says when it is ready").unwrap();
            welcome.push_str(&line);
            welcome.push('\n');
        }
        let service = Self { child, addr, welcome };
        service.wait_until_it_listens();
        service
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.addr)
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Kills it (SIGKILL): it has no chance to do anything.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Stops it in order (SIGTERM). Gives whether it exited with success.
    pub fn stop(self) -> bool {
        signal_process(self.child.id(), "TERM");
        self.wait()
    }

    /// Waits until one that was asked to stop has ended. Gives whether it exited with success.
    pub fn wait(mut self) -> bool {
        self.child.wait().unwrap().success()
    }

    fn wait_until_it_listens(&self) {
        let started = Instant::now();
        while std::net::TcpStream::connect(self.addr).is_err() {
            assert!(started.elapsed() < Duration::from_secs(20), "the service does not listen");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for ServiceProcess {
    fn drop(&mut self) {
        let _ended = self.child.kill().and_then(|()| self.child.wait());
    }
}

/// Another program, which starts ours. `FLASHSALE_…` of this process is about the tests, and no setting.
pub fn without_settings(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("FLASHSALE_")).for_each(|(name, _)| {
        command.env_remove(name);
    });
    command
}

/// The program with a clean environment.
pub fn command(data_dir: &Path) -> Command {
    let mut command = Command::new(PROGRAM);
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.env("FLASHSALE_REDIS__DATA_DIR", data_dir).env("FLASHSALE_HTTP__WORKERS", "2");
    // Nobody is behind a load balancer here.
    command.env("FLASHSALE_HTTP__DRAIN_SECONDS", "0");
    command
}
