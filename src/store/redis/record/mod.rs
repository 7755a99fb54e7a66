//! Reads the records that the scripts write. `lua/lib/records.lua` and `lua/lib/reviews.lua` have the grammar.
//!
//! A stored word that no reader knows makes its record unreadable. It never becomes a default, because the default would be
//! a statement about money.

pub mod event;
mod heard;
pub mod order;
pub mod payment;
pub mod product;
pub mod review;
pub mod rules;
pub mod sale;

use serde_json::{Map, Value};

use super::{
    error::Failure,
    reply::{Fields, Reply},
};
use crate::domain::{
    hold::{Hold, Line, Lines, PricedLine},
    ids::{HoldId, ProductId},
    metadata::Metadata,
    money::{Amount, Currency},
    quantity::Quantity,
    text::CustomerId,
};

/// `1=2,7=1`
pub fn lines(text: &str) -> Result<Lines, Failure> {
    let lines = text.split(',').map(line).collect::<Result<Vec<_>, _>>()?;
    Lines::new(lines).map_err(|error| Failure::unreadable(error.to_string()))
}

/// What a hold costs: `USD 500000,120000`. Prices are those of its lines, in their order.
#[derive(Debug)]
pub struct Costs {
    pub currency: Currency,
    prices: Vec<Amount>,
}

impl Costs {
    pub fn read(text: &str) -> Result<Self, Failure> {
        let (code, prices) = text.split_once(' ').ok_or_else(|| Failure::unreadable("what a hold costs"))?;
        let prices = prices.split(',').map(ten_thousandths).collect::<Result<_, _>>()?;
        Ok(Self { currency: currency(code)?, prices })
    }

    pub fn of(&self, lines: &Lines) -> Result<Vec<PricedLine>, Failure> {
        if lines.as_slice().len() != self.prices.len() {
            return Err(Failure::unreadable("a hold without the prices of its lines"));
        }
        let priced = lines.as_slice().iter().zip(&self.prices);
        Ok(priced.map(|(line, price)| PricedLine { line: *line, sku: None, price: *price }).collect())
    }
}

/// The rest of a reply: now, deadline, lines, customer, metadata and costs.
pub fn hold(id: &HoldId, reply: &mut Reply) -> Result<Hold, Failure> {
    let (now_ms, deadline_ms) = (reply.int()?, reply.int()?);
    let (lines, customer) = (lines(&reply.text()?)?, customer(&reply.text()?));
    let metadata = metadata(&reply.text()?)?;
    let costs = Costs::read(&reply.text()?)?;
    let (lines, currency) = (costs.of(&lines)?, costs.currency);
    Ok(Hold { id: id.clone(), lines, currency, customer, metadata, deadline_ms, now_ms })
}

pub fn line(text: &str) -> Result<Line, Failure> {
    let read = || {
        let (product, units) = text.split_once('=')?;
        Some(Line { product: ProductId::parse(product)?, quantity: Quantity::new(units.parse().ok()?)? })
    };
    read().ok_or_else(|| Failure::unreadable("a line of a hold"))
}

pub fn customer(text: &str) -> Option<CustomerId> {
    CustomerId::parse(text)
}

/// Metadata as one line of JSON, which is how Redis stores it and calls carry it.
pub fn metadata_line(metadata: &Metadata) -> String {
    let entries = metadata.entries().iter();
    Value::Object(entries.map(|(key, value)| (key.clone(), value.as_str().into())).collect()).to_string()
}

/// What [`metadata_line`] wrote. Empty: there is none.
pub fn metadata(line: &str) -> Result<Option<Metadata>, Failure> {
    if line.is_empty() {
        return Ok(None);
    }
    let entries: Map<String, Value> = serde_json::from_str(line).map_err(|_| Failure::unreadable("metadata"))?;
    let text = |(key, value)| match value {
        Value::String(text) => Ok((key, text)),
        _ => Err(Failure::unreadable("metadata with a value that is no text")),
    };
    let entries = entries.into_iter().map(text).collect::<Result<_, _>>()?;
    Metadata::new(entries).map_err(|error| Failure::unreadable(error.to_string()))
}

pub fn currency(code: &str) -> Result<Currency, Failure> {
    Currency::parse(code).ok_or_else(|| Failure::unreadable("a currency"))
}

fn ten_thousandths(digits: &str) -> Result<Amount, Failure> {
    let value = digits.parse().map_err(|_| Failure::unreadable("an amount"))?;
    Ok(Amount::from_ten_thousandths(value))
}

fn instant(digits: &str) -> Result<i64, Failure> {
    digits.parse().map_err(|_| Failure::unreadable("an instant"))
}

fn some(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}
