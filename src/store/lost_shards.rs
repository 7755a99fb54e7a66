//! Shards whose data is gone, and which nobody names among the sales that were made any more. A sale of one shard may begin anew
//! then. A spread one may not: what a shard ever lent to another one is a sum, so a shard that begins anew would borrow all of it
//! a second time, and a first shard would have its units beside those that the others still have.

use super::{Failure, Reply, keys::SaleKeys, spread::Spreads};
use crate::domain::ids::{ProductId, SaleId};

impl Spreads {
    /// To be called before a shard gets a product.
    ///
    /// # Errors
    /// [`Failure::Lost`] for a shard that had it.
    pub(super) async fn check_loans(
        &self,
        shards: &[SaleId],
        shard: &SaleId,
        product: ProductId,
    ) -> Result<(), Failure> {
        if self.has_product(shard, product).await? {
            return Ok(());
        }
        for lender in shards.iter().filter(|lender| *lender != shard) {
            // A shard has the product before anything is lent to it, and of an earlier product of this id it keeps what it borrowed.
            if self.has_loan(lender, product, "lent", shard).await?
                && !self.has_loan(shard, product, "borrowed", lender).await?
                && !self.has_product(shard, product).await?
            {
                return Err(Failure::lost(format!("{shard}, of which other shards have units")));
            }
        }
        Ok(())
    }

    /// To be called before the first shard gets a product.
    ///
    /// # Errors
    /// [`Failure::Lost`] when other shards have it, which get it later and lose it earlier.
    pub(super) async fn check_first(&self, shards: &[SaleId], product: ProductId) -> Result<(), Failure> {
        let [first, others @ ..] = shards else { return Ok(()) };
        for other in others {
            if self.has_product(other, product).await? && !self.has_product(first, product).await? {
                return Err(Failure::lost(format!("{first}, of which other shards have units")));
            }
        }
        Ok(())
    }

    async fn has_product(&self, shard: &SaleId, product: ProductId) -> Result<bool, Failure> {
        let [_, stock, ..] = SaleKeys(shard).units();
        self.has_field(&stock, &format!("{product}:total")).await
    }

    async fn has_loan(&self, of: &SaleId, product: ProductId, way: &str, other: &SaleId) -> Result<bool, Failure> {
        self.has_field(&SaleKeys(of).loans(), &format!("{product}:{way}:{other}")).await
    }

    async fn has_field(&self, key: &str, field: &str) -> Result<bool, Failure> {
        let found = self.runner.plain_for_hold(redis::cmd("HEXISTS").arg(key).arg(field)).await?;
        Ok(Reply::one(found).int()? == 1)
    }
}
