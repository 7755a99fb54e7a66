//! Properties of the tables and times that others write.

use std::io::Read;

use encoding_rs::{BIG5, EUC_KR, Encoding, GB18030, ISO_2022_JP, SHIFT_JIS, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};

use super::{
    table::{
        self, Dialect, cell,
        encoding::{self, Decoded},
    },
    time,
};
use crate::domain::{fuzzed::Decimal, money::Amount};

/// A cell means the number that its digits say, or nothing. The first byte chooses the decimals of the currency.
pub(crate) fn cells(bytes: &[u8]) {
    let Some((first, rest)) = bytes.split_first() else { return };
    let text = &*String::from_utf8_lossy(rest);
    assert_eq!(cell::unguarded(&cell::guarded(text.into())), text, "what was guarded comes back");
    assert!(!cell::guarded(text.into()).starts_with(['=', '+', '-', '@', '\t', '\r', '\n']));
    assert!(
        !cell::name(text).trim_end().contains(['\r', '\n']) || text.trim_end().is_empty(),
        "{text:?} has two lines"
    );
    count(text);
    price(text, usize::from(first % 5));
    if let Some(ms) = time::parse(text) {
        assert_eq!(time::parse(&time::rfc3339(ms)), Some(ms), "{text:?}");
    }
}

/// A number of a cell as a person reads it who writes no thousands: with one point or comma, and an apostrophe before it.
fn plainly(cell: &str) -> Option<Decimal> {
    let text = cell.trim().strip_prefix('\'').unwrap_or(cell.trim()).trim();
    let marks = text.matches([',', '.']).count();
    (marks < 2).then(|| Decimal::read(&text.replace(',', "."))).flatten()
}

fn count(text: &str) {
    match cell::count(text.trim()) {
        Ok(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) && !digits.is_empty() => {
            assert_eq!(plainly(text), Decimal::read(digits), "{text:?} was read as {digits}");
            assert!(!text.contains(['e', 'E']), "{text:?} is rounded");
        }
        Ok(_) => {}
        Err(how) => assert!(!how.is_empty()),
    }
}

fn price(text: &str, decimals: usize) {
    match cell::price(text.trim(), decimals).map(|digits| Amount::parse(&digits, decimals)) {
        Ok(Ok(amount)) => {
            assert_eq!(plainly(text), Some(Decimal::of(amount)), "{text:?} was read as {}", amount.written(None));
            let fraction = text.trim().rsplit_once([',', '.']).map_or("", |(_, fraction)| fraction);
            assert!(fraction.len() != 3 || decimals >= 3, "{text:?} could have thousands");
        }
        Ok(Err(_)) => {}
        Err(how) => assert!(!how.is_empty()),
    }
}

const ENCODINGS: [&Encoding; 9] =
    [UTF_8, UTF_16LE, UTF_16BE, WINDOWS_1252, SHIFT_JIS, GB18030, BIG5, EUC_KR, ISO_2022_JP];

/// A file that is read in pieces is what it is when it is read whole. The first two bytes choose the encoding and the pieces.
pub(crate) fn encodings(bytes: &[u8]) {
    let [choice, piece, text @ ..] = bytes else { return };
    let encoding = ENCODINGS[usize::from(*choice) % ENCODINGS.len()];
    let pieces = Pieces { rest: text, piece: usize::from(*piece % 16) + 1 };
    let mut read = Vec::new();
    let mut decoded = Decoded::new(pieces, encoding);
    let mut buffer = vec![0; usize::from(*piece / 16) + 1];
    loop {
        match decoded.read(&mut buffer).expect("memory can be read") {
            0 => break,
            bytes => read.extend_from_slice(&buffer[..bytes]),
        }
    }
    let whole = encoding.decode_with_bom_removal(text).0;
    assert_eq!(String::from_utf8(read).as_deref(), Ok(&*whole), "{}", encoding.name());
    let known = encoding::of(text);
    assert!(known.is_none_or(|known| [UTF_8, UTF_16LE, UTF_16BE].contains(&known)));
    dialect(whole.as_bytes());
}

struct Pieces<'a> {
    rest: &'a [u8],
    piece: usize,
}

impl Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let bytes = self.piece.min(self.rest.len()).min(buffer.len());
        buffer[..bytes].copy_from_slice(&self.rest[..bytes]);
        self.rest = &self.rest[bytes..];
        Ok(bytes)
    }
}

fn dialect(head: &[u8]) {
    let dialect = Dialect::of(head, |name| table::column(name).is_some());
    assert!(b",;\t|".contains(&dialect.separator) && dialect.skipped <= head.len());
    let skipped = &head[..dialect.skipped];
    assert!(skipped.is_empty() || skipped.to_ascii_lowercase().windows(4).any(|word| word == b"sep="));
}
