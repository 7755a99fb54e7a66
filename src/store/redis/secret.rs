//! The secret that signs the ids of holds and orders. Redis keeps it, so that all services sign alike.

use redis::Value;

use super::{error::Failure, keys::SECRET, preflight::PreflightError, reply::Reply, runner::Runner};

/// The secret. It has no `Debug`, so that nothing prints it.
pub struct SigningKey([u8; 32]);

impl SigningKey {
    #[cfg(test)]
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Whether Redis keeps this secret in that text.
    pub fn is(&self, text: &str) -> bool {
        parse(text).is_some_and(|found| found.0 == self.0)
    }

    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// The secret of a Redis that has data.
///
/// # Errors
/// [`PreflightError::Secret`] when it is gone or cannot be read: a new one would disown all ids.
pub async fn find(runner: &Runner) -> Result<SigningKey, PreflightError> {
    let found = runner.plain(redis::cmd("GET").arg(SECRET)).await?;
    Reply::one(found).text_or_none()?.and_then(|text| parse(&text)).ok_or(PreflightError::Secret)
}

/// The first service makes the secret. All others find it.
///
/// # Errors
/// [`PreflightError::Secret`] when Redis has one that cannot be read: a new one would disown all ids.
pub async fn find_or_make(runner: &Runner) -> Result<SigningKey, PreflightError> {
    let mut fresh = [0; 32];
    getrandom::fill(&mut fresh).map_err(|error| Failure::unavailable(format!("no random numbers: {error}")))?;
    let kept = get_or_set(runner, SECRET, &hex::encode(fresh)).await?;
    parse(&kept).ok_or(PreflightError::Secret)
}

/// The value of the key, which this sets unless it exists.
///
/// # Errors
/// [`Failure`].
pub async fn get_or_set(runner: &Runner, key: &str, value: &str) -> Result<String, Failure> {
    let earlier = match runner.plain(redis::cmd("SET").arg(key).arg(value).arg("NX").arg("GET")).await {
        // A full Redis refuses even a SET that would do nothing.
        Err(full @ Failure::Full(_)) => match runner.plain(redis::cmd("GET").arg(key)).await? {
            Value::Nil => return Err(full),
            earlier => earlier,
        },
        earlier => earlier?,
    };
    if earlier == Value::Nil { Ok(value.to_owned()) } else { Reply::one(earlier).text() }
}

/// Whether a secret stands in that text.
pub fn is_readable(text: &str) -> bool {
    parse(text).is_some()
}

fn parse(text: &str) -> Option<SigningKey> {
    let mut bytes = [0; 32];
    hex::decode_to_slice(text, &mut bytes).ok().map(|()| SigningKey(bytes))
}
