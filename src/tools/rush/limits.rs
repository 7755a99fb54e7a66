//! What one customer may have, by the terms that the service shows, and what each had by its answers.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::Deserialize;

use super::{crowd::Choice, figures::thousands, products::WantedProduct, proof::Check};

/// Refusals for a limit that are kept to be checked. The rest is counted.
const REFUSALS_MAX: usize = 100_000;

/// The limits that a sale sets itself, as far as the service shows them.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(default)]
pub struct SaleLimits {
    max_per_customer: Option<u64>,
    max_per_group: Option<u64>,
}

/// What a limit counts together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// One product, by its place.
    Product(u32),
    /// All products of one group, by its place.
    Group(u32),
    Sale,
}

/// All limits of one rush.
#[derive(Clone, Debug, Default)]
pub struct Limits {
    products: Vec<Option<u64>>,
    /// The place of each product's group.
    groups: Vec<Option<u32>>,
    groups_known: u32,
    sale: SaleLimits,
    /// Whether the terms of the sale could be read, so that no limit is unknown.
    pub are_whole: bool,
}

impl Limits {
    /// Without the terms of the sale only the limits of the products are known.
    pub fn new(products: &[WantedProduct], sale: Option<SaleLimits>) -> Self {
        let mut places = BTreeMap::new();
        let groups = products.iter().map(|product| {
            let next = u32::try_from(places.len()).unwrap_or(u32::MAX);
            product.group.as_ref().map(|group| *places.entry(group).or_insert(next))
        });
        let groups = groups.collect();
        let set = |limit: Option<u64>| limit.filter(|units| *units > 0);
        let of_sale = sale.unwrap_or_default();
        Self {
            products: products.iter().map(|product| set(product.max_per_customer)).collect(),
            groups,
            groups_known: u32::try_from(places.len()).unwrap_or(u32::MAX),
            sale: SaleLimits {
                max_per_customer: set(of_sale.max_per_customer),
                max_per_group: set(of_sale.max_per_group),
            },
            are_whole: sale.is_some(),
        }
    }

    /// The units that a customer may have of all that the scope counts.
    pub fn of(&self, scope: Scope) -> Option<u64> {
        match scope {
            Scope::Product(at) => self.products.get(at as usize).copied().flatten(),
            Scope::Group(_) => self.sale.max_per_group,
            Scope::Sale => self.sale.max_per_customer,
        }
    }

    /// All scopes with a limit.
    pub fn scopes(&self) -> impl Iterator<Item = Scope> {
        let products = (0..u32::try_from(self.products.len()).unwrap_or(u32::MAX)).map(Scope::Product);
        let all = products.chain((0..self.groups_known).map(Scope::Group)).chain([Scope::Sale]);
        all.filter(|scope| self.of(*scope).is_some())
    }

    pub fn applies(&self, scope: Scope, product: usize) -> bool {
        match scope {
            Scope::Product(at) => at as usize == product,
            Scope::Group(at) => self.groups.get(product).copied().flatten() == Some(at),
            Scope::Sale => true,
        }
    }

    /// The scopes with a limit that count a unit of this product.
    fn scopes_of(&self, product: usize) -> impl Iterator<Item = Scope> {
        let group = self.groups.get(product).copied().flatten().map(Scope::Group);
        let own = u32::try_from(product).ok().map(Scope::Product);
        [own, group, Some(Scope::Sale)].into_iter().flatten().filter(|scope| self.of(*scope).is_some())
    }
}

/// What customers got and were refused. Grows with what is granted.
#[derive(Default)]
pub struct CustomerUnits {
    limits: Limits,
    granted: HashMap<(u64, Scope), u64>,
    /// Customers who may have more than they were granted.
    in_doubt: HashSet<u64>,
    refused: HashSet<(u64, usize)>,
    pub refusals: u64,
}

impl CustomerUnits {
    pub fn new(limits: Limits) -> Self {
        Self { limits, ..Self::default() }
    }

    pub fn record_granted(&mut self, choice: Choice) {
        let Some(customer) = choice.customer else { return };
        for scope in self.limits.scopes_of(choice.product) {
            *self.granted.entry((customer, scope)).or_default() += 1;
        }
    }

    pub fn record_refused(&mut self, choice: Choice) {
        self.refusals += 1;
        if let Some(customer) = choice.customer.filter(|_| self.refused.len() < REFUSALS_MAX) {
            self.refused.insert((customer, choice.product));
        }
    }

