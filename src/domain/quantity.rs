//! How many units.

/// Units of one product: 1 to 1,000,000. The scripts have the same bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Quantity(u32);

impl Quantity {
    pub const MAX: u64 = 1_000_000;

    pub fn new(units: u64) -> Option<Self> {
        (1..=Self::MAX).contains(&units).then(|| Self(u32::try_from(units).unwrap_or(u32::MAX)))
    }

    /// The sum of two lines of the same product. `None` above the bound.
    pub fn plus(self, other: Self) -> Option<Self> {
        Self::new(u64::from(self.0) + u64::from(other.0))
    }

    pub fn get(self) -> u64 {
        u64::from(self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantity_is_the_number_that_it_was_made_of_and_a_sum_has_the_same_bound() {
        for units in [1, 7, Quantity::MAX] {
            assert_eq!(Quantity::new(units).map(Quantity::get), Some(units));
        }
        for units in [0, Quantity::MAX + 1, u64::MAX] {
            assert_eq!(Quantity::new(units), None);
        }
        let [one, most] = [1, Quantity::MAX].map(|units| Quantity::new(units).unwrap());
        assert_eq!(one.plus(one).map(Quantity::get), Some(2));
        assert_eq!(one.plus(most), None);
    }
}
