//! The expected behaviour of a sale, in the plainest way: lists that are searched from end to end.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest_state_machine::ReferenceStateMachine;

pub const HOLD_MS: i64 = 100_000;
pub const HOLD_MAX_MS: i64 = 200_000;
pub const PAYMENT_MS: i64 = 50_000;
pub const PAYMENT_MAX_MS: i64 = 80_000;
pub const MAX_PER_HOLD: u64 = 4;
/// Ten-thousandths for one unit of product `p`: `p` dollars.
pub const PRICE: u64 = 10_000;

/// A command, or a move of the clock. A hold is named by its number, in the order of creation.
#[derive(Clone, Debug)]
pub enum Transition {
    Hold(HoldRequest),
    Release(usize),
    Order(usize),
    Cancel(usize),
    StartPayment(usize),
    /// The hold, and so many milliseconds more.
    Extend(usize, i64),
    /// Pauses the sale `drop`, or ends its pause.
    Pause(bool),
    /// A product of the sale `drop`, and the units that one customer may have of it.
    Limit(u64, Option<u64>),
    Restock(u64, i64),
    /// Logs which orders have lapsed.
    Expire,
    /// Resolves the review that the event with this key opened, if there is one.
    Resolve(u32),
    Settle(Event),
    SettleUnknown,
    FindHold(usize),
    FindOrder(usize),
    Stock(u64),
    PutProduct {
        id: u64,
        sale: &'static str,
        currency: &'static str,
    },
    /// Moves the clock by milliseconds, forwards or back.
    Clock(i64),
}

