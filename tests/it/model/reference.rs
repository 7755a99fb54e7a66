//! The expected behaviour of a sale, in the plainest way: lists that are searched from end to end.

use std::collections::BTreeMap;

use flashsale::domain::visibility::{Audience, Visibility};
use proptest::prelude::*;
use proptest_state_machine::ReferenceStateMachine;

use super::{
    limits::{Limit, SaleLimits, limit},
    payments::{FREE, Payment, Said, price},
    shown::{Show, Shown, show},
};

pub const HOLD_MS: i64 = 100_000;
pub const HOLD_MAX_MS: i64 = 200_000;
pub const PAYMENT_MS: i64 = 50_000;
pub const PAYMENT_MAX_MS: i64 = 80_000;
pub const REVIEW_MS: i64 = 90_000;
pub const MAX_PER_HOLD: u64 = 4;
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
    Limit(Limit),
    Show(Show),
    /// Such a reader reads the product.
    See(u64, Audience),
    Restock(u64, i64),
    /// Logs which orders have lapsed.
    Expire,
    /// Resolves the review with this number, in the order of opening, if there is one.
    Resolve(usize, &'static str),
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
    /// The id of a refund.
    pub refund: Option<u8>,
}

/// An amount, in relation to the total of the order.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Amount {
    Missing,
    Right,
    More,
    Less,
    WrongCurrency,
    Unclear,
}

#[derive(Clone, Debug)]
pub(super) struct Hold {
    pub(super) lines: BTreeMap<u64, u64>,
    pub(super) customer: bool,
    pub(super) deadline: i64,
    /// In whole seconds, like the stored time.
    pub(super) made: i64,
    /// Neither released nor turned into an order. It may have lapsed.
    pub(super) live: bool,
    /// It lapsed and its units were given back.
    pub(super) reclaimed: bool,
}

#[derive(Clone, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "facts about an order, each on its own")]
pub(super) struct Order {
    pub(super) status: &'static str,
    pub(super) lines: BTreeMap<u64, u64>,
    pub(super) due: i64,
    /// `customer`, or `shop`: its webhook said so.
    pub(super) cancelled_by: Option<&'static str>,
    /// Why its money must go back.
    pub(super) reason: &'static str,
    pub(super) payments: BTreeMap<PaymentName, Payment>,
    /// The payment that pays it.
    pub(super) pays: Option<PaymentName>,
    pub(super) late: bool,
    pub(super) reclaimed: bool,
    pub(super) created: i64,
    /// The buyer has begun to pay.
    pub(super) started: bool,
    /// The log says that it has lapsed.
    pub(super) expired: bool,
}

/// `None`: the payment of the events that name none.
pub(super) type PaymentName = Option<u8>;

#[derive(Clone, Debug)]
pub(super) struct Review {
    pub(super) hold: usize,
    pub(super) payment: PaymentName,
    pub(super) reason: &'static str,
    pub(super) is_open: bool,
}

#[derive(Clone, Debug)]
pub struct Product {
    pub sale: &'static str,
    pub currency: &'static str,
    pub total: u64,
    pub(super) max_per_customer: Option<u64>,
    pub(super) group: Option<&'static str>,
    pub(super) shown: Shown,
}

/// A whole service. All holds are in the sale `drop`. Other sales have products that nobody holds.
#[derive(Clone, Debug)]
pub struct SaleReference {
    /// The clock of the server, as an offset from the start.
    pub clock: i64,
    last_now: i64,
    pub products: BTreeMap<u64, Product>,
    pub(super) holds: Vec<Hold>,
    pub(super) orders: BTreeMap<usize, Order>,
    hold_keys: BTreeMap<u8, (HoldRequest, usize, i64)>,
    /// By key and status. With the amount of each, because the right amount may be another one later.
    pub(super) event_keys: BTreeMap<(u32, &'static str), (Event, Said)>,
    /// In the order of opening.
    pub(super) reviews: Vec<Review>,
    /// The one event about an unknown id came before.
    unknown_came: bool,
    paused: bool,
    pub(super) limits: SaleLimits,
    pub(super) shown: Visibility,
    /// The outcome that the last command should have: its word, then its values.
    pub expected: String,
}

/// Statuses in which an order has units until its deadline.
pub(super) const WAITING: [&str; 2] = ["pending", "in_review"];

impl SaleReference {
    /// A service with so many units of a product.
    pub fn selling(product: u64, total: u64) -> Self {
        let mut reference = Self::new();
        reference.products.get_mut(&product).unwrap().total = total;
        reference
    }

