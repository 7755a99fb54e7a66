//! The scripts answer every word that their headers name, and no other.

use std::{collections::BTreeSet, path::Path};

use flashsale::store::Op;
use redis::{Commands, Value};

use super::{BOOK_ARGUMENTS, Bench, TERMS, book, holding, key, limits, list, units, word};
use crate::support::stock;

/// The words of a header: the first token in each line of its REPLY section.
fn words_of_header(script: &str) -> BTreeSet<String> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("lua/{script}.lua"));
    let text = std::fs::read_to_string(path).unwrap();
    let header = text.lines().skip_while(|line| !line.starts_with("-- REPLY"));
    let section = header.take_while(|line| !line.starts_with("-- cost"));
    let tokens = section.map(|line| line.trim_start_matches("-- REPLY").trim_start_matches("--").trim());
    let first = tokens.map(|text| text.split([' ', ',']).next().unwrap_or("").to_owned());
    first.filter(|token| !token.is_empty() && token.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')).collect()
}

#[test]
fn every_word_of_every_header_is_answered_and_no_other() {
    let mut bench = Bench::new();
    provoke_products(&mut bench);
    provoke_holds(&mut bench);
    super::sales_together::provoke(&mut bench);
    provoke_orders(&mut bench);
    provoke_settlements(&mut bench);
    provoke_lapses(&mut bench);
    limits::provoke(&mut bench);
    provoke_extensions(&mut bench);
    provoke_sales(&mut bench);
    provoke_stock_changes(&mut bench);
    super::loans::provoke(&mut bench);
    provoke_lists(&mut bench);
    provoke_reviews(&mut bench);
    provoke_marks(&mut bench);
    provoke_audits(&mut bench);
    provoke_behind(&mut bench);
    super::life::provoke(&mut bench);
    for op in Op::ALL {
        let seen: BTreeSet<String> =
            bench.words.iter().filter(|(name, _)| *name == op.name()).map(|(_, word)| word.clone()).collect();
        assert_eq!(seen, words_of_header(op.name()), "{}", op.name());
    }
}

fn provoke_products(bench: &mut Bench) {
    assert_eq!(bench.put_product("1", "USD", "7"), "already_exists");
    assert_eq!(bench.put_product("3", "EUR", "7"), "currency_differs");
    let claim = |bench: &mut Bench, id: &str, sale: &str| super::skus::claim(bench, id, sale, "");
    assert_eq!(claim(bench, "1", "s"), "claimed 1 s");
    assert_eq!(claim(bench, "1", "s"), "claimed 1 s", "the same claim again goes on");
    assert_eq!(claim(bench, "1", "other"), "already_exists 1");
    assert_eq!(claim(bench, "", ""), "claimed 2 p2");
    let keys = [&units()[..], &[key("product:1"), key("product:9")]].concat();
    let stock = bench.call(Op::Stock, &keys, &["1", "9"]);
    assert_eq!(list(&stock[7]).len(), 13);
    assert!(list(&stock[8]).is_empty(), "product 9 is not there");
}

