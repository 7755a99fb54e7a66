//! Ids of sales, products, holds and orders: their types and their grammar.

use std::{fmt, marker::PhantomData, sync::Arc};

/// Characters of the key and of the tag of a signed id.
pub const PART_CHARS: usize = 12;

/// A sale: `[a-z0-9-]{1,32}`. One sale is one hash slot. Shared, because every hold of a sale names it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SaleId(Arc<str>);

impl SaleId {
    /// `None` when the text is not 1 to 32 of `a-z`, `0-9` and `-`.
    pub fn parse(text: &str) -> Option<Self> {
        let legible = text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        (legible && (1..=32).contains(&text.len())).then(|| Self(text.into()))
    }

    /// The sale `p0`, which keeps payment events about ids that this service never made. It can never have a product,
    /// because product ids begin at 1.
    pub fn unmatched() -> Self {
        Self("p0".into())
    }

    /// `p` and digits: the form of the sale that a product gets when it names none. A shop cannot choose such a name.
    pub fn is_reserved(&self) -> bool {
        self.0.strip_prefix('p').is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_digit()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for SaleId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A product: 1 to 2^53 - 1, the integers that every JSON reader holds exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProductId(u64);

impl ProductId {
    pub const MAX: u64 = (1 << 53) - 1;

    pub fn new(id: u64) -> Option<Self> {
        (1..=Self::MAX).contains(&id).then_some(Self(id))
    }

    /// Digits without sign or leading zeros, as in a path.
    pub fn parse(text: &str) -> Option<Self> {
        let canonical = text.bytes().all(|b| b.is_ascii_digit()) && !text.starts_with('0');
        canonical.then(|| text.parse().ok().and_then(Self::new)).flatten()
    }

    pub fn get(self) -> u64 {
        self.0
    }
}

impl fmt::Display for ProductId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The kind of thing that a signed id names. Its prefix is part of the id, and of what the tag signs.
pub trait IdKind {
    const PREFIX: &'static str;
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HoldKind;
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderKind;

impl IdKind for HoldKind {
    const PREFIX: &'static str = "hold_";
}

impl IdKind for OrderKind {
    const PREFIX: &'static str = "order_";
}

/// `<prefix><sale>_<key><tag>`. The id names its sale, so that no directory of holds is needed. The tag signs the rest, so
/// that an id which this service never made is refused without asking Redis.
///
/// A value of this type is an id that this service made: `SignedId::signed` is the only constructor, and only the signer
/// of the store calls it, with a tag that it computed or checked. A text from outside is at most [split](SignedId::split).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedId<K> {
    text: String,
    sale: SaleId,
    kind: PhantomData<K>,
}

pub type HoldId = SignedId<HoldKind>;
pub type OrderId = SignedId<OrderKind>;

impl<K: IdKind> SignedId<K> {
    /// The id of these parts. `tag` must be the right one for the others.
    pub(crate) fn signed(sale: SaleId, key: &str, tag: &str) -> Self {
        let text = [K::PREFIX, sale.as_str(), "_", key, tag].concat();
        Self { text, sale, kind: PhantomData }
    }

    /// Sale, key and tag of a text that has the form of an id. The tag may be wrong.
    pub fn split(text: &str) -> Option<(SaleId, &str, &str)> {
        let rest = text.strip_prefix(K::PREFIX).filter(|rest| rest.is_ascii())?;
        // By length: the key and the tag may contain `_` themselves.
        let (head, parts) = rest.split_at(rest.len().checked_sub(2 * PART_CHARS)?);
        let (key, tag) = parts.split_at(PART_CHARS);
        Some((SaleId::parse(head.strip_suffix('_')?)?, key, tag))
    }

    /// The text that clients see.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    pub fn sale(&self) -> &SaleId {
        &self.sale
    }

    /// The random part. It names the hold within its sale, and the order that the hold becomes.
    pub fn key(&self) -> &str {
        let end = self.text.len() - PART_CHARS;
        &self.text[end - PART_CHARS..end]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_split_into_the_parts_that_it_was_made_of() {
        let sale = SaleId::parse("drop-1").unwrap();
        let id = HoldId::signed(sale.clone(), "key_key_key_", "_tag_tag_tag");
        assert_eq!(HoldId::split(id.as_str()), Some((sale.clone(), "key_key_key_", "_tag_tag_tag")));
        assert_eq!((id.sale(), id.key()), (&sale, "key_key_key_"));
        assert_eq!(OrderId::split(id.as_str()), None);
    }

    #[test]
    fn strange_texts_are_no_ids() {
        for text in ["", "hold_", "hold_p1_", "hold_é_AAAAAAAAAAAAAAAAAAAAAAAA", "hold_p1_AAAAAAAAAAAAAAAAAAAAAAAé"] {
            assert_eq!(HoldId::split(text), None, "{text}");
        }
        for text in ["0", "01", "-1", "+1", "1.0", "", "9007199254740992", "99999999999999999999999"] {
            assert!(ProductId::parse(text).is_none(), "{text}");
        }
        assert!(SaleId::parse("p12").unwrap().is_reserved());
        assert!(!SaleId::parse("pop").unwrap().is_reserved());
    }
}
