//! A terminal of our own, so that a command can be seen as a person sees it.

use std::{
    fs::File,
    io::Read,
    os::{fd::OwnedFd, unix::ffi::OsStrExt},
    path::Path,
    process::{Command, ExitStatus, Stdio},
};

use rustix::{
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{Winsize, tcsetwinsize},
};

use super::redis::signal_process;

/// Runs the command on a terminal of this many columns and 40 lines. Gives its exit status, and what it wrote there.
pub fn on_terminal(command: Command, columns: u16) -> (ExitStatus, String) {
    run(command, columns, None)
}

/// As [`on_terminal`], but the command gets this signal as soon as it wrote this text.
pub fn signalled_on_terminal(command: Command, columns: u16, text: &str, signal: &str) -> (ExitStatus, String) {
    run(command, columns, Some((text.as_bytes(), signal)))
}

fn run(mut command: Command, columns: u16, mut signal: Option<(&[u8], &str)>) -> (ExitStatus, String) {
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&ours).unwrap();
    unlockpt(&ours).unwrap();
    tcsetwinsize(&ours, Winsize { ws_row: 40, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
    let name = ptsname(&ours, Vec::new()).unwrap();
    let path = Path::new(std::ffi::OsStr::from_bytes(name.as_bytes()));
    let theirs = || Stdio::from(OwnedFd::from(File::options().read(true).write(true).open(path).unwrap()));
    command.stdin(Stdio::null()).stdout(theirs()).stderr(theirs()).env("TERM", "xterm-256color");
    let mut child = command.spawn().unwrap();
    // Else this process keeps the terminal open, and its end never comes.
    drop(command);
    let (mut ours, mut text, mut piece) = (File::from(ours), Vec::new(), [0; 4096]);
    // The end of a terminal is an error.
    while let Ok(bytes @ 1..) = ours.read(&mut piece) {
        text.extend_from_slice(&piece[..bytes]);
        if let Some((_, name)) = signal.take_if(|(until, _)| text.windows(until.len()).any(|part| part == *until)) {
            signal_process(child.id(), name);
        }
    }
    (child.wait().unwrap(), String::from_utf8(text).unwrap().replace("\r\n", "\n"))
}
