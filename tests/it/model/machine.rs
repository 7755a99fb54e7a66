//! The store on a real Redis, driven by the same commands as the model.

use std::{cell::RefCell, collections::BTreeMap, sync::Arc, time::Duration};

use actix_web::rt::Runtime;
use flashsale::{
    domain::{
        act::Act,
        audit::AuditOutcome,
        event::{About, EventQuery, EventStart},
        event_cursor::Seen,
        hold::{Hold, HoldCommand, Line, Lines},
        ids::{HoldId, ProductId, SaleId},
        money,
        order::{CancelledBy, Order},
        outcome::{
            CancelOutcome, ChangeSaleOutcome, ExtendOutcome, FindHoldOutcome, FindOrderOutcome, HoldOutcome,
            ListEventsOutcome, OrderOutcome, PutProductOutcome, ReleaseOutcome, RestockOutcome, StartPaymentOutcome,
        },
        payment::{PaymentEvent, PaymentStatus, StatedAmount, Target},
        product::{NewProduct, Restock},
        quantity::Quantity,
        sale::SaleChange,
        text::{CustomerId, IdempotencyKey, Name},
        visibility::Audience,
    },
    store::{Blueprint, Durability, DurabilityWanted, Limits, Store},
};
use proptest_state_machine::StateMachineTest;
use redis::Commands;

use super::{
    limits::limit_text,
    noted::{assert_noted, metadata_of, sku_of},
    paying::reviews,
    payments::price,
    reference::{HoldRequest, MAX_PER_HOLD, SaleReference, Transition},
    terms::{reason_word, terms},
};
use crate::support::{
    clock, invariants,
    redis::{PrivateRedis, topology},
    stock,
};

thread_local! {
    /// How often each outcome was seen.
    pub static SEEN: RefCell<BTreeMap<String, usize>> = const { RefCell::new(BTreeMap::new()) };
    static REDIS: PrivateRedis = PrivateRedis::start();
}

pub struct SaleTest {
    pub(super) runtime: Runtime,
    pub(super) store: Store,
    pub(super) redis: redis::Connection,
    start_ms: i64,
    pub(super) holds: Vec<HoldId>,
}

impl StateMachineTest for SaleTest {
    type SystemUnderTest = Self;
    type Reference = SaleReference;

    fn init_test(reference: &SaleReference) -> Self {
        let (url, mut redis) = REDIS.with(|redis| (redis.url(), redis.connect()));
        redis::cmd("FLUSHALL").exec(&mut redis).unwrap();
        let start_ms = clock::start_ms(&mut redis);
        let runtime = Runtime::new().unwrap();
        let limits = Limits {
            connect: Duration::from_secs(10),
            call: Duration::from_secs(10),
            in_flight_max: 10,
            queue_max: 10,
        };
        let topology = topology(&url, limits);
        let wanted = DurabilityWanted { payments: Durability::Memory, timeout: Duration::from_secs(1), is_ours: true };
        let prepared = runtime.block_on(Blueprint::prepare(topology, Arc::new(clock::catalogue()), terms(), wanted));
        let mut test = Self { runtime, store: Store::new(&prepared.unwrap().0), redis, start_ms, holds: Vec::new() };
        test.set_clock(reference);
        for (id, product) in &reference.products {
            let product = new_product(*id, product.sale, product.currency, product.total);
            let made = test.runtime.block_on(test.store.put_product(&product, &Act::default())).unwrap();
            assert!(matches!(made, PutProductOutcome::Created { .. }));
        }
        test
    }

    fn apply(mut test: Self, reference: &SaleReference, transition: Transition) -> Self {
        let got = test.run(&transition);
        if matches!(transition, Transition::Clock(_)) {
            test.set_clock(reference);
            return test;
        }
        assert_eq!(got, reference.expected, "after {transition:?}");
        let has_reason = ["hold insufficient_stock", "hold customer_id_required", "hold customer_limit_reached"];
        let words = if has_reason.iter().any(|start| got.starts_with(start)) { 3 } else { 2 };
        let word = got.split(' ').take(words).collect::<Vec<_>>().join(" ");
        SEEN.with_borrow_mut(|seen| *seen.entry(word).or_default() += 1);
        test
    }

