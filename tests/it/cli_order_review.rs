//! `flashsale order`, `flashsale review` and `flashsale payment` against a running service.

use std::path::Path;

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    app::{ADMIN_TOKEN, TestApp},
    commands::{all_fail, done, flashsale, json_of, program, status_and_stderr},
    process::command,
};

/// Width that lists fit.
const COLUMNS_MAX: usize = 100;

/// Runs a command whose last argument has blanks.
fn with_note(app: &TestApp, arguments: &str, note: &str) -> std::process::Output {
    program(app).args(arguments.split(' ')).args(["--note", note]).output().unwrap()
}

/// The rest of the line of a sheet that begins with this name.
fn fact<'a>(sheet: &'a str, name: &str) -> &'a str {
    let line = sheet.lines().find_map(|line| line.trim_start().strip_prefix(name)?.strip_prefix("  "));
    line.unwrap_or_else(|| panic!("{name} in {sheet}")).trim()
}

impl TestApp {
    /// Sends an event about an order that must be taken. Gives the id of the review that it opened or changed.
    async fn event(&self, status: &str, order: &str, payment: &str, more: Value) -> String {
        let mut payload = json!({"status": status, "order_id": order, "payment_id": payment, "currency": "USD"});
        for (name, value) in more.as_object().unwrap() {
            payload[name] = value.clone();
        }
        let answer = self.pay(&format!("{status}-{payment}-{more}"), payload).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.body["review"]["id"].as_str().unwrap_or("").to_owned()
    }

    async fn admin_get(&self, path: &str) -> Value {
        let answer = self.send(self.request(Method::GET, path).bearer_auth(ADMIN_TOKEN)).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.body
    }

    async fn status_of(&self, order: &str) -> String {
        self.get(&format!("/api/orders/{order}")).await.body["status"].as_str().unwrap().to_owned()
    }
}

#[tokio::test]
async fn a_wrong_amount_is_found_understood_and_accepted_without_curl() {
    let app = TestApp::selling(5).await;
    assert_eq!(done(&app, "review list"), "no reviews here\n");
    let order = app.ordered().await;
    let review = app.event("paid", &order, "pi_1", json!({"amount": "49.00"})).await;

    let listed = done(&app, "review list");
    let lines: Vec<Vec<&str>> = listed.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["ID", "REASON", "AMOUNT", "EXPECTED", "OPENED"]);
    assert_eq!(lines[1][..6], [&review, "amount_mismatch", "49.00", "USD", "50.00", "USD"]);
    assert!(listed.lines().all(|line| line.chars().count() <= COLUMNS_MAX), "{listed}");

    let shown = done(&app, &format!("review show {review}"));
    assert!(shown.starts_with(&format!("review {review}: open\n")), "{shown}");
    assert!(fact(&shown, "reason").starts_with("amount_mismatch: what was captured is not what"), "{shown}");
    assert_eq!(
        ["captured", "expected", "payment", "order"].map(|name| fact(&shown, name)),
        ["49.00 USD", "50.00 USD", "pi_1", &order]
    );
    assert!(shown.contains(&format!("flashsale review accept {review} --note")), "{shown}");
    assert_ne!(fact(&shown, "deadline"), "-");
    assert!(shown.lines().all(|line| line.chars().count() <= COLUMNS_MAX), "{shown}");

    let accepted = with_note(&app, &format!("review accept {review}"), "a coupon of ours");
    assert_eq!(status_and_stderr(&accepted), (0, String::new()));
    assert_eq!(String::from_utf8_lossy(&accepted.stdout), format!("review {review}: resolved, accept\n"));
    assert_eq!((app.status_of(&order).await.as_str(), app.stock(1).await.as_str()), ("paid", "4 available, 1 sold"));
    let resolved = done(&app, "review list --status resolved --sale p1");
    assert!(
        resolved.lines().nth(1).is_some_and(|line| line.starts_with(&review) && line.ends_with("  accept")),
        "{resolved}"
    );
    let shown = done(&app, &format!("review show {review}"));
    assert_eq!([fact(&shown, "action"), fact(&shown, "note")], ["accept", "a coupon of ours"]);
    assert!(!shown.contains("to do"), "{shown}");
    assert_eq!(done(&app, "review list --status open"), "no reviews here\n");
}

