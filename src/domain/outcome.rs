//! Outcomes: what the store decided. A refusal is an outcome, not an error. Nearly every variant is a reply word of a script; the
//! others are decided before a script is called, such as `TargetsDiffer`.

use std::rc::Rc;

use super::{
    act::Change,
    cursor::ListCursor,
    customer::Customer,
    event::{EarlierEvents, EventPage},
    hold::{Hold, LinesError},
    ids::{OrderId, ProductId, SaleId},
    limits::CustomerLimit,
    money::Currency,
    order::Order,
    product::Product,
    review::{Review, ReviewId, ReviewReason},
    sale::{Sale, SaleStatus, SaleTerm},
    sku::Sku,
};

/// What `hold` can answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HoldOutcome {
    Held(Hold),
    /// The hold that the same idempotency key and request made before.
    Replayed(Hold),
    IdempotencyKeyReused,
    ProductNotFound(ProductId),
    ProductsOfDifferentSales,
    QuantityAboveLimit {
        product: ProductId,
        max_per_hold: u64,
    },
    /// The sale takes no holds now.
    SaleNotOpen {
        status: SaleStatus,
        starts_ms: Option<i64>,
        now_ms: i64,
    },
    /// This limit needs to know the customer.
    CustomerIdRequired(CustomerLimit),
    CustomerLimitReached {
        limit: CustomerLimit,
        /// Units that a customer may have.
        most: u64,
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

/// What `hold_by_sku` can answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HoldBySkuOutcome {
    Decided(HoldOutcome),
    SkuNotFound(Sku),
    /// The products together are more than one hold may ask for.
    WrongLines(LinesError),
}

/// A product with fewer available units than were asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shortage {
    pub product: ProductId,
    pub available: u64,
    /// Held and pending units, which may come back.
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

/// What `find_hold` can answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FindHoldOutcome {
    Active(Hold),
    Converted(Order),
    HoldExpired,
}

/// What `release` can answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReleaseOutcome {
    Released,
    HoldConverted(OrderId),
    HoldExpired,
}

/// What `extend` can answer.
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

/// What `order` can answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OrderOutcome {
    Created(Order),
    /// The order that the hold became before.
    Exists(Order),
    HoldExpired,
}

/// What `find_order` can answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FindOrderOutcome {
    Found(Order),
    OrderNotFound,
}

/// What `find_payment` can answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FindPaymentOutcome {
    Found {
        /// Those that its events named, in this order. None: it names nothing of ours, or their records are gone.
        orders: Vec<Order>,
        /// All reviews about it, the oldest first.
        reviews: Vec<Review>,
    },
    PaymentNotFound,
}

/// What `cancel` can answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CancelOutcome {
    Cancelled(Order),
    AlreadyCancelled(Order),
    OrderNotCancellable(Order),
    OrderNotFound,
}

/// What `start_payment` can answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StartPaymentOutcome {
    /// The deadline moved, at most as far as the sale allows.
    Started(Order),
    AlreadyStarted(Order),
    /// The order lapsed, was cancelled, or was paid.
    OrderNotPending(Order),
    OrderNotFound,
}

/// What a payment event left behind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settled {
    /// `None` when the hold became no order.
    pub order: Option<Order>,
    /// The review that the event opened or changed, and why a person must look.
    pub review: Option<(ReviewId, ReviewReason)>,
}

/// What `settle` can answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SettleOutcome {
    Applied(Settled),
    Duplicate(Settled),
    Ignored(Settled),
    RefundRequired(Settled),
    Review(Settled),
    /// The event names an id that this service never made. It is kept for a person to look at.
    Unmatched(Settled),
    /// The event names an order and another hold than the one that became this order.
    TargetsDiffer,
    IdempotencyKeyReused,
}

impl SettleOutcome {
    /// What the event left behind. `None`: it was refused.
    pub fn settled_mut(&mut self) -> Option<&mut Settled> {
        match self {
            Self::Applied(settled)
            | Self::Duplicate(settled)
            | Self::Ignored(settled)
            | Self::RefundRequired(settled)
            | Self::Review(settled)
            | Self::Unmatched(settled) => Some(settled),
            Self::TargetsDiffer | Self::IdempotencyKeyReused => None,
        }
    }
}

