//! Starts the candidates, each on a store of its own.

mod postgres;
mod redis;

use std::{
    io,
    net::{SocketAddr, TcpListener, TcpStream},
    path::PathBuf,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

pub use self::{
    postgres::{Cluster, Postgres, SETTINGS},
    redis::{Commands, Durability, Redis, Scripts, Servers, commands, memory, program as redis_program, scripts},
};
use crate::{
    controls::Control,
    http::{self, Line},
    running::{self, Running, is_interrupted},
};

const PATIENCE: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(10);
const TOKEN: &str = "a-token-for-measuring-only";

/// The candidate: flashsale or a control.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Candidate {
    Flashsale,
    Control(Control),
}

/// What all stands have in common.
pub struct Ground {
    pub program: PathBuf,
    pub cluster: Option<Cluster>,
    pub workers: usize,
}

/// What to start. Products have the ids from 1 on, and the same number of units.
#[derive(Clone, Copy)]
pub struct Setup {
    pub candidate: Candidate,
    pub durability: Durability,
    pub products: u64,
    pub units: u64,
    pub catalogue: Catalogue,
    /// Worker threads, where it is not the number asked for.
    pub workers: Option<usize>,
    pub servers: Servers,
}

impl Setup {
    /// flashsale, each product in a sale of its own.
    pub fn of(products: u64, units: u64, durability: Durability) -> Self {
        let candidate = Candidate::Flashsale;
        Self {
            candidate,
            durability,
            products,
            units,
            catalogue: Catalogue::Alone,
            workers: None,
            servers: Servers::Socket,
        }
    }
}

/// How the products of flashsale are sold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Catalogue {
    /// Each in a sale of its own.
    Alone,
    /// All in one sale.
    OneSale,
    /// All in one sale, in three groups, with two units for each customer in a group.
    Drop,
}

/// Where a candidate keeps its holds.
pub enum Store {
    /// One server, or the primaries of a cluster.
    Redis(Vec<Redis>, Servers),
    Postgres(Postgres),
}

/// A running candidate.
pub struct Stand {
    running: Running,
    pub addr: SocketAddr,
    store: Store,
}

impl Stand {
    /// # Errors
    /// When something cannot be started or does not answer.
    pub fn start(ground: &Ground, setup: &Setup) -> io::Result<Self> {
        let store = Store::start(ground, setup)?;
        let addr = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let mut command = match setup.candidate {
            Candidate::Flashsale => serve(ground, setup, &store.url(), addr),
            Candidate::Control(control) => control_process(control, &store.url(), addr, ground.workers)?,
        };
        let stand = Self { running: Running::start(command.stdout(Stdio::null()))?, addr, store };
        let connects = || TcpStream::connect(addr).is_ok();
        eventually("the candidate listens", || stand.running.is_alive(), connects)?;
        if setup.candidate == Candidate::Flashsale {
            stand.add_products(setup)?;
        }
        Ok(stand)
    }

    pub fn pid(&self) -> u32 {
        self.running.pid()
    }

    pub fn store(&self) -> &Store {
        &self.store
    }

    /// # Errors
    /// When the candidate keeps its holds elsewhere.
    pub fn redis(&self) -> io::Result<&Redis> {
        match &self.store {
            Store::Redis(servers, _) => Ok(&servers[0]),
            Store::Postgres(_) => Err(io::Error::other("this candidate has no Redis")),
        }
    }

    /// Ends the candidate and keeps its Redis with all data.
    pub fn into_redis(self) -> io::Result<Redis> {
        match self.store {
            Store::Redis(mut servers, _) => Ok(servers.remove(0)),
            Store::Postgres(_) => Err(io::Error::other("this candidate has no Redis")),
        }
    }

    /// A figure of product 1, as any client may read it.
    pub fn product_figure(&self, name: &str) -> io::Result<u64> {
        let (status, body) = Line::open(self.addr)?.ask(&http::request("GET", "/api/products/1", &[], ""))?;
        let product: serde_json::Value = serde_json::from_str(&body)?;
        product[name].as_u64().ok_or_else(|| io::Error::other(format!("product 1 has no {name}: {status} {body}")))
    }

