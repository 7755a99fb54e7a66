//! Where things end: the first and the last instant, the last unit that fits, and what is kept no longer than it may be.

use flashsale::store::Op;
use redis::{Commands, Value};

use super::{BOOK_ARGUMENTS, Bench, TERMS, book, key, word};
use crate::support::stock;

fn ttl(bench: &mut Bench, name: &str) -> i64 {
    bench.redis.pttl(key(name)).unwrap()
}

fn with_product(id: &str, more: &[&str]) -> Vec<String> {
    let more = more.iter().map(|name| key(name));
    book().into_iter().chain([key(&format!("product:{id}"))]).chain(more).collect()
}

pub(super) fn restock(bench: &mut Bench, how: &str, units: &str, most: &str, once: &[&str]) -> String {
    let keys = if once.is_empty() { with_product("1", &[]) } else { with_product("1", &["once:r"]) };
    word(&bench.call(Op::Restock, &keys, &[&BOOK_ARGUMENTS[..], &["1", how, units, most], once].concat()))
}

fn change_price(bench: &mut Bench, price: &str) -> String {
    let arguments = [&BOOK_ARGUMENTS[..], &["1", "500000000000000", "price", price]].concat();
    word(&bench.call(Op::ChangeProduct, &with_product("1", &[]), &arguments))
}

fn earlier_prices(bench: &mut Bench) -> Vec<String> {
    let text = stock::text(&mut bench.redis, &key("stock"), 1, "earlier_prices").unwrap();
    text.split(' ').map(str::to_owned).collect()
}

#[test]
fn a_sale_is_open_from_its_first_millisecond_until_the_one_before_its_end() {
    let mut bench = Bench::new();
    let (starts, ends) = (bench.now_ms + 1_000, bench.now_ms + 2_000);
    let terms = [("starts", starts), ("ends", ends)];
    let _: () = bench.redis.hset_multiple(key("sale"), &terms).unwrap();
    for (advance, expected) in
        [(999, "sale_not_started"), (1, "held"), (999, "held"), (1, "sale_ended"), (1, "sale_ended")]
    {
        bench.advance(advance);
        // The second one is not plain.
        for request in ["1=1", "1=1\n60000"] {
            let (hold, after) = (format!("h{}{request}", bench.now_ms), bench.now_ms - starts);
            assert_eq!(word(&bench.request(&hold, request, None)), expected, "{request:?} {after} after the start");
        }
    }
}

#[test]
fn what_is_remembered_is_forgotten_in_time() {
    let mut bench = Bench::new();
    assert_eq!(word(&bench.request("h", "1=1 bob\n0 fingerprint h", Some("claim"))), "held");
    assert_eq!(bench.order("h"), "created");
    bench.settle("h", "paid", "event", "pi", "500000");
    assert_eq!(restock(&mut bench, "delta", "1", "1000", &["f", "60000"]), "restocked");
    let keys =
        [book(), ["reviews", "review_records", "resolved", "once:unmatched", "kept:pi"].map(key).to_vec()].concat();
    let event = ["paid", "cart 7", "e", "pi", "", "", "", "hash", "text", "50000"];
    let arguments = [&BOOK_ARGUMENTS[..], &["60000", "10", "f", "unmatched-review-u"], &event].concat();
    assert_eq!(word(&bench.call(Op::KeepUnmatched, &keys, &arguments)), "unmatched");
    let arguments = [&BOOK_ARGUMENTS[..], &["2", "s", "other", "60000"]].concat();
    assert_eq!(
        word(&bench.call(Op::RemoveProduct, &with_product("2", &["moving", "once:left"]), &arguments)),
        "removed"
    );
    let product = ["2", "other", "s", "60000", "USD", "Item", "", "500000", "1", "5", ""];
    let arguments = [&BOOK_ARGUMENTS[..], &product].concat();
    assert_eq!(word(&bench.call(Op::ArriveProduct, &with_product("2", &["once:arrived"]), &arguments)), "arrived");
    for name in ["once:claim", "once:event", "once:r", "once:unmatched", "kept:pi", "once:left", "once:arrived"] {
        let left = ttl(&mut bench, name);
        assert!((1..=60_000).contains(&left), "{name} is kept for {left} ms");
    }
}

