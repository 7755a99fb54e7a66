//! What one attempt to send a command came to, where it brought no answer.

use redis::{ErrorKind, RedisError, ServerErrorKind};

use super::{error::Failure, route::Place};

/// Why a node gave no answer, and so what may be done about it.
#[derive(Debug)]
pub enum Attempt {
    /// The connection had been lost before, so nothing was sent.
    NotSent(Failure),
    /// The connection broke. Redis may or may not have decided the call.
    ConnectionLost(Failure),
    /// Another server has the slot, so nothing was done.
    Elsewhere(Place, Failure),
    /// The server does nothing at present, but it or another one soon will: it has lost its rank, is still loading, or moves keys.
    NotNow(Failure),
    /// The server did not answer several times in a row, so it was not asked.
    Spared(Failure),
    Failed(Failure),
}

impl Attempt {
    pub fn of(error: &RedisError) -> Self {
        let failure = Failure::from_redis(error);
        if error.is_connection_dropped() {
            return Self::ConnectionLost(failure);
        }
        let ErrorKind::Server(kind) = error.kind() else { return Self::Failed(failure) };
        match kind {
            ServerErrorKind::Moved | ServerErrorKind::Ask => match place(error, kind) {
                Some(place) => Self::Elsewhere(place, failure),
                None => Self::NotNow(failure),
            },
            ServerErrorKind::TryAgain
            | ServerErrorKind::ClusterDown
            | ServerErrorKind::BusyLoading
            | ServerErrorKind::MasterDown
            | ServerErrorKind::ReadOnly => Self::NotNow(failure),
            _ => Self::Failed(failure),
        }
    }

    #[must_use]
    pub fn or_not_sent(self, was_sent: bool) -> Self {
        match self {
            Self::ConnectionLost(failure) if !was_sent => Self::NotSent(failure),
            other => other,
        }
    }

    pub fn into_failure(self) -> Failure {
        match self {
            Self::NotSent(failure)
            | Self::ConnectionLost(failure)
            | Self::Elsewhere(_, failure)
            | Self::NotNow(failure)
            | Self::Spared(failure)
            | Self::Failed(failure) => failure,
        }
    }
}

/// Where to go instead. The error of a command in a pipeline hides it.
fn place(error: &RedisError, kind: ServerErrorKind) -> Option<Place> {
    let errors = error.clone().into_server_errors()?;
    let address = errors.iter().find_map(|(_, error)| error.details()?.split(' ').nth(1).map(str::to_owned))?;
    Some(if kind == ServerErrorKind::Ask { Place::Asking(address) } else { Place::At(address) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(line: &str) -> Attempt {
        let reply = redis::parse_redis_value(format!("-{line}\r\n").as_bytes());
        Attempt::of(&reply.and_then(redis::Value::extract_error).unwrap_err())
    }

    #[test]
    fn what_was_not_executed_is_known_by_the_answer() {
        assert!(
            matches!(answered("MOVED 866 10.0.0.2:6379"), Attempt::Elsewhere(Place::At(at), _) if at == "10.0.0.2:6379")
        );
        assert!(
            matches!(answered("ASK 866 [::1]:7001"), Attempt::Elsewhere(Place::Asking(at), _) if at == "[::1]:7001")
        );
        for line in
            ["TRYAGAIN Multiple keys", "CLUSTERDOWN Hash slot", "LOADING Redis is", "READONLY You", "MASTERDOWN Link"]
        {
            assert!(matches!(answered(line), Attempt::NotNow(_)), "{line}");
        }
        for line in ["CROSSSLOT Keys", "OOM command not allowed", "ERR unknown", "NOREPLICAS Not enough good replicas"]
        {
            assert!(matches!(answered(line), Attempt::Failed(_)), "{line}");
        }
    }
}
