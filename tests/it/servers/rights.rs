//! The rights of the service's own user: exactly those that the documentation gives are enough for everything that a shop does.

use std::collections::BTreeSet;

use reqwest::Method;
use serde_json::json;

use super::{
    doctor::doctor,
    shop::{QUICK, Shop},
};
use crate::{
    docs::markdown::Document,
    support::{
        cluster::{Cluster, Sentinels, connect},
        redis::{ServerProcess, newer_server},
    },
};

/// Refusals that the documentation says to expect.
const EXPECTED: [&str; 2] = ["client|setinfo", "config|get"];

/// The words of a rule in the documentation, behind the name of the user: the first is for servers, the second for sentinels.
fn rule(number: usize) -> Vec<String> {
    let document = Document::read("docs/operations.md");
    let blocks = document.blocks();
    let rules =
        blocks.iter().map(|block| block.lines.join(" ")).filter(|text| text.contains(" ACL SETUSER flashsale "));
    let rules: Vec<_> = rules.collect();
    let (_, words) = rules[number].split_once(" flashsale ").unwrap();
    words.split_whitespace().filter(|word| *word != "\\").map(|word| word.trim_matches('\'').to_owned()).collect()
}

/// What the table of the documentation adds for this purpose.
fn more(purpose: &str) -> Vec<String> {
    let document = Document::read("docs/operations.md");
    let rows = document.text.lines().filter(|line| line.starts_with("| ") && line.contains("`+"));
    let row = rows.filter(|line| line.contains(purpose)).map(str::to_owned).next().unwrap();
    let words = row.split('`').skip(1).step_by(2).filter(|word| word.starts_with('+'));
    words.map(|word| word.replace("\\|", "|")).collect()
}

/// The password in a rule.
fn password(rule: &[String]) -> String {
    rule.iter().find_map(|word| word.strip_prefix('>')).unwrap().to_owned()
}

fn make_user(port: u16, rule: &[String]) {
    redis::cmd("ACL").arg("SETUSER").arg("flashsale").arg(rule).exec(&mut connect(port)).unwrap();
}

/// What the server refused to somebody, but for what is expected.
fn refused(port: u16) -> Vec<String> {
    let entries: Vec<std::collections::HashMap<String, redis::Value>> =
        redis::cmd("ACL").arg("LOG").query(&mut connect(port)).unwrap();
    let object = |entry: &std::collections::HashMap<String, redis::Value>| -> String {
        redis::from_redis_value(entry["object"].clone()).unwrap()
    };
    entries.iter().map(object).filter(|object| !EXPECTED.contains(&object.as_str())).collect()
}

