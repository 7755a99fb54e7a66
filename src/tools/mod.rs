//! Programs that talk to a running service from outside, by its HTTP interface alone.

pub mod against;
pub mod client;
pub mod rush;
pub mod text;
pub mod trigger;
pub mod watch;