#[test]
fn an_order_that_nobody_pays_is_kept_for_a_while_after_its_deadline_and_one_with_money_for_ever() {
    let mut bench = Bench::new();
    for hold in ["cancelled", "lapsed", "paid"] {
        assert_eq!(word(&bench.hold(hold, &[("1", "1")])), "held");
        assert_eq!(bench.order(hold), "created");
    }
    let order = |name: &str| key(&format!("order:{name}"));
    let reviews = ["reviews", "review_records", "resolved"].map(key);
    let keys = [book(), reviews.to_vec(), vec![order("cancelled")]].concat();
    assert_eq!(word(&bench.call(Op::Cancel, &keys, &[BOOK_ARGUMENTS[0], BOOK_ARGUMENTS[1], "customer"])), "cancelled");
    assert_eq!(bench.settle("paid", "paid", "e", "pi", "500000"), "applied");
    let due: i64 = bench.redis.zscore(key("due"), "lapsed").unwrap();
    bench.advance(60_000);
    assert_eq!(word(&bench.call(Op::Expire, &[book(), vec![order("lapsed")]].concat(), &BOOK_ARGUMENTS)), "expired");
    let kept_until = |bench: &mut Bench, name: &str| -> i64 { bench.redis.pexpire_time(order(name)).unwrap() };
    for name in ["cancelled", "lapsed"] {
        assert_eq!(kept_until(&mut bench, name), due + 60_000, "{name}");
    }
    assert_eq!(kept_until(&mut bench, "paid"), -1);
}

#[test]
fn the_log_of_events_and_the_list_of_prices_do_not_grow_without_end() {
    let mut bench = Bench::new();
    let few = [BOOK_ARGUMENTS[0], "10", "1", "delta", "1", "1000000"];
    for _ in 0..400 {
        assert_eq!(word(&bench.call(Op::Restock, &with_product("1", &[]), &few)), "restocked");
    }
    let events: usize = redis::cmd("XLEN").arg(key("events")).query(&mut bench.redis).unwrap();
    assert!((10..300).contains(&events), "{events} events");
    for price in 1..=60 {
        bench.advance(1_000);
        assert_eq!(change_price(&mut bench, &price.to_string()), "changed");
    }
    let prices = earlier_prices(&mut bench);
    assert_eq!((prices.len(), prices.last().unwrap().split('<').next()), (50, Some("59")));
    // Within one second there is one price before the change.
    for price in ["1", "2"] {
        assert_eq!(change_price(&mut bench, price), "changed");
    }
    let prices = earlier_prices(&mut bench);
    assert_eq!((prices.len(), prices.last().unwrap().split('<').next()), (50, Some("59")));
}

#[test]
fn a_product_may_have_as_many_units_as_the_maximum_and_as_few_as_are_promised() {
    let mut bench = Bench::new();
    assert_eq!(word(&bench.hold("h", &[("1", "4")])), "held");
    assert_eq!(restock(&mut bench, "total", "21", "20", &[]), "above_maximum");
    assert_eq!(restock(&mut bench, "total", "20", "20", &[]), "restocked");
    assert_eq!(restock(&mut bench, "total", "3", "20", &[]), "below_promised");
    assert_eq!(restock(&mut bench, "total", "4", "20", &[]), "restocked");
    assert_eq!(bench.counters(1), [0, 4, 0, 0]);
}

#[test]
fn a_product_is_added_once_and_changes_nothing_of_its_sale() {
    let mut bench = Bench::new();
    let before: String = bench.redis.hget(key("sale"), "hold_ms").unwrap();
    let other = TERMS.map(|term| if term == before { "1000" } else { term });
    let product = ["3", "Item", "", "500000", "USD", "7", "5", "", ""];
    let put = |bench: &mut Bench| {
        word(&bench.call(Op::PutProduct, &with_product("3", &[]), &[&BOOK_ARGUMENTS[..], &product, &other].concat()))
    };
    assert_eq!(put(&mut bench), "created");
    assert_eq!(bench.redis.hget::<_, _, String>(key("sale"), "hold_ms").unwrap(), before);
    // Its counters are lost, and buyers may have been promised its units.
    let of_product = stock::fields(&mut bench.redis, &key("stock"), 3);
    let _: () = bench.redis.hdel(key("stock"), of_product).unwrap();
    assert_eq!(put(&mut bench), "already_exists");
    let _: () = bench.redis.del(key("product:3")).unwrap();
    // One that arrives where one is leaves it as it is.
    assert_eq!(word(&bench.hold("h", &[("1", "4")])), "held");
    let product = ["1", "other", "s", "60000", "USD", "Item", "", "1", "99", "5", ""];
    let arguments = [&BOOK_ARGUMENTS[..], &product].concat();
    assert_eq!(word(&bench.call(Op::ArriveProduct, &with_product("1", &["once:arrived"]), &arguments)), "arrived");
    assert_eq!(bench.counters(1), [6, 4, 0, 0]);
}

