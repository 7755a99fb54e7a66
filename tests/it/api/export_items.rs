//! GET /api/admin/orders/export?per=item, and what an export for a warehouse chooses: columns, times, periods.

use std::collections::{BTreeMap, BTreeSet};

use reqwest::Method;
use serde_json::{Value, json};

use super::{
    export::{ask, begin, lines, rows},
    export_payments::{event, net_by_currency, ten_thousandths},
};
use crate::support::{
    app::{Answer, TestApp},
    eventually, seed, stock,
};

const PER: &str = "per=item";

async fn order(app: &TestApp, items: &[(u64, u64)], customer: &str) -> String {
    let items: Vec<_> = items.iter().map(|(id, units)| json!({"product_id": id, "quantity": units})).collect();
    let hold = app.post("/api/holds", json!({"items": items, "customer_id": customer})).await;
    assert_eq!(hold.status, 201, "{hold:?}");
    let order = app.order(&hold.id()).await;
    assert_eq!(order.status, 201, "{order:?}");
    order.id()
}

async fn status(app: &TestApp, order: &str) -> String {
    app.get(&format!("/api/orders/{order}")).await.body["status"].as_str().unwrap().to_owned()
}

/// Three sales, with orders in each status, and refunds of a part, of all, with and without restocking.
async fn a_shop_that_ships() -> TestApp {
    let app = TestApp::start();
    for sale in [
        json!({"id": "drop"}),
        json!({"id": "kept", "restock_refunds": false}),
        json!({"id": "short", "payment_seconds": 1, "payment_seconds_max": 1}),
    ] {
        assert_eq!(app.admin(Method::POST, "/api/admin/sales", sale).await.status, 201);
    }
    for (id, sale, name, price) in [
        (1, "drop", "Sneaker \"Air\", 38", "120.00"),
        (2, "drop", "=1+1", "9.90"),
        (3, "drop", "Sticker", "0.00"),
        (4, "kept", "Poster;\u{e9}", "15.00"),
        (5, "short", "Bag", "45.50"),
    ] {
        let currency = if sale == "kept" { "EUR" } else { "USD" };
        let product =
            json!({"id": id, "sale": sale, "name": name, "price": price, "currency": currency, "total_stock": 100});
        app.add_product(product).await;
    }
    let short = order(&app, &[(5, 2)], "expires").await;
    let none = || json!({});
    let paid = order(&app, &[(1, 2), (2, 3), (3, 1)], "paid").await;
    event(&app, "paid", &paid, "pi_paid", none()).await;
    let part = order(&app, &[(1, 1), (2, 1)], "part").await;
    event(&app, "paid", &part, "pi_part", json!({"amount": "135.00"})).await;
    event(&app, "refunded", &part, "pi_part", json!({"amount": "9.90"})).await;
    for (product, customer, currency) in [(1, "back", "USD"), (4, "kept", "EUR")] {
        let back = order(&app, &[(product, 4)], customer).await;
        event(&app, "paid", &back, customer, json!({"currency": currency})).await;
        event(&app, "refunded", &back, customer, json!({"currency": currency})).await;
    }
    order(&app, &[(3, 5)], "free").await;
    let cancelled = order(&app, &[(1, 5)], "cancelled").await;
    app.post(&format!("/api/orders/{cancelled}/cancel"), json!({})).await;
    event(&app, "paid", &cancelled, "pi_late", none()).await;
    let late = order(&app, &[(2, 7)], "late").await;
    event(&app, "failed", &late, "", none()).await;
    event(&app, "paid", &late, "pi_comes", none()).await;
    let review = order(&app, &[(2, 1)], "review").await;
    event(&app, "paid", &review, "pi_less", json!({"amount": "9.00"})).await;
    event(&app, "paid", &review, "pi_eur", json!({"amount": "9.90", "currency": "EUR"})).await;
    order(&app, &[(1, 1), (3, 1)], "waits").await;
    eventually("the order expires", async || status(&app, &short).await == "expired").await;
    app
}

