//! Metadata of holds and orders, as Redis stores it.

use flashsale::store::Op;
use redis::{Commands, Value};

use super::{BOOK_ARGUMENTS, Bench, book, holding, key, units, word};

const NOTED: &str = r#"{"a b":"1=2 \"x\"","c":"é"}"#;

#[test]
fn a_hold_has_its_metadata_in_a_second_line_and_a_hold_without_has_none() {
    let mut bench = Bench::new();
    for (hold, request, customer, metadata) in [
        ("a", format!("1=1\n0\n{NOTED}"), "", NOTED),
        ("b", format!("1=1 alice b\n5000\n{NOTED}"), "alice b", NOTED),
        ("c", "1=1 alice b\n5000".to_owned(), "alice b", ""),
        ("d", "1=1".to_owned(), "", ""),
    ] {
        assert_eq!(word(&bench.request(hold, &request, None)), "held");
        let stored: String = bench.redis.get(key(&format!("hold:{hold}"))).unwrap();
        assert_eq!(stored.split_once('\n').map_or("", |(_, second)| second), metadata);
        assert_eq!(stored.contains('\n'), !metadata.is_empty());
        let keys = [&units()[..], &[key(&format!("hold:{hold}")), key("order:nobody")]].concat();
        let found = bench.call(Op::FindHold, &keys, &[]);
        let text = |text: &str| Value::BulkString(text.into());
        assert_eq!(found[3..6], [text("1=1"), text(customer), text(metadata)]);
        let read = bench.call(Op::AuditHolds, &[key("sale"), key(&format!("hold:{hold}"))], &[]);
        assert_eq!(read[2..], [text("1=1"), text(customer)]);
    }
}

#[test]
fn metadata_stays_with_a_claim_an_extension_and_the_order() {
    let mut bench = Bench::new();
    let claimed = format!("1=1 alice\n0 f a\n{NOTED}");
    assert_eq!(word(&bench.request("a", &claimed, Some("k"))), "held");
    assert_eq!(word(&bench.request("a", &claimed, Some("k"))), "held", "sent twice");
    assert_eq!(word(&bench.request("b", &claimed.replace(" a\n", " b\n"), Some("k"))), "replayed");
    let keys = [book(), vec![key("hold:a"), key("order:a")]].concat();
    let extended = bench.call(Op::Extend, &keys, &[&BOOK_ARGUMENTS[..], &["1000"]].concat());
    assert_eq!(extended[5], Value::BulkString(NOTED.into()));
    assert_eq!(bench.order("a"), "created");
    let record: String = bench.redis.get(key("order:a")).unwrap();
    assert!(record.ends_with(&format!(" alice\nmetadata\n{NOTED}")), "{record}");
    assert_eq!(bench.settle("a", "paid", "e", "pi_1", "1"), "review");
    let reviews: Vec<String> = bench.redis.hvals(key("review_records")).unwrap();
    assert_eq!(reviews[0].split('\n').nth(11), Some(NOTED), "{reviews:?}");
    bench.hold("plain", &[("1", "1")]);
    bench.order("plain");
    let record: String = bench.redis.get(key("order:plain")).unwrap();
    assert!(!record.contains("metadata"), "{record}");
}

#[test]
fn holds_of_one_run_share_their_metadata() {
    let mut bench = Bench::new();
    let keys = [&holding()[..], &["hold:a", "hold:b", "hold:c"].map(key)].concat();
    let noted = format!("1=1\n0\n{NOTED}");
    let reply = bench.call(Op::Hold, &keys, &["3", "60000", "", "2", &noted, "1", "1=1"]);
    assert_eq!((reply.len(), word(&reply[3..])), (10, "held".to_owned()), "two runs");
    let stored = ["a", "b", "c"].map(|hold| bench.redis.get::<_, String>(key(&format!("hold:{hold}"))).unwrap());
    assert_eq!(stored.map(|value| value.ends_with(NOTED)), [true, true, false]);
}