#[derive(Clone, Debug, PartialEq)]
pub struct HoldRequest {
    pub lines: BTreeMap<u64, u64>,
    pub customer: bool,
    pub ttl_seconds: Option<u64>,
    pub key: Option<u8>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    pub hold: usize,
    pub by_order: bool,
    pub status: &'static str,
    pub key: u32,
    pub payment: Option<u8>,
    pub amount: Amount,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Amount {
    Missing,
    Right,
    Wrong,
    WrongCurrency,
}

/// An amount and its currency, where an event gives them.
type Captured = Option<(u64, &'static str)>;

#[derive(Clone, Debug)]
struct Hold {
    lines: BTreeMap<u64, u64>,
    customer: bool,
    deadline: i64,
    /// In whole seconds, like the stored time.
    made: i64,
    /// Neither released nor turned into an order. It may have lapsed.
    live: bool,
    /// It lapsed and its units were given back.
    reclaimed: bool,
}

#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "facts about an order, each on its own")]
struct Order {
    status: &'static str,
    lines: BTreeMap<u64, u64>,
    due: i64,
    by_payment: bool,
    payment: String,
    /// The amount and currency of the payment, where its event gave them.
    captured: Captured,
    late: bool,
    reclaimed: bool,
    created: i64,
    /// The buyer has begun to pay.
    started: bool,
    /// The log says that it has lapsed.
    expired: bool,
    review: Option<ReviewName>,
}

/// The name of a review: the hold, whether it is about a refund, and the payment, or the event where it names no payment. A
/// review of a refund also has the amount that came back.
type ReviewName = (usize, bool, Result<u8, u32>, Captured);

#[derive(Clone, Debug)]
struct Review {
    /// The key of the event that opened it.
    opened_by: u32,
    is_open: bool,
}

#[derive(Clone, Debug)]
pub struct Product {
    pub sale: &'static str,
    pub currency: &'static str,
    pub total: u64,
    max_per_customer: Option<u64>,
}

/// A whole service. All holds are in the sale `drop`. Other sales have products that nobody holds.
#[derive(Clone, Debug)]
pub struct SaleReference {
    /// The clock of the server, as an offset from the start.
    pub clock: i64,
    last_now: i64,
    pub products: BTreeMap<u64, Product>,
    holds: Vec<Hold>,
    orders: BTreeMap<usize, Order>,
    hold_keys: BTreeMap<u8, (HoldRequest, usize, i64)>,
    /// With the amount of each, because the right amount may be another one later.
    event_keys: BTreeMap<u32, (Event, Captured)>,
    reviews: BTreeMap<ReviewName, Review>,
    /// The one event about an unknown id came before.
    unknown_came: bool,
    paused: bool,
    /// The outcome that the last command should have: its word, then its values.
    pub expected: String,
}

impl SaleReference {
    /// A service with so many units of product 1.
    pub fn selling(total: u64) -> Self {
        let mut reference = Self::new();
        reference.products.get_mut(&1).unwrap().total = total;
        reference
    }

    /// The stored status of the order of a hold.
    pub fn status(&self, at: usize) -> Option<&'static str> {
        self.orders.get(&at).map(|order| order.status)
    }

    fn new() -> Self {
        let product = |sale, total| Product { sale, currency: "USD", total, max_per_customer: None };
        Self {
            clock: 0,
            // Making its products is the first write.
            last_now: 0,
            products: [(1, product("drop", 8)), (2, product("drop", 3)), (3, product("other", 5))].into(),
            holds: Vec::new(),
            orders: BTreeMap::new(),
            hold_keys: BTreeMap::new(),
            event_keys: BTreeMap::new(),
            reviews: BTreeMap::new(),
            unknown_came: false,
            paused: false,
            expected: String::new(),
        }
    }

    /// Reviews that are open, and those that are resolved.
    pub fn reviews(&self) -> [usize; 2] {
        [true, false].map(|open| self.reviews.values().filter(|review| review.is_open == open).count())
    }

    /// The state of each order, by hold, that the log of events must end in.
    pub fn states_by_events(&self) -> BTreeMap<usize, String> {
        let orders = self.orders.iter().filter(|(at, _)| **at < self.holds.len());
        orders
            .map(|(at, order)| {
                (*at, if order.expired && order.status == "pending" { "expired" } else { order.status }.to_owned())
            })
            .collect()
    }

    fn now(&self) -> i64 {
        self.clock.max(self.last_now)
    }

    /// The held, pending and sold units of a product in its counters. Lapsed units count until they are reclaimed.
    pub fn counted(&self, product: u64) -> [u64; 3] {
        let of = |lines: &BTreeMap<u64, u64>| lines.get(&product).copied().unwrap_or(0);
        let held = self.holds.iter().filter(|h| h.live && !h.reclaimed).map(|h| of(&h.lines)).sum();
        let orders = |status: &str| -> u64 {
            self.orders.values().filter(|o| o.status == status && !o.reclaimed).map(|o| of(&o.lines)).sum()
        };
        [held, orders("pending"), orders("paid")]
    }

    pub fn available(&self, product: u64) -> u64 {
        self.products[&product].total - self.counted(product).iter().sum::<u64>()
    }

    fn reclaim(&mut self) {
        let now = self.now();
        let mut any = false;
        for hold in self.holds.iter_mut().filter(|h| h.live && !h.reclaimed && now > h.deadline) {
            (hold.reclaimed, any) = (true, true);
        }
        for order in self.orders.values_mut().filter(|o| o.status == "pending" && !o.reclaimed && now > o.due) {
            (order.reclaimed, any) = (true, true);
        }
        if any {
            self.last_now = now;
        }
    }

    fn wrote(&mut self) {
        self.last_now = self.now();
    }

    fn alive(&self, at: usize) -> bool {
        self.holds[at].live && self.now() <= self.holds[at].deadline
    }

    fn hold(&mut self, request: &HoldRequest) -> String {
        for product in request.lines.keys() {
            if !self.products.contains_key(product) {
                return format!("product_not_found {product}");
            }
            if self.products[product].sale != self.products[request.lines.keys().next().unwrap()].sale {
                return "products_of_different_sales".into();
            }
        }
        self.reclaim();
        if let Some((earlier_request, at, deadline)) = request.key.and_then(|key| self.hold_keys.get(&key)) {
            let same =
                HoldRequest { key: None, ..earlier_request.clone() } == HoldRequest { key: None, ..request.clone() };
            return if same { format!("replayed #{at} until {deadline}") } else { "idempotency_key_reused".into() };
        }
        if self.paused && self.products[request.lines.keys().next().unwrap()].sale == "drop" {
            return "sale_paused".into();
        }
        if let Some((product, _)) = request.lines.iter().find(|(_, units)| **units > MAX_PER_HOLD) {
            return format!("quantity_above_limit {product}");
        }
        for (product, units) in &request.lines {
            let Some(most) = self.products[product].max_per_customer else { continue };
            if !request.customer {
                return format!("customer_id_required {product}");
            }
            let left = most.saturating_sub(self.customer_has(*product));
            if *units > left {
                return format!("customer_limit_reached {product} {left}");
            }
        }
        for (product, units) in &request.lines {
            let available = self.available(*product);
            if *units > available {
                let [held, pending, _] = self.counted(*product);
                let reason = match (available, held + pending) {
                    (0, 0) => "sold_out",
                    (0, _) => "all_held",
                    _ => "not_enough",
                };
                return format!(
                    "insufficient_stock {reason} {product} {available} next {}",
                    self.next_release(*product)
                );
            }
        }
        let ms =
            request.ttl_seconds.map_or(HOLD_MS, |seconds| i64::try_from(seconds * 1_000).unwrap().min(HOLD_MAX_MS));
        let deadline = whole_second(self.now() + ms);
        let at = self.holds.len();
        let (lines, made) = (request.lines.clone(), whole_second(self.now()));
        let hold = Hold { lines, customer: request.customer, deadline, made, live: true, reclaimed: false };
        self.holds.push(hold);
        if let Some(key) = request.key {
            self.hold_keys.insert(key, (request.clone(), at, deadline));
        }
        self.wrote();
        format!("held #{at} until {deadline}")
    }

    /// The units that the one customer has of a product, in live holds, pending orders and paid orders.
    fn customer_has(&self, product: u64) -> u64 {
        let of = |lines: &BTreeMap<u64, u64>| lines.get(&product).copied().unwrap_or(0);
        let alive = (0..self.holds.len()).filter(|at| self.alive(*at) && self.holds[*at].customer);
        let held: u64 = alive.map(|at| of(&self.holds[at].lines)).sum();
        let orders = self.orders.iter().filter(|(at, _)| self.holds.get(**at).is_some_and(|hold| hold.customer));
        let counts = |order: &Order| order.status == "paid" || order.status == "pending" && self.now() <= order.due;
        held + orders.filter(|(_, order)| counts(order)).map(|(_, order)| of(&order.lines)).sum::<u64>()
    }

    fn extend(&mut self, at: usize, ms: i64) -> String {
        if self.orders.contains_key(&at) {
            return "hold_converted".into();
        }
        if !self.alive(at) {
            return "hold_expired".into();
        }
        let latest = whole_second(self.holds[at].made + HOLD_MAX_MS);
        let deadline = whole_second(self.holds[at].deadline + ms).min(latest);
        if deadline <= self.holds[at].deadline {
            return format!("extension_limit_reached {}", self.holds[at].deadline);
        }
        self.holds[at].deadline = deadline;
        self.wrote();
        format!("extended #{at} until {deadline}")
    }

    fn pause(&mut self, paused: bool) -> String {
        if self.paused != paused {
            self.wrote();
        }
        self.paused = paused;
        "changed".into()
    }

    fn limit(&mut self, product: u64, most: Option<u64>) -> String {
        self.reclaim();
        self.products.get_mut(&product).unwrap().max_per_customer = most;
        self.wrote();
        "changed".into()
    }

    fn restock(&mut self, product: u64, delta: i64) -> String {
        self.reclaim();
        let floor: u64 = self.counted(product).iter().sum();
        let total = i64::try_from(self.products[&product].total).unwrap() + delta;
        if total < i64::try_from(floor).unwrap() {
            return format!("below_promised {floor}");
        }
        self.products.get_mut(&product).unwrap().total = u64::try_from(total).unwrap();
        self.wrote();
        format!("restocked {total} {}", self.available(product))
    }

    fn next_release(&self, product: u64) -> i64 {
        let holds =
            self.holds.iter().filter(|h| h.live && !h.reclaimed && h.lines.contains_key(&product)).map(|h| h.deadline);
        let pending = |o: &&Order| o.status == "pending" && !o.reclaimed && o.lines.contains_key(&product);
        holds.chain(self.orders.values().filter(pending).map(|o| o.due)).min().unwrap_or(0)
    }

    fn release(&mut self, at: usize) -> String {
        if self.orders.contains_key(&at) {
            return "hold_converted".into();
        }
        if !self.alive(at) {
            return "hold_expired".into();
        }
        self.holds[at].live = false;
        self.wrote();
        "released".into()
    }

    fn order(&mut self, at: usize) -> String {
        if self.orders.contains_key(&at) {
            return format!("exists {}", self.order_text(at));
        }
        if !self.alive(at) {
            return "hold_expired".into();
        }
        let due = whole_second(self.now() + PAYMENT_MS);
        self.convert(at, "pending", due);
        self.wrote();
        format!("created {}", self.order_text(at))
    }

    fn convert(&mut self, at: usize, status: &'static str, due: i64) {
        self.holds[at].live = false;
        let lines = self.holds[at].lines.clone();
        let order = Order {
            status,
            lines,
            due,
            by_payment: false,
            payment: String::new(),
            captured: None,
            late: false,
            reclaimed: false,
            created: self.now(),
            started: false,
            expired: false,
            review: None,
        };
        self.orders.insert(at, order);
    }

    /// The order as text, as the machine writes it.
    fn order_text(&self, at: usize) -> String {
        let Some(order) = self.orders.get(&at) else { return "none".into() };
        let expired = order.status == "pending" && self.now() > order.due;
        let status = if expired { "expired" } else { order.status };
        let total = total(&order.lines);
        let customer = self.holds[at].customer && !order.lines.is_empty();
        format!(
            "#{at} {status} {:?} total {total} due {} late {} customer {customer}",
            order.lines, order.due, order.late
        )
    }

    fn cancel(&mut self, at: usize) -> String {
        match self.orders.get_mut(&at) {
            None => return "order_not_found".into(),
            Some(order) if order.status == "cancelled" => {
                let was_by_payment = std::mem::replace(&mut order.by_payment, false);
                if was_by_payment {
                    self.wrote();
                }
                return format!("already_cancelled {}", self.order_text(at));
            }
            Some(order) if order.status != "pending" => {
                return format!("order_not_cancellable {}", self.order_text(at));
            }
            Some(order) => order.status = "cancelled",
        }
        self.cancel_unclaimed(at);
        self.wrote();
        format!("cancelled {}", self.order_text(at))
    }

    /// An order that lapsed but was not reclaimed keeps its units counted as pending until they are.
    fn cancel_unclaimed(&mut self, at: usize) {
        let now = self.now();
        let order = &self.orders[&at];
        if now > order.due && !order.reclaimed {
            // Its bucket still exists: to the counters it is a hold that nobody can use.
            let ghost = Order { status: "pending", payment: String::new(), ..order.clone() };
            let key = usize::MAX - self.orders.len();
            self.orders.insert(key, ghost);
        }
    }

    fn start_payment(&mut self, at: usize) -> String {
        let now = self.now();
        match self.orders.get(&at) {
            None => return "order_not_found".into(),
            Some(order) if order.status != "pending" || now > order.due => {
                return format!("order_not_pending {}", self.order_text(at));
            }
            Some(order) if order.started => return format!("already_started {}", self.order_text(at)),
            Some(_) => {}
        }
        self.start(at);
        self.wrote();
        format!("started {}", self.order_text(at))
    }

    fn start(&mut self, at: usize) -> &'static str {
        let now = self.now();
        let order = self.orders.get_mut(&at).unwrap();
        let later = whole_second(now + PAYMENT_MS).min(whole_second(order.created + PAYMENT_MAX_MS));
        (order.started, order.due) = (true, order.due.max(later));
        "applied"
    }

