//! Programs that talk to a running service from outside, by its HTTP interface alone.

pub mod against;
pub mod client;
pub mod event_log;
pub mod rush;
pub mod text;
pub mod trigger;
pub mod watch;
