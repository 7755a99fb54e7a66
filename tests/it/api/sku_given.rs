//! A product that was made without a SKU gets one, once.

use futures_util::future::join_all;
use redis::Commands;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    app::{ADMIN_TOKEN, Answer, TestApp, run_service},
    contract::Ask,
    eventually,
};

impl TestApp {
    async fn make(&self, id: u64, more: Value) {
        let mut product = json!({"id": id, "name": "Air", "price": "50.00", "total_stock": 10, "sale": "drop"});
        product.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let made = self.admin(Method::POST, "/api/admin/products", product).await;
        assert_eq!(made.status, 201, "{made:?}");
    }

    async fn change(&self, id: u64, body: Value) -> Answer {
        self.admin(Method::PATCH, &format!("/api/admin/products/{id}"), body).await
    }

    async fn product_events(&self, kind: &str) -> Vec<Value> {
        let events = self.admin(Method::GET, &format!("/api/admin/events?sale=drop&types={kind}"), json!({})).await;
        events.body["data"].as_array().unwrap().clone()
    }

    async fn ordered_of(&self, product: u64) -> String {
        let hold = self.post("/api/holds", json!({"product_id": product, "quantity": 1})).await;
        self.order(&hold.id()).await.id()
    }

    async fn import_table(&self, table: &str, query: &str) -> Answer {
        let request = self.request(Method::POST, &format!("/api/admin/import{query}")).bearer_auth(ADMIN_TOKEN);
        self.send(request.header("content-type", "text/csv").body(table.to_owned())).await
    }

    fn entry(&self, id: u64) -> String {
        self.redis.connect().hget("fs1:{:all}:products", id).unwrap()
    }

    fn owner(&self, sku: &str) -> Option<String> {
        self.redis.connect().hget("fs1:{:all}:skus", sku).unwrap()
    }
}

#[tokio::test]
async fn a_product_gets_a_sku_once_and_everything_knows_it_at_once() {
    let app = TestApp::start();
    app.make(7, json!({})).await;
    // Every worker remembers that it has none.
    join_all((0..40).map(|_| app.get("/api/products/7"))).await;
    let order = app.ordered_of(7).await;
    let given = app.change(7, json!({"sku": "AIR-38", "name": "Air 38", "reason": "the list came"})).await;
    assert_eq!((given.status, &given.body["sku"], &given.body["name"]), (200, &json!("AIR-38"), &json!("Air 38")));

    for answer in join_all((0..40).map(|_| app.get("/api/products/7"))).await {
        assert_eq!(answer.body["sku"], "AIR-38", "whichever worker answers");
    }
    let path = format!("/api/orders/{order}");
    for answer in join_all((0..40).map(|_| app.get(&path))).await {
        assert_eq!(answer.body["sku"], "AIR-38", "{answer:?}");
    }
    assert_eq!(app.get("/api/products/by-sku/AIR-38").await.body["id"], 7);
    assert_eq!(app.get("/api/products").await.body["data"][0]["sku"], "AIR-38");
    let hold = app.post("/api/holds", json!({"sku": "AIR-38", "quantity": 1})).await;
    assert_eq!((hold.status, &hold.body["product_id"], &hold.body["sku"]), (201, &json!(7), &json!("AIR-38")));
    let orders = app.admin(Method::GET, "/api/admin/orders?sku=AIR-38", json!({})).await;
    assert_eq!(orders.body["data"][0]["sku"], "AIR-38", "{orders:?}");
    let export = app.request(Method::GET, "/api/admin/orders/export?per=item").bearer_auth(ADMIN_TOKEN).ask();
    let export = export.await.unwrap().text().await.unwrap();
    assert!(export.contains("AIR-38"), "{export}");
    let update =
        app.import_table("id,sale,name,price,total_stock,sku\n7,drop,Air 38,50.00,10,AIR-38\n", "?update=true").await;
    assert_eq!(update.body["rows"][0]["differs"], json!([]), "it is the product of the row: {update:?}");

    let events = app.product_events("product.changed").await;
    assert_eq!(events.len(), 1, "{events:?}");
    let expected = json!({"sku": {"from": null, "to": "AIR-38"}, "name": {"from": "Air", "to": "Air 38"}});
    assert_eq!((&events[0]["change"], &events[0]["reason"]), (&expected, &json!("the list came")));
    assert_eq!(app.entry(7), "drop AIR-38", "nothing is left to do");
}