fn provoke_holds(bench: &mut Bench) {
    assert_eq!(word(&bench.hold("a", &[("1", "3")])), "held");
    assert_eq!(word(&bench.hold("a", &[("1", "3")])), "held", "sent twice, held once");
    assert_eq!(bench.counters(1), [7, 3, 0, 0]);
    assert_eq!(word(&bench.hold("b", &[("9", "1")])), "product_not_found");
    assert_eq!(word(&bench.hold("b", &[("1", "6")])), "quantity_above_limit");
    let short = bench.hold("b", &[("1", "5"), ("2", "2")]);
    assert_eq!(word(&short), "insufficient_stock");
    assert_eq!(short[1..], [Value::BulkString(b"2".into()), Value::Int(1), Value::Int(0), Value::Int(0)]);
    assert_eq!(bench.counters(1), [7, 3, 0, 0], "nothing of the refused hold was kept");
    let claimed = |bench: &mut Bench, hold: &str, fingerprint: &str| {
        bench.request(hold, &format!("1=1 alice\n0 {fingerprint} {hold}"), Some("k"))
    };
    assert_eq!(word(&claimed(bench, "c", "f")), "held");
    assert_eq!(word(&claimed(bench, "c", "f")), "held", "our own call, sent twice");
    let replayed = claimed(bench, "d", "f");
    assert_eq!(word(&replayed), "replayed");
    assert_eq!(replayed[2..], ["USD 500000", "c"].map(|text| Value::BulkString(text.into())));
    assert_eq!(word(&claimed(bench, "e", "other")), "idempotency_key_reused");
    let now_ms = bench.now_ms;
    assert_eq!(word(&super::too_late::hold_until(bench, "e", now_ms - 1)), "too_late");
    assert_eq!(bench.counters(1), [6, 4, 0, 0]);
    let by_buyer = [BOOK_ARGUMENTS[0], BOOK_ARGUMENTS[1], "buyer"];
    let keys = [book(), vec![key("hold:c"), key("order:c")]].concat();
    assert_eq!(word(&bench.call(Op::Release, &keys, &by_buyer)), "released");
    assert_eq!(word(&bench.call(Op::Release, &keys, &by_buyer)), "hold_expired");
    let find = |bench: &mut Bench, hold: &str| {
        let keys = [&units()[..], &[key(&format!("hold:{hold}")), key(&format!("order:{hold}"))]].concat();
        word(&bench.call(Op::FindHold, &keys, &[]))
    };
    assert_eq!(find(bench, "a"), "active");
    assert_eq!(find(bench, "c"), "hold_expired");
    assert_eq!(bench.order("a"), "created");
    assert_eq!(find(bench, "a"), "converted");
    let keys = [book(), vec![key("hold:a"), key("order:a")]].concat();
    assert_eq!(word(&bench.call(Op::Release, &keys, &by_buyer)), "hold_converted");
}

fn provoke_orders(bench: &mut Bench) {
    assert_eq!(bench.order("a"), "exists");
    assert_eq!(bench.order("c"), "hold_expired");
    let find = |bench: &mut Bench, hold: &str| {
        word(&bench.call(Op::FindOrder, &[key("sale"), key(&format!("order:{hold}"))], &[]))
    };
    assert_eq!(find(bench, "a"), "found");
    assert_eq!(find(bench, "c"), "order_not_found");
    for (customer, expected) in [("nobody", "customer_not_found"), ("ann", "found")] {
        redis::cmd("HSET").arg(key("customers")).arg(&["ann", "1=0"]).exec(&mut bench.redis).unwrap();
        assert_eq!(word(&bench.call(Op::FindCustomer, &holding(), &[customer])), expected);
        redis::cmd("HDEL").arg(key("customers")).arg("ann").exec(&mut bench.redis).unwrap();
    }
    let order_keys = |hold: &str| [book(), vec![key(&format!("order:{hold}"))]].concat();
    let cancel = |bench: &mut Bench, hold: &str| {
        let names = ["reviews", "review_records", "resolved", &format!("order:{hold}")];
        let keys = [book(), names.map(key).to_vec()].concat();
        word(&bench.call(Op::Cancel, &keys, &[&BOOK_ARGUMENTS[..], &["customer"]].concat()))
    };
    let start = |bench: &mut Bench, hold: &str| word(&bench.call(Op::StartPayment, &order_keys(hold), &BOOK_ARGUMENTS));
    assert_eq!(start(bench, "c"), "order_not_found");
    assert_eq!(start(bench, "a"), "started");
    assert_eq!(start(bench, "a"), "already_started");
    assert_eq!(cancel(bench, "c"), "order_not_found");
    assert_eq!(cancel(bench, "a"), "cancelled");
    assert_eq!(cancel(bench, "a"), "already_cancelled");
    assert_eq!(start(bench, "a"), "order_not_pending");
    assert_eq!(bench.counters(1), [10, 0, 0, 0]);
    bench.hold("f", &[("1", "1")]);
    assert_eq!(bench.settle("f", "paid", "f", "", ""), "applied");
    assert_eq!(cancel(bench, "f"), "order_not_cancellable");
}

