//! A batch of holds has the same result as the same holds one by one.

use std::cell::RefCell;

use flashsale::store::Op;
use proptest::prelude::*;
use redis::Value;

use super::{Bench, decisions, holding, key, word};
use crate::support::random_cases;

#[derive(Clone, Debug)]
struct Request {
    lines: Vec<(u8, u8)>,
    once: Option<u8>,
}

impl Request {
    fn text(&self, hold: &str) -> String {
        let lines: Vec<String> = self.lines.iter().map(|(product, units)| format!("{product}={units}")).collect();
        let record = lines.join(",");
        self.once.map_or_else(|| record.clone(), |_| format!("{record}\n0 {record} {hold}"))
    }
}

fn request() -> impl Strategy<Value = Request> {
    let lines = prop_oneof![
        8 => (1_u8..=3, 1_u8..=6).prop_map(|line| vec![line]),
        2 => (1_u8..=6, 1_u8..=2).prop_map(|(first, second)| vec![(1, first), (2, second)]),
    ];
    (lines, prop::option::weighted(0.4, 0_u8..4)).prop_map(|(lines, once)| Request { lines, once })
}

/// Sends the requests in one call, numbered from `first`.
fn send(bench: &mut Bench, first: usize, requests: &[Request]) -> Vec<Vec<Value>> {
    let mut keys = holding().to_vec();
    let holds: Vec<String> = (first..).take(requests.len()).map(|n| format!("h{n}")).collect();
    keys.extend(holds.iter().map(|hold| key(&format!("hold:{hold}"))));
    keys.extend(requests.iter().filter_map(|request| request.once).map(|once| key(&format!("once:{once}"))));
    let mut arguments = vec![requests.len().to_string(), "60000".to_owned(), String::new()];
    let texts: Vec<String> = requests.iter().zip(&holds).map(|(request, hold)| request.text(hold)).collect();
    for run in texts.chunk_by(|a, b| a == b) {
        arguments.extend([run.len().to_string(), run[0].clone()]);
    }
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let reply = bench.call(Op::Hold, &keys, &arguments);
    assert_eq!(word(&reply), "decided");
    decisions(&reply)
}

#[test]
fn a_batch_is_decided_as_the_same_holds_one_by_one() {
    let benches = RefCell::new((Bench::new(), Bench::new()));
    proptest!(random_cases(300), |(requests in prop::collection::vec(request(), 1..40))| {
        let (batched, single) = &mut *benches.borrow_mut();
        for bench in [&mut *batched, &mut *single] {
            // Everything lapses between two cases, and the keys are forgotten.
            bench.advance(1_000_000);
            (0..4).for_each(|once| redis::cmd("DEL").arg(key(&format!("once:{once}"))).exec(&mut bench.redis).unwrap());
            (0..40).for_each(|n| redis::cmd("DEL").arg(key(&format!("hold:h{n}"))).exec(&mut bench.redis).unwrap());
        }
        single.advance(batched.now_ms - single.now_ms);
        let together = send(batched, 0, &requests);
        let apart: Vec<_> = requests.iter().enumerate().flat_map(|(n, request)| send(single, n, std::slice::from_ref(request))).collect();
        prop_assert_eq!(together, apart);
        prop_assert_eq!(batched.counters(1), single.counters(1));
        prop_assert_eq!(batched.counters(2), single.counters(2));
    });
}

#[test]
fn a_full_batch_takes_the_last_unit_once() {
    let mut bench = Bench::new();
    let requests = vec![Request { lines: vec![(1, 1)], once: None }; 128];
    let decided = send(&mut bench, 0, &requests);
    assert_eq!(decided.iter().filter(|decision| word(decision) == "held").count(), 10);
    assert!(decided[..10].iter().all(|decision| word(decision) == "held"), "in the order of arrival");
    assert_eq!(bench.counters(1), [0, 10, 0, 0]);
    assert_eq!(send(&mut bench, 0, &requests)[..10], decided[..10], "sent twice, decided once");
    assert_eq!(bench.counters(1), [0, 10, 0, 0]);
}