/// Everything that a shop does. `sales` are two.
async fn trade(shop: &Shop, sales: &[String]) {
    shop.offer(sales, 100).await;
    let get = async |path: &str| {
        let answer = shop.get(path).await;
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
        answer
    };
    let post = async |path: &str, body: serde_json::Value| {
        let answer = shop.post(path, body).await;
        assert!((200..300).contains(&answer.status), "{path}: {answer:?}");
        answer
    };
    assert_eq!(get("/readyz").await.body["status"], "ready");
    for (product, sale) in (1..).zip(sales) {
        let customer = format!("anna-{product}");
        let hold =
            post("/api/holds", json!({"product_id": product, "quantity": 2, "customer_id": customer})).await.id();
        get(&format!("/api/holds/{hold}")).await;
        let later = shop.post(&format!("/api/holds/{hold}/extend"), json!({"seconds": 900})).await;
        assert!([200, 409].contains(&later.status), "{later:?}");
        assert_eq!(shop.send(Method::DELETE, &format!("/api/holds/{hold}"), None).await.status, 204);
        let hold =
            post("/api/holds", json!({"sku": format!("SKU-{product}"), "quantity": 1, "customer_id": customer})).await;
        let order = post("/api/orders", json!({"hold_id": hold.id()})).await.id();
        get(&format!("/api/admin/customers/{customer}?sale={sale}")).await;
        post(&format!("/api/orders/{order}/payment-started"), json!({})).await;
        for _ in 0..2 {
            let paid = shop.pay(&order, &format!("p{product}")).await;
            assert_eq!(paid.status, 200, "{paid:?}");
        }
        get(&format!("/api/orders/{order}")).await;
        get(&format!("/api/admin/payments/pay-p{product}")).await;
        let cancelled = shop.order(product).await;
        let path = format!("/api/admin/orders/{cancelled}/cancel");
        post(&path, json!({})).await;
        post(&format!("/api/admin/products/{product}/restock"), json!({"delta": 5})).await;
        for (path, change) in [
            (format!("/api/admin/products/{product}"), json!({"name": "New"})),
            (format!("/api/admin/sales/{sale}"), json!({"name": "Renamed"})),
        ] {
            assert_eq!(shop.send(Method::PATCH, &path, Some(change)).await.status, 200, "{path}");
        }
        get(&format!("/api/admin/events?sale={sale}&limit=1000")).await;
        get(&format!("/api/admin/sales/{sale}")).await;
    }
    let spread = json!({"id": 8, "name": "Spread", "price": "5.00", "total_stock": 6, "shards": 2, "max_per_hold": 6});
    post("/api/admin/products", spread).await;
    // The units of both shards.
    post("/api/holds", json!({"product_id": 8, "quantity": 6, "customer_id": "anna"})).await;
    get("/api/products/8").await;
    // Money that names nothing, and the review of it.
    assert_eq!(shop.pay("cart-7", "p9").await.status, 200);
    let reviews = get("/api/admin/reviews").await;
    let review = reviews.body["data"][0]["id"].as_str().unwrap().to_owned();
    post(&format!("/api/admin/reviews/{review}/resolve"), json!({"action": "refund", "note": "sent back"})).await;
    for path in [
        "/api/products",
        "/api/products/1",
        "/api/admin/orders",
        "/api/admin/sales",
        "/api/admin/products",
        "/api/admin/orders/export",
        "/api/admin/orders/export?format=ndjson",
        "/api/admin/events?limit=1000",
        "/api/admin/figures",
    ] {
        get(path).await;
    }
    post("/api/admin/products", json!({"id": 9, "name": "Spare", "price": "1.00", "total_stock": 1, "sale": sales[0]}))
        .await;
    post("/api/admin/products/9/move", json!({"sale": sales[1]})).await;
    assert!(shop.send(Method::DELETE, "/api/admin/products/9", None).await.status < 300);
    shop.audit().await;
    post("/api/admin/audit", json!({})).await;
    let latest = get("/api/admin/events?after=latest").await.body["next_cursor"].as_str().unwrap().to_owned();
    let waits = format!("/api/admin/events?after={latest}&wait=1");
    let (waited, held) = tokio::join!(get(&waits), shop.hold(1));
    assert_eq!((waited.status, held.status), (200, 201));
}

fn two_sales() -> Vec<String> {
    ["rights-1", "rights-2"].map(str::to_owned).to_vec()
}

#[tokio::test]
async fn a_user_with_the_documented_rights_is_enough_for_a_shop_on_one_server() {
    let Some(newer) = newer_server() else { panic!("no Valkey: scripts/bootstrap --tests") };
    let old = ServerProcess::start(&["--appendonly", "yes"]);
    let new = ServerProcess::start_program(&newer, &["--appendonly", "yes"]);
    for (server, payments, purpose) in [(&old, "memory", None), (&new, "fsync", Some("= \"fsync\""))] {
        let rule: Vec<_> = rule(0).into_iter().chain(purpose.into_iter().flat_map(more)).collect();
        let rule: Vec<_> = rule.into_iter().filter(|word| word != "+config|get").collect();
        make_user(server.port, &rule);
        let url = format!("redis://flashsale:{}@127.0.0.1:{}", password(&rule), server.port);
        let shop = Shop::open(&url, &[QUICK[0], QUICK[1], ("DURABILITY__PAYMENTS", payments)]);
        trade(&shop, &two_sales()).await;
        drop(shop);
        assert_eq!(refused(server.port), Vec::<String>::new());
        let (status, printed) = doctor(&[("REDIS__URL", &url), ("DURABILITY__PAYMENTS", payments)]);
        assert_eq!(status, 0, "{printed}");
        assert!(printed.contains("its user may run all") && printed.contains("CONFIG is refused"), "{printed}");
        assert!(!printed.contains(&password(&rule)), "{printed}");
    }
}

