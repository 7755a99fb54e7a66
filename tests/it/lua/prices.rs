//! A hold says what it costs, and that is what its order costs: whatever happens to prices between the two, to the millisecond.

use std::{cell::RefCell, collections::BTreeMap};

use flashsale::store::Op;
use proptest::prelude::*;
use redis::Value;

use super::{BOOK_ARGUMENTS, Bench, book, decisions, holding, key, units, word};
use crate::support::{orders::stored_order, random_cases, stock};

#[derive(Clone, Debug)]
enum Step {
    /// Holds with these lines, and for each whether it has an idempotency key.
    Hold(&'static str, Vec<bool>),
    /// The last call once more, as a runner sends it that lost its connection.
    Resend,
    /// The idempotency key of some hold comes again.
    Replay(usize),
    Price(u8, u32),
    Extend(usize),
    Order(usize),
    Clock(i64),
}

fn step() -> impl Strategy<Value = Step> {
    let lines = prop::sample::select(vec!["1=1", "1=2", "2=1", "1=1,2=3"]);
    prop_oneof![
        4 => (lines, prop::collection::vec(any::<bool>(), 1..4)).prop_map(|(lines, keys)| Step::Hold(lines, keys)),
        1 => Just(Step::Resend),
        2 => any::<usize>().prop_map(Step::Replay),
        4 => (1_u8..=2, 0_u32..=3).prop_map(|(product, price)| Step::Price(product, [0, 7, 1_000, 3_000][price as usize])),
        1 => any::<usize>().prop_map(Step::Extend),
        2 => any::<usize>().prop_map(Step::Order),
        4 => prop::sample::select(vec![1_i64, 2, 499, 998, 999, 1_000, 1_001]).prop_map(Step::Clock),
    ]
}

fn text(value: &Value) -> String {
    redis::from_redis_value_ref(value).unwrap()
}

/// A hold: its lines, and what it was answered to cost.
struct Known {
    lines: &'static str,
    costs: String,
    has_key: bool,
}

#[derive(Default)]
struct Buyers {
    holds: BTreeMap<String, Known>,
    last_call: Option<(Vec<String>, Vec<String>)>,
}

impl Buyers {
    fn hold(&mut self, bench: &mut Bench, lines: &'static str, with_keys: &[bool]) {
        let ids: Vec<String> = (self.holds.len()..).take(with_keys.len()).map(|n| format!("h{n}")).collect();
        let mut keys = holding().to_vec();
        keys.extend(ids.iter().map(|id| key(&format!("hold:{id}"))));
        let mut arguments = vec![ids.len().to_string(), "9999999".to_owned(), String::new()];
        for (id, has_key) in ids.iter().zip(with_keys) {
            if *has_key {
                keys.push(key(&format!("once:{id}")));
                arguments.extend(["1".to_owned(), format!("{lines}\n0 print {id}")]);
            } else {
                arguments.extend(["1".to_owned(), lines.to_owned()]);
            }
        }
        let answers = call(bench, &keys, &arguments);
        for ((id, has_key), costs) in ids.into_iter().zip(with_keys).zip(answers) {
            self.holds.insert(id, Known { lines, costs, has_key: *has_key });
        }
        self.last_call = Some((keys, arguments));
    }

    fn some(&self, at: usize) -> Option<(String, &Known)> {
        let id = format!("h{}", at.checked_rem(self.holds.len())?);
        let known = self.holds.get(&id)?;
        Some((id, known))
    }

