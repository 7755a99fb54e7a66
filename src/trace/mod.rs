//! Spans: how long a request took, and what it waited for in Redis, for a collector of traces.
//!
//! Without the feature `otlp` they are nothing, and cost nothing. With it, and without a collector in the settings, they cost a
//! look at a global. Nobody who makes a span waits for anybody.

mod caller;
#[cfg(not(feature = "otlp"))]
mod nothing;
#[cfg(feature = "otlp")]
mod spans;

pub use self::caller::Caller;
#[cfg(not(feature = "otlp"))]
pub use self::nothing::{CallSpan, RequestSpan};
#[cfg(feature = "otlp")]
pub use self::spans::{CallSpan, RequestSpan, start};

/// What a request asked for, and what it was answered.
pub struct Answered<'a> {
    /// One of few.
    pub method: &'static str,
    /// The pattern of its route, never a path: that may name a hold.
    pub route: Option<&'a str>,
    pub status: u16,
    pub request_id: &'a str,
}
