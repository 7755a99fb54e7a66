//! Heads of requests that ask for an upgrade which this service does not offer.
//!
//! nginx is usually set to send `Connection: upgrade` with every request, and Java's client sends `Connection: Upgrade,
//! HTTP2-Settings`. A server that offers no upgrade ignores that (RFC 9110, section 7.8). The HTTP server would close each such
//! connection after one answer, and read a body without an end behind `Upgrade: websocket`. So the words are blanked out, in
//! place and only inside of heads.
//!
//! Only a connection whose first head has such a word is followed further, from message to message. Whatever is unusual there
//! (a head in two pieces, a chunked body) ends that, and the connection is then closed after an upgrade, as it would have been.

/// Where in its messages a connection is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Heads {
    /// Nothing was read.
    First,
    /// So many bytes of a body come before the next head.
    Followed { body: u64 },
    /// Nothing is looked at.
    Plain,
}

impl Heads {
    pub(super) fn are_plain(&self) -> bool {
        *self == Self::Plain
    }

    /// Passes the next bytes of the connection.
    pub(super) fn pass(&mut self, mut bytes: &mut [u8]) {
        while !bytes.is_empty() && !self.are_plain() {
            let body = if let Self::Followed { body } = *self { body } else { 0 };
            let skipped = usize::try_from(body).unwrap_or(usize::MAX).min(bytes.len());
            bytes = &mut bytes[skipped..];
            let left = body - skipped as u64;
            if left > 0 || bytes.is_empty() {
                *self = Self::Followed { body: left };
                return;
            }
            match Head::blank(bytes) {
                Some(head) if head.upgrades || *self != Self::First => {
                    *self = Self::Followed { body: head.body.unwrap_or(0) };
                    bytes = &mut bytes[head.length..];
                }
                _ => *self = Self::Plain,
            }
        }
    }
}

struct Head {
    length: usize,
    /// `None` until a line announces one.
    body: Option<u64>,
    upgrades: bool,
}

impl Head {
    /// Blanks out the words of a whole head. `None` when the head is not all there, or its body has not one announced length.
    fn blank(bytes: &mut [u8]) -> Option<Self> {
        // What follows is a tunnel.
        if bytes.starts_with(b"CONNECT ") {
            return None;
        }
        let mut head = Self { length: 0, body: None, upgrades: false };
        loop {
            let end = bytes[head.length..].iter().position(|byte| *byte == b'\n')?;
            let line = &mut bytes[head.length..head.length + end];
            let text_length = line.strip_suffix(b"\r").map_or(end, <[u8]>::len);
            let line = &mut line[..text_length];
            let is_first = head.length == 0;
            head.length += end + 1;
            if line.is_empty() {
                // Empty lines before a request belong to no head.
                return (!is_first).then_some(head);
            }
            if !is_first {
                head.read(line)?;
            }
        }
    }

    fn read(&mut self, line: &mut [u8]) -> Option<()> {
        let colon = line.iter().position(|byte| *byte == b':')?;
        let (name, value) = line.split_at_mut(colon);
        let value = &mut value[1..];
        if name.eq_ignore_ascii_case(b"connection") {
            for word in value.split_mut(|byte| *byte == b',') {
                if trimmed(word).eq_ignore_ascii_case(b"upgrade") {
                    blank_out(word);
                    self.upgrades = true;
                }
            }
        } else if name.eq_ignore_ascii_case(b"upgrade") {
            blank_out(value);
            self.upgrades = true;
        } else if name.eq_ignore_ascii_case(b"content-length") {
            let digits = trimmed(value);
            let is_number = digits.iter().all(u8::is_ascii_digit);
            let length = std::str::from_utf8(digits).ok().filter(|_| is_number)?.parse().ok()?;
            // The HTTP server refuses a second one.
            if self.body.replace(length).is_some() {
                return None;
            }
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            return None;
        }
        Some(())
    }
}