/// The units of the rows of each product that the product counts so.
fn units(rows: &[Value], counted_as: &str) -> BTreeMap<u64, u64> {
    let mut sums = BTreeMap::new();
    for row in rows.iter().filter(|row| row["counted_as"] == counted_as) {
        *sums.entry(row["product_id"].as_u64().unwrap()).or_default() += row["quantity"].as_u64().unwrap();
    }
    sums
}

#[tokio::test]
async fn items_sum_up_to_what_products_count_as_sold_and_pending_and_to_the_totals_of_orders() {
    let app = a_shop_that_ships().await;
    let (items, orders) = (lines(&app, PER).await, lines(&app, "").await);
    let statuses: BTreeSet<_> = orders.iter().map(|order| order["status"].as_str().unwrap()).collect();
    assert_eq!(statuses.len(), 6, "{statuses:?}");
    let (sold, pending) = (units(&items, "sold"), units(&items, "pending"));
    for product in 1..=5 {
        let [_, _, counted_pending, counted_sold] = app.counters(product).await;
        let of = |sums: &BTreeMap<u64, u64>| sums.get(&product).copied().unwrap_or(0);
        assert_eq!((of(&sold), of(&pending)), (counted_sold, counted_pending), "product {product}");
    }
    assert_eq!(sold, BTreeMap::from([(1, 3), (2, 11), (3, 6), (4, 4)]), "a refund without restocking counts as sold");
    assert_eq!(pending, BTreeMap::from([(1, 1), (2, 1), (3, 1)]));

    for order in &orders {
        let of_order: Vec<_> = items.iter().filter(|item| item["order_id"] == order["id"]).collect();
        let sum: i64 = of_order.iter().map(|item| ten_thousandths(&item["line_amount"])).sum();
        assert_eq!(sum, ten_thousandths(&order["total_amount"]), "{order}");
        assert_eq!(of_order.len(), order["items"].as_array().unwrap().len());
        for (item, line) in of_order.iter().zip(order["items"].as_array().unwrap()) {
            for name in ["product_id", "quantity", "unit_price"] {
                assert_eq!(item[name], line[name]);
            }
            for name in ["sale", "status", "customer_id", "currency", "created_at", "paid_at", "payment_id"] {
                assert_eq!(item[name], order[name], "{name}");
            }
        }
    }
}

#[tokio::test]
async fn an_order_says_how_much_was_captured_refunded_and_is_left_in_its_currency() {
    let app = a_shop_that_ships().await;
    let orders = lines(&app, "").await;
    let money = |customer: &str| {
        let order = orders.iter().find(|order| order["customer_id"] == customer).unwrap();
        ["captured_amount", "refunded_amount", "net_amount", "currency"].map(|name| order[name].as_str().unwrap_or("-"))
    };
    for (customer, expected) in [
        ("paid", ["269.70", "-", "269.70", "USD"]),
        ("part", ["135.00", "9.90", "125.10", "USD"]),
        ("back", ["480.00", "480.00", "0.00", "USD"]),
        ("kept", ["60.00", "60.00", "0.00", "EUR"]),
        ("free", ["-", "-", "0.00", "USD"]),
        ("cancelled", ["600.00", "-", "600.00", "USD"]),
        ("review", ["9.00", "-", "9.00", "USD"]),
        ("waits", ["-", "-", "0.00", "USD"]),
        ("expires", ["-", "-", "0.00", "USD"]),
    ] {
        assert_eq!(money(customer), expected, "{customer}");
    }
    let (mut by_payment, by_order) = (net_by_currency(&lines(&app, "per=payment").await), net_by_currency(&orders));
    // What came in euros for an order in dollars is in no sum of dollars.
    *by_payment.get_mut("EUR").unwrap() -= 99_000;
    assert_eq!(by_order, by_payment);

    let gone = app.held().await;
    app.delete(&format!("/api/holds/{gone}")).await;
    let event =
        json!({"status": "paid", "hold_id": gone, "payment_id": "pi_gone", "amount": "7.00", "currency": "EUR"});
    assert_eq!(app.pay("gone", event).await.status, 200);
    let gone = lines(&app, "status=refund_required")
        .await
        .into_iter()
        .find(|order| order["payments"][0]["payment_id"] == "pi_gone");
    let gone = gone.unwrap();
    let of_gone = ["total_amount", "captured_amount", "net_amount", "currency"].map(|name| gone[name].clone());
    assert_eq!(json!(of_gone), json!([null, "7.00", "7.00", "EUR"]), "an order whose items nobody knows any more");
    assert!(!lines(&app, PER).await.iter().any(|item| item["order_id"] == gone["id"]));
}