    /// The stored status of the order of a hold.
    pub fn status(&self, at: usize) -> Option<&'static str> {
        self.orders.get(&at).map(|order| order.status)
    }

    fn new() -> Self {
        let product = |sale, total| Product::new(sale, "USD", total);
        Self {
            clock: 0,
            // Making its products is the first write.
            last_now: 0,
            products: [
                (1, product("drop", 8)),
                (2, product("drop", 3)),
                (3, product("other", 5)),
                (FREE, product("drop", 4)),
            ]
            .into(),
            holds: Vec::new(),
            orders: BTreeMap::new(),
            hold_keys: BTreeMap::new(),
            event_keys: BTreeMap::new(),
            reviews: Vec::new(),
            unknown_came: false,
            paused: false,
            limits: SaleLimits::default(),
            shown: Visibility::default(),
            expected: String::new(),
        }
    }

    /// The reason of each review and whether it is open, in the order of opening.
    pub fn reviews(&self) -> Vec<(String, bool)> {
        self.reviews.iter().map(|review| (review.reason.to_owned(), review.is_open)).collect()
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

    pub(super) fn now(&self) -> i64 {
        self.clock.max(self.last_now)
    }

    /// The held, pending and sold units of a product in its counters. Lapsed units count until they are reclaimed.
    pub fn counted(&self, product: u64) -> [u64; 3] {
        let of = |lines: &BTreeMap<u64, u64>| lines.get(&product).copied().unwrap_or(0);
        let held = self.holds.iter().filter(|h| h.live && !h.reclaimed).map(|h| of(&h.lines)).sum();
        let orders = |statuses: &[&str]| -> u64 {
            self.orders.values().filter(|o| statuses.contains(&o.status) && !o.reclaimed).map(|o| of(&o.lines)).sum()
        };
        [held, orders(&WAITING), orders(&["paid"])]
    }

    pub fn available(&self, product: u64) -> u64 {
        self.products[&product].total - self.counted(product).iter().sum::<u64>()
    }

    pub(super) fn reclaim(&mut self) {
        let now = self.now();
        let mut any = false;
        for hold in self.holds.iter_mut().filter(|h| h.live && !h.reclaimed && now > h.deadline) {
            (hold.reclaimed, any) = (true, true);
        }
        for order in self.orders.values_mut().filter(|o| WAITING.contains(&o.status) && !o.reclaimed && now > o.due) {
            (order.reclaimed, any) = (true, true);
        }
        if any {
            self.last_now = now;
        }
    }

    pub(super) fn wrote(&mut self) {
        self.last_now = self.now();
    }

    pub(super) fn alive(&self, at: usize) -> bool {
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
            let costs = total(&request.lines);
            return if same {
                format!("replayed #{at} until {deadline} costs {costs} USD")
            } else {
                "idempotency_key_reused".into()
            };
        }
        if let Some(hidden) = self.hidden_in(request) {
            return hidden;
        }
        if self.paused && self.products[request.lines.keys().next().unwrap()].sale == "drop" {
            return "sale_paused".into();
        }
        if let Some((product, _)) = request.lines.iter().find(|(_, units)| **units > MAX_PER_HOLD) {
            return format!("quantity_above_limit {product}");
        }
        if let Some(refused) = self.limit_refusal(request) {
            return refused;
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
        format!("held #{at} until {deadline} costs {} USD", total(&request.lines))
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
        format!("extended #{at} until {deadline} costs {} USD", total(&self.holds[at].lines))
    }

    fn pause(&mut self, paused: bool) -> String {
        if self.paused != paused {
            self.wrote();
        }
        self.paused = paused;
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
        if delta != 0 {
            self.wrote();
        }
        format!("restocked {total} {}", self.available(product))
    }

    fn next_release(&self, product: u64) -> i64 {
        let holds =
            self.holds.iter().filter(|h| h.live && !h.reclaimed && h.lines.contains_key(&product)).map(|h| h.deadline);
        let pending = |o: &&Order| WAITING.contains(&o.status) && !o.reclaimed && o.lines.contains_key(&product);
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
        self.convert_to_pay(at);
        self.wrote();
        format!("created {}", self.order_text(at))
    }

    pub(super) fn convert(&mut self, at: usize, status: &'static str, due: i64) {
        self.holds[at].live = false;
        let lines = self.holds[at].lines.clone();
        let order = Order {
            status,
            lines,
            due,
            cancelled_by: None,
            reason: "",
            payments: BTreeMap::new(),
            pays: None,
            late: false,
            reclaimed: false,
            created: self.now(),
            started: false,
            expired: false,
        };
        self.orders.insert(at, order);
    }

    /// The order as text, as the machine writes it.
    pub(super) fn order_text(&self, at: usize) -> String {
        let Some(order) = self.orders.get(&at) else { return "none".into() };
        let status = match order.status {
            "pending" if self.now() > order.due => "expired",
            "in_review" if self.now() > order.due => "refund_required",
            status => status,
        };
        let total = total(&order.lines);
        let customer = self.holds[at].customer && !order.lines.is_empty();
        format!(
            "#{at} {status} {:?} total {total} due {} late {} customer {customer}",
            order.lines, order.due, order.late
        )
    }

    fn cancel(&mut self, at: usize) -> String {
        if self.cancel_free(at, "customer") {
            self.wrote();
            return format!("cancelled {}", self.order_text(at));
        }
        match self.orders.get_mut(&at) {
            None => return "order_not_found".into(),
            Some(order) if order.status == "cancelled" => {
                let was_open = order.cancelled_by.replace("customer") != Some("customer");
                if was_open {
                    self.wrote();
                }
                return format!("already_cancelled {}", self.order_text(at));
            }
            Some(order) if order.status != "pending" => {
                return format!("order_not_cancellable {}", self.order_text(at));
            }
            Some(order) => (order.status, order.cancelled_by) = ("cancelled", Some("customer")),
        }
        self.cancel_unclaimed(at);
        self.wrote();
        format!("cancelled {}", self.order_text(at))
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

    pub(super) fn start(&mut self, at: usize) {
        let now = self.now();
        let order = self.orders.get_mut(&at).unwrap();
        let later = whole_second(now + PAYMENT_MS).min(whole_second(order.created + PAYMENT_MAX_MS));
        (order.started, order.due) = (true, order.due.max(later));
    }

    fn expire(&mut self) -> String {
        let now = self.now();
        let holds = self.holds.len();
        let has_lapsed = |at: &usize, order: &Order| {
            *at < holds && WAITING.contains(&order.status) && now > order.due && !order.expired
        };
        let lapsed: Vec<usize> = self.orders.iter().filter(|(at, o)| has_lapsed(at, o)).map(|(at, _)| *at).collect();
        if !lapsed.is_empty() {
            self.reclaim();
            lapsed.iter().for_each(|at| self.log_lapse(*at));
            self.wrote();
        }
        format!("expired {}", lapsed.len())
    }

    /// Records that an order has lapsed.
    pub(super) fn log_lapse(&mut self, at: usize) {
        let now = self.now();
        let order = self.orders.get_mut(&at).unwrap();
        if !WAITING.contains(&order.status) || now <= order.due || order.expired {
            return;
        }
        if order.status == "in_review" {
            (order.status, order.reason) = ("refund_required", "review_expired");
        } else {
            order.expired = true;
        }
    }

    fn find_hold(&self, at: usize) -> String {
        let hold = &self.holds[at];
        if self.orders.contains_key(&at) {
            return format!("converted {}", self.order_text(at));
        }
        if !self.alive(at) {
            return "hold_expired".into();
        }
        let costs = total(&hold.lines);
        format!("active #{at} {:?} until {} customer {} costs {costs} USD", hold.lines, hold.deadline, hold.customer)
    }

    fn find_order(&self, at: usize) -> String {
        if self.orders.contains_key(&at) { format!("found {}", self.order_text(at)) } else { "order_not_found".into() }
    }

    pub(super) fn stock(&mut self, product: u64) -> String {
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
        self.products.insert(id, Product::new(sale, currency, 5));
        format!("created {id}")
    }
}

pub(super) fn total(lines: &BTreeMap<u64, u64>) -> u64 {
    lines.iter().map(|(product, units)| price(*product) * units).sum()
}

pub(super) fn whole_second(ms: i64) -> i64 {
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
        let stock = (1_u64..=FREE).prop_map(Transition::Stock);
        let free = prop_oneof![12 => hold_request().prop_map(Transition::Hold), 4 => clock, 1 => put, 1 => stock,
            1 => Just(Transition::SettleUnknown)];
        if state.holds.is_empty() {
            return free.boxed();
        }
        // Mostly recent holds: old ones have lapsed.
        let last = state.holds.len();
        let at = prop_oneof![3 => last.saturating_sub(3)..last, 1 => 0..last].boxed();
        let reviews = state.reviews.len();
        let earlier: Vec<HoldRequest> = state.hold_keys.values().map(|(request, ..)| request.clone()).collect();
        let free = if earlier.is_empty() {
            free.boxed()
        } else {
            prop_oneof![14 => free, 1 => prop::sample::select(earlier).prop_map(Transition::Hold)].boxed()
        };
        let resolve = (0..=reviews, prop::sample::select(vec!["accept", "refund", "dismiss"]))
            .prop_map(|(number, action)| Transition::Resolve(number, action));
        let free = if reviews == 0 { free } else { prop_oneof![5 => free, 1 => resolve].boxed() };
        prop_oneof![
            19 => free,
            4 => at.clone().prop_map(Transition::Release),
            6 => at.clone().prop_map(Transition::Order),
            4 => at.clone().prop_map(Transition::Cancel),
            8 => at.clone().prop_map(Transition::StartPayment),
            9 => (at.clone(), prop::sample::select(vec![1_000_i64, 300_000, 300_000, 300_000]))
                .prop_map(|(at, ms)| Transition::Extend(at, ms)),
            1 => prop::bool::weighted(0.3).prop_map(Transition::Pause),
            4 => limit().prop_map(Transition::Limit),
            5 => show(),
            2 => (1_u64..=2, -4_i64..=3).prop_map(|(id, delta)| Transition::Restock(id, delta)),
            2 => Just(Transition::Expire),
            4 => at.clone().prop_map(Transition::FindHold),
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
            Transition::Limit(limit) => state.limit(limit),
            Transition::Show(show) => state.show(*show),
            Transition::See(product, audience) => ("see", state.see(*product, *audience)),
            Transition::Restock(product, delta) => ("restock", state.restock(*product, *delta)),
            Transition::Expire => ("expire", state.expire()),
            Transition::Resolve(number, action) => ("resolve", state.resolve(*number, action)),
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
    let product = prop_oneof![10 => Just(1_u64), 6 => Just(2), 2 => Just(FREE), 1 => 4_u64..8];
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
    let status = prop_oneof![
        8 => Just("paid"),
        2 => Just("failed"),
        2 => Just("cancelled"),
        4 => Just("refunded"),
        2 => Just("processing"),
        1 => prop::sample::select(vec!["refund_failed", "disputed", "dispute_won", "dispute_lost"]),
    ];
    let amount = prop_oneof![4 => Just(Amount::Missing), 3 => Just(Amount::Right), 1 => Just(Amount::More),
        2 => Just(Amount::Less), 1 => Just(Amount::WrongCurrency), 1 => Just(Amount::Unclear)];
    let key = prop_oneof![5 => 0_u32..200, 1 => 200_u32..203];
    let refund = prop_oneof![2 => Just(None), 1 => (0_u8..2).prop_map(Some)];
    (at, any::<bool>(), status, key, prop::option::of(0_u8..2), amount, refund).prop_map(
        |(hold, by_order, status, key, payment, amount, refund)| Event {
            hold,
            by_order,
            status,
            key,
            payment,
            amount,
            refund,
        },
    )
}
