//! Moves a product that never sold to another sale. The directory notes where it goes (1), its sale takes it out and keeps its
//! baggage (2), the other sale takes it in (3), and the directory notes that it is there (4). Then the baggage goes (5). After a
//! crash in between, the same call goes on, and so does any other call that deletes or moves the product. Nobody can hold the
//! product between 2 and 4, and it never is in both sales where a worker looks.

use super::{
    Failure, Store,
    change_listing::ListingOutcome,
    delete_product::TRIES,
    ids::IdPart,
    keys::SaleKeys,
    listing::{Listing, ListingChange, Step},
    remove_product::{Move, RemoveOutcome},
};
use crate::domain::{
    act::Act,
    ids::{ProductId, SaleId, Shards},
    outcome::{FindSaleOutcome, MoveProductOutcome},
};

impl Store {
    /// # Errors
    /// [`Failure`]; after a timeout the product may be moved, or on its way. The same call then finishes that.
    pub async fn move_product(&self, id: ProductId, to: &SaleId, act: &Act) -> Result<MoveProductOutcome, Failure> {
        let mut has_begun = false;
        let outcome = self.move_in_steps(id, to, act, &mut has_begun).await;
        if has_begun { outcome.map_err(Failure::after_decision) } else { outcome }
    }

    /// `has_begun`: something may have changed.
    async fn move_in_steps(
        &self,
        id: ProductId,
        to: &SaleId,
        act: &Act,
        has_begun: &mut bool,
    ) -> Result<MoveProductOutcome, Failure> {
        for _ in 0..TRIES {
            let Some((listing, step)) = self.entry_of(id).await? else {
                return Ok(MoveProductOutcome::ProductNotFound);
            };
            *has_begun |= step != Step::None;
            if let Step::Moving { to: target, token } = step {
                // Whoever began it, it ends before anything else begins.
                let ended = self.finish_move(id, &listing, &target, &token, act).await?;
                match ended {
                    Some(outcome) if target == *to => return Ok(outcome),
                    _ => continue,
                }
            }
            if step == Step::Naming {
                // Its sale logs the SKU before it leaves.
                self.finish_naming(id, &listing, act).await?;
                continue;
            }
            if !self.has_product(&listing.sale, id).await? {
                return Ok(MoveProductOutcome::ProductNotFound);
            }
            if listing.sale == *to {
                return Ok(MoveProductOutcome::AlreadyThere);
            }
            if listing.shards.are_several() {
                return Ok(MoveProductOutcome::SaleIsSpread(listing.sale));
            }
            if let Some(refusal) = self.refuses_arrival(&listing.sale, to).await? {
                return Ok(refusal);
            }
            let moving = Step::Moving { to: to.clone(), token: IdPart::random().as_str().to_owned() };
            self.note(id, &listing, &step, &moving).await?;
            *has_begun = true;
        }
        Err(Failure::timed_out("others change the product all the time"))
    }

    /// Asked before the product leaves its sale, so that nearly no product comes back.
    async fn refuses_arrival(&self, from: &SaleId, to: &SaleId) -> Result<Option<MoveProductOutcome>, Failure> {
        let FindSaleOutcome::Found(sale) = self.find_sale(to).await? else {
            return Ok(Some(MoveProductOutcome::SaleNotFound));
        };
        if sale.shards.are_several() {
            return Ok(Some(MoveProductOutcome::SaleIsSpread(sale.id)));
        }
        let own = self.currency_of(from).await?;
        let other = sale.currency.filter(|currency| own != Some(*currency));
        Ok(other.map(|sale_currency| MoveProductOutcome::CurrencyDiffers { sale_currency }))
    }

    /// Goes on with the move that is noted, to its end or back. `None`: somebody else ended it.
    pub(super) async fn finish_move(
        &self,
        id: ProductId,
        listing: &Listing,
        to: &SaleId,
        token: &str,
        act: &Act,
    ) -> Result<Option<MoveProductOutcome>, Failure> {
        let from = &listing.sale;
        let noted = Step::Moving { to: to.clone(), token: token.to_owned() };
        let away = Move { from, to, token };
        let baggage = match self.remove_product(from, id, Some(&away), act).await? {
            RemoveOutcome::Removed(baggage) => baggage,
            // This move did not take it along. If the entry is still that of the move, a deletion that began before did.
            RemoveOutcome::ProductNotFound => {
                let is_first = self.bury(id, listing, &noted).await?;
                return Ok(is_first.then_some(MoveProductOutcome::ProductNotFound));
            }
            RemoveOutcome::HasOrders => return self.stays(id, listing, &noted, MoveProductOutcome::HasOrders).await,
            RemoveOutcome::HasHolds => return self.stays(id, listing, &noted, MoveProductOutcome::HasHolds).await,
        };
        let outcome = if self.arrive_product(id, &away, &baggage, act).await? {
            let there = Listing { sale: to.clone(), shards: Shards::ONE, sku: listing.sku.clone() };
            let (before, after) = (listing.entry(&noted), there.entry(&Step::None));
            let change = ListingChange { product: id, before, after, takes: None, gives_back: None };
            let is_first = self.change_listing(&change).await? == ListingOutcome::Changed;
            is_first.then(|| MoveProductOutcome::Moved { from: from.clone() })
        } else {
            // The other sale got its currency a moment ago.
            let home = format!("{token}-home");
            self.arrive_product(id, &Move { from: to, to: from, token: &home }, &baggage, act).await?;
            let sale_currency = self.currency_of(to).await?.ok_or_else(|| Failure::unreadable("a currency"))?;
            self.stays(id, listing, &noted, MoveProductOutcome::CurrencyDiffers { sale_currency }).await?
        };
        self.forget_product(id, None);
        self.runner.plain(redis::cmd("DEL").arg(SaleKeys(from).baggage(id, token))).await?;
        Ok(outcome)
    }

    /// Notes that the move is over and the product where it was.
    async fn stays(
        &self,
        id: ProductId,
        listing: &Listing,
        noted: &Step,
        why: MoveProductOutcome,
    ) -> Result<Option<MoveProductOutcome>, Failure> {
        Ok(self.note(id, listing, noted, &Step::None).await?.then_some(why))
    }
}
