//! What a worker remembers of products: their sales and SKUs. A SKU never changes, so one that is remembered is right. A product
//! that had none may get one. The workers of this process look again at once when one of them gives a SKU, and for what other
//! processes do, after a second.

use std::{
    cell::RefCell,
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};

use super::listing::Listing;
use crate::domain::{
    ids::{ProductId, SaleId, Shards},
    sku::Sku,
};

/// Products that a worker remembers. It asks Redis for the others each time.
const REMEMBERED_MAX: usize = 100_000;

pub(super) struct KnownProducts {
    known: RefCell<HashMap<ProductId, (Listing, Moment)>>,
    /// How often the workers of this process gave a product a SKU.
    given: Arc<AtomicU64>,
    started: Instant,
}

/// While this is the same, a product without a SKU has none.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Moment {
    given: u64,
    second: u64,
}

impl KnownProducts {
    pub(super) fn new(given: Arc<AtomicU64>) -> Self {
        Self { known: RefCell::default(), given, started: Instant::now() }
    }

    /// To be taken before the directory is asked.
    pub(super) fn moment(&self) -> Moment {
        Moment { given: self.given.load(Ordering::Acquire), second: self.started.elapsed().as_secs() }
    }

    pub(super) fn sale(&self, product: ProductId) -> Option<(SaleId, Shards)> {
        self.known.borrow().get(&product).map(|(listing, _)| (listing.sale.clone(), listing.shards))
    }

    /// `None` also where the product may have got a SKU since. Where only a second has passed, the first who asks looks, and the
    /// others go on meanwhile.
    pub(super) fn listing(&self, product: ProductId) -> Option<Listing> {
        let (mut known, now) = (self.known.borrow_mut(), self.moment());
        let (listing, at) = known.get_mut(&product)?;
        let is_old = *at != now;
        at.second = now.second;
        (listing.sku.is_some() || !is_old).then(|| listing.clone())
    }

    /// Writes the SKU of a product. Whether it is known.
    pub(super) fn fill(&self, product: ProductId, sku: &mut Option<Sku>) -> bool {
        let listing = self.listing(product);
        if let Some(listing) = &listing {
            sku.clone_from(&listing.sku);
        }
        listing.is_some()
    }

    /// Whether all of these are remembered, be it from a while ago.
    pub(super) fn have(&self, products: &[ProductId]) -> bool {
        let known = self.known.borrow();
        products.iter().all(|product| known.contains_key(product))
    }

    pub(super) fn remember(&self, found: &[(ProductId, Listing)], asked: Moment) {
        let mut known = self.known.borrow_mut();
        for (product, listing) in found {
            if known.len() < REMEMBERED_MAX || known.contains_key(product) {
                known.insert(*product, (listing.clone(), asked));
            }
        }
    }

    pub(super) fn forget(&self, product: ProductId) {
        self.known.borrow_mut().remove(&product);
    }

    /// A product got a SKU. The other workers of this process look again.
    pub(super) fn note_given(&self) {
        self.given.fetch_add(1, Ordering::Release);
    }
}
