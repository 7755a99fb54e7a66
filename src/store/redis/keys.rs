//! The names of all keys. No other file spells one. `lua/README.md` says what each key has. What stands in braces decides the
//! hash slot: a sale has one, and so has the directory.

use crate::domain::ids::{ProductId, SaleId};

/// Product id -> `<sale>` or `<sale> <SKU>`. Workers remember it, and look again where the sale has no such product.
pub const PRODUCTS: &str = "fs1:{:all}:products";
/// SKU -> product id.
pub const SKUS: &str = "fs1:{:all}:skus";
/// All sales.
pub const SALES: &str = "fs1:{:all}:sales";
/// Those of them that were made. One that is not there any more was lost with its server.
pub const MADE: &str = "fs1:{:all}:made";
/// Set for a moment by the service whose turn it is to sweep.
pub const SWEPT: &str = "fs1:{:all}:swept";
/// Never exists. Writing to it shows whether Redis takes writes that need memory.
pub const PROBE: &str = "fs1:{:all}:probe";

/// The same in many slots, so that each server of a cluster has one of them.
pub fn probe_of(number: u32) -> String {
    format!("fs1:{{:{number}}}:probe")
}
/// The version of the key schema.
pub const SCHEMA: &str = "fs1:{:all}:schema";
/// The secret that signs the ids of holds and orders, in hex.
pub const SECRET: &str = "fs1:{:all}:secret";

/// The order that a payment is about. `hash` is that of the payment's id.
pub fn payment_entry(hash: &str) -> String {
    format!("fs1:payment:{hash}")
}

/// All keys of the service, as a pattern of an ACL.
pub const ALL: &str = "fs1:*";

/// All keys of all sales, as a pattern of SCAN. Braces are plain characters there.
pub const PATTERN: &str = "fs1:{*}:*";

/// All keys of one sale, as a pattern of SCAN.
pub fn pattern_of(sale: &SaleId) -> String {
    SaleKeys(sale).named("*")
}

/// The sale that a key belongs to, and the rest of its name. `None` for keys of no sale.
pub fn split(key: &str) -> Option<(&str, &str)> {
    key.strip_prefix("fs1:{")?.split_once("}:")
}

/// The keys of one sale, all in one hash slot.
#[derive(Clone, Copy)]
pub struct SaleKeys<'a>(pub &'a SaleId);

impl SaleKeys<'_> {
    /// The first keys of every script that moves units: sale, stock, lapses, deadlines.
    pub fn units(self) -> [String; 4] {
        ["sale", "stock", "lapses", "deadlines"].map(|name| self.named(name))
    }

    /// The first keys of `hold`: those of `units`, and customers.
    pub fn holding(self) -> [String; 5] {
        ["sale", "stock", "lapses", "deadlines", "customers"].map(|name| self.named(name))
    }

    /// The first keys of every script with a book: those of `holding`, events, due and orders.
    pub fn book(self) -> [String; 8] {
        ["sale", "stock", "lapses", "deadlines", "customers", "events", "due", "orders"].map(|name| self.named(name))
    }

    /// The keys behind those of the book in every script that opens or closes reviews.
    pub fn reviews(self) -> [String; 3] {
        [self.open_reviews(), self.review_records(), self.resolved()]
    }

    pub fn open_reviews(self) -> String {
        self.named("reviews")
    }

    pub fn review_records(self) -> String {
        self.named("review_records")
    }

    pub fn resolved(self) -> String {
        self.named("resolved")
    }

    pub fn events(self) -> String {
        self.named("events")
    }

    pub fn orders(self) -> String {
        self.named("orders")
    }

    /// `confirm` writes it after settled payment events, and waits until it is durable.
    pub fn mark(self) -> String {
        self.named("mark")
    }

    /// Payments of this sale that the directory of payments does not have yet.
    pub fn noted(self) -> String {
        self.named("noted")
    }

    /// What a shard ever lent to each other shard of its sale, and borrowed from it.
    pub fn loans(self) -> String {
        self.named("loans")
    }

    pub fn due(self) -> String {
        self.named("due")
    }

    pub fn sale(self) -> String {
        self.named("sale")
    }

    pub fn product(self, id: ProductId) -> String {
        format!("fs1:{{{}}}:product:{id}", self.0)
    }

    /// What a product is that left this sale and did not arrive in another one yet.
    pub fn baggage(self, id: ProductId, of_move: &str) -> String {
        self.named(&format!("moving:{id}:{of_move}"))
    }

    /// `key` is the random part of the hold's id.
    pub fn hold(self, key: &str) -> String {
        format!("fs1:{{{}}}:hold:{key}", self.0)
    }

    /// `key` is the key of the hold that became the order.
    pub fn order(self, key: &str) -> String {
        format!("fs1:{{{}}}:order:{key}", self.0)
    }

    pub fn once(self, hash: &str) -> String {
        format!("fs1:{{{}}}:once:{hash}", self.0)
    }

    /// Events of a payment that named nothing of ours.
    pub fn kept(self, hash: &str) -> String {
        format!("fs1:{{{}}}:kept:{hash}", self.0)
    }

    fn named(self, name: &str) -> String {
        format!("fs1:{{{}}}:{name}", self.0)
    }
}
