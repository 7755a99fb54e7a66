//! Ids of sales, products, holds and orders: their types and their grammar.

use std::{fmt, marker::PhantomData, sync::Arc};

/// Characters of the key and of the tag of a signed id.
pub const PART_CHARS: usize = 12;

/// A sale: `[a-z0-9-]{1,32}`. One sale is one hash slot, unless it is spread over several: then it is the first of its shards,
/// and the others have its name with a number, `drop_17`, which no shop can choose. Keys and ids name the shard, and everything
/// that the service shows names the [whole](SaleId::whole). Shared, because every hold of a sale names it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SaleId(Arc<str>);

impl SaleId {
    /// `None` when the text is not 1 to 32 of `a-z`, `0-9` and `-`.
    pub fn parse(text: &str) -> Option<Self> {
        let legible = text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        (legible && (1..=32).contains(&text.len())).then(|| Self(text.into()))
    }

    /// A sale or a shard of one, as keys and ids have it.
    pub fn parse_shard(text: &str) -> Option<Self> {
        let Some((sale, number)) = text.split_once('_') else { return Self::parse(text) };
        let number = number.parse::<u16>().ok().filter(|read| *read > 0 && read.to_string() == number)?;
        Some(Self::parse(sale)?.shard(number))
    }

    /// The shard of this sale with this number.
    #[must_use]
    pub fn shard(&self, number: u16) -> Self {
        Self(format!("{}_{number}", self.0).into())
    }

    /// Whether it is another shard of a sale than the first.
    pub fn is_shard(&self) -> bool {
        self.0.contains('_')
    }

    /// The sale that this is a shard of, or itself.
    #[must_use]
    pub fn whole(&self) -> Self {
        self.0.split_once('_').map_or_else(|| self.clone(), |(sale, _)| Self(sale.into()))
    }

    /// The name of the [whole](SaleId::whole).
    pub fn name(&self) -> &str {
        self.0.split_once('_').map_or(&self.0, |(sale, _)| sale)
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

/// Over how many hash slots a sale is spread. It never changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Shards(u8);

impl Shards {
    pub const ONE: Self = Self(1);
    pub const MAX: u64 = 64;

    /// `None` when it is not 1 to 64.
    pub fn new(count: u64) -> Option<Self> {
        u8::try_from(count).ok().filter(|count| (1..=Self::MAX).contains(&u64::from(*count))).map(Self)
    }

    pub fn get(self) -> u64 {
        self.0.into()
    }

    /// Whether the sale is spread at all.
    pub fn are_several(self) -> bool {
        self.0 > 1
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
        Some((SaleId::parse_shard(head.strip_suffix('_')?)?, key, tag))
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
    fn a_shard_is_named_in_ids_and_no_shop_can_choose_its_name() {
        let (sale, shard) = (SaleId::parse("drop-1").unwrap(), SaleId::parse_shard("drop-1_17").unwrap());
        assert_eq!((sale.shard(17), shard.whole(), shard.name()), (shard.clone(), sale.clone(), "drop-1"));
        assert_eq!((sale.whole(), sale.is_shard(), shard.is_shard()), (sale, false, true));
        let id = HoldId::signed(shard.clone(), "key_key_key_", "_tag_tag_tag");
        assert_eq!(HoldId::split(id.as_str()), Some((shard, "key_key_key_", "_tag_tag_tag")));
        assert_eq!(SaleId::parse("drop_17"), None);
        for text in ["drop_", "drop_0", "drop_01", "drop_1_2", "drop_x", "_1", "drop_70000"] {
            assert_eq!(SaleId::parse_shard(text), None, "{text}");
        }
        let counts = [0, 1, 64, 65, 256 + 2].map(|count| Shards::new(count).map(Shards::get));
        assert_eq!(counts, [None, Some(1), Some(64), None, None]);
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
