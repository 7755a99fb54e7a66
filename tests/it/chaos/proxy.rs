//! A proxy between a service and Redis that delays, cuts, keeps replies to itself, or goes silent.

use std::{
    io::{Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

/// What the network does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Weather {
    Fair,
    /// Everything comes so much later.
    Delay(Duration),
    /// A connection ends after so many more bytes of commands, in the middle of one.
    CutCommands(usize),
    /// Redis gets the commands. Their replies are dropped, and the connection ends at the first.
    CutReplies,
    /// Redis gets the commands. Nobody hears of their replies.
    LoseReplies,
    /// Nothing goes through, and nothing ends.
    Silence,
}

pub struct Proxy {
    pub port: u16,
    weather: Arc<Mutex<Weather>>,
}

impl Proxy {
    pub fn start(redis_port: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let weather = Arc::new(Mutex::new(Weather::Fair));
        let shared = Arc::clone(&weather);
        thread::spawn(move || {
            for service in listener.incoming().flatten() {
                let Ok(redis) = TcpStream::connect(("127.0.0.1", redis_port)) else { continue };
                for (from, to, is_reply) in [(&service, &redis, false), (&redis, &service, true)] {
                    let (Ok(from), Ok(to)) = (from.try_clone(), to.try_clone()) else { continue };
                    let weather = Arc::clone(&shared);
                    thread::spawn(move || forward(from, to, is_reply, &weather));
                }
            }
        });
        Self { port, weather }
    }

    pub fn set(&self, weather: Weather) {
        *self.weather.lock().unwrap() = weather;
    }
}

fn forward(mut from: TcpStream, mut to: TcpStream, is_reply: bool, weather: &Mutex<Weather>) {
    let mut chunk = [0; 16_384];
    let (mut passed, mut has_lost) = (0, false);
    while let Ok(length @ 1..) = from.read(&mut chunk) {
        let now = *weather.lock().unwrap();
        let mut bytes = &chunk[..length];
        match now {
            Weather::Delay(time) => thread::sleep(time),
            Weather::CutCommands(most) if !is_reply => {
                bytes = &bytes[..bytes.len().min(most.saturating_sub(passed))];
                passed += length;
            }
            Weather::CutReplies if is_reply => break,
            // What follows would be taken for the reply that is missing, so the connection stays silent.
            Weather::LoseReplies if is_reply => has_lost = true,
            Weather::Silence => wait_until_it_is_over(weather),
            _ => {}
        }
        if has_lost {
            continue;
        }
        if to.write_all(bytes).is_err() || bytes.len() < length {
            break;
        }
    }
    let _both = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
}

fn wait_until_it_is_over(weather: &Mutex<Weather>) {
    let started = Instant::now();
    while *weather.lock().unwrap() == Weather::Silence && started.elapsed() < Duration::from_mins(1) {
        thread::sleep(Duration::from_millis(5));
    }
}
