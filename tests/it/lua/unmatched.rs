//! Events that name nothing of ours, when persons have resolved all numbered reviews of their payment.

use flashsale::store::Op;
use redis::Commands;

use super::{BOOK_ARGUMENTS, Bench, book, key, word};

/// As many as two characters to base 36 can number.
const NUMBERED: u32 = 36 * 36;

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
    let names = ["reviews", "review_records", "resolved", "once:e2", "kept:pi"];
    let keys = [book(), names.map(key).to_vec()].concat();
    let event = ["paid", "cart 7", "e2", "pi", "", "", "", "hash-of-the-event-e2", "paid", "60000"];
    let arguments = [&BOOK_ARGUMENTS[..], &["60000", "100", "fingerprint", "abcdefghijklmnopqr"], &event].concat();
    assert_eq!(word(&bench.call(Op::KeepUnmatched, &keys, &arguments)), "unmatched");
    let open: Vec<String> = bench.redis.zrange(key("reviews"), 0, -1).unwrap();
    assert_eq!(open, ["hash-of-the-event-e2"]);
    let kept: String = bench.redis.hget(key("review_records"), &open[0]).unwrap();
    assert_eq!(kept.split('\n').nth(13), Some("abcdefghijklmnopqrzz"), "it names the one before");
}
