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
        let mut has_begun = false;
        let outcome = self.delete_in_steps(id, act, &mut has_begun).await;
        if has_begun { outcome.map_err(Failure::after_decision) } else { outcome }
    }

    /// `has_begun`: something may have changed.
    async fn delete_in_steps(
        &self,
        id: ProductId,
        act: &Act,
        has_begun: &mut bool,
    ) -> Result<DeleteProductOutcome, Failure> {
        // Somebody else may note the end of what this call did.
        let mut has_removed = false;
        let gone = |has_removed| {
            if has_removed { DeleteProductOutcome::Deleted } else { DeleteProductOutcome::ProductNotFound }
        };
        for _ in 0..TRIES {
            let Some((listing, step)) = self.entry_of(id).await? else { return Ok(gone(has_removed)) };
            *has_begun |= !matches!(step, Step::None | Step::Naming);
            match &step {
                Step::Moving { to, token } => _ = self.finish_move(id, &listing, to, token, act).await?,
                Step::None | Step::Naming => {
                    // Only what exists: a product that is being made right now is not deleted before it is there.
                    let exists = self.has_product(&listing.sale, id).await?;
                    if has_removed {
                        // What is there was made since. What is not there has no end in the directory yet.
                        if exists || self.bury(id, &listing, &step).await? {
                            return Ok(DeleteProductOutcome::Deleted);
                        }
                        continue;
                    }
                    if !exists {
                        return Ok(DeleteProductOutcome::ProductNotFound);
                    }
                    self.note(id, &listing, &step, &Step::Deleting).await?;
                    *has_begun = true;
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
        match self.remove_everywhere(id, listing, act).await? {
            RemoveOutcome::HasOrders => return self.is_kept(id, listing, DeleteProductOutcome::HasOrders).await,
            RemoveOutcome::HasHolds => return self.is_kept(id, listing, DeleteProductOutcome::HasHolds).await,
            RemoveOutcome::Removed(_) => *has_removed = true,
            RemoveOutcome::ProductNotFound => {}
        }
        Ok(self.bury(id, listing, &Step::Deleting).await?.then_some(DeleteProductOutcome::Deleted))
    }

    /// Takes the product out of its sale: out of the other shards first, which give their units back. Where one has holds or
    /// orders of it, all shards have it again.
    async fn remove_everywhere(&self, id: ProductId, listing: &Listing, act: &Act) -> Result<RemoveOutcome, Failure> {
        let shards = self.spreads.shards(&listing.sale, listing.shards);
        if listing.shards.are_several() {
            self.spreads.finish_loans(&shards, id).await?;
        }
        for shard in shards.iter().skip(1).chain(&shards[..1]) {
            if shard.is_shard() {
                self.spreads.drain(&shards, id, shard).await?;
            }
            let outcome = self.remove_product(shard, id, None, act).await?;
            if matches!(outcome, RemoveOutcome::HasOrders | RemoveOutcome::HasHolds) {
                self.spreads.copy_to_shards(&shards, Some(id)).await?;
                return Ok(outcome);
            }
            if *shard == shards[0] {
                return Ok(outcome);
            }
        }
        Ok(RemoveOutcome::ProductNotFound)
    }

    /// Notes that the product is gone, and frees its SKU. Whether the entry was still that of `noted`.
    pub(super) async fn bury(&self, product: ProductId, listing: &Listing, noted: &Step) -> Result<bool, Failure> {
        let (before, after) = (listing.entry(noted), listing.tombstone());
        self.forget_product(product, listing.sku.as_ref());
        let change = ListingChange { product, before, after, takes: None, gives_back: listing.sku.as_ref() };
        Ok(self.change_listing(&change).await? == ListingOutcome::Changed)
    }

    /// Notes that the deletion is over. `None`: somebody else changed the entry.
    async fn is_kept(
        &self,
        id: ProductId,
        listing: &Listing,
        why: DeleteProductOutcome,
    ) -> Result<Option<DeleteProductOutcome>, Failure> {
        Ok(self.note(id, listing, &Step::Deleting, &Step::None).await?.then_some(why))
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
