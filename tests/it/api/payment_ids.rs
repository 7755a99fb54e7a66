//! Ids of payments and refunds, whatever characters providers make them of: people see them as they came.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    app::{ADMIN_TOKEN, TestApp},
    commands::{done, json_of, program},
};

/// All visible characters, as often as fit.
fn longest() -> String {
    ('!'..='~').cycle().take(255).collect()
}

/// A path with the id as its last part.
fn escaped(id: &str) -> String {
    id.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

async fn admin(app: &TestApp, path: &str) -> Value {
    let answer = app.send(app.request(Method::GET, path).bearer_auth(ADMIN_TOKEN)).await;
    assert_eq!(answer.status, 200, "{path}: {answer:?}");
    answer.body
}

#[tokio::test]
async fn ids_of_payments_and_refunds_are_shown_as_they_came_in_every_place() {
    let app = TestApp::selling(20).await;
    for id in ["pi_1", "TXN:9#a", "a/b?c=d&e%20", "100%", "%zz:,=:failed", &longest()] {
        let order = app.ordered().await;
        let event = |status: &str, more: Value| {
            let mut event = json!({"status": status, "order_id": order, "payment_id": id});
            event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            event
        };
        let key = |name: &str| format!("{name}-{order}");
        app.pay(&key("a"), event("paid", json!({"amount": "50.00"}))).await;
        for (refund, amount) in [(id, "10.00"), ("re_2", "5.00"), (id, "10.00")] {
            let more = json!({"amount": amount, "refund_id": refund});
            app.pay(&key(&format!("{refund:.40}-{amount}")), event("refunded", more)).await;
        }
        let failed = app.pay(&key("f"), event("refund_failed", json!({"refund_id": id}))).await;
        assert_eq!(failed.status, 200, "{failed:?}");

        let shown = admin(&app, &format!("/api/admin/orders/{order}")).await;
        assert_eq!((&shown["payment_id"], &shown["payments"][0]["payment_id"]), (&json!(id), &json!(id)));
        let mut expected = vec![json!([id, "10.00", true]), json!(["re_2", "5.00", false])];
        let refunds = shown["payments"][0]["refunds"].as_array().unwrap().iter();
        let mut refunds: Vec<_> =
            refunds.map(|refund| json!(["refund_id", "amount", "failed"].map(|name| &refund[name]))).collect();
        for list in [&mut expected, &mut refunds] {
            list.sort_by_key(ToString::to_string);
        }
        assert_eq!(refunds, expected);

        let found = admin(&app, &format!("/api/admin/payments/{}", escaped(id))).await;
        assert_eq!((&found["payment_id"], &found["orders"][0]["id"]), (&json!(id), &json!(order)));
        assert_eq!(found["reviews"][0]["payment_id"], id);
        let review = found["reviews"][0]["id"].as_str().unwrap();
        assert_eq!(json_of(&app, &format!("review show {review} --json"))["payment_id"], id);
        assert!(done(&app, &format!("review show {review}")).contains(id));
        let sheet = done(&app, &format!("order show {order}"));
        assert!(sheet.contains(&format!("payment {id}")) && sheet.contains(&format!(", {id}, ")), "{id} in {sheet}");
        let found = program(&app).args(["payment", "show", "--", id]).output().unwrap();
        let found = String::from_utf8(found.stdout).unwrap();
        assert!(found.starts_with(&format!("payment {id}: its order and its reviews\n")), "{found}");
        let events = admin(&app, "/api/admin/events?limit=100").await;
        let reviews = events["data"].as_array().unwrap().iter().filter(|event| event["review"]["id"] == review);
        assert!(reviews.clone().count() > 0 && reviews.into_iter().all(|event| event["review"]["payment_id"] == id));
        let rows = done(&app, "export --format jsonl");
        let row = rows.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let row = row.into_iter().find(|row| row["id"] == json!(order)).unwrap();
        assert_eq!((&row["payment_id"], &row["payments"]), (&json!(id), &shown["payments"]));
    }
}

#[tokio::test]
async fn an_id_that_no_key_can_have_is_one_thing_in_all_its_places() {
    let app = TestApp::selling(20).await;
    for odd in ["pay 1/ä%", &"x".repeat(256), "a\tb"] {
        let order = app.ordered().await;
        let event = |status: &str, amount: &str| json!({"status": status, "order_id": order, "payment_id": odd, "refund_id": odd, "amount": amount});
        app.pay(&format!("a-{order}"), event("paid", "50.00")).await;
        app.pay(&format!("b-{order}"), event("refunded", "10.00")).await;
        let shown = admin(&app, &format!("/api/admin/orders/{order}")).await;
        let id = shown["payments"][0]["payment_id"].as_str().unwrap();
        assert!(id.starts_with("odd-") && id.contains('%') == odd.contains('%'), "{id}");
        assert_eq!(shown["payments"].as_array().unwrap().len(), 1);
        assert_eq!(shown["payments"][0]["refunds"][0]["refund_id"], id);
        let found = admin(&app, &format!("/api/admin/payments/{}", escaped(id))).await;
        assert_eq!((&found["orders"][0]["id"], &found["reviews"][0]["payment_id"]), (&json!(order), &json!(id)));
    }
}
