//! What a reader of the list of products asks for.

use super::{
    ids::{ProductId, SaleId},
    product::Product,
    sku::Sku,
    text::Name,
    visibility::{Audience, Visibility},
};

/// The most products that one list may be asked for by their ids.
pub const IDS_MAX: usize = 200;

/// Which products a list has. They come by id.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ProductQuery {
    pub audience: Audience,
    pub sale: Option<SaleId>,
    /// These, as far as they exist. `None`: all.
    pub ids: Option<Vec<ProductId>>,
    /// Only products behind this one.
    pub after: Option<ProductId>,
    pub limit: usize,
    /// Products that have this visibility themselves.
    pub visibility: Option<Visibility>,
    pub archived: Option<bool>,
    pub search: Option<Search>,
}

/// A part of the name or the SKU of a product, in either case, or its id.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Search(String);

impl Search {
    pub fn parse(text: &str) -> Option<Self> {
        Name::parse(text).map(|text| Self(text.as_str().to_lowercase()))
    }

    pub fn fits(&self, text: &str) -> bool {
        text.to_lowercase().contains(&self.0)
    }

    /// Whether what the directory says of a product is enough to find it.
    pub fn fits_directory(&self, product: ProductId, sku: Option<&Sku>) -> bool {
        sku.is_some_and(|sku| self.fits(sku.as_str())) || product.to_string() == self.0
    }
}

impl ProductQuery {
    /// Everything that such readers see, of this sale or of all.
    pub fn of(audience: Audience, sale: Option<SaleId>) -> Self {
        Self {
            audience,
            sale,
            ids: None,
            after: None,
            limit: usize::MAX,
            visibility: None,
            archived: None,
            search: None,
        }
    }

    /// Whether the list may have a product of this place in the directory.
    pub fn may_have(&self, product: ProductId, of: &SaleId) -> bool {
        self.after.is_none_or(|after| product > after) && self.sale.as_ref().is_none_or(|sale| sale == of)
    }

    /// Whether the list has this product, that such readers see.
    pub fn has(&self, product: &Product, seen: Visibility) -> bool {
        self.audience.sees(seen)
            && self.visibility.is_none_or(|wanted| wanted == product.visibility)
            && self.archived.is_none_or(|wanted| wanted == product.archived)
    }
}