    fn expire(&mut self) -> String {
        let now = self.now();
        let holds = self.holds.len();
        let has_lapsed =
            |at: &usize, order: &Order| *at < holds && order.status == "pending" && now > order.due && !order.expired;
        let lapsed: Vec<usize> = self.orders.iter().filter(|(at, o)| has_lapsed(at, o)).map(|(at, _)| *at).collect();
        if !lapsed.is_empty() {
            self.reclaim();
            lapsed.iter().for_each(|at| self.orders.get_mut(at).unwrap().expired = true);
            self.wrote();
        }
        format!("expired {}", lapsed.len())
    }

    fn resolve(&mut self, key: u32) -> String {
        let opened = self.reviews.values_mut().find(|review| review.opened_by == key);
        let Some(review) = opened else { return "review_not_found".into() };
        let was_open = std::mem::replace(&mut review.is_open, false);
        if was_open {
            self.wrote();
        }
        if was_open { "resolved".into() } else { "already_resolved".into() }
    }

    fn settle(&mut self, event: &Event) -> String {
        let at = event.hold;
        self.reclaim();
        let captured = self.captured_by(event);
        if let Some((earlier, earlier_captured)) = self.event_keys.get(&event.key) {
            let same = Event { key: 0, ..earlier.clone() } == Event { key: 0, ..event.clone() }
                && *earlier_captured == captured;
            return if same { format!("duplicate {}", self.order_text(at)) } else { "idempotency_key_reused".into() };
        }
        let outcome = self.effect(event);
        self.event_keys.insert(event.key, (event.clone(), captured));
        self.wrote();
        format!("{outcome} {}", self.order_text(at))
    }

