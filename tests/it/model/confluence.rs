//! Confluence: the same events end in the same order, the same stock and the same open reviews, in whatever order they come. All
//! orders of up to five of the events of two payments, on the scripts of the service, under several terms of the sale.

use std::collections::BTreeMap;

use flashsale::store::Op;
use redis::Commands;

use crate::{
    lua::{BOOK_ARGUMENTS, Bench, book, holding, key, word},
    support::{invariants, orders::stored_order, stock},
};

/// The order costs this much.
const TOTAL: &str = "500000";
/// Sequences between two looks at everything, each on an order of its own.
const CHUNK: usize = 1_000;
/// Events in one call.
const CALL: usize = 60;

/// What happened, payment, amount, refund id, the provider's time. Their names are their places.
type Event = [&'static str; 5];

const EVENTS: [Event; 17] = [
    ["paid", "a", TOTAL, "", ""],
    // The same fact under another event id.
    ["paid", "a", "", "", ""],
    ["refunded", "a", TOTAL, "", ""],
    ["refunded", "a", "100000", "", ""],
    ["refunded", "a", TOTAL, "re_1", ""],
    ["refund_failed", "a", TOTAL, "re_1", ""],
    ["processing", "a", "", "", ""],
    ["failed", "a", "", "", ""],
    ["cancelled", "a", "", "", ""],
    ["disputed", "a", "", "", "100"],
    ["dispute_won", "a", "", "", "200"],
    ["paid", "b", TOTAL, "", ""],
    ["paid", "b", "400000", "", ""],
    ["paid", "b", "595000", "", ""],
    ["refunded", "b", "400000", "", ""],
    ["cancelled", "b", "", "", ""],
    ["processing", "b", "", "", ""],
];

/// All sets of so many different places below `end`.
fn sets(end: usize, size: usize) -> Vec<Vec<usize>> {
    if size == 0 {
        return vec![Vec::new()];
    }
    (0..end).flat_map(|last| sets(last, size - 1).into_iter().map(move |set| [set, vec![last]].concat())).collect()
}

fn permutations(set: &[usize]) -> Vec<Vec<usize>> {
    if set.is_empty() {
        return vec![Vec::new()];
    }
    let each = |first: usize| {
        let rest = [&set[..first], &set[first + 1..]].concat();
        permutations(&rest).into_iter().map(move |order| [&[set[first]][..], &order].concat())
    };
    (0..set.len()).flat_map(each).collect()
}

/// What an order has come to: its status, whether its units stay sold after a refund, what is known of each payment, and what is open.
/// Which of two payments that both fit pays the order is up to their order. The other one is for a person.
type End = (String, Option<String>, Vec<String>, Vec<String>);

fn hold(bench: &mut Bench, holds: &[String]) {
    let keys = [holding().to_vec(), holds.iter().map(|hold| key(&format!("hold:{hold}"))).collect()].concat();
    let number = holds.len().to_string();
    let arguments = [&*number, "60000", "", &*number, "1=1"];
    assert_eq!(word(&bench.call(Op::Hold, &keys, &arguments)), "decided");
}

fn settle(bench: &mut Bench, events: &[(String, usize)]) {
    let mut keys = [book(), ["reviews", "review_records", "resolved"].map(key).to_vec()].concat();
    let mut arguments = [BOOK_ARGUMENTS[0], BOOK_ARGUMENTS[1], "86400000"].map(str::to_owned).to_vec();
    for (hold, place) in events {
        keys.extend(
            [format!("hold:{hold}"), format!("order:{hold}"), format!("once:{hold}-{place}")].map(|name| key(&name)),
        );
        let [what, payment, amount, refund, sent] = EVENTS[*place];
        let fingerprint = format!("{hold}-{place}");
        arguments.push(format!("{what}\n{fingerprint}\n{place}\n{payment}\n{amount}\n\n\n{refund}\n{sent}\n\n\n"));
    }
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    assert_eq!(word(&bench.call(Op::Settle, &keys, &arguments)), "decided");
}

fn end_of(bench: &mut Bench, hold: &str, open: &[String]) -> End {
    let order = stored_order(&mut bench.redis, &key(&format!("order:{hold}")));
    let (mut known, mut reasons) = (Vec::new(), Vec::new());
    for (field, text) in &order {
        let Some(id) = field.strip_prefix("payment:") else { continue };
        // The number says in which order they came, and so do the events that were heard.
        let facts = text.split(' ').filter(|fact| !fact.starts_with("number="));
        let (reviews, facts): (Vec<&str>, Vec<&str>) = facts.partition(|fact| fact.contains("review"));
        known.push(format!("{id}: {}", facts.join(" ")));
        for review in
            reviews.iter().filter_map(|fact| fact.split_once('=')).filter(|(name, _)| !name.ends_with("about"))
        {
            if open.contains(&review.1.to_owned()) {
                let record: String = bench.redis.hget(key("review_records"), review.1).unwrap();
                reasons.push(record.split('\n').next().unwrap().to_owned());
            }
        }
    }
    reasons.sort_unstable();
    (
        order.get("status").cloned().unwrap_or_default(),
        order.get("restocked").filter(|word| *word == "0").cloned(),
        known,
        reasons,
    )
}

/// Walks through all orders of sets of up to `longest` events, and returns the number of sequences.
fn walk(bench: &mut Bench, terms: &[(&str, &str)], events: &[usize], longest: usize, ordered: bool) -> usize {
    let all: Vec<(Vec<usize>, Vec<usize>)> = (1..=longest)
        .flat_map(|size| sets(events.len(), size))
        .map(|set| set.into_iter().map(|at| events[at]).collect::<Vec<_>>())
        .flat_map(|set| permutations(&set).into_iter().map(move |order| (set.clone(), order)))
        .collect();
    let mut ends: BTreeMap<Vec<usize>, (End, Vec<usize>)> = BTreeMap::new();
    for chunk in all.chunks(CHUNK) {
        bench.empty();
        for counter in ["total", "available"] {
            stock::set(&mut bench.redis, &key("stock"), 1, counter, 9_999);
        }
        for (term, value) in terms {
            bench.redis.hset::<_, _, _, ()>(key("sale"), term, value).unwrap();
        }
        let names: Vec<String> = (0..chunk.len()).map(|number| format!("h{number}")).collect();
        for some in names.chunks(CALL) {
            hold(bench, some);
            if ordered {
                bench.orders(&some.iter().map(String::as_str).collect::<Vec<_>>());
            }
        }
        let calls: Vec<(String, usize)> = chunk
            .iter()
            .zip(&names)
            .flat_map(|((_, order), name)| order.iter().map(|place| (name.clone(), *place)))
            .collect();
        calls.chunks(CALL).for_each(|some| settle(bench, some));
        let open: Vec<String> = bench.redis.zrange(key("reviews"), 0, -1).unwrap();
        for ((set, order), name) in chunk.iter().zip(&names) {
            let end = end_of(bench, name, &open);
            let known = ends.entry(set.clone()).or_insert_with(|| (end.clone(), order.clone()));
            let [one, other] = [&known.1, order].map(|order| order.iter().map(|at| EVENTS[*at]).collect::<Vec<_>>());
            assert_eq!(known.0, end, "\n{one:?}\n{other:?}");
        }
        invariants::check(&mut bench.redis);
    }
    all.len()
}

#[test]
fn the_same_events_end_in_the_same_place_in_whatever_order_they_come() {
    let mut bench = Bench::new();
    let everything: Vec<usize> = (0..EVENTS.len()).collect();
    let mut walked = walk(&mut bench, &[], &everything, 3, true);
    // Four and five of those that matter most to each other.
    walked += walk(&mut bench, &[], &[0, 2, 3, 4, 5, 6, 8, 9, 11, 12, 13], 4, true);
    walked += walk(&mut bench, &[], &[0, 2, 3, 5, 8, 11, 12, 14], 5, true);
    for term in [("on_payment_ended", "release"), ("payment_amount", "exact"), ("restock_refunds", "0")] {
        walked += walk(&mut bench, &[term], &everything, 3, true);
    }
    // On a hold, where what only failed or ended is not kept.
    let on_holds: Vec<usize> =
        everything.into_iter().filter(|at| !["failed", "cancelled"].contains(&EVENTS[*at][0])).collect();
    walked += walk(&mut bench, &[], &on_holds, 3, false);
    println!("{walked} sequences of events, of which all that have the same events ended in the same place");
    assert_eq!(walked, 37_687);
}