    fn add_products(&self, setup: &Setup) -> io::Result<()> {
        let mut line = Line::open(self.addr)?;
        let bearer = format!("Authorization: Bearer {TOKEN}");
        let mut make = |path: &str, body: String| {
            let (status, said) = line.ask(&http::request("POST", path, &[&bearer], &body))?;
            if status == 201 { Ok(()) } else { Err(io::Error::other(format!("{body}: {status} {said}"))) }
        };
        if setup.catalogue == Catalogue::Drop {
            make("/api/admin/sales", r#"{"id":"drop","name":"Drop","max_per_group":2}"#.to_owned())?;
        }
        for id in 1..=setup.products {
            let sale = match setup.catalogue {
                Catalogue::Alone => String::new(),
                Catalogue::OneSale => r#","sale":"drop""#.to_owned(),
                Catalogue::Drop => format!(r#","sale":"drop","group":"group-{}""#, id % 3),
            };
            let units = setup.units;
            make(
                "/api/admin/products",
                format!(r#"{{"id":{id},"name":"Item","price":"1.00","total_stock":{units}{sale}}}"#),
            )?;
        }
        Ok(())
    }
}

impl Store {
    fn start(ground: &Ground, setup: &Setup) -> io::Result<Self> {
        if matches!(setup.candidate, Candidate::Control(Control::C3 | Control::C3Relaxed)) {
            let cluster = ground.cluster.as_ref().ok_or_else(|| io::Error::other("PostgreSQL is not installed"))?;
            return cluster.start(setup.products, setup.units).map(Self::Postgres);
        }
        let servers = Redis::start_all(setup.durability, setup.servers)?;
        if matches!(setup.candidate, Candidate::Control(_)) {
            let mut pipe = ::redis::pipe();
            (1..=setup.products).for_each(|id| _ = pipe.cmd("SET").arg(format!("{{{id}}}:left")).arg(setup.units));
            pipe.exec(&mut servers[0].connect()?).map_err(io::Error::other)?;
        }
        Ok(Self::Redis(servers, setup.servers))
    }

    fn url(&self) -> String {
        match self {
            Self::Redis(servers, kind) => Redis::url_of_all(servers, *kind),
            Self::Postgres(postgres) => postgres.url(),
        }
    }
}

fn serve(ground: &Ground, setup: &Setup, redis_url: &str, addr: SocketAddr) -> Command {
    let workers = setup.workers.unwrap_or(ground.workers);
    let mut command = running::command(&ground.program, None);
    command.arg("serve").env("REDIS_URL", redis_url).env("FLASHSALE_HTTP__ADDR", addr.to_string());
    command.env("FLASHSALE_HTTP__WORKERS", workers.to_string()).env("FLASHSALE_ADMIN__TOKEN", TOKEN);
    command.env("FLASHSALE_WEBHOOK__ALLOW_UNSIGNED", "true").env("FLASHSALE_LOG__FILTER", "error");
    // Nobody is behind a load balancer here.
    command.env("FLASHSALE_HTTP__DRAIN_SECONDS", "0");
    command
}

fn control_process(control: Control, url: &str, addr: SocketAddr, workers: usize) -> io::Result<Command> {
    let mut command = running::command(std::env::current_exe()?, None);
    let name = clap::ValueEnum::to_possible_value(&control).map_or_else(String::new, |v| v.get_name().to_owned());
    command.args(["control", &name, "--addr", &addr.to_string(), "--workers", &workers.to_string(), "--store", url]);
    Ok(command)
}

/// The path of the service's program: a release build, beside this program.
pub fn program() -> io::Result<PathBuf> {
    let path = std::env::current_exe()?.with_file_name("flashsale");
    if path.exists() {
        Ok(path)
    } else {
        Err(io::Error::other(format!("{} is not there: run make build", path.display())))
    }
}

/// Waits until the check holds, as long as it still may.
pub fn eventually(what: &str, may_come: impl Fn() -> bool, mut check: impl FnMut() -> bool) -> io::Result<()> {
    let started = Instant::now();
    while started.elapsed() < PATIENCE && may_come() && !is_interrupted() {
        if check() {
            return Ok(());
        }
        std::thread::sleep(PAUSE);
    }
    Err(io::Error::other(format!("{what}: not within {:.1} s", started.elapsed().as_secs_f64())))
}
