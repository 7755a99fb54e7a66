//! A customer, for who works at the desk.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{order::OrderRow, time::rfc3339};
use crate::domain::{
    audit::{Bucket, BucketKind},
    customer::{CountedLimit, SaleCustomer},
    limits::CustomerLimit,
    product::Product,
};

/// What is known of a customer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CustomerBody<'a> {
    pub customer_id: Cow<'a, str>,
    /// The sales in which something counts.
    pub sales: Vec<SaleCustomerBody<'a>>,
    /// The latest first.
    pub orders: Vec<OrderRow<'a>>,
    /// How many of the latest orders, of whatever customers, were looked at.
    pub orders_examined: u64,
    /// Whether there are older ones that nobody looked at.
    pub has_older: bool,
}

/// What counts for a customer in a sale.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SaleCustomerBody<'a> {
    pub sale: Cow<'a, str>,
    pub name: Cow<'a, str>,
    pub status: Cow<'a, str>,
    pub at: String,
    /// Holds and orders left in a row.
    pub abandoned: u64,
    pub cooldown_holds: u64,
    pub cooling_down_until: Option<String>,
    pub limits: Vec<LimitBody<'a>>,
    pub products: Vec<CustomerProductBody<'a>>,
    /// Why a hold of anything would be refused. `null`: it depends on the product.
    pub next_hold: Option<RefusalBody>,
}

/// A limit that counts units of the customer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LimitBody<'a> {
    pub limit: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub product_id: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    pub most: u64,
    pub counted: u64,
    pub remaining: u64,
}

/// Units of the customer of one product.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CustomerProductBody<'a> {
    pub product_id: u64,
    pub name: Cow<'a, str>,
    pub held: u64,
    pub pending: u64,
    pub bought: u64,
    pub due_back: Vec<DueBackBody<'a>>,
    /// Why a hold of one more unit would be refused. `null`: it would not.
    pub next_hold: Option<RefusalBody>,
}

/// Units that come back at an instant, unless the buyer keeps them.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DueBackBody<'a> {
    /// `held` or `pending`.
    pub kind: Cow<'a, str>,
    pub units: u64,
    pub at: String,
}

/// A refusal as the buyer would get it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RefusalBody {
    pub code: String,
    pub detail: String,
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

impl<'a> SaleCustomerBody<'a> {
    /// `refusals`: why the next hold of anything, and of each product, would be refused.
    pub fn of(customer: &'a SaleCustomer, anything: Option<RefusalBody>, each: Vec<Option<RefusalBody>>) -> Self {
        let terms = &customer.sale.terms;
        let products = customer.products.iter().zip(each);
        Self {
            sale: customer.sale.id.as_str().into(),
            name: terms.name.as_str().into(),
            status: customer.status().as_str().into(),
            at: rfc3339(customer.counted.now_ms),
            abandoned: customer.counted.abandoned,
            cooldown_holds: terms.cooldown_holds,
            cooling_down_until: customer.cooling_until_ms().map(rfc3339),
            limits: customer.limits().iter().map(LimitBody::of).collect(),
            products: products.map(|(product, next)| CustomerProductBody::of(customer, product, next)).collect(),
            next_hold: anything,
        }
    }
}

impl LimitBody<'_> {
    fn of(limit: &CountedLimit) -> Self {
        let (product_id, group) = match &limit.of {
            CustomerLimit::Product(product) => (Some(product.get()), None),
            CustomerLimit::Group(group) => (None, Some(group.as_str().to_owned())),
            CustomerLimit::Sale => (None, None),
        };
        let CountedLimit { most, counted, .. } = *limit;
        Self { limit: limit.of.as_str().into(), product_id, group, most, counted, remaining: limit.remaining() }
    }
}

impl<'a> CustomerProductBody<'a> {
    fn of(customer: &SaleCustomer, product: &'a Product, next_hold: Option<RefusalBody>) -> Self {
        let units = customer.counted.units_of(product.id);
        let due_back = |(bucket, units): (&Bucket, &u64)| DueBackBody {
            kind: match bucket.kind {
                BucketKind::Held => "held".into(),
                BucketKind::Pending => "pending".into(),
            },
            units: *units,
            at: rfc3339(bucket.deadline_ms),
        };
        let mut due_back: Vec<_> =
            customer.counted.due_back.iter().filter(|(bucket, _)| bucket.product == product.id).map(due_back).collect();
        due_back.sort_by(|a, b| a.at.cmp(&b.at));
        Self {
            product_id: product.id.get(),
            name: Cow::Borrowed(&product.name),
            held: units.held,
            pending: units.pending,
            bought: units.bought,
            due_back,
            next_hold,
        }
    }
}
