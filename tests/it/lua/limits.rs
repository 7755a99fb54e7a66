//! Limits for each customer: of a product, of a group of products, and of a sale.

use flashsale::store::Op;
use redis::{Commands, Value};

use super::{BOOK_ARGUMENTS, Bench, book, key, word};
use crate::support::stock;

fn text(text: &str) -> Value {
    Value::BulkString(text.into())
}

/// `customer_limit_reached`: which limit, of what, the most units of a customer, and those that are left.
fn reached(limit: &str, of: &str, most: i64, left: i64) -> Vec<Value> {
    vec![text("customer_limit_reached"), text(limit), text(of), Value::Int(most), Value::Int(left)]
}

fn required(limit: &str, of: &str) -> Vec<Value> {
    vec![text("customer_id_required"), text(limit), text(of)]
}

/// Every word that limits, cool-downs and the window of the sale can make `hold` answer. Ends with the rules of the beginning.
pub fn provoke(bench: &mut Bench) {
    bench.set_rules("1", "max_per_customer=2");
    assert_eq!(bench.hold("m", &[("1", "1")]), required("product", "1"));
    assert_eq!(word(&bench.request("m", "1=2 bob", None)), "held");
    assert_eq!(bench.request("n", "1=1 bob", None), reached("product", "1", 2, 0));
    bench.set_rules("", "cooldown_holds=1");
    bench.redis.hset::<_, _, _, ()>(key("sale"), "cooldown_ms", 60_000).unwrap();
    bench.advance(101_000);
    assert_eq!(word(&bench.request("n", "1=1 bob", None)), "customer_cooling_down");
    bench.advance(60_000);
    assert_eq!(word(&bench.request("n", "1=1 bob", None)), "held");
    bench.set_rules("", "");
    bench.set_rules("1", "visibility=hidden");
    assert_eq!(bench.hold("q", &[("1", "1")]), [text("product_hidden"), text("1")]);
    bench.set_rules("1", "");
    let now = bench.now_ms;
    for (field, value, expected) in [
        ("paused", "1".to_owned(), "sale_paused"),
        ("starts", (now + 1).to_string(), "sale_not_started"),
        ("ends", now.to_string(), "sale_ended"),
    ] {
        bench.redis.hset::<_, _, _, ()>(key("sale"), field, value).unwrap();
        assert_eq!(word(&bench.hold("q", &[("1", "1")])), expected);
    }
    let open = [("paused", "0"), ("starts", ""), ("ends", "")];
    bench.redis.hset_multiple::<_, _, _, ()>(key("sale"), &open).unwrap();
}

/// Products 1 (10 units), 2 (1 unit) and 3 (10 units).
fn three_products() -> Bench {
    let mut bench = Bench::new();
    assert_eq!(bench.put_product("3", "USD", "10"), "created");
    bench
}

#[test]
fn the_limit_of_a_product_comes_first_then_that_of_its_group_then_that_of_the_sale() {
    let mut bench = three_products();
    let all = |bench: &mut Bench| bench.request("h", "1=2,3=2 bob", None);
    bench.set_rules("1", "group=air max_per_customer=1");
    bench.set_rules("3", "max_per_customer=1 group=air");
    bench.set_rules("", "max_per_group=3 max_per_customer=2");
    assert_eq!(all(&mut bench), reached("product", "1", 1, 1));
    assert_eq!(bench.hold("h", &[("3", "1")]), required("product", "3"));
    bench.set_rules("1", "group=air");
    assert_eq!(all(&mut bench), reached("product", "3", 1, 1), "before the group of product 1");
    bench.set_rules("3", "group=air");
    assert_eq!(all(&mut bench), reached("group", "air", 3, 3));
    assert_eq!(bench.hold("h", &[("2", "1"), ("3", "1")]), required("group", "air"));
    bench.set_rules("1", "");
    assert_eq!(all(&mut bench), reached("sale", "", 2, 2));
    assert_eq!(bench.hold("h", &[("1", "1")]), required("sale", ""));
    bench.set_rules("", "max_per_group=3");
    assert_eq!(word(&all(&mut bench)), "held");
}

#[test]
fn a_group_and_a_sale_count_all_that_a_customer_has_of_any_product() {
    let mut bench = three_products();
    // What came before there were limits counts.
    assert_eq!(word(&bench.request("bought", "1=1 bob", None)), "held");
    assert_eq!(bench.settle("bought", "paid", "p", "", ""), "applied");
    assert_eq!(word(&bench.request("ordered", "2=1,3=1 bob", None)), "held");
    assert_eq!(bench.order("ordered"), "created");
    assert_eq!(word(&bench.request("others", "1=3 ann", None)), "held");
    for (product, group) in [("1", "group=a"), ("2", "group=b"), ("3", "group=a")] {
        bench.set_rules(product, group);
    }
    bench.set_rules("", "max_per_group=2");
    assert_eq!(bench.request("h", "3=1 bob", None), reached("group", "a", 2, 0));
    bench.set_rules("", "max_per_group=3 max_per_customer=4");
    assert_eq!(word(&bench.request("h", "3=1 bob", None)), "held");
    assert_eq!(bench.request("i", "2=1 bob", None), reached("sale", "", 4, 0));
    // A limit below what a customer has takes nothing away.
    bench.set_rules("", "max_per_group=1");
    assert_eq!(bench.request("i", "3=1 bob", None), reached("group", "a", 1, 0));
    assert_eq!(bench.counters(3), [8, 1, 1, 0]);
    // The order and the hold lapse at the same time, what was bought stays.
    bench.advance(101_000);
    assert_eq!(bench.request("i", "3=1 bob", None), reached("group", "a", 1, 0));
    bench.set_rules("", "max_per_group=3");
    assert_eq!(word(&bench.request("i", "3=2 bob", None)), "held");
}