#[tokio::test]
async fn a_list_of_reviews_says_what_went_back_where_something_did() {
    let app = TestApp::selling(5).await;
    let (less, part) = (app.ordered().await, app.ordered().await);
    let less = app.event("paid", &less, "pi_1", json!({"amount": "49.00"})).await;
    assert!(!done(&app, "review list").contains("REFUNDED"));
    app.event("paid", &part, "pi_2", json!({"amount": "50.00"})).await;
    let part = app.event("refunded", &part, "pi_2", json!({"amount": "20.00"})).await;
    let listed = done(&app, "review list");
    let lines: Vec<Vec<&str>> = listed.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["ID", "REASON", "AMOUNT", "REFUNDED", "EXPECTED", "OPENED"]);
    assert_eq!(lines[1][..6], [&less, "amount_mismatch", "49.00", "USD", "-", "50.00"]);
    assert_eq!(lines[2][..6], [&part, "partial_refund", "50.00", "USD", "20.00", "50.00"]);
    assert!(listed.lines().all(|line| line.chars().count() <= COLUMNS_MAX), "{listed}");
}

#[tokio::test]
async fn a_refund_ends_the_order_and_says_that_no_money_was_moved() {
    let app = TestApp::selling(5).await;
    let order = app.ordered().await;
    let review = app.event("paid", &order, "pi_1", json!({"amount": "49.00"})).await;
    let refunded = with_note(&app, &format!("review refund {review}"), "sent back");
    let (status, stderr) = status_and_stderr(&refunded);
    assert!(status == 0 && stderr.contains("moves no money"), "{stderr}");
    assert_eq!(String::from_utf8_lossy(&refunded.stdout), format!("review {review}: resolved, refund\n"));
    assert_eq!((app.status_of(&order).await.as_str(), app.stock(1).await.as_str()), ("refund_required", "5 available"));
}

#[tokio::test]
async fn a_second_payment_is_dismissed_and_a_decision_is_made_once() {
    let app = TestApp::selling(5).await;
    let order = app.ordered().await;
    app.event("paid", &order, "pi_1", json!({"amount": "50.00"})).await;
    let review = app.event("paid", &order, "pi_2", json!({"amount": "50.00"})).await;
    let cannot: &[&str] = &["409 payment_not_acceptable", "other money pays it"];
    all_fail(&app, &[(&format!("review accept {review} --note no"), 1, cannot)]);
    let dismissed = format!("review dismiss {review} --note refunded");
    for _again in 0..2 {
        assert_eq!(done(&app, &dismissed), format!("review {review}: resolved, dismiss\n"));
    }
    for other in ["refund {} --note refunded", "dismiss {} --note otherwise"] {
        let refused: &[&str] = &["409 review_resolved", "resolved before, by dismiss"];
        all_fail(&app, &[(&format!("review {}", other.replace("{}", &review)), 1, refused)]);
    }
    assert_eq!(app.status_of(&order).await, "paid");

    let gone = app.ordered().await;
    done(&app, &format!("order cancel {gone}"));
    let late = app.event("paid", &gone, "pi_3", json!({"amount": "50.00"})).await;
    assert!(fact(&done(&app, &format!("review show {late}")), "reason").starts_with("order_cancelled: "));
    done(&app, "product restock 1 --delta -4");
    all_fail(&app, &[(&format!("review accept {late} --note x"), 1, &["409 units_gone", "restock"])]);
    done(&app, "product restock 1 --delta 1");
    assert_eq!(
        done(&app, &format!("review accept {late} --note restocked")),
        format!("review {late}: resolved, accept\n")
    );
    assert_eq!(app.status_of(&gone).await, "paid");
}