#[test]
fn a_listing_changes_from_what_was_read_and_a_sku_is_given_back_by_its_owner_alone() {
    let mut bench = Bench::new();
    let keys = ["products", "skus"].map(key);
    let _: () = bench.redis.hset(&keys[0], "9", "drop A").unwrap();
    let _: () = bench.redis.hset(&keys[0], "7", "drop").unwrap();
    let _: () = bench.redis.hset(&keys[1], "A", "9").unwrap();
    let mut change = |id: &str, before: &str, after: &str, taken: &str, given_back: &str| {
        let reply = bench.call(Op::ChangeListing, &keys, &[id, before, after, taken, given_back]);
        let owner: Option<String> = bench.redis.hget(&keys[1], "A").unwrap();
        (word(&reply), owner.unwrap_or_default())
    };
    let answer = |word: &str, owner: &str| (word.to_owned(), owner.to_owned());
    assert_eq!(change("9", "other A", "~drop A", "", ""), answer("moved", "9"));
    assert_eq!(change("9", "drop A", "~drop A", "", ""), answer("changed", "9"));
    assert_eq!(change("9", "drop A", "~drop A", "", ""), answer("changed", "9"), "it was sent twice");
    assert_eq!(change("8", "", "", "A", ""), answer("moved", "9"), "there is no product 8");
    assert_eq!(change("7", "drop", "!", "", "A"), answer("changed", "9"), "it is no SKU of product 7");
    assert_eq!(change("9", "~drop A", "! A", "", "A"), answer("changed", ""));
    assert_eq!(change("9", "! A", "drop A", "A", ""), answer("changed", "9"));
}

#[test]
fn pages_have_what_was_asked_for_whatever_is_at_the_same_instant() {
    let mut bench = Bench::new();
    let members: Vec<(i64, String)> = (0..600).map(|at| (7, format!("id{at:03}"))).collect();
    let _: () = bench.redis.zadd_multiple(key("orders"), &members).unwrap();
    let page = |bench: &mut Bench, after: &str, most: &str| -> Vec<String> {
        let reply = bench.call(Op::ListOrders, &[key("orders")], &["7", after, most]);
        reply[1..].iter().step_by(2).map(|id| word(std::slice::from_ref(id))).collect()
    };
    assert_eq!(page(&mut bench, "", "3"), ["id000", "id001", "id002"]);
    assert_eq!(page(&mut bench, "id002", "2"), ["id003", "id004"]);
    assert_eq!(page(&mut bench, "id511", "3"), ["id512", "id513", "id514"]);
    assert_eq!(page(&mut bench, "id597", "3"), ["id598", "id599"]);
    let _: () = bench.redis.del(key("orders")).unwrap();
}

#[test]
fn an_audit_reads_as_much_as_it_may_and_misses_no_lost_review() {
    let mut bench = Bench::new();
    bench.hold("h", &[("1", "1")]);
    let units = super::units();
    let size: usize = bench.redis.hlen::<_, usize>(&units[1]).unwrap()
        + bench.redis.hlen::<_, usize>(&units[2]).unwrap()
        + bench.redis.zcard::<_, usize>(&units[3]).unwrap();
    assert_eq!(word(&bench.call(Op::AuditUnits, &units, &[&size.to_string()])), "units");
    assert_eq!(word(&bench.call(Op::AuditUnits, &units, &[&(size - 1).to_string()])), "too_many");
    let order = "paid 1 1 1 1=1@1 USD\npayment:pi\ncaptured=1 review=r1 review_about=x:1:0 dispute_review=r2";
    let _: () = bench.redis.set(key("order:o"), order).unwrap();
    let keys = ["orders", "due", "review_records", "order:o"].map(key);
    let lost = |bench: &mut Bench| bench.call(Op::AuditOrders, &keys, &["o"])[3].clone();
    for (record, expected) in [("none", 2), ("r1", 1), ("r2", 0)] {
        let _: () = bench.redis.hset(key("review_records"), record, "record").unwrap();
        assert_eq!(lost(&mut bench), Value::Int(expected), "with {record}");
    }
    let _: () = bench.redis.del(&[key("order:o"), key("review_records")]).unwrap();
    // A key of another type.
    let _: () = bench.redis.hset(key("order:o"), "status", "paid").unwrap();
    let read = bench.call(Op::AuditOrders, &keys, &["o"]);
    assert_eq!(read[4], Value::BulkString(b"unreadable\n".into()));
    let _: () = bench.redis.del(key("order:o")).unwrap();
    let short = "held\n1\n\n\n\n0";
    let refused = bench.try_call(Op::Repair, &book(), &[BOOK_ARGUMENTS[0], BOOK_ARGUMENTS[1], "0", short]);
    assert!(refused.unwrap_err().to_string().contains("seven lines"));
}