#[tokio::test]
async fn a_file_for_a_warehouse_is_read_back_as_it_is_and_no_cell_is_run() {
    let app = a_shop_that_ships().await;
    let (columns, table) = rows(&app, PER).await;
    let items = lines(&app, PER).await;
    assert_eq!(table.len(), items.len());
    let mut names = BTreeSet::new();
    for (row, item) in table.iter().zip(&items) {
        assert_eq!(item.as_object().unwrap().keys().collect::<Vec<_>>(), columns.iter().collect::<Vec<_>>());
        for column in &columns {
            let text = match &item[column] {
                Value::Null => String::new(),
                Value::String(text) => text.clone(),
                number => number.to_string(),
            };
            assert_eq!(row[column].strip_prefix('\'').unwrap_or(&row[column]), text, "{column} of {row:?}");
        }
        names.insert(row["name"].clone());
    }
    let expected = ["'=1+1", "Bag", "Poster;\u{e9}", "Sneaker \"Air\", 38", "Sticker"];
    assert_eq!(names, expected.map(str::to_owned).into());
    let raw = ask(&app, "per=item&columns=name&sale=drop&status=paid").await.text().await.unwrap();
    assert!(raw.starts_with("name\r\n") && raw.contains("\"Sneaker \"\"Air\"\", 38\"\r\n"), "{raw}");
}

#[tokio::test]
async fn columns_are_chosen_and_ordered_and_an_unknown_one_lists_those_that_are_known() {
    let app = a_shop_that_ships().await;
    let (columns, table) = rows(&app, "per=item&status=pending&columns=quantity,%20order_id,name").await;
    assert_eq!(columns, ["quantity", "order_id", "name"]);
    assert_eq!((table.len(), table[0]["quantity"].as_str(), table[1]["name"].as_str()), (2, "1", "Sticker"));
    let chosen = lines(&app, "columns=payments,id&status=paid").await;
    assert!(chosen.iter().all(|row| row.as_object().unwrap().keys().eq(["payments", "id"])), "{chosen:?}");
    let (columns, _) = rows(&app, "per=payment&columns=order_id").await;
    assert_eq!(columns, ["order_id"]);
    for (query, known) in [
        ("per=item&columns=sku,colour", "of order_id, sale, product_id, sku, name,"),
        ("columns=payments", "of id, sale, hold_id,"),
        ("format=ndjson&columns=colour", "late, payments, shop_events, events_left_out"),
        ("columns=id,id", "each once"),
        ("columns=id,", "of id, sale,"),
    ] {
        let refused = Answer::read(ask(&app, query).await).await;
        assert_eq!(refused.refusal(), (422, "validation_failed"), "{query}");
        let detail = refused.body["errors"][0]["detail"].as_str().unwrap();
        assert!(refused.body["errors"][0]["pointer"] == "/columns" && detail.contains(known), "{detail}");
    }
}

#[tokio::test]
async fn times_can_be_those_of_spreadsheets_in_the_zone_of_the_warehouse() {
    let app = a_shop_that_ships().await;
    let query = "status=paid&columns=created_at,paid_at,payment_started_at";
    let plain = lines(&app, query).await;
    let instant = |text: &Value| text.as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    for (zone, name) in [("", "UTC"), ("&zone=Europe/Berlin", "Europe/Berlin"), ("&zone=%2B05:30", "+05:30")] {
        let zone_of = jiff::fmt::temporal::DateTimeParser::new().parse_time_zone(name).unwrap();
        let (_, table) = rows(&app, &format!("{query}&times=spreadsheet{zone}")).await;
        let exact = lines(&app, &format!("{query}&times=rfc3339{zone}")).await;
        for ((row, plain), exact) in table.iter().zip(&plain).zip(&exact) {
            for column in ["created_at", "paid_at"] {
                let expected = instant(&plain[column]).to_zoned(zone_of.clone());
                assert_eq!(row[column], expected.strftime("%Y-%m-%d %H:%M:%S").to_string());
                assert_eq!(instant(&exact[column]), instant(&plain[column]), "the same instant");
            }
            assert_eq!((row["payment_started_at"].as_str(), &exact["payment_started_at"]), ("", &Value::Null));
        }
        assert_eq!(table.len(), plain.len());
    }
}

