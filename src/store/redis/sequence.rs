//! The order in which a sale decided. A service that shows it can be checked from outside: its answers, in that order, must be
//! those of a shop with one till.

use std::{cell::Cell, fmt, future::Future};

tokio::task_local! {
    /// The place of the last decision about the request that this task answers.
    static LAST: Cell<Option<Sequence>>;
}

/// The place of a decision among all of its sale: by write, those of the call that made it before those of calls that saw it, and
/// then by their place in the call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sequence {
    /// The number of the last write of the sale, that of the call itself where it wrote: epoch microseconds.
    pub write: u64,
    /// The call wrote nothing.
    pub has_only_seen: bool,
    pub place: usize,
}

impl Sequence {
    /// Of the request with this number in a call whose first one has this sequence.
    #[must_use]
    pub fn at(self, place: usize) -> Self {
        Self { place, ..self }
    }

    /// For the request that waits for this decision, if it wants to know.
    pub fn note(self) {
        // No request waits in a task of the service itself.
        let _nobody = LAST.try_with(|last| last.set(Some(self)));
    }
}

/// `<write>.<0, or 1 where it was only seen>.<place>`.
impl fmt::Display for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.write, u8::from(self.has_only_seen), self.place)
    }
}

/// What the request comes to, and where its last decision stands.
pub async fn watched<F: Future>(request: F) -> (F::Output, Option<Sequence>) {
    let watch = async { (request.await, LAST.with(Cell::get)) };
    LAST.scope(Cell::new(None), watch).await
}
