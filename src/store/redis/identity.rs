//! Which Redis the service began with: that with this secret and this key schema. A Redis that has lost them was emptied, and
//! one that has others was put in its place. Ids that the service handed out mean nothing there, so it must not go on.

use std::sync::{
    Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use redis::{Cmd, Value};

use super::{
    error::Failure,
    keys::{SCHEMA, SECRET},
    made::MadeSales,
    reply::Reply,
    secret::SigningKey,
};

/// All workers share it. While it says lost, none of them asks Redis for anything else.
pub struct Identity {
    secret: SigningKey,
    schema: &'static str,
    lost: AtomicBool,
    /// What is wrong, while it is lost.
    found: Mutex<String>,
    pub made_sales: MadeSales,
}

impl Identity {
    pub fn new(secret: SigningKey, schema: &'static str) -> Self {
        Self { secret, schema, lost: AtomicBool::new(false), found: Mutex::default(), made_sales: MadeSales::default() }
    }

    /// # Errors
    /// [`Failure::Replaced`] once it was seen that Redis is not the one of the start.
    pub fn check_known(&self) -> Result<(), Failure> {
        if !self.lost.load(Ordering::Relaxed) {
            return Ok(());
        }
        Err(Failure::replaced(self.found.lock().unwrap_or_else(PoisonError::into_inner).as_str()))
    }

    /// The commands whose answers `check` wants.
    pub fn questions() -> [Cmd; 2] {
        [SECRET, SCHEMA].map(|key| redis::cmd("GET").arg(key).to_owned())
    }

    /// Compares what Redis has. The result holds for all workers, and is logged when it changes.
    ///
    /// # Errors
    /// [`Failure::Replaced`] when Redis is not the one of the start.
    pub fn check(&self, [secret, schema]: [Value; 2]) -> Result<(), Failure> {
        let (secret, schema) = (Reply::one(secret).text_or_none()?, Reply::one(schema).text_or_none()?);
        let Some(found) = self.difference(secret.as_deref(), schema.as_deref()) else {
            if self.lost.swap(false, Ordering::Relaxed) {
                tracing::info!("Redis is again the one that the service began with");
            }
            return Ok(());
        };
        self.found.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&found);
        if !self.lost.swap(true, Ordering::Relaxed) {
            tracing::error!(
                %found,
                "Redis is not the one that the service began with: nothing is sold, and payment events are answered 503 so \
                 that they come again. Restore a backup, or restart the service to begin with what is there"
            );
        }
        Err(Failure::replaced(found))
    }

    /// What is wrong, in words.
    fn difference(&self, secret: Option<&str>, schema: Option<&str>) -> Option<String> {
        match (secret, schema) {
            (None, None) => Some("it was emptied, or is another one that is empty".to_owned()),
            (None, Some(_)) => Some(format!("its secret {SECRET} is gone")),
            (Some(secret), _) if !self.secret.is(secret) => {
                Some(format!("its secret {SECRET} is another: it has the data of another service, or began anew"))
            }
            (_, Some(schema)) if schema == self.schema => None,
            (_, Some(schema)) => {
                Some(format!("it has data of key schema {schema}, and this service knows schema {}", self.schema))
            }
            (_, None) => Some(format!("its version of the key schema, {SCHEMA}, is gone")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_same_secret_and_the_same_schema_are_the_same_redis() {
        let [ours, other] = [[7; 32], [8; 32]].map(hex::encode);
        let identity = Identity::new(SigningKey::new([7; 32]), "2");
        let difference = |secret: Option<&str>, schema| identity.difference(secret, schema);
        assert_eq!(difference(Some(&ours), Some("2")), None);
        for (secret, schema, word) in [
            (None, None, "emptied"),
            (None, Some("2"), "is gone"),
            (Some(&*ours), None, "is gone"),
            (Some(&*ours), Some("3"), "schema 3"),
            (Some(&*other), Some("2"), "another"),
            (Some("damaged"), Some("2"), "another"),
        ] {
            let found = difference(secret, schema).unwrap();
            assert!(found.contains(word), "{word} in {found}");
            assert!(!found.contains(&ours) && !found.contains(&other), "{found}");
        }
    }
}
