//! GET /api/admin/orders/export?per=payment.

use std::collections::BTreeMap;

use redis::Commands;
use reqwest::Method;
use serde_json::{Value, json};

use super::export::{ask, begin, lines, rows};
use crate::support::{
    app::{ADMIN_TOKEN, TestApp},
    seed,
};

const PER: &str = "per=payment";

/// Sends an event with an id of its own. Gives the id of the review that it opened or changed.
pub async fn event(app: &TestApp, status: &str, order: &str, payment: &str, more: Value) -> String {
    let mut payload = json!({"status": status, "order_id": order, "currency": "USD"});
    for (name, value) in more.as_object().unwrap() {
        payload[name] = value.clone();
    }
    if !payment.is_empty() {
        payload["payment_id"] = payment.into();
    }
    let answer = app.pay(&format!("{status}-{order}-{payment}-{more}"), payload).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body["review"]["id"].as_str().unwrap_or_default().to_owned()
}

pub fn ten_thousandths(amount: &Value) -> i64 {
    let text = amount.as_str().unwrap();
    let (whole, part) = text.split_once('.').unwrap();
    whole.parse::<i64>().unwrap() * 10_000 + format!("{part:0<4}").parse::<i64>().unwrap()
}

/// The sums of what is left of the captured money, by currency.
pub fn net_by_currency(rows: &[Value]) -> BTreeMap<String, i64> {
    let mut sums = BTreeMap::new();
    for row in rows.iter().filter(|row| row["net_amount"].is_string()) {
        *sums.entry(row["currency"].as_str().unwrap().to_owned()).or_default() += ten_thousandths(&row["net_amount"]);
    }
    sums
}

/// A sale of 50.00 USD with everything that can become of money. Gives the open reviews by payment, and that of a dispute.
async fn a_shop_with_payments() -> (TestApp, BTreeMap<&'static str, String>) {
    let app = TestApp::selling(50).await;
    let mut reviews = BTreeMap::new();
    let none = || json!({});
    let whole = app.ordered().await;
    event(&app, "paid", &whole, "pi_whole", none()).await;
    let part = app.ordered().await;
    event(&app, "paid", &part, "pi_part", json!({"amount": "59.50"})).await;
    reviews.insert("pi_part", event(&app, "refunded", &part, "pi_part", json!({"amount": "19.50"})).await);
    let twice = app.ordered().await;
    event(&app, "paid", &twice, "pi_first", none()).await;
    reviews.insert("pi_second", event(&app, "paid", &twice, "pi_second", none()).await);
    let nameless = app.ordered().await;
    event(&app, "paid", &nameless, "", none()).await;
    let back = app.ordered().await;
    event(&app, "paid", &back, "pi_back", none()).await;
    event(&app, "refunded", &back, "pi_back", none()).await;
    let disputed = app.ordered().await;
    event(&app, "paid", &disputed, "pi_disputed", none()).await;
    reviews.insert("pi_disputed", event(&app, "disputed", &disputed, "pi_disputed", none()).await);
    let wrong = app.ordered().await;
    let review = event(&app, "paid", &wrong, "pi_wrong", json!({"amount": "49.00"})).await;
    let decided = json!({"action": "refund", "note": "too little"});
    let path = format!("/api/admin/reviews/{review}/resolve");
    assert_eq!(app.admin(Method::POST, &path, decided).await.status, 200);
    let foreign = app.ordered().await;
    reviews
        .insert("pi_eur", event(&app, "paid", &foreign, "pi_eur", json!({"amount": "50.00", "currency": "EUR"})).await);
    let unclear = app.ordered().await;
    reviews.insert("pi_unclear", event(&app, "paid", &unclear, "pi_unclear", json!({"amount": "1,234.00"})).await);
    let late = app.ordered().await;
    app.post(&format!("/api/orders/{late}/cancel"), json!({})).await;
    reviews.insert("pi_late", event(&app, "paid", &late, "pi_late", none()).await);
    for (status, payment) in [("failed", "pi_declined"), ("processing", "pi_flying"), ("cancelled", "pi_ended")] {
        let pending = app.ordered().await;
        event(&app, status, &pending, payment, none()).await;
    }
    app.ordered().await;
    (app, reviews)
}

