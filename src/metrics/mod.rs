//! Metrics: what one thread counts and any thread reads, and how that is written for Prometheus. Knows no other room.
//!
//! A worker counts in cells of its own, with a load and a store. Nothing is locked or shared on the path of a request. Whoever is
//! asked for metrics adds up the cells of all workers, so a worker that stands still keeps nobody from reading them.

mod cells;
mod exposition;
mod process;

pub use self::{
    cells::{Count, Histogram, Scale, Sums, Workers},
    exposition::{Exposition, Kind, seconds},
    process::write_process,
};
