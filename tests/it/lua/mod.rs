//! The scripts, called directly: every word and every worked call of every header, and batches.

mod batch;
mod batch_money;
mod bounds;
mod cooldown;
mod damage;
mod examples;
mod facts;
mod lapses;
mod life;
mod limits;
mod limits_of_batches;
mod loans;
mod long_ways;
mod metadata;
mod pages;
mod plain_ways;
mod plain_ways_compared;
mod prices;
mod sales_together;
mod skus;
mod too_late;
mod unmatched;
mod words;

use std::collections::BTreeSet;

use flashsale::store::{Catalogue, Op};
use redis::{Connection, Value};

use crate::support::{clock, invariants, redis::PrivateRedis, stock};

/// A sale `s` with product 1 (10 units, 5 in a hold) and product 2 (1 unit), holds of 100 s and payments in 50 s.
pub struct Bench {
    pub redis: Connection,
    pub now_ms: i64,
    catalogue: Catalogue,
    words: BTreeSet<(&'static str, String)>,
    server: PrivateRedis,
}

impl Bench {
    pub fn new() -> Self {
        let server = PrivateRedis::start();
        let mut redis = server.connect();
        let now_ms = clock::start_ms(&mut redis);
        let mut bench = Self { redis, now_ms, catalogue: clock::catalogue(), words: BTreeSet::new(), server };
        bench.empty();
        bench
    }

    /// Goes back to the first scene, at the time of the bench.
    pub fn empty(&mut self) {
        redis::cmd("FLUSHALL").exec(&mut self.redis).unwrap();
        redis::cmd("SADD").arg("fs1:{:all}:sales").arg("s").exec(&mut self.redis).unwrap();
        self.advance(0);
        for (id, units) in [("1", "10"), ("2", "1")] {
            assert_eq!(self.put_product(id, "USD", units), "created");
        }
    }

    pub fn put_product(&mut self, id: &str, currency: &str, units: &str) -> String {
        let keys = [book(), vec![key(&format!("product:{id}"))]].concat();
        let arguments =
            [&BOOK_ARGUMENTS[..], &[id, "Item", "", "500000", currency, units, "5", "", ""], &TERMS].concat();
        word(&self.call(Op::PutProduct, &keys, &arguments))
    }

    /// Rules of a product (its id) or of the sale ('').
    pub fn set_rules(&mut self, product: &str, rules: &str) {
        if product.is_empty() {
            redis::Commands::hset::<_, _, _, ()>(&mut self.redis, key("sale"), "rules", rules).unwrap();
        } else {
            stock::set(&mut self.redis, &key("stock"), product, "rules", rules);
        }
    }

    pub fn advance(&mut self, ms: i64) {
        self.now_ms += ms;
        clock::set_now(&mut self.redis, "s", self.now_ms);
    }

    pub fn call(&mut self, op: Op, keys: &[String], arguments: &[&str]) -> Vec<Value> {
        let reply = self.try_call(op, keys, arguments).unwrap();
        self.words.insert((op.name(), word(&reply)));
        if op == Op::Hold && word(&reply) == "decided" {
            self.words.extend(decisions(&reply).iter().map(|decision| ("hold", word(decision))));
        }
        reply
    }

    pub fn try_call(&mut self, op: Op, keys: &[String], arguments: &[&str]) -> redis::RedisResult<Vec<Value>> {
        let script = redis::Script::new(&self.catalogue.script(op).source);
        let mut call = script.prepare_invoke();
        keys.iter().for_each(|key| _ = call.key(key));
        arguments.iter().for_each(|argument| _ = call.arg(argument));
        call.invoke(&mut self.redis)
    }

    /// The decision about one hold.
    pub fn hold(&mut self, hold: &str, lines: &[(&str, &str)]) -> Vec<Value> {
        let lines: Vec<String> = lines.iter().map(|(product, units)| format!("{product}={units}")).collect();
        self.request(hold, &lines.join(","), None)
    }

    /// The decision about one hold with this text of a request.
    pub fn request(&mut self, hold: &str, request: &str, once: Option<&str>) -> Vec<Value> {
        let once = once.map(|once| key(&format!("once:{once}")));
        let keys = [&holding()[..], &[key(&format!("hold:{hold}"))], once.as_slice()].concat();
        let reply = self.call(Op::Hold, &keys, &["1", "60000", "", "1", request]);
        decisions(&reply).remove(0)
    }

    /// The decision about one order.
    pub fn order(&mut self, hold: &str) -> String {
        self.orders(&[hold]).remove(0)
    }

    /// The decisions about a batch of orders.
    pub fn orders(&mut self, holds: &[&str]) -> Vec<String> {
        let mut keys = book();
        keys.extend(holds.iter().flat_map(|hold| [key(&format!("hold:{hold}")), key(&format!("order:{hold}"))]));
        let reply = self.call(Op::Order, &keys, &BOOK_ARGUMENTS);
        self.answers(Op::Order, &reply)
    }

    /// The decision about one payment event.
    pub fn settle(&mut self, hold: &str, event: &str, once: &str, payment: &str, amount: &str) -> String {
        self.settle_all(&[[hold, event, once, payment, amount]]).remove(0)
    }

    /// The decisions about a batch of payment events: hold, what happened, event id, payment, amount.
    pub fn settle_all(&mut self, events: &[[&str; 5]]) -> Vec<String> {
        let all: Vec<_> = events.iter().map(|event| (*event, false)).collect();
        self.settle_each(&all)
    }