    fn check_invariants(_test: &Self, reference: &SaleReference) {
        let mut redis = REDIS.with(PrivateRedis::connect);
        for (id, product) in &reference.products {
            let text = stock::whole(&mut redis, &format!("fs1:{{{}}}:stock", product.sale), id).unwrap();
            let stored = ["total", "available", "held", "pending", "sold"]
                .map(|name| stock::part(&text, name).parse::<u64>().unwrap());
            let [held, pending, sold] = reference.counted(*id);
            assert_eq!(stored, [product.total, reference.available(*id), held, pending, sold], "product {id}");
        }
        let expected = reference.reviews();
        let open = expected.iter().filter(|(_, is_open)| *is_open).count();
        let indexes: [usize; 2] =
            ["reviews", "resolved"].map(|index| redis.zcard(format!("fs1:{{drop}}:{index}")).unwrap());
        assert_eq!(indexes, [open, expected.len() - open], "open and resolved");
    }

    fn teardown(mut test: Self, reference: SaleReference) {
        assert_eq!(test.replay_events(), reference.states_by_events(), "the states that the log of events ends in");
        assert_eq!(reviews(&mut test.redis), reference.reviews(), "reasons of reviews, and whether they are open");
        invariants::check(&mut test.redis);
        let audited = test.runtime.block_on(test.store.audit(None)).unwrap();
        let AuditOutcome::Audited { sales, .. } = &audited else { panic!("{audited:?}") };
        assert!(sales.len() == 2 && sales.iter().all(|sale| sale.differences.is_empty()), "{sales:#?}");
    }
}

impl SaleTest {
    pub(super) fn set_clock(&mut self, reference: &SaleReference) {
        for sale in ["drop", "other"] {
            clock::set_now(&mut self.redis, sale, self.start_ms + reference.clock);
        }
    }

    #[expect(clippy::too_many_lines, reason = "a line or some for each transition")]
    pub(super) fn run(&mut self, transition: &Transition) -> String {
        match transition {
            Transition::Hold(request) => format!("hold {}", self.hold(request)),
            Transition::Release(at) => {
                let outcome = self.runtime.block_on(self.store.release(&self.holds[*at])).unwrap();
                let word = match outcome {
                    ReleaseOutcome::Released => "released",
                    ReleaseOutcome::HoldConverted(_) => "hold_converted",
                    ReleaseOutcome::HoldExpired => "hold_expired",
                };
                format!("release {word}")
            }
            Transition::Order(at) => match self.runtime.block_on(self.store.order(self.holds[*at].clone())).unwrap() {
                OrderOutcome::Created(order) => format!("order created {}", self.order_text(&order)),
                OrderOutcome::Exists(order) => format!("order exists {}", self.order_text(&order)),
                OrderOutcome::HoldExpired => "order hold_expired".into(),
            },
            Transition::Cancel(at) => {
                let order = self.store.ids().order_of(&self.holds[*at]);
                match self.runtime.block_on(self.store.cancel(&order, CancelledBy::Customer, &Act::default())).unwrap()
                {
                    CancelOutcome::Cancelled(order) => format!("cancel cancelled {}", self.order_text(&order)),
                    CancelOutcome::AlreadyCancelled(order) => {
                        format!("cancel already_cancelled {}", self.order_text(&order))
                    }
                    CancelOutcome::OrderNotCancellable(order) => {
                        format!("cancel order_not_cancellable {}", self.order_text(&order))
                    }
                    CancelOutcome::OrderNotFound => "cancel order_not_found".into(),
                }
            }
            Transition::StartPayment(at) => {
                let order = self.store.ids().order_of(&self.holds[*at]);
                match self.runtime.block_on(self.store.start_payment(&order)).unwrap() {
                    StartPaymentOutcome::Started(order) => format!("start_payment started {}", self.order_text(&order)),
                    StartPaymentOutcome::AlreadyStarted(order) => {
                        format!("start_payment already_started {}", self.order_text(&order))
                    }
                    StartPaymentOutcome::OrderNotPending(order) => {
                        format!("start_payment order_not_pending {}", self.order_text(&order))
                    }
                    StartPaymentOutcome::OrderNotFound => "start_payment order_not_found".into(),
                }
            }
            Transition::Extend(at, ms) => format!("extend {}", self.extend(*at, *ms)),
            Transition::Pause(paused) => {
                let change = SaleChange { paused: Some(*paused), ..SaleChange::default() };
                let sale = SaleId::parse("drop").unwrap();
                let changed = self.runtime.block_on(self.store.change_sale(&sale, &change, &Act::default())).unwrap();
                let ChangeSaleOutcome::Changed(sale) = changed else { panic!("{changed:?}") };
                assert_eq!(sale.after.terms.window.paused, *paused);
                "change_sale changed".into()
            }
            Transition::Limit(limit) => self.limit(limit),
            Transition::Show(show) => self.show(*show),
            Transition::See(product, audience) => format!("see {}", self.see(*product, *audience)),
            Transition::Restock(product, delta) => {
                let id = ProductId::new(*product).unwrap();
                match self
                    .runtime
                    .block_on(self.store.restock(id, Restock::Delta(*delta), None, &Act::default()))
                    .unwrap()
                {
                    RestockOutcome::Restocked(product) => {
                        let stock = product.after.stock;
                        format!("restock restocked {} {}", stock.total, stock.available)
                    }
                    RestockOutcome::BelowPromised { floor } => format!("restock below_promised {floor}"),
                    other => panic!("{other:?}"),
                }
            }
            Transition::Expire => format!("expire expired {}", self.runtime.block_on(self.store.sweep()).unwrap()),
            Transition::Resolve(number, action) => format!("resolve {}", self.resolve(*number, action)),
            Transition::Settle(event) => format!("settle {}", self.settle(&self.event(event))),
            Transition::SettleUnknown => {
                let event = PaymentEvent {
                    key: IdempotencyKey::parse("unknown").unwrap(),
                    status: PaymentStatus::Paid,
                    target: Some(Target::Order("order_unknown".into())),
                    payment: None,
                    amount: StatedAmount::NotGiven,
                    currency: None,
                    goods: None,
                    refund: None,
                    sent_seconds: None,
                };
                format!("settle {}", self.settle(&event))
            }
            Transition::FindHold(at) => format!("find_hold {}", self.find_hold(*at)),
            Transition::FindOrder(at) => {
                let order = self.store.ids().order_of(&self.holds[*at]);
                match self.runtime.block_on(self.store.find_order(&order)).unwrap() {
                    FindOrderOutcome::Found(order) => format!("find_order found {}", self.order_text(&order)),
                    FindOrderOutcome::OrderNotFound => "find_order order_not_found".into(),
                }
            }
            Transition::Stock(product) => format!("stock {}", self.see(*product, Audience::Admins)),
            Transition::PutProduct { id, sale, currency } => {
                let product = new_product(*id, sale, currency, 5);
                match self.runtime.block_on(self.store.put_product(&product, &Act::default())).unwrap() {
                    PutProductOutcome::Created { product, .. } => format!("put_product created {}", product.id),
                    PutProductOutcome::AlreadyExists(_) => "put_product already_exists".into(),
                    PutProductOutcome::CurrencyDiffers { sale_currency } => {
                        format!("put_product currency_differs {}", sale_currency.code())
                    }
                }
            }
            Transition::Clock(_) => String::new(),
        }
    }

