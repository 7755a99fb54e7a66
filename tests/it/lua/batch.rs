//! A batch is decided as the same holds would be one by one.

use std::cell::RefCell;

use flashsale::store::Op;
use proptest::prelude::*;
use redis::Value;

use super::{Bench, decisions, holding, key, word};
use crate::support::random_cases;

#[derive(Clone, Debug)]
struct Wish {
    lines: Vec<(u8, u8)>,
    once: Option<u8>,
}

impl Wish {
    fn text(&self, hold: &str) -> String {
        let lines: Vec<String> = self.lines.iter().map(|(product, units)| format!("{product}={units}")).collect();
        let record = lines.join(",");
        self.once.map_or_else(|| record.clone(), |_| format!("{record}\n0 {record} {hold}"))
    }
}

fn wish() -> impl Strategy<Value = Wish> {
    let lines = prop_oneof![
        8 => (1_u8..=3, 1_u8..=6).prop_map(|line| vec![line]),
        2 => (1_u8..=6, 1_u8..=2).prop_map(|(first, second)| vec![(1, first), (2, second)]),
    ];
    (lines, prop::option::weighted(0.4, 0_u8..4)).prop_map(|(lines, once)| Wish { lines, once })
}

/// Sends the wishes in one call, numbered from `first`.
fn send(bench: &mut Bench, first: usize, wishes: &[Wish]) -> Vec<Vec<Value>> {
    let mut keys = holding().to_vec();
    let holds: Vec<String> = (first..).take(wishes.len()).map(|n| format!("h{n}")).collect();
    keys.extend(holds.iter().map(|hold| key(&format!("hold:{hold}"))));
    keys.extend(wishes.iter().filter_map(|wish| wish.once).map(|once| key(&format!("once:{once}"))));
    let mut arguments = vec![wishes.len().to_string(), "60000".to_owned()];
    let texts: Vec<String> = wishes.iter().zip(&holds).map(|(wish, hold)| wish.text(hold)).collect();
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
    proptest!(random_cases(300), |(wishes in prop::collection::vec(wish(), 1..40))| {
        let (batched, single) = &mut *benches.borrow_mut();
        for bench in [&mut *batched, &mut *single] {
            // Everything lapses between two cases, and the keys are forgotten.
            bench.advance(1_000_000);
            (0..4).for_each(|once| redis::cmd("DEL").arg(key(&format!("once:{once}"))).exec(&mut bench.redis).unwrap());
            (0..40).for_each(|n| redis::cmd("DEL").arg(key(&format!("hold:h{n}"))).exec(&mut bench.redis).unwrap());
        }
        single.advance(batched.now_ms - single.now_ms);
        let together = send(batched, 0, &wishes);
        let apart: Vec<_> = wishes.iter().enumerate().flat_map(|(n, wish)| send(single, n, std::slice::from_ref(wish))).collect();
        prop_assert_eq!(together, apart);
        prop_assert_eq!(batched.counters(1), single.counters(1));
        prop_assert_eq!(batched.counters(2), single.counters(2));
    });
}

#[test]
fn a_full_batch_takes_the_last_unit_once() {
    let mut bench = Bench::new();
    let wishes = vec![Wish { lines: vec![(1, 1)], once: None }; 128];
    let decided = send(&mut bench, 0, &wishes);
    assert_eq!(decided.iter().filter(|decision| word(decision) == "held").count(), 10);
    assert!(decided[..10].iter().all(|decision| word(decision) == "held"), "in the order of arrival");
    assert_eq!(bench.counters(1), [0, 10, 0, 0]);
    assert_eq!(send(&mut bench, 0, &wishes)[..10], decided[..10], "sent twice, decided once");
    assert_eq!(bench.counters(1), [0, 10, 0, 0]);
}
