//! Limits for each customer in the model, and how the store gets them.

use std::collections::BTreeSet;

use flashsale::domain::{
    act::Act,
    ids::{ProductId, SaleId},
    limits::{CustomerLimit, Group},
    outcome::{ChangeProductOutcome, ChangeSaleOutcome},
    product::ProductChange,
    quantity::Quantity,
    sale::SaleChange,
};
use proptest::prelude::*;

use super::{
    machine::SaleTest,
    reference::{HoldRequest, SaleReference, WAITING},
};

/// A change of a limit in the sale `drop`. `None` takes it away.
#[derive(Clone, Debug)]
pub enum Limit {
    /// The units of a product that a customer may have.
    Product(u64, Option<u64>),
    /// The group of a product.
    Group(u64, Option<&'static str>),
    Sale(SaleLimits),
}

/// The limits of a sale for each customer.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SaleLimits {
    pub per_customer: Option<u64>,
    pub per_group: Option<u64>,
}

pub(super) fn limit() -> impl Strategy<Value = Limit> {
    let most = |least: u64, most: u64| prop::option::weighted(0.4, least..=most);
    prop_oneof![
        3 => (1_u64..=2, most(1, 3)).prop_map(|(id, most)| Limit::Product(id, most)),
        3 => (1_u64..=2, prop::option::weighted(0.8, prop::sample::select(vec!["a", "a", "b"])))
            .prop_map(|(id, group)| Limit::Group(id, group)),
        4 => (most(3, 6), prop::option::weighted(0.7, 1_u64..=2)).prop_map(|(per_customer, per_group)| Limit::Sale(SaleLimits { per_customer, per_group })),
    ]
}

/// What a limit counts.
struct Counted {
    name: String,
    most: u64,
    products: BTreeSet<u64>,
}

impl SaleReference {
    /// The operation and its outcome.
    pub(super) fn limit(&mut self, limit: &Limit) -> (&'static str, String) {
        let has_changed = match *limit {
            Limit::Sale(limits) => {
                if self.limits != limits {
                    self.wrote();
                }
                self.limits = limits;
                return ("change_sale", "changed".into());
            }
            Limit::Product(product, most) => {
                self.reclaim();
                std::mem::replace(&mut self.products.get_mut(&product).unwrap().max_per_customer, most) != most
            }
            Limit::Group(product, group) => {
                self.reclaim();
                std::mem::replace(&mut self.products.get_mut(&product).unwrap().group, group) != group
            }
        };
        if has_changed {
            self.wrote();
        }
        ("change_product", "changed".into())
    }

    /// Why the limits for each customer refuse a hold, if they do.
    pub(super) fn limit_refusal(&self, request: &HoldRequest) -> Option<String> {
        for Counted { name, most, products } in self.limits_of(request) {
            if !request.customer {
                return Some(format!("customer_id_required {name}"));
            }
            let wanted: u64 = products.iter().filter_map(|product| request.lines.get(product)).sum();
            let left = most.saturating_sub(self.customer_has(&products));
            if wanted > left {
                return Some(format!("customer_limit_reached {name} {most} {left}"));
            }
        }
        None
    }

    /// In order of precedence.
    fn limits_of(&self, request: &HoldRequest) -> Vec<Counted> {
        let mut limits = Vec::new();
        for product in request.lines.keys() {
            if let Some(most) = self.products[product].max_per_customer {
                limits.push(Counted { name: format!("product {product}"), most, products: [*product].into() });
            }
        }
        if let Some(most) = self.limits.per_group {
            let mut groups: Vec<&str> = Vec::new();
            for group in request.lines.keys().filter_map(|product| self.products[product].group) {
                if !groups.contains(&group) {
                    groups.push(group);
                }
            }
            limits.extend(groups.into_iter().map(|group| {
                let of_group = self.products.iter().filter(|(_, product)| product.group == Some(group));
                Counted { name: format!("group {group}"), most, products: of_group.map(|(id, _)| *id).collect() }
            }));
        }
        if let Some(most) = self.limits.per_customer {
            limits.push(Counted { name: "sale".into(), most, products: self.products.keys().copied().collect() });
        }
        limits
    }

    /// The units that the one customer has of these products, in live holds, pending orders and paid orders.
    fn customer_has(&self, products: &BTreeSet<u64>) -> u64 {
        let alive = (0..self.holds.len()).filter(|at| self.alive(*at) && self.holds[*at].customer);
        let held = alive.map(|at| &self.holds[at].lines);
        let orders = self.orders.iter().filter(|(at, _)| self.holds.get(**at).is_some_and(|hold| hold.customer));
        let counts = orders
            .map(|(_, order)| order)
            .filter(|order| order.status == "paid" || WAITING.contains(&order.status) && self.now() <= order.due);
        let lines = held.chain(counts.map(|order| &order.lines)).flatten();
        lines.filter(|(product, _)| products.contains(*product)).map(|(_, units)| units).sum()
    }
}

impl SaleTest {
    pub(super) fn limit(&self, limit: &Limit) -> String {
        let quantity = |most: Option<u64>| most.map(|most| Quantity::new(most).unwrap());
        let (id, change) = match *limit {
            Limit::Product(id, most) => {
                (id, ProductChange { max_per_customer: Some(quantity(most)), ..ProductChange::default() })
            }
            Limit::Group(id, group) => {
                let group = group.map(|name| Group::parse(name).unwrap());
                (id, ProductChange { group: Some(group), ..ProductChange::default() })
            }
            Limit::Sale(SaleLimits { per_customer, per_group }) => {
                let (max_per_customer, max_per_group) = (quantity(per_customer), quantity(per_group));
                let change = SaleChange {
                    max_per_customer: Some(max_per_customer),
                    max_per_group: Some(max_per_group),
                    ..SaleChange::default()
                };
                let sale = SaleId::parse("drop").unwrap();
                let changed = self.runtime.block_on(self.store.change_sale(&sale, &change, &Act::default())).unwrap();
                let ChangeSaleOutcome::Changed(sale) = changed else { panic!("{changed:?}") };
                let sale = sale.after;
                assert_eq!((sale.terms.max_per_customer, sale.terms.max_per_group), (max_per_customer, max_per_group));
                return "change_sale changed".into();
            }
        };
        let changed =
            self.runtime.block_on(self.store.change_product(ProductId::new(id).unwrap(), &change, &Act::default()));
        let changed = changed.unwrap();
        let ChangeProductOutcome::Changed(product) = changed else { panic!("{changed:?}") };
        let product = product.after;
        match limit {
            Limit::Product(_, most) => assert_eq!(product.max_per_customer, *most),
            Limit::Group(_, group) => assert_eq!(product.group.as_ref().map(Group::as_str), *group),
            Limit::Sale(_) => {}
        }
        "change_product changed".into()
    }
}

pub(super) fn limit_text(limit: &CustomerLimit) -> String {
    match limit {
        CustomerLimit::Product(id) => format!("product {id}"),
        CustomerLimit::Group(group) => format!("group {}", group.as_str()),
        CustomerLimit::Sale => "sale".into(),
    }
}
