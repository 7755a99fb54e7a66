//! `change_listing`: changes the entry of a product in the directory, if it still is what the caller read.

use super::{
    Failure, Op, Reply, ScriptCall, Store,
    keys::{PRODUCTS, SKUS},
    listing::ListingChange,
    unknown_word,
};
use crate::domain::{ids::ProductId, sku::Sku};

/// What `change_listing` can answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ListingOutcome {
    Changed,
    /// The entry is another one by now.
    Moved,
    /// This product has the SKU.
    AlreadyExists(ProductId),
}

impl Store {
    pub(super) async fn change_listing(&self, change: &ListingChange<'_>) -> Result<ListingOutcome, Failure> {
        let ListingChange { product, before, after, takes, gives_back } = change;
        let text = |sku: Option<&Sku>| sku.map_or("", Sku::as_str).to_owned();
        let call = ScriptCall::of(Op::ChangeListing).key(PRODUCTS).key(SKUS).number(product.get());
        let call = call.arg(before).arg(after).arg(text(*takes)).arg(text(*gives_back));
        let (word, mut reply) = self.runner.call(call).await?;
        match word.as_str() {
            "changed" => Ok(ListingOutcome::Changed),
            "moved" => Ok(ListingOutcome::Moved),
            "already_exists" => Ok(ListingOutcome::AlreadyExists(product_id(&mut reply)?)),
            word => Err(unknown_word(Op::ChangeListing, word)),
        }
    }
}

pub(super) fn product_id(reply: &mut Reply) -> Result<ProductId, Failure> {
    ProductId::parse(&reply.text()?).ok_or_else(|| Failure::unreadable("a product id"))
}
