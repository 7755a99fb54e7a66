//! `confirm`: waits until what was settled is as durable as was asked for, on connections that holds never wait for.
//!
//! The script looks whether the settled events are still there and leaves a mark behind them; the runner waits for that mark
//! on the same connection. So a server that went away between settling and waiting cannot be taken for one that kept the
//! effect. All who settled before a call share its wait.

use super::{Call, Failure, Op, Reply, Store, batch::Work, keys::MARK, unknown_word};

impl Store {
    /// `once_key` names the event that was settled.
    pub(super) async fn confirmed(&self, once_key: String) -> Result<(), Failure> {
        let Some(confirms) = &self.confirms else { return Ok(()) };
        if confirms.ask(&(), once_key).await? {
            return Ok(());
        }
        Err(Failure::Unavailable(
            "a server went away with the effect of a payment event; it must be sent again".to_owned(),
        ))
    }
}

/// Confirming: one queue for all.
pub(super) struct Confirms;

impl Work for Confirms {
    type Key = ();
    type Ask = String;
    type Answer = bool;
    const BATCH_MAX: usize = 512;

    fn call(&self, _key: &(), once_keys: &[String]) -> Call {
        Call::of(Op::Confirm).key(MARK).keys(once_keys)
    }

    fn read(&self, _key: &(), once_keys: Vec<String>, word: &str, mut reply: Reply) -> Result<Vec<bool>, Failure> {
        if word != "marked" {
            return Err(unknown_word(Op::Confirm, word));
        }
        once_keys.iter().map(|_| Ok(reply.int()? == 1)).collect()
    }
}