    fn hold(&mut self, request: &HoldRequest) -> String {
        match self.runtime.block_on(self.store.hold(command(request))).unwrap() {
            HoldOutcome::Held(hold) => {
                let (until, costs) = (self.offset(hold.deadline_ms), costs(&hold));
                assert_noted(&hold.lines, hold.metadata.as_ref());
                self.holds.push(hold.id);
                format!("held #{} until {until} costs {costs}", self.holds.len() - 1)
            }
            HoldOutcome::Replayed(hold) => {
                let (at, until) = (self.place(&hold.id), self.offset(hold.deadline_ms));
                format!("replayed #{at} until {until} costs {}", costs(&hold))
            }
            HoldOutcome::IdempotencyKeyReused => "idempotency_key_reused".into(),
            HoldOutcome::ProductNotFound(product) => format!("product_not_found {product}"),
            HoldOutcome::ProductsOfDifferentSales => "products_of_different_sales".into(),
            HoldOutcome::QuantityAboveLimit { product, max_per_hold } => {
                assert_eq!(max_per_hold, MAX_PER_HOLD);
                format!("quantity_above_limit {product}")
            }
            HoldOutcome::SaleNotOpen { status, .. } => format!("sale_{}", status.as_str()),
            HoldOutcome::CustomerIdRequired(limit) => format!("customer_id_required {}", limit_text(&limit)),
            HoldOutcome::CustomerLimitReached { limit, most, remaining } => {
                format!("customer_limit_reached {} {most} {remaining}", limit_text(&limit))
            }
            HoldOutcome::CustomerCoolingDown { until_ms, .. } => {
                format!("customer_cooling_down until {}", self.offset(until_ms))
            }
            HoldOutcome::InsufficientStock(short) => {
                let next = short.next_release_ms.map_or(0, |ms| self.offset(ms));
                format!(
                    "insufficient_stock {} {} {} next {next}",
                    reason_word(short.reason()),
                    short.product,
                    short.available
                )
            }
        }
    }

