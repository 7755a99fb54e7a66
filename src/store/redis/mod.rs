//! How the store reaches Redis: connections, scripts, batches, keys, and the records that the scripts write.

pub mod batch;
pub mod catalogue;
pub mod durability;
pub mod error;
pub mod identity;
pub mod keys;
pub mod preflight;
pub mod record;
pub mod reply;
pub mod runner;
pub mod secret;
pub mod topology;
