//! Failures: what went wrong on the way to a decision. None of them says that nothing happened, except where noted.

use std::fmt::Display;

use redis::{ErrorKind, RedisError, ServerErrorKind};

/// Why there is no answer from Redis.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Failure {
    /// Redis cannot be reached, or refuses to work.
    #[error("Redis is not available: {0}")]
    Unavailable(String),
    /// No answer in time: the outcome is unknown.
    #[error("Redis did not answer in time: {0}")]
    TimedOut(String),
    /// Too much waits for Redis already; nothing was sent.
    #[error("too much waits for Redis: {0}")]
    Overloaded(String),
    /// Redis answered what the service cannot read: different versions of the service, or a bug.
    #[error("Redis answered something unexpected: {0}")]
    Unreadable(String),
}

impl Failure {
    pub fn from_redis(error: &RedisError) -> Self {
        if error.is_timeout() {
            return Self::TimedOut(error.to_string());
        }
        match error.kind() {
            ErrorKind::Parse | ErrorKind::UnexpectedReturnType => Self::Unreadable(error.to_string()),
            // A key that somebody made something else of.
            _ if error.code() == Some("WRONGTYPE") => Self::Unreadable(error.to_string()),
            _ => Self::Unavailable(error.to_string()),
        }
    }

    pub fn unreadable(what: impl Into<String>) -> Self {
        Self::Unreadable(what.into())
    }

    /// `None` where something is there and cannot be read, which is said in the log with whose it is.
    ///
    /// # Errors
    /// All other failures.
    pub(in crate::store) fn or_damage<T>(done: Result<T, Self>, whose: impl Display) -> Result<Option<T>, Self> {
        match done {
            Err(Self::Unreadable(what)) => {
                tracing::error!(whose = %whose, cause = %what, "cannot be read");
                Ok(None)
            }
            done => done.map(Some),
        }
    }

    /// Says of what it is that something could not be read.
    pub(in crate::store) fn of(self, whose: impl Display) -> Self {
        match self {
            Self::Unreadable(what) => Self::Unreadable(format!("{whose}: {what}")),
            other => other,
        }
    }
}

/// Whether the connection that gave this error is of no more use: it is broken, or leads to a server that was demoted.
pub(in crate::store) fn ends_connection(error: &RedisError) -> bool {
    error.is_unrecoverable_error()
        || error.is_connection_dropped()
        || matches!(error.kind(), ErrorKind::Server(ServerErrorKind::ReadOnly | ServerErrorKind::MasterDown))
}
