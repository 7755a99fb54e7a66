//! Parsers of flags, for clap, and variables that stand for flags.

use std::env;

use clap::{Args, ValueEnum};
use serde::Serialize;

use crate::{config::plain_text, tools::client::CallPath};

/// Why somebody changes something.
#[derive(Args)]
pub(super) struct ReasonArgs {
    /// Why, for whoever reads the event later; up to 200 bytes
    #[arg(long, value_name = "TEXT", value_parser = filled)]
    reason: Option<String>,
}

impl ReasonArgs {
    /// Adds the reason to a body that changes something.
    pub(super) fn add_to(&self, body: &mut serde_json::Value) {
        if let Some(reason) = &self.reason {
            body["reason"] = reason.as_str().into();
        }
    }

    /// Adds the reason to the path of a request without a body.
    pub(super) fn on(&self, path: CallPath) -> CallPath {
        path.maybe("reason", self.reason.as_ref())
    }
}

/// A product id.
pub(super) fn product_id(text: &str) -> Result<u64, String> {
    let id = text.parse().ok().filter(|id| *id > 0);
    id.ok_or_else(|| "the id of a product is a whole number from 1 on; `flashsale product list` shows them".to_owned())
}

/// A number that is not negative.
pub(super) fn count(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| "it must be a whole number from 0 on, such as 500".to_owned())
}

/// A number with bounds.
pub(super) fn whole(least: u64, most: u64) -> impl Fn(&str) -> Result<u64, String> + Clone + Send + Sync + 'static {
    move |text| {
        let number = text.parse().ok().filter(|number| (least..=most).contains(number));
        number.ok_or_else(|| format!("it must be a whole number from {least} to {most}"))
    }
}

/// A text that is not empty: an empty one comes from a shell variable that is not set. Blanks and line ends around it come from
/// files.
pub(super) fn filled(text: &str) -> Result<String, String> {
    let plain = text.trim();
    if plain.is_empty() {
        Err("it is empty: is a variable of the shell unset?".to_owned())
    } else {
        Ok(plain.to_owned())
    }
}

/// The value of an environment variable, if it is set.
///
/// # Errors
/// When it is empty, or has quotes around it.
pub(super) fn variable(name: &str) -> Result<Option<String>, String> {
    let value = env::var_os(name).map(|value| value.to_string_lossy().into_owned());
    value.map(|value| plain_text(&value).map(str::to_owned).map_err(|what| format!("{name}: it {what}"))).transpose()
}

/// Who sees a product or a sale, with the words of the wire.
#[derive(Clone, Copy, ValueEnum, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Seen {
    /// Everybody
    Public,
    /// Whoever knows the id; holds are taken
    Unlisted,
    /// Only admins; no hold is taken
    Hidden,
}

impl Seen {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Unlisted => "unlisted",
            Self::Hidden => "hidden",
        }
    }
}
