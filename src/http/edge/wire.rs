//! One connection as bytes, with the habits of proxies and browsers put right that the HTTP server takes too literally:
//!
//! - A client that says nothing is closed without a byte. A 408 would be taken for the answer to its first request.
//! - `Connection: upgrade`, which some proxies send with every request, does not end the connection: see `heads`.
//! - HTTP/2 is refused in its own words, so that the proxy's log says what to change.

use std::{
    io,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, ready},
};

use actix_web::rt::net::TcpStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{crowd::Place, hangup::Hangup, heads::Heads};

/// What a client of HTTP/2 says first (RFC 9113, section 3.4).
const HTTP2_PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n";
/// Empty SETTINGS, then GOAWAY with `HTTP_1_1_REQUIRED` and a text.
const HTTP2_GOODBYE: &[u8] = b"\0\0\0\x04\0\0\0\0\0\
    \0\0\x3b\x07\0\0\0\0\0\0\0\0\0\0\0\0\x0dflashsale speaks HTTP/1.1 only: set the proxy to it";

/// A TCP connection of a client.
pub struct Wire {
    io: TcpStream,
    heads: Heads,
    /// Whether the client has said anything.
    heard: bool,
    /// The rest of what a client of HTTP/2 must still be sent.
    goodbye: &'static [u8],
    place: Option<Rc<Place>>,
    hangup: Rc<Hangup>,
}

impl Wire {
    pub(super) fn new(io: TcpStream) -> Self {
        // Answers are written whole, and a pipelined one must not wait for the acknowledgement of the one before. A connection
        // that refuses this is served all the same.
        let _refused = io.set_nodelay(true);
        Self { io, heads: Heads::First, heard: false, goodbye: &[], place: None, hangup: Rc::default() }
    }

    pub(super) fn in_the_crowd(io: TcpStream, place: Rc<Place>) -> Self {
        Self { place: Some(place), ..Self::new(io) }
    }

    pub(super) fn is_in_crowd(&self) -> bool {
        self.place.is_some()
    }

    pub(super) fn hangup(&self) -> Rc<Hangup> {
        Rc::clone(&self.hangup)
    }

    fn hear(&mut self, bytes: &mut [u8]) {
        if !self.heard && !bytes.is_empty() {
            self.heard = true;
            self.place.iter().for_each(|place| place.heard.set(true));
            if bytes.starts_with(HTTP2_PREFACE) {
                self.goodbye = HTTP2_GOODBYE;
                return;
            }
        }
        self.heads.pass(bytes);
    }

    /// Ends the connection from the server's point of view once the goodbye is written.
    fn poll_goodbye(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.goodbye.is_empty() {
            let written = ready!(Pin::new(&mut self.io).poll_write(context, self.goodbye))?;
            self.goodbye = if written == 0 { &[] } else { &self.goodbye[written..] };
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let wire = self.get_mut();
        if !wire.goodbye.is_empty() {
            return wire.poll_goodbye(context);
        }
        let before = buffer.filled().len();
        let read = Pin::new(&mut wire.io).poll_read(context, buffer);
        if matches!(read, Poll::Ready(_)) && buffer.filled().len() == before && buffer.remaining() > 0 {
            wire.hangup.hear();
        }
        if !wire.heads.are_plain() {
            wire.hear(&mut buffer.filled_mut()[before..]);
            if !wire.goodbye.is_empty() {
                buffer.set_filled(before);
                return wire.poll_goodbye(context);
            }
        }
        read
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let wire = self.get_mut();
        if wire.heard { Pin::new(&mut wire.io).poll_write(context, bytes) } else { Poll::Ready(Ok(bytes.len())) }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().io).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::HTTP2_GOODBYE;

    #[test]
    fn the_goodbye_is_two_whole_frames() {
        let (settings, goaway) = HTTP2_GOODBYE.split_at(9);
        assert_eq!(settings, [0, 0, 0, 4, 0, 0, 0, 0, 0]);
        let length = u32::from_be_bytes([0, goaway[0], goaway[1], goaway[2]]);
        assert_eq!((goaway[3], length as usize), (7, goaway.len() - 9));
        assert_eq!(goaway[13..17], [0, 0, 0, 13], "HTTP_1_1_REQUIRED");
    }
}