fn provoke_settlements(bench: &mut Bench) {
    assert_eq!(bench.settle("f", "paid", "f", "", ""), "duplicate");
    assert_eq!(bench.settle("f", "failed", "f", "", ""), "idempotency_key_reused");
    assert_eq!(bench.settle("f", "failed", "f2", "", ""), "ignored");
    assert_eq!(bench.settle("f", "paid", "f3", "", ""), "duplicate");
    assert_eq!(bench.settle("gone", "paid", "g", "pi_1", ""), "refund_required");
    bench.hold("h", &[("1", "2")]);
    assert_eq!(bench.settle("h", "paid", "h1", "", "999999"), "review");
    assert_eq!(bench.settle("h", "paid", "h2", "", "1000000"), "applied");
    assert_eq!(bench.counters(1), [7, 0, 0, 3]);
    let names = ["sale", "stock", "lapses", "deadlines", "customers", "events", "due", "orders", "reviews"];
    let more = ["review_records", "resolved", "hold:h", "order:h", "once:h"];
    let elsewhere: Vec<String> = names.iter().chain(&more).map(|name| format!("fs1:{{elsewhere}}:{name}")).collect();
    let event = "paid\nf\ne\n\n\n\n\n\n\n\n\n";
    let reply = bench.call(Op::Settle, &elsewhere, &[BOOK_ARGUMENTS[0], BOOK_ARGUMENTS[1], "60000", event]);
    assert_eq!(word(&reply), "sale_not_found");
}

fn provoke_lapses(bench: &mut Bench) {
    bench.hold("l", &[("1", "1")]);
    assert_eq!(bench.order("l"), "created");
    let find = |bench: &mut Bench| bench.call(Op::FindDue, &[key("sale"), key("due")], &["64"]);
    assert_eq!(find(bench).len(), 1, "nothing has lapsed");
    bench.advance(60_000);
    assert_eq!(find(bench), [Value::BulkString(b"due".into()), Value::BulkString(b"l".into())]);
    let keys = [book(), vec![key("order:l"), key("order:gone")]].concat();
    for expected in [1, 0] {
        assert_eq!(
            bench.call(Op::Expire, &keys, &BOOK_ARGUMENTS),
            [Value::BulkString(b"expired".into()), Value::Int(expected)]
        );
    }
    assert_eq!(find(bench).len(), 1, "it was recorded once");
}

fn provoke_extensions(bench: &mut Bench) {
    let extend = |bench: &mut Bench, hold: &str| {
        let keys = [book(), vec![key(&format!("hold:{hold}")), key(&format!("order:{hold}"))]].concat();
        word(&bench.call(Op::Extend, &keys, &[&BOOK_ARGUMENTS[..], &["1000000"]].concat()))
    };
    assert_eq!(word(&bench.hold("x", &[("1", "1")])), "held");
    assert_eq!(extend(bench, "x"), "extended");
    assert_eq!(extend(bench, "x"), "extension_limit_reached");
    assert_eq!(bench.order("x"), "created");
    assert_eq!(extend(bench, "x"), "hold_converted");
    assert_eq!(extend(bench, "nobody"), "hold_expired");
}

fn provoke_sales(bench: &mut Bench) {
    let arguments = [&BOOK_ARGUMENTS[..], &TERMS].concat();
    let other = book().iter().map(|name| name.replace("{s}", "{t}")).collect::<Vec<_>>();
    let find = |bench: &mut Bench| word(&bench.call(Op::FindSale, &[other[0].clone()], &[]));
    let change = |bench: &mut Bench, terms: &[&str]| {
        word(&bench.call(Op::ChangeSale, &other, &[&BOOK_ARGUMENTS[..], terms].concat()))
    };
    assert_eq!(
        (find(bench), change(bench, &["paused", "1"])),
        ("sale_not_found".to_owned(), "sale_not_found".to_owned())
    );
    assert_eq!(word(&bench.call(Op::PutSale, &other, &arguments)), "created");
    assert_eq!(word(&bench.call(Op::PutSale, &other, &arguments)), "already_exists");
    assert_eq!((find(bench), change(bench, &["paused", "1"])), ("found".to_owned(), "changed".to_owned()));
    for terms in [["hold_ms", "200001"], ["payment_max_ms", "1"], ["hold_max_ms", "1"]] {
        assert_eq!(change(bench, &terms), "terms_conflict", "{terms:?}");
    }
    assert_eq!(change(bench, &["starts", "2", "ends", "2"]), "terms_conflict");
}