    pub fn record_unknown(&mut self, choice: Choice) {
        self.in_doubt.extend(choice.customer);
    }

    pub fn has_limits(&self) -> bool {
        self.limits.scopes().next().is_some()
    }

    /// The checks that the limits allow. Units that came back meanwhile leave nothing to compare.
    pub fn checks(&self, some_lapsed: bool) -> Vec<Check> {
        if some_lapsed || !self.has_limits() {
            return Vec::new();
        }
        let mut checks = vec![self.kept()];
        if self.limits.are_whole {
            checks.push(self.reached());
        }
        checks
    }

    /// No customer has more than a limit allows.
    fn kept(&self) -> Check {
        let above =
            self.granted.iter().filter(|((_, scope), units)| self.limits.of(*scope).is_some_and(|most| **units > most));
        let above = above.count();
        let most = |name: &str, is_kind: fn(Scope) -> bool| {
            let units = self.granted.iter().filter(|((_, scope), _)| is_kind(*scope)).map(|(_, units)| *units).max();
            let known = self.limits.scopes().any(is_kind);
            known.then(|| format!("at most {} of a {name}", thousands(units.unwrap_or_default())))
        };
        let kinds = [
            most("product", |scope| matches!(scope, Scope::Product(_))),
            most("group", |scope| matches!(scope, Scope::Group(_))),
            most("sale", |scope| scope == Scope::Sale),
        ];
        let kinds = kinds.into_iter().flatten().collect::<Vec<_>>().join(", ");
        let count = match above {
            0 => format!("{} refused", thousands(self.refusals)),
            above => format!("{} have more", thousands(above)),
        };
        Check { name: "no customer has more than a limit allows", ok: above == 0, detail: format!("{count}, {kinds}") }
    }

    /// Whoever met a limit had reached it.
    fn reached(&self) -> Check {
        let is_full = |customer: u64, product: usize| {
            self.limits.scopes_of(product).any(|scope| {
                let units = self.granted.get(&(customer, scope)).copied().unwrap_or_default();
                self.limits.of(scope).is_some_and(|most| units >= most)
            })
        };
        let known = self.refused.iter().filter(|(customer, _)| !self.in_doubt.contains(customer));
        let early = known.filter(|(customer, product)| !is_full(*customer, *product)).count();
        Check {
            name: "who met a limit had reached it",
            ok: early == 0,
            detail: format!("{} of {} refusals came too early", thousands(early), thousands(self.refused.len())),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn product(group: &str) -> WantedProduct {
        let product = json!({"id": 1, "group": group, "max_per_customer": 3, "total_stock": 9, "available_stock": 9,
            "held_stock": 0, "pending_stock": 0, "sold_stock": 0});
        serde_json::from_value(product).unwrap()
    }

    /// Two products of group a and one of b: three of a product, two of a group, four in all.
    fn units(refused: &[(u64, usize)], granted: &[(u64, usize)]) -> Vec<bool> {
        let sale = serde_json::from_value(json!({"id": "s", "max_per_customer": 4, "max_per_group": 2})).unwrap();
        let mut units = CustomerUnits::new(Limits::new(&[product("a"), product("a"), product("b")], Some(sale)));
        let choice = |(customer, product)| Choice { buyer: 0, product, customer: Some(customer) };
        granted.iter().for_each(|one| units.record_granted(choice(*one)));
        refused.iter().for_each(|one| units.record_refused(choice(*one)));
        units.checks(false).iter().map(|check| check.ok).collect()
    }

    #[test]
    fn limits_of_product_group_and_sale_are_counted_together_and_apart() {
        assert_eq!(units(&[(1, 0), (1, 1)], &[(1, 0), (1, 1), (1, 2), (1, 2)]), [true, true]);
        assert_eq!(units(&[], &[(1, 0), (1, 0), (1, 1)]), [false, true], "three of group a");
        assert_eq!(units(&[], &[(1, 0), (2, 0), (1, 2), (2, 1), (2, 2), (1, 2), (2, 2)]), [true, true]);
        assert_eq!(units(&[], &[(1, 0), (1, 1), (1, 2), (1, 2), (1, 2)]), [false, true], "five in all");
        assert_eq!(units(&[(1, 2)], &[(1, 0), (1, 1)]), [true, false], "two of four, and none of group b");
        assert_eq!(units(&[(2, 0)], &[(1, 0), (1, 1)]), [true, false], "another customer");
    }
}
