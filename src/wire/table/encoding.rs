//! Files that are not in UTF-8: what Excel writes as Unicode text (UTF-16), and what somebody names.

use std::io::{self, Read};

use encoding_rs::{Decoder, Encoding, UTF_16BE, UTF_16LE};

const PIECE_BYTES: usize = 1 << 13;

/// The encoding of a file that begins with these bytes; `None` is UTF-8 without a mark. UTF-16 without a mark is known by
/// the zeros of its first letter.
pub fn of(first: &[u8]) -> Option<&'static Encoding> {
    if let Some((encoding, _)) = Encoding::for_bom(first) {
        return Some(encoding);
    }
    match first {
        [0, second, ..] if *second != 0 => Some(UTF_16BE),
        [first, 0, ..] if *first != 0 => Some(UTF_16LE),
        _ => None,
    }
}

/// What a file is that is no text, by its first bytes, and what to do about it.
pub fn not_text(first: &[u8]) -> Option<&'static str> {
    match first {
        [b'P', b'K', 3, 4, ..] | [0xd0, 0xcf, 0x11, 0xe0, ..] => {
            Some("this is a workbook or an archive, not CSV; save the sheet as CSV UTF-8")
        }
        [0x1f, 0x8b, ..] => Some("this is compressed; uncompress it first"),
        _ => None,
    }
}

/// Bytes in another encoding, read as UTF-8. A byte order mark is dropped, and what is not text becomes U+FFFD.
pub struct Decoded<R> {
    source: R,
    decoder: Decoder,
    piece: Vec<u8>,
    text: Vec<u8>,
    at: usize,
    is_end: bool,
}

impl<R: Read> Decoded<R> {
    pub fn new(source: R, encoding: &'static Encoding) -> Self {
        let decoder = encoding.new_decoder_with_bom_removal();
        Self { source, decoder, piece: vec![0; PIECE_BYTES], text: Vec::new(), at: 0, is_end: false }
    }
}

impl<R: Read> Read for Decoded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at == self.text.len() && !self.is_end {
            let bytes = self.source.read(&mut self.piece)?;
            self.is_end = bytes == 0;
            let most = self.decoder.max_utf8_buffer_length(bytes).unwrap_or(4 * PIECE_BYTES);
            self.text.resize(most, 0);
            let (_, _, written, _) = self.decoder.decode_to_utf8(&self.piece[..bytes], &mut self.text, self.is_end);
            self.text.truncate(written);
            self.at = 0;
        }
        let bytes = buffer.len().min(self.text.len() - self.at);
        buffer[..bytes].copy_from_slice(&self.text[self.at..self.at + bytes]);
        self.at += bytes;
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use encoding_rs::{UTF_8, WINDOWS_1252};

    use super::*;

    #[test]
    fn the_first_bytes_say_which_encoding_it_is() {
        assert_eq!(of(b"\xef\xbb\xbfid"), Some(UTF_8));
        assert_eq!((of(b"\xff\xfei\0"), of(b"\xfe\xff\0i")), (Some(UTF_16LE), Some(UTF_16BE)));
        assert_eq!((of(b"i\0d\0"), of(b"\0i\0d")), (Some(UTF_16LE), Some(UTF_16BE)));
        assert_eq!((of(b"id"), of(b""), of(b"\0\0")), (None, None, None));
        assert!(not_text(b"PK\x03\x04\x14\0").is_some() && not_text(b"PKG,id").is_none());
    }

    #[test]
    fn a_long_text_is_decoded_wherever_it_is_cut() {
        let text = "Küche 👟\r\n".repeat(5_000);
        let utf16: Vec<u8> = [0xfeff].into_iter().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect();
        let mut read = String::new();
        Decoded::new(&utf16[..], UTF_16LE).read_to_string(&mut read).unwrap();
        assert!(read == text);
        let mut read = String::new();
        Decoded::new(&b"K\xfcche \x80"[..], WINDOWS_1252).read_to_string(&mut read).unwrap();
        assert_eq!(read, "Küche €");
    }
}