    fn effect(&mut self, event: &Event) -> &'static str {
        let at = event.hold;
        let now = self.now();
        let Some(order) = self.orders.get(&at).cloned() else { return self.effect_without_order(event) };
        let state = match order.status {
            "pending" if now > order.due => "lapsed",
            "cancelled" if order.by_payment => "lapsed",
            status => status,
        };
        let payment = event.payment.map_or_else(String::new, |id| format!("pi_{id}"));
        let captured = self.captured_by(event);
        let differs = matches!(event.amount, Amount::Wrong | Amount::WrongCurrency);
        match (state, event.status) {
            ("pending" | "lapsed", "paid") if differs => self.review(event),
            ("pending", "paid") => self.pay(event, payment, captured, false),
            ("lapsed", "paid") => {
                let enough = order.lines.iter().all(|(product, units)| *units <= self.available(*product));
                if enough {
                    self.pay(event, payment, captured, true)
                } else {
                    self.require_refund(event, payment, captured)
                }
            }
            ("pending", "processing") if !order.started => self.start(at),
            ("pending", "failed" | "cancelled") => {
                let order = self.orders.get_mut(&at).unwrap();
                (order.status, order.by_payment) = ("cancelled", true);
                "applied"
            }
            ("cancelled", "paid") => self.require_refund(event, payment, captured),
            ("paid" | "refund_required" | "refunded", "paid") => {
                let other = payment != order.payment || unlike(captured, order.captured);
                if other { self.review(event) } else { "duplicate" }
            }
            ("paid" | "refund_required", "refunded") => {
                let other = !payment.is_empty() && !order.payment.is_empty() && payment != order.payment;
                let whole = order.captured.or((!order.lines.is_empty()).then(|| (total(&order.lines), "USD")));
                if other || unlike(captured, whole) {
                    return self.review(event);
                }
                if let Some(review) = order.review {
                    self.reviews.get_mut(&review).unwrap().is_open = false;
                }
                self.orders.get_mut(&at).unwrap().status = "refunded";
                "applied"
            }
            _ => "ignored",
        }
    }

    fn effect_without_order(&mut self, event: &Event) -> &'static str {
        let at = event.hold;
        let payment = event.payment.map_or_else(String::new, |id| format!("pi_{id}"));
        let captured = self.captured_by(event);
        match (self.alive(at), event.status) {
            (true, "paid") if matches!(event.amount, Amount::Wrong | Amount::WrongCurrency) => self.review(event),
            (true, "paid") => {
                self.convert(at, "paid", self.now());
                self.pay(event, payment, captured, false)
            }
            (true, "cancelled") => {
                self.holds[at].live = false;
                "applied"
            }
            (false, "paid") => {
                let (live, reclaimed) = (self.holds[at].live, self.holds[at].reclaimed);
                self.convert(at, "refund_required", self.now());
                (self.holds[at].live, self.holds[at].reclaimed) = (live, reclaimed);
                self.orders.get_mut(&at).unwrap().lines = BTreeMap::new();
                self.require_refund(event, payment, captured)
            }
            _ => "ignored",
        }
    }

    /// The amount in the event. The machine asks the store for the right amount, and takes 7 where there is none.
    fn captured_by(&self, event: &Event) -> Captured {
        let right = match self.orders.get(&event.hold) {
            Some(order) if !order.lines.is_empty() => total(&order.lines),
            None if self.alive(event.hold) => total(&self.holds[event.hold].lines),
            _ => 7,
        };
        match event.amount {
            Amount::Missing => None,
            Amount::Right => Some((right, "USD")),
            Amount::Wrong => Some((right + 1, "USD")),
            Amount::WrongCurrency => Some((right, "EUR")),
        }
    }

    fn pay(&mut self, event: &Event, payment: String, captured: Captured, late: bool) -> &'static str {
        let name = self.review_name(event);
        if let Some(review) = self.reviews.get_mut(&name) {
            review.is_open = false;
        }
        let order = self.orders.get_mut(&event.hold).unwrap();
        order.captured = captured;
        (order.status, order.payment, order.late, order.reclaimed) = ("paid", payment, late, false);
        "applied"
    }

    fn require_refund(&mut self, event: &Event, payment: String, captured: Captured) -> &'static str {
        let name = self.review_name(event);
        if self.reviews.get(&name).is_some_and(|review| !review.is_open) {
            self.reviews.remove(&name);
        }
        self.review(event);
        let order = self.orders.get_mut(&event.hold).unwrap();
        (order.captured, order.review) = (captured, Some(name));
        (order.status, order.payment) = ("refund_required", payment);
        "refund_required"
    }

    fn review(&mut self, event: &Event) -> &'static str {
        let review = Review { opened_by: event.key, is_open: true };
        let name = self.review_name(event);
        self.reviews.entry(name).or_insert(review);
        "review"
    }

    fn review_name(&self, event: &Event) -> ReviewName {
        let is_refund = event.status == "refunded";
        let part = if is_refund { self.captured_by(event) } else { None };
        (event.hold, is_refund, event.payment.ok_or(event.key), part)
    }

    fn find_hold(&self, at: usize) -> String {
        let hold = &self.holds[at];
        if self.orders.contains_key(&at) {
            return format!("converted {}", self.order_text(at));
        }
        if !self.alive(at) {
            return "hold_expired".into();
        }
        format!("active #{at} {:?} until {} customer {}", hold.lines, hold.deadline, hold.customer)
    }

    fn find_order(&self, at: usize) -> String {
        if self.orders.contains_key(&at) { format!("found {}", self.order_text(at)) } else { "order_not_found".into() }
    }

    fn stock(&mut self, product: u64) -> String {
        if !self.products.contains_key(&product) {
            return "product_not_found".into();
        }
        if self.products[&product].sale == "drop" {
            self.reclaim();
        }
        let [held, pending, sold] = self.counted(product);
        let available = self.available(product);
        format!("stock {available} {held} {pending} {sold} next {}", self.next_release(product))
    }

    fn put_product(&mut self, id: u64, sale: &'static str, currency: &'static str) -> String {
        let other = self.products.values().find(|p| p.sale == sale).map(|p| p.currency).filter(|c| *c != currency);
        if let Some(other) = other {
            return format!("currency_differs {other}");
        }
        if self.products.contains_key(&id) {
            return "already_exists".into();
        }
        if sale == "drop" {
            self.wrote();
        }
        self.products.insert(id, Product { sale, currency, total: 5, max_per_customer: None });
        format!("created {id}")
    }
}

