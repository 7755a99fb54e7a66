//! Limits within a batch: a later hold sees what an earlier one took, and a run gets exactly what the limits leave.

use std::cell::RefCell;

use flashsale::store::Op;
use proptest::prelude::*;
use redis::Value;

use super::{Bench, decisions, holding, key, word};
use crate::support::{random_cases, stock};

/// A hold of the customer: units of products 1, 2 and 3.
type Wanted = [u8; 3];

fn line_text(wanted: Wanted) -> String {
    let lines = (1..).zip(wanted).filter(|(_, units)| *units > 0).map(|(product, units)| format!("{product}={units}"));
    lines.collect::<Vec<_>>().join(",")
}

/// Sends the requests in one call, neighbours that want the same as one run.
fn send(bench: &mut Bench, first: usize, requests: &[String]) -> Vec<Vec<Value>> {
    let mut keys = holding().to_vec();
    keys.extend((first..).take(requests.len()).map(|n| key(&format!("hold:b{n}"))));
    let mut arguments = vec![requests.len().to_string(), "60000".to_owned(), String::new()];
    for run in requests.chunk_by(|a, b| a == b) {
        arguments.extend([run.len().to_string(), run[0].clone()]);
    }
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let reply = bench.call(Op::Hold, &keys, &arguments);
    assert_eq!(word(&reply), "decided");
    decisions(&reply)
}

/// Forty units of three products, so that limits refuse and not stock.
fn bench() -> Bench {
    let mut bench = Bench::new();
    assert_eq!(bench.put_product("3", "USD", "40"), "created");
    for (product, more) in [("1", 30), ("2", 39)] {
        for counter in ["total", "available"] {
            stock::add(&mut bench.redis, &key("stock"), product, counter, more);
        }
    }
    bench
}

#[test]
fn a_run_gets_as_many_holds_as_all_limits_leave() {
    for (rules, of_sale, lines, held, refused) in [
        (["", "", ""], "max_per_customer=7", "1=1,3=1", 3, "sale"),
        (["group=a", "group=a", ""], "max_per_group=5", "1=1,2=1", 2, "group"),
        (["group=a", "group=b", "group=b"], "max_per_group=6", "1=1,2=1,3=1", 3, "group"),
        (["max_per_customer=2 group=a", "", "group=a"], "max_per_group=9 max_per_customer=9", "1=1,3=2", 2, "product"),
        (["group=a", "", "group=a"], "max_per_group=9 max_per_customer=8", "1=1,3=2", 2, "sale"),
    ] {
        let mut bench = bench();
        for (product, rules) in ["1", "2", "3"].into_iter().zip(rules) {
            bench.set_rules(product, rules);
        }
        bench.set_rules("", of_sale);
        let decided = send(&mut bench, 0, &vec![format!("{lines} bob"); 6]);
        let words: Vec<String> = decided.iter().map(|decision| word(decision)).collect();
        assert_eq!(words.iter().filter(|word| *word == "held").count(), held, "{of_sale} {words:?}");
        assert!(words[held..].iter().all(|word| word == "customer_limit_reached"), "{of_sale} {words:?}");
        assert_eq!(decided[held][1], Value::BulkString(refused.into()), "{of_sale}");
    }
}

#[test]
fn a_batch_under_limits_is_decided_as_the_same_holds_one_by_one_and_no_limit_is_passed() {
    let wanted = prop_oneof![
        (0_usize..3, 1_u8..=2).prop_map(|(at, units)| {
            let mut wanted = [0; 3];
            wanted[at] = units;
            wanted
        }),
        (1_u8..=2, 0_u8..=1, 0_u8..=2).prop_map(|(one, two, three)| [one, two, three]),
    ];
    let case = (
        prop::collection::vec((wanted, prop::sample::select(vec!["", " ann", " bob"]), 1_usize..=3), 1..12),
        prop::array::uniform3(prop::sample::select(vec!["", "group=a", "group=b", "max_per_customer=3 group=a"])),
        prop::sample::select(vec!["max_per_group=3", "max_per_customer=5", "max_per_group=2 max_per_customer=4"]),
    );
    let benches = RefCell::new((bench(), bench()));
    proptest!(random_cases(150), |((runs, rules, of_sale) in case)| {
        let (batched, single) = &mut *benches.borrow_mut();
        let requests: Vec<String> = runs
            .iter()
            .flat_map(|(wanted, customer, holds)| vec![format!("{}{customer}", line_text(*wanted)); *holds])
            .collect();
        for bench in [&mut *batched, &mut *single] {
            // Everything lapses between two cases, and the keys are forgotten.
            bench.advance(1_000_000);
            (0..40).for_each(|n| redis::cmd("DEL").arg(key(&format!("hold:b{n}"))).exec(&mut bench.redis).unwrap());
            for (product, rules) in ["1", "2", "3"].into_iter().zip(rules) {
                bench.set_rules(product, rules);
            }
            bench.set_rules("", of_sale);
        }
        let at_once = send(batched, 0, &requests);
        let one_by_one: Vec<_> =
            requests.iter().enumerate().flat_map(|(n, request)| send(single, n, std::slice::from_ref(request))).collect();
        let words = |decided: &[Vec<Value>]| -> Vec<Vec<Value>> {
            let refusal = |decision: &Vec<Value>| if word(decision) == "held" { 1 } else { decision.len() };
            decided.iter().map(|decision| decision[..refusal(decision)].to_vec()).collect()
        };
        // When units come back differs: a batch looks once.
        prop_assert_eq!(words(&at_once), words(&one_by_one), "{:?} {}", rules, of_sale);
        for customer in [" ann", " bob"] {
            let mut has = [0_u64; 3];
            let decided = requests.iter().zip(&at_once);
            for (request, _) in decided.filter(|(request, decision)| request.ends_with(customer) && word(decision) == "held") {
                for line in request.split(' ').next().unwrap().split(',') {
                    let (product, units) = line.split_once('=').unwrap();
                    has[product.parse::<usize>().unwrap() - 1] += units.parse::<u64>().unwrap();
                }
            }
            let most = |name: &str| of_sale.split(' ').find_map(|rule| rule.strip_prefix(name)?.parse::<u64>().ok());
            prop_assert!(has.iter().sum::<u64>() <= most("max_per_customer=").unwrap_or(u64::MAX));
            for group in ["group=a", "group=b"] {
                let of_group = has.iter().zip(rules).filter(|(_, rules)| rules.contains(group)).map(|(units, _)| units);
                prop_assert!(of_group.sum::<u64>() <= most("max_per_group=").unwrap_or(u64::MAX));
            }
        }
    });
}
