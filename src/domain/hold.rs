//! Holds: units set aside for a buyer until a deadline.

use super::{
    ids::{HoldId, ProductId},
    metadata::Metadata,
    money::{Amount, Currency},
    quantity::Quantity,
    sku::{Sku, SkuLine},
    text::{CustomerId, IdempotencyKey},
};

/// Units of one product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    pub product: ProductId,
    pub quantity: Quantity,
}

/// A line, with the price of one unit when the hold was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PricedLine {
    pub line: Line,
    /// That of the product, where it has one.
    pub sku: Option<Sku>,
    pub price: Amount,
}

/// What one hold asks for: 1 to 16 lines, each product once, in the order of their product ids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lines(Vec<Line>);

/// Why lines cannot be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinesError {
    #[error("a hold has 1 to 16 products")]
    Count,
    #[error("the lines of one product are too many units")]
    TooManyUnits,
}

impl Lines {
    pub const MAX: usize = 16;

    /// Sums lines of the same product and sorts, so that equal requests are equal values.
    ///
    /// # Errors
    /// See [`LinesError`].
    pub fn new(mut lines: Vec<Line>) -> Result<Self, LinesError> {
        lines.sort_by_key(|line| line.product);
        let mut summed: Vec<Line> = Vec::with_capacity(lines.len());
        for line in lines {
            match summed.last_mut() {
                Some(last) if last.product == line.product => {
                    last.quantity = last.quantity.plus(line.quantity).ok_or(LinesError::TooManyUnits)?;
                }
                _ => summed.push(line),
            }
        }
        let fits = (1..=Self::MAX).contains(&summed.len());
        fits.then_some(Self(summed)).ok_or(LinesError::Count)
    }

    pub fn as_slice(&self) -> &[Line] {
        &self.0
    }
}

/// A request for a hold.
#[derive(Clone, Debug)]
pub struct HoldCommand {
    pub lines: Lines,
    pub customer: Option<CustomerId>,
    pub metadata: Option<Metadata>,
    /// The length that the buyer asks for, which the sale caps. `None`: the sale's own length.
    pub hold_ms: Option<u64>,
    pub idempotency_key: Option<IdempotencyKey>,
}

/// A request for a hold that names some products by their SKUs.
#[derive(Clone, Debug)]
pub struct HoldBySku {
    pub by_id: Vec<Line>,
    pub by_sku: Vec<SkuLine>,
    pub customer: Option<CustomerId>,
    pub metadata: Option<Metadata>,
    pub hold_ms: Option<u64>,
    pub idempotency_key: Option<IdempotencyKey>,
}

impl HoldBySku {
    /// The same request with these lines, which are all its products.
    #[must_use]
    pub fn of_lines(self, lines: Lines) -> HoldCommand {
        let Self { customer, metadata, hold_ms, idempotency_key, .. } = self;
        HoldCommand { lines, customer, metadata, hold_ms, idempotency_key }
    }
}

/// A hold. Times are epoch milliseconds of the Redis clock.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hold {
    pub id: HoldId,
    /// What is paid for it, whatever the prices become.
    pub lines: Vec<PricedLine>,
    pub currency: Currency,
    pub customer: Option<CustomerId>,
    pub metadata: Option<Metadata>,
    pub deadline_ms: i64,
    /// The time of the answer.
    pub now_ms: i64,
}

impl Hold {
    /// What its order will cost.
    pub fn total(&self) -> Amount {
        let lines = self.lines.iter().map(|PricedLine { line, price, .. }| price.times(line.quantity.get()));
        Amount::from_ten_thousandths(lines.map(Amount::ten_thousandths).sum())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(product: u64, units: u64) -> Line {
        Line { product: ProductId::new(product).unwrap(), quantity: Quantity::new(units).unwrap() }
    }

    #[test]
    fn lines_of_one_product_are_summed_whatever_their_order() {
        let one = Lines::new(vec![line(2, 1), line(1, 2), line(2, 3)]).unwrap();
        assert_eq!(one.as_slice(), [line(1, 2), line(2, 4)]);
    }

    #[test]
    fn no_lines_and_too_many_lines_are_refused() {
        assert_eq!(Lines::new(vec![]), Err(LinesError::Count));
        assert_eq!(Lines::new((1..=17).map(|p| line(p, 1)).collect()), Err(LinesError::Count));
        assert!(Lines::new((1..=40).map(|_| line(1, 1)).collect()).is_ok());
        assert_eq!(Lines::new(vec![line(1, 1_000_000), line(1, 1)]), Err(LinesError::TooManyUnits));
    }
}
