//! HTTP as far as the benchmark speaks it: requests as bytes, answers with a length, one kept connection.

use std::{
    fmt::Write as _,
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

const PATIENCE: Duration = Duration::from_secs(10);
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// The form of an answer, known once its head has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    pub status: u16,
    pub head_bytes: usize,
    pub body_bytes: usize,
}

impl Shape {
    pub fn bytes(self) -> usize {
        self.head_bytes + self.body_bytes
    }
}

/// The bytes of a request. Headers are whole lines.
pub fn request(method: &str, path: &str, headers: &[&str], body: &str) -> Vec<u8> {
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: bench\r\n");
    for header in headers {
        head.push_str(header);
        head.push_str("\r\n");
    }
    if !body.is_empty() {
        let _infallible = write!(head, "Content-Type: application/json\r\nContent-Length: {}\r\n", body.len());
    }
    format!("{head}\r\n{body}").into_bytes()
}

/// The form of the answer that begins here; `None` while its head is not complete.
///
/// # Errors
/// When this is not an answer with a length.
pub fn shape(bytes: &[u8]) -> io::Result<Option<Shape>> {
    let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else {
        return if bytes.len() > HEAD_BYTES_MAX { Err(broken("a head without an end")) } else { Ok(None) };
    };
    let head = std::str::from_utf8(&bytes[..end]).map_err(|_| broken("a head that is no text"))?;
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)?.parse().ok());
    let status = status.ok_or_else(|| broken("no status"))?;
    let length = lines.find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse().ok())?
    });
    let body_bytes = length.ok_or_else(|| broken("no content-length"))?;
    Ok(Some(Shape { status, head_bytes: end + 4, body_bytes }))
}

pub fn broken(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the answer has {what}"))
}

/// One kept connection, for the work before and after measuring.
pub struct Line {
    stream: TcpStream,
}

impl Line {
    pub fn open(addr: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(addr)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { stream })
    }

    /// Status and body of the answer.
    pub fn ask(&mut self, request: &[u8]) -> io::Result<(u16, String)> {
        self.stream.write_all(request)?;
        let mut bytes = Vec::with_capacity(1024);
        loop {
            if let Some(found) = shape(&bytes)?
                && bytes.len() >= found.bytes()
            {
                let body = String::from_utf8_lossy(&bytes[found.head_bytes..found.bytes()]).into_owned();
                return Ok((found.status, body));
            }
            let mut chunk = [0; 4096];
            match self.stream.read(&mut chunk)? {
                0 => return Err(broken("no end: the connection closed")),
                read => bytes.extend_from_slice(&chunk[..read]),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_has_a_shape_once_its_head_is_there() {
        assert_eq!(shape(b"HTTP/1.1 201 Created\r\nContent-Le").unwrap(), None);
        let answer = b"HTTP/1.1 201 Created\r\nx-request-id: 1\r\ncontent-length: 2\r\n\r\n{}";
        let found = shape(answer).unwrap().unwrap();
        assert_eq!((found.status, found.bytes()), (201, answer.len()));
        assert!(shape(b"HTTP/1.1 200 OK\r\n\r\n").is_err());
    }

    #[test]
    fn a_request_says_how_long_its_body_is() {
        let sent = String::from_utf8(request("POST", "/api/holds", &["A: b"], "{}")).unwrap();
        assert!(sent.ends_with("Content-Length: 2\r\n\r\n{}") && sent.contains("\r\nA: b\r\n"), "{sent}");
    }
}
