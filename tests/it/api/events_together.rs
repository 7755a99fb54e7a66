//! Many readers that wait for events cost Redis what one of them does.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::app::TestApp;

const SALES: u64 = 30;
const ROUNDS: u64 = 12;
const MANY: usize = 40;

/// A service of one worker, and without the sweep, which calls scripts.
async fn shop() -> TestApp {
    let app = TestApp::start_with(&[("HTTP__WORKERS", "1"), ("EVENTS__SWEEP_MS", "0")]);
    for id in 1..=SALES {
        let product = json!({"id": id, "sale": format!("s{id}"), "name": "Item", "price": "1.00", "total_stock": 99});
        app.add_product(product).await;
    }
    app
}

async fn page(app: &TestApp, query: &str) -> Value {
    let answer = app.admin(Method::GET, &format!("/api/admin/events{query}"), json!({})).await;
    assert_eq!(answer.status, 200, "{query}: {answer:?}");
    answer.body
}

fn next(page: &Value) -> String {
    page["next_cursor"].as_str().unwrap().to_owned()
}

/// The cursor of now, and the worker has looked already.
async fn latest(app: &TestApp) -> String {
    let latest = next(&page(app, "?after=latest").await);
    next(&page(app, &format!("?wait=1&after={latest}")).await)
}

async fn order(app: &TestApp, product: u64) -> String {
    let hold = app.post("/api/holds", json!({"product_id": product, "quantity": 1})).await.id();
    app.order(&hold).await.id()
}

/// How often Redis read logs, asked for their last events, and called scripts.
fn calls(app: &TestApp) -> [u64; 3] {
    ["xread", "xrevrange", "evalsha"].map(|command| app.calls_of(command))
}

/// The most looks that a worker makes in this time.
fn looks_since(began: Instant) -> u64 {
    u64::try_from(began.elapsed().as_millis() / Duration::from_millis(200).as_millis()).unwrap() + 2
}

#[tokio::test]
async fn readers_who_have_seen_all_events_of_a_quiet_shop_read_no_log() {
    let app = shop().await;
    let start = latest(&app).await;
    for readers in [1, MANY] {
        let (before, began) = (calls(&app), Instant::now());
        // No two want the same.
        let wait = (1..=readers).map(async |limit| {
            for _ in 0..3 {
                let empty = page(&app, &format!("?wait=1&limit={limit}&after={start}")).await;
                assert_eq!((&empty["data"], next(&empty)), (&json!([]), start.clone()));
            }
        });
        join_all(wait).await;
        let [xread, xrevrange, evalsha] = calls(&app);
        let (looks, reads) = (looks_since(began), xread - before[0]);
        assert!(reads <= looks * app.redis.reads_of(SALES), "{reads} reads in {looks} looks for {readers} readers");
        assert_eq!([xrevrange, evalsha], before[1..], "{readers}");
    }
}

#[tokio::test]
async fn readers_of_a_busy_shop_share_one_page_for_each_look() {
    let app = shop().await;
    let mut cursor = latest(&app).await;
    for readers in [1, MANY] {
        let (before, began) = (calls(&app), Instant::now());
        for round in 1..=ROUNDS {
            let query = format!("?wait=30&after={cursor}");
            let read = join_all((0..readers).map(|_| page(&app, &query)));
            let (pages, order) = tokio::join!(read, order(&app, round));
            assert_eq!(pages[0]["data"][0]["order"]["id"], json!(order));
            assert_eq!(pages[0]["data"].as_array().unwrap().len(), 1);
            assert!(pages.iter().all(|page| *page == pages[0]), "{pages:?}");
            cursor = next(&pages[0]);
        }
        let [xread, xrevrange, evalsha] = calls(&app);
        let bound = looks_since(began) * app.redis.reads_of(SALES) + ROUNDS;
        assert!(xread - before[0] <= bound, "{} reads, not {bound}, for {readers} readers", xread - before[0]);
        assert_eq!(xrevrange, before[1], "a look has read the ends");
        assert_eq!(evalsha - before[2], 2 * ROUNDS, "holds and orders");
    }
}

#[tokio::test]
async fn a_reader_that_comes_after_a_look_gets_what_happened_since_its_cursor_and_nothing_twice() {
    let app = shop().await;
    let mut cursor = latest(&app).await;
    let mut seen = Vec::new();
    let mut orders = Vec::new();
    for round in 0..20 {
        // Sometimes before the reader begins to wait, and always so that a look sees only a part of them.
        for product in 1..=1 + round % 4 {
            orders.push(order(&app, product).await);
        }
        let query = format!("?wait=30&limit=3&after={cursor}");
        let (page, order) = tokio::join!(page(&app, &query), order(&app, 9));
        orders.push(order);
        seen.extend(page["data"].as_array().unwrap().clone());
        assert_eq!(page["missing"], json!([]));
        cursor = next(&page);
    }
    while seen.len() < orders.len() {
        let page = page(&app, &format!("?wait=30&limit=3&after={cursor}")).await;
        seen.extend(page["data"].as_array().unwrap().clone());
        cursor = next(&page);
    }
    let mut seen: Vec<_> = seen.iter().map(|event| event["order"]["id"].as_str().unwrap().to_owned()).collect();
    seen.sort_unstable();
    orders.sort_unstable();
    assert_eq!(seen, orders);
}

#[tokio::test]
async fn a_log_that_is_emptied_or_loses_its_end_is_missed_by_those_who_wait_and_by_those_who_come() {
    let app = shop().await;
    let mut redis = app.redis.connect();
    for sale in ["", "&sale=s1"] {
        let start = next(&page(&app, &format!("?after=latest{sale}")).await);
        let query = format!("?wait=30&after={start}{sale}");
        let (first, _) = tokio::join!(page(&app, &query), order(&app, 1));
        let empty = async {
            redis::cmd("XTRIM").arg("fs1:{s1}:events").arg("MAXLEN").arg(0).exec(&mut redis).unwrap();
        };
        let query = format!("?wait=30&after={}{sale}", next(&first));
        let (waited, ()) = tokio::join!(page(&app, &query), empty);
        let came = page(&app, &query).await;
        for lost in [&waited, &came] {
            assert_eq!((&lost["data"], &lost["missing"]), (&json!([]), &json!(["s1"])), "{query}");
        }
        let query = format!("?wait=30&after={}{sale}", next(&waited));
        let (after, order) = tokio::join!(page(&app, &query), order(&app, 1));
        assert_eq!(after["data"][0]["order"]["id"], json!(order));
    }
}
