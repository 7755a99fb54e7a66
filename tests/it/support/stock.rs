//! Products as Redis counts them. The stock of a sale has a text for each of them, in the field of its id:
//! `<available> <held> <pending> <sold> <total> <price> <max_per_hold> <rules>`.

use std::fmt::Display;

use redis::{Commands, Connection};

/// Parts of the text, in their order. Only rules may be empty or have blanks in them.
const PARTS: [&str; 8] = ["available", "held", "pending", "sold", "total", "price", "max_per_hold", "rules"];

/// Facts with a field of their own, `<id>:<name>`.
pub const OTHERS: [&str; 4] = ["ordered", "lent", "copied", "earlier_prices"];

/// Units of the product: one of its counters.
pub fn units(redis: &mut Connection, key: &str, product: impl Display, name: &str) -> i64 {
    units_if_any(redis, key, &product, name).unwrap_or_else(|| panic!("{key} has no {name} of product {product}"))
}

/// The same. `None`: there is no such product, or none were ever lent.
pub fn units_if_any(redis: &mut Connection, key: &str, product: impl Display, name: &str) -> Option<i64> {
    text(redis, key, product, name).map(|units| units.parse().unwrap())
}

/// Any part of the product, or fact with a field of its own. `None`: it is not there.
pub fn text(redis: &mut Connection, key: &str, product: impl Display, name: &str) -> Option<String> {
    if OTHERS.contains(&name) {
        return redis.hget(key, format!("{product}:{name}")).unwrap();
    }
    whole(redis, key, product).map(|text| part(&text, name).to_owned())
}

/// The whole text of the product. `None`: there is no such product.
pub fn whole(redis: &mut Connection, key: &str, product: impl Display) -> Option<String> {
    redis.hget(key, product.to_string()).unwrap()
}

/// A part of the whole text of a product.
pub fn part<'a>(text: &'a str, name: &str) -> &'a str {
    parts(text)[place(name)]
}

/// One part is written as another hand would do it, and the others stay. A value that is no number makes it unreadable.
pub fn set(redis: &mut Connection, key: &str, product: impl Display, name: &str, value: impl Display) {
    let text = whole(redis, key, &product).unwrap_or_else(|| panic!("{key} has no product {product}"));
    let (mut parts, value) = (parts(&text), value.to_string());
    parts[place(name)] = &value;
    redis.hset::<_, _, _, ()>(key, product.to_string(), parts.join(" ")).unwrap();
}

/// Units are added to one of the counters. Below zero they are taken away.
pub fn add(redis: &mut Connection, key: &str, product: impl Display, name: &str, delta: i64) {
    let units = units(redis, key, &product, name) + delta;
    set(redis, key, product, name, units);
}

/// Whether the sale has the product.
pub fn exists(redis: &mut Connection, key: &str, product: impl Display) -> bool {
    redis.hexists(key, product.to_string()).unwrap()
}

/// All fields of the product: its text, and its other facts.
pub fn fields(redis: &mut Connection, key: &str, product: impl Display) -> Vec<String> {
    let all: Vec<String> = redis.hkeys(key).unwrap();
    let product = product.to_string();
    all.into_iter().filter(|field| field.split(':').next() == Some(&*product)).collect()
}

fn place(name: &str) -> usize {
    PARTS.iter().position(|part| *part == name).unwrap_or_else(|| panic!("a product has no part {name}"))
}

fn parts(text: &str) -> [&str; PARTS.len()] {
    let found: Vec<&str> = text.splitn(PARTS.len(), ' ').collect();
    found.try_into().unwrap_or_else(|_| panic!("{text:?} is no product"))
}