fn total(lines: &BTreeMap<u64, u64>) -> u64 {
    lines.iter().map(|(product, units)| product * PRICE * units).sum()
}

fn unlike(one: Captured, other: Captured) -> bool {
    one.is_some() && other.is_some() && one != other
}

fn whole_second(ms: i64) -> i64 {
    (ms + 999).div_euclid(1_000) * 1_000
}

impl ReferenceStateMachine for SaleReference {
    type State = Self;
    type Transition = Transition;

    fn init_state() -> BoxedStrategy<Self> {
        Just(Self::new()).boxed()
    }

    fn transitions(state: &Self) -> BoxedStrategy<Transition> {
        let clock = prop_oneof![
            3 => (1_i64..2_000).prop_map(Transition::Clock),
            3 => (20_000_i64..60_000).prop_map(Transition::Clock),
            1 => (100_000_i64..250_000).prop_map(Transition::Clock),
            1 => (-120_000_i64..0).prop_map(Transition::Clock),
        ];
        let place = prop_oneof![4 => (3_u64..7, Just("drop")), 1 => (Just(3_u64), Just("other"))];
        let put = (place, prop::sample::select(vec!["USD", "EUR"]))
            .prop_map(|((id, sale), currency)| Transition::PutProduct { id, sale, currency });
        let stock = (1_u64..9).prop_map(Transition::Stock);
        let free = prop_oneof![12 => hold_request().prop_map(Transition::Hold), 4 => clock, 1 => put, 1 => stock,
            1 => Just(Transition::SettleUnknown)];
        if state.holds.is_empty() {
            return free.boxed();
        }
        // Mostly recent holds: old ones have lapsed.
        let last = state.holds.len();
        let at = prop_oneof![3 => last.saturating_sub(3)..last, 1 => 0..last].boxed();
        let reviewed: Vec<u32> = state.reviews.values().map(|review| review.opened_by).collect();
        let earlier: Vec<HoldRequest> = state.hold_keys.values().map(|(request, ..)| request.clone()).collect();
        let free = if earlier.is_empty() {
            free.boxed()
        } else {
            prop_oneof![14 => free, 1 => prop::sample::select(earlier).prop_map(Transition::Hold)].boxed()
        };
        let free = if reviewed.is_empty() {
            free
        } else {
            prop_oneof![14 => free, 1 => prop::sample::select(reviewed).prop_map(Transition::Resolve)].boxed()
        };
        prop_oneof![
            19 => free,
            2 => at.clone().prop_map(Transition::Release),
            6 => at.clone().prop_map(Transition::Order),
            4 => at.clone().prop_map(Transition::Cancel),
            8 => at.clone().prop_map(Transition::StartPayment),
            9 => (at.clone(), prop::sample::select(vec![1_000_i64, 300_000, 300_000, 300_000]))
                .prop_map(|(at, ms)| Transition::Extend(at, ms)),
            1 => prop::bool::weighted(0.3).prop_map(Transition::Pause),
            1 => (1_u64..=2, prop::option::weighted(0.4, 1_u64..=3)).prop_map(|(id, most)| Transition::Limit(id, most)),
            2 => (1_u64..=2, -4_i64..=3).prop_map(|(id, delta)| Transition::Restock(id, delta)),
            2 => Just(Transition::Expire),
            2 => (0_u32..203).prop_map(Transition::Resolve),
            2 => at.clone().prop_map(Transition::FindHold),
            2 => at.clone().prop_map(Transition::FindOrder),
            14 => event(at).prop_map(Transition::Settle),
        ]
        .boxed()
    }

