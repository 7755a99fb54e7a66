//! Files that the process may open. Every connection is one, so they bound how many clients are served.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::http::Places;

/// Connections that one worker serves at most, however many files there are.
const SERVED_MAX: u64 = 25_000;
const CROWD_MAX: u64 = 1_000;
/// Files that are kept for what is no client: Redis, logs, the data folder, and what the runtime of a worker needs.
const KEPT: u64 = 32;
const KEPT_EACH_WORKER: u64 = 12;
/// Fewer clients than this are too few for a sale.
pub(super) const CLIENTS_FEW: u64 = 2_000;

/// The connections of one worker.
pub(super) struct Connections {
    pub(super) places: Places,
    /// Accepting pauses at this number, until the worker has sent a few away. It always does.
    pub(super) accepted_max: usize,
}

/// Raises the limit as far as the process may, and shares the files among the workers.
pub(super) fn share(workers: usize) -> Connections {
    let limit = getrlimit(Resource::Nofile);
    let files = raise(limit).unwrap_or(u64::MAX);
    let connections = Connections::of(files, workers);
    let clients = connections.places.served_max.saturating_mul(workers);
    let was = limit.current.unwrap_or(u64::MAX);
    if (clients as u64) < CLIENTS_FEW {
        tracing::warn!(
            files,
            clients,
            "few files may be open, so few clients are served at once; raise the hard limit (ulimit -Hn, LimitNOFILE=)"
        );
    } else {
        tracing::info!(files, was, clients, "open files");
    }
    connections
}

/// The files that the process may open once it has raised its limit, and the clients that it then serves.
pub(super) fn look(workers: usize) -> (Option<u64>, usize) {
    let files = getrlimit(Resource::Nofile).maximum;
    (files, Connections::of(files.unwrap_or(u64::MAX), workers).places.served_max.saturating_mul(workers))
}

/// The limit afterwards. `None`: there is none.
fn raise(limit: Rlimit) -> Option<u64> {
    let raised = Rlimit { current: limit.maximum, ..limit };
    // Some systems allow less than they say. Then the limit stays.
    if limit.current == limit.maximum || setrlimit(Resource::Nofile, raised).is_err() {
        return limit.current;
    }
    limit.maximum
}

impl Connections {
    fn of(files: u64, workers: usize) -> Self {
        let workers = u64::try_from(workers).unwrap_or(1).max(1);
        let kept = (KEPT + KEPT_EACH_WORKER * workers).min(files / 2);
        let each = ((files - kept) / workers).clamp(4, SERVED_MAX + 2 * CROWD_MAX);
        // Half of what is not served waits, accepted, for the worker to look at it.
        let crowd = (each / 8).clamp(1, CROWD_MAX);
        let count = |number| usize::try_from(number).unwrap_or(usize::MAX);
        Self {
            places: Places { served_max: count((each - 2 * crowd).min(SERVED_MAX)), crowd_max: count(crowd) },
            accepted_max: count(each),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_are_shared_so_that_some_are_left_and_nobody_waits() {
        for (files, workers, served, crowd, accepted) in [
            (256, 2, 76, 12, 100),
            (1_024, 2, 364, 60, 484),
            (1_048_576, 2, 25_000, 1_000, 27_000),
            (u64::MAX, 64, 25_000, 1_000, 27_000),
            (1_024, 64, 6, 1, 8),
            (64, 1, 24, 4, 32),
        ] {
            let Connections { places, accepted_max } = Connections::of(files, workers);
            let found = (places.served_max, places.crowd_max, accepted_max);
            assert_eq!(found, (served, crowd, accepted), "{files} files, {workers} workers");
            assert!(accepted_max as u64 * workers as u64 <= files);
            assert!(places.served_max + places.crowd_max < accepted_max);
        }
    }
}
