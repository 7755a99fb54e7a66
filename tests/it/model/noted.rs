//! SKUs and metadata in the model. Both follow from what the reference knows anyway, so it need not keep them: some products have
//! a SKU, and some holds have metadata that repeats their lines.

use std::collections::BTreeMap;

use flashsale::domain::{hold::PricedLine, ids::ProductId, metadata::Metadata, sku::Sku};

pub fn sku_of(product: u64) -> Option<Sku> {
    (product % 2 == 1).then(|| Sku::parse(&format!("SKU {product}/%")).unwrap())
}

/// Every other hold has some. Names, quotes and blanks are those that a careless reader would trip over.
pub fn metadata_of(lines: &BTreeMap<u64, u64>) -> Option<Metadata> {
    let is_noted = lines.values().sum::<u64>() % 2 == 1;
    let entry = |(product, units): (&u64, &u64)| (format!("product {product}"), format!("{units} \"é\\ =1,2"));
    Metadata::new(if is_noted { lines.iter().map(entry).collect() } else { Vec::new() }).unwrap()
}

/// Panics where a hold or an order has other SKUs or other metadata than it should. Without lines nothing is known.
pub fn assert_noted(priced: &[PricedLine], metadata: Option<&Metadata>) {
    let lines = priced.iter().map(|priced| (priced.line.product.get(), priced.line.quantity.get())).collect();
    assert_eq!(metadata, metadata_of(&lines).as_ref(), "metadata of {priced:?}");
    for PricedLine { line, sku, .. } in priced {
        assert_eq!(*sku, sku_of(ProductId::get(line.product)), "SKU of {line:?}");
    }
}
