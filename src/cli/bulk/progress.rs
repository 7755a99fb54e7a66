//! The progress of long work on stderr: a bar on a terminal, else a line every few seconds.

use std::{
    io::{self, IsTerminal},
    time::{Duration, Instant},
};

use indicatif::{HumanCount, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::cli::print::print_note;

const PAUSE: Duration = Duration::from_secs(3);

pub(super) struct Progress {
    bar: ProgressBar,
    noun: &'static str,
    has_lines: bool,
    last_line: Instant,
}

impl Progress {
    pub(super) fn begin(count: u64, noun: &'static str) -> Self {
        let has_lines = !io::stderr().is_terminal();
        let target = if has_lines { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let bar = ProgressBar::with_draw_target(Some(count), target);
        if let Ok(style) = ProgressStyle::with_template("{bar:30.green/white.dim} {pos} of {len}") {
            bar.set_style(style.progress_chars("━━─"));
        }
        Self { bar, noun, has_lines, last_line: Instant::now() }
    }

    pub(super) fn one_more(&mut self) {
        self.bar.inc(1);
        if self.has_lines && self.last_line.elapsed() >= PAUSE {
            self.last_line = Instant::now();
            let (done, all) = (self.bar.position(), self.bar.length().unwrap_or_default());
            print_note(&format!("{} of {} {}s", HumanCount(done), HumanCount(all), self.noun));
        }
    }

    pub(super) fn end(&self) {
        self.bar.finish_and_clear();
    }
}
