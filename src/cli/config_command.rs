//! `flashsale config`.

use std::io::{self, IsTerminal};

use clap::{Args, Subcommand};

use super::{
    CommonArgs, load,
    print::{print_line, print_note},
};
use crate::config::{Overrides, encode_password};

/// What to show
#[derive(Args)]
pub(super) struct ConfigArgs {
    #[command(subcommand)]
    command: Option<ConfigCommand>,
}

#[derive(Subcommand)]
enum ConfigCommand {
    /// Read a password of Redis from stdin, and print it as it stands in a URL
    #[command(after_help = "Example:\n  flashsale config encode-password < redis-password\n\n\
        The end of its first line ends the password.")]
    EncodePassword,
}

/// # Errors
/// What is wrong with the settings, or with the password.
pub(super) fn run(common: &CommonArgs, args: &ConfigArgs) -> Result<(), String> {
    match args.command {
        None => print_line(&load(common, &Overrides::new())?.render()),
        Some(ConfigCommand::EncodePassword) => print_line(&encode_password(&read_password()?)),
    }
    Ok(())
}

fn read_password() -> Result<String, String> {
    if io::stdin().is_terminal() {
        print_note("the password, as it is, and the enter key:");
    }
    let mut line = String::new();
    io::stdin().read_line(&mut line).map_err(|error| format!("stdin cannot be read: {error}"))?;
    let password = line.strip_suffix('\n').map_or(line.as_str(), |line| line.strip_suffix('\r').unwrap_or(line));
    if password.is_empty() { Err("there is no password on stdin".to_owned()) } else { Ok(password.to_owned()) }
}
