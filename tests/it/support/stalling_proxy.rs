//! A proxy in front of Redis that stands still at one command: before Redis gets it, or before the service gets the reply.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{Arc, Condvar, Mutex, MutexGuard},
    thread,
    time::Duration,
};

/// Where it stands still.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Command,
    Reply,
}

#[derive(Default)]
struct State {
    /// Commands that came since the count began. `None`: they are not counted.
    seen: Option<usize>,
    stall_at: Option<(usize, Side)>,
    is_stalled: bool,
    /// Replies wait.
    holds_replies: bool,
    /// What waits is thrown away, because the service that sent it is dead.
    discards: bool,
}

const OPENING: [&[u8]; 4] = [b"CLIENT", b"PING", b"TIME", b"UNWATCH"];
const SECRET: &[u8] = b"fs1:{:all}:secret";
const SCHEMA: &[u8] = b"fs1:{:all}:schema";

pub struct StallingProxy {
    pub port: u16,
    shared: Arc<(Mutex<State>, Condvar)>,
}

impl StallingProxy {
    pub fn start(redis_port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new((Mutex::new(State::default()), Condvar::new()));
        let proxy = Self { port, shared };
        let shared = Arc::clone(&proxy.shared);
        thread::spawn(move || {
            for service in listener.incoming().flatten() {
                let Ok(redis) = TcpStream::connect(("127.0.0.1", redis_port)) else { continue };
                let ends = (service.try_clone().unwrap(), redis.try_clone().unwrap(), Arc::clone(&shared));
                thread::spawn(move || forward_commands(ends.0, ends.1, &ends.2));
                let shared = Arc::clone(&shared);
                thread::spawn(move || forward_replies(redis, service, &shared));
            }
        });
        proxy
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.shared.0.lock().unwrap()
    }

    /// Counts commands from now on, and stands still at one of them.
    pub fn arm(&self, stall_at: Option<(usize, Side)>) {
        *self.state() = State { seen: Some(0), stall_at, ..State::default() };
    }

    /// Goes on, and forwards what waited unless it is thrown away. The commands that came since `arm`.
    pub fn disarm(&self, discards: bool) -> usize {
        let mut state = self.state();
        let seen = state.seen.take().unwrap_or(0);
        *state = State { discards, ..State::default() };
        self.shared.1.notify_all();
        seen
    }

    /// The commands that came since `arm`.
    pub fn seen(&self) -> usize {
        self.state().seen.unwrap_or(0)
    }

    pub fn is_stalled(&self) -> bool {
        self.state().is_stalled
    }
}

/// Waits while the proxy stands still. False: what waited is thrown away.
fn wait(shared: &(Mutex<State>, Condvar), mut state: MutexGuard<'_, State>) -> bool {
    state.is_stalled = true;
    while state.is_stalled {
        // A bound, so that a test that failed leaves no thread behind for ever.
        let (woken, timeout) = shared.1.wait_timeout(state, Duration::from_mins(1)).unwrap();
        state = woken;
        if timeout.timed_out() {
            return false;
        }
    }
    !state.discards
}

fn forward_commands(mut service: TcpStream, mut redis: TcpStream, shared: &(Mutex<State>, Condvar)) {
    let (mut waiting, mut chunk) = (Vec::new(), [0; 16_384]);
    while let Ok(bytes @ 1..) = service.read(&mut chunk) {
        waiting.extend_from_slice(&chunk[..bytes]);
        while let Some(length) = command_length(&waiting) {
            let command: Vec<u8> = waiting.drain(..length).collect();
            let mut state = shared.0.lock().unwrap();
            let number = state.seen.filter(|_| !is_beside_requests(&command));
            state.seen = state.seen.map(|seen| seen + usize::from(number.is_some()));
            let here = |side| number.is_some_and(|number| state.stall_at == Some((number, side)));
            let (before, after) = (here(Side::Command), here(Side::Reply));
            state.holds_replies |= after;
            if before && !wait(shared, state) {
                return;
            }
            if redis.write_all(&command).is_err() {
                return;
            }
        }
    }
    // The other direction ends too.
    let _closed = redis.shutdown(Shutdown::Both);
}

fn forward_replies(mut redis: TcpStream, mut service: TcpStream, shared: &(Mutex<State>, Condvar)) {
    let mut chunk = [0; 16_384];
    while let Ok(bytes @ 1..) = redis.read(&mut chunk) {
        let state = shared.0.lock().unwrap();
        if state.holds_replies && !wait(shared, state) {
            break;
        }
        if service.write_all(&chunk[..bytes]).is_err() {
            break;
        }
    }
    let _closed = service.shutdown(Shutdown::Both);
}

/// Whether the service sends it whatever requests there are: when it opens a connection, and when it looks which Redis this is.
fn is_beside_requests(command: &[u8]) -> bool {
    let word = command.split(|byte| *byte == b'\n').nth(2).unwrap_or_default();
    OPENING.iter().any(|opening| word.starts_with(opening))
        || [SECRET, SCHEMA].iter().any(|key| command.windows(key.len()).any(|part| part == *key))
}

/// The bytes of the first whole command, which is an array of texts.
fn command_length(bytes: &[u8]) -> Option<usize> {
    let number = |from: usize| {
        let end = bytes[from..].windows(2).position(|pair| pair == b"\r\n")? + from;
        let text = std::str::from_utf8(&bytes[from + 1..end]).ok()?;
        Some((text.parse::<usize>().ok()?, end + 2))
    };
    let (parts, mut at) = number(0)?;
    for _ in 0..parts {
        let (length, start) = number(at)?;
        at = start + length + 2;
        if at > bytes.len() {
            return None;
        }
    }
    Some(at)
}
