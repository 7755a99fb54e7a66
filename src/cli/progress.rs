//! The progress of long work, on stderr: a bar or a spinner on a terminal, else a line every few seconds. Work that ends sooner
//! says nothing there.

use std::{
    fmt::Display,
    io::{self, IsTerminal, Read},
    time::{Duration, Instant},
};

use indicatif::{HumanCount, ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::time::{MissedTickBehavior, interval};

use super::print::print_note;

/// The pause before the first line and between two of them.
const PAUSE: Duration = Duration::from_secs(3);
/// Before that nothing is drawn on a terminal.
const DRAWN_AFTER: Duration = Duration::from_millis(500);
/// The pause between two steps of a spinner.
const TICK: Duration = Duration::from_millis(100);

/// What is counted.
#[derive(Clone, Copy)]
pub(super) enum Counting {
    /// Things, by their noun; and how many there will be, where somebody knows it.
    Things(&'static str, Option<u64>),
    /// Bytes of a file of this length, in percent.
    Bytes(Option<u64>),
    /// Nothing. The words say what is done.
    Nothing(&'static str),
}

pub(super) struct Progress {
    bar: ProgressBar,
    counting: Counting,
    has_lines: bool,
    /// Whether it is to be drawn, and is not yet.
    will_be_drawn: bool,
    begun: Instant,
    last_line: Instant,
}

impl Progress {
    pub(super) fn begin(counting: Counting) -> Self {
        Self::shown(counting, true)
    }

    /// The progress of something that may be written to stdout: a terminal has room for one of both.
    pub(super) fn beside_stdout(counting: Counting, is_stdout: bool) -> Self {
        Self::shown(counting, !(is_stdout && io::stdout().is_terminal()))
    }

    fn shown(counting: Counting, is_shown: bool) -> Self {
        let is_terminal = io::stderr().is_terminal();
        let (length, template) = match counting {
            Counting::Things(noun, Some(length)) => {
                (Some(length), format!("{{bar:30.green/white.dim}} {{human_pos}} of {{human_len}} {noun}s{{msg}}"))
            }
            Counting::Things(noun, None) => (None, format!("{{spinner}} {{human_pos}} {noun}s{{msg}}")),
            Counting::Bytes(Some(bytes)) => (Some(bytes), "{bar:30.green/white.dim} {percent} %{msg}".to_owned()),
            Counting::Bytes(None) => (None, "{spinner} {human_pos} bytes{msg}".to_owned()),
            Counting::Nothing(what) => (None, format!("{{spinner}} {what}{{msg}}, {{elapsed}}")),
        };
        let bar = ProgressBar::with_draw_target(length, ProgressDrawTarget::hidden());
        if let Ok(style) = ProgressStyle::with_template(&template) {
            bar.set_style(style.progress_chars("━━─"));
        }
        let now = Instant::now();
        let (has_lines, will_be_drawn) = (is_shown && !is_terminal, is_shown && is_terminal);
        Self { bar, counting, has_lines, will_be_drawn, begun: now, last_line: now }
    }

    pub(super) fn one_more(&mut self) {
        self.set(self.bar.position() + 1, "");
    }

    /// So many are done, and what else there is to say.
    pub(super) fn set(&mut self, done: u64, more: impl Display) {
        self.bar.set_position(done);
        self.say(more);
    }

    /// What else there is to say.
    pub(super) fn say(&mut self, more: impl Display) {
        let more = more.to_string();
        let more = if more.is_empty() { more } else { format!("  {more}") };
        if self.has_lines && self.last_line.elapsed() >= PAUSE {
            self.last_line = Instant::now();
            print_note(&self.line(&more));
        }
        if self.will_be_drawn && self.begun.elapsed() >= DRAWN_AFTER {
            self.will_be_drawn = false;
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
        }
        self.bar.set_message(more);
        self.bar.tick();
    }

    fn line(&self, more: &str) -> String {
        let done = self.bar.position();
        match self.counting {
            Counting::Things(noun, Some(all)) => format!("{} of {} {noun}s{more}", HumanCount(done), HumanCount(all)),
            Counting::Things(noun, None) => format!("{} {noun}s{more}", HumanCount(done)),
            Counting::Bytes(Some(all)) => format!("{} %{more}", u128::from(done) * 100 / u128::from(all.max(1))),
            Counting::Bytes(None) => format!("{} bytes{more}", HumanCount(done)),
            Counting::Nothing(what) => format!("{what}{more}, {} s", self.begun.elapsed().as_secs()),
        }
    }

    /// The source, of which the bytes that are read are counted.
    pub(super) fn reading<R: Read>(&self, source: R) -> impl Read + use<R> {
        self.bar.wrap_read(source)
    }

    /// Does the work, of which nobody hears anything until it is done.
    pub(super) async fn during<T>(&mut self, work: impl Future<Output = T>) -> T {
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        tokio::pin!(work);
        loop {
            tokio::select! {
                biased;
                done = &mut work => return done,
                _ = ticks.tick() => self.say(""),
            }
        }
    }

    /// Prints something where the bar is.
    pub(super) fn aside<T>(&self, print: impl FnOnce() -> T) -> T {
        self.bar.suspend(print)
    }

    pub(super) fn end(&self) {
        self.bar.finish_and_clear();
    }
}

/// An error ends the progress too.
impl Drop for Progress {
    fn drop(&mut self) {
        self.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_says_how_far_it_is() {
        let line = |counting, done, more: &str| {
            let progress = Progress::begin(counting);
            progress.bar.set_position(done);
            progress.line(more)
        };
        assert_eq!(line(Counting::Things("row", Some(40_000)), 1_200, ""), "1,200 of 40,000 rows");
        assert_eq!(line(Counting::Things("order", None), 7, "  after 2 calls"), "7 orders  after 2 calls");
        assert_eq!(line(Counting::Bytes(Some(200)), 50, "  created 1"), "25 %  created 1");
        assert_eq!(line(Counting::Bytes(Some(0)), 0, ""), "0 %");
        assert_eq!(line(Counting::Nothing("auditing"), 0, ""), "auditing, 0 s");
    }
}
