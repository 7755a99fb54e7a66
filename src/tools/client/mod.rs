//! HTTP/1.1 as a client: where a service is, a kept connection to it, and why an answer did not come. Every wait and
//! every body has a bound.

pub mod api;
mod call_path;
mod connection;
mod endpoint;
mod error;
pub mod seeded_random;
pub mod walk;

pub use self::{
    call_path::CallPath,
    connection::{Answer, Bounds, Connection, Stream, TIMEOUT},
    endpoint::{Endpoint, Request, with_header},
    error::{ConnectError, EndpointError, TransportError},
};
