//! Outcomes: what the scripts decided. A refusal is an outcome, not an error; every variant is a reply word of a script.

use std::rc::Rc;

use super::{
    cursor::ListCursor,
    event::Event,
    hold::Hold,
    ids::{OrderId, ProductId, SaleId},
    money::Currency,
    order::Order,
    product::Product,
    review::Review,
    sale::{Sale, SaleStatus},
};

/// Of a wish for a hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HoldOutcome {
    Held(Hold),
    /// The same idempotency key and wish came before: this is the hold of then.
    Replayed(Hold),
    IdempotencyKeyReused,
    ProductNotFound(ProductId),
    ProductsOfDifferentSales,
    QuantityAboveLimit {
        product: ProductId,
        max_per_hold: u64,
    },
    /// The sale takes no holds at this moment.
    SaleNotOpen {
        status: SaleStatus,
        starts_ms: Option<i64>,
        now_ms: i64,
    },
    CustomerIdRequired(ProductId),
    CustomerLimitReached {
        product: ProductId,
        /// Units that the customer may still have.
        remaining: u64,
    },
    /// Too many holds of this customer were left to lapse.
    CustomerCoolingDown {
        until_ms: i64,
        now_ms: i64,
    },
    InsufficientStock(Shortage),
}

/// Why there is not enough of a product.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shortage {
    pub product: ProductId,
    pub available: u64,
    /// Held and pending units: they may come back.
    pub coming_back: u64,
    pub next_release_ms: Option<i64>,
    pub now_ms: i64,
}

/// Whether units may come back, and whether some are available.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShortageReason {
    /// No unit is available, and none can come back.
    SoldOut,
    /// No unit is available, and held or pending ones may come back.
    AllHeld,
    /// Fewer units are available than were asked for.
    NotEnough,
}

impl Shortage {
    pub fn reason(&self) -> ShortageReason {
        match (self.available, self.coming_back) {
            (0, 0) => ShortageReason::SoldOut,
            (0, _) => ShortageReason::AllHeld,
            _ => ShortageReason::NotEnough,
        }
    }
}

/// Of a look at a hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FindHoldOutcome {
    Active(Hold),
    Converted(Order),
    HoldExpired,
}

/// Of a release.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReleaseOutcome {
    Released,
    HoldConverted(OrderId),
    HoldExpired,
}

/// Of a wish for a longer hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExtendOutcome {
    Extended(Hold),
    /// It has the latest deadline that its sale allows.
    ExtensionLimitReached {
        deadline_ms: i64,
    },
    HoldConverted(OrderId),
    HoldExpired,
}

/// Of a wish for an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OrderOutcome {
    Created(Order),
    /// The hold is an order already: this one.
    Exists(Order),
    HoldExpired,
}

/// Of a look at an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FindOrderOutcome {
    Found(Order),
    OrderNotFound,
}

/// Of a cancellation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CancelOutcome {
    Cancelled(Order),
    AlreadyCancelled(Order),
    OrderNotCancellable(Order),
    OrderNotFound,
}

/// Of the word that a buyer is paying.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StartPaymentOutcome {
    /// The deadline moved, as far as the sale lets it.
    Started(Order),
    AlreadyStarted(Order),
    /// It lapsed, was cancelled, or money came.
    OrderNotPending(Order),
    OrderNotFound,
}

/// Of a payment event. The order is `None` when there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SettleOutcome {
    Applied(Option<Order>),
    Duplicate(Option<Order>),
    Ignored(Option<Order>),
    RefundRequired(Option<Order>),
    Review(Option<Order>),
    /// The event is about an id that this service never made; it is kept for a person to look at.
    Unmatched,
    /// The event names an order and a hold that is not the one which the order was.
    TargetsDiffer,
    IdempotencyKeyReused,
}

/// Of a look at a product.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StockOutcome {
    /// Shared by all whom one read answers.
    Stock(Rc<Product>),
    ProductNotFound,
}

/// Of a wish for a new product.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PutProductOutcome {
    Created {
        product: Product,
        /// Its sale was not there before.
        new_sale: bool,
    },
    AlreadyExists,
    CurrencyDiffers {
        sale_currency: Currency,
    },
}

/// Of a wish for a new sale.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PutSaleOutcome {
    Created(Sale),
    AlreadyExists,
}

/// Of a wish for other terms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChangeSaleOutcome {
    Changed(Sale),
    SaleNotFound,
    /// This term does not fit the others.
    TermsConflict {
        field: String,
    },
}

/// Of a look at a sale.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FindSaleOutcome {
    Found(Sale),
    SaleNotFound,
}

/// Of a wish for another product.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChangeProductOutcome {
    Changed(Product),
    ProductNotFound,
    /// The price has more decimals than the currency.
    PriceTooFine(Currency),
    /// The price times the most units of one hold.
    PriceTooLarge,
}

/// Of a wish for more or fewer units.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RestockOutcome {
    Restocked(Product),
    ProductNotFound,
    IdempotencyKeyReused,
    /// So many units are promised: held, pending or sold.
    BelowPromised {
        floor: u64,
    },
    AboveMaximum {
        most: u64,
    },
}

/// Of a look at the orders.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListOrdersOutcome {
    Orders { orders: Vec<Order>, next: Option<ListCursor> },
    SaleNotFound,
}

/// Of a look at the products.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListProductsOutcome {
    Products { list: ProductList, next: Option<ProductId> },
    SaleNotFound,
}

/// Products by id, and what is not among them because it cannot be read: whose it is, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProductList {
    pub products: Vec<Product>,
    pub left_out: Vec<String>,
}

/// Of a look at the event log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListEventsOutcome {
    /// In order; empty when nothing happened since.
    Events(Vec<Event>),
    /// The reader came too late: the log is bounded, and events that it has not seen were dropped.
    Trimmed {
        sale: SaleId,
    },
    SaleNotFound,
    /// There are more sales than one cursor can follow.
    TooManySales {
        sales: usize,
    },
}

/// Of a look at the reviews.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListReviewsOutcome {
    Reviews { reviews: Vec<Review>, next: Option<ListCursor> },
    SaleNotFound,
}

/// Of the word that a review was dealt with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ResolveOutcome {
    Resolved(Review),
    /// Its first note stays.
    AlreadyResolved(Review),
    ReviewNotFound,
}