#[tokio::test]
async fn a_period_has_its_first_millisecond_and_not_its_last() {
    let app = TestApp::selling(1_000).await;
    // Many orders of one millisecond, so that a page may end within it.
    seed::orders(&app.redis.url(), 1, 600).await;
    let ms_of = |order: &Value, name: &str| {
        order[name].as_str().map(|text| text.parse::<jiff::Timestamp>().unwrap().as_millisecond())
    };
    let all: Vec<i64> = lines(&app, "").await.iter().filter_map(|order| ms_of(order, "created_at")).collect();
    let (first, last, middle) = (all[0], all[599], all[300]);
    for (since, until) in [
        (Some(first), Some(last + 1)),
        (Some(first + 1), Some(last)),
        (Some(middle), None),
        (None, Some(middle)),
        (Some(middle), Some(middle + 1)),
        (Some(last + 1), None),
        (None, Some(first)),
        (Some(all[99]), Some(all[200])),
    ] {
        let is_in = |ms: &&i64| since.is_none_or(|since| **ms >= since) && until.is_none_or(|until| **ms < until);
        let expected = all.iter().filter(is_in).count();
        let text = |ms: i64| jiff::Timestamp::from_millisecond(ms).unwrap().to_string();
        let since = since.map(|ms| format!("&since={ms}")).unwrap_or_default();
        let until = until.map(|ms| format!("&until={}", text(ms))).unwrap_or_default();
        let found = lines(&app, &format!("{since}{until}")).await;
        assert_eq!(
            (found.len(), lines(&app, &format!("{PER}{since}{until}")).await.len()),
            (expected, expected),
            "{since}{until}"
        );
        let estimated = ask(&app, &format!("{since}{until}")).await;
        assert_eq!(estimated.headers()["x-orders-estimated"], expected.to_string().as_str());
    }

    let order = lines(&app, "").await[0]["id"].as_str().unwrap().to_owned();
    event(&app, "paid", &order, "pi_1", json!({"amount": "50.00"})).await;
    let paid = ms_of(&lines(&app, "status=paid").await[0], "paid_at").unwrap();
    for (period, expected) in [
        (format!("since={paid}"), 1),
        (format!("since={}", paid + 1), 0),
        (format!("until={paid}"), 0),
        (format!("until={}", paid + 1), 1),
        (format!("since={paid}&until={}", paid + 1), 1),
    ] {
        assert_eq!(lines(&app, &format!("by=paid_at&{period}")).await.len(), expected, "{period}");
    }
}

#[tokio::test]
async fn a_product_that_cannot_be_read_cuts_an_export_of_items_and_no_other() {
    let app = TestApp::selling(1_000).await;
    app.add_product(json!({"id": 2, "sale": "other", "name": "Other", "price": "5.00", "total_stock": 9})).await;
    order(&app, &[(2, 1)], "first").await;
    seed::orders(&app.redis.url(), 1, 150).await;
    let mut redis = app.redis.connect();
    let held = stock::units(&mut redis, "fs1:{p1}:stock", 1, "held");
    stock::set(&mut redis, "fs1:{p1}:stock", 1, "held", "none");
    let answer = begin(&app, PER).await;
    assert_eq!(answer.status().as_u16(), 200, "it is the second page that cannot be made");
    assert!(answer.text().await.is_err());
    assert!(ask(&app, "").await.text().await.is_ok(), "orders need no names");
    stock::set(&mut redis, "fs1:{p1}:stock", 1, "held", held);
    assert_eq!(lines(&app, PER).await.len(), 151);
}