    /// The same. Those that wait do so for units of other shards.
    pub fn settle_each(&mut self, events: &[([&str; 5], bool)]) -> Vec<String> {
        let reply = self.settle_reply(events);
        self.answers(Op::Settle, &reply)
    }

    /// The same, with all that the script answers.
    pub fn settle_reply(&mut self, events: &[([&str; 5], bool)]) -> Vec<Value> {
        let (keys, arguments) = call_of_settle(events);
        self.call(Op::Settle, &keys, &arguments.iter().map(String::as_str).collect::<Vec<_>>())
    }

    /// The word of each decision about orders or events. Only the word of the reply when nothing was decided.
    fn answers(&mut self, op: Op, reply: &[Value]) -> Vec<String> {
        if word(reply) != "decided" {
            return vec![word(reply)];
        }
        // An order: its word and its fields. An event: also the id and the reason of a review.
        let parts = if op == Op::Settle { 4 } else { 2 };
        let words: Vec<String> =
            reply[2..].iter().step_by(parts).map(|value| word(std::slice::from_ref(value))).collect();
        self.words.extend(words.iter().map(|word| (op.name(), word.clone())));
        words
    }

    /// available, held, pending and sold as Redis stores them, reclaimed or not.
    pub fn counters(&mut self, product: u64) -> [i64; 4] {
        let text = stock::whole(&mut self.redis, &key("stock"), product).unwrap();
        ["available", "held", "pending", "sold"].map(|name| stock::part(&text, name).parse().unwrap())
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            invariants::check(&mut self.redis);
        }
    }
}

/// Keys and arguments of `settle` for these events. Those that wait do so for units of other shards.
pub fn call_of_settle(events: &[([&str; 5], bool)]) -> (Vec<String>, Vec<String>) {
    let mut keys = [book(), ["reviews", "review_records", "resolved"].map(key).to_vec()].concat();
    let mut arguments: Vec<String> =
        [&BOOK_ARGUMENTS[..], &["60000"]].concat().into_iter().map(str::to_owned).collect();
    for ([hold, event, once, payment, amount], waits) in events {
        keys.extend([format!("hold:{hold}"), format!("order:{hold}"), format!("once:{once}")].map(|name| key(&name)));
        let waits = if *waits { "1" } else { "" };
        let said = format!("{event}\n{event}-{payment}-{amount}\n{once}\n{payment}\n{amount}");
        arguments.push(format!("{said}\n\n\n\n\n\n\n{waits}"));
    }
    (keys, arguments)
}

pub fn key(name: &str) -> String {
    format!("fs1:{{s}}:{name}")
}

pub fn units() -> [String; 4] {
    ["sale", "stock", "lapses", "deadlines"].map(key)
}

/// The first arguments of every script with a book: retention, and the most events to keep.
pub const BOOK_ARGUMENTS: [&str; 2] = ["60000", "1000"];

/// Terms of the sale: holds of 100 s, at most 200 s, payments in 50 s, at most 80 s.
pub const TERMS: [&str; 32] = [
    "name",
    "Sale",
    "starts",
    "",
    "ends",
    "",
    "paused",
    "0",
    "hold_ms",
    "100000",
    "hold_max_ms",
    "200000",
    "payment_ms",
    "50000",
    "payment_max_ms",
    "80000",
    "review_ms",
    "90000",
    "payment_amount",
    "at_least",
    "on_payment_failed",
    "release",
    "on_payment_ended",
    "keep",
    "restock_refunds",
    "1",
    "cooldown_holds",
    "",
    "cooldown_ms",
    "60000",
    "cooldown_counts_releases",
    "0",
];

pub fn book() -> Vec<String> {
    [&holding()[..], &["events", "due", "orders"].map(key)].concat()
}

pub fn holding() -> [String; 5] {
    ["sale", "stock", "lapses", "deadlines", "customers"].map(key)
}

pub fn list(value: &Value) -> Vec<Value> {
    match value {
        Value::Array(values) => values.clone(),
        other => panic!("{other:?} is no list"),
    }
}

/// The decision of `hold` about each hold. Its reply counts neighbours with the same decision: in turn a number of holds,
/// the word, and the values of that word.
pub fn decisions(reply: &[Value]) -> Vec<Vec<Value>> {
    let (mut rest, mut each) = (&reply[2..], Vec::new());
    while let [holds, decision @ ..] = rest {
        let Value::Int(holds) = holds else { panic!("{holds:?} is no number of holds in {reply:?}") };
        let (decision, next) = decision.split_at(1 + values_of(&word(decision)));
        each.extend(vec![decision.to_vec(); usize::try_from(*holds).unwrap()]);
        rest = next;
    }
    each
}

/// How many values a decision of `hold` has behind its word.
fn values_of(word: &str) -> usize {
    match word {
        "idempotency_key_reused" => 0,
        "product_not_found"
        | "product_hidden"
        | "sale_ended"
        | "sale_not_started"
        | "sale_paused"
        | "customer_cooling_down" => 1,
        "held" | "quantity_above_limit" | "customer_id_required" => 2,
        "replayed" => 3,
        "insufficient_stock" | "customer_limit_reached" => 4,
        _ => panic!("{word} is no decision"),
    }
}

pub fn word(reply: &[Value]) -> String {
    match reply.first() {
        Some(Value::BulkString(bytes)) => String::from_utf8(bytes.clone()).unwrap(),
        other => panic!("{other:?} is no word"),
    }
}