    fn apply(mut state: Self, transition: &Transition) -> Self {
        let (operation, outcome) = match transition {
            Transition::Hold(request) => ("hold", state.hold(request)),
            Transition::Release(at) => ("release", state.release(*at)),
            Transition::Order(at) => ("order", state.order(*at)),
            Transition::Cancel(at) => ("cancel", state.cancel(*at)),
            Transition::StartPayment(at) => ("start_payment", state.start_payment(*at)),
            Transition::Extend(at, ms) => ("extend", state.extend(*at, *ms)),
            Transition::Pause(paused) => ("change_sale", state.pause(*paused)),
            Transition::Limit(product, most) => ("change_product", state.limit(*product, *most)),
            Transition::Restock(product, delta) => ("restock", state.restock(*product, *delta)),
            Transition::Expire => ("expire", state.expire()),
            Transition::Resolve(key) => ("resolve", state.resolve(*key)),
            Transition::Settle(event) => ("settle", state.settle(event)),
            Transition::SettleUnknown => {
                let word = if state.unknown_came { "duplicate none" } else { "unmatched" };
                state.unknown_came = true;
                ("settle", word.into())
            }
            Transition::FindHold(at) => ("find_hold", state.find_hold(*at)),
            Transition::FindOrder(at) => ("find_order", state.find_order(*at)),
            Transition::Stock(product) => ("stock", state.stock(*product)),
            Transition::PutProduct { id, sale, currency } => ("put_product", state.put_product(*id, sale, currency)),
            Transition::Clock(ms) => {
                state.clock += ms;
                ("clock", String::new())
            }
        };
        state.expected = format!("{operation} {outcome}");
        state
    }

