//! Which sales were made. On a cluster, one of them that has no terms was lost with the data of its server. On one server it is lost
//! together with the directory, and the identity shows that.

use super::{
    Failure, Reply, Store,
    keys::MADE,
    made::{self, MadeSales},
    redis::runner::Runner,
};
use crate::domain::ids::SaleId;

impl Store {
    /// Notes that a sale is there. Where that fails, the next look does it.
    pub(super) async fn note_made(&self, sale: &SaleId) {
        note_made(&self.runner, sale).await;
    }

    /// To be called before a sale is made, or taken for one that never was.
    ///
    /// # Errors
    /// [`Failure::Lost`] when it was made before, and is gone.
    pub(super) async fn check_made(&self, sale: &SaleId) -> Result<(), Failure> {
        check_made(&self.runner, sale).await
    }

    /// Looks whether all sales that were made are there. The servers that do not answer are left out.
    ///
    /// # Errors
    /// [`Failure`] of the server that has the directory.
    pub async fn look_at_sales(&self) -> Result<(), Failure> {
        let Some(sales) = self.runner.made_sales() else { return Ok(()) };
        let (made, found) = made::look(&self.runner).await?;
        sales.replace(made.clone());
        let (noted, others): (Vec<_>, Vec<_>) = found.into_iter().partition(|(sale, _)| made.contains(sale));
        sales.note(&noted);
        // Whoever made these did not come to note it.
        for (sale, _) in others.into_iter().filter(|(_, is_there)| *is_there) {
            self.note_made(&sale).await;
        }
        Ok(())
    }

    /// The sales that are gone.
    pub(super) fn lost_sales(&self) -> Vec<SaleId> {
        self.runner.made_sales().map(MadeSales::lost).unwrap_or_default()
    }
}

pub(super) async fn note_made(runner: &Runner, sale: &SaleId) {
    let Some(sales) = runner.made_sales().filter(|sales| !sales.has(sale)) else { return };
    match runner.plain(redis::cmd("SADD").arg(MADE).arg(sale.as_str())).await {
        Ok(_) => sales.add(sale),
        Err(failure) => {
            tracing::debug!(cause = %failure, sale = sale.as_str(), "a sale was made, and not noted yet");
        }
    }
}

pub(super) async fn check_made(runner: &Runner, sale: &SaleId) -> Result<(), Failure> {
    let Some(sales) = runner.made_sales() else { return Ok(()) };
    let found = runner.plain(redis::cmd("SISMEMBER").arg(MADE).arg(sale.as_str())).await?;
    if Reply::one(found).int()? == 1 {
        sales.note(&[(sale.clone(), runner.has_sale(sale).await?)]);
    }
    runner.check_sale(sale)
}
