//! A Redis that loses everything, or becomes another one, under a running service.

use std::{fs::File, process::Stdio};

use redis::Commands;
use serde_json::json;

use super::{Caller, Service, connect, free_addr, redis, restored, snapshot};
use crate::support::{eventually, process::command, redis::signal_process};

#[tokio::test]
async fn a_service_whose_redis_was_emptied_says_so_and_loses_no_payment() {
    let redis = redis();
    let service = Service::on(&redis);
    service.add(1, None).await;
    let order = service.ordered(1).await;
    ::redis::cmd("FLUSHALL").exec(&mut connect(&redis)).unwrap();
    // Nothing looked at Redis since: what comes first is not acknowledged, whatever it is.
    let foreign = service.pay("order_of_another_shop", "pi_9").await;
    assert_eq!(foreign.refusal(), (503, "store_replaced"), "{foreign:?}");
    let refused = service.pay(&order, "pi_1").await;
    assert_eq!(refused.refusal(), (503, "store_replaced"), "it comes again: {refused:?}");
    assert_eq!(refused.headers["retry-after"], "5");
    let ready = service.get("/readyz").await;
    assert_eq!(ready.refusal(), (503, "store_replaced"));
    let detail = ready.body["detail"].as_str().unwrap();
    assert!(detail.contains("it was emptied") && detail.contains("restart"), "{detail}");
    assert_eq!(service.get("/livez").await.status, 200);
    for answer in [
        service.get("/api/admin/audit").await,
        service.post("/api/admin/audit", json!({})).await,
        service.hold(1).await,
        service.get("/api/products/1").await,
        service.get(&format!("/api/orders/{order}")).await,
        service.post("/api/orders", json!({"hold_id": "hold_p1_x"})).await,
        service.post("/api/admin/products", json!({"id": 1, "name": "n", "price": "1", "total_stock": 1})).await,
        service.get("/api/admin/events").await,
        service.get("/api/admin/orders").await,
    ] {
        assert!(
            [(503, "store_replaced"), (404, "order_not_found"), (404, "hold_not_found")].contains(&answer.refusal()),
            "{answer:?}"
        );
    }
    let fresh = Service::on(&redis);
    assert_eq!(fresh.get("/readyz").await.status, 200, "a service that starts now begins with an empty store");
    assert_eq!(fresh.pay(&order, "pi_1").await.body["outcome"], "unmatched");
    assert_eq!(fresh.reviews().await, [("pi_1".to_owned(), "unmatched".to_owned())]);
    let detail = service.get("/readyz").await.body["detail"].as_str().unwrap().to_owned();
    assert!(detail.contains("secret") && detail.contains("another"), "{detail}");
    assert_eq!(fresh.get("/api/admin/audit").await.body["ok"], true);
}

#[tokio::test]
async fn a_redis_that_is_emptied_while_nobody_asks_is_noticed_and_logged_once() {
    let (redis, folder) = (redis(), tempfile::TempDir::with_prefix("fs").unwrap());
    let (log, addr) = (folder.path().join("log"), free_addr());
    let mut program = command(folder.path());
    program.env("FLASHSALE_REDIS__URL", redis.url()).env("FLASHSALE_WEBHOOK__ALLOW_UNSIGNED", "true");
    program.args(["serve", "--addr", &addr.to_string()]).stdout(Stdio::null()).stderr(File::create(&log).unwrap());
    let mut process = program.spawn().unwrap();
    let service = Caller::of(addr);
    let status = async |service: &Caller| {
        let answer = service.try_call(reqwest::Method::GET, "/readyz", &serde_json::Value::Null).await;
        answer.map_or(0, |answer| answer.status)
    };
    eventually("it is ready", async || status(&service).await == 200).await;
    let lines = |word: &str| std::fs::read_to_string(&log).unwrap().lines().filter(|line| line.contains(word)).count();
    let keys: Vec<String> = connect(&redis).keys("*").unwrap();
    let values: Vec<(String, String)> = keys
        .iter()
        .filter(|key| *key != "fs1:{:all}:swept")
        .map(|key| (key.clone(), connect(&redis).get(key).unwrap()))
        .collect();
    ::redis::cmd("FLUSHALL").exec(&mut connect(&redis)).unwrap();
    eventually("the log says so", async || lines("it was emptied") == 1).await;
    for _ in 0..5 {
        assert_eq!(service.hold(1).await.refusal(), (503, "store_replaced"));
    }
    assert_eq!((lines("ERROR"), lines("store_replaced")), (1, 0), "{}", std::fs::read_to_string(&log).unwrap());
    connect(&redis).mset::<_, _, ()>(&values).unwrap();
    eventually("the log says that it is back", async || lines("again the one") == 1).await;
    assert_eq!(service.hold(1).await.refusal(), (404, "product_not_found"));
    assert_eq!(status(&service).await, 200);
    signal_process(process.id(), "TERM");
    assert!(process.wait().unwrap().success());
}

#[tokio::test]
async fn a_redis_with_the_data_of_another_service_is_not_used_before_a_restart() {
    let other = redis();
    let other_service = Service::on(&other);
    other_service.add(1, None).await;
    let order = other_service.ordered(1).await;
    let other_snapshot = snapshot(&other);
    let redis = redis();
    let service = Service::on(&redis);
    service.add(1, None).await;
    let ours = service.ordered(1).await;
    let redis = restored(redis, &other_snapshot);
    eventually("it is noticed", async || service.get("/readyz").await.refusal() == (503, "store_replaced")).await;
    assert_eq!(service.hold(1).await.refusal(), (503, "store_replaced"));
    assert_eq!(service.pay(&ours, "pi_1").await.refusal(), (503, "store_replaced"));
    let restarted = Service::on(&redis);
    assert_eq!(restarted.pay(&order, "pi_2").await.body["outcome"], "applied");
    assert_eq!(restarted.pay(&ours, "pi_1").await.body["outcome"], "unmatched");
    assert_eq!(restarted.get("/api/admin/audit").await.body["ok"], true);
}

#[tokio::test]
async fn a_new_sale_does_not_go_into_a_redis_that_was_just_emptied() {
    let redis = redis();
    let service = Service::on(&redis);
    ::redis::cmd("FLUSHALL").exec(&mut connect(&redis)).unwrap();
    let refused = service.post("/api/admin/sales", json!({"id": "drop"})).await;
    assert_eq!(refused.refusal(), (503, "store_replaced"));
    let keys: Vec<String> = connect(&redis).keys("*sale*").unwrap();
    assert_eq!(keys, Vec::<String>::new(), "a restart begins with an empty store");
}

#[test]
fn a_redis_that_has_data_and_lost_the_secret_is_refused() {
    let redis = redis();
    drop(Service::on(&redis));
    connect(&redis).sadd::<_, _, ()>("fs1:{:all}:sales", "drop").unwrap();
    for gone in ["fs1:{:all}:secret", "fs1:{:all}:schema"] {
        connect(&redis).del::<_, ()>(gone).unwrap();
        let message = crate::topology::refusal_with(&redis.url(), &[]);
        assert!(message.contains("fs1:{:all}:secret") && message.contains("backup"), "{message}");
    }
    let secret: Option<String> = connect(&redis).get("fs1:{:all}:secret").unwrap();
    assert_eq!(secret, None, "a new one would disown all ids");
}
