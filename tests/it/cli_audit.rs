//! `flashsale audit` against a running service.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    app::TestApp,
    commands::{all_fail, done, flashsale, json_of, status_and_stderr},
    stock,
};

#[tokio::test]
async fn an_audit_lists_what_differs_and_its_exit_status_says_so() {
    let app = TestApp::selling(10).await;
    app.held().await;
    let sound = done(&app, "audit");
    let expected = "\
SALE  PRODUCTS  HOLDS  ORDERS  CUSTOMERS  LOOKED AT  DIFFERENCES
p1           1      1       0          0  at rest              0

1 sale audited: all is as the records say.
";
    assert_eq!(sound, expected);
    stock::add(&mut app.redis.connect(), "fs1:{p1}:stock", 1, "sold", 2);
    let output = flashsale(&app, "audit --sale p1");
    assert_eq!(status_and_stderr(&output), (1, String::new()));
    let printed = String::from_utf8(output.stdout).unwrap();
    let rows: Vec<Vec<&str>> = printed.lines().map(|line| line.split_whitespace().collect()).collect();
    assert!(rows.contains(&vec!["p1", "sold", "product", "1", "2", "0", "yes"]), "{printed}");
    assert!(printed.contains("1 difference. `flashsale audit --repair`"), "{printed}");
    let repaired = done(&app, "audit --repair");
    assert!(repaired.contains("Repaired:\n") && repaired.ends_with("all is as the records say.\n"), "{repaired}");
    assert_eq!(app.stock(1).await, "9 available, 1 held");
    assert_eq!(json_of(&app, "audit --json"), app.admin(Method::GET, "/api/admin/audit", Value::Null).await.body);
}

#[tokio::test]
async fn an_audit_that_cannot_repair_or_ask_says_what_to_do() {
    let app = TestApp::selling(1).await;
    let hold = app.held().await;
    app.pay("a", json!({"status": "paid", "hold_id": hold})).await;
    let mut redis = app.redis.connect();
    for (counter, units) in [("sold", 0), ("available", 1)] {
        stock::set(&mut redis, "fs1:{p1}:stock", 1, counter, units);
    }
    let oversold = app.held().await;
    let output = flashsale(&app, "audit --repair");
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stdout).contains("None of it can be repaired"), "{output:?}");
    app.delete(&format!("/api/holds/{oversold}")).await;
    assert!(done(&app, "audit --repair").contains("Repaired:"));
    let cases: [(&str, i32, &[&str]); 3] = [
        ("audit --sale nobody", 1, &["sale_not_found"]),
        ("audit --token wrong", 1, &["401 unauthorized"]),
        ("audit --url http://127.0.0.1:1", 2, &["does not answer"]),
    ];
    all_fail(&app, &cases);
}
