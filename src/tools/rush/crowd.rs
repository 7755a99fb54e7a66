//! Who wants what. The product and the customer of a buyer follow from the seed and from the buyer's number, so a request that
//! is sent again means the same, and a seed repeats the whole crowd.

#![allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "shares of a crowd need no more than 53 bits"
)]

use std::{fmt, str::FromStr};

use super::limits::Limits;
use crate::tools::client::seeded_random::SeededRandom;

const EXPONENT_MAX: f64 = 10.0;
/// The steps in which the shares of the products are drawn.
const STEPS: u64 = 1 << 53;
/// An odd number, so that no two buyers have the same choices.
const STRIDE: u64 = 0xD1B5_4A32_D192_ED03;
/// Standard deviations by which a product's buyers may be fewer than on average, and still be enough.
const SPREAD: f64 = 4.0;
/// The part of the crowd that limits may turn away, in the advice on how many buyers to send.
const TURNED_AWAY: f64 = 0.3;

/// How much more the first products are wanted than the last: the nth, by id, as often as `1 / n^exponent`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Popularity {
    exponent: f64,
}

/// What one buyer does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Choice {
    pub buyer: u64,
    /// The product's place in the list of those that are wanted.
    pub product: usize,
    /// `None`: the buyer gives no name.
    pub customer: Option<u64>,
}

/// The crowd of one rush.
pub struct Crowd {
    seed: u64,
    /// The share of each product together with those before it, in steps.
    upto: Vec<u64>,
    /// Customers that buyers are drawn from.
    pub customers: Option<u64>,
}

impl Popularity {
    pub const EVEN: Self = Self { exponent: 0.0 };
    pub const ZIPF: Self = Self { exponent: 1.0 };

    /// The share of each of so many products. Their sum is 1.
    pub fn shares(self, products: usize) -> Vec<f64> {
        let weights: Vec<f64> = (1..=products).map(|rank| (rank as f64).powf(-self.exponent)).collect();
        let all: f64 = weights.iter().sum();
        weights.into_iter().map(|weight| weight / all).collect()
    }

    /// How many buyers it takes for the last unit of every product, and then some.
    pub fn buyers_for(self, units: &[i64]) -> u64 {
        if let [units] = units {
            return round((*units).max(0) as f64 + 1.0);
        }
        let needed = |(units, share): (&i64, f64)| {
            let root = f64::midpoint(SPREAD, SPREAD.mul_add(SPREAD, 4.0 * (*units).max(0) as f64).sqrt());
            root * root / share
        };
        round(units.iter().zip(self.shares(units.len())).map(needed).fold(1.0, f64::max))
    }
}

impl FromStr for Popularity {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let exponent = match text {
            "even" => Some(0.0),
            "zipf" => Some(1.0),
            number => number.parse().ok().filter(|exponent| (0.0..=EXPONENT_MAX).contains(exponent)),
        };
        let exponent = exponent.ok_or_else(|| format!("zipf, even, or an exponent from 0 (even) to {EXPONENT_MAX}"))?;
        Ok(Self { exponent })
    }
}

impl fmt::Display for Popularity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::EVEN => f.write_str("even"),
            Self::ZIPF => f.write_str("zipf"),
            Self { exponent } => write!(f, "{exponent}"),
        }
    }
}

impl Crowd {
    pub fn new(seed: u64, popularity: Popularity, products: usize, customers: Option<u64>) -> Self {
        let mut sum = 0.0;
        let upto = popularity.shares(products).into_iter().map(|share| {
            sum += share;
            (sum * STEPS as f64) as u64
        });
        Self { seed, upto: upto.collect(), customers }
    }

    pub fn choice(&self, buyer: u64) -> Choice {
        let mut random = SeededRandom::new(self.seed.wrapping_add(buyer.wrapping_add(1).wrapping_mul(STRIDE)));
        let drawn = random.below(STEPS);
        let last = self.upto.len().saturating_sub(1);
        Choice {
            buyer,
            product: self.upto.partition_point(|upto| *upto <= drawn).min(last),
            customer: self.customers.map(|customers| random.below(customers)),
        }
    }
}

