//! Failures: what went wrong on the way to a decision. A failure leaves open whether something happened, except where noted.

use std::{error::Error, fmt, fmt::Display, sync::Arc};

use redis::{ErrorKind, RedisError};

/// Why there is no answer from Redis.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Failure {
    /// Redis cannot be reached, or refuses to work.
    #[error("Redis is not available: {0}")]
    Unavailable(#[source] Cause),
    /// No answer in time: the outcome is unknown.
    #[error("Redis did not answer in time: {0}")]
    TimedOut(#[source] Cause),
    /// Redis has no memory left for what this needs. Nothing was done.
    #[error("Redis is full: {0}")]
    Full(#[source] Cause),
    /// Redis was emptied, or another one took its place. Nothing was done.
    #[error("Redis is not the one that the service began with: {0}")]
    Replaced(#[source] Cause),
    /// The data of a sale is gone, while the directory knows the sale. Nothing was done.
    #[error("the data of a sale is gone: {0}")]
    Lost(#[source] Cause),
    /// Too much waits for Redis already. Nothing was sent.
    #[error("too much waits for Redis: {0}")]
    Overloaded(#[source] Cause),
    /// The service cannot read the answer of Redis: different versions of the service, damaged data, or a bug.
    #[error("Redis answered something unexpected: {0}")]
    Unreadable(#[source] Cause),
}

const CERTIFICATE_ADVICE: &str = "; its certificate must be for the name by which the server is known, and be signed by an authority of this \
                                  system, or of the file in SSL_CERT_FILE where that is set";

/// What happened, for a log line. Where another error caused it, the text includes that error's.
#[derive(Clone, Debug)]
pub struct Cause {
    text: String,
    source: Option<Arc<dyn Error + Send + Sync>>,
}

impl Cause {
    fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), source: None }
    }

    /// An error of Redis, after words that say what failed.
    fn of(error: &RedisError, prefix: &str) -> Self {
        Self { text: format!("{prefix}{error}"), source: Some(Arc::new(error.clone())) }
    }
}

impl Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Error for Cause {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn Error + 'static))
    }
}

impl Failure {
    pub fn unavailable(text: impl Into<String>) -> Self {
        Self::Unavailable(Cause::new(text))
    }

    pub fn replaced(text: impl Into<String>) -> Self {
        Self::Replaced(Cause::new(text))
    }

    pub fn lost(sales: impl Into<String>) -> Self {
        Self::Lost(Cause::new(sales))
    }

    pub fn timed_out(text: impl Into<String>) -> Self {
        Self::TimedOut(Cause::new(text))
    }

    /// The same of a later call, where an earlier one may have changed something: then nobody may say that nothing was done.
    #[must_use]
    pub fn after_decision(self) -> Self {
        match self {
            Self::Overloaded(cause) | Self::Full(cause) | Self::Replaced(cause) | Self::Lost(cause) => {
                Self::TimedOut(cause)
            }
            other => other,
        }
    }

    /// Whether something may have been done.
    pub fn leaves_open(&self) -> bool {
        !matches!(self, Self::Overloaded(_) | Self::Full(_) | Self::Replaced(_) | Self::Lost(_))
    }

    pub fn overloaded(text: impl Into<String>) -> Self {
        Self::Overloaded(Cause::new(text))
    }

    pub fn unreadable(what: impl Into<String>) -> Self {
        Self::Unreadable(Cause::new(what))
    }

    /// There was no connection, so nothing was sent. A timeout of connecting is no `TimedOut`, whose outcome is unknown.
    pub fn cannot_connect(address: &str, error: &RedisError) -> Self {
        let mut cause = Cause::of(error, &format!("cannot connect to {address}: "));
        if cause.text.contains("certificate") {
            cause.text.push_str(CERTIFICATE_ADVICE);
        }
        Self::Unavailable(cause)
    }

    pub fn from_redis(error: &RedisError) -> Self {
        let cause = Cause::of(error, "");
        if error.is_timeout() {
            return Self::TimedOut(cause);
        }
        match error.kind() {
            ErrorKind::Parse | ErrorKind::UnexpectedReturnType => Self::Unreadable(cause),
            // Somebody replaced a key by one of another type.
            _ if word(error) == Some("WRONGTYPE") => Self::Unreadable(cause),
            _ if word(error) == Some("OOM") => Self::Full(cause),
            _ => Self::Unavailable(cause),
        }
    }

    /// The word with which a server refused. `None` where no server did.
    pub fn word(&self) -> Option<&str> {
        word(self.redis()?)
    }

    /// Whether a script failed at a text that somebody made unreadable: before it wrote anything, or between two items. Where a key has
    /// another type it may fail in the middle of one.
    pub fn is_of_script(&self) -> bool {
        self.word().is_some_and(|word| word.starts_with("user_script"))
    }

    /// Whether nobody answered.
    pub fn is_absence(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::TimedOut(_)) && self.word().is_none() && !self.is_refused_login()
    }

    /// Whether user, password or rights are the reason.
    pub fn is_refused_login(&self) -> bool {
        let is_login = self.redis().is_some_and(|error| error.kind() == ErrorKind::AuthenticationFailed);
        is_login || matches!(self.word(), Some("NOPERM" | "NOAUTH" | "WRONGPASS"))
    }

    /// The same, said by a sentinel: those have a user and password of their own, and the ones in the URL are for the data.
    #[must_use]
    pub fn of_sentinel(mut self) -> Self {
        let is_refused = self.is_refused_login();
        if let (true, Self::Unavailable(cause)) = (is_refused, &mut self) {
            cause.text.push_str("; correct redis.sentinel_user and redis.sentinel_password");
        }
        self
    }

    fn redis(&self) -> Option<&RedisError> {
        self.source()?.source()?.downcast_ref()
    }

    /// `None` in place of what cannot be read, or is gone. The log says whose it is.
    ///
    /// # Errors
    /// All other failures.
    pub(in crate::store) fn or_damage<T>(done: Result<T, Self>, whose: impl Display) -> Result<Option<T>, Self> {
        match done {
            Err(Self::Unreadable(cause) | Self::Lost(cause)) => {
                tracing::error!(whose = %whose, %cause, "cannot be read");
                Ok(None)
            }
            done => done.map(Some),
        }
    }

    /// Adds what could not be read.
    pub(in crate::store) fn about(self, what: impl Display) -> Self {
        match self {
            Self::Unreadable(cause) => Self::Unreadable(Cause { text: format!("{what}: {cause}"), ..cause }),
            other => other,
        }
    }
}

/// The word that says why a server refused. Some proxies put ERR in front of what their server answered.
fn word(error: &RedisError) -> Option<&str> {
    match error.code() {
        Some("ERR") => error.detail()?.split_whitespace().next().map(|word| word.trim_start_matches('-')),
        code => code,
    }
}

/// Whether the connection that gave this error is useless now: it is broken, leads to a server that was demoted, or is no longer
/// logged in because a proxy put another server behind it.
pub(in crate::store) fn ends_connection(error: &RedisError) -> bool {
    error.is_unrecoverable_error()
        || error.is_connection_dropped()
        || matches!(word(error), Some("READONLY" | "MASTERDOWN" | "NOAUTH"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(line: &str) -> RedisError {
        let reply = redis::parse_redis_value(format!("-{line}\r\n").as_bytes());
        reply.and_then(redis::Value::extract_error).unwrap_err()
    }

    #[test]
    fn a_server_that_was_demoted_is_left_however_a_proxy_spells_its_answer() {
        for line in [
            "READONLY You can't write against a read only replica.",
            "ERR READONLY You can't write against a read only replica.",
            "ERR -READONLY You can't write against a read only replica.",
            "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
            "ERR MASTERDOWN Link with MASTER is down",
            "NOAUTH Authentication required.",
        ] {
            assert!(ends_connection(&answered(line)), "{line}");
        }
        for line in
            ["ERR unknown command 'READONLY'", "LOADING Redis is loading the dataset", "OOM", "BUSY script", "ERR"]
        {
            assert!(!ends_connection(&answered(line)), "{line}");
        }
    }

    #[test]
    fn a_full_server_is_known_however_a_proxy_spells_its_answer() {
        for line in ["OOM command not allowed", "ERR OOM command not allowed"] {
            assert!(matches!(Failure::from_redis(&answered(line)), Failure::Full(_)), "{line}");
        }
    }

    #[test]
    fn a_failure_keeps_the_error_that_caused_it() {
        let refused = RedisError::from((ErrorKind::Client, "refused"));
        let failure = Failure::cannot_connect("10.0.0.1:6379", &refused);
        let cause = failure.source().unwrap();
        assert!(failure.to_string().ends_with(&format!("cannot connect to 10.0.0.1:6379: {refused}")), "{failure}");
        assert!(cause.source().unwrap().downcast_ref::<RedisError>().is_some());
        assert!(!failure.to_string().contains("SSL_CERT_FILE"), "{failure}");
        let untrusted = std::io::Error::other("invalid peer certificate: UnknownIssuer");
        let failure = Failure::cannot_connect("10.0.0.1:6379", &untrusted.into());
        assert!(
            failure.to_string().contains("UnknownIssuer; ") && failure.to_string().contains("SSL_CERT_FILE"),
            "{failure}"
        );
        let unreadable = Failure::unreadable("a word").about("order 7");
        assert_eq!(unreadable.to_string(), "Redis answered something unexpected: order 7: a word");
    }
}
