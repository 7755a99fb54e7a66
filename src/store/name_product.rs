//! Changes a product and gives it a SKU, without which it was made. The directory takes the SKU and notes that this began (1),
//! the sale changes the product and logs its SKU (2), and the directory notes that it is done (3), each in a script. The SKU is
//! that of the product from (1) on, for good: workers remember it, so it is never given back. After a crash in between, the same
//! call goes on, and so does a move.

use super::{
    Failure, Store,
    change_listing::ListingOutcome,
    delete_product::TRIES,
    listing::{Listing, ListingChange, Step},
};
use crate::domain::{
    act::Act,
    ids::{ProductId, SaleId},
    money::LINE_TOTAL_MAX,
    outcome::ChangeProductOutcome,
    product::ProductChange,
    quantity::Quantity,
    sku::Sku,
};

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
            match &listing.sku {
                Some(own) if own != sku => return Ok(ChangeProductOutcome::HasSku(own.clone())),
                Some(_) if step != Step::Naming => {
                    return match done {
                        Some(done) => Ok(done),
                        None => self.change_listed(id, change, act).await,
                    };
                }
                Some(_) => {}
                None => match self.take_sku(id, sku, &listing, &step, change).await? {
                    Take::Taken => {}
                    Take::Moved => continue,
                    Take::Refused(outcome) => return Ok(outcome),
                },
            }
            let named = Listing { sku: Some(sku.clone()), ..listing };
            match self.change_product_of((&named.sale, named.shards), id, change, Some(sku), act).await? {
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
                // Somebody else changed the product since the SKU was taken.
                refusal => {
                    self.finish_naming(id, &named, act).await?;
                    return Ok(refusal);
                }
            }
        }
        Err(Failure::timed_out("others change the product all the time"))
    }

    /// Logs the SKU that the directory gave a product, and notes that this is done.
    pub(super) async fn finish_naming(&self, id: ProductId, named: &Listing, act: &Act) -> Result<(), Failure> {
        let nothing = ProductChange::default();
        match self.change_product_of((&named.sale, named.shards), id, &nothing, named.sku.as_ref(), act).await? {
            ChangeProductOutcome::ProductNotFound => self.bury(id, named, &Step::Naming).await?,
            _ => self.note(id, named, &Step::Naming, &Step::None).await?,
        };
        Ok(())
    }

    async fn take_sku(
        &self,
        id: ProductId,
        sku: &Sku,
        listing: &Listing,
        step: &Step,
        change: &ProductChange,
    ) -> Result<Take, Failure> {
        if let Some(refusal) = self.refuses(&listing.sale, id, change).await? {
            return Ok(Take::Refused(refusal));
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

    /// What the sale would refuse. Asked before the SKU is taken, because what is refused changes nothing. A product that is being
    /// made right now gets no SKU before it is there.
    async fn refuses(
        &self,
        sale: &SaleId,
        id: ProductId,
        change: &ProductChange,
    ) -> Result<Option<ChangeProductOutcome>, Failure> {
        let Some(found) = self.stock_of(sale, &[id]).await?.into_iter().next() else {
            return Ok(Some(ChangeProductOutcome::ProductNotFound));
        };
        let (now, _) = found?;
        let price = change.price.unwrap_or(now.price);
        if !price.fits(&now.currency) {
            return Ok(Some(ChangeProductOutcome::PriceTooFine(now.currency)));
        }
        let most = change.max_per_hold.map_or(now.max_per_hold, Quantity::get);
        let is_too_large = price.ten_thousandths().saturating_mul(most) > LINE_TOTAL_MAX;
        Ok(is_too_large.then_some(ChangeProductOutcome::PriceTooLarge))
    }
}

enum Take {
    Taken,
    /// Somebody else changed the entry.
    Moved,
    Refused(ChangeProductOutcome),
}
