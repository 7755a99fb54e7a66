//! The writer: a thread of its own that writes lines to standard error, from a buffer with a bound.
//!
//! Standard error may take nothing: the disk is full, the reader of a pipe is gone, or it stands still. Only this thread waits
//! then. Lines that find no room, or cannot be written, are counted, and one line says so as soon as one can be written.

use std::{
    fs::File,
    io::{self, Write},
    os::fd::AsFd,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

/// Bytes of lines that wait. As many may be on their way.
pub(super) const BYTES_MAX: usize = 1 << 20;
/// Bytes that a pipe takes in one piece, so that no line is torn by another process that writes to the same pipe.
const PIECE_BYTES_MAX: usize = 4_096;
/// The pause before another attempt to write what was lost, and before another look at a file that would block.
const RETRY_PAUSE: Duration = Duration::from_secs(1);
const BLOCKED_PAUSE: Duration = Duration::from_millis(10);
/// How long the end of the process waits for what is not written yet.
const FINISH_MAX: Duration = Duration::from_secs(1);
const TOO_SLOW: &str = "they came faster than they could be written";

/// Lines that nobody will read, and why the last of them was lost.
#[derive(Debug, Default)]
pub(super) struct Lost {
    pub(super) lines: u64,
    pub(super) cause: String,
}

impl Lost {
    fn add(&mut self, lines: &[u8], cause: &str) {
        self.lines += lines.split(|byte| *byte == b'\n').count() as u64 - 1;
        cause.clone_into(&mut self.cause);
    }

    fn join(&mut self, other: Self) {
        if other.lines > 0 {
            self.lines += other.lines;
            self.cause = other.cause;
        }
    }
}

pub(super) struct Writer {
    queue: Mutex<Queue>,
    changed: Condvar,
}

struct Queue {
    lines: Vec<u8>,
    /// Lines that found no room.
    lost: Lost,
    /// The process waits until what came before is written.
    is_ending: bool,
}

impl Writer {
    pub(super) const fn new() -> Self {
        let lost = Lost { lines: 0, cause: String::new() };
        Self { queue: Mutex::new(Queue { lines: Vec::new(), lost, is_ending: false }), changed: Condvar::new() }
    }

    /// Starts the thread. It has a file of its own: the standard library's has a lock, which a write that waits would keep from
    /// everybody.
    pub(super) fn start(&'static self, loss_line: impl Fn(&Lost) -> Vec<u8> + Send + 'static) -> io::Result<()> {
        let file = File::from(io::stderr().as_fd().try_clone_to_owned()?);
        let writing = move || self.run(&mut Output { file, is_torn: false }, loss_line);
        thread::Builder::new().name("log".to_owned()).spawn(writing).map(drop)
    }

    /// Adds whole lines, or drops them.
    pub(super) fn push(&self, lines: &[u8]) {
        let mut queue = self.queue();
        if queue.lines.len() + lines.len() > BYTES_MAX {
            queue.lost.add(lines, TOO_SLOW);
            return;
        }
        queue.lines.extend_from_slice(lines);
        drop(queue);
        self.changed.notify_all();
    }

    /// Waits until all lines so far are written, if that takes no longer than [`FINISH_MAX`].
    pub(super) fn finish(&self) {
        let mut queue = self.queue();
        queue.is_ending = true;
        self.changed.notify_all();
        let _late = self.changed.wait_timeout_while(queue, FINISH_MAX, |queue| queue.is_ending);
    }

    fn run<W: Write>(&self, output: &mut Output<W>, loss_line: impl Fn(&Lost) -> Vec<u8>) {
        let (mut lines, mut lost) = (Vec::new(), Lost::default());
        loop {
            let is_end = self.take(&mut lines, &mut lost);
            let is_written = output.write_lines(&lines, &mut lost);
            if is_written && lost.lines > 0 && output.write_lines(&loss_line(&lost), &mut Lost::default()) {
                lost = Lost::default();
            }
            lines.clear();
            if is_end {
                self.queue().is_ending = false;
                self.changed.notify_all();
            }
        }
    }

    /// Waits for lines. After a loss it waits for a while only, and takes none. Gives whether the process waits for them.
    fn take(&self, lines: &mut Vec<u8>, lost: &mut Lost) -> bool {
        let has_lost = lost.lines > 0;
        let is_idle = |queue: &mut Queue| queue.lines.is_empty() && !queue.is_ending;
        let mut queue = if has_lost {
            let waited = self.changed.wait_timeout_while(self.queue(), RETRY_PAUSE, is_idle);
            waited.unwrap_or_else(PoisonError::into_inner).0
        } else {
            self.changed.wait_while(self.queue(), is_idle).unwrap_or_else(PoisonError::into_inner)
        };
        std::mem::swap(&mut queue.lines, lines);
        lost.join(std::mem::take(&mut queue.lost));
        queue.is_ending
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A file, and whether the last line in it has no end.
struct Output<W> {
    file: W,
    is_torn: bool,
}

impl<W: Write> Output<W> {
    /// Writes lines as far as that works, and counts the others. Gives whether it wrote all of them.
    fn write_lines(&mut self, lines: &[u8], lost: &mut Lost) -> bool {
        let ended = if self.is_torn { self.write(b"\n") } else { Ok(()) };
        let written = ended.map_err(|(_, cause)| (0, cause)).and_then(|()| self.write(lines));
        written.map_err(|(bytes, cause)| lost.add(&lines[bytes..], &cause)).is_ok()
    }

    /// # Errors
    /// How many bytes were written, and why no more.
    fn write(&mut self, bytes: &[u8]) -> Result<(), (usize, String)> {
        let mut done = 0;
        while done < bytes.len() {
            let why = match self.file.write(piece(&bytes[done..])) {
                Ok(0) => "nothing more is taken".to_owned(),
                Ok(written) => {
                    done += written;
                    self.is_torn = bytes[done - 1] != b'\n';
                    continue;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                // Somebody made it non-blocking for all who share it.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    thread::sleep(BLOCKED_PAUSE);
                    continue;
                }
                Err(error) => error.to_string(),
            };
            return Err((done, why));
        }
        Ok(())
    }
}

/// The first lines that a pipe takes as one. A line that is longer is a piece of its own.
fn piece(lines: &[u8]) -> &[u8] {
    let ends = |bytes: &[u8]| bytes.iter().rposition(|byte| *byte == b'\n').map(|at| at + 1);
    let fitting = &lines[..lines.len().min(PIECE_BYTES_MAX)];
    let first = || lines.iter().position(|byte| *byte == b'\n').map(|at| at + 1);
    &lines[..ends(fitting).or_else(first).unwrap_or(lines.len())]
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    /// A file of which the test says how many bytes it takes.
    #[derive(Clone, Default)]
    struct Disk(Arc<Mutex<(Vec<u8>, usize)>>);

    impl Disk {
        fn make_room(&self, bytes: usize) {
            self.0.lock().unwrap().1 += bytes;
        }

        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().0.clone()).unwrap()
        }
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let mut disk = self.0.lock().unwrap();
            let taken = bytes.len().min(disk.1);
            if taken == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            disk.1 -= taken;
            disk.0.extend_from_slice(&bytes[..taken]);
            Ok(taken)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn lines_that_a_full_disk_does_not_take_are_counted_and_a_torn_one_is_ended() {
        let disk = Disk::default();
        let (mut output, mut lost) = (Output { file: disk.clone(), is_torn: false }, Lost::default());
        disk.make_room(6);
        assert!(!output.write_lines(b"one\ntwo\nthree\n", &mut lost));
        assert_eq!((disk.text().as_str(), lost.lines), ("one\ntw", 2));
        assert!(!output.write_lines(b"four\n", &mut lost));
        assert_eq!(lost.lines, 3);
        disk.make_room(100);
        assert!(output.write_lines(b"five\n", &mut lost));
        assert_eq!((disk.text().as_str(), lost.lines), ("one\ntw\nfive\n", 3));
    }

    #[test]
    fn a_pipe_gets_whole_lines_in_pieces_that_it_takes_as_one() {
        let long = [b'x'; PIECE_BYTES_MAX];
        let lines = [b"a\n", &[b'y'; 10][..], b"\n", &long, b"\nb\n"].concat();
        assert_eq!(piece(&lines).len(), 13);
        assert_eq!(piece(&lines[13..]).len(), PIECE_BYTES_MAX + 1);
        assert_eq!((piece(b"b\n"), piece(b"torn")), (&b"b\n"[..], &b"torn"[..]));
    }

    #[test]
    fn what_finds_no_room_is_lost_and_one_line_says_so_after_the_others() {
        let disk = Disk::default();
        let writer: &'static Writer = Box::leak(Box::new(Writer::new()));
        let line = [&[b'x'; 1_023][..], b"\n"].concat();
        for _ in 0..BYTES_MAX / line.len() + 3 {
            writer.push(&line);
        }
        disk.make_room(2 * BYTES_MAX);
        let mut output = Output { file: disk.clone(), is_torn: false };
        thread::spawn(move || writer.run(&mut output, |lost| format!("{} {}\n", lost.lines, lost.cause).into_bytes()));
        writer.finish();
        let text = disk.text();
        assert_eq!(text.lines().count(), BYTES_MAX / line.len() + 1);
        assert_eq!(text.lines().last(), Some(format!("3 {TOO_SLOW}").as_str()));
    }
}
