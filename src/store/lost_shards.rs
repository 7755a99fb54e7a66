//! Shards whose data is gone, and which nobody names among the sales that were made any more. A sale of one shard may begin anew
//! then. A spread one may not: what a shard ever lent to another one is a sum, so a shard that begins anew would borrow all of it
//! a second time, and a first shard would have its units beside those that the others still have.

use super::{Failure, Reply, keys::SaleKeys, redis::runner::Runner};
use crate::domain::ids::SaleId;

/// To be called before a shard gets terms or units. One that has terms lives: they come first, and stay when its products go.
///
/// # Errors
/// [`Failure::Lost`] for a shard that had them; [`Failure`] where another shard cannot be asked.
pub(super) async fn check_shard(runner: &Runner, shards: &[SaleId], shard: &SaleId) -> Result<(), Failure> {
    if shards.len() < 2 || runner.has_sale(shard).await? {
        return Ok(());
    }
    let is_first = shards.first() == Some(shard);
    for other in shards.iter().filter(|other| *other != shard) {
        // The others get their terms from the first shard.
        if is_first && runner.has_sale(other).await? || lent_to(runner, other, shard).await? {
            return Err(Failure::lost(format!("{shard}, of which other shards have units")));
        }
    }
    Ok(())
}

/// Whether a shard ever lent units of any product to another one.
async fn lent_to(runner: &Runner, lender: &SaleId, shard: &SaleId) -> Result<bool, Failure> {
    let loans = Reply::read(runner.plain(redis::cmd("HGETALL").arg(SaleKeys(lender).loans())).await?)?.fields()?;
    let name = format!(":lent:{shard}");
    Ok(loans.iter().any(|(loan, _)| loan.ends_with(&name)))
}
