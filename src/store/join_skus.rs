//! Says the SKUs of products, in all answers. No script and no record of an order has them: a SKU never changes, so a worker
//! learns it from the directory, once for each product.

use std::collections::HashMap;

use super::{Failure, Store};
use crate::domain::{
    act::Change,
    event::{About, Event},
    hold::{Hold, PricedLine},
    ids::ProductId,
    order::Order,
    outcome::{HoldOutcome, SettleOutcome},
    product::Product,
    sku::Sku,
};

/// What names products. The visitor gets each of them, with the place of its SKU.
pub(super) trait NamesProducts {
    fn visit(&mut self, visitor: &mut dyn FnMut(ProductId, &mut Option<Sku>));
}

impl Store {
    /// The same, with the SKU of each product that has one. Often what is known was decided just before.
    pub(super) async fn with_skus<T: NamesProducts>(&self, mut of: T) -> Result<T, Failure> {
        let unknown = self.fill(&mut of);
        if !unknown.is_empty() {
            // Boxed, so that the many requests that do not come here are small while they wait.
            let found = Box::pin(self.look_up_products(&unknown)).await.map_err(Failure::after_decision)?;
            let found: HashMap<_, _> = found.into_iter().collect();
            of.visit(&mut |product, sku| {
                if let Some(listing) = found.get(&product) {
                    sku.clone_from(&listing.sku);
                }
            });
        }
        Ok(of)
    }

    /// Fills in what the worker remembers. Answers the other products, each once.
    fn fill(&self, of: &mut impl NamesProducts) -> Vec<ProductId> {
        let (known, mut unknown) = (self.known_products.borrow(), Vec::new());
        of.visit(&mut |product, sku| match known.get(&product) {
            Some(listing) => sku.clone_from(&listing.sku),
            None => unknown.push(product),
        });
        unknown.sort_unstable();
        unknown.dedup();
        unknown
    }
}

impl NamesProducts for PricedLine {
    fn visit(&mut self, visitor: &mut dyn FnMut(ProductId, &mut Option<Sku>)) {
        visitor(self.line.product, &mut self.sku);
    }
}

impl NamesProducts for Product {
    fn visit(&mut self, visitor: &mut dyn FnMut(ProductId, &mut Option<Sku>)) {
        visitor(self.id, &mut self.sku);
    }
}

impl<T: NamesProducts> NamesProducts for Vec<T> {
    fn visit(&mut self, visitor: &mut dyn FnMut(ProductId, &mut Option<Sku>)) {
        self.iter_mut().for_each(|one| one.visit(visitor));
    }
}

impl<T: NamesProducts> NamesProducts for Option<T> {
    fn visit(&mut self, visitor: &mut dyn FnMut(ProductId, &mut Option<Sku>)) {
        self.iter_mut().for_each(|one| one.visit(visitor));
    }
}

impl NamesProducts for Hold {
    fn visit(&mut self, visitor: &mut dyn FnMut(ProductId, &mut Option<Sku>)) {
        self.lines.visit(visitor);
    }
}

impl NamesProducts for Order {
    fn visit(&mut self, visitor: &mut dyn FnMut(ProductId, &mut Option<Sku>)) {
        self.lines.visit(visitor);
    }
}

impl NamesProducts for About {
    fn visit(&mut self, visitor: &mut dyn FnMut(ProductId, &mut Option<Sku>)) {
        match self {
            Self::Order(order) => order.visit(visitor),
            Self::Product(product) => product.visit(visitor),
            Self::Review(_) | Self::Sale(_) | Self::Repair(_) => {}
        }
    }
}

impl NamesProducts for Event {
    fn visit(&mut self, visitor: &mut dyn FnMut(ProductId, &mut Option<Sku>)) {
        self.about.visit(visitor);
        self.before.visit(visitor);
    }
}

impl NamesProducts for Change<Product> {
    fn visit(&mut self, visitor: &mut dyn FnMut(ProductId, &mut Option<Sku>)) {
        self.after.visit(visitor);
        self.before.visit(visitor);
    }
}

impl NamesProducts for HoldOutcome {
    fn visit(&mut self, visitor: &mut dyn FnMut(ProductId, &mut Option<Sku>)) {
        if let Self::Held(hold) | Self::Replayed(hold) = self {
            hold.visit(visitor);
        }
    }
}

impl NamesProducts for SettleOutcome {
    fn visit(&mut self, visitor: &mut dyn FnMut(ProductId, &mut Option<Sku>)) {
        if let Some(settled) = self.settled_mut() {
            settled.order.visit(visitor);
        }
    }
}
