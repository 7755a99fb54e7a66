//! Metadata: what a shop notes on a product or a hold comes back with it, and with the order of the hold.

use reqwest::Method;
use serde_json::{Map, Value, json};

use crate::support::{
    app::{ADMIN_TOKEN, Answer, TestApp},
    contract::Ask,
};

/// In an order that no sorting gives, and with all that has to be escaped somewhere.
fn noted() -> Value {
    json!({"utm source": "news, \"paper\"", "a": "", "Größe": "38\\ =1,2; ä", "\u{1f45f}": "x"})
}

impl TestApp {
    async fn hold_with(&self, metadata: Value) -> Answer {
        self.post("/api/holds", json!({"product_id": 1, "quantity": 1, "metadata": metadata})).await
    }
}

/// As a text, because the order of the entries counts.
fn text(answer: &Answer) -> String {
    answer.body["metadata"].to_string()
}

#[tokio::test]
async fn metadata_of_a_hold_is_in_every_answer_and_event_about_it_and_its_order() {
    let app = TestApp::selling(5).await;
    let expected = noted().to_string();
    let hold = app.hold_with(noted()).await;
    assert_eq!((hold.status, text(&hold)), (201, expected.clone()), "{hold:?}");
    assert_eq!(text(&app.get(&format!("/api/holds/{}", hold.id())).await), expected);
    let order = app.order(&hold.id()).await;
    assert_eq!((order.status, text(&order)), (201, expected.clone()));
    assert_eq!(text(&app.get(&format!("/api/orders/{}", order.id())).await), expected);
    assert_eq!(text(&app.get(&format!("/api/holds/{}", hold.id())).await), expected, "of the converted hold");
    let paid = app.pay("e1", json!({"status": "paid", "order_id": order.id(), "amount": "1.00"})).await;
    assert_eq!(
        (&paid.body["outcome"], paid.body["order"]["metadata"].to_string()),
        (&json!("review"), expected.clone())
    );

    let list = async |path: &str| app.admin(Method::GET, path, json!({})).await.body["data"].take();
    let reviews = list("/api/admin/reviews").await;
    assert_eq!(reviews[0]["metadata"].to_string(), expected, "{reviews}");
    assert_eq!(list("/api/admin/orders").await[0]["metadata"].to_string(), expected);
    let events = list("/api/admin/events?sale=p1").await;
    let of =
        |thing: &str| events.as_array().unwrap().iter().filter(|event| !event[thing].is_null()).collect::<Vec<_>>();
    assert!(of("order").len() >= 2 && of("review").len() == 1, "{events}");
    for (event, thing) in of("order").into_iter().map(|event| (event, "order")).chain([(of("review")[0], "review")]) {
        assert_eq!(event[thing]["metadata"].to_string(), expected, "{event}");
    }
}

#[tokio::test]
async fn a_hold_without_metadata_says_nothing_of_it_and_stores_no_byte() {
    let app = TestApp::selling(5).await;
    for none in [Value::Null, json!({})] {
        let hold = app.hold_with(none).await;
        assert_eq!(hold.status, 201);
        let order = app.order(&hold.id()).await;
        assert!(hold.body.get("metadata").is_none() && order.body.get("metadata").is_none());
    }
    let mut redis = app.redis.connect();
    let keys: Vec<String> = redis::cmd("KEYS").arg("fs1:{p1}:order:*").query(&mut redis).unwrap();
    assert_eq!(keys.len(), 2);
    for key in keys {
        let record: String = redis::Commands::get(&mut redis, &key).unwrap();
        assert!(!record.contains("metadata"), "{record}");
    }
}