#[test]
fn a_product_counts_in_the_group_that_it_has_now() {
    let mut bench = three_products();
    bench.set_rules("", "max_per_group=2");
    bench.set_rules("1", "group=a");
    assert_eq!(word(&bench.request("h", "1=2 bob", None)), "held");
    assert_eq!(word(&bench.request("i", "3=1 bob", None)), "held", "it is in no group");
    bench.set_rules("3", "group=a");
    assert_eq!(bench.request("j", "3=1 bob", None), reached("group", "a", 2, 0));
    bench.set_rules("1", "group=b");
    assert_eq!(word(&bench.request("j", "3=1 bob", None)), "held");
    assert_eq!(bench.request("k", "1=1 bob", None), reached("group", "b", 2, 0));
}

#[test]
fn rules_are_changed_one_by_one_and_a_sale_is_made_with_its_own() {
    let mut bench = Bench::new();
    let change = |bench: &mut Bench, op: Op, product: Option<&str>, changes: &[&str]| {
        let keys = [book(), product.iter().map(|id| key(&format!("product:{id}"))).collect()].concat();
        let of_product = product.iter().flat_map(|id| [id, "500000000000000"]).collect::<Vec<_>>();
        assert_eq!(word(&bench.call(op, &keys, &[&BOOK_ARGUMENTS[..], &of_product, changes].concat())), "changed");
    };
    for (changes, expected) in [
        (&["group", "a"][..], "group=a"),
        (&["max_per_customer", "2", "name", "Shoe"], "group=a max_per_customer=2"),
        (&["group", "b.c", "visibility", "hidden"], "max_per_customer=2 group=b.c visibility=hidden"),
        (&["max_per_customer", "", "visibility", ""], "group=b.c"),
        (&["group", ""], ""),
    ] {
        change(&mut bench, Op::ChangeProduct, Some("1"), changes);
        let rules = stock::text(&mut bench.redis, &key("stock"), 1, "rules");
        assert_eq!(rules.as_deref(), Some(expected), "{changes:?}");
    }
    let events = |bench: &mut Bench| redis::cmd("XLEN").arg(key("events")).query::<i64>(&mut bench.redis).unwrap();
    for (changes, expected, events_more) in [
        (&["max_per_group", "2"][..], "max_per_group=2", 1),
        (&["max_per_group", "2", "paused", "0", "visibility", ""], "max_per_group=2", 0),
        (&["cooldown_holds", "3", "max_per_customer", "4"], "max_per_group=2 cooldown_holds=3 max_per_customer=4", 1),
        (&["max_per_group", "", "max_per_customer", "5", "cooldown_holds", ""], "max_per_customer=5", 1),
    ] {
        let before = events(&mut bench);
        change(&mut bench, Op::ChangeSale, None, changes);
        let rules: String = bench.redis.hget(key("sale"), "rules").unwrap();
        assert_eq!(rules, expected, "{changes:?}");
        assert_eq!(events(&mut bench) - before, events_more, "{changes:?}");
    }
    assert_eq!(bench.redis.hexists::<_, _, bool>(key("sale"), "max_per_group"), Ok(false), "a rule is stored once");
}

#[test]
fn what_is_hidden_is_not_there_and_what_is_unlisted_can_be_held() {
    let mut bench = Bench::new();
    assert_eq!(word(&bench.request("h", "1=1 bob\n0 f h", Some("k"))), "held");
    bench.set_rules("1", "visibility=hidden");
    let hidden = [text("product_hidden"), text("1")];
    assert_eq!(bench.hold("i", &[("2", "1"), ("1", "1")]), hidden);
    assert_eq!(word(&bench.request("i", "1=1 bob\n0 f i", Some("k"))), "replayed", "it was made before");
    assert_eq!(word(&bench.request("h", "1=1 bob", None)), "held", "the same call again");
    assert_eq!(bench.order("h"), "created", "what is held can be ordered");
    bench.set_rules("1", "visibility=unlisted");
    assert_eq!(word(&bench.hold("i", &[("1", "1")])), "held");
    bench.set_rules("", "visibility=hidden");
    assert_eq!(bench.hold("j", &[("1", "1")]), hidden);
    bench.redis.hset::<_, _, _, ()>(key("sale"), "paused", "1").unwrap();
    assert_eq!(bench.hold("j", &[("1", "1")]), hidden, "nor does it say that it is paused");
    bench.set_rules("", "visibility=unlisted");
    assert_eq!(word(&bench.hold("j", &[("1", "1")])), "sale_paused");
}
