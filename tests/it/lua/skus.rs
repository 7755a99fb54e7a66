//! Claims of ids and SKUs. Making a product is a claim and then `put_product`, and a crash may come in between.

use flashsale::store::Op;
use redis::Commands;

use super::Bench;

/// The reply in words: `claimed 1 p1`.
pub fn claim(bench: &mut Bench, id: &str, sale: &str, sku: &str) -> String {
    let reply =
        bench.call(Op::ClaimProduct, &["fs1:{:all}:products".into(), "fs1:{:all}:skus".into()], &[id, sale, sku, ""]);
    let words = reply.iter().map(|value| redis::from_redis_value_ref::<String>(value).unwrap());
    words.collect::<Vec<_>>().join(" ")
}

#[test]
fn a_claim_by_id_or_by_sku_goes_on_where_the_same_claim_was_made_before() {
    let mut bench = Bench::new();
    assert_eq!(claim(&mut bench, "", "", "AIR 38"), "claimed 1 p1");
    for (id, sale) in [("", ""), ("1", ""), ("", "p1"), ("1", "p1")] {
        assert_eq!(claim(&mut bench, id, sale, "AIR 38"), "claimed 1 p1", "{id:?} in {sale:?}");
    }
    assert_eq!(claim(&mut bench, "", "drop", "AIR-39"), "claimed 2 drop");
    assert_eq!(claim(&mut bench, "", "drop", "AIR-39"), "claimed 2 drop");
    let listed: Vec<(String, String)> = bench.redis.hgetall("fs1:{:all}:products").unwrap();
    assert_eq!(listed, [("1", "p1 AIR 38"), ("2", "drop AIR-39")].map(|(id, entry)| (id.into(), entry.into())));
}

#[test]
fn an_id_and_a_sku_belong_to_one_product_for_ever_and_a_refused_claim_takes_neither() {
    let mut bench = Bench::new();
    assert_eq!(claim(&mut bench, "7", "drop", "A"), "claimed 7 drop");
    assert_eq!(claim(&mut bench, "8", "drop", ""), "claimed 8 drop");
    for (id, sale, sku, other) in [
        ("9", "drop", "A", "7"),
        ("", "", "A", "7"),
        ("", "other", "A", "7"),
        ("8", "drop", "A", "7"),
        ("7", "drop", "B", "7"),
        ("7", "drop", "", "7"),
        ("7", "other", "A", "7"),
        ("8", "drop", "B", "8"),
    ] {
        let claimed = claim(&mut bench, id, sale, sku);
        assert_eq!(claimed, format!("already_exists {other}"), "{id:?} in {sale:?} as {sku:?}");
    }
    assert_eq!(claim(&mut bench, "", "drop", "B"), "claimed 3 drop", "nobody took it");
    assert_eq!(claim(&mut bench, "9", "drop", "a"), "claimed 9 drop", "compared byte by byte");
}
