//! An admin token, as its bearer sees it.

use std::borrow::Cow;

use serde::Serialize;

/// Whose it is, and what it may do.
#[derive(Clone, Debug, Serialize)]
pub struct TokenBody<'a> {
    /// The name in the settings, which is the `actor` of events. `null`: it has none.
    pub name: Option<Cow<'a, str>>,
    pub rights: &'a [Right],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Right {
    /// To look at everything.
    Read,
    /// To change everything.
    Change,
}
