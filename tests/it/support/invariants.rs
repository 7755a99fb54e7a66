//! The invariants, checked on everything in Redis: `total = available + held + pending + sold`, every term at least 0, and
//! every counter equal to what the records say.

use std::collections::{BTreeMap, BTreeSet};

use redis::{Commands, Connection};

use super::{
    orders::{deadline_of_hold, stored_order},
    stock,
};

type Units = BTreeMap<(u64, String), i64>;

/// Panics with the difference. Call it when nothing is in progress.
pub fn check(connection: &mut Connection) {
    let sales: Vec<String> = connection.smembers("fs1:{:all}:sales").unwrap();
    for sale in &sales {
        check_sale(connection, sale);
        check_borrowed(connection, sale);
    }
    check_reviews(connection, "p0");
}

/// The same for one server of a cluster, whatever sales it has.
pub fn check_all(connection: &mut Connection) {
    let stocks: Vec<String> = connection.keys("fs1:{*}:stock").unwrap();
    for stock in stocks {
        check_sale(connection, stock.trim_start_matches("fs1:{").trim_end_matches("}:stock"));
    }
}

fn check_sale(connection: &mut Connection, sale: &str) {
    let key = |name: &str| format!("fs1:{{{sale}}}:{name}");
    let stock: BTreeMap<String, String> = connection.hgetall(key("stock")).unwrap();
    let lapses: BTreeMap<String, i64> = connection.hgetall(key("lapses")).unwrap();
    let deadlines: BTreeMap<String, u64> = connection.zrange_withscores(key("deadlines"), 0, -1).unwrap();
    assert_eq!(
        lapses.keys().collect::<Vec<_>>(),
        deadlines.keys().collect::<Vec<_>>(),
        "{sale}: buckets and deadlines"
    );
    assert!(lapses.values().all(|units| *units > 0), "{sale}: an empty bucket in {lapses:?}");
    assert!(deadlines.iter().all(|(name, at)| name.starts_with(&format!("{at}:"))), "{sale}: {deadlines:?}");
    // Whoever trusts it looks for nothing that is due before.
    let first_due: Option<u64> =
        connection.hget::<_, _, Option<String>>(key("sale"), "first_due").unwrap().and_then(|text| text.parse().ok());
    let earliest = deadlines.values().min();
    assert!(
        first_due.is_none_or(|first| earliest.is_none_or(|earliest| first <= *earliest)),
        "{sale}: {first_due:?} {deadlines:?}"
    );
    check_log(connection, sale);
    check_reviews(connection, sale);
    check_customers(connection, sale);
    check_loans(connection, sale, &stock);
    let sold = check_records(connection, sale, &lapses);
    for (product, text) in products(&stock) {
        let of = |name: &str| stock::part(text, name).parse::<i64>().unwrap();
        let terms = [of("available"), of("held"), of("pending"), of("sold")];
        assert!(terms.iter().all(|term| *term >= 0), "{sale}/{product}: {terms:?}");
        assert_eq!(of("total"), terms.iter().sum::<i64>(), "{sale}/{product}: {terms:?}");
        let due_back = |kind: &str| -> i64 {
            lapses
                .iter()
                .filter(|(name, _)| name.ends_with(&format!(":{product}:{kind}")))
                .map(|(_, units)| units)
                .sum()
        };
        assert_eq!(
            (of("held"), of("pending")),
            (due_back("h"), due_back("p")),
            "{sale}/{product}: held, pending and buckets"
        );
        assert_eq!(of("sold"), sold.get(product).copied().unwrap_or(0), "{sale}/{product}: sold and paid orders");
    }
}

/// Each entry has the time that it says, so that the logs of several sales can be merged by time.
fn check_log(connection: &mut Connection, sale: &str) {
    let mut read = redis::cmd("XREVRANGE");
    read.arg(format!("fs1:{{{sale}}}:events")).arg("+").arg("-").arg("COUNT").arg(1_000);
    let log: Vec<(String, BTreeMap<String, String>)> = read.query(connection).unwrap();
    for (id, entry) in log {
        assert_eq!(id.split('-').next(), Some(&*entry["at"]), "{sale}: {id} {entry:?}");
    }
}

/// The products of a sale, each with its text. Of any other field the fact must be known.
fn products(stock: &BTreeMap<String, String>) -> impl Iterator<Item = (&String, &String)> {
    stock.iter().filter(move |(field, _)| match field.split_once(':') {
        Some((_, fact)) => {
            assert!(stock::OTHERS.contains(&fact), "nobody knows {field} of {stock:?}");
            false
        }
        None => true,
    })
}