#[tokio::test]
async fn an_order_is_shown_with_what_is_known_of_each_payment() {
    let app = TestApp::selling(5).await;
    let hold = app.post("/api/holds", json!({"product_id": 1, "quantity": 2, "customer_id": "anna"})).await.id();
    let order = app.order(&hold).await.id();
    app.event("declined", &order, "pi_1", json!({})).await;
    app.event("processing", &order, "pi_2", json!({})).await;
    let pending = done(&app, &format!("order show {order}"));
    assert!(pending.starts_with(&format!("order {order}: pending\n")), "{pending}");
    assert!(
        fact(&pending, "in flight").starts_with("yes") && fact(&pending, "declined").starts_with("yes"),
        "{pending}"
    );
    app.event("paid", &order, "pi_3", json!({"amount": "100.00"})).await;
    app.event("cancelled", &order, "pi_2", json!({})).await;
    app.event("refunded", &order, "pi_3", json!({"amount": "10.00", "refund_id": "re_1"})).await;
    app.event("refunded", &order, "pi_3", json!({"amount": "5.00", "refund_id": "re_2"})).await;
    app.event("refund_failed", &order, "pi_3", json!({"amount": "5.00", "refund_id": "re_2"})).await;
    app.event("disputed", &order, "pi_3", json!({"amount": "100.00"})).await;

    let shown = done(&app, &format!("order show {order}"));
    let named = ["sale", "customer", "hold", "total", "items"].map(|name| fact(&shown, name));
    assert_eq!(named, ["p1", "anna", &hold, "100.00 USD", "2 of product 1 at 50.00 USD"]);
    let payments: Vec<&str> = shown.split("\n\npayment ").skip(1).collect();
    let of = |id: &str| *payments.iter().find(|text| text.starts_with(id)).unwrap_or_else(|| panic!("{id} in {shown}"));
    assert!(of("pi_1\n").contains("declined") && of("pi_2\n").contains("ended"), "{shown}");
    assert!(!of("pi_2\n").contains("in flight"), "{shown}");
    let paying = of("pi_3: pays the order\n");
    let expected = ["100.00 USD", "10.00 USD", "open", "10.00 USD, re_1"];
    assert_eq!(["captured", "refunded", "dispute", "refund"].map(|name| fact(paying, name)), expected);
    assert!(paying.contains("5.00 USD, re_2, failed"), "{shown}");
    assert!(
        fact(paying, "heard").contains("Z paid, paid-pi_3-") && paying.contains("Z disputed, disputed-pi_3-"),
        "{shown}"
    );
    assert_eq!(
        json_of(&app, &format!("order show {order} --json")),
        app.admin_get(&format!("/api/admin/orders/{order}")).await
    );
}

#[tokio::test]
async fn a_payment_leads_to_its_order_and_all_its_reviews() {
    let app = TestApp::selling(5).await;
    let order = app.ordered().await;
    let money = app.event("paid", &order, "pi 1/ä?", json!({"amount": "49.00"})).await;
    assert_ne!(money, "", "an id that is odd opens a review too");
    let order = app.ordered().await;
    app.event("paid", &order, "pi_2", json!({"amount": "50.00"})).await;
    assert!(done(&app, "payment show pi_2").starts_with("payment pi_2: no review\n\norder "));
    let part = app.event("refunded", &order, "pi_2", json!({"amount": "10.00"})).await;
    let dispute = app.event("disputed", &order, "pi_2", json!({"amount": "50.00"})).await;
    let shown = done(&app, "payment show pi_2");
    assert!(shown.starts_with(&format!("payment pi_2: its order and its reviews\n\norder {order}: paid\n")), "{shown}");
    for (id, reason) in [(&part, "partial_refund"), (&dispute, "disputed")] {
        let sheet = shown.split(&format!("review {id}: open\n")).nth(1).unwrap_or_else(|| panic!("{id} in {shown}"));
        assert!(fact(sheet, "reason").starts_with(&format!("{reason}: ")), "{shown}");
    }
    assert_eq!(json_of(&app, "payment show pi_2 --json"), app.admin_get("/api/admin/payments/pi_2").await);
    app.event("paid", "order_of_another_shop", "pi_3", json!({"amount": "5.00"})).await;
    let foreign = done(&app, "payment show pi_3");
    assert!(foreign.starts_with("payment pi_3: no order\n\nreview review_p0_"), "{foreign}");
    assert!(foreign.contains("unmatched: ") && !foreign.contains("review accept"), "{foreign}");
    assert_eq!(fact(&foreign, "named"), "order_of_another_shop");
    all_fail(&app, &[("payment show pi_none", 1, &["404 payment_not_found"])]);
}

