//! What events leave known of the payments of an order, in whatever order they come: the facts, the status, and why a person must
//! look. The order costs 500000.

use std::collections::BTreeMap;

use flashsale::store::Op;
use redis::Commands;

use super::{BOOK_ARGUMENTS, Bench, book, key, word};
use crate::support::orders::stored_order;

/// Events as words: what happened, and what the provider named. The payment is `pi_1` where no other one is named.
struct Case {
    events: &'static [&'static str],
    facts: &'static str,
    status: &'static str,
    /// Why the open reviews were opened.
    reasons: &'static str,
}

const fn case(
    events: &'static [&'static str],
    facts: &'static str,
    status: &'static str,
    reasons: &'static str,
) -> Case {
    Case { events, facts, status, reasons }
}

const CASES: [Case; 29] = [
    case(&["paid 500000"], "captured=500000 exact=1", "paid", ""),
    case(&["paid 499999"], "captured=499999", "in_review", "amount_mismatch"),
    case(&["paid 500001"], "captured=500001", "paid", ""),
    case(&["paid"], "captured=500000 exact=1", "paid", ""),
    case(&["paid currency=EUR"], "all=1", "in_review", "amount_mismatch"),
    // The most counts, as a number.
    case(&["paid 90000", "paid 100000"], "captured=100000", "in_review", "amount_mismatch"),
    // Of two currencies that of the sale, else the last of the alphabet.
    case(&["paid 500000 currency=EUR"], "captured=500000 currency=EUR", "in_review", "amount_mismatch"),
    case(&["paid 600000 currency=EUR", "paid 100000 currency=USD"], "captured=100000", "in_review", "amount_mismatch"),
    case(
        &["paid 100000 currency=EUR", "paid 90000 currency=GBP"],
        "captured=90000 currency=GBP",
        "in_review",
        "amount_mismatch",
    ),
    case(&["paid unclear=much"], "unclear=1", "in_review", "amount_mismatch"),
    // Tax and shipping come on top of what the goods cost.
    case(&["paid 300000 goods=500001"], "captured=300000 goods=500001", "paid", ""),
    case(&["paid 600000 goods=500000"], "captured=600000 exact=1 goods=500000", "paid", ""),
    // Refunds with an id and without are the same money.
    case(&["paid 500000", "refunded 500000"], "captured=500000 exact=1 refunded=500000", "refunded", ""),
    case(&["paid 500000", "refunded"], "captured=500000 exact=1 refunded_all=1", "refunded", ""),
    case(&["paid 500000", "refunded 100000"], "captured=500000 exact=1 refunded=100000", "paid", "partial_refund"),
    case(
        &["paid 500000", "refunded 200000 refund=re_1", "refunded 100000 refund=re_1"],
        "captured=500000 exact=1 refunds=re_1:200000",
        "paid",
        "partial_refund",
    ),
    case(
        &["paid 500000", "refunded 250000", "refunded 250000 refund=re_1"],
        "captured=500000 exact=1 refunded=250000 refunds=re_1:250000",
        "paid",
        "partial_refund",
    ),
    case(
        &["paid 500000", "refunded 250000 refund=re_1", "refunded 250000 refund=re_2"],
        "captured=500000 exact=1 refunds=re_1:250000,re_2:250000",
        "refunded",
        "",
    ),
    case(
        &["paid 500000", "refunded 500000 refund=re_1", "refund_failed refund=re_1"],
        "captured=500000 exact=1 refunds=re_1:500000:failed",
        "refund_required",
        "refund_failed",
    ),
    case(
        &["paid 500000", "refunded 500000", "refund_failed 200000"],
        "captured=500000 exact=1 failed=200000 refunded=500000",
        "refund_required",
        "refund_failed",
    ),
    case(&["paid 500000", "refund_failed"], "captured=500000 exact=1 failed_all=1", "refund_required", "refund_failed"),
    case(
        &["paid 500000", "refunded unclear=much"],
        "captured=500000 exact=1 refund_unclear=1",
        "paid",
        "refund_mismatch",
    ),
    case(
        &["paid 500000", "refunded 500000 currency=EUR"],
        "captured=500000 exact=1 refund_currency=EUR refunded=500000",
        "paid",
        "refund_mismatch",
    ),
    case(&["paid 500000", "refunded 0"], "captured=500000 exact=1", "paid", ""),
    // The latest word about a dispute counts, by the clock of the provider.
    case(&["paid 500000", "disputed sent=10"], "captured=500000 dispute=10:1 exact=1", "paid", "disputed"),
    case(
        &["paid 500000", "disputed sent=10", "dispute_won sent=20"],
        "captured=500000 dispute=20:2 exact=1",
        "paid",
        "",
    ),
    case(
        &["paid 500000", "disputed sent=9", "dispute_lost sent=10"],
        "captured=500000 dispute=10:3 exact=1",
        "paid",
        "dispute_lost",
    ),
    case(
        &["paid 500000", "disputed sent=10", "dispute_lost sent=10"],
        "captured=500000 dispute=10:3 exact=1",
        "paid",
        "dispute_lost",
    ),
    case(&["processing", "cancelled", "failed sent=10"], "declined=10 ended=1 in_flight=1", "pending", ""),
];