/// What a shard of a spread sale lent, less what it borrowed, is known of each product. Only the first shard has units of its own.
fn check_loans(connection: &mut Connection, sale: &str, stock: &BTreeMap<String, String>) {
    let loans: BTreeMap<String, i64> = connection.hgetall(format!("fs1:{{{sale}}}:loans")).unwrap();
    for (product, text) in products(stock) {
        let total: i64 = stock::part(text, "total").parse().unwrap();
        let of = |way: &str| -> i64 {
            let prefix = format!("{product}:{way}:");
            loans.iter().filter(|(field, _)| field.starts_with(&prefix)).map(|(_, units)| units).sum()
        };
        let lent = stock.get(&format!("{product}:lent")).map_or(0, |lent| lent.parse::<i64>().unwrap());
        assert_eq!(lent, of("lent") - of("borrowed"), "{sale}/{product}: {loans:?}");
        assert!(!sale.contains('_') || total == -lent, "{sale}/{product}: {total} units, {loans:?}");
    }
}

/// No shard has borrowed more from another than that one lent to it.
fn check_borrowed(connection: &mut Connection, sale: &str) {
    let loans: BTreeMap<String, i64> = connection.hgetall(format!("fs1:{{{sale}}}:loans")).unwrap();
    for (field, borrowed) in &loans {
        let Some((product, from)) = field.split_once(":borrowed:") else { continue };
        let lent: i64 = connection.hget(format!("fs1:{{{from}}}:loans"), format!("{product}:lent:{sale}")).unwrap();
        assert!(*borrowed <= lent, "{sale}/{product}: {borrowed} of {lent} units from {from}");
    }
}

/// Buckets of deadlines that are still ahead are the sums of the live holds and pending orders. Returns the sold units.
fn check_records(connection: &mut Connection, sale: &str, lapses: &BTreeMap<String, i64>) -> BTreeMap<String, i64> {
    let ahead = ahead(connection, sale);
    let mut found = Units::new();
    let mut sold = BTreeMap::new();
    for key in keys(connection, &format!("fs1:{{{sale}}}:hold:*")) {
        let value: Option<String> = connection.get(&key).unwrap();
        let Some(value) = value else { continue };
        let deadline = deadline_of_hold(&value);
        add(&mut found, deadline, "h", value.split(' ').next().unwrap());
    }
    for key in keys(connection, &format!("fs1:{{{sale}}}:order:*")) {
        let order = stored_order(connection, &key);
        match order["status"].as_str() {
            "pending" | "in_review" => add(&mut found, order["due"].parse().unwrap(), "p", &order["lines"]),
            // Units of a refund that the sale does not put back stay sold.
            "paid" | "refunded" | "refund_required"
                if order["status"] == "paid" || order.get("restocked").is_some_and(|word| word == "0") =>
            {
                for (product, units) in lines(&order["lines"]) {
                    *sold.entry(product).or_default() += units;
                }
            }
            _ => {}
        }
    }
    found.retain(|(deadline, _), _| *deadline > ahead);
    let due_back: Units = lapses
        .iter()
        .map(|(name, units)| (name.split_once(':').unwrap(), *units))
        .map(|((deadline, rest), units)| ((deadline.parse().unwrap(), rest.to_owned()), units))
        .filter(|((deadline, _), _)| *deadline > ahead)
        .collect();
    assert_eq!(due_back, found, "{sale}: buckets and records");
    sold
}

/// The stored units of each customer are those of live holds and pending orders, by their deadline, and of paid orders.
/// Every order is in the index of orders.
fn check_customers(connection: &mut Connection, sale: &str) {
    let key = |name: &str| format!("fs1:{{{sale}}}:{name}");
    let ahead = ahead(connection, sale);
    let mut expected: BTreeMap<String, BTreeMap<String, i64>> = BTreeMap::new();
    let mut add = |customer: &str, name: String, units: i64| {
        if !customer.is_empty() {
            *expected.entry(customer.to_owned()).or_default().entry(name).or_default() += units;
        }
    };
    for name in keys(connection, &key("hold:*")) {
        let value: Option<String> = connection.get(&name).unwrap();
        let Some(value) = value else { continue };
        let deadline = deadline_of_hold(&value);
        let customer = value.lines().next().and_then(|line| line.splitn(3, ' ').nth(2)).unwrap_or("");
        for (product, units) in lines(value.split(' ').next().unwrap()) {
            if deadline > ahead {
                add(customer, format!("{deadline}:{product}:h"), units);
            }
        }
    }
    let mut orders = BTreeSet::new();
    for name in keys(connection, &key("order:*")) {
        let order = stored_order(connection, &name);
        orders.insert(name.rsplit(':').next().unwrap().to_owned());
        let due: u64 = order["due"].parse().unwrap();
        let customer = order.get("customer").map_or("", String::as_str);
        for (product, units) in lines(&order["lines"]) {
            match order["status"].as_str() {
                "pending" | "in_review" if due > ahead => add(customer, format!("{due}:{product}:p"), units),
                "paid" => add(customer, product, units),
                _ => {}
            }
        }
    }
    let indexed: BTreeSet<String> = connection.zrange(key("orders"), 0, -1).unwrap();
    assert!(orders.is_subset(&indexed), "{sale}: orders that are in no list");
    let stored: BTreeMap<String, String> = connection.hgetall(key("customers")).unwrap();
    let mut kept: BTreeMap<String, BTreeMap<String, i64>> = BTreeMap::new();
    for (customer, text) in stored {
        for (name, value) in
            text.split(' ').filter_map(|entry| entry.split_once('=')).filter(|(n, _)| *n != "abandoned")
        {
            let has_lapsed =
                name.split_once(':').is_some_and(|(deadline, _)| deadline.parse::<u64>().unwrap() <= ahead);
            if !has_lapsed {
                *kept.entry(customer.clone()).or_default().entry(name.to_owned()).or_default() +=
                    value.parse::<i64>().unwrap();
            }
        }
    }
    assert_eq!(kept, expected, "{sale}: customers and their records");
}

