//! Entries of products in the directory: `drop AIR-38`. While a product is deleted or moved its entry says so, and a call that
//! is repeated after a crash goes on from there.

use crate::domain::{
    ids::{ProductId, SaleId, Shards},
    sku::Sku,
};

/// What the directory says of a product.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    pub sale: SaleId,
    /// Slots of the sale.
    pub shards: Shards,
    pub sku: Option<Sku>,
}

/// What began with a product and may not be at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    None,
    /// It has its SKU, and its sale may not have logged that.
    Naming,
    /// It exists until its sale says otherwise.
    Deleting,
    /// `token` names this one move.
    Moving {
        to: SaleId,
        token: String,
    },
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Entry {
    Product(Listing, Step),
    /// The SKU that it had.
    Deleted(Option<Sku>),
}

impl Entry {
    /// `drop`, `drop AIR-38`, `drop*3 AIR-38` (a sale of three shards), `+drop AIR-38` (a new SKU), `~drop AIR-38` (a deletion), `drop>other#token AIR-38` (a move), or `! AIR-38` (deleted).
    pub(super) fn read(text: &str) -> Option<Self> {
        let (place, sku) = match text.split_once(' ') {
            Some((place, sku)) => (place, Some(Sku::parse(sku)?)),
            None => (text, None),
        };
        if place == "!" {
            return Some(Self::Deleted(sku));
        }
        let (sale, step) = if let Some(sale) = place.strip_prefix('~') {
            (sale, Step::Deleting)
        } else if let Some(sale) = place.strip_prefix('+') {
            (sale, Step::Naming)
        } else if let Some((sale, target)) = place.split_once('>') {
            let (to, token) = target.split_once('#')?;
            (sale, Step::Moving { to: SaleId::parse(to)?, token: token.to_owned() })
        } else {
            (place, Step::None)
        };
        let (sale, shards) = match sale.split_once('*') {
            Some((sale, count)) => (sale, Shards::new(count.parse().ok()?).filter(|shards| shards.are_several())?),
            None => (sale, Shards::ONE),
        };
        Some(Self::Product(Listing { sale: SaleId::parse(sale)?, shards, sku }, step))
    }
}

impl Listing {
    /// The entry at this step.
    pub(super) fn entry(&self, step: &Step) -> String {
        let Self { sale, shards, sku } = self;
        let sale = format!("{sale}{}", spread(*shards));
        let place = match step {
            Step::None => sale,
            Step::Naming => format!("+{sale}"),
            Step::Deleting => format!("~{sale}"),
            Step::Moving { to, token } => format!("{sale}>{to}#{token}"),
        };
        with_sku(place, sku.as_ref())
    }

    /// The entry of the product once it is deleted.
    pub(super) fn tombstone(&self) -> String {
        with_sku("!".to_owned(), self.sku.as_ref())
    }
}

/// What the entry says of a sale that is spread.
pub(super) fn spread(shards: Shards) -> String {
    if shards.are_several() { format!("*{}", shards.get()) } else { String::new() }
}

fn with_sku(place: String, sku: Option<&Sku>) -> String {
    match sku {
        Some(sku) => format!("{place} {}", sku.as_str()),
        None => place,
    }
}

/// A change of an entry.
pub(super) struct ListingChange<'a> {
    pub product: ProductId,
    pub before: String,
    pub after: String,
    pub takes: Option<&'a Sku>,
    pub gives_back: Option<&'a Sku>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_is_read_as_it_was_written() {
        let sale = |text| SaleId::parse(text).unwrap();
        for sku in [None, Sku::parse("AIR 38 > #~!")] {
            for shards in [1, 64].map(|count| Shards::new(count).unwrap()) {
                let listing = Listing { sale: sale("drop-1"), shards, sku: sku.clone() };
                let moving = Step::Moving { to: sale("p7"), token: "a-Z_9".to_owned() };
                for step in [Step::None, Step::Naming, Step::Deleting, moving] {
                    assert_eq!(Entry::read(&listing.entry(&step)), Some(Entry::Product(listing.clone(), step)));
                }
                assert_eq!(Entry::read(&listing.tombstone()), Some(Entry::Deleted(listing.sku)));
            }
        }
        for text in [
            "drop*1",
            "drop*65",
            "drop*",
            "drop_2",
            "",
            "~",
            "+",
            "+~drop",
            "No.Such",
            "drop>",
            "drop>other",
            "!drop",
            "drop ",
        ] {
            assert_eq!(Entry::read(text), None, "{text}");
        }
    }
}
