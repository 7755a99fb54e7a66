//! Compares a store with an exported log of events: after an older backup was restored, what does the log know that the store
//! does not? It reads the log once, line by line, and then asks the service page by page. It changes nothing.
//!
//! A store may know more than the log, and a difference alone says not which of both is older. The store's own log does: it lacks
//! the last event about a thing exactly when the store is older. Positions in it are in order, so a few questions a sale find the
//! place at which it parts from the exported one.

mod compare;
mod findings;
mod log;
mod parting;

use std::io::{self, BufRead};

pub use self::findings::{Comparison, Counts, Finding, LostMoney, LostUnits, UnreadableLine, What};
use self::{compare::Comparer, log::Log};
use super::client::api::{ApiClient, CallError};

/// Why there is no comparison.
#[derive(Debug, thiserror::Error)]
pub enum AgainstError {
    #[error("the log cannot be read: {0}")]
    Log(#[from] io::Error),
    #[error("the log has no event{0}")]
    Empty(String),
    #[error(transparent)]
    Call(#[from] CallError),
}

/// What to compare.
pub struct Question<'a> {
    /// Only this sale.
    pub sale: Option<&'a str>,
    /// How long the service keeps unpaid orders after their payment deadline.
    pub retention_seconds: u64,
    pub now_ms: i64,
}

/// Reads the log to its end, then compares. `progress` hears what is counted, and how far it is.
///
/// # Errors
/// [`AgainstError`].
pub async fn compare(
    client: &mut ApiClient,
    mut lines: impl BufRead,
    question: &Question<'_>,
    mut progress: impl FnMut(&str, u64),
) -> Result<Comparison, AgainstError> {
    let mut log = Log::default();
    log.read(&mut lines, question.sale, |events| progress("events", events))?;
    if log.events == 0 {
        let of_sale = question.sale.map_or_else(String::new, |sale| format!(" of the sale {sale}"));
        let unreadable =
            log.unreadable.first().map_or_else(String::new, |line| format!("; line {}", line.line_and_why()));
        return Err(AgainstError::Empty(of_sale + &unreadable));
    }
    Ok(Comparer::new(client, question, progress).compare(log).await?)
}
