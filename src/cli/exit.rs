//! Exit statuses, the same for all commands.

use std::process::ExitCode;

/// How a command ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exit {
    /// Done, and all is as it should be.
    Done,
    /// The service refused or failed, or what the command checks is not so.
    No,
    /// Nothing was done (bad flags or settings, no service), or it is unknown what was done.
    Unknown,
    /// The reader of the output left. Other programs end by SIGPIPE then, which a shell reports as 128 plus its number.
    ReaderLeft,
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::No => 1,
            Exit::Unknown => 2,
            Exit::ReaderLeft => 141,
        })
    }
}
