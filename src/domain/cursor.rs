//! Where a page of a list begins.

use std::fmt;

use super::ids::SaleId;

/// Longest key of something in a list.
const KEY_CHARS_MAX: usize = 64;

/// The last thing of the page before: lists go through sales by name, and through each by time and key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListCursor {
    pub sale: SaleId,
    /// Epoch milliseconds.
    pub ms: i64,
    pub key: String,
}

/// Later than anything in a list.
const END_MS: i64 = 253_402_300_800_000;

impl ListCursor {
    /// The place behind everything of a sale.
    pub fn end_of(sale: &SaleId) -> Self {
        Self { sale: sale.clone(), ms: END_MS, key: "-".to_owned() }
    }

    /// `<sale>~<ms>~<key>`
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, '~');
        let (sale, ms, key) = (parts.next()?, parts.next()?, parts.next()?);
        let plain = key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        // In the one way in which it is written.
        let ms: i64 = ms.parse().ok().filter(|number: &i64| *number >= 0 && number.to_string() == ms)?;
        let fits = plain && (1..=KEY_CHARS_MAX).contains(&key.len());
        fits.then_some(Self { sale: SaleId::parse_shard(sale)?, ms, key: key.to_owned() })
    }
}

impl fmt::Display for ListCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}~{}~{}", self.sale, self.ms, self.key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_back_and_strange_texts_are_none() {
        let cursor = ListCursor { sale: SaleId::parse("drop-1").unwrap(), ms: 7, key: "a_b-C".to_owned() };
        assert_eq!(ListCursor::parse(&cursor.to_string()), Some(cursor));
        for text in
            ["", "p1", "p1~x~abc", "p1~-1~abc", "p1~+1~abc", "p1~-0~abc", "p1~01~abc", "p1~1~*", "p1~1~", "P~1~a"]
        {
            assert!(ListCursor::parse(text).is_none(), "{text}");
        }
    }
}