fn provoke_stock_changes(bench: &mut Bench) {
    let keys = |id: &str| [book(), vec![key(&format!("product:{id}"))]].concat();
    let change = |bench: &mut Bench, id: &str, field: &str, value: &str| {
        let arguments = [&BOOK_ARGUMENTS[..], &[id, "500000000000000", field, value]].concat();
        word(&bench.call(Op::ChangeProduct, &keys(id), &arguments))
    };
    assert_eq!(change(bench, "9", "name", "x"), "product_not_found");
    assert_eq!(change(bench, "1", "price", "500000000000000"), "price_too_large");
    assert_eq!(change(bench, "1", "name", "Thing"), "changed");
    let restock = |bench: &mut Bench, id: &str, how: &str, units: &str, once: &[&str]| {
        let keys = [keys(id), if once.is_empty() { vec![] } else { vec![key("once:r")] }].concat();
        word(&bench.call(Op::Restock, &keys, &[&BOOK_ARGUMENTS[..], &[id, how, units, "1000"], once].concat()))
    };
    assert_eq!(restock(bench, "9", "delta", "1", &[]), "product_not_found");
    assert_eq!(restock(bench, "1", "total", "0", &[]), "below_promised");
    assert_eq!(restock(bench, "1", "delta", "1000", &[]), "above_maximum");
    let total = |bench: &mut Bench| stock::units(&mut bench.redis, &key("stock"), 1, "total");
    let before = total(bench);
    assert_eq!(restock(bench, "1", "delta", "-1", &["f", "60000"]), "restocked");
    assert_eq!(restock(bench, "1", "delta", "-1", &["f", "60000"]), "restocked");
    assert_eq!(restock(bench, "1", "delta", "-2", &["g", "60000"]), "idempotency_key_reused");
    assert_eq!(total(bench), before - 1);
    assert_eq!(restock(bench, "1", "delta", "1", &[]), "restocked");
}

fn provoke_lists(bench: &mut Bench) {
    let list = bench.call(Op::ListOrders, &[key("orders")], &["0", "", "100"]);
    assert_eq!(word(&list), "orders");
    let found: Vec<String> = list[1..].iter().step_by(2).map(|id| word(std::slice::from_ref(id))).collect();
    assert!(found.contains(&"a".to_owned()) && found.contains(&"x".to_owned()), "{found:?}");
    let keys = ["sale", "order:a", "order:nobody"].map(key);
    let read = bench.call(Op::ReadOrders, &keys, &[]);
    let has_text = |value: &Value| !word(std::slice::from_ref(value)).is_empty();
    assert_eq!((word(&read).as_str(), has_text(&read[2]), has_text(&read[3])), ("orders", true, false));
}