#[tokio::test]
async fn the_bounds_of_metadata_are_checked_to_the_byte() {
    let app = TestApp::selling(50).await;
    let entries = |count: usize| Value::Object((0..count).map(|n| (n.to_string(), "v".into())).collect::<Map<_, _>>());
    let one = |key: &str, value: &str| json!({key: value});
    let of_bytes = |bytes: usize| {
        let empty = json!({"a": "", "b": "", "c": "", "d": "", "e": ""}).to_string().len();
        let (full, rest) = ("x".repeat(500), "x".repeat(bytes - empty - 2_000));
        json!({"a": full, "b": full, "c": full, "d": full, "e": rest})
    };
    let (key, value) = ("k".repeat(40), "é".repeat(250));
    for fits in [entries(20), one(&key, &value), of_bytes(2_048)] {
        let hold = app.hold_with(fits.clone()).await;
        assert_eq!((hold.status, text(&hold)), (201, fits.to_string()));
        let made = app.add_product(json!({"name": "Other", "price": "1.00", "total_stock": 1, "metadata": fits})).await;
        assert_eq!(made["metadata"], fits);
    }
    for (wrong, code) in [
        (entries(21), "too_large"),
        (one(&format!("{key}k"), ""), "invalid_format"),
        (one("", "x"), "invalid_format"),
        (one("k", &format!("{value}x")), "invalid_format"),
        (of_bytes(2_049), "too_large"),
        (one("k", "a\nb"), "invalid_format"),
        (one("k\u{7f}", "a"), "invalid_format"),
        (json!({"k": 5}), "not_a_string"),
        (json!({"k": null}), "not_a_string"),
        (json!({"k": {"nested": "x"}}), "not_a_string"),
        (json!({"k": ["x"]}), "not_a_string"),
        (json!("text"), "not_an_object"),
        (json!(["k", "v"]), "not_an_object"),
    ] {
        for answer in [
            app.hold_with(wrong.clone()).await,
            app.admin(Method::PATCH, "/api/admin/products/1", json!({"metadata": wrong})).await,
        ] {
            let error = &answer.body["errors"][0];
            assert_eq!(
                (answer.status, &error["pointer"], &error["code"]),
                (422, &json!("/metadata"), &json!(code)),
                "{wrong}"
            );
        }
    }
    let twice = r#"{"product_id": 1, "quantity": 1, "metadata": {"k": "1", "k": "1"}}"#;
    let request = app.request(Method::POST, "/api/holds").header("content-type", "application/json").body(twice);
    assert_eq!(app.send(request).await.body["errors"][0]["code"], "duplicate_field");
    assert_eq!(app.stock(1).await, "47 available, 3 held");
}

#[tokio::test]
async fn metadata_belongs_to_what_an_idempotency_key_was_used_for() {
    let app = TestApp::selling(5).await;
    let hold = async |metadata: Value| {
        let body = json!({"product_id": 1, "quantity": 1, "metadata": metadata});
        app.send(app.request(Method::POST, "/api/holds").header("idempotency-key", "k").json(&body)).await
    };
    let first = hold(noted()).await;
    let again = hold(noted()).await;
    assert_eq!((first.status, again.status, &again.body["id"]), (201, 201, &first.body["id"]));
    assert_eq!((text(&again), again.headers["idempotency-replayed"].as_str()), (noted().to_string(), "true"));
    for other in [json!({"a": "b"}), json!({}), Value::Null] {
        assert_eq!(hold(other).await.refusal(), (422, "idempotency_key_reused"));
    }
}