/// The blanks that may stand around a value are no others (RFC 9110, section 5.6.3).
fn trimmed(value: &[u8]) -> &[u8] {
    let is_blank = |byte: &u8| b" \t".contains(byte);
    let Some(begin) = value.iter().position(|byte| !is_blank(byte)) else { return &[] };
    let end = value.iter().rposition(|byte| !is_blank(byte)).map_or(begin, |last| last + 1);
    &value[begin..end]
}

/// Leaves what no value may have, such as a lone CR, so that the HTTP server refuses it as ever.
fn blank_out(value: &mut [u8]) {
    value.iter_mut().filter(|byte| byte.is_ascii_graphic()).for_each(|byte| *byte = b' ');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passed(heads: &mut Heads, text: &str) -> String {
        let mut bytes = text.as_bytes().to_vec();
        heads.pass(&mut bytes);
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn the_words_are_blanked_out_in_heads_and_never_in_bodies() {
        let body = "\r\nConnection: upgrade\r\n\r\n";
        let text = format!(
            "POST / HTTP/1.1\r\nCONNECTION: keep-alive, Upgrade ,HTTP2-Settings\r\nupgrade: WebSocket\r\n\
             content-length: {}\r\n\r\n{body}GET / HTTP/1.1\nConnection:upgrade\n\n",
            body.len()
        );
        let blanked = text.replace(" Upgrade ", &" ".repeat(9)).replace(" WebSocket", &" ".repeat(10));
        let blanked = blanked.replace(":upgrade", ":       ");
        let mut whole = Heads::First;
        assert_eq!(passed(&mut whole, &text), blanked);
        assert_eq!(whole, Heads::Followed { body: 0 });
        // The body in pieces.
        let mut heads = Heads::First;
        let cut = text.find("\r\n\r\n").unwrap() + 9;
        let pieces = [&text[..cut], &text[cut..cut + 3], &text[cut + 3..]];
        assert_eq!(pieces.map(|piece| passed(&mut heads, piece)).concat(), blanked);
    }

    #[test]
    fn a_head_that_is_to_be_refused_stays_so() {
        for odd in ["Connection: upgrade\r\x0c", "Connection: \x0bupgrade", "Connection: x,upgrade\r"] {
            let text = format!("GET / HTTP/1.1\r\n{odd}\r\n\r\n");
            assert_eq!(passed(&mut Heads::First, &text), text);
        }
        let text = "GET / HTTP/1.1\r\nUpgrade: a\rX: b\0\x7f\u{e9}\r\n\r\n";
        let blanked = "GET / HTTP/1.1\r\nUpgrade:  \r    \0\x7f\u{e9}\r\n\r\n";
        assert_eq!(passed(&mut Heads::First, text), blanked);
    }

    #[test]
    fn a_connection_whose_first_head_asks_for_no_upgrade_is_not_looked_at() {
        for text in
            ["GET / HTTP/1.1\r\nConnection: close\r\n\r\n", "GET / HTTP/1.1\r\nUpgrade-Insecure-Requests: 1\r\n\r\n"]
        {
            let mut heads = Heads::First;
            assert_eq!(passed(&mut heads, text), text);
            assert!(heads.are_plain());
        }
    }

    #[test]
    fn what_is_unusual_ends_it() {
        for odd in [
            "GET / HTTP/1.1\r\nConnection: close\r\n",
            "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
            "POST / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
            "POST / HTTP/1.1\r\nContent-Length: +1\r\n\r\n1",
            "POST / HTTP/1.1\r\nContent-Length: \r\n\r\n",
            "POST / HTTP/1.1\r\nContent-Length: 1, 1\r\n\r\n1",
            "POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n12",
            "POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n1",
            "POST / HTTP/1.1\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            "CONNECT a:1 HTTP/1.1\r\n\r\nConnection: upgrade\r\n\r\n",
            "POST / HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n",
            "GET / HTTP/1.1\r\nno header\r\n\r\n",
            "\r\n\r\n",
        ] {
            let mut heads = Heads::Followed { body: 0 };
            passed(&mut heads, odd);
            assert!(heads.are_plain(), "{odd}");
        }
    }
}