/// Each review is open or resolved; an order that is to be refunded has one; what waits for its deadline is in `due`.
fn check_reviews(connection: &mut Connection, sale: &str) {
    let key = |name: &str| format!("fs1:{{{sale}}}:{name}");
    let records: BTreeSet<String> = connection.hkeys(key("review_records")).unwrap();
    let [open, resolved] =
        ["reviews", "resolved"].map(|index| connection.zrange::<_, BTreeSet<String>>(key(index), 0, -1).unwrap());
    assert!(open.is_disjoint(&resolved), "{sale}: {open:?} and {resolved:?}");
    assert_eq!(&open | &resolved, records, "{sale}: reviews and their records");
    let mut waiting = BTreeSet::new();
    for name in keys(connection, &key("order:*")) {
        let order = stored_order(connection, &name);
        check_payments(&name, &order, &records);
        if order["status"] == "in_review" || order["status"] == "pending" && !order.contains_key("expired_at") {
            waiting.insert(name.rsplit(':').next().unwrap().to_owned());
        }
    }
    let due: BTreeSet<String> = connection.zrange(key("due"), 0, -1).unwrap();
    assert_eq!(due, waiting, "{sale}: due and pending orders");
}

/// The money of each payment is in one place: it went back, it pays the order, or it has a review.
fn check_payments(name: &str, order: &BTreeMap<String, String>, reviews: &BTreeSet<String>) {
    for (field, text) in order {
        let Some(id) = field.strip_prefix("payment:") else { continue };
        let facts: BTreeMap<&str, &str> = text.split(' ').filter_map(|entry| entry.split_once('=')).collect();
        for review in ["review", "dispute_review"].iter().filter_map(|name| facts.get(name)) {
            assert!(reviews.contains(*review), "{name}: {order:?}");
        }
        let captured = ["captured", "all", "unclear"].iter().any(|name| facts.contains_key(name));
        let refunded = ["refunded", "refunded_all", "refunds"].iter().any(|name| facts.contains_key(name));
        let pays = order["status"] == "paid" && order.get("payment").is_some_and(|payment| payment == id);
        if captured && !refunded && !pays {
            let has_review = facts.contains_key("review") || facts.contains_key("dispute_review");
            assert!(has_review || facts.get("captured") == Some(&"0"), "{name}, {field}: {order:?}");
        }
    }
}

/// Only deadlines after this instant are compared, because a hold that lapses during the check may be gone from one side
/// only. In a test that sets the clock, it is the last instant of that clock.
fn ahead(connection: &mut Connection, sale: &str) -> u64 {
    let (seconds, _micros): (u64, u64) = redis::cmd("TIME").query(connection).unwrap();
    let last_write: u64 = connection.hget(format!("fs1:{{{sale}}}:sale"), "last_write").unwrap_or(0);
    (last_write / 1_000).max((seconds + 10) * 1_000)
}

fn add(units: &mut Units, deadline: u64, kind: &str, text: &str) {
    for (product, count) in lines(text) {
        *units.entry((deadline, format!("{product}:{kind}"))).or_default() += count;
    }
}

/// `1=2@500000,7=1@9900`, or without prices.
fn lines(text: &str) -> Vec<(String, i64)> {
    let line = |part: &str| {
        let (product, rest) = part.split_once('=').unwrap();
        (product.to_owned(), rest.split('@').next().unwrap().parse().unwrap())
    };
    text.split(',').filter(|part| !part.is_empty()).map(line).collect()
}

fn keys(connection: &mut Connection, pattern: &str) -> Vec<String> {
    // Braces are not special in a pattern of Redis.
    connection.scan_match::<_, String>(pattern).unwrap().collect::<Result<_, _>>().unwrap()
}
