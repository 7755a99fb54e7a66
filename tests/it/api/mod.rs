//! What a client sees, by resource.

mod admin;
mod audit;
mod bytes;
mod cors;
mod errors;
mod events;
mod expiry;
mod export;
mod export_slowly;
pub mod fast_path;
mod gate;
mod holds;
mod import;
mod in_flight;
mod limits;
mod orders;
mod payments;
mod payments_as_they_come;
mod products;
mod proof;
mod reviews;
mod sales;
mod stock;
mod stripe;
