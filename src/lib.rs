//! flashsale: the service a shop puts in front of the moment when ten thousand people want a hundred things.
//!
//! `ARCHITECTURE.md` has the map. In short: `http` parses and answers, `domain` has the words, `store` makes one script
//! call per decision, and Redis decides.

pub mod app;
pub mod cli;
pub mod config;
pub mod domain;
pub mod embedded;
#[cfg(any(test, feature = "fuzzing"))]
#[path = "../fuzz/targets.rs"]
pub mod fuzzing;
pub mod http;
pub mod metrics;
pub mod store;
pub mod telemetry;
pub mod tools;
pub mod trace;
pub mod webhook;
pub mod wire;