/// The customers of a crowd, if nobody says how many: few enough that some meet the limits, and enough to take all units. For
/// that half as many units as a limit allows go to each of them, on average. Without limits there is no such number.
pub fn customers_for(buyers: u64, popularity: Popularity, units: &[i64], limits: &Limits) -> Option<u64> {
    let wanted = popularity.shares(units.len()).into_iter().zip(units);
    let given: Vec<f64> = wanted.map(|(share, units)| (buyers as f64 * share).min((*units).max(0) as f64)).collect();
    let needed = limits.scopes().filter_map(|scope| {
        let given: f64 =
            given.iter().enumerate().filter(|(place, _)| limits.applies(scope, *place)).map(|(_, units)| units).sum();
        Some(2.0 * given / limits.of(scope)? as f64)
    });
    needed.reduce(f64::max).map(round)
}

/// The buyers to send where limits turn some of them away.
pub fn buyers_with_limits(buyers: u64) -> u64 {
    round(buyers as f64 / (1.0 - TURNED_AWAY))
}

/// The next number with two figures, which people can type.
fn round(number: f64) -> u64 {
    let number = number.ceil().max(1.0) as u64;
    let mut step = 1;
    while number / step >= 100 {
        step *= 10;
    }
    number.div_ceil(step).saturating_mul(step)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(crowd: &Crowd, buyers: u64) -> Vec<u64> {
        let mut counts = vec![0; crowd.upto.len()];
        (0..buyers).for_each(|buyer| counts[crowd.choice(buyer).product] += 1);
        counts
    }

    #[test]
    fn the_nth_product_is_wanted_as_often_as_the_exponent_says() {
        let crowd = |popularity| counts(&Crowd::new(7, popularity, 4, None), 100_000);
        let near = |count: u64, share: f64| (count as f64 / 100_000.0 - share).abs() < 0.01;
        let zipf = crowd(Popularity::ZIPF);
        assert!(zipf.iter().zip([0.48, 0.24, 0.16, 0.12]).all(|(count, share)| near(*count, share)), "{zipf:?}");
        let even = crowd("even".parse().unwrap());
        assert!(even.iter().all(|count| near(*count, 0.25)), "{even:?}");
        let steep = crowd("2".parse().unwrap());
        assert!(near(steep[0], 0.70) && near(steep[3], 0.04), "{steep:?}");
    }

    #[test]
    fn a_seed_repeats_the_crowd_and_another_one_has_other_wishes() {
        let crowd = |seed| {
            let crowd = Crowd::new(seed, Popularity::ZIPF, 12, Some(50));
            (0..100).map(|buyer| crowd.choice(buyer)).collect::<Vec<_>>()
        };
        assert_eq!(crowd(7), crowd(7));
        assert_ne!(crowd(7), crowd(8));
        assert!(crowd(7).iter().all(|choice| choice.customer.unwrap() < 50));
    }

    #[test]
    fn so_many_buyers_as_it_advises_take_the_last_unit_of_every_product() {
        let units = [40, 40, 40, 20, 20, 20, 10, 10, 10, 5, 5, 1];
        for seed in 0..100 {
            let wanted = counts(&Crowd::new(seed, Popularity::ZIPF, 12, None), Popularity::ZIPF.buyers_for(&units));
            assert!(wanted.iter().zip(units).all(|(wanted, units)| *wanted >= units as u64), "{seed}: {wanted:?}");
        }
    }

    #[test]
    fn what_is_no_popularity_is_refused() {
        for text in ["", "zip", "-1", "11", "NaN", "inf"] {
            assert!(text.parse::<Popularity>().is_err(), "{text}");
        }
        assert_eq!(
            ["zipf", "even", "0", "1", "1.5"].map(|text| text.parse::<Popularity>().unwrap().to_string()),
            ["zipf", "even", "even", "zipf", "1.5"]
        );
    }

    #[test]
    fn numbers_of_people_have_two_figures() {
        assert_eq!([0.2, 7.0, 99.5, 100.0, 101.0, 4_321.0].map(round), [1, 7, 100, 100, 110, 4_400]);
    }
}
