//! SKUs: the names that a shop has for its products.

use std::{fmt, sync::Arc};

use super::{ids::ProductId, quantity::Quantity};

/// A SKU: see [`Sku::RULE`]. Compared byte by byte. A product keeps it for ever. Shared, because items of many orders have it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Sku(Arc<str>);

impl Sku {
    pub const CHARS_MAX: usize = 64;
    pub const RULE: &str = "1 to 64 printable ASCII characters, no blank at the ends";

    pub fn parse(text: &str) -> Option<Self> {
        let is_printable = text.bytes().all(|b| b.is_ascii_graphic() || b == b' ');
        let fits = (1..=Self::CHARS_MAX).contains(&text.len()) && text.trim() == text;
        (is_printable && fits).then(|| Self(text.into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Sku {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Units of a product that is named by its SKU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SkuLine {
    pub sku: Sku,
    pub quantity: Quantity,
}

/// What names a product.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProductKey {
    Id(ProductId),
    Sku(Sku),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sku_is_printable_and_has_no_blank_at_its_ends() {
        for text in ["A", "AIR-38", "A/1", "a b", "50%", "\"'", "..", &"x".repeat(64)] {
            assert_eq!(Sku::parse(text).as_ref().map(Sku::as_str), Some(text));
        }
        for text in ["", " ", " A", "A ", "\u{e4}", "A\tB", "A\u{7f}", &"x".repeat(65)] {
            assert!(Sku::parse(text).is_none(), "{text:?}");
        }
    }
}