fn provoke_reviews(bench: &mut Bench) {
    let keys = [book(), ["reviews", "review_records", "resolved"].map(key).to_vec()].concat();
    let keep = |bench: &mut Bench, once: &str, fingerprint: &str, most: &str| {
        let keys = [&keys[..], &[key(&format!("once:{once}")), key("kept:pi")]].concat();
        let review = format!("unmatched-review-{once}");
        let event = ["paid", "cart 7", once, "pi", "", "", "", once, "paid", "60000"];
        let arguments = [&BOOK_ARGUMENTS[..], &["60000", most, fingerprint, &review], &event].concat();
        word(&bench.call(Op::KeepUnmatched, &keys, &arguments))
    };
    assert_eq!(keep(bench, "i", "f", "0"), "ignored");
    assert_eq!(keep(bench, "u", "f", "100"), "unmatched");
    assert_eq!(keep(bench, "u", "f", "100"), "duplicate");
    assert_eq!(keep(bench, "u", "g", "100"), "idempotency_key_reused");
    assert_eq!(keep(bench, "v", "f", "1"), "full");
    let resolve = |bench: &mut Bench, id: &str, hold: &str, action: &str| {
        let keys = [&keys[..], &[key(&format!("order:{hold}"))]].concat();
        word(&bench.call(Op::Resolve, &keys, &[&BOOK_ARGUMENTS[..], &[id, action, "done\nby hand"]].concat()))
    };
    assert_eq!(resolve(bench, "nobody", "none", "dismiss"), "review_not_found");
    assert_eq!(resolve(bench, "unmatched-review-u00", "none", "dismiss"), "resolved");
    assert_eq!(resolve(bench, "unmatched-review-u00", "none", "dismiss"), "already_resolved");
    let list = bench.call(Op::ListReviews, &["resolved", "review_records"].map(key), &["0", "", "10"]);
    // The review of a payment that fits after all was closed by its second event.
    assert_eq!((word(&list), list.len()), ("reviews".to_owned(), 7));
    let accept = |bench: &mut Bench, hold: &str| {
        let open: Vec<String> = bench.redis.zrange(key("reviews"), 0, -1).unwrap();
        let about = |id: &String| {
            let record: String = bench.redis.hget(key("review_records"), id).unwrap();
            record.split('\n').nth(2) == Some(hold)
        };
        let id = open.into_iter().find(about).unwrap();
        resolve(bench, &id, hold, "accept")
    };
    assert_eq!(accept(bench, "gone"), "not_acceptable");
    bench.hold("r", &[("2", "1")]);
    assert_eq!(bench.settle("r", "paid", "r1", "pi_r", "1"), "review");
    bench.advance(92_000);
    bench.hold("all", &[("2", "1")]);
    assert_eq!(accept(bench, "r"), "units_gone");
    bench.advance(102_000);
    assert_eq!(accept(bench, "r"), "resolved");
}

fn provoke_marks(bench: &mut Bench) {
    let keys = ["mark", "once:f", "once:nobody"].map(key);
    let confirmed = bench.call(Op::Confirm, &keys, &[]);
    assert_eq!(confirmed, [Value::BulkString(b"marked".into()), Value::Int(1), Value::Int(0)]);
    // Without a write there is nothing to wait for, and a new primary would be taken for the old one.
    assert_eq!(bench.redis.get::<_, u64>(key("mark")).ok(), Some(1));
    for _ in 0..2 {
        assert_eq!(word(&bench.call(Op::NotePayment, &[key("noted")], &["f pi_1"])), "noted");
    }
    let notes: Vec<String> = bench.redis.smembers(key("noted")).unwrap();
    assert_eq!(notes, ["f pi_1"]);
}

