//! How the store reaches Redis: connections, scripts, batches, keys, and the records that the scripts write.

pub mod attempt;
pub mod batch;
pub mod breaker;
pub mod call;
pub mod catalogue;
pub mod codel;
pub mod doctor;
pub mod durability;
pub mod error;
pub mod facts;
pub mod identity;
pub mod keys;
pub mod made;
pub mod node;
pub mod preflight;
pub mod rank;
pub mod record;
pub mod reply;
pub mod route;
pub mod runner;
pub mod secret;
pub mod sequence;
pub mod server_clock;
pub mod slot;
pub mod topology;
pub mod waiting;
