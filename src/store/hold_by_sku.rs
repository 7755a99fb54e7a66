//! Holds of products that are named by their SKUs. The directory knows their ids, and the rest is a hold like any other.

use super::{Failure, Store};
use crate::domain::{
    hold::{HoldBySku, Line, Lines},
    outcome::{HoldBySkuOutcome, HoldOutcome},
    sku::SkuLine,
};

impl Store {
    /// # Errors
    /// As [`Store::hold`].
    pub async fn hold_by_sku(&self, request: HoldBySku) -> Result<HoldBySkuOutcome, Failure> {
        let decided = self.hold_of_skus(&request).await?;
        let is_missing = matches!(decided, HoldBySkuOutcome::Decided(HoldOutcome::ProductNotFound(_)));
        // The worker may remember a product of before.
        let decided = if is_missing && self.name_others_now(&request.by_sku).await? {
            self.hold_of_skus(&request).await?
        } else {
            decided
        };
        Ok(self.as_named(decided, &request))
    }

    /// A product that nobody sees is named as the buyer named it: the id of its SKU would show that it exists.
    fn as_named(&self, decided: HoldBySkuOutcome, request: &HoldBySku) -> HoldBySkuOutcome {
        let HoldBySkuOutcome::Decided(HoldOutcome::ProductNotFound(missing)) = decided else { return decided };
        if request.by_id.iter().any(|line| line.product == missing) {
            return decided;
        }
        let known = self.known_skus.borrow();
        let named = request.by_sku.iter().find(|line| known.get(&line.sku) == Some(&missing));
        named.map_or(decided, |line| HoldBySkuOutcome::SkuNotFound(line.sku.clone()))
    }

    async fn hold_of_skus(&self, request: &HoldBySku) -> Result<HoldBySkuOutcome, Failure> {
        let mut lines = request.by_id.clone();
        for SkuLine { sku, quantity } in &request.by_sku {
            let Some(product) = self.product_of(sku).await? else {
                return Ok(HoldBySkuOutcome::SkuNotFound(sku.clone()));
            };
            lines.push(Line { product, quantity: *quantity });
        }
        match Lines::new(lines) {
            Ok(lines) => self.hold(request.clone().of_lines(lines)).await.map(HoldBySkuOutcome::Decided),
            Err(error) => Ok(HoldBySkuOutcome::WrongLines(error)),
        }
    }

    /// Whether a SKU is that of another product than the worker remembers.
    async fn name_others_now(&self, lines: &[SkuLine]) -> Result<bool, Failure> {
        let mut has_changed = false;
        for SkuLine { sku, .. } in lines {
            let remembered = self.product_of(sku).await?;
            has_changed |= self.look_up_sku(sku).await? != remembered;
        }
        Ok(has_changed)
    }
}
