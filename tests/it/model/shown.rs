//! Who sees a product in the model: `hidden`, `unlisted` and archived ones, what a hold of them answers, and what a reader gets.

use flashsale::domain::{
    act::Act,
    ids::{ProductId, SaleId},
    outcome::{ChangeProductOutcome, ChangeSaleOutcome, StockOutcome},
    product::ProductChange,
    sale::SaleChange,
    visibility::{Audience, Visibility},
};
use proptest::prelude::*;

use super::{
    machine::SaleTest,
    reference::{HoldRequest, Product, SaleReference, Transition},
};

/// A product of the sale `other`.
const UNSOLD: u64 = 3;

/// A change of who sees what. `Sale` is the sale `drop`.
#[derive(Clone, Copy, Debug)]
pub enum Show {
    Product(u64, Visibility),
    Archive(u64, bool),
    Sale(Visibility),
}

/// What decides who sees a product, beside its sale.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Shown {
    pub visibility: Visibility,
    pub archived: bool,
}

impl Product {
    pub(super) fn new(sale: &'static str, currency: &'static str, total: u64) -> Self {
        Self { sale, currency, total, max_per_customer: None, group: None, shown: Shown::default() }
    }
}

pub(super) fn show() -> impl Strategy<Value = Transition> {
    // Mostly public: nobody holds what is hidden, and then nothing else happens.
    let visibility =
        prop_oneof![8 => Just(Visibility::Public), 1 => Just(Visibility::Unlisted), 1 => Just(Visibility::Hidden)];
    let change = prop_oneof![
        3 => (1_u64..=2, visibility.clone()).prop_map(|(id, seen)| Show::Product(id, seen)),
        // Nobody holds this one.
        4 => prop_oneof![3 => Just(Visibility::Hidden), 1 => Just(Visibility::Unlisted), 1 => Just(Visibility::Public)]
            .prop_map(|seen| Show::Product(UNSOLD, seen)),
        2 => (1_u64..=2, prop::bool::weighted(0.2)).prop_map(|(id, archived)| Show::Archive(id, archived)),
        2 => visibility.prop_map(Show::Sale),
    ];
    let audience = prop::sample::select(vec![Audience::Everybody, Audience::Knowing, Audience::Admins]);
    prop_oneof![
        1 => change.prop_map(Transition::Show),
        1 => (1_u64..=2, audience.clone()).prop_map(|(id, audience)| Transition::See(id, audience)),
        5 => audience.prop_map(|audience| Transition::See(UNSOLD, audience)),
    ]
}

impl SaleReference {
    /// The operation and its outcome.
    pub(super) fn show(&mut self, show: Show) -> (&'static str, String) {
        let (operation, has_changed) = match show {
            Show::Sale(seen) => ("change_sale", std::mem::replace(&mut self.shown, seen) != seen),
            Show::Product(UNSOLD, seen) => {
                self.products.get_mut(&UNSOLD).unwrap().shown.visibility = seen;
                return ("change_product", "changed".into());
            }
            Show::Product(id, seen) => {
                self.reclaim();
                let shown = &mut self.products.get_mut(&id).unwrap().shown;
                ("change_product", std::mem::replace(&mut shown.visibility, seen) != seen)
            }
            Show::Archive(id, archived) => {
                self.reclaim();
                let shown = &mut self.products.get_mut(&id).unwrap().shown;
                ("change_product", std::mem::replace(&mut shown.archived, archived) != archived)
            }
        };
        if has_changed {
            self.wrote();
        }
        (operation, "changed".into())
    }

    /// Who sees the product: the stricter of its own word and that of its sale.
    fn seen(&self, product: u64) -> Visibility {
        let product = &self.products[&product];
        if product.shown.archived {
            return Visibility::Hidden;
        }
        if product.sale == "drop" { product.shown.visibility.max(self.shown) } else { product.shown.visibility }
    }

    /// The first product of the request that nobody may hold, as if it did not exist.
    pub(super) fn hidden_in(&self, request: &HoldRequest) -> Option<String> {
        let hidden = request.lines.keys().find(|product| self.seen(**product) == Visibility::Hidden)?;
        Some(format!("product_not_found {hidden}"))
    }

    /// What a reader gets. That units come back does not depend on who looks.
    pub(super) fn see(&mut self, product: u64, audience: Audience) -> String {
        let stock = self.stock(product);
        if audience.sees(self.seen(product)) { stock } else { "product_not_found".into() }
    }
}

impl SaleTest {
    pub(super) fn show(&self, show: Show) -> String {
        let (id, change) = match show {
            Show::Sale(seen) => {
                let change = SaleChange { visibility: Some(seen), ..SaleChange::default() };
                let sale = SaleId::parse("drop").unwrap();
                let changed = self.runtime.block_on(self.store.change_sale(&sale, &change, &Act::default())).unwrap();
                let ChangeSaleOutcome::Changed(sale) = changed else { panic!("{changed:?}") };
                assert_eq!(sale.after.terms.visibility, seen);
                return "change_sale changed".into();
            }
            Show::Product(id, seen) => (id, ProductChange { visibility: Some(seen), ..ProductChange::default() }),
            Show::Archive(id, archived) => (id, ProductChange { archived: Some(archived), ..ProductChange::default() }),
        };
        let id = ProductId::new(id).unwrap();
        let changed = self.runtime.block_on(self.store.change_product(id, &change, &Act::default())).unwrap();
        let ChangeProductOutcome::Changed(product) = changed else { panic!("{changed:?}") };
        match show {
            Show::Product(_, seen) => assert_eq!(product.after.visibility, seen),
            Show::Archive(_, archived) => assert_eq!(product.after.archived, archived),
            Show::Sale(_) => {}
        }
        "change_product changed".into()
    }

    pub(super) fn see(&self, product: u64, audience: Audience) -> String {
        match self.runtime.block_on(self.store.stock(ProductId::new(product).unwrap(), audience)).unwrap() {
            StockOutcome::Stock(product) => {
                let stock = product.stock;
                let next = product.next_release_ms.map_or(0, |ms| self.offset(ms));
                format!("stock {} {} {} {} next {next}", stock.available, stock.held, stock.pending, stock.sold)
            }
            StockOutcome::ProductNotFound => "product_not_found".into(),
        }
    }
}
