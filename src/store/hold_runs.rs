//! Runs of a batch of holds: those that ask for the same. The script decides and answers a run as one.

use std::{borrow::Borrow, collections::HashMap};

use super::hold::HoldItem;
use crate::domain::ids::ProductId;

/// The runs of a batch, and which of its holds are in each.
///
/// Holds are decided in the order of their arrival, and a hold is decided in its run, so it may join an earlier run only where
/// nobody can see that. Most holds are *plain*: they ask for units of one product and nothing else. A plain hold joins the
/// last run about its product, if that asks for as many units, and no hold came in between that is not plain.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Runs {
    /// Places of holds in the batch, run after run, and in each in the order of their arrival.
    places: Vec<usize>,
    /// The number of holds of each run.
    sizes: Vec<usize>,
}

impl Runs {
    pub(super) fn of(items: &[impl Borrow<HoldItem>]) -> Self {
        // Nearly every call of an idle service.
        if let [_lone] = items {
            return Self { places: vec![0], sizes: vec![1] };
        }
        let mut run_of: Vec<usize> = Vec::with_capacity(items.len());
        let mut sizes: Vec<usize> = Vec::new();
        // The last run about a product, and how many units a hold of it asks for.
        let mut joinable: HashMap<ProductId, (usize, u64)> = HashMap::new();
        for (place, item) in items.iter().map(Borrow::borrow).enumerate() {
            let next = sizes.len();
            let run = if let Some((product, units)) = item.plain() {
                let last = joinable.entry(product).or_insert((next, units));
                if last.1 != units {
                    *last = (next, units);
                }
                last.0
            } else {
                joinable.clear();
                let before = place.checked_sub(1).filter(|before| items[*before].borrow().asks_as(item));
                before.map_or(next, |before| run_of[before])
            };
            if run == next {
                sizes.push(0);
            }
            sizes[run] += 1;
            run_of.push(run);
        }
        let mut places: Vec<usize> = (0..items.len()).collect();
        places.sort_by_key(|place| run_of[*place]);
        Self { places, sizes }
    }

    /// Places of holds in the batch, in the order in which they are decided.
    pub(super) fn places(&self) -> &[usize] {
        &self.places
    }

    pub(super) fn len(&self) -> usize {
        self.sizes.len()
    }

    /// The places of the holds of each run.
    pub(super) fn iter(&self) -> impl Iterator<Item = &[usize]> {
        let mut rest = &*self.places;
        self.sizes.iter().map(move |size| {
            let (run, behind) = rest.split_at(*size);
            rest = behind;
            run
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        hold::{HoldCommand, Line, Lines},
        quantity::Quantity,
        text::{CustomerId, IdempotencyKey},
    };

    fn lines(asked: &[(u64, u64)]) -> HoldCommand {
        let line = |(product, units): &(u64, u64)| Line {
            product: ProductId::new(*product).unwrap(),
            quantity: Quantity::new(*units).unwrap(),
        };
        let lines = Lines::new(asked.iter().map(line).collect()).unwrap();
        HoldCommand { lines, customer: None, metadata: None, hold_ms: None, idempotency_key: None }
    }

    fn of_customer(asked: &[(u64, u64)]) -> HoldCommand {
        HoldCommand { customer: CustomerId::parse("ann"), ..lines(asked) }
    }

    fn runs(commands: &[HoldCommand]) -> Vec<Vec<usize>> {
        let items: Vec<_> = commands.iter().cloned().map(HoldItem::of).collect();
        Runs::of(&items).iter().map(<[usize]>::to_vec).collect()
    }

    #[test]
    fn plain_holds_of_a_product_are_one_run_though_others_came_between() {
        let asked = [1, 2, 1, 3, 2, 1].map(|product| lines(&[(product, 1)]));
        assert_eq!(runs(&asked), [vec![0, 2, 5], vec![1, 4], vec![3]]);
    }

    #[test]
    fn a_hold_never_overtakes_one_that_asks_for_the_same_product_in_another_way() {
        let [one, two, both] = [lines(&[(1, 1)]), lines(&[(1, 2)]), lines(&[(1, 1), (2, 1)])];
        assert_eq!(runs(&[one.clone(), two.clone(), one.clone(), two]), [[0], [1], [2], [3]]);
        assert_eq!(runs(&[one.clone(), both, one.clone()]), [[0], [1], [2]]);
        assert_eq!(runs(&[one.clone(), of_customer(&[(2, 1)]), one]), [[0], [1], [2]]);
    }

    #[test]
    fn neighbours_that_ask_for_the_same_are_a_run_and_holds_with_a_key_never_are() {
        let keyed = HoldCommand { idempotency_key: IdempotencyKey::parse("k"), ..lines(&[(1, 1)]) };
        let ann = of_customer(&[(1, 1)]);
        assert_eq!(runs(&[ann.clone(), ann, keyed.clone(), keyed]), [vec![0, 1], vec![2], vec![3]]);
    }

    /// Which holds get their units, of so many of each product, if they are decided in this order.
    fn granted(order: impl IntoIterator<Item = usize>, commands: &[HoldCommand], units: u64) -> Vec<bool> {
        let mut left = [units; 4];
        let mut granted = vec![false; commands.len()];
        for place in order {
            let asked = commands[place].lines.as_slice();
            let units = |line: &Line| line.quantity.get();
            let at = |line: &Line| usize::try_from(line.product.get()).unwrap();
            granted[place] = asked.iter().all(|line| units(line) <= left[at(line)]);
            if granted[place] {
                asked.iter().for_each(|line| left[at(line)] -= units(line));
            }
        }
        granted
    }

    #[test]
    fn everyone_gets_what_the_order_of_arrival_gives() {
        let mut seed = 7_u64;
        let mut any = |below: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % below
        };
        for _ in 0..2_000 {
            let commands: Vec<_> = (0..12)
                .map(|_| match any(8) {
                    0 => lines(&[(1 + any(3), 1), (1 + any(3), 1 + any(2))]),
                    1 => of_customer(&[(1 + any(3), 1 + any(2))]),
                    _ => lines(&[(1 + any(3), 1 + any(2))]),
                })
                .collect();
            let order: Vec<_> = runs(&commands).concat();
            for units in 0..6 {
                let in_runs = granted(order.iter().copied(), &commands, units);
                assert_eq!(in_runs, granted(0..commands.len(), &commands, units), "{order:?} {commands:?}");
            }
        }
    }
}
