//! The events that an order heard, in GET /api/admin/orders/{id} and GET /api/admin/payments/{id}.

use futures_util::future::join_all;
use redis::Commands;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    app::{ADMIN_TOKEN, TestApp},
    orders::stored_order,
};

/// Events that an order keeps.
const KEPT_MAX: usize = 20;

async fn shown(app: &TestApp, order: &str) -> Value {
    let path = format!("/api/admin/orders/{order}");
    let answer = app.send(app.request(Method::GET, &path).bearer_auth(ADMIN_TOKEN)).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body
}

async fn payment(app: &TestApp, id: &str) -> Value {
    let path = format!("/api/admin/payments/{id}");
    app.send(app.request(Method::GET, &path).bearer_auth(ADMIN_TOKEN)).await.body
}

/// Type and id of each event, with a `=` where it says nothing new.
fn heard(events: &Value) -> Vec<String> {
    let event = |event: &Value| {
        let again = if event["repeats"] == true { "=" } else { "" };
        format!("{}{again} {}", event["type"].as_str().unwrap(), event["event_id"].as_str().unwrap())
    };
    events.as_array().unwrap().iter().map(event).collect()
}

fn key_of(order: &str) -> String {
    format!("fs1:{{p1}}:order:{}", &order.strip_prefix("order_p1_").unwrap()[..12])
}

fn second_of(time: &Value) -> String {
    format!("{}.000Z", time.as_str().unwrap().split('.').next().unwrap())
}

#[tokio::test]
async fn each_payment_shows_the_events_that_were_heard_of_it_and_each_of_them_once() {
    let app = TestApp::selling(9).await;
    let order = app.ordered().await;
    let event = |status: &str, payment: &str| json!({"status": status, "order_id": order, "payment_id": payment});
    for (key, status, payment) in [
        ("evt_1", "processing", "pi_b"),
        ("evt_2", "paid", "pi_b"),
        ("evt_2", "paid", "pi_b"),
        ("evt_3", "paid", "pi_b"),
        ("evt_4", "failed", "pi_a"),
        ("evt_5", "refunded", "pi_b"),
        ("evt_6", "disputed", "pi_a"),
    ] {
        assert_eq!(app.pay(key, event(status, payment)).await.status, 200);
    }
    app.pay("evt_7", json!({"status": "paid", "order_id": order})).await;
    let order = shown(&app, &order).await;
    let of = |id: Value| order["payments"].as_array().unwrap().iter().find(|known| known["payment_id"] == id).unwrap();
    assert_eq!(
        heard(&of(json!("pi_b"))["events"]),
        ["processing evt_1", "paid evt_2", "paid= evt_3", "refunded evt_5"]
    );
    assert_eq!(heard(&of(json!("pi_a"))["events"]), ["failed evt_4", "disputed evt_6"]);
    assert_eq!(heard(&of(Value::Null)["events"]), ["paid evt_7"]);
    assert_eq!((&order["shop_events"], &order["events_left_out"]), (&json!([]), &json!(0)));
    assert_eq!(payment(&app, "pi_a").await["orders"], json!([order]));
}

#[tokio::test]
async fn an_event_shows_when_it_came_and_no_buyer_sees_it() {
    let app = TestApp::selling(9).await;
    let hold = app.hold(1).await.id();
    app.pay("evt_1", json!({"status": "paid", "hold_id": hold, "payment_id": "pi_1"})).await;
    let buyers = app.order(&hold).await;
    let order = shown(&app, &buyers.id()).await;
    let events = &order["payments"][0]["events"];
    assert_eq!(heard(events), ["paid evt_1"], "also by the order that the event made");
    assert_eq!(events[0]["received_at"], second_of(&order["paid_at"]));
    assert!(!buyers.body.to_string().contains("evt_1"), "{buyers:?}");
    let log = app.send(app.request(Method::GET, "/api/admin/events").bearer_auth(ADMIN_TOKEN)).await.body;
    assert!(!log.to_string().contains("evt_1"), "they are no part of the log: {log}");
}

#[tokio::test]
async fn the_word_of_the_shop_itself_is_heard_apart_from_all_payments() {
    let app = TestApp::selling(9).await;
    let order = app.ordered().await;
    app.pay("k", json!({"status": "processing", "order_id": order})).await;
    app.pay("k", json!({"status": "cancelled", "order_id": order})).await;
    app.pay("l", json!({"status": "failed", "order_id": order})).await;
    let order = shown(&app, &order).await;
    assert_eq!(heard(&order["shop_events"]), ["cancelled k", "failed l"]);
    assert_eq!(heard(&order["payments"][0]["events"]), ["processing k"]);
    assert_eq!((order["payments"].as_array().unwrap().len(), &order["status"]), (1, &json!("cancelled")));
}