#[tokio::test]
async fn each_payment_is_a_row_that_says_what_is_left_of_its_money_and_where_that_is() {
    let (app, reviews) = a_shop_with_payments().await;
    let payments = lines(&app, PER).await;
    let found: Vec<[&str; 5]> = payments
        .iter()
        .map(|row| {
            ["payment_id", "payment_status", "captured_amount", "refunded_amount", "net_amount"]
                .map(|name| row[name].as_str().unwrap_or("-"))
        })
        .collect();
    let mut expected = [
        ["pi_whole", "pays_order", "50.00", "-", "50.00"],
        ["pi_part", "pays_order", "59.50", "19.50", "40.00"],
        ["pi_first", "pays_order", "50.00", "-", "50.00"],
        ["pi_second", "in_review", "50.00", "-", "50.00"],
        ["-", "pays_order", "50.00", "-", "50.00"],
        ["pi_back", "refunded", "50.00", "50.00", "0.00"],
        ["pi_disputed", "pays_order", "50.00", "-", "50.00"],
        ["pi_wrong", "reviewed", "49.00", "-", "49.00"],
        ["pi_eur", "in_review", "50.00", "-", "50.00"],
        ["pi_unclear", "in_review", "-", "-", "-"],
        ["pi_late", "in_review", "50.00", "-", "50.00"],
        ["pi_declined", "declined", "-", "-", "0.00"],
        ["pi_flying", "in_flight", "-", "-", "0.00"],
        ["pi_ended", "ended", "-", "-", "0.00"],
    ];
    // Orders of one millisecond come by their ids.
    let mut sorted = found.clone();
    sorted.sort_unstable();
    expected.sort_unstable();
    assert_eq!(sorted, expected, "an order without a payment has no row");

    for row in &payments {
        let [money, dispute] = [&row["review_id"], &row["dispute_review_id"]];
        let review = reviews.get(row["payment_id"].as_str().unwrap_or_default()).map_or(Value::Null, |id| json!(id));
        let of_dispute = row["payment_id"] == "pi_disputed";
        assert_eq!(
            (money, dispute),
            if of_dispute { (&Value::Null, &review) } else { (&review, &Value::Null) },
            "{row}"
        );
        assert_eq!(row["dispute"], if of_dispute { json!("open") } else { Value::Null });
    }
}

#[tokio::test]
async fn the_sum_of_what_is_left_is_what_pays_orders_or_has_a_review_as_the_audit_says() {
    let (app, _) = a_shop_with_payments().await;
    let mut payments = lines(&app, PER).await;
    // From the events: 50.00 six times, 40.00, 49.00; and 50.00 in another currency.
    assert_eq!(
        net_by_currency(&payments),
        BTreeMap::from([("EUR".to_owned(), 500_000), ("USD".to_owned(), 3_890_000)])
    );
    payments.retain(|row| ["pays_order", "in_review", "reviewed"].contains(&row["payment_status"].as_str().unwrap()));
    assert_eq!(net_by_currency(&payments)["USD"], 3_890_000, "nothing is left elsewhere");

    let audit = async || app.send(app.request(Method::GET, "/api/admin/audit").bearer_auth(ADMIN_TOKEN)).await.body;
    assert_eq!(audit().await["ok"], true);
    let order = payments.iter().find(|row| row["payment_id"] == "pi_second").unwrap()["order_id"].as_str().unwrap();
    let record = format!("fs1:{{p1}}:order:{}", &order.strip_prefix("order_p1_").unwrap()[..12]);
    let mut redis = app.redis.connect();
    let kept: String = redis.get(&record).unwrap();
    let facts = &crate::support::orders::stored_order(&mut redis, &record)["payment:pi_second"];
    let damaged = kept.replace(facts.as_str(), "captured=500000 exact=1 number=2");
    redis.set::<_, _, ()>(&record, damaged).unwrap();
    let lost: Vec<Value> = lines(&app, PER).await.into_iter().filter(|row| row["payment_status"] == "lost").collect();
    assert_eq!((lost.len(), &lost[0]["payment_id"]), (1, &json!("pi_second")));
    let differences = audit().await["differences"].clone();
    let money = differences.as_array().unwrap().iter().find(|difference| difference["what"] == "money");
    assert_eq!(money.map(|difference| &difference["recomputed"]), Some(&json!(1)), "{differences}");
    redis.set::<_, _, ()>(&record, kept).unwrap();
}