impl Bench {
    /// One event, as the words of a case. Its decision.
    fn settle_words(&mut self, event: &str, once: &str) -> String {
        let mut words = event.split(' ');
        let what = words.next().unwrap();
        let mut named = BTreeMap::from([("payment", "pi_1")]);
        named.extend(words.map(|word| word.split_once('=').unwrap_or(("amount", word))));
        let of = |name| named.get(name).copied().unwrap_or_default();
        let mut lines = vec![what, once, once];
        lines.extend(
            ["payment", "amount", "currency", "goods", "refund", "sent", "unclear", "received", "waits"].map(of),
        );
        let keys = [
            book(),
            ["reviews", "review_records", "resolved", "hold:a", "order:a"].map(key).to_vec(),
            vec![key(&format!("once:{once}"))],
        ];
        let lines = lines.join("\n");
        let arguments = [&BOOK_ARGUMENTS[..], &["60000", &lines]].concat();
        let reply = self.call(Op::Settle, &keys.concat(), &arguments);
        word(&reply[2..])
    }

    /// The facts of a payment, without those about its reviews, and the status.
    fn known_of(&mut self, payment: &str) -> (String, String) {
        let order = stored_order(&mut self.redis, &key("order:a"));
        let facts = order.get(&format!("payment:{payment}")).map(String::as_str).unwrap_or_default();
        let facts: Vec<_> =
            facts.split(' ').filter(|fact| !fact.contains("review") && !fact.starts_with("number")).collect();
        (facts.join(" "), order["status"].clone())
    }

    /// Why the open reviews were opened, in the order of the alphabet.
    fn open_reasons(&mut self) -> String {
        let open: Vec<String> = self.redis.zrange(key("reviews"), 0, -1).unwrap();
        let mut reasons: Vec<String> = open
            .iter()
            .map(|id| {
                let record: String = self.redis.hget(key("review_records"), id).unwrap();
                record.lines().next().unwrap().to_owned()
            })
            .collect();
        reasons.sort();
        reasons.join(" ")
    }

    /// What a person says of the only open review.
    fn resolve_the_one(&mut self, action: &str) -> String {
        let open: Vec<String> = self.redis.zrange(key("reviews"), 0, -1).unwrap();
        assert_eq!(open.len(), 1);
        let keys = [book(), ["reviews", "review_records", "resolved", "order:a"].map(key).to_vec()].concat();
        word(&self.call(Op::Resolve, &keys, &[&BOOK_ARGUMENTS[..], &[&*open[0], action, "seen"]].concat()))
    }

    fn order_of_one_unit(&mut self) {
        self.empty();
        assert_eq!(word(&self.hold("a", &[("1", "1")])), "held");
        assert_eq!(self.order("a"), "created");
    }
}

/// All orders of so many things.
fn orders_of(count: usize) -> Vec<Vec<usize>> {
    if count == 0 {
        return vec![vec![]];
    }
    let mut orders = Vec::new();
    for shorter in orders_of(count - 1) {
        for place in 0..=shorter.len() {
            let mut order = shorter.clone();
            order.insert(place, count - 1);
            orders.push(order);
        }
    }
    orders
}