    fn extend(&self, at: usize, ms: i64) -> String {
        let ms = u64::try_from(ms).unwrap();
        match self.runtime.block_on(self.store.extend(&self.holds[at], ms)).unwrap() {
            ExtendOutcome::Extended(hold) => {
                format!("extended #{at} until {} costs {}", self.offset(hold.deadline_ms), costs(&hold))
            }
            ExtendOutcome::ExtensionLimitReached { deadline_ms } => {
                format!("extension_limit_reached {}", self.offset(deadline_ms))
            }
            ExtendOutcome::HoldConverted(_) => "hold_converted".into(),
            ExtendOutcome::HoldExpired => "hold_expired".into(),
        }
    }

    /// The state of each order in the log, read in small pages.
    fn replay_events(&self) -> BTreeMap<usize, String> {
        let sale = SaleId::parse("drop").unwrap();
        let (mut start, mut states, mut last) = (EventStart::Since(0), BTreeMap::new(), None);
        loop {
            let query = EventQuery { sale: Some(sale.clone()), start, until_ms: None, kinds: Vec::new(), limit: 7 };
            let page = self.runtime.block_on(self.store.list_events(&query));
            let Ok(ListEventsOutcome::Page(page)) = page else { return states };
            for event in &page.events {
                assert!(last < Some(event.position), "in order");
                last = Some(event.position);
                if let About::Order(order) = &event.about {
                    states.insert(self.place(&order.hold), order.status.as_str().to_owned());
                }
            }
            if !page.has_more {
                return states;
            }
            assert_eq!(Some(page.next.seen(&sale)), last.map(Seen::UpTo));
            start = EventStart::After(page.next.clone());
        }
    }

    fn find_hold(&self, at: usize) -> String {
        match self.runtime.block_on(self.store.find_hold(&self.holds[at])).unwrap() {
            FindHoldOutcome::Active(hold) => {
                let (until, customer) = (self.offset(hold.deadline_ms), hold.customer.is_some());
                let lines = units(hold.lines.iter().map(|priced| &priced.line));
                assert_noted(&hold.lines, hold.metadata.as_ref());
                format!("active #{at} {lines:?} until {until} customer {customer} costs {}", costs(&hold))
            }
            FindHoldOutcome::Converted(order) => format!("converted {}", self.order_text(&order)),
            FindHoldOutcome::HoldExpired => "hold_expired".into(),
        }
    }

    pub(super) fn order_text(&self, order: &Order) -> String {
        assert_noted(&order.lines, order.metadata.as_ref());
        let total = order.total.map_or(0, |(amount, _)| amount.ten_thousandths());
        format!(
            "#{} {} {:?} total {total} due {} late {} customer {}",
            self.place(&order.hold),
            order.status.as_str(),
            units(order.lines.iter().map(|priced| &priced.line)),
            self.offset(order.payment_due_ms),
            order.late,
            order.customer.is_some(),
        )
    }

    pub(super) fn place(&self, hold: &HoldId) -> usize {
        self.holds.iter().position(|known| known == hold).expect("a hold that was made before")
    }

    pub(super) fn offset(&self, ms: i64) -> i64 {
        ms - self.start_ms
    }
}

fn command(request: &HoldRequest) -> HoldCommand {
    let line = |(product, units): (&u64, &u64)| Line {
        product: ProductId::new(*product).unwrap(),
        quantity: Quantity::new(*units).unwrap(),
    };
    HoldCommand {
        lines: Lines::new(request.lines.iter().map(line).collect()).unwrap(),
        customer: request.customer.then(|| CustomerId::parse("alice").unwrap()),
        metadata: metadata_of(&request.lines),
        hold_ms: request.ttl_seconds.map(|seconds| seconds * 1_000),
        idempotency_key: request.key.map(|key| IdempotencyKey::parse(&format!("key-{key}")).unwrap()),
    }
}

fn costs(hold: &Hold) -> String {
    format!("{} {}", hold.total().ten_thousandths(), hold.currency.code())
}

fn units<'a>(lines: impl Iterator<Item = &'a Line>) -> BTreeMap<u64, u64> {
    lines.map(|line| (line.product.get(), line.quantity.get())).collect()
}

fn new_product(id: u64, sale: &str, currency: &str, total: u64) -> NewProduct {
    NewProduct {
        shards: flashsale::domain::ids::Shards::ONE,
        id: ProductId::new(id),
        sale: SaleId::parse(sale),
        name: Name::parse("Item").unwrap(),
        sku: sku_of(id),
        metadata: None,
        price: money::Amount::from_ten_thousandths(price(id)),
        currency: money::Currency::parse(currency).unwrap(),
        total,
        max_per_hold: Quantity::new(MAX_PER_HOLD),
        max_per_customer: None,
        group: None,
        visibility: None,
    }
}
