//! Readers of the same list at the same time share the calls to Redis.

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::app::{ADMIN_TOKEN, TestApp};

const READERS: usize = 60;

impl TestApp {
    /// How often Redis ran this command.
    pub fn calls_of(&self, command: &str) -> u64 {
        let stats: String = redis::cmd("INFO").arg("commandstats").query(&mut self.redis.connect()).unwrap();
        let line = stats.lines().find_map(|line| line.strip_prefix(&format!("cmdstat_{command}:calls=")));
        line.and_then(|line| line.split(',').next()).map_or(0, |count| count.parse().unwrap())
    }

    /// All these requests come while Redis keeps everybody waiting.
    async fn read_together(&self, path: &str) -> Vec<Value> {
        redis::cmd("CLIENT").arg("PAUSE").arg(500).arg("ALL").exec(&mut self.redis.connect()).unwrap();
        let read = (0..READERS).map(|_| self.send(self.request(Method::GET, path).bearer_auth(ADMIN_TOKEN)));
        join_all(read)
            .await
            .into_iter()
            .map(|answer| {
                assert_eq!(answer.status, 200, "{answer:?}");
                answer.body
            })
            .collect()
    }
}

#[tokio::test]
async fn readers_of_one_list_share_a_script_call_however_many_ask() {
    let app = TestApp::start();
    for id in 1..=3 {
        let product = json!({"id": id, "name": "Item", "price": "50.00", "total_stock": 5, "sale": "drop"});
        app.add_product(product).await;
    }
    for path in ["/api/products", "/api/products?sale=drop", "/api/products?ids=1,3", "/api/admin/products?limit=2"] {
        let expected = app.send(app.request(Method::GET, path).bearer_auth(ADMIN_TOKEN)).await.body;
        let before = app.calls_of("evalsha") + app.calls_of("hgetall");
        for list in app.read_together(path).await {
            assert_eq!(list, expected);
        }
        let calls = app.calls_of("evalsha") + app.calls_of("hgetall") - before;
        assert!(calls <= READERS as u64 / 3, "{calls} calls for {READERS} readers of {path}");
    }
}

#[tokio::test]
async fn a_list_shows_what_was_decided_before_it_was_asked_for_however_many_read_it() {
    let app = TestApp::selling(1_000).await;
    for held in 1..=20 {
        assert_eq!(app.hold(1).await.status, 201);
        for list in join_all((0..8).map(|_| app.get("/api/products"))).await {
            assert_eq!(list.body["data"][0]["held_stock"], held);
        }
    }
}

#[tokio::test]
async fn readers_of_the_same_events_share_their_reads() {
    let app = TestApp::selling(10).await;
    app.ordered().await;
    let path = "/api/admin/events?limit=1000";
    let expected = app.admin(Method::GET, path, json!({})).await.body;
    let before = app.calls_of("xread");
    for page in app.read_together(path).await {
        assert_eq!(page, expected);
    }
    let calls = app.calls_of("xread") - before;
    assert!(calls <= READERS as u64 / 3, "{calls} reads for {READERS} readers");
}
