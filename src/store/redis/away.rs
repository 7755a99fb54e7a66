//! Servers that are not asked because they do not answer, said in the log: once when the first connection of this process gives one up,
//! and once when the first of them gets an answer again.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Instant,
};

/// Since when, by address.
static AWAY: Mutex<BTreeMap<String, Instant>> = Mutex::new(BTreeMap::new());

/// A connection has given this server up, or got an answer again.
pub fn note(address: &str, is_away: bool) {
    let mut away = AWAY.lock().unwrap_or_else(PoisonError::into_inner);
    match (is_away, away.contains_key(address)) {
        (true, false) => {
            tracing::warn!(
                server = address,
                "Redis does not answer: calls fail at once, but for one in a while that tries"
            );
            away.insert(address.to_owned(), Instant::now());
        }
        (false, true) => {
            let after_s = away.remove(address).map(|since| since.elapsed().as_secs_f64());
            tracing::info!(server = address, after_s, "Redis answers again");
        }
        _ => {}
    }
}
