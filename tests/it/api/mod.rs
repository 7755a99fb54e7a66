//! What a client sees, by resource.

mod admin;
mod errors;
mod expiry;
mod holds;
mod lane;
mod orders;
mod payments;
mod products;
mod proof;
