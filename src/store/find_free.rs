//! `find_free`: what one shard of a sale has of a product.

use super::{Failure, Op, ScriptCall, keys::SaleKeys, spread::Spreads, unknown_word};
use crate::domain::ids::{ProductId, SaleId};

/// What a shard has of a product. All zero where it does not have it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Free {
    pub exists: bool,
    pub now_ms: i64,
    /// The number of the last write that made units available.
    pub last_freed: i64,
    pub available: u64,
    /// Held and pending units.
    pub coming_back: u64,
    pub next_release_ms: Option<i64>,
    /// Units of this shard that others have or that are under way, less those of others here.
    pub lent: i64,
}

impl Spreads {
    pub(super) async fn find_free(&self, shard: &SaleId, product: ProductId) -> Result<Free, Failure> {
        let call = ScriptCall::of(Op::FindFree).keys(SaleKeys(shard).units()).number(product.get());
        let (word, mut reply) = self.runner.call(call).await?;
        match word.as_str() {
            "free" => Ok(Free {
                exists: true,
                now_ms: reply.int()?,
                last_freed: reply.int()?,
                available: reply.count()?,
                coming_back: reply.count()?,
                next_release_ms: reply.instant_or_none()?,
                lent: reply.int()?,
            }),
            "product_not_found" => Ok(Free::default()),
            word => Err(unknown_word(Op::FindFree, word)),
        }
    }
}
