//! Payment events as their senders write them: signatures and bodies. Pure: knows neither HTTP nor Redis.

pub mod event;
pub mod signature;