#[test]
fn facts_and_status_are_the_same_in_whatever_order_the_events_come() {
    let mut bench = Bench::new();
    for Case { events, facts, status, reasons } in CASES {
        for order in orders_of(events.len()) {
            bench.order_of_one_unit();
            for at in &order {
                bench.settle_words(events[*at], &format!("e{at}"));
            }
            let context = format!("{events:?} in the order {order:?}");
            assert_eq!(bench.known_of("pi_1"), (facts.to_owned(), status.to_owned()), "{context}");
            assert_eq!(bench.open_reasons(), reasons, "{context}");
        }
    }
}

#[test]
fn a_review_leaves_no_less_time_than_the_payment_had() {
    let mut bench = Bench::new();
    bench.order_of_one_unit();
    let due = stored_order(&mut bench.redis, &key("order:a"))["due"].clone();
    bench.redis.hset::<_, _, _, ()>(key("sale"), "review_ms", 1).unwrap();
    bench.settle_words("paid 499999", "e1");
    let order = stored_order(&mut bench.redis, &key("order:a"));
    assert_eq!((&*order["status"], &order["due"]), ("in_review", &due));
}

#[test]
fn what_a_person_has_looked_at_is_not_opened_again_by_another_event_that_says_the_same() {
    let mut bench = Bench::new();
    bench.order_of_one_unit();
    bench.settle_words("paid 499999", "e1");
    assert_eq!(bench.resolve_the_one("dismiss"), "resolved");
    assert_eq!(bench.open_reasons(), "", "it has left the open ones");
    bench.settle_words("paid 499999", "e2");
    assert_eq!(bench.open_reasons(), "");
}

#[test]
fn a_payment_of_an_order_that_is_forgotten_opens_its_review_no_second_time() {
    let mut bench = Bench::new();
    assert_eq!(bench.settle_words("paid 499999", "e1"), "refund_required");
    assert_eq!(bench.resolve_the_one("dismiss"), "resolved");
    // Reviews are kept for longer than an order.
    bench.redis.del::<_, ()>(key("order:a")).unwrap();
    assert_eq!(bench.settle_words("paid 499999", "e2"), "refund_required");
    assert_eq!(bench.open_reasons(), "");
}

#[test]
fn money_that_went_back_is_not_accepted_by_the_review_of_its_dispute() {
    let mut bench = Bench::new();
    bench.order_of_one_unit();
    for (at, event) in ["paid 500000", "disputed sent=10", "refunded 500000"].iter().enumerate() {
        bench.settle_words(event, &format!("e{at}"));
    }
    assert_eq!((bench.known_of("pi_1").1, bench.open_reasons()), ("refunded".to_owned(), "disputed".to_owned()));
    assert_eq!(bench.resolve_the_one("accept"), "not_acceptable");
    assert_eq!(bench.resolve_the_one("dismiss"), "resolved");
}

#[test]
fn of_two_payments_the_first_pays_unless_a_part_of_it_went_back() {
    let mut bench = Bench::new();
    let cases: [(&[&str], &str, &str); 4] = [
        (&["paid 500000", "paid 500000 payment=pi_2"], "pi_1", "duplicate_payment"),
        (&["paid 500000 payment=pi_2", "paid 500000"], "pi_2", "duplicate_payment"),
        (&["paid 500000", "refunded 100000", "paid 500000 payment=pi_2"], "pi_2", "duplicate_payment"),
        (&["paid 400000", "paid 500000 payment=pi_2"], "pi_2", "duplicate_payment"),
    ];
    for (events, pays, reasons) in cases {
        bench.order_of_one_unit();
        for (at, event) in events.iter().enumerate() {
            bench.settle_words(event, &format!("e{at}"));
        }
        let order = stored_order(&mut bench.redis, &key("order:a"));
        assert_eq!((&*order["payment"], &*order["status"]), (pays, "paid"), "{events:?}");
        assert_eq!(bench.open_reasons(), reasons, "{events:?}");
    }
}

#[test]
fn where_the_sale_wants_the_exact_amount_more_pays_once_the_rest_went_back() {
    let mut bench = Bench::new();
    for (events, status) in [(&["paid 600000"][..], "in_review"), (&["paid 600000", "refunded 100000"], "paid")] {
        bench.order_of_one_unit();
        bench.redis.hset::<_, _, _, ()>(key("sale"), "payment_amount", "exact").unwrap();
        for (at, event) in events.iter().enumerate() {
            bench.settle_words(event, &format!("e{at}"));
        }
        assert_eq!(bench.known_of("pi_1").1, status, "{events:?}");
    }
}
