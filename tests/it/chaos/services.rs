//! Services as processes of their own, which the nemesis kills, stops and starts again.

use std::{
    fs::{self, File},
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    os::fd::AsRawFd,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::LazyLock,
    time::{Duration, Instant},
};

use flashsale::{
    app::{Application, load_settings},
    config::{Environment, Sources},
};

use crate::support::{
    app::ADMIN_TOKEN,
    mutant,
    redis::{PROGRAM, free_port, signal_process},
};

/// Names a program to run instead of the one that was built: one with a planted mistake.
pub const PROGRAM_VARIABLE: &str = "FLASHSALE_CHAOS_PROGRAM";
/// Names the mistake that such a program makes.
pub const PLANTED_VARIABLE: &str = "CHAOS_MUTANT";

pub struct Service {
    child: Option<Child>,
    pub addr: SocketAddr,
    url: String,
    durability: &'static str,
    log: PathBuf,
}

impl Service {
    /// The log of all its lives is a file of this folder.
    pub fn start(folder: &Path, name: usize, url: &str, durability: &'static str) -> Self {
        let addr = SocketAddr::from(([127, 0, 0, 1], free_port()));
        let log = folder.join(format!("service-{name}.log"));
        let mut service = Self { child: None, addr, url: url.to_owned(), durability, log };
        service.start_again();
        service
    }

    pub fn start_again(&mut self) {
        let log = File::options().create(true).append(true).open(&self.log).unwrap();
        let mut command = program();
        for (name, value) in [
            ("HTTP__ADDR", &*self.addr.to_string()),
            ("HTTP__WORKERS", "1"),
            ("HTTP__SHOW_SEQUENCE", "true"),
            ("REDIS__URL", &self.url),
            ("REDIS__CALL_TIMEOUT_MS", "700"),
            ("REDIS__CONNECT_TIMEOUT_MS", "500"),
            ("REDIS__STARTUP_SECONDS", "60"),
            ("ADMIN__TOKEN", ADMIN_TOKEN),
            ("WEBHOOK__ALLOW_UNSIGNED", "true"),
            ("DURABILITY__PAYMENTS", self.durability),
            ("DURABILITY__TIMEOUT_MS", "700"),
            ("EVENTS__SWEEP_MS", "300"),
            ("LOG__FILTER", "warn"),
            ("LOG__FORMAT", "text"),
        ] {
            command.env(format!("FLASHSALE_{name}"), value);
        }
        self.child = Some(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap());
    }

    pub fn signal(&self, signal: &str) {
        signal_process(self.child.as_ref().unwrap().id(), signal);
    }

    /// Kills it (SIGKILL).
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ended = child.kill().and_then(|()| child.wait());
        }
    }

    pub fn is_ready(&self) -> bool {
        let ask = || -> Option<bool> {
            let mut connection = TcpStream::connect(self.addr).ok()?;
            connection.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
            connection.write_all(b"GET /readyz HTTP/1.1\r\nHost: flashsale\r\nConnection: close\r\n\r\n").ok()?;
            let mut answer = String::new();
            connection.read_to_string(&mut answer).ok()?;
            Some(answer.starts_with("HTTP/1.1 200 ") && answer.contains("\"ready\""))
        };
        ask().unwrap_or(false)
    }

    /// Whether it is ready within a minute.
    pub fn wait_until_it_is_ready(&mut self) -> bool {
        let started = Instant::now();
        while !self.is_ready() {
            if started.elapsed() > Duration::from_mins(1) {
                return false;
            }
            // One that gave up while Redis was away is started again, as any supervisor would.
            if self.child.as_mut().is_some_and(|child| matches!(child.try_wait(), Ok(Some(_)))) {
                self.start_again();
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        true
    }

    /// Lines of its log that no fault excuses.
    pub fn complaints(&self) -> Vec<String> {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let is_bad = |line: &&str| line.contains("panicked") || line.contains("answered something unexpected");
        log.lines().filter(is_bad).map(str::to_owned).collect()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The program; or this one, as a service with the scripts of a mutant.
fn program() -> Command {
    let clean = |mut command: Command| {
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
        command
    };
    let Some(name) = mutant::name() else {
        let mut command = clean(Command::new(program_file()));
        command.arg("serve").envs(std::env::var_os(PLANTED_VARIABLE).map(|name| (PLANTED_VARIABLE, name)));
        return command;
    };
    let mut command = clean(Command::new(std::env::current_exe().unwrap()));
    command.args(["--ignored", "--exact", "chaos::services::serves_the_scripts_of_a_mutant", "--nocapture"]);
    command.env(mutant::VARIABLE, name);
    command
}

/// The program as it was when it was first asked for: a build beside a long run puts another in its place.
fn program_file() -> String {
    static OPEN: LazyLock<File> = LazyLock::new(|| {
        let path = std::env::var_os(PROGRAM_VARIABLE).unwrap_or_else(|| PROGRAM.into());
        File::open(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    });
    format!("/proc/self/fd/{}", OPEN.as_raw_fd())
}

/// A service in a process of its own, because a mutant of the scripts is no build.
#[test]
#[ignore = "it is the service that the chaos harness starts for a mutant"]
fn serves_the_scripts_of_a_mutant() {
    let environment: Environment =
        std::env::vars().filter(|(name, _)| name.starts_with("FLASHSALE_") && name != mutant::VARIABLE).collect();
    let no_file = tempfile::NamedTempFile::new().unwrap();
    let settings = load_settings(Sources { file: Some(no_file.path()), environment: &environment, flags: &vec![] });
    let settings = settings.unwrap().settings;
    flashsale::telemetry::init(&settings.log).unwrap();
    actix_web::rt::System::new().block_on(async {
        let application = Application::build(&settings, mutant::catalogue()).await;
        application.unwrap().run_until_stopped().await.unwrap();
    });
}
