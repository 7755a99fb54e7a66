//! Changes a product and gives it a SKU, without which it was made. The directory takes the SKU and notes that this began (1),
//! the sale changes the product and logs its SKU (2), and the directory notes that it is done (3), each in a script. The SKU is
//! that of the product from (1) on. After a crash in between, the same call goes on.

use super::{
    Failure, Store,
    change_listing::ListingOutcome,
    delete_product::TRIES,
    listing::{Listing, ListingChange, Step},
};
use crate::domain::{act::Act, ids::ProductId, outcome::ChangeProductOutcome, product::ProductChange, sku::Sku};

impl Store {
    /// # Errors
    /// As [`Store::change_product`].
    pub(super) async fn change_and_name(
        &self,
        id: ProductId,
        sku: &Sku,
        change: &ProductChange,
        act: &Act,
    ) -> Result<ChangeProductOutcome, Failure> {
        // Somebody else may change the entry after this call did all that it should.
        let mut done = None;
        for _ in 0..TRIES {
            let Some((listing, step)) = self.entry_of(id).await? else {
                return Ok(done.unwrap_or(ChangeProductOutcome::ProductNotFound));
            };
            if let Step::Moving { to, token } = &step {
                // It ends first, so that the entry is that of one sale.
                self.finish_move(id, &listing, to, token, act).await?;
                continue;
            }
            let has_taken = match &listing.sku {
                Some(own) if own != sku => return Ok(ChangeProductOutcome::HasSku(own.clone())),
                Some(_) if step != Step::Naming => {
                    return match done {
                        Some(done) => Ok(done),
                        None => self.change_listed(id, change, act).await,
                    };
                }
                Some(_) => false,
                None => match self.take_sku(id, sku, &listing, &step).await? {
                    Take::Taken => true,
                    Take::Moved => continue,
                    Take::Refused(outcome) => return Ok(outcome),
                },
            };
            let named = Listing { sku: Some(sku.clone()), ..listing };
            match self.change_product_of(&named.sale, id, change, Some(sku), act).await? {
                ChangeProductOutcome::ProductNotFound => {
                    if self.bury(id, &named, &Step::Naming).await? {
                        return Ok(ChangeProductOutcome::ProductNotFound);
                    }
                }
                outcome @ ChangeProductOutcome::Changed(_) => {
                    let outcome = done.take().unwrap_or(outcome);
                    if self.note(id, &named, &Step::Naming, &Step::None).await? {
                        return Ok(outcome);
                    }
                    done = Some(outcome);
                }
                refusal => {
                    if has_taken {
                        self.give_back(id, &named).await?;
                    }
                    return Ok(refusal);
                }
            }
        }
        Err(Failure::timed_out("others change the product all the time"))
    }

    async fn take_sku(&self, id: ProductId, sku: &Sku, listing: &Listing, step: &Step) -> Result<Take, Failure> {
        // A product that is being made right now gets no SKU before it is there.
        if !self.has_product(&listing.sale, id).await? {
            return Ok(Take::Refused(ChangeProductOutcome::ProductNotFound));
        }
        let named = Listing { sku: Some(sku.clone()), ..listing.clone() };
        let (before, after) = (listing.entry(step), named.entry(&Step::Naming));
        let taken = self
            .change_listing(&ListingChange { product: id, before, after, takes: Some(sku), gives_back: None })
            .await;
        // Also after a failure: the SKU may be taken.
        self.forget_product(id, Some(sku));
        self.known_products.note_given();
        Ok(match taken? {
            ListingOutcome::Changed => Take::Taken,
            ListingOutcome::Moved => Take::Moved,
            ListingOutcome::AlreadyExists(other) => Take::Refused(ChangeProductOutcome::SkuTaken(other)),
        })
    }

    /// What is refused changes nothing.
    async fn give_back(&self, id: ProductId, named: &Listing) -> Result<(), Failure> {
        let unnamed = Listing { sku: None, ..named.clone() };
        let (before, after) = (named.entry(&Step::Naming), unnamed.entry(&Step::None));
        let change = ListingChange { product: id, before, after, takes: None, gives_back: named.sku.as_ref() };
        self.change_listing(&change).await?;
        self.forget_product(id, named.sku.as_ref());
        Ok(())
    }
}

enum Take {
    Taken,
    /// Somebody else changed the entry.
    Moved,
    Refused(ChangeProductOutcome),
}