fn provoke_audits(bench: &mut Bench) {
    let units_read = bench.call(Op::AuditUnits, &units(), &["1000"]);
    assert_eq!((word(&units_read), units_read.len()), ("units".to_owned(), 6));
    assert_eq!(word(&bench.call(Op::AuditUnits, &units(), &["1"])), "too_many");
    bench.hold("audited", &[("1", "1")]);
    let holds = bench.call(Op::AuditHolds, &["sale", "hold:audited", "hold:nobody"].map(key), &[]);
    assert_eq!((word(&holds), &holds[2]), ("holds".to_owned(), &Value::BulkString(b"1=1".into())));
    assert_eq!((holds.len(), &holds[4]), (7, &Value::Int(0)), "the other is gone");
    bench.order("audited");
    let keys = ["orders", "due", "review_records", "order:audited", "order:nobody"].map(key);
    let orders = bench.call(Op::AuditOrders, &keys, &["audited", "nobody"]);
    assert_eq!((word(&orders), orders.len()), ("orders".to_owned(), 9));
    assert_eq!(orders[8], Value::BulkString(Vec::new()));
    let last_write = |bench: &mut Bench| bench.redis.hget::<_, _, String>(key("sale"), "last_write").unwrap();
    let repair = |bench: &mut Bench, last_write: &str, difference: &str| {
        bench.call(Op::Repair, &book(), &[BOOK_ARGUMENTS[0], BOOK_ARGUMENTS[1], last_write, difference])
    };
    let (before, seen) = (bench.counters(1), last_write(bench));
    let one_more = "held\n1\n\n\n\n0\n1";
    assert_eq!(word(&repair(bench, "1", one_more)), "moved");
    let short = repair(bench, &seen, "available\n1\n\n\n\n1000\n0");
    assert_eq!(short, [Value::BulkString(b"below_zero".into()), Value::BulkString(b"1".into())]);
    assert_eq!(bench.counters(1), before, "nothing was changed");
    assert_eq!(word(&repair(bench, &seen, one_more)), "repaired");
    let repaired = last_write(bench);
    bench.hold("meanwhile", &[("1", "1")]);
    assert_ne!(last_write(bench), repaired, "what follows in the instant of a repair leaves its trace");
    let (seen, held) = (last_write(bench), bench.counters(1));
    assert_eq!(word(&repair(bench, &repaired, one_more)), "moved");
    assert_eq!(bench.counters(1), held);
    assert_eq!(word(&repair(bench, &seen, "held\n1\n\n\n\n1\n0")), "repaired");
}

fn provoke_behind(bench: &mut Bench) {
    let names = ["reviews", "review_records", "resolved", "hold:z", "order:z", "once:z"];
    let settle_keys = [book(), names.map(key).to_vec()].concat();
    let hold_keys = [&holding()[..], &[key("hold:z")]].concat();
    let stock_keys = [&units()[..], &[key("product:1")]].concat();
    let expire_keys = [book(), vec![key("order:z")]].concat();
    let product_keys = [book(), vec![key("product:1")]].concat();
    let resolve_keys = [&settle_keys[..11], &[key("order:z")]].concat();
    let loan_keys = super::loans::keys("s");
    let calls: [(Op, &[String], &[&str]); 10] = [
        (Op::FindFree, &loan_keys[..4], &["1"]),
        (Op::Lend, &loan_keys, &["1", "s_2", "0"]),
        (Op::RemoveProduct, &product_keys, &[BOOK_ARGUMENTS[0], BOOK_ARGUMENTS[1], "1"]),
        (Op::Resolve, &resolve_keys, &[BOOK_ARGUMENTS[0], BOOK_ARGUMENTS[1], "nobody", "dismiss", "x"]),
        (
            Op::ChangeProduct,
            &product_keys,
            &[BOOK_ARGUMENTS[0], BOOK_ARGUMENTS[1], "1", "500000000000000", "name", "Item"],
        ),
        (Op::Restock, &product_keys, &[BOOK_ARGUMENTS[0], BOOK_ARGUMENTS[1], "1", "delta", "0", "1000000"]),
        (Op::Settle, &settle_keys, &[BOOK_ARGUMENTS[0], BOOK_ARGUMENTS[1], "60000", "failed\nf\ne\n\n\n\n\n\n\n\n\n"]),
        (Op::Expire, &expire_keys, &BOOK_ARGUMENTS),
        (Op::Hold, &hold_keys, &["1", "60000", "", "1", "1=1"]),
        (Op::Stock, &stock_keys, &["1"]),
    ];
    for (op, keys, arguments) in calls {
        // What the call before held lapses too.
        let before = bench.counters(1);
        add_many_due_back(bench, 1_200);
        bench.advance(1_000_000);
        assert_eq!(word(&bench.call(op, keys, arguments)), "behind", "512 of 1,200 buckets");
        assert_eq!(word(&bench.call(op, keys, arguments)), "behind");
        assert_ne!(word(&bench.call(op, keys, arguments)), "behind");
        let held = i64::from(op == Op::Hold);
        let back = before[0] + before[1] + before[2] + 1_200;
        assert_eq!(bench.counters(1), [back - held, held, 0, before[3]]);
    }
}

