//! Calls of scripts.

use redis::Cmd;

use super::{
    catalogue::{Op, Script},
    slot,
};
use crate::domain::cursor::ListCursor;

/// A call of a script: all keys, then all arguments, in one buffer.
pub struct ScriptCall {
    op: Op,
    keys: usize,
    packed: Vec<u8>,
    /// The end of each key and argument in the buffer.
    ends: Vec<usize>,
}

impl ScriptCall {
    pub fn of(op: Op) -> Self {
        Self { op, keys: 0, packed: Vec::with_capacity(256), ends: Vec::with_capacity(16) }
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
        slot::of_key(&self.packed[..self.ends.first().copied().unwrap_or(0)])
    }

    pub(super) fn op(&self) -> Op {
        self.op
    }

    pub(super) fn command(&self, script: &Script) -> Cmd {
        let mut command = redis::cmd("EVALSHA");
        command.arg(&script.sha).arg(self.keys);
        let mut start = 0;
        for end in &self.ends {
            command.arg(&self.packed[start..*end]);
            start = *end;
        }
        command
    }
}