    /// What the hold costs by any answer about it is what it was said to cost when it was made.
    fn check(&self, bench: &mut Bench, id: &str) {
        let Known { lines, costs, .. } = &self.holds[id];
        let (hold_key, order_key) = (key(&format!("hold:{id}")), key(&format!("order:{id}")));
        let found = bench.call(Op::FindHold, &[&units()[..], &[hold_key, order_key.clone()]].concat(), &[]);
        match word(&found).as_str() {
            "active" => assert_eq!(&text(&found[6]), costs, "{id}"),
            "converted" => {
                let order = stored_order(&mut bench.redis, &order_key);
                let (currency, prices) = costs.split_once(' ').unwrap();
                let quoted = lines.split(',').zip(prices.split(',')).map(|(line, price)| format!("{line}@{price}"));
                assert_eq!(order["lines"], quoted.collect::<Vec<_>>().join(","), "{id}");
                let unit = |line: &str| line.split_once('=').unwrap().1.parse::<u64>().unwrap();
                let each = lines.split(',').zip(prices.split(','));
                let total: u64 = each.map(|(line, price)| unit(line) * price.parse::<u64>().unwrap()).sum();
                assert_eq!((&order["total"], order["currency"].as_str()), (&total.to_string(), currency), "{id}");
            }
            word => panic!("{id} is {word}"),
        }
    }
}

/// What each hold of the call costs.
fn call(bench: &mut Bench, keys: &[String], arguments: &[String]) -> Vec<String> {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let decided = decisions(&bench.call(Op::Hold, keys, &arguments));
    let costs = decided.iter().map(|decision| {
        assert!(["held", "replayed"].contains(&word(decision).as_str()), "{decision:?}");
        text(&decision[2])
    });
    costs.collect()
}

fn run(bench: &mut Bench, buyers: &mut Buyers, step: &Step) {
    match step {
        Step::Hold(lines, keys) => buyers.hold(bench, lines, keys),
        Step::Resend => {
            let Some((keys, arguments)) = buyers.last_call.clone() else { return };
            let first = buyers.holds.len() - arguments[0].parse::<usize>().unwrap();
            let ids = (first..buyers.holds.len()).map(|n| format!("h{n}"));
            let expected: Vec<String> = ids.map(|id| buyers.holds[&id].costs.clone()).collect();
            assert_eq!(call(bench, &keys, &arguments), expected, "sent twice");
        }
        Step::Replay(at) => {
            let Some((id, known)) = buyers.some(*at).filter(|(_, known)| known.has_key) else { return };
            let keys = [&holding()[..], &[key("hold:other"), key(&format!("once:{id}"))]].concat();
            let request = format!("{}\n0 print other", known.lines);
            let answered = call(bench, &keys, &["1".into(), "9999999".into(), String::new(), "1".into(), request]);
            assert_eq!(answered, std::slice::from_ref(&known.costs), "{id}");
        }
        Step::Price(product, price) => {
            let keys = [book(), vec![key(&format!("product:{product}"))]].concat();
            let (product, price) = (product.to_string(), price.to_string());
            let change = [&BOOK_ARGUMENTS[..], &[&product, "500000000000000", "price", &price]].concat();
            let changed = bench.call(Op::ChangeProduct, &keys, &change);
            let Value::Array(row) = &changed[6] else { panic!("{changed:?}") };
            assert_eq!(text(&row[3]), price, "the price itself changes at once");
        }
        Step::Extend(at) => {
            let Some((id, known)) = buyers.some(*at) else { return };
            let keys = [book(), vec![key(&format!("hold:{id}")), key(&format!("order:{id}"))]].concat();
            let extended = bench.call(Op::Extend, &keys, &[&BOOK_ARGUMENTS[..], &["1000"]].concat());
            if word(&extended) == "extended" {
                assert_eq!(text(&extended[6]), known.costs, "{id}");
            }
        }
        Step::Order(at) => {
            let Some((id, _)) = buyers.some(*at) else { return };
            bench.order(&id);
            // Sent again, an ordered hold without a key would be made anew: nobody but its maker knew its id.
            buyers.last_call = None;
        }
        Step::Clock(ms) => bench.advance(*ms),
    }
}

#[test]
fn every_answer_about_a_hold_says_what_its_order_costs() {
    // A bench, how many holds were made, and how many of them at changed prices.
    let seen = RefCell::new((Bench::new(), 0, 0));
    proptest!(random_cases(150), |(steps in prop::collection::vec(step(), 10..60), offset in 0_i64..1_000)| {
        let (bench, answers, changed) = &mut *seen.borrow_mut();
        bench.empty();
        bench.advance(offset);
        for id in ["1", "2"] {
            for counter in ["total", "available"] {
                stock::set(&mut bench.redis, &key("stock"), id, counter, 1_000);
            }
        }
        let mut buyers = Buyers::default();
        steps.iter().for_each(|step| run(bench, &mut buyers, step));
        let ids: Vec<String> = buyers.holds.keys().cloned().collect();
        for id in ids {
            buyers.check(bench, &id);
            bench.order(&id);
            buyers.check(bench, &id);
            *answers += 1;
        }
        *changed += buyers.holds.values().filter(|known| !known.costs.contains("500000")).count();
    });
    let (_, answers, changed) = seen.into_inner();
    println!("{answers} holds, {changed} of them at changed prices");
    assert!(changed * 4 > answers, "prices changed too seldom to prove anything: {changed} of {answers}");
}

#[test]
fn a_new_price_counts_for_holds_of_the_next_second() {
    let mut bench = Bench::new();
    bench.advance(1_000 - bench.now_ms % 1_000 + 1);
    let mut buyers = Buyers::default();
    // The second ends with its last millisecond, 000 of the next.
    for (advance, price, expected) in [
        (0, Some(1_000), "USD 500000"),
        (998, None, "USD 500000"),
        (1, Some(2_000), "USD 500000"),
        (1, None, "USD 2000"),
        (500, Some(3_000), "USD 2000"),
        (499, Some(2_000), "USD 2000"),
        (1, None, "USD 2000"),
    ] {
        bench.advance(advance);
        if let Some(price) = price {
            run(&mut bench, &mut buyers, &Step::Price(1, price));
        }
        let id = format!("h{}", buyers.holds.len());
        buyers.hold(&mut bench, "1=1", &[false]);
        assert_eq!(buyers.holds[&id].costs, expected, "{id} at {}", bench.now_ms);
    }
    for id in buyers.holds.keys() {
        bench.order(id);
        buyers.check(&mut bench, id);
    }
}