#[tokio::test]
async fn orders_are_listed_by_status_and_sale_over_all_pages_and_cancelled() {
    let app = TestApp::selling(300).await;
    assert_eq!(done(&app, "order list"), "no orders here\n");
    let mut orders = Vec::new();
    for number in 0..103 {
        let customer = format!("a-customer-with-a-long-id-{number}");
        let hold = app.post("/api/holds", json!({"product_id": 1, "quantity": 1, "customer_id": customer})).await.id();
        orders.push(app.order(&hold).await.id());
    }
    let cancelled = format!("order {}: cancelled\n", orders[7]);
    for _again in 0..2 {
        assert_eq!(done(&app, &format!("order cancel {}", orders[7])), cancelled);
    }
    app.event("paid", &orders[8], "pi_1", json!({"amount": "50.00"})).await;
    all_fail(&app, &[(&format!("order cancel {}", orders[8]), 1, &["409 order_not_cancellable"])]);

    let listed = done(&app, "order list --sale p1");
    assert_eq!(listed.lines().count(), 104);
    assert!(listed.lines().all(|line| line.chars().count() <= COLUMNS_MAX), "{listed}");
    let seventh = listed.lines().find(|line| line.starts_with(&orders[7])).unwrap();
    let words: Vec<&str> = seventh.split_whitespace().collect();
    assert_eq!((words[1], words[2], words[3], words[6]), ("cancelled", "50.00", "USD", "a-customer-…"));
    let ids = |list: &Value| -> Vec<String> {
        list["data"].as_array().unwrap().iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect()
    };
    let whole = json_of(&app, "order list --json");
    assert_eq!((ids(&whole), &whole["next_cursor"]), (orders.clone(), &Value::Null));
    let most = json_of(&app, "order list --limit 102 --json");
    assert_eq!((ids(&most), most["next_cursor"].is_null()), (orders[..102].to_vec(), false));
    assert_eq!(ids(&json_of(&app, "order list --limit 2 --json")), orders[..2]);
    assert_eq!(ids(&json_of(&app, "order list --status cancelled --json")), [orders[7].clone()]);
    assert_eq!(ids(&json_of(&app, "order list --status paid --sale p1 --json")), [orders[8].clone()]);
    assert_eq!(
        json_of(&app, &format!("order cancel {} --json", orders[7])),
        app.get(&format!("/api/orders/{}", orders[7])).await.body
    );
}

#[tokio::test]
async fn what_cannot_be_done_changes_nothing_and_says_why() {
    let app = TestApp::selling(5).await;
    let order = app.ordered().await;
    let review = app.event("paid", &order, "pi_1", json!({"amount": "49.00"})).await;
    all_fail(
        &app,
        &[
            ("order show order_x", 1, &["404 order_not_found"]),
            ("order cancel no/such?order", 1, &["404 order_not_found"]),
            ("order list --status sold", 2, &["possible values: pending, in_review, paid"]),
            ("order list --sale nosuch", 1, &["404 sale_not_found"]),
            ("order list --limit 0", 2, &["from 1 to 1000000"]),
            ("review show review_x", 1, &["404 review_not_found"]),
            ("review list --status closed", 2, &["possible values: open, resolved"]),
            (&format!("review accept {review}"), 2, &["--note <TEXT>"]),
            (&format!("review accept {review} --note \u{7}"), 1, &["note must be 1 to 1000 characters"]),
            ("review dismiss review_p1_aaaaaaaaaaaaaaaaam00 --note x", 1, &["404 review_not_found"]),
            (&format!("review dismiss {review} --note x --url http://127.0.0.1:1"), 2, &["does not answer"]),
        ],
    );
    let refused = flashsale(&app, "review show review_x --json");
    let problem: Value = serde_json::from_slice(&refused.stdout).unwrap();
    assert_eq!((refused.status.code(), &problem["code"]), (Some(1), &json!("review_not_found")));
    let empty = program(&app).args(["review", "dismiss", &review, "--note", ""]).output().unwrap();
    let (status, stderr) = status_and_stderr(&empty);
    assert!(status == 2 && stderr.contains("is a variable of the shell unset?"), "{stderr}");
    assert_eq!(app.status_of(&order).await, "in_review");
    let open = json_of(&app, "review list --json");
    assert_eq!(open["data"][0], json_of(&app, &format!("review show {review} --json")));
}

#[test]
fn help_of_orders_reviews_and_payments_teaches_with_examples() {
    for arguments in [
        "order",
        "order list",
        "order show",
        "order cancel",
        "review",
        "review list",
        "review show",
        "review accept",
        "review refund",
        "review dismiss",
        "payment",
        "payment show",
    ] {
        let output = command(Path::new("unused")).args(arguments.split(' ')).arg("--help").output().unwrap();
        let help = String::from_utf8(output.stdout).unwrap();
        let examples = help.split("Example").nth(1).unwrap_or_else(|| panic!("no example in {help}"));
        assert!(examples.contains(&format!("flashsale {arguments}")), "{help}");
        assert!(help.contains("--token") && help.contains("FLASHSALE_URL") && help.contains("--json"), "{help}");
        assert!(help.lines().all(|line| line.chars().count() <= COLUMNS_MAX), "{help}");
    }
}
