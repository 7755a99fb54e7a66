//! The event log backwards: GET /api/admin/events?before=.

use reqwest::Method;
use serde_json::{Value, json};

use super::{
    desk::ask,
    spread::{hold_of, spread_with},
};
use crate::support::app::{Answer, TestApp};

async fn list(app: &TestApp, query: &str) -> Answer {
    let answer = ask(app, &format!("/api/admin/events?{query}")).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer
}

fn rows(answer: &Answer) -> Vec<Value> {
    answer.body["data"].as_array().unwrap().clone()
}

/// All events, the newest first, page by page.
async fn back(app: &TestApp, limit: usize, filter: &str) -> Vec<Value> {
    let (mut all, mut before) = (Vec::new(), "latest".to_owned());
    loop {
        let page = list(app, &format!("before={before}&limit={limit}{filter}")).await;
        let came = rows(&page);
        assert!(came.len() <= limit, "{page:?}");
        all.extend(came);
        page.body["next_cursor"].as_str().unwrap().clone_into(&mut before);
        if page.body["more"] == false {
            return all;
        }
    }
}

async fn forth(app: &TestApp, filter: &str) -> Vec<Value> {
    rows(&list(app, &format!("limit=1000{filter}")).await)
}

fn by_id(mut events: Vec<Value>) -> Vec<Value> {
    events.sort_by_key(|event| event["id"].as_str().unwrap().to_owned());
    events
}

/// Two sales, one of them over three slots, with orders of each.
async fn with_orders() -> TestApp {
    let app = spread_with(3, 30, json!({})).await;
    app.add_product(
        json!({"id": 2, "sku": "SOLO", "sale": "solo", "name": "Other", "price": "1.00", "total_stock": 30}),
    )
    .await;
    for n in 0..12 {
        let hold = hold_of(&app, &format!("customer {n}")).await.id();
        app.order(&hold).await;
        let solo = app.post("/api/holds", json!({"product_id": 2, "quantity": 1})).await.id();
        app.order(&solo).await;
    }
    app.pay("a", json!({"status": "paid", "order_id": "cart 7"})).await;
    app
}

#[tokio::test]
async fn backwards_each_event_comes_once_and_those_of_a_sale_in_the_reverse_of_their_order() {
    let app = with_orders().await;
    for filter in ["", "&sale=drop", "&sale=solo", "&sale=p0", "&types=order.*", "&types=review.*,sale.created"] {
        let forth = forth(&app, filter).await;
        assert!(!forth.is_empty(), "{filter}");
        for limit in [1, 3, 7, 1_000] {
            let mut back = back(&app, limit, filter).await;
            assert_eq!(by_id(back.clone()), by_id(forth.clone()), "{filter} by {limit}");
            assert!(back.is_sorted_by(|one, next| one["at"].as_str() >= next["at"].as_str()), "{filter} by {limit}");
            back.reverse();
            let of_solo =
                |events: &[Value]| events.iter().filter(|event| event["sale"] == "solo").cloned().collect::<Vec<_>>();
            assert_eq!(of_solo(&back), of_solo(&forth), "{filter} by {limit}");
        }
    }
    let newest = rows(&list(&app, "before=latest&limit=2").await);
    assert_eq!(newest[0]["type"], "review.opened");
    assert_eq!(newest[1]["order"]["sku"], "SOLO");
}

#[tokio::test]
async fn what_happens_meanwhile_moves_nothing_and_any_event_is_a_place() {
    let app = with_orders().await;
    let all = back(&app, 1_000, "").await;
    let first = list(&app, "before=latest&limit=5").await;
    app.admin(Method::PATCH, "/api/admin/sales/drop", json!({"paused": true})).await;
    let place = first.body["next_cursor"].as_str().unwrap();
    assert_eq!(place, all[4]["id"].as_str().unwrap());
    assert_eq!(rows(&list(&app, &format!("before={place}&limit=1000")).await), all[5..]);
    for at in [0, 9, all.len() - 1] {
        let place = all[at]["id"].as_str().unwrap();
        let page = list(&app, &format!("before={place}&limit=1000")).await;
        assert_eq!((rows(&page), &page.body["more"]), (all[at + 1..].to_vec(), &json!(false)), "{at}");
    }
    // Forwards from the same place come those that followed, so both ways together miss none.
    let place = all[9]["id"].as_str().unwrap();
    let sale = all[9]["sale"].as_str().unwrap();
    let before = rows(&list(&app, &format!("before={place}&sale={sale}&limit=1000")).await).len();
    let after = rows(&list(&app, &format!("after={place}&sale={sale}&limit=1000")).await).len();
    assert_eq!(before + 1 + after, forth(&app, &format!("&sale={sale}")).await.len());
}

#[tokio::test]
async fn a_log_without_events_ends_where_it_begins() {
    let app = TestApp::start();
    let page = list(&app, "before=latest").await;
    assert_eq!(page.body, json!({"data": [], "next_cursor": "latest", "more": false, "missing": []}));
}

#[tokio::test]
async fn what_cannot_be_asked_backwards_is_refused() {
    let app = TestApp::selling(1).await;
    for query in
        ["before=", "before=p1", "before=p1:1", "before=1795716564000~p1:1-0", "before=P1:1-0", "before=newest"]
    {
        let answer = ask(&app, &format!("/api/admin/events?{query}")).await;
        assert_eq!(
            (answer.refusal(), &answer.body["errors"][0]["pointer"]),
            ((422, "validation_failed"), &json!("/before")),
            "{query}"
        );
    }
    for other in ["after=latest", "since=0", "until=1", "wait=1"] {
        let answer = ask(&app, &format!("/api/admin/events?before=latest&{other}")).await;
        assert_eq!((answer.status, &answer.body["errors"][0]["code"]), (422, &json!("conflict")), "{other}");
    }
    let unknown = ask(&app, "/api/admin/events?before=latest&sale=unknown").await;
    assert_eq!(unknown.refusal(), (404, "sale_not_found"));
    assert_eq!(app.get("/api/admin/events?before=latest").await.refusal(), (401, "unauthorized"));
}
