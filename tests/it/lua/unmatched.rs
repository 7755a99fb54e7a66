//! Events that name nothing of ours, when persons have resolved all numbered reviews of their payment.

use std::collections::BTreeSet;

use flashsale::store::Op;
use redis::{Commands, Value};

use super::{BOOK_ARGUMENTS, Bench, book, key, word};

/// As many as two characters to base 36 can number.
const NUMBERED: u32 = 36 * 36;

/// Keeps an event of the payment whose reviews have this id, where so many reviews may be open.
fn keep(bench: &mut Bench, first_id: &str, event: &str, open_max: &str) -> Vec<Value> {
    let (once, hash) = (format!("once:{event}"), format!("hash-of-the-event-{event}"));
    let keys = [book(), ["reviews", "review_records", "resolved", &once, "kept:pi"].map(key).to_vec()].concat();
    let event = ["paid", "cart 7", event, "pi", "", "", "", &hash, "paid", "60000"];
    let arguments = [&BOOK_ARGUMENTS[..], &["60000", open_max, "fingerprint", first_id], &event].concat();
    bench.call(Op::KeepUnmatched, &keys, &arguments)
}

#[test]
fn the_events_of_a_payment_change_its_open_review_also_where_no_other_may_be_opened() {
    let (mut bench, mut opened) = (Bench::new(), BTreeSet::new());
    for event in ["e1", "e2", "e3"] {
        bench.advance(1_000);
        let kept = keep(&mut bench, "abcdefghijklmnopqr", event, "1");
        assert_eq!(
            (word(&kept), word(&kept[1..])),
            ("unmatched".to_owned(), "abcdefghijklmnopqr00".to_owned()),
            "{event}"
        );
        let record: String = bench.redis.hget(key("review_records"), "abcdefghijklmnopqr00").unwrap();
        opened.insert(record.split('\n').nth(14).unwrap().to_owned());
    }
    let open: Vec<String> = bench.redis.zrange(key("reviews"), 0, -1).unwrap();
    assert_eq!((open, opened.len()), (vec!["abcdefghijklmnopqr00".to_owned()], 1), "it says when it was opened");
    assert_eq!(word(&keep(&mut bench, "another-payment---", "e4", "1")), "full");
}

#[test]
fn a_payment_that_was_looked_at_more_often_than_its_reviews_can_be_numbered_is_looked_at_again() {
    let mut bench = Bench::new();
    let digit = |number: u32| char::from_digit(number % 36, 36).unwrap();
    let record = "unmatched\npaid\ncart 7\ne\npi\n\n\n\n\n\n\n\n\n1\n2\n\ndismiss\nseen";
    for number in 0..NUMBERED {
        let id = format!("abcdefghijklmnopqr{}{}", digit(number / 36), digit(number));
        bench.redis.hset::<_, _, _, ()>(key("review_records"), &id, record).unwrap();
        bench.redis.zadd::<_, _, _, ()>(key("resolved"), &id, 2).unwrap();
    }
    assert_eq!(word(&keep(&mut bench, "abcdefghijklmnopqr", "e2", "100")), "unmatched");
    let open: Vec<String> = bench.redis.zrange(key("reviews"), 0, -1).unwrap();
    assert_eq!(open, ["hash-of-the-event-e2"]);
    let kept: String = bench.redis.hget(key("review_records"), &open[0]).unwrap();
    assert_eq!(kept.split('\n').nth(13), Some("abcdefghijklmnopqrzz"), "it names the one before");
}