#[tokio::test]
async fn money_for_an_order_that_costs_nothing_pays_nothing_even_without_a_name() {
    let app = TestApp::selling(1).await;
    app.add_product(json!({"id": 2, "sale": "gifts", "name": "Gift", "price": "0.00", "total_stock": 9})).await;
    let order = app.order(&app.post("/api/holds", json!({"product_id": 2, "quantity": 1})).await.id()).await.id();
    assert_eq!(lines(&app, PER).await.len(), 0, "nothing is to be paid");
    let review = event(&app, "paid", &order, "", json!({"amount": "5.00"})).await;
    let payments = lines(&app, PER).await;
    let [row] = &payments[..] else { panic!("{payments:?}") };
    assert_eq!(
        [&row["order_status"], &row["payment_status"], &row["net_amount"], &row["review_id"]],
        [&json!("paid"), &json!("in_review"), &json!("5.00"), &json!(review)]
    );
}

#[tokio::test]
async fn the_csv_has_the_fields_as_columns_and_no_cell_that_a_spreadsheet_would_run() {
    let app = TestApp::selling(50).await;
    let wish = json!({"product_id": 1, "quantity": 1, "customer_id": "=cmd|'/C\"calc\"'!A0"});
    let order = app.order(&app.post("/api/holds", wish).await.id()).await.id();
    for payment in ["-2+3,5", "'quoted", "@SUM(1)"] {
        event(&app, "paid", &order, payment, json!({})).await;
    }
    let (columns, table) = rows(&app, PER).await;
    let payments = lines(&app, PER).await;
    assert_eq!((table.len(), payments.len()), (3, 3));
    for (row, payment) in table.iter().zip(&payments) {
        assert_eq!(payment.as_object().unwrap().keys().collect::<Vec<_>>(), columns.iter().collect::<Vec<_>>());
        for column in &columns {
            let text = payment[column].as_str().unwrap_or_default();
            assert_eq!(row[column].strip_prefix('\'').unwrap_or(&row[column]), text, "{column} of {row:?}");
        }
        assert!(row["payment_id"].starts_with('\'') && row["customer_id"].starts_with("'=cmd"), "{row:?}");
        assert_eq!((row["order_id"].as_str(), row["sale"].as_str()), (order.as_str(), "p1"));
    }
}

#[tokio::test]
async fn sale_and_status_choose_orders_and_pages_without_a_payment_end_nothing() {
    let app = TestApp::selling(1_000).await;
    seed::orders(&app.redis.url(), 1, 250).await;
    assert_eq!((lines(&app, PER).await.len(), rows(&app, PER).await.1.len()), (0, 0));
    let order = app.ordered().await;
    event(&app, "paid", &order, "pi_1", json!({})).await;
    for (query, expected) in [("", 1), ("&status=paid", 1), ("&status=pending", 0), ("&sale=p1", 1)] {
        let query = format!("{PER}{query}");
        let found = lines(&app, &query).await;
        assert_eq!((found.len(), rows(&app, &query).await.1.len()), (expected, expected), "{query}");
        assert!(found.iter().all(|row| row["order_id"] == json!(order)));
    }
    assert_eq!(ask(&app, "per=payment&sale=none").await.status().as_u16(), 404);
}

#[tokio::test]
async fn what_cannot_be_read_cuts_the_connection() {
    let app = TestApp::selling(1_000).await;
    seed::orders(&app.redis.url(), 1, 250).await;
    let order = app.ordered().await;
    event(&app, "paid", &order, "pi_1", json!({})).await;
    event(&app, "paid", &order, "pi_2", json!({})).await;
    let mut redis = app.redis.connect();
    let reviews = "fs1:{p1}:reviews";
    redis.rename::<_, _, ()>(reviews, "aside{p1}").unwrap();
    redis.set::<_, _, ()>(reviews, "no index").unwrap();
    let answer = begin(&app, PER).await;
    assert_eq!(answer.status().as_u16(), 200, "it is the third page that cannot be read");
    assert!(answer.text().await.is_err());
    assert!(ask(&app, "").await.text().await.is_ok(), "orders need no reviews");
    redis.rename::<_, _, ()>("aside{p1}", reviews).unwrap();
    assert_eq!(lines(&app, PER).await.len(), 2);
}