#[tokio::test]
async fn the_same_sku_again_changes_nothing_and_another_one_is_refused() {
    let app = TestApp::start();
    app.make(7, json!({"sku": "A"})).await;
    app.make(8, json!({})).await;
    for _ in 0..2 {
        let same = app.change(7, json!({"sku": "A"})).await;
        assert_eq!((same.status, &same.body["sku"]), (200, &json!("A")));
    }
    let other = app.change(7, json!({"sku": "B", "name": "Boot"})).await;
    assert_eq!((other.refusal(), &other.body["sku"]), ((409, "product_has_sku"), &json!("A")), "{other:?}");
    let taken = app.change(8, json!({"sku": "A", "name": "Boot"})).await;
    assert_eq!((taken.refusal(), &taken.body["id"]), ((409, "already_exists"), &json!(7)), "{taken:?}");
    for (id, body, status) in [
        (9, json!({"sku": "C"}), 404),
        (8, json!({"sku": "C", "price": "9.999"}), 422),
        (8, json!({"sku": "C", "price": "50000000000.00"}), 422),
        (8, json!({"sku": ""}), 422),
        (8, json!({"sku": " C"}), 422),
    ] {
        assert_eq!(app.change(id, body.clone()).await.status, status, "{body}");
    }
    assert_eq!(
        (app.entry(8), app.owner("C"), app.owner("B")),
        ("drop".into(), None, None),
        "what is refused takes nothing"
    );
    assert!(app.product_events("product.changed").await.is_empty());
    assert_eq!(app.get("/api/products/8").await.body["name"], "Air");
    app.make(9, json!({"sku": "C"})).await;
}

#[tokio::test]
async fn of_many_who_give_skus_at_the_same_time_one_wins_and_the_event_is_there_once() {
    let app = TestApp::start();
    app.make(7, json!({})).await;
    app.make(8, json!({})).await;
    // Four SKUs for one product, and the same SKU for two.
    let calls = (0..32).map(|n| app.change(7 + n % 2, json!({"sku": format!("S{}", n % 4)})));
    let answers = join_all(calls).await;
    let skus = [7, 8].map(|id| app.entry(id).strip_prefix("drop ").unwrap().to_owned());
    for (n, answer) in answers.iter().enumerate() {
        let wanted = format!("S{}", n % 4);
        let expected = if skus[n % 2] == wanted { 200 } else { 409 };
        assert_eq!(answer.status, expected, "{wanted} for {}: {answer:?}", 7 + n % 2);
    }
    let events = app.product_events("product.changed").await;
    assert_eq!(events.len(), 2, "{events:?}");
    let all: Vec<(String, String)> = app.redis.connect().hgetall("fs1:{:all}:skus").unwrap();
    assert_eq!(all.len(), 2, "no other SKU was taken: {all:?}");
}

#[tokio::test]
async fn after_a_crash_between_two_steps_the_same_call_finishes_it() {
    let app = TestApp::start();
    let mut redis = app.redis.connect();
    for (id, is_logged) in [(7, false), (8, true)] {
        app.make(id, json!({})).await;
        let sku = format!("A{id}");
        if is_logged {
            assert_eq!(app.change(id, json!({"sku": sku})).await.status, 200);
        }
        // As it was after the first step, or after the second.
        let () = redis.hset("fs1:{:all}:products", id, format!("+drop {sku}")).unwrap();
        let () = redis.hset("fs1:{:all}:skus", &sku, id).unwrap();
        let hold = app.post("/api/holds", json!({"sku": sku, "quantity": 1})).await;
        assert_eq!((hold.status, &hold.body["sku"]), (201, &json!(sku)), "it has its SKU already");
        let other = app.change(id, json!({"sku": "other"})).await;
        assert_eq!(other.refusal(), (409, "product_has_sku"));
        let again = app.change(id, json!({"sku": sku})).await;
        assert_eq!((again.status, &again.body["sku"]), (200, &json!(sku)), "{again:?}");
        assert_eq!(app.entry(id), format!("drop {sku}"));
    }
    let events = app.product_events("product.changed").await;
    let changes: Vec<_> = events.iter().map(|event| &event["change"]["sku"]["to"]).collect();
    assert_eq!(changes.len(), 2, "each SKU was logged once: {events:?}");
}

#[tokio::test]
async fn a_sku_that_was_taken_stays_and_is_logged_before_its_product_moves_or_a_change_is_refused() {
    let app = TestApp::start();
    let mut redis = app.redis.connect();
    app.admin(Method::POST, "/api/admin/sales", json!({"id": "other", "name": "Other"})).await;
    for id in [7, 8] {
        app.make(id, json!({})).await;
        // As a crash left it after the first step: workers may remember the SKU.
        let () = redis.hset("fs1:{:all}:products", id, format!("+drop A{id}")).unwrap();
        let () = redis.hset("fs1:{:all}:skus", format!("A{id}"), id).unwrap();
    }
    let moved = app.admin(Method::POST, "/api/admin/products/7/move", json!({"sale": "other"})).await;
    assert_eq!((moved.status, &moved.body["sku"]), (200, &json!("A7")), "{moved:?}");
    let refused = app.change(8, json!({"sku": "A8", "price": "1.001"})).await;
    assert_eq!(refused.status, 422, "{refused:?}");
    assert_eq!((app.entry(7), app.entry(8)), ("other A7".to_owned(), "drop A8".to_owned()));
    let events = app.product_events("product.changed").await;
    let given: Vec<_> = events.iter().map(|event| event["change"]["sku"]["to"].as_str().unwrap()).collect();
    assert_eq!(given, ["A7", "A8"], "{events:?}");
    // What was not taken yet is not taken by a change that is refused.
    app.make(9, json!({})).await;
    for change in [json!({"sku": "A9", "price": "1.001"}), json!({"sku": "A9", "price": "90000000000"})] {
        let refused = app.change(9, change).await;
        assert_eq!((refused.status, app.entry(9), app.owner("A9")), (422, "drop".to_owned(), None), "{refused:?}");
    }
}