#[tokio::test]
async fn an_event_that_was_kept_as_unmatched_is_heard_with_the_instant_at_which_it_came() {
    let app = TestApp::selling(9).await;
    let first = app.pay("evt_1", json!({"status": "refunded", "payment_id": "pi_1", "amount": "10.00"})).await;
    assert_eq!(first.body["outcome"], "unmatched", "{first:?}");
    let review = payment(&app, "pi_1").await["reviews"][0].clone();

    // As if it had come long ago.
    let mut redis = app.redis.connect();
    let kept: Vec<String> = redis.keys("fs1:{p0}:kept:*").unwrap();
    let (hash, text): (String, String) = redis.hgetall::<_, Vec<(String, String)>>(&kept[0]).unwrap().remove(0);
    let (event, second) = text.rsplit_once('\n').unwrap();
    let opened: jiff::Timestamp = review["opened_at"].as_str().unwrap().parse().unwrap();
    assert_eq!(i64::from_str_radix(second, 36).unwrap(), opened.as_second(), "{text}");
    redis.hset::<_, _, _, ()>(&kept[0], hash, format!("{event}\n10")).unwrap();

    let order = app.ordered().await;
    app.pay("evt_2", json!({"status": "paid", "order_id": order, "payment_id": "pi_1"})).await;
    let order = shown(&app, &order).await;
    let payment = &order["payments"][0];
    assert_eq!(heard(&payment["events"]), ["refunded evt_1", "paid evt_2"], "whichever was settled first");
    assert_eq!(payment["events"][0]["received_at"], "1970-01-01T00:00:36.000Z");
    assert_eq!(payment["refunded_amount"], "10.00");
}

#[tokio::test]
async fn an_order_keeps_its_first_events_and_counts_the_others() {
    let app = TestApp::selling(9).await;
    let order = app.ordered().await;
    let event = json!({"status": "processing", "order_id": order, "payment_id": "pi_1"});
    // All at once, so that some of them are decided by one call.
    let many: Vec<String> = (0..KEPT_MAX + 5).map(|number| format!("evt_{number}")).collect();
    let answers = join_all(many.iter().map(|key| app.pay(key, event.clone()))).await;
    assert!(answers.iter().all(|answer| answer.status == 200));
    let kept = shown(&app, &order).await;
    let events = heard(&kept["payments"][0]["events"]);
    assert_eq!((events.len(), &kept["events_left_out"]), (KEPT_MAX, &json!(5)));
    assert_eq!(events.iter().filter(|event| event.starts_with("processing evt_")).count(), 1, "the others repeat it");
    app.pay("evt_2000", json!({"status": "paid", "order_id": order, "payment_id": "pi_1"})).await;
    let paid = shown(&app, &order).await;
    assert_eq!((&paid["status"], &paid["events_left_out"]), (&json!("paid"), &json!(6)));
    assert_eq!(heard(&paid["payments"][0]["events"]), events, "what is kept stays");
}

#[tokio::test]
async fn an_order_stays_small_however_long_the_ids_of_its_events_are() {
    let app = TestApp::selling(9).await;
    let order = app.ordered().await;
    let mut redis = app.redis.connect();
    let event = json!({"status": "paid", "order_id": order, "payment_id": "pi_1"});
    let long = "x".repeat(255);
    app.pay("evt_1QyzNbB2eZvKYlo2C0RDxtqk", event.clone()).await;
    let record: String = redis.get(key_of(&order)).unwrap();
    let (without, _) = record.split_once("\nheard\n").unwrap();
    let mut bytes = |text: &str| -> u64 {
        let _: () = redis.set("copy", text).unwrap();
        redis::cmd("MEMORY").arg("USAGE").arg("copy").query(&mut redis).unwrap()
    };
    println!("a paid order: {} bytes, without its event {}", bytes(&record), bytes(without));
    app.pay(&long, event).await;
    let stored = stored_order(&mut redis, &key_of(&order));
    assert!(stored["heard"].split('\t').all(|event| event.len() <= 64), "{stored:?}");
    let shown = shown(&app, &order).await;
    let events = heard(&shown["payments"][0]["events"]);
    assert_eq!(events[0], "paid evt_1QyzNbB2eZvKYlo2C0RDxtqk");
    let cut = events[1].strip_prefix("paid= ").and_then(|id| id.strip_suffix('…')).unwrap();
    assert!(long.starts_with(cut) && cut.len() > 45, "{events:?}");
}
