//! The end of the drain: the socket that clients connect to is closed without losing anybody.
//!
//! The system completes connections by itself, and resets those that nobody has accepted when the socket is closed. What a
//! client has sent on such a connection is lost, and a proxy never repeats a POST that it has sent. So the system first ignores
//! whoever begins to connect. Those who have connected are accepted and answered meanwhile. Whoever was ignored asks again after
//! a second, is refused then, and a proxy goes to another process at once.

use std::{io, net::TcpListener, time::Duration};

/// How long connections that had begun may take until a worker reads them: on a busy machine, and less than the second after
/// which an ignored client asks again.
const ACCEPTING: Duration = Duration::from_millis(500);

/// A second handle of the socket.
pub(super) struct Entrance(TcpListener);

impl Entrance {
    /// # Errors
    /// When the process may open no more files.
    pub(super) fn of(listener: &TcpListener) -> io::Result<Self> {
        listener.try_clone().map(Self)
    }

    /// Lets nobody connect any more, and gives those who have connected the time to be accepted. Where the system cannot do
    /// that, the socket is closed under them.
    pub(super) async fn close(self) {
        match ignore_newcomers(&self.0) {
            Ok(()) => tokio::time::sleep(ACCEPTING).await,
            Err(error) => tracing::debug!(%error, "clients may connect until the socket is closed"),
        }
    }
}

/// A packet filter on the socket: drop what begins a connection, pass everything else.
#[cfg(target_os = "linux")]
fn ignore_newcomers(listener: &TcpListener) -> io::Result<()> {
    use socket2::{SockFilter, SockRef};

    const LOAD_BYTE: u16 = 0x30;
    const UNLESS_SET_SKIP: u16 = 0x45;
    const RETURN: u16 = 0x06;
    const TCP_FLAGS: u32 = 13;
    const SYN: u32 = 0x02;
    SockRef::from(listener).attach_filter(&[
        SockFilter::new(LOAD_BYTE, 0, 0, TCP_FLAGS),
        SockFilter::new(UNLESS_SET_SKIP, 0, 1, SYN),
        SockFilter::new(RETURN, 0, 0, 0),
        SockFilter::new(RETURN, 0, 0, u32::MAX),
    ])
}

#[cfg(not(target_os = "linux"))]
fn ignore_newcomers(_: &TcpListener) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::{
        io::{ErrorKind, Read, Write},
        net::{TcpListener, TcpStream},
        time::Duration,
    };

    use super::Entrance;

    #[tokio::test]
    async fn whoever_has_connected_is_served_and_whoever_comes_then_is_ignored_and_at_the_end_refused() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let mut early = TcpStream::connect(addr).unwrap();
        Entrance::of(&listener).unwrap().close().await;
        let late = TcpStream::connect_timeout(&addr, Duration::from_millis(200));
        assert_eq!(late.unwrap_err().kind(), ErrorKind::TimedOut);
        early.write_all(b"hold").unwrap();
        let (mut accepted, _) = listener.accept().unwrap();
        let mut read = [0; 4];
        accepted.read_exact(&mut read).unwrap();
        assert_eq!(&read, b"hold");
        drop(listener);
        assert_eq!(TcpStream::connect(addr).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    }
}
