//! The workloads, and the entrants of each.

use std::io;

use crate::{
    controls::Control,
    measure::{self, Load, PARTS_OF_PEAK, Run},
    progress::Progress,
    stand::{Candidate, Catalogue, Durability, Ground, Servers, Setup, Stand},
};

pub const PLENTY: u64 = 1_000_000_000;
const MANY_PRODUCTS: u64 = 1_000;
/// As many as drop.lua knows.
const DROP_PRODUCTS: u64 = 30;

/// A candidate, and its name in the tables.
#[derive(Clone, Copy, Debug)]
pub struct Entrant {
    pub name: &'static str,
    candidate: Candidate,
    durability: Durability,
    workers: Option<usize>,
    servers: Servers,
}

pub struct Workload {
    pub name: &'static str,
    load: Load,
    products: u64,
    units: u64,
    /// One connection instead of the number asked for: the wait of a buyer when nobody else is there.
    lone: bool,
    catalogue: Catalogue,
    /// Whether it also runs at parts of each entrant's peak.
    paced: bool,
    /// The others are compared with the first.
    entrants: &'static [Entrant],
}

const FLASHSALE: Entrant = flashsale("flashsale", Durability::EverySecond);
const C0: Entrant = control("C0", Control::C0);
const C1: Entrant = control("C1", Control::C1);
const C2: Entrant = control("C2", Control::C2);
const C3: Entrant = control("C3", Control::C3);

const fn flashsale(name: &'static str, durability: Durability) -> Entrant {
    Entrant { name, candidate: Candidate::Flashsale, durability, workers: None, servers: Servers::Socket }
}

const fn control(name: &'static str, control: Control) -> Entrant {
    Entrant { candidate: Candidate::Control(control), ..flashsale(name, Durability::EverySecond) }
}

const fn with_workers(name: &'static str, workers: usize) -> Entrant {
    Entrant { workers: Some(workers), ..flashsale(name, Durability::EverySecond) }
}

const fn with_servers(name: &'static str, servers: Servers) -> Entrant {
    Entrant { servers, ..flashsale(name, Durability::EverySecond) }
}

const ALL_SUCCEED: Workload = Workload {
    name: "all succeed",
    load: Load::Holds,
    products: 1,
    units: PLENTY,
    lone: false,
    catalogue: Catalogue::Alone,
    paced: true,
    entrants: &[FLASHSALE, C0, C1, C2, C3, control("C3 relaxed", Control::C3Relaxed)],
};

pub const WORKLOADS: [Workload; 12] = [
    ALL_SUCCEED,
    Workload {
        name: "sold out",
        load: Load::SoldOut,
        units: 0,
        paced: false,
        entrants: &[FLASHSALE, control("C0", Control::C0SoldOut), C1, C2, C3],
        ..ALL_SUCCEED
    },
    Workload { name: "lifecycle", load: Load::Lifecycle, paced: false, entrants: &[FLASHSALE, C0], ..ALL_SUCCEED },
    Workload { name: "hot read", load: Load::Reads, paced: false, entrants: &[FLASHSALE, C0], ..ALL_SUCCEED },
    Workload { name: "lone hold", lone: true, paced: false, entrants: &[FLASHSALE, C2], ..ALL_SUCCEED },
    Workload {
        name: "1,000 products",
        load: Load::Zipf,
        products: MANY_PRODUCTS,
        catalogue: Catalogue::OneSale,
        paced: false,
        entrants: &[FLASHSALE, C0, C2],
        ..ALL_SUCCEED
    },
    Workload {
        name: "1,000 sales",
        load: Load::Zipf,
        products: MANY_PRODUCTS,
        paced: false,
        entrants: &[FLASHSALE, C0, C1, C2, C3],
        ..ALL_SUCCEED
    },
    Workload {
        name: "sold-out sales",
        load: Load::ZipfSoldOut,
        products: MANY_PRODUCTS,
        units: 0,
        paced: false,
        entrants: &[FLASHSALE, control("C0", Control::C0SoldOut), C1, C2],
        ..ALL_SUCCEED
    },
    Workload {
        name: "drop",
        load: Load::Drop,
        products: DROP_PRODUCTS,
        catalogue: Catalogue::Drop,
        paced: false,
        entrants: &[FLASHSALE, C0],
        ..ALL_SUCCEED
    },
    Workload {
        name: "workers",
        paced: false,
        entrants: &[with_workers("1 worker", 1), with_workers("2 workers", 2), with_workers("4 workers", 4)],
        ..ALL_SUCCEED
    },
    Workload {
        name: "cluster",
        load: Load::Zipf,
        products: MANY_PRODUCTS,
        paced: false,
        entrants: &[
            with_servers("one server", Servers::Port),
            with_servers("a cluster of one", Servers::Cluster(1)),
            with_servers("a cluster of three", Servers::Cluster(3)),
        ],
        ..ALL_SUCCEED
    },
    Workload {
        name: "durability",
        paced: false,
        entrants: &[
            flashsale("AOF off", Durability::Off),
            flashsale("AOF everysec", Durability::EverySecond),
            flashsale("AOF always", Durability::Always),
        ],
        ..ALL_SUCCEED
    },
];