#[tokio::test]
async fn metadata_in_another_order_is_the_same_request_and_the_first_order_is_kept() {
    let app = TestApp::selling(5).await;
    let hold = async |metadata: &str| {
        let body = format!(r#"{{"product_id": 1, "quantity": 1, "metadata": {metadata}}}"#);
        let request = app.request(Method::POST, "/api/holds").header("content-type", "application/json");
        app.send(request.header("idempotency-key", "k").body(body)).await
    };
    let first = hold(r#"{"b": "1", "a": "2", "c": "3"}"#).await;
    let again = hold(r#"{"c": "3", "a": "2", "b": "1"}"#).await;
    assert_eq!((first.status, again.status, &again.body["id"]), (201, 201, &first.body["id"]), "{again:?}");
    assert_eq!(again.headers["idempotency-replayed"], "true");
    let read = app.get(&format!("/api/holds/{}", first.id())).await;
    assert_eq!(text(&read), r#"{"b":"1","a":"2","c":"3"}"#);
    assert_eq!(hold(r#"{"b": "2", "a": "1", "c": "3"}"#).await.refusal(), (422, "idempotency_key_reused"));
    assert_eq!(app.stock(1).await, "4 available, 1 held");
}

#[tokio::test]
async fn holds_of_one_batch_keep_their_own_metadata() {
    let app = TestApp::selling(200).await;
    let hold = async |number: usize| {
        let metadata = if number.is_multiple_of(3) { Value::Null } else { json!({"number": (number / 2).to_string()}) };
        let hold = app.hold_with(metadata.clone()).await;
        let read = app.get(&format!("/api/holds/{}", hold.id())).await;
        assert_eq!((&hold.body["metadata"], &read.body["metadata"]), (&metadata, &metadata), "{number}");
    };
    futures_util::future::join_all((0..40).map(hold)).await;
}

#[tokio::test]
async fn metadata_of_a_product_can_be_changed_and_taken_away() {
    let app = TestApp::start();
    let product = json!({"name": "Item", "price": "1.00", "total_stock": 1, "metadata": noted()});
    assert_eq!(app.add_product(product).await["metadata"].to_string(), noted().to_string());
    assert_eq!(text(&app.get("/api/products/1").await), noted().to_string());
    let change = async |change: Value| app.admin(Method::PATCH, "/api/admin/products/1", change).await;
    assert_eq!(text(&change(json!({"name": "Other"})).await), noted().to_string());
    assert_eq!(text(&change(json!({"metadata": {"a": "b"}})).await), r#"{"a":"b"}"#);
    for none in [json!({"metadata": null}), json!({"metadata": {}})] {
        assert_eq!(text(&change(json!({"metadata": {"a": "b"}})).await), r#"{"a":"b"}"#);
        assert!(change(none).await.body.get("metadata").is_none());
        assert!(app.get("/api/products/1").await.body.get("metadata").is_none());
    }
    let events = app.admin(Method::GET, "/api/admin/events?sale=p1", json!({})).await;
    let of_event = |at: usize| events.body["data"][at]["product"]["metadata"].to_string();
    assert_eq!(
        [of_event(1), of_event(2), of_event(3)],
        [noted().to_string(), noted().to_string(), r#"{"a":"b"}"#.into()]
    );
}

#[tokio::test]
async fn an_export_has_skus_and_metadata_and_an_import_reads_them_back() {
    let app = TestApp::start();
    let product = json!({"name": "Item", "sku": "=A,1", "price": "1.00", "total_stock": 9, "metadata": noted()});
    app.add_product(product).await;
    let hold = app.hold_with(noted()).await;
    app.order(&hold.id()).await;
    app.order(&app.hold(2).await.id()).await;
    let export = async |format: &str| {
        let path = format!("/api/admin/orders/export?format={format}");
        app.request(Method::GET, &path).bearer_auth(ADMIN_TOKEN).ask().await.unwrap().text().await.unwrap()
    };
    let lines: Vec<Value> = export("ndjson").await.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(
        [lines[0]["metadata"].to_string(), lines[1]["metadata"].to_string()],
        [noted().to_string(), "null".into()]
    );
    assert_eq!((&lines[0]["sku"], &lines[1]["items"][0]["sku"]), (&json!("=A,1"), &json!("=A,1")));
    let table = export("csv").await;
    let mut reader = csv::Reader::from_reader(table.as_bytes());
    let header = reader.headers().unwrap().clone();
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    let cell =
        |row: usize, name: &str| rows[row].get(header.iter().position(|column| column == name).unwrap()).unwrap();
    assert_eq!((cell(0, "metadata"), cell(1, "metadata")), (&*noted().to_string(), ""));
    assert_eq!((cell(0, "sku"), cell(0, "items")), ("'=A,1", "1 of =A,1 (product 1) at 1.00"));

    let other = TestApp::start();
    let mut file = csv::Writer::from_writer(Vec::new());
    file.write_record(["SKU", "Metadata", "name", "price", "total_stock"]).unwrap();
    for metadata in [&*noted().to_string(), "", "{", "[]"] {
        let sku = if metadata.is_empty() { "" } else { cell(0, "sku") };
        file.write_record([sku, metadata, "Item", "1.00", "9"]).unwrap();
    }
    let import = async |media_type: &str, body: Vec<u8>| {
        let request = other.request(Method::POST, "/api/admin/import").bearer_auth(ADMIN_TOKEN);
        let mut answer = other.send(request.header("content-type", media_type).body(body)).await;
        answer.body["rows"].take()
    };
    let rows = import("text/csv", file.into_inner().unwrap()).await;
    let wrong = |row: usize| (&rows[row]["code"], &rows[row]["errors"][0]["pointer"]);
    assert_eq!((&rows[0]["status"], &rows[1]["status"]), (&json!("created"), &json!("created")), "{rows}");
    assert_eq!([wrong(2), wrong(3)], [(&json!("validation_failed"), &json!("/metadata")); 2], "{rows}");
    let read = other.get("/api/products/1").await;
    assert_eq!((&read.body["sku"], text(&read)), (&json!("=A,1"), noted().to_string()));
    let line = json!({"sku": "B", "name": "Item", "price": "1.00", "total_stock": 9, "metadata": noted()}).to_string();
    assert_eq!(import("application/x-ndjson", line.into_bytes()).await[0]["status"], "created");
    assert_eq!(text(&other.get("/api/products/by-sku/B").await), noted().to_string());
}