#[tokio::test]
async fn a_product_that_gets_a_sku_can_be_moved_and_deleted_from_every_step_and_keeps_it_in_its_events() {
    let app = TestApp::start();
    let mut redis = app.redis.connect();
    app.admin(Method::POST, "/api/admin/sales", json!({"id": "other", "name": "Other"})).await;
    for (id, entry) in [(7, "drop A7"), (8, "+drop A8"), (9, "+drop A9")] {
        app.make(id, json!({})).await;
        assert_eq!(app.change(id, json!({"sku": format!("A{id}")})).await.status, 200);
        let () = redis.hset("fs1:{:all}:products", id, entry).unwrap();
    }
    let moved = app.admin(Method::POST, "/api/admin/products/9/move", json!({"sale": "other"})).await;
    assert_eq!((moved.status, &moved.body["sku"]), (200, &json!("A9")), "{moved:?}");
    assert_eq!(app.change(9, json!({"sku": "A9"})).await.status, 200);
    for id in [7, 8] {
        assert_eq!(app.admin(Method::DELETE, &format!("/api/admin/products/{id}"), json!({})).await.status, 204);
        assert_eq!(app.owner(&format!("A{id}")), None);
    }
    let other = run_service(&app.redis.url(), &[]);
    for address in [app.addr, other.0] {
        let path = format!("http://{address}/api/admin/events?sale=drop");
        let events = app.client.get(path).bearer_auth(ADMIN_TOKEN).ask().await.unwrap();
        let events = Answer::read(events).await.body["data"].clone();
        for event in events.as_array().unwrap().iter().filter(|event| event["product"].is_object()) {
            let sku = format!("A{}", event["product"]["id"]);
            assert_eq!(event["product"]["sku"], json!(sku), "{event}");
        }
    }
    drop(other.1.stop(false));
    other.2.join().unwrap();
    assert_eq!(app.change(7, json!({"sku": "A7"})).await.status, 404);
}

#[tokio::test]
async fn another_service_on_the_same_redis_says_the_new_sku_soon_and_holds_by_it_at_once() {
    let app = TestApp::start();
    app.make(7, json!({})).await;
    let other = run_service(&app.redis.url(), &[]);
    let read = async || {
        let read = app.client.get(format!("http://{}/api/products/7", other.0)).ask().await.unwrap();
        Answer::read(read).await.body["sku"].clone()
    };
    assert_eq!(read().await, Value::Null);
    assert_eq!(app.change(7, json!({"sku": "AIR"})).await.status, 200);
    let hold = app.client.post(format!("http://{}/api/holds", other.0)).json(&json!({"sku": "AIR", "quantity": 1}));
    assert_eq!(Answer::read(hold.ask().await.unwrap()).await.body["product_id"], 7);
    eventually("it looks again", async || read().await == json!("AIR")).await;
    drop(other.1.stop(false));
    other.2.join().unwrap();
}

#[tokio::test]
async fn an_import_gives_a_sku_to_a_product_that_has_none_where_it_updates() {
    let app = TestApp::start();
    app.make(7, json!({})).await;
    app.make(8, json!({"sku": "B"})).await;
    let table =
        "id,sale,name,price,total_stock,sku\n7,drop,Air,50.00,10,A\n8,drop,Air,50.00,10,C\n9,drop,Air,50.00,10,A\n";
    let refused = app.import_table("id,sale,name,price,total_stock,sku\n7,drop,Air,50.00,10,A\n", "").await;
    assert_eq!(refused.body["rows"][0]["differs"], json!(["sku"]), "{refused:?}");
    for (query, word) in [("?update=true&dry_run=true", "would_change"), ("?update=true", "changed")] {
        let rows = app.import_table(table, query).await.body["rows"].clone();
        assert_eq!((&rows[0]["status"], &rows[0]["changed"]), (&json!(word), &json!(["sku"])), "{rows}");
        assert_eq!((&rows[1]["status"], &rows[1]["differs"]), (&json!("failed"), &json!(["sku"])), "{rows}");
        assert_eq!((&rows[2]["status"], &rows[2]["code"]), (&json!("failed"), &json!("already_exists")), "{rows}");
    }
    assert_eq!(app.get("/api/products/by-sku/A").await.body["id"], 7);
}
