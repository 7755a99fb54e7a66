//! Logs: lines for a person on a terminal, JSON for everything else, on standard error. And traces, where the program was built
//! with the feature `otlp`.
//!
//! Nobody who logs waits for standard error or learns that it takes nothing: `writer` drops lines then, and counts them.

#[cfg(not(feature = "otlp"))]
mod no_spans;
#[cfg(feature = "otlp")]
mod spans;
mod writer;

use std::{
    backtrace::{Backtrace, BacktraceStatus},
    borrow::Cow,
    fmt::Write as _,
    io::{self, IsTerminal},
    mem, panic,
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use tracing::{Dispatch, dispatcher};
use tracing_subscriber::{EnvFilter, fmt::MakeWriter};

#[cfg(not(feature = "otlp"))]
use self::no_spans as spans;
pub use self::spans::start as start_traces;
use self::writer::{Lost, Writer};
use crate::config::{Log, LogFormat};

static WRITER: Writer = Writer::new();

/// Starts logging. A second call changes nothing.
///
/// # Errors
/// When the system has no thread for the log.
pub fn init(log: &Log) -> io::Result<()> {
    let form = Form::of(log);
    let filter = EnvFilter::try_new(&log.filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let is_first = dispatcher::set_global_default(form.dispatch(filter, || Lines)).is_ok();
    if is_first { WRITER.start(loss_line(form)) } else { Ok(()) }
}

/// Logs panics too. The usual hook writes to standard error by itself, and waits for it.
pub fn log_panics() {
    panic::set_hook(Box::new(|panic| {
        let current = thread::current();
        let thread = current.name().unwrap_or("unnamed");
        let place = panic.location().map_or_else(String::new, ToString::to_string);
        let message = panic.payload_as_str().unwrap_or("without a text");
        // As RUST_BACKTRACE says.
        let backtrace = Backtrace::capture();
        let backtrace = (backtrace.status() == BacktraceStatus::Captured).then(|| backtrace.to_string());
        tracing::error!(thread, place, backtrace, "panic: {message}");
        // The process ends with its main thread.
        if thread == "main" {
            finish();
        }
    }));
}

/// Prints a line that is no part of the log, in its turn.
pub fn print(line: &str) {
    WRITER.push(format!("{line}\n").as_bytes());
}

/// Waits until everything is written and sent, for a second and two at most. Call it before the process ends.
pub fn finish() {
    spans::finish();
    WRITER.finish();
}

/// How a line looks.
#[derive(Clone, Copy)]
struct Form {
    is_json: bool,
    has_colours: bool,
}

impl Form {
    fn of(log: &Log) -> Self {
        let is_terminal = io::stderr().is_terminal();
        let is_json = match log.format {
            LogFormat::Json => true,
            LogFormat::Text => false,
            LogFormat::Auto => !is_terminal,
        };
        Self { is_json, has_colours: is_terminal && !is_json }
    }

    fn dispatch<W>(self, filter: EnvFilter, writer: W) -> Dispatch
    where
        W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
    {
        // An error of the library would go to standard error.
        let builder = tracing_subscriber::fmt().with_writer(writer).log_internal_errors(false);
        if self.is_json {
            builder.with_env_filter(filter).json().flatten_event(true).with_current_span(false).finish().into()
        } else {
            builder.with_env_filter(filter).with_target(false).with_ansi(self.has_colours).finish().into()
        }
    }
}

/// Makes the line about lost lines, in the form of all others. It is an error, because errors may be among them.
fn loss_line(form: Form) -> impl Fn(&Lost) -> Vec<u8> + Send + 'static {
    let line = Arc::new(Mutex::new(Vec::new()));
    let sink = Arc::clone(&line);
    let dispatch = form.dispatch(EnvFilter::new("error"), move || Sink(Arc::clone(&sink)));
    move |lost| {
        let cause = lost.cause.as_str();
        dispatcher::with_default(&dispatch, || tracing::error!(lines = lost.lines, cause, "log lines were lost"));
        mem::take(&mut line.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Puts each line into the buffer of the writer, which always takes it.
struct Lines;

impl io::Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        WRITER.push(&escaped(line));
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Escapes, as JSON does, what would steer a terminal, begin a line or turn text around. The library escapes ASCII alone.
fn escaped(line: &[u8]) -> Cow<'_, [u8]> {
    let steers = |c: char| {
        let is_format =
            matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        is_format || c.is_control() && !c.is_ascii()
    };
    let Some(text) = str::from_utf8(line).ok().filter(|text| !text.is_ascii() && text.contains(steers)) else {
        return Cow::Borrowed(line);
    };
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        if steers(c) {
            let _written = write!(plain, "\\u{:04x}", u32::from(c));
        } else {
            plain.push(c);
        }
    }
    Cow::Owned(plain.into_bytes())
}

struct Sink(Arc<Mutex<Vec<u8>>>);

impl io::Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::escaped;

    #[test]
    fn what_steers_a_terminal_is_escaped_and_the_rest_of_a_line_stays() {
        let of = |line: &str| String::from_utf8(escaped(line.as_bytes()).into_owned()).unwrap();
        assert_eq!(of("caf\u{e9} 50 \u{20ac}\n"), "caf\u{e9} 50 \u{20ac}\n");
        assert_eq!(of("a\u{202e}b\u{9b}2J\u{85}\u{e9}"), "a\\u202eb\\u009b2J\\u0085\u{e9}");
        let json = of(&serde_json::json!({"a": "\u{2066}\u{2028}"}).to_string());
        assert_eq!(serde_json::from_str::<serde_json::Value>(&json).unwrap()["a"], "\u{2066}\u{2028}");
        assert_eq!(*escaped(b"\xff\xe2"), *b"\xff\xe2");
    }
}
