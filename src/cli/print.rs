//! Output: results on stdout, everything else on stderr.

use std::{
    io::{self, Write},
    sync::OnceLock,
    thread,
};

/// Why stdout took no more, once that happened.
static STDOUT_ERROR: OnceLock<io::Error> = OnceLock::new();

/// Prints a line on stdout. Unlike `println!` it never panics: a reader that left has what it wanted, and [`super::run`]
/// reports any other failure at the end.
pub(super) fn print_line(text: &str) {
    if let Err(error) = writeln!(io::stdout(), "{text}")
        && error.kind() != io::ErrorKind::BrokenPipe
    {
        let _first_is_kept = STDOUT_ERROR.set(error);
    }
}

/// Prints a line on stdout for a service, which goes on whether or not anybody takes it.
pub(super) fn print_without_waiting(text: String) {
    let printing = move || writeln!(io::stdout(), "{text}");
    let _without = thread::Builder::new().name("print".to_owned()).spawn(printing);
}

/// Why a line could not be printed on stdout, if that happened.
pub(super) fn stdout_error() -> Option<&'static io::Error> {
    STDOUT_ERROR.get()
}

/// Prints on stderr why the command failed.
pub(super) fn print_error(text: &str) {
    print_note(&error_line(text));
}

/// What [`print_error`] prints.
pub(super) fn error_line(text: &str) -> String {
    format!("flashsale: {text}")
}

/// Prints on stderr what is no part of the result.
pub(super) fn print_note(text: &str) {
    let _nobody_reads = writeln!(io::stderr(), "{text}");
}