    fn preconditions(state: &Self, transition: &Transition) -> bool {
        match transition {
            Transition::Release(at)
            | Transition::Order(at)
            | Transition::Cancel(at)
            | Transition::StartPayment(at)
            | Transition::Extend(at, _)
            | Transition::FindHold(at)
            | Transition::FindOrder(at)
            | Transition::Settle(Event { hold: at, .. }) => *at < state.holds.len(),
            _ => true,
        }
    }
}

fn hold_request() -> impl Strategy<Value = HoldRequest> {
    let units = prop_oneof![12 => 1_u64..=2, 3 => 3_u64..=4, 1 => Just(5_u64)];
    let product = prop_oneof![10 => Just(1_u64), 6 => Just(2), 1 => 4_u64..8];
    let lines = prop_oneof![
        9 => (product, units).prop_map(|line| BTreeMap::from([line])),
        3 => (1_u64..=2, 1_u64..=2).prop_map(|(first, second)| BTreeMap::from([(1, first), (2, second)])),
        1 => Just(BTreeMap::from([(1, 1), (3, 1)])),
    ];
    let ttl_seconds =
        prop_oneof![3 => Just(None), 1 => prop::sample::select(vec![1_u64, 30, 150, 9_999]).prop_map(Some)];
    let key = prop_oneof![3 => Just(None), 1 => (0_u8..4).prop_map(Some)];
    (lines, any::<bool>(), ttl_seconds, key).prop_map(|(lines, customer, ttl_seconds, key)| HoldRequest {
        lines,
        customer,
        ttl_seconds,
        key,
    })
}

fn event(at: BoxedStrategy<usize>) -> impl Strategy<Value = Event> {
    let status = prop::sample::select(vec![
        "paid",
        "paid",
        "paid",
        "paid",
        "failed",
        "cancelled",
        "refunded",
        "refunded",
        "processing",
        "ignored",
    ]);
    let amount = prop_oneof![4 => Just(Amount::Missing), 3 => Just(Amount::Right), 1 => Just(Amount::Wrong),
        1 => Just(Amount::WrongCurrency)];
    let key = prop_oneof![5 => 0_u32..200, 1 => 200_u32..203];
    (at, any::<bool>(), status, key, prop::option::of(0_u8..2), amount).prop_map(
        |(hold, by_order, status, key, payment, amount)| Event { hold, by_order, status, key, payment, amount },
    )
}
