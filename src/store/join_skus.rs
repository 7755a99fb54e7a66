//! Says the SKUs of products, in all answers. No script and no record of an order has them: a SKU never changes, so a worker
//! learns it from the directory, once for each product.

use std::collections::HashMap;

use super::{Failure, Store, listing::Entry};
use crate::domain::{
    act::Change,
    event::{About, Event},
    hold::{Hold, PricedLine},
    ids::ProductId,
    order::Order,
    outcome::{HoldOutcome, OrderOutcome, SettleOutcome},
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
        match self.add_skus(&mut of).await {
            Ok(()) => Ok(of),
            // They had none a while ago, and what was decided does not depend on it.
            Err((unknown, _)) if self.known_products.have(&unknown) => Ok(of),
            Err((_, failure)) => Err(failure.after_decision()),
        }
    }

    /// The same, without the SKUs that cannot be learned now: a provider reads none of them, and must not send its event again for that.
    pub(super) async fn with_known_skus<T: NamesProducts>(&self, mut of: T) -> T {
        if let Err((_, failure)) = self.add_skus(&mut of).await {
            tracing::debug!(cause = %failure, "an answer to an event without SKUs");
        }
        of
    }

    /// # Errors
    /// The products whose SKUs are not known, and why.
    async fn add_skus(&self, of: &mut impl NamesProducts) -> Result<(), (Vec<ProductId>, Failure)> {
        let unknown = self.fill(of);
        if unknown.is_empty() {
            return Ok(());
        }
        // Boxed, so that the many requests that do not come here are small while they wait.
        match Box::pin(self.look_up_skus(&unknown)).await {
            Ok(found) => {
                of.visit(&mut |product, sku| {
                    if let Some(found) = found.get(&product) {
                        sku.clone_from(found);
                    }
                });
                Ok(())
            }
            Err(failure) => Err((unknown, failure)),
        }
    }

    /// The SKUs of these products. A deleted product keeps its SKU in what was said of it before.
    async fn look_up_skus(&self, wanted: &[ProductId]) -> Result<HashMap<ProductId, Option<Sku>>, Failure> {
        let asked = self.known_products.moment();
        let (mut skus, mut listed) = (HashMap::new(), Vec::new());
        for (product, entry) in self.entries_of(wanted).await? {
            let sku = match entry {
                Entry::Product(listing, _) => {
                    listed.push((product, listing.clone()));
                    listing.sku
                }
                Entry::Deleted(sku) => sku,
            };
            skus.insert(product, sku);
        }
        self.known_products.remember(&listed, asked);
        Ok(skus)
    }

    /// Fills in what the worker remembers. Answers the other products, each once.
    fn fill(&self, of: &mut impl NamesProducts) -> Vec<ProductId> {
        let mut unknown = Vec::new();
        of.visit(&mut |product, sku| {
            if !self.known_products.fill(product, sku) {
                unknown.push(product);
            }
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

impl NamesProducts for OrderOutcome {
    fn visit(&mut self, visitor: &mut dyn FnMut(ProductId, &mut Option<Sku>)) {
        match self {
            Self::Created(order) | Self::Exists(order) => order.visit(visitor),
            Self::HoldExpired => {}
        }
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
        if !self.gives_sku {
            self.before.visit(visitor);
        }
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
