//! Calls of scripts.

use std::{borrow::Cow, cell::Cell, time::Instant};

use redis::{Arg, Cmd};

use super::{
    admission::Permit,
    catalogue::{Op, Script},
    rank::Rank,
    server_clock::ServerClock,
    slot,
};
use crate::domain::cursor::ListCursor;

const EVALSHA: &str = "EVALSHA";

/// A call of a script: all keys, then all arguments, in one buffer.
pub struct ScriptCall {
    op: Op,
    keys: usize,
    packed: Vec<u8>,
    /// The end of each key and argument in the buffer.
    ends: Vec<usize>,
    /// Which of them is `not_after`.
    not_after: Option<usize>,
    /// When the last of its callers gives up.
    deadline: Option<Instant>,
    /// Leave to send it the first time, where somebody waited for that.
    permit: Cell<Option<Permit>>,
}

/// What is sent to a server.
#[derive(Clone, Copy)]
pub enum Message<'a> {
    Plain(&'a Cmd, Rank),
    Call(&'a ScriptCall, &'a Script),
}

impl<'a> Message<'a> {
    pub fn script(self) -> Option<&'a Script> {
        match self {
            Self::Plain(..) => None,
            Self::Call(_, script) => Some(script),
        }
    }

    /// Its command, and the script that this calls.
    pub fn name(self) -> (&'a str, Option<&'static str>) {
        match self {
            Self::Plain(command, _) => (command.args_iter().next().map_or("", |word| command_word(&word)), None),
            Self::Call(_, script) => (EVALSHA, Some(script.name)),
        }
    }

    pub fn rank(self) -> Rank {
        match self {
            Self::Plain(_, rank) => rank,
            Self::Call(call, _) => Rank::of(call.op),
        }
    }

    /// When the last caller gives up, for a script that then refuses.
    pub fn deadline(self) -> Option<Instant> {
        match self {
            Self::Call(call, _) if call.not_after.is_some() => call.deadline,
            _ => None,
        }
    }

    /// Leave to send it the first time.
    pub(super) fn take_permit(self) -> Option<Permit> {
        match self {
            Self::Plain(..) => None,
            Self::Call(call, _) => call.permit.take(),
        }
    }

    /// The command for a server with this clock.
    pub(super) fn command(self, clock: &ServerClock) -> Cow<'a, Cmd> {
        match self {
            Self::Plain(command, _) => Cow::Borrowed(command),
            Self::Call(call, script) => {
                Cow::Owned(call.command(script, self.deadline().and_then(|deadline| clock.latest_at(deadline))))
            }
        }
    }
}

fn command_word<'a>(word: &Arg<&'a [u8]>) -> &'a str {
    match *word {
        Arg::Simple(word) => str::from_utf8(word).unwrap_or(""),
        _ => "",
    }
}

impl ScriptCall {
    pub fn of(op: Op) -> Self {
        Self {
            op,
            keys: 0,
            packed: Vec::with_capacity(256),
            ends: Vec::with_capacity(16),
            not_after: None,
            deadline: None,
            permit: Cell::default(),
        }
    }

    pub fn key(self, key: impl AsRef<[u8]>) -> Self {
        self.key_of("", key)
    }

    /// A key in two parts.
    pub fn key_of(mut self, prefix: &str, rest: impl AsRef<[u8]>) -> Self {
        debug_assert_eq!(self.keys, self.ends.len(), "keys come before arguments");
        self.keys += 1;
        self.packed.extend_from_slice(prefix.as_bytes());
        self.arg(rest)
    }

    pub fn keys<K: AsRef<[u8]>>(self, keys: impl IntoIterator<Item = K>) -> Self {
        keys.into_iter().fold(self, Self::key)
    }

    pub fn arg(mut self, arg: impl AsRef<[u8]>) -> Self {
        self.packed.extend_from_slice(arg.as_ref());
        self.ends.push(self.packed.len());
        self
    }

    pub fn number(self, number: u64) -> Self {
        self.arg(number.to_string())
    }

    /// The instant of the server's clock after which the script refuses. Whoever sends the call knows that clock.
    pub fn not_after(mut self) -> Self {
        self.not_after = Some(self.ends.len());
        self.arg("")
    }

    /// When the last of its callers gives up.
    pub fn until(self, deadline: Instant) -> Self {
        Self { deadline: Some(deadline), ..self }
    }

    /// With leave to send it, where somebody waited for that.
    pub fn with_permit(self, permit: Option<Permit>) -> Self {
        Self { permit: Cell::new(permit), ..self }
    }

    /// Fields and values.
    pub fn pairs<F: AsRef<[u8]>, V: AsRef<[u8]>>(self, pairs: impl IntoIterator<Item = (F, V)>) -> Self {
        pairs.into_iter().fold(self, |call, (field, value)| call.arg(field).arg(value))
    }

    /// The place after which a page of a list begins.
    pub fn after(self, cursor: Option<&ListCursor>) -> Self {
        self.arg(cursor.map_or(0, |cursor| cursor.ms).to_string()).arg(cursor.map_or("", |cursor| &cursor.key))
    }

    /// The slot of its keys. A script has keys of one slot alone.
    pub(super) fn slot(&self) -> u16 {
        slot::of_key(self.first_key())
    }

    pub(super) fn first_key(&self) -> &[u8] {
        &self.packed[..self.ends.first().copied().unwrap_or(0)]
    }

    pub(super) fn op(&self) -> Op {
        self.op
    }

    fn command(&self, script: &Script, not_after_ms: Option<i64>) -> Cmd {
        let mut command = redis::cmd(EVALSHA);
        command.arg(&script.sha).arg(self.keys);
        let mut start = 0;
        for (place, end) in self.ends.iter().enumerate() {
            match not_after_ms {
                Some(ms) if self.not_after == Some(place) => command.arg(ms),
                _ => command.arg(&self.packed[start..*end]),
            };
            start = *end;
        }
        command
    }
}
