//! Shards whose data is gone, and which nobody names among the sales that were made any more. A sale of one shard may begin anew
//! then. A spread one may not: what a shard ever lent to another one is a sum, so a shard that begins anew would borrow all of it
//! a second time, and a first shard would have its units beside those that the others still have.

use super::{
    Failure, Reply,
    keys::{SALES, SaleKeys},
    redis::runner::Runner,
};
use crate::domain::ids::SaleId;

/// The second shard of a sale has nearly always one of the first numbers: each is in the range of the first shard with a chance of a
/// half at most.
const NUMBERS_MAX: u16 = 64;

/// To be called before a shard gets terms or units. One that has terms lives: they come first, and stay when its products go.
///
/// # Errors
/// [`Failure::Lost`] for a shard that had them; [`Failure`] where another shard cannot be asked.
pub(super) async fn check_shard(runner: &Runner, shards: &[SaleId], shard: &SaleId) -> Result<(), Failure> {
    // On one server nothing is lost alone.
    if shards.len() < 2 && runner.spans_sales() || runner.has_sale(shard).await? {
        return Ok(());
    }
    let Some(others) = trace_of(runner, shards, shard).await? else { return Ok(()) };
    // Between these questions somebody else may have given it terms, and lent it units.
    if runner.has_sale(shard).await? {
        return Ok(());
    }
    Err(Failure::lost(format!("{shard}, of which {others}")))
}

/// What says that a shard without terms had some.
async fn trace_of(runner: &Runner, shards: &[SaleId], shard: &SaleId) -> Result<Option<String>, Failure> {
    if shards.len() < 2 {
        return trace_of_others(runner, shard).await;
    }
    let is_first = shards.first() == Some(shard);
    for other in shards.iter().filter(|other| *other != shard) {
        // The others get their terms from the first shard.
        if is_first && runner.has_sale(other).await? || lent_to(runner, other, shard).await? {
            return Ok(Some("other shards have units".to_owned()));
        }
    }
    Ok(None)
}

/// A sale that is made with one slot may be the first shard of one that was spread.
async fn trace_of_others(runner: &Runner, sale: &SaleId) -> Result<Option<String>, Failure> {
    let others: Vec<SaleId> = (1..=NUMBERS_MAX).map(|number| sale.shard(number)).collect();
    let mut ask = redis::cmd("SMISMEMBER");
    ask.arg(SALES);
    others.iter().for_each(|other| _ = ask.arg(other.as_str()));
    let mut known = Reply::read(runner.plain(&ask).await?)?;
    for other in others {
        if known.int()? == 1 && runner.has_sale(&other).await? {
            return Ok(Some(format!("another shard, {other}, has units")));
        }
    }
    Ok(None)
}

/// Whether a shard ever lent units of any product to another one.
async fn lent_to(runner: &Runner, lender: &SaleId, shard: &SaleId) -> Result<bool, Failure> {
    let loans = Reply::read(runner.plain(redis::cmd("HGETALL").arg(SaleKeys(lender).loans())).await?)?.fields()?;
    let name = format!(":lent:{shard}");
    Ok(loans.iter().any(|(loan, _)| loan.ends_with(&name)))
}