/// The size of each run.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    pub connections: usize,
    pub seconds: u64,
}

impl Workload {
    /// The entrants that can run here. Each round begins with another, so that none always follows the same one.
    fn entrants(&self, ground: &Ground, round: usize) -> Vec<Entrant> {
        let can_run = |entrant: &&Entrant| ground.cluster.is_some() || !entrant.candidate.needs_postgres();
        let mut entrants: Vec<_> = self.entrants.iter().filter(can_run).copied().collect();
        let turn = round % entrants.len();
        entrants.rotate_left(turn);
        entrants
    }

    /// The names in the order of the tables.
    pub fn names(&self) -> Vec<&'static str> {
        self.entrants.iter().map(|entrant| entrant.name).collect()
    }

    /// The approximate seconds of a round.
    #[expect(clippy::cast_precision_loss, reason = "a few seconds")]
    pub fn weight(&self, ground: &Ground, size: Size) -> f64 {
        self.entrants(ground, 0).len() as f64 * self.weight_of_one(size)
    }

    #[expect(clippy::cast_precision_loss, reason = "a few seconds")]
    fn weight_of_one(&self, size: Size) -> f64 {
        let paced = if self.paced { PARTS_OF_PEAK.len() as f64 } else { 0.0 };
        1.6 + size.seconds as f64 * (1.0 + paced) + 0.5 * paced
    }

    /// One round: every entrant once.
    ///
    /// # Errors
    /// When something cannot be started or fails.
    pub fn measure(
        &self,
        ground: &Ground,
        size: Size,
        round: usize,
        progress: &Progress,
    ) -> io::Result<Vec<(&'static str, Run)>> {
        let mut measured = Vec::new();
        for entrant in self.entrants(ground, round) {
            let what = format!("round {}: {}: {}", round + 1, self.name, entrant.name);
            progress.step(self.weight_of_one(size), &what);
            let run = self.measure_one(ground, size, entrant);
            let run = run.map_err(|error| io::Error::new(error.kind(), format!("{what}: {error}")))?;
            measured.push((entrant.name, run));
        }
        Ok(measured)
    }

    fn measure_one(&self, ground: &Ground, size: Size, entrant: Entrant) -> io::Result<Run> {
        let Entrant { candidate, durability, workers, servers, .. } = entrant;
        let Self { products, units, catalogue, .. } = *self;
        let stand =
            Stand::start(ground, &Setup { candidate, durability, products, units, catalogue, workers, servers })?;
        let connections = if self.lone { 1 } else { size.connections };
        measure::run(&stand, self.load, connections, 1)?;
        let mut run = measure::run(&stand, self.load, connections, size.seconds)?;
        if self.paced {
            for (part, paced) in PARTS_OF_PEAK.iter().zip(&mut run.paced) {
                let rate = run.per_second * f64::from(*part) / 100.0;
                *paced = measure::paced_load(&stand, rate, connections, size.seconds)?;
            }
        }
        Ok(run)
    }
}

impl Candidate {
    fn needs_postgres(self) -> bool {
        matches!(self, Self::Control(Control::C3 | Control::C3Relaxed))
    }
}
