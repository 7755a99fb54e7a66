//! `change_product`: name, price and limits of a product.

use super::{Call, Failure, Op, Store, keys::SaleKeys, stock, unknown_word};
use crate::domain::{
    ids::{ProductId, SaleId},
    money::{Currency, LINE_TOTAL_MAX},
    outcome::ChangeProductOutcome,
    product::ProductChange,
};

impl Store {
    /// # Errors
    /// [`Failure`]; after a timeout the product may be changed. The same call then changes nothing more.
    pub async fn change_product(&self, id: ProductId, change: &ProductChange) -> Result<ChangeProductOutcome, Failure> {
        let Some(sale) = self.sale_of(id).await? else { return Ok(ChangeProductOutcome::ProductNotFound) };
        if let Some(price) = change.price
            && let Some(currency) = self.currency_of(&sale).await?
            && !price.fits(&currency)
        {
            return Ok(ChangeProductOutcome::PriceTooFine(currency));
        }
        let (word, mut reply) = self.runner.call(self.change_call(id, &sale, change)).await?;
        match word.as_str() {
            "changed" => Ok(ChangeProductOutcome::Changed(stock::read_one(&sale, &mut reply)?)),
            "product_not_found" => Ok(ChangeProductOutcome::ProductNotFound),
            "price_too_large" => Ok(ChangeProductOutcome::PriceTooLarge),
            word => Err(unknown_word(Op::ChangeProduct, word)),
        }
    }

    /// That of all products of the sale; it never changes.
    pub(super) async fn currency_of(&self, sale: &SaleId) -> Result<Option<Currency>, Failure> {
        let found = self.runner.plain(redis::cmd("HGET").arg(SaleKeys(sale).sale()).arg("currency")).await?;
        let redis::Value::BulkString(code) = found else { return Ok(None) };
        let code = String::from_utf8(code).map_err(|error| Failure::unreadable(error.to_string()))?;
        super::record::currency(&code).map(Some)
    }

    fn change_call(&self, id: ProductId, sale: &SaleId, change: &ProductChange) -> Call {
        let keys = SaleKeys(sale);
        let call = Call::of(Op::ChangeProduct).keys(keys.book()).key(keys.product(id));
        let call = self.terms.for_book(call).number(id.get()).number(LINE_TOTAL_MAX);
        let limit = |limit: Option<crate::domain::quantity::Quantity>| {
            limit.map_or_else(String::new, |units| units.get().to_string())
        };
        let changes = [
            ("name", change.name.as_ref().map(|name| name.as_str().to_owned())),
            ("price", change.price.map(|price| price.ten_thousandths().to_string())),
            ("max_per_hold", change.max_per_hold.map(|most| limit(Some(most)))),
            ("max_per_customer", change.max_per_customer.map(limit)),
        ];
        let changes = changes.into_iter().filter_map(|(field, value)| Some((field, value?)));
        changes.fold(call, |call, (field, value)| call.arg(field).arg(value))
    }
}
