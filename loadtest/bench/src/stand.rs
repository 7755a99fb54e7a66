//! Starts what is measured, each on a Redis of its own that nobody else uses, and ends it.

use std::{
    io,
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use redis::Commands;
use tempfile::TempDir;

use crate::controls::Control;

const PATIENCE: Duration = Duration::from_secs(15);
const TOKEN: &str = "a-token-for-measuring-only";

/// How Redis writes what it does to disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    Off,
    EverySecond,
    Always,
}

/// A Redis server of our own, on a unix socket in a folder of its own.
pub struct Redis {
    child: Child,
    folder: TempDir,
}

impl Redis {
    pub fn start(durability: Durability) -> io::Result<Self> {
        let folder = TempDir::with_prefix("fs-bench")?;
        let (aof, fsync) = match durability {
            Durability::Off => ("no", "no"),
            Durability::EverySecond => ("yes", "everysec"),
            Durability::Always => ("yes", "always"),
        };
        let mut command = Command::new("redis-server");
        command.args(["--port", "0", "--save", "", "--appendonly", aof, "--appendfsync", fsync]);
        command.arg("--unixsocket").arg(folder.path().join("redis.sock")).arg("--dir").arg(folder.path());
        let child = command.args(["--maxmemory-policy", "noeviction"]).stdout(Stdio::null()).spawn()?;
        let redis = Self { child, folder };
        eventually("redis-server answers", || redis.try_connect().is_some())?;
        Ok(redis)
    }

    pub fn url(&self) -> String {
        format!("unix://{}", self.folder.path().join("redis.sock").display())
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn connect(&self) -> io::Result<redis::Connection> {
        self.try_connect().ok_or_else(|| io::Error::other("Redis does not answer"))
    }

    fn try_connect(&self) -> Option<redis::Connection> {
        redis::Client::open(self.url()).ok()?.get_connection().ok()
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

/// Who answers: flashsale or a control.
#[derive(Clone, Copy, Debug)]
pub enum Candidate {
    Flashsale,
    Control(Control),
}

impl Candidate {
    pub fn name(self) -> &'static str {
        match self {
            Self::Flashsale => "flashsale",
            Self::Control(Control::C0 | Control::C0SoldOut) => "C0",
            Self::Control(Control::C1) => "C1",
            Self::Control(Control::C2) => "C2",
        }
    }
}

/// A candidate that runs, with product 1 for sale.
pub struct Stand {
    child: Child,
    pub addr: SocketAddr,
    pub redis: Redis,
}

impl Stand {
    pub fn start(
        candidate: Candidate,
        workers: usize,
        units: u64,
        durability: Durability,
        program: &Path,
    ) -> io::Result<Self> {
        let redis = Redis::start(durability)?;
        let addr = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let mut command = match candidate {
            Candidate::Flashsale => serve(program, &redis, addr, workers),
            Candidate::Control(control) => control_process(control, &redis, addr, workers)?,
        };
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn()?;
        let stand = Self { child, addr, redis };
        eventually("the candidate listens", || TcpStream::connect(addr).is_ok())?;
        match candidate {
            Candidate::Flashsale => stand.add_product(units)?,
            Candidate::Control(_) => stand.redis.connect()?.set("{1}:left", units).map_err(io::Error::other)?,
        }
        Ok(stand)
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    fn add_product(&self, units: u64) -> io::Result<()> {
        let body = format!(r#"{{"id":1,"name":"Item","price":"1.00","total_stock":{units}}}"#);
        let url = format!("http://{}/api/admin/products", self.addr);
        let mut curl = Command::new("curl");
        curl.args(["-sf", "-o", "/dev/null", "--max-time", "5", "-H", "Content-Type: application/json", "-d", &body]);
        let made = curl.args(["-H", &format!("Authorization: Bearer {TOKEN}"), &url]).status()?;
        if made.success() { Ok(()) } else { Err(io::Error::other("the product could not be made")) }
    }
}

impl Drop for Stand {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

fn serve(program: &Path, redis: &Redis, addr: SocketAddr, workers: usize) -> Command {
    let mut command = Command::new(program);
    command.arg("serve").env("REDIS_URL", redis.url()).env("FLASHSALE_HTTP__ADDR", addr.to_string());
    command.env("FLASHSALE_HTTP__WORKERS", workers.to_string()).env("FLASHSALE_ADMIN__TOKEN", TOKEN);
    command.env("FLASHSALE_WEBHOOK__ALLOW_UNSIGNED", "true").env("FLASHSALE_LOG__FILTER", "error");
    command
}

fn control_process(control: Control, redis: &Redis, addr: SocketAddr, workers: usize) -> io::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    let name = clap::ValueEnum::to_possible_value(&control).map_or_else(String::new, |v| v.get_name().to_owned());
    command.args(["control", &name, "--addr", &addr.to_string(), "--workers", &workers.to_string()]);
    command.args(["--redis", &redis.url()]);
    Ok(command)
}

/// Where the service's program is: built for production, beside this one.
pub fn program() -> io::Result<PathBuf> {
    let path = std::env::current_exe()?.with_file_name("flashsale");
    if path.exists() {
        Ok(path)
    } else {
        Err(io::Error::other(format!("{} is not there: run make build", path.display())))
    }
}

fn eventually(what: &str, mut check: impl FnMut() -> bool) -> io::Result<()> {
    let started = Instant::now();
    while started.elapsed() < PATIENCE {
        if check() {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    Err(io::Error::other(format!("{what}: not within {} s", PATIENCE.as_secs())))
}

fn end(child: &mut Child) {
    let _gone_already = child.kill();
    let _reaped = child.wait();
}