#[test]
fn so_many_unmatched_reviews_may_be_open_and_no_more() {
    let mut bench = Bench::new();
    let keep = |bench: &mut Bench, once: &str| {
        let mut keys = [book(), ["reviews", "review_records", "resolved"].map(key).to_vec()].concat();
        keys.extend([key(&format!("once:{once}")), key(&format!("kept:{once}"))]);
        let review = format!("unmatched-review-{once}");
        let event = ["paid", "cart 7", once, once, "", "", "", once, "text", "50000"];
        word(&bench.call(
            Op::KeepUnmatched,
            &keys,
            &[&BOOK_ARGUMENTS[..], &["60000", "2", "f", &review], &event].concat(),
        ))
    };
    assert_eq!(["a", "b", "c"].map(|once| keep(&mut bench, once)), ["unmatched", "unmatched", "full"]);
    let open: usize = bench.redis.zcard(key("reviews")).unwrap();
    assert_eq!(open, 2);
}

#[test]
fn a_term_may_be_as_long_as_its_maximum_and_a_window_must_have_a_length() {
    let mut bench = Bench::new();
    let mut change = |terms: &[&str]| {
        let reply = bench.call(Op::ChangeSale, &book(), &[&BOOK_ARGUMENTS[..], terms].concat());
        let second = reply.get(1).map(std::slice::from_ref);
        if word(&reply) == "changed" { "changed".to_owned() } else { word(second.unwrap()) }
    };
    for (terms, expected) in [
        (&["hold_ms", "200000"][..], "changed"),
        (&["hold_ms", "200001"], "hold_ms"),
        (&["payment_ms", "80000"], "changed"),
        (&["payment_ms", "80001"], "payment_ms"),
        (&["starts", "7", "ends", "8"], "changed"),
        (&["ends", "7"], "ends"),
        (&["ends", "6"], "ends"),
    ] {
        assert_eq!(change(terms), expected, "{terms:?}");
    }
    let terms: Vec<String> = bench.redis.hmget(key("sale"), &["hold_ms", "payment_ms", "ends"]).unwrap();
    assert_eq!(terms, ["200000", "80000", "8"]);
}

#[test]
fn a_product_that_is_removed_leaves_no_field() {
    let mut bench = Bench::new();
    let of_product = |bench: &mut Bench| stock::fields(&mut bench.redis, &key("stock"), 2);
    let arguments = [&BOOK_ARGUMENTS[..], &["2", "500000000000000", "price", "7"]].concat();
    assert_eq!(word(&bench.call(Op::ChangeProduct, &with_product("2", &[]), &arguments)), "changed");
    assert!(of_product(&mut bench).contains(&"2:earlier_prices".to_owned()));
    let arguments = [&BOOK_ARGUMENTS[..], &["2"]].concat();
    assert_eq!(word(&bench.call(Op::RemoveProduct, &with_product("2", &[]), &arguments)), "removed");
    assert!(of_product(&mut bench).is_empty(), "{:?}", of_product(&mut bench));
}

#[test]
fn at_its_deadline_a_hold_can_be_ordered_and_counts_for_its_customer_and_a_millisecond_later_neither() {
    let mut bench = Bench::new();
    bench.set_rules("1", "max_per_customer=2");
    for hold in ["h", "g"] {
        assert_eq!(word(&bench.request(hold, &format!("1=1 {hold}\n0 "), None)), "held");
    }
    bench.advance(100_000);
    assert_eq!(bench.order("h"), "created");
    assert_eq!(word(&bench.request("more", "1=2 g\n0 ", None)), "customer_limit_reached");
    bench.advance(1);
    assert_eq!(bench.order("g"), "hold_expired");
    assert_eq!(word(&bench.request("more", "1=2 g\n0 ", None)), "held");
}
