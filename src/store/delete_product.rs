//! Deletes a product that never sold. The directory notes that it begins (1), the sale takes the product out (2), and the
//! directory notes that it is done (3), each in a script. After a crash in between, the same call goes on: a product that is
//! noted and that its sale does not have was deleted.

use super::{
    Failure, Store,
    change_listing::ListingOutcome,
    listing::{Listing, ListingChange, Step},
    remove_product::RemoveOutcome,
};
use crate::domain::{
    act::Act,
    ids::{ProductId, SaleId},
    outcome::DeleteProductOutcome,
};

/// Somebody else may change the entry each time.
pub(super) const TRIES: usize = 16;

impl Store {
    /// # Errors
    /// [`Failure`]; after a timeout the product may be deleted. The same call then finishes that.
    pub async fn delete_product(&self, id: ProductId, act: &Act) -> Result<DeleteProductOutcome, Failure> {
        // Somebody else may note the end of what this call did.
        let mut has_removed = false;
        let gone = |has_removed| {
            if has_removed { DeleteProductOutcome::Deleted } else { DeleteProductOutcome::ProductNotFound }
        };
        for _ in 0..TRIES {
            let Some((listing, step)) = self.entry_of(id).await? else { return Ok(gone(has_removed)) };
            match step {
                Step::Moving { to, token } => _ = self.finish_move(id, &listing, &to, &token, act).await?,
                Step::None => {
                    // Only what exists: a product that is being made right now is not deleted before it is there.
                    if !self.has_product(&listing.sale, id).await? {
                        return Ok(gone(has_removed));
                    }
                    self.note(id, &listing, &Step::None, &Step::Deleting).await?;
                }
                Step::Deleting => {
                    if let Some(outcome) = self.end_deletion(id, &listing, act, &mut has_removed).await? {
                        return Ok(outcome);
                    }
                }
            }
        }
        Err(Failure::timed_out("others change the product all the time"))
    }

    /// `None`: somebody else changed the entry.
    async fn end_deletion(
        &self,
        id: ProductId,
        listing: &Listing,
        act: &Act,
        has_removed: &mut bool,
    ) -> Result<Option<DeleteProductOutcome>, Failure> {
        match self.remove_product(&listing.sale, id, None, act).await? {
            RemoveOutcome::HasOrders => return Ok(Some(DeleteProductOutcome::HasOrders)),
            RemoveOutcome::HasHolds => return Ok(Some(DeleteProductOutcome::HasHolds)),
            RemoveOutcome::Removed(_) => *has_removed = true,
            RemoveOutcome::ProductNotFound => {}
        }
        let change = ListingChange {
            product: id,
            before: listing.entry(&Step::Deleting),
            after: listing.tombstone(),
            takes: None,
            gives_back: listing.sku.as_ref(),
        };
        self.forget_product(id, listing.sku.as_ref());
        let is_done = self.change_listing(&change).await? == ListingOutcome::Changed;
        Ok(is_done.then_some(DeleteProductOutcome::Deleted))
    }

    /// Whether the sale has the product.
    pub(super) async fn has_product(&self, sale: &SaleId, id: ProductId) -> Result<bool, Failure> {
        Ok(!self.stock_of(sale, &[id]).await?.is_empty())
    }

    /// Notes a step in the directory. Whether the entry was still that of `before`.
    pub(super) async fn note(
        &self,
        product: ProductId,
        listing: &Listing,
        before: &Step,
        after: &Step,
    ) -> Result<bool, Failure> {
        let (before, after) = (listing.entry(before), listing.entry(after));
        let change = ListingChange { product, before, after, takes: None, gives_back: None };
        Ok(self.change_listing(&change).await? == ListingOutcome::Changed)
    }
}