/// What `stock` can answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StockOutcome {
    /// All requests that one read answers share the product.
    Stock(Rc<Product>),
    ProductNotFound,
}

/// What `put_product` can answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PutProductOutcome {
    Created {
        product: Product,
        /// The product made its sale.
        new_sale: bool,
    },
    /// This product has the id or the SKU.
    AlreadyExists(ProductId),
    CurrencyDiffers {
        sale_currency: Currency,
    },
}

/// What `put_sale` can answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PutSaleOutcome {
    Created(Sale),
    AlreadyExists,
}

/// What `change_sale` can answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChangeSaleOutcome {
    Changed(Change<Sale>),
    SaleNotFound,
    /// This term conflicts with another.
    TermsConflict {
        term: SaleTerm,
    },
}

/// What `find_sale` can answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FindSaleOutcome {
    Found(Sale),
    SaleNotFound,
}

/// What `change_product` can answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ChangeProductOutcome {
    Changed(Change<Product>),
    ProductNotFound,
    /// The price has more decimals than the currency.
    PriceTooFine(Currency),
    /// The price times `max_per_hold` is above the bound.
    PriceTooLarge,
    /// It keeps this SKU for ever.
    HasSku(Sku),
    /// This product has the SKU.
    SkuTaken(ProductId),
}

/// What `restock` can answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RestockOutcome {
    Restocked(Change<Product>),
    ProductNotFound,
    IdempotencyKeyReused,
    /// `floor` units are promised: held, pending or sold.
    BelowPromised {
        floor: u64,
    },
    AboveMaximum {
        most: u64,
    },
}

/// What `delete_product` can answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeleteProductOutcome {
    Deleted,
    ProductNotFound,
    /// An order of it was made, so it can be archived.
    HasOrders,
    HasHolds,
}

/// What `move_product` can answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MoveProductOutcome {
    Moved {
        from: SaleId,
    },
    AlreadyThere,
    ProductNotFound,
    SaleNotFound,
    CurrencyDiffers {
        sale_currency: Currency,
    },
    /// This sale is spread over several slots, and its products stay in it.
    SaleIsSpread(SaleId),
    /// An order of it was made.
    HasOrders,
    HasHolds,
}

/// What `list_orders` can answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListOrdersOutcome {
    Orders { orders: Vec<Order>, next: Option<ListCursor> },
    SaleNotFound,
    ProductNotFound,
}

/// What `find_customer` can answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FindCustomerOutcome {
    /// Also a customer whom nobody knows.
    Found(Customer),
    SaleNotFound,
    /// More sales exist than one request looks into.
    TooManySales {
        sales: usize,
    },
}

/// What `list_products` can answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListProductsOutcome {
    Products { list: ProductList, next: Option<ProductId> },
    SaleNotFound,
}

/// Products by id, and for each one that cannot be read its id and the reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProductList {
    pub products: Vec<Product>,
    pub left_out: Vec<String>,
}

/// What `list_events` can answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListEventsOutcome {
    /// All who ask for the same at the same time share the page.
    Page(Rc<EventPage>),
    SaleNotFound,
    /// The clock of Redis is behind the cursor, so events that are new may seem old.
    ClockSteppedBack,
}

/// What `list_earlier_events` can answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListEarlierOutcome {
    Events(EarlierEvents),
    SaleNotFound,
}

/// What `list_reviews` can answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListReviewsOutcome {
    Reviews { reviews: Vec<Review>, next: Option<ListCursor> },
    SaleNotFound,
}

/// What `resolve` can answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ResolveOutcome {
    Resolved(Review),
    /// Its first decision and note stay.
    AlreadyResolved(Review),
    /// This money cannot pay the order: other money did, or what it paid for is not known.
    NotAcceptable,
    /// It would pay the order, and its units are somebody else's.
    UnitsGone,
    ReviewNotFound,
}