#[tokio::test]
async fn a_user_with_the_documented_rights_is_enough_for_a_shop_on_a_cluster() {
    let cluster = Cluster::start(2, 1);
    let rule: Vec<_> = rule(0).into_iter().chain(more("a cluster")).chain(more("replicas:N")).collect();
    cluster.servers.iter().for_each(|server| make_user(server.port, &rule));
    let login = format!("redis-cluster://flashsale:{}@", password(&rule));
    let url = cluster.url().replace("redis-cluster://", &login);
    let shop = Shop::open(&url, &[QUICK[0], QUICK[1], ("DURABILITY__PAYMENTS", "replicas:1")]);
    trade(&shop, &cluster.sale_of_each()).await;
    drop(shop);
    for server in &cluster.servers {
        assert_eq!(refused(server.port), Vec::<String>::new());
    }
    let (status, printed) = doctor(&[("REDIS__URL", &url), ("DURABILITY__PAYMENTS", "replicas:1")]);
    assert_eq!((status, printed.matches("its user may run all").count()), (0, 4), "primaries and replicas: {printed}");
    cluster.check_invariants();
}

#[tokio::test]
async fn users_with_the_documented_rights_are_enough_for_a_shop_with_sentinels() {
    let sentinels = Sentinels::start(1, 3, &[], None);
    let (rule, own) = (rule(0), rule(1));
    sentinels.servers.iter().for_each(|server| make_user(server.port, &rule));
    sentinels.sentinels.iter().for_each(|sentinel| make_user(sentinel.port, &own));
    let url = sentinels.url(&format!("flashsale:{}@", password(&rule)));
    let password = password(&own);
    let settings =
        [QUICK[0], QUICK[1], QUICK[2], ("REDIS__SENTINEL_USER", "flashsale"), ("REDIS__SENTINEL_PASSWORD", &*password)];
    let shop = Shop::open(&url, &settings);
    trade(&shop, &two_sales()).await;
    drop(shop);
    for server in sentinels.servers.iter().chain(&sentinels.sentinels) {
        assert_eq!(refused(server.port), Vec::<String>::new());
    }
    let (status, printed) = doctor(&[&[("REDIS__URL", &*url)][..], &settings].concat());
    assert_eq!(status, 0, "{printed}");
    assert!(printed.contains("all name") && printed.contains("its user may run all"), "{printed}");
    // Users are not replicated, and nobody notices before a fail-over.
    let primary = sentinels.primary();
    let replica = sentinels.servers.iter().find(|server| server.port != primary).unwrap();
    redis::cmd("ACL").arg("DELUSER").arg("flashsale").exec(&mut connect(replica.port)).unwrap();
    let (status, printed) = doctor(&[&[("REDIS__URL", &*url)][..], &settings].concat());
    assert!(status == 1 && printed.contains("users are not replicated"), "{printed}");
}

#[test]
fn the_doctor_names_every_right_that_is_missing() {
    let server = ServerProcess::start(&[]);
    let asks = ["+info", "+script|load", "+evalsha"];
    let rule = rule(0);
    let few: Vec<String> =
        rule.iter().filter(|word| !word.starts_with('+') || asks.contains(&word.as_str())).cloned().collect();
    make_user(server.port, &few);
    let url = format!("redis://flashsale:{}@127.0.0.1:{}", password(&rule), server.port);
    let (status, printed) = doctor(&[("REDIS__URL", &url)]);
    assert_eq!(status, 1, "{printed}");
    let line = printed.lines().find(|line| line.contains("may not run ")).unwrap_or_else(|| panic!("{printed}"));
    let named = line.split("may not run ").nth(1).unwrap().to_lowercase().replace(' ', "|").replace(",|", " ");
    let named: BTreeSet<_> = named.split(' ').map(str::to_owned).collect();
    let given = rule.iter().filter(|word| !asks.contains(&word.as_str())).filter_map(|word| word.strip_prefix('+'));
    assert_eq!(named, given.map(str::to_owned).collect());
    // A pattern that is too narrow, and a password that is wrong.
    let narrow: Vec<_> = rule.iter().map(|word| word.replace("~fs1:*", "~fs1:{*")).collect();
    make_user(server.port, &[vec!["reset".to_owned()], narrow].concat());
    let (status, printed) = doctor(&[("REDIS__URL", &url)]);
    assert!(status == 1 && printed.contains("may not touch the keys"), "{printed}");
    let wrong = format!("redis://flashsale:hunter2@127.0.0.1:{}", server.port);
    let (status, printed) = doctor(&[("REDIS__URL", &wrong)]);
    assert!(status == 1 && printed.contains("correct user and password"), "{printed}");
    assert!(!printed.contains("hunter2"), "{printed}");
}
