//! `claim_product`, then `put_product`: makes a product. The id is claimed first, in the directory, which is another hash
//! slot; after a crash in between, the same call finishes what was begun.

use super::{
    Call, Failure, Op, Store,
    keys::{PRODUCTS, SALES, SaleKeys},
    sale, stock, unknown_word,
};
use crate::domain::{
    ids::{ProductId, SaleId},
    outcome::PutProductOutcome,
    product::NewProduct,
    sale::SaleChange,
};

impl Store {
    /// # Errors
    /// [`Failure`]; after a timeout the product may exist.
    pub async fn put_product(&self, product: &NewProduct) -> Result<PutProductOutcome, Failure> {
        // Looked at before the claim too, so that a product which will be refused takes no id.
        if let Some(sale) = &product.sale
            && let Some(currency) = self.currency_of(sale).await?.filter(|currency| *currency != product.currency)
        {
            return Ok(PutProductOutcome::CurrencyDiffers { sale_currency: currency.code().to_owned() });
        }
        let Some((id, sale)) = self.claim(product).await? else { return Ok(PutProductOutcome::AlreadyExists) };
        self.runner.plain(redis::cmd("SADD").arg(SALES).arg(sale.as_str())).await?;
        let (word, mut reply) = self.runner.call(self.put_call(id, &sale, product)).await?;
        match word.as_str() {
            "created" => {
                let product = stock::read_one(&sale, &mut reply)?;
                Ok(PutProductOutcome::Created { product, new_sale: reply.int()? == 1 })
            }
            "already_exists" => Ok(PutProductOutcome::AlreadyExists),
            "currency_differs" => Ok(PutProductOutcome::CurrencyDiffers { sale_currency: reply.text()? }),
            word => Err(unknown_word(Op::PutProduct, word)),
        }
    }

    async fn claim(&self, product: &NewProduct) -> Result<Option<(ProductId, SaleId)>, Failure> {
        let call = Call::of(Op::ClaimProduct)
            .key(PRODUCTS)
            .arg(product.id.map_or_else(String::new, |id| id.to_string()))
            .arg(product.sale.as_ref().map_or("", |sale| sale.as_str()));
        let (word, mut reply) = self.runner.call(call).await?;
        match word.as_str() {
            "claimed" => {
                let id = ProductId::parse(&reply.text()?).ok_or_else(|| Failure::unreadable("a product id"))?;
                let sale = SaleId::parse(&reply.text()?).ok_or_else(|| Failure::unreadable("a sale id"))?;
                Ok(Some((id, sale)))
            }
            "already_exists" => Ok(None),
            word => Err(unknown_word(Op::ClaimProduct, word)),
        }
    }

    fn put_call(&self, id: ProductId, sale: &SaleId, product: &NewProduct) -> Call {
        let keys = SaleKeys(sale);
        let call = Call::of(Op::PutProduct).keys(keys.book()).key(keys.product(id));
        let call = self
            .terms
            .for_book(call)
            .number(id.get())
            .arg(product.name.as_str())
            .number(product.price.ten_thousandths())
            .arg(product.currency.code())
            .number(product.total)
            .number(product.max_per_hold.get())
            .arg(product.max_per_customer.map_or_else(String::new, |most| most.get().to_string()));
        sale::with_terms(call, sale::stored(&self.terms.of_new_sale(sale, &SaleChange::default())))
    }
}