/// Adds units that are held in buckets of their own, in the seconds to come.
fn add_many_due_back(bench: &mut Bench, buckets: i64) {
    let mut pipe = redis::pipe();
    for n in 1..=buckets {
        let deadline = bench.now_ms / 1_000 * 1_000 + n * 500 / 1_000 * 1_000 + n;
        let name = format!("{deadline}:1:h");
        pipe.hset(key("lapses"), &name, 1).ignore().zadd(key("deadlines"), &name, deadline).ignore();
    }
    pipe.hset(key("sale"), "first_due", 0).exec(&mut bench.redis).unwrap();
    for name in ["held", "total"] {
        stock::add(&mut bench.redis, &key("stock"), 1, name, buckets);
    }
}

#[test]
fn quantities_that_cannot_be_read_are_a_bug_of_the_caller_and_change_nothing() {
    let mut bench = Bench::new();
    for units_text in ["0", "-1", "1.5", "nan", "inf", "1e999", "0x10000000", "1000001", "", " "] {
        let keys = [&holding()[..], &[key("hold:a")]].concat();
        // The script reads one line alone in another way than lines with more to them.
        for request in [format!("1={units_text}"), format!("1={units_text} alice"), format!("2=1,1={units_text}")] {
            let reply = bench.try_call(Op::Hold, &keys, &["1", "60000", "", "1", &request]);
            assert!(reply.is_err(), "{request:?} gave {reply:?}");
        }
    }
    let keys = [&holding()[..], &[key("hold:a")]].concat();
    let twice = bench.try_call(Op::Hold, &keys, &["1", "60000", "", "1", "1=1,1=1"]);
    assert!(twice.is_err(), "one product in two lines");
    assert_eq!(bench.counters(1), [10, 0, 0, 0]);
}

#[test]
fn a_clock_that_steps_back_revives_nothing() {
    let mut bench = Bench::new();
    bench.hold("a", &[("2", "1")]);
    bench.advance(101_001);
    assert_eq!(word(&bench.hold("b", &[("2", "1")])), "held", "the first one lapsed");
    bench.advance(-101_001);
    assert_eq!(bench.order("a"), "hold_expired", "its unit was given away");
    assert_eq!(word(&bench.hold("c", &[("2", "1")])), "insufficient_stock");
    assert_eq!(bench.counters(2), [0, 1, 0, 0]);
}

#[test]
fn a_deadline_is_the_last_instant_of_a_hold() {
    let mut bench = Bench::new();
    let held = bench.hold("a", &[("2", "1")]);
    let Value::Int(deadline) = held[1] else { panic!("{held:?}") };
    assert_eq!(deadline, bench.now_ms + 100_000);
    bench.advance(100_000);
    assert_eq!(word(&bench.hold("b", &[("2", "1")])), "insufficient_stock", "at the deadline it is still held");
    bench.advance(1);
    assert_eq!(word(&bench.hold("b", &[("2", "1")])), "held", "a millisecond later it is not");
    bench.advance(100_000);
    let expected = (bench.now_ms + 999) / 1_000 * 1_000;
    let lapses: Vec<(String, i64)> = bench.redis.hgetall(key("lapses")).unwrap();
    assert_eq!(lapses, [(format!("{expected}:2:h"), 1)], "rounded up to a whole second");
}

#[test]
fn a_hold_is_stored_as_its_lines_when_it_was_made_and_its_customer() {
    let mut bench = Bench::new();
    bench.request("a", "1=2,2=1 alice\n5000", None);
    let stored = bench.redis.get::<_, String>(key("hold:a")).unwrap();
    let parts: Vec<&str> = stored.split(' ').collect();
    assert_eq!((parts[0], parts[2]), ("1=2,2=1", "alice"));
    let (made, length) = parts[1].split_once('+').unwrap();
    assert_eq!(made.parse::<i64>().unwrap(), bench.now_ms / 1_000);
    assert_eq!(length.parse::<i64>().unwrap(), 5);
}
