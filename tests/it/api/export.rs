//! GET /api/admin/orders/export.

use std::collections::{BTreeMap, HashSet};

use futures_util::future::join_all;
use reqwest::{Method, RequestBuilder, Response};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::support::{
    app::{ADMIN_TOKEN, Answer, TestApp},
    contract::{Ask, check_text},
    orders::write_status,
    redis::signal_process,
    seed,
};

const PATH: &str = "/api/admin/orders/export";

pub async fn ask(app: &TestApp, query: &str) -> Response {
    request(app, query).ask().await.unwrap()
}

/// An export that may break off.
pub async fn begin(app: &TestApp, query: &str) -> Response {
    request(app, query).ask_head().await.unwrap()
}

fn request(app: &TestApp, query: &str) -> RequestBuilder {
    app.request(Method::GET, &format!("{PATH}?{query}")).bearer_auth(ADMIN_TOKEN)
}

/// The type of what came.
fn succeeded(answer: &Response) -> &str {
    assert_eq!(answer.status().as_u16(), 200);
    answer.headers()["content-type"].to_str().unwrap()
}

pub async fn lines(app: &TestApp, query: &str) -> Vec<Value> {
    let answer = ask(app, &format!("format=ndjson&{query}")).await;
    assert_eq!(succeeded(&answer), "application/x-ndjson");
    let text = answer.text().await.unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The columns and the rows, each by its columns.
pub async fn rows(app: &TestApp, query: &str) -> (Vec<String>, Vec<BTreeMap<String, String>>) {
    let answer = ask(app, query).await;
    assert_eq!(succeeded(&answer), "text/csv; charset=utf-8");
    let text = answer.text().await.unwrap();
    assert!(text.ends_with("\r\n"), "{text:?}");
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let columns = reader.headers().unwrap().iter().map(str::to_owned).collect();
    (columns, reader.deserialize().map(Result::unwrap).collect())
}

/// All pages of the list.
async fn listed(app: &TestApp, query: &str) -> Vec<Value> {
    let (mut orders, mut cursor) = (Vec::new(), String::new());
    loop {
        let path = format!("/api/admin/orders?limit=7&cursor={cursor}&{query}");
        let page = app.send(app.request(Method::GET, &path).bearer_auth(ADMIN_TOKEN)).await.body;
        orders.extend(page["data"].as_array().unwrap().clone());
        match page["next_cursor"].as_str() {
            Some(next) => next.clone_into(&mut cursor),
            None => return orders,
        }
    }
}

/// Orders of two sales in each status, by customers whose names a spreadsheet would run, and of several products.
async fn a_shop_with_orders() -> TestApp {
    let app = TestApp::start();
    for (id, sale) in [(1, "drop"), (2, "drop"), (3, "other")] {
        app.add_product(json!({"id": id, "sale": sale, "name": "Item", "price": "5.00", "total_stock": 100})).await;
    }
    let order = async |mut wish: Value, customer: &str| {
        wish["customer_id"] = json!(customer);
        app.order(&app.post("/api/holds", wish).await.id()).await.id()
    };
    let paid = order(json!({"product_id": 1, "quantity": 2}), "=cmd|'/C\"calc\"'!A0").await;
    app.pay("a", json!({"status": "paid", "order_id": paid})).await;
    let several = json!({"items": [{"product_id": 1, "quantity": 2}, {"product_id": 2, "quantity": 1}]});
    let refunded = order(several, "-2+3,5").await;
    app.pay("b", json!({"status": "paid", "order_id": refunded})).await;
    app.pay("c", json!({"status": "refunded", "order_id": refunded})).await;
    let cancelled = order(json!({"product_id": 3, "quantity": 1}), "'quoted'").await;
    app.post(&format!("/api/orders/{cancelled}/cancel"), json!({})).await;
    for customer in ["@SUM(1)", "+1", "ann"] {
        order(json!({"product_id": 3, "quantity": 1}), customer).await;
    }
    app
}

#[tokio::test]
async fn an_export_is_the_list_as_a_whole_and_its_filters_are_the_same() {
    let app = a_shop_with_orders().await;
    for query in ["", "sale=drop", "status=pending", "status=paid&sale=drop", "status=paid&sale=other"] {
        let (listed, exported) = (listed(&app, query).await, lines(&app, query).await);
        assert_eq!(exported, listed, "{query}");
        let (_, rows) = rows(&app, query).await;
        let ids: Vec<_> = rows.iter().map(|row| json!(row["id"])).collect();
        assert_eq!(ids, listed.iter().map(|order| order["id"].clone()).collect::<Vec<_>>(), "{query}");
    }
    assert_eq!(lines(&app, "").await.len(), 6);
}

#[tokio::test]
async fn every_column_of_the_csv_says_what_the_field_of_that_name_says() {
    let app = a_shop_with_orders().await;
    let (columns, rows) = rows(&app, "").await;
    let orders = lines(&app, "").await;
    for order in &orders {
        let mut fields: Vec<_> = order.as_object().unwrap().keys().cloned().collect();
        let others = fields.split_off(columns.len());
        assert_eq!(others, ["payments", "shop_events", "events_left_out"], "lists, which have no column");
        assert_eq!(fields, columns, "every line has every field, and in that order");
    }
    for (row, order) in rows.iter().zip(&orders) {
        for column in columns.iter().filter(|column| !["items", "late"].contains(&column.as_str())) {
            let text = match &order[column] {
                Value::Null => String::new(),
                Value::String(text) => text.clone(),
                number => number.to_string(),
            };
            // One apostrophe in front is the escape, whatever follows.
            assert_eq!(row[column].strip_prefix('\'').unwrap_or(&row[column]), text, "{column} of {row:?}");
        }
        let parts: Vec<Value> = row["items"]
            .split("; ")
            .map(|item| item.split_once(" of product ").unwrap())
            .map(|(quantity, rest)| (quantity, rest.split_once(" at ").unwrap()))
            .map(|(quantity, (product, price))| {
                json!({"product_id": number(product), "quantity": number(quantity), "unit_price": price})
            })
            .collect();
        assert_eq!(order["items"], json!(parts));
        assert_eq!(row["late"], "false");
    }
    let cells: HashSet<_> = rows.iter().map(|row| row["customer_id"].as_str()).collect();
    assert_eq!(cells, HashSet::from(["'=cmd|'/C\"calc\"'!A0", "'-2+3,5", "''quoted'", "'@SUM(1)", "'+1", "ann"]));
    let several = "2 of product 1 at 5.00; 1 of product 2 at 5.00";
    assert!(rows.iter().any(|row| row["items"] == several && row["quantity"].is_empty()));
}

#[tokio::test]
async fn a_row_says_of_which_sale_it_is_what_a_unit_cost_and_which_payment_paid_it() {
    let app = TestApp::start();
    for (id, price) in [(1, "120"), (2, "5.5")] {
        app.add_product(json!({"id": id, "sale": "drop", "name": "Item", "price": price, "total_stock": 100})).await;
    }
    let several = json!({"items": [{"product_id": 1, "quantity": 2}, {"product_id": 2, "quantity": 1}]});
    let paid = app.order(&app.post("/api/holds", several).await.id()).await.id();
    app.pay("a", json!({"status": "paid", "order_id": paid, "payment_id": "=pi_1"})).await;
    let pending = app.ordered().await;
    let change = json!({"price": "130.00"});
    app.admin(Method::PATCH, "/api/admin/products/1", change).await;

    let listed = listed(&app, "sale=drop").await;
    let items = json!([{"product_id": 1, "quantity": 2, "unit_price": "120.00"},
        {"product_id": 2, "quantity": 1, "unit_price": "5.50"}]);
    assert_eq!(
        (&listed[0]["sale"], &listed[0]["payment_id"], &listed[0]["items"]),
        (&json!("drop"), &json!("=pi_1"), &items)
    );
    assert_eq!((&listed[0]["product_id"], &listed[0]["late"]), (&json!(null), &json!(false)), "absent is null");
    assert_eq!((&listed[1]["payment_id"], &listed[1]["product_id"]), (&json!(null), &json!(1)));
    let (_, rows) = rows(&app, "").await;
    assert_eq!(rows[0]["items"], "2 of product 1 at 120.00; 1 of product 2 at 5.50");
    assert_eq!((rows[0]["payment_id"].as_str(), rows[1]["payment_id"].as_str()), ("'=pi_1", ""));
    let buyers = app.get(&format!("/api/orders/{pending}")).await.body;
    assert!(
        buyers.get("payment_id").is_none() && buyers.get("sale").is_none(),
        "the storefront says as much as before"
    );
}

fn number(text: &str) -> u64 {
    text.parse().unwrap()
}

#[tokio::test]
async fn without_orders_there_is_a_header_row_and_no_line() {
    let app = TestApp::selling(1).await;
    let (columns, rows) = rows(&app, "").await;
    assert_eq!((columns[0].as_str(), columns.len(), rows.len()), ("id", 21, 0));
    assert_eq!(lines(&app, "sale=p1").await.len(), 0);
    let head = app.request(Method::HEAD, PATH).bearer_auth(ADMIN_TOKEN).ask().await.unwrap();
    assert_eq!(succeeded(&head), "text/csv; charset=utf-8");
}

#[tokio::test]
async fn an_export_names_its_file_and_says_how_many_orders_may_come() {
    let app = a_shop_with_orders().await;
    for (query, file, estimated) in [
        ("per=order", "orders.csv", Some("6")),
        ("per=payment", "payments.csv", None),
        ("per=item", "items.csv", None),
        ("since=2026-01-01T00:00:00Z&until=2999-01-01T00:00:00Z", "orders.csv", Some("6")),
        ("until=2026-01-01T00:00:00Z", "orders.csv", Some("0")),
        ("by=paid_at&since=0", "orders.csv", None),
        ("per=payment&format=ndjson&sale=drop&status=paid", "payments-drop-paid.ndjson", None),
        ("", "orders.csv", Some("6")),
        ("format=ndjson&sale=drop", "orders-drop.ndjson", Some("2")),
        ("sale=drop&status=paid", "orders-drop-paid.csv", None),
    ] {
        let answer = ask(&app, query).await;
        let header = |name| answer.headers().get(name).map(|value| value.to_str().unwrap());
        assert_eq!(header("content-disposition"), Some(format!("attachment; filename=\"{file}\"").as_str()));
        assert_eq!((header("x-orders-estimated"), header("cache-control")), (estimated, Some("no-store")));
    }
}

#[tokio::test]
async fn who_may_look_may_export_and_what_is_wrong_is_said() {
    let app = TestApp::start_with(&[("ADMIN__READ_TOKENS", "a-token-that-may-look")]);
    let reading = app.request(Method::GET, PATH).bearer_auth("a-token-that-may-look").ask().await.unwrap();
    assert_eq!(reading.status().as_u16(), 200);
    assert_eq!(app.get(PATH).await.refusal(), (401, "unauthorized"));
    assert_eq!(Answer::read(ask(&app, "sale=none").await).await.refusal(), (404, "sale_not_found"));
    assert_eq!(Answer::read(ask(&app, "limit=1").await).await.refusal(), (400, "unknown_parameter"));
    let wrong = Answer::read(
        ask(&app, "per=customer&format=xlsx&status=lost&sale=P&since=today&by=id&columns=id,,&times=iso&zone=Mars")
            .await,
    )
    .await;
    let pointers: HashSet<_> = wrong.body["errors"].as_array().unwrap().iter().map(|e| &e["pointer"]).collect();
    let named = ["per", "format", "status", "sale", "since", "by", "columns", "times", "zone"];
    assert_eq!(pointers, named.map(|name| json!(format!("/{name}"))).iter().collect());
    assert_eq!(Answer::read(ask(&app, "rows=payments").await).await.refusal(), (400, "unknown_parameter"));
    let empty = Answer::read(ask(&app, "since=8&until=7").await).await;
    assert_eq!((empty.status, &empty.body["errors"][0]["code"]), (422, &json!("conflict")));
    assert_eq!(app.admin(Method::POST, PATH, json!({})).await.refusal(), (405, "method_not_allowed"));
}

#[tokio::test]
async fn an_export_over_http_1_0_is_refused_because_its_end_would_prove_nothing() {
    let app = TestApp::selling(1).await;
    let mut stream = TcpStream::connect(app.addr).await.unwrap();
    let request = format!("GET {PATH} HTTP/1.0\r\nAuthorization: Bearer {ADMIN_TOKEN}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    check_text("GET", PATH, &answer);
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(head.contains(" 426 ") && head.to_lowercase().contains("upgrade: http/1.1"), "{head}");
    assert!(body.contains("\"code\":\"upgrade_required\""), "{body}");
}

#[tokio::test]
async fn orders_made_meanwhile_make_no_other_order_come_twice_or_not_at_all() {
    let app = TestApp::selling(2_000).await;
    seed::orders(&app.redis.url(), 1, 1_000).await;
    let before: HashSet<String> = ids(&lines(&app, "").await).into_iter().collect();
    assert_eq!(before.len(), 1_000);
    let exports = join_all((0..4).map(|_| lines(&app, "")));
    let (exported, _made) = tokio::join!(exports, join_all((0..200).map(|_| app.ordered())));
    for orders in exported {
        let (count, ids) = (orders.len(), ids(&orders).into_iter().collect::<HashSet<_>>());
        assert_eq!(ids.len(), count, "one came twice");
        assert!(ids.is_superset(&before), "one was left out");
    }
    assert_eq!(lines(&app, "").await.len(), 1_200);
}

fn ids(orders: &[Value]) -> Vec<String> {
    orders.iter().map(|order| order["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_client_library_notices_that_an_export_broke_off() {
    let app = TestApp::selling(1_000).await;
    seed::orders(&app.redis.url(), 1, 300).await;
    let last: Vec<String> =
        redis::cmd("ZRANGE").arg("fs1:{p1}:orders").arg(-1).arg(-1).query(&mut app.redis.connect()).unwrap();
    let record = format!("fs1:{{p1}}:order:{}", last[0]);
    let set = |status: &str| write_status(&mut app.redis.connect(), &record, status);
    set("unheard-of");
    let answer = begin(&app, "").await;
    assert_eq!(answer.status().as_u16(), 200);
    assert!(answer.text().await.is_err());
    set("pending");
    assert!(ask(&app, "").await.text().await.is_ok());
}

#[tokio::test]
async fn a_store_that_is_gone_before_the_first_row_is_a_problem_as_ever() {
    let app = TestApp::start_with(&[("REDIS__CALL_TIMEOUT_MS", "200")]);
    let redis = app.redis.pid();
    signal_process(redis, "STOP");
    let answer = Answer::read(ask(&app, "").await).await;
    signal_process(redis, "CONT");
    assert_eq!(answer.status, 503, "{answer:?}");
}
