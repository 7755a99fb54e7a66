//! Products that are deleted or moved: the scripts of each step.

use flashsale::store::Op;
use redis::{Commands, Value};

use super::{BOOK_ARGUMENTS, Bench, book, key, list, word};
use crate::support::stock;

fn change(bench: &mut Bench, arguments: [&str; 5]) -> String {
    word(&bench.call(Op::ChangeListing, &["fs1:{:all}:products".into(), "fs1:{:all}:skus".into()], &arguments))
}

fn remove(bench: &mut Bench, id: &str) -> String {
    let keys = [book(), vec![key(&format!("product:{id}"))]].concat();
    word(&bench.call(Op::RemoveProduct, &keys, &[&BOOK_ARGUMENTS[..], &[id]].concat()))
}

/// Takes the product out for a move of this name to the sale `other`.
fn leave(bench: &mut Bench, id: &str, token: &str) -> Vec<Value> {
    let names = [format!("product:{id}"), format!("moving:{id}:{token}"), format!("once:move-{token}")];
    let keys = [book(), names.map(|name| key(&name)).to_vec()].concat();
    bench.call(Op::RemoveProduct, &keys, &[&BOOK_ARGUMENTS[..], &[id, "s", "other", "60000"]].concat())
}

fn arrive(bench: &mut Bench, id: &str, token: &str, currency: &str) -> String {
    let keys =
        [book(), [format!("product:{id}"), format!("once:move-{token}")].map(|name| key(&name)).to_vec()].concat();
    let what = [id, "other", "s", "60000", currency, "Cap", r#"{"a":"b"}"#, "190000", "50", "2", "group=caps"];
    word(&bench.call(Op::ArriveProduct, &keys, &[&BOOK_ARGUMENTS[..], &what].concat()))
}

/// All words of the scripts.
pub fn provoke(bench: &mut Bench) {
    bench.empty();
    assert_eq!(super::skus::claim(bench, "5", "s", "FIVE"), "claimed 5 s");
    assert_eq!(change(bench, ["5", "s", "~s", "", ""]), "moved");
    assert_eq!(change(bench, ["5", "s FIVE", "~s FIVE", "", ""]), "changed");
    assert_eq!(change(bench, ["5", "~s FIVE", "! FIVE", "", "FIVE"]), "changed");
    assert_eq!(change(bench, ["5", "~s FIVE", "! FIVE", "", "FIVE"]), "changed", "sent twice");
    assert_eq!(super::skus::claim(bench, "5", "s", "FIVE"), "claimed 5 s");
    assert_eq!(super::skus::claim(bench, "6", "s", ""), "claimed 6 s");
    assert_eq!(change(bench, ["6", "s", "s FIVE", "FIVE", ""]), "already_exists");
    assert_eq!(remove(bench, "9"), "product_not_found");
    assert_eq!(word(&bench.hold("a", &[("1", "1")])), "held");
    assert_eq!(remove(bench, "1"), "product_has_holds");
    assert_eq!(bench.order("a"), "created");
    assert_eq!(remove(bench, "1"), "product_has_orders");
    assert_eq!(remove(bench, "2"), "removed");
    assert_eq!(arrive(bench, "3", "m", "EUR"), "currency_differs");
    assert_eq!(arrive(bench, "3", "n", "USD"), "arrived");
}

#[test]
fn a_claim_revives_an_id_for_a_product_of_the_same_sku_alone() {
    let mut bench = Bench::new();
    for (id, entry) in [("1", "! A"), ("2", "!"), ("3", "~s C"), ("4", "s>other#t D")] {
        bench.redis.hset::<_, _, _, ()>("fs1:{:all}:products", id, entry).unwrap();
    }
    for (id, sku, expected) in [
        ("1", "", "already_exists 1"),
        ("1", "B", "already_exists 1"),
        ("2", "B", "already_exists 2"),
        ("3", "", "already_exists 3"),
        ("4", "D", "already_exists 4"),
        ("", "A", "claimed 5 s"),
        ("1", "A", "already_exists 5"),
        ("2", "", "claimed 2 s"),
        ("3", "C", "claimed 3 s"),
    ] {
        assert_eq!(super::skus::claim(&mut bench, id, "s", sku), expected, "{id:?} {sku:?}");
    }
    let entries: Vec<String> = bench.redis.hmget("fs1:{:all}:products", &["2", "3"]).unwrap();
    assert_eq!(entries, ["s", "s C"], "a deletion that began takes no claim away");
}

#[test]
fn a_product_leaves_nothing_behind_but_its_baggage_and_arrives_once() {
    let mut bench = Bench::new();
    let baggage = list(&leave(&mut bench, "2", "t")[1]);
    let texts: Vec<String> = baggage.iter().map(|value| redis::from_redis_value_ref(value).unwrap()).collect();
    let expected = "currency USD name Item metadata  price 500000 total 1 max_per_hold 5 rules ";
    assert_eq!(texts.join(" "), expected);
    assert_eq!(leave(&mut bench, "2", "t")[1], Value::Array(baggage), "the same call finds it again");
    let left = stock::fields(&mut bench.redis, &key("stock"), 2);
    assert!(left.is_empty(), "{left:?}");
    assert!(!bench.redis.exists::<_, bool>(key("product:2")).unwrap());
    assert_eq!(word(&leave(&mut bench, "2", "u")), "product_not_found");

    assert_eq!(arrive(&mut bench, "2", "back", "USD"), "arrived");
    assert_eq!(bench.counters(2), [50, 0, 0, 0]);
    assert_eq!(word(&bench.hold("h", &[("2", "1")])), "held");
    assert_eq!(arrive(&mut bench, "2", "back", "USD"), "arrived");
    assert_eq!(bench.counters(2), [49, 1, 0, 0], "the same call changes nothing");
    assert_eq!(word(&leave(&mut bench, "2", "v")), "product_has_holds");
    bench.advance(200_001);
    assert_eq!(word(&leave(&mut bench, "2", "v")), "product_has_holds", "a move that was refused stays refused");
    assert_eq!(word(&leave(&mut bench, "2", "w")), "removed");
    assert_eq!(arrive(&mut bench, "2", "back", "USD"), "arrived");
    assert!(!stock::exists(&mut bench.redis, &key("stock"), 2), "a late call makes no second product");
}

#[test]
fn an_order_is_remembered_also_when_it_is_gone_and_an_archived_product_takes_no_holds() {
    let mut bench = Bench::new();
    bench.hold("a", &[("2", "1")]);
    assert_eq!(bench.order("a"), "created");
    bench.advance(1_000_000);
    assert_eq!(remove(&mut bench, "2"), "product_has_orders", "it lapsed, and Redis dropped it");
    bench.set_rules("2", "archived=1");
    assert_eq!(word(&bench.hold("b", &[("2", "1")])), "product_hidden");
}
