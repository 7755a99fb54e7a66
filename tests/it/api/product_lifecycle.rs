//! Products that are deleted or moved: who may, what is left, races with holds, and crashes between the steps.

use std::{net::SocketAddr, thread::JoinHandle};

use actix_web::dev::ServerHandle;
use flashsale::store::Op;
use futures_util::future::join_all;
use redis::Commands;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{
    app::{ADMIN_TOKEN, Answer, TestApp, run_service},
    commands::{all_fail, done, json_of},
    mutant, stock,
};

const SALE: &str = "/api/admin/sales";

/// Product 7 (`A`) of the sale `drop`, and the sale `other`.
async fn shop() -> TestApp {
    let app = TestApp::start();
    assert_eq!(app.admin(Method::POST, SALE, json!({"id": "other"})).await.status, 201);
    make(&app, "drop").await;
    app
}

async fn make(app: &TestApp, sale: &str) {
    let product = json!({"id": 7, "sale": sale, "sku": "A", "name": "Cap", "price": "5", "total_stock": 10,
        "metadata": {"colour": "red"}, "group": "caps", "max_per_hold": 3, "visibility": "unlisted"});
    app.add_product(product).await;
}

async fn delete(app: &TestApp) -> Answer {
    app.admin(Method::DELETE, "/api/admin/products/7", Value::Null).await
}

async fn move_to(app: &TestApp, sale: &str) -> Answer {
    app.admin(Method::POST, "/api/admin/products/7/move", json!({"sale": sale})).await
}

async fn hold(app: &TestApp) -> Answer {
    app.post("/api/holds", json!({"product_id": 7, "quantity": 1})).await
}

async fn is_clean(app: &TestApp) -> bool {
    app.admin(Method::GET, "/api/admin/audit", Value::Null).await.body["ok"] == true
}

/// Nothing of it is there, and its SKU is free.
async fn is_gone(app: &TestApp) {
    for path in ["/api/products/7", "/api/products/by-sku/A", "/api/admin/products/7", "/api/admin/products/by-sku/A"] {
        let read = app.admin(Method::GET, path, Value::Null).await;
        assert_eq!(read.refusal(), (404, "product_not_found"), "{path}");
    }
    assert_eq!(hold(app).await.refusal(), (404, "product_not_found"));
    assert_eq!(app.admin(Method::GET, "/api/admin/products", Value::Null).await.body["data"], json!([]));
    assert_eq!(delete(app).await.refusal(), (404, "product_not_found"));
    assert!(is_clean(app).await);
    let mut redis = app.redis.connect();
    let left: (bool, Option<String>) =
        (redis.exists("fs1:{drop}:product:7").unwrap(), redis.hget("fs1:{:all}:skus", "A").unwrap());
    assert_eq!(left, (false, None));
}

/// Events of products: type, sale, and what changed.
async fn events(app: &TestApp) -> Vec<Value> {
    let types = "product.created,product.deleted,product.moved";
    let log = app.admin(Method::GET, &format!("/api/admin/events?types={types}"), Value::Null).await;
    log.body["data"].as_array().unwrap().iter().map(|e| json!([e["type"], e["sale"], e["change"]["sale"]])).collect()
}

/// Another service on the same Redis, with workers that remember other things.
struct Other(SocketAddr, ServerHandle, Option<JoinHandle<()>>);

impl Other {
    fn of(app: &TestApp) -> Self {
        let (addr, handle, thread) = run_service(&app.redis.url(), &[]);
        Self(addr, handle, Some(thread))
    }

    async fn hold(&self, app: &TestApp) -> Answer {
        let request = app.client.post(format!("http://{}/api/holds", self.0));
        app.send(request.json(&json!({"sku": "A", "quantity": 1}))).await
    }

    async fn admin(&self, app: &TestApp, method: Method, path: &str, body: Value) -> Answer {
        app.send(app.client.request(method, format!("http://{}{path}", self.0)).bearer_auth(ADMIN_TOKEN).json(&body))
            .await
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        drop(self.1.stop(false));
        self.2.take().unwrap().join().unwrap();
    }
}

#[tokio::test]
async fn a_product_that_never_sold_is_deleted_and_its_id_and_sku_can_be_given_again() {
    let app = shop().await;
    let released = hold(&app).await.id();
    assert_eq!(delete(&app).await.refusal(), (409, "product_has_holds"));
    assert_eq!(app.delete(&format!("/api/holds/{released}")).await.status, 204);
    let reason = app.admin(Method::DELETE, "/api/admin/products/by-sku/A?reason=a+typo", Value::Null).await;
    assert_eq!((reason.status, reason.body), (204, Value::Null));
    is_gone(&app).await;
    let other_sku = json!({"id": 7, "sale": "drop", "sku": "B", "name": "Cap", "price": "5", "total_stock": 1});
    let refused = app.admin(Method::POST, "/api/admin/products", other_sku).await;
    assert_eq!((refused.refusal(), &refused.body["id"]), ((409, "already_exists"), &json!(7)));
    make(&app, "other").await;
    assert_eq!(hold(&app).await.status, 201);
    let log = app.admin(Method::GET, "/api/admin/events?types=product.deleted", Value::Null).await;
    let event = &log.body["data"][0];
    assert_eq!(
        (&event["reason"], &event["product"]["id"], &event["product"]["name"]),
        (&json!("a typo"), &json!(7), &json!("Cap"))
    );
    assert_eq!(
        app.admin(Method::DELETE, "/api/admin/products/9", Value::Null).await.refusal(),
        (404, "product_not_found")
    );
    let unknown = app.admin(Method::DELETE, "/api/admin/products/7?why=x", Value::Null).await;
    assert_eq!(unknown.refusal(), (400, "unknown_parameter"));
    assert_eq!(app.delete("/api/admin/products/7").await.refusal(), (401, "unauthorized"));
}

#[tokio::test]
async fn a_product_of_which_an_order_was_made_is_neither_deleted_nor_moved_but_archived() {
    let app = shop().await;
    let order = app.order(&hold(&app).await.id()).await.id();
    for cancelled in [false, true] {
        if cancelled {
            assert_eq!(app.post(&format!("/api/orders/{order}/cancel"), json!({})).await.status, 200);
        }
        assert_eq!(delete(&app).await.refusal(), (409, "product_has_orders"));
        assert_eq!(move_to(&app, "other").await.refusal(), (409, "product_has_orders"));
    }
    assert_eq!(hold(&app).await.status, 201, "what was refused changed nothing");
    let archived = app.admin(Method::PATCH, "/api/admin/products/7", json!({"archived": true})).await;
    assert_eq!((archived.status, hold(&app).await.refusal()), (200, (404, "product_not_found")));
}

#[tokio::test]
async fn a_moved_product_is_what_it_was_in_another_sale_and_both_logs_say_so() {
    let app = shop().await;
    let before = app.admin(Method::GET, "/api/admin/products/7", Value::Null).await.body;
    let moved = move_to(&app, "other").await;
    let mut expected = before.clone();
    expected["sale"] = json!("other");
    assert_eq!((moved.status, &moved.body), (200, &expected));
    assert_eq!(app.get("/api/products/by-sku/A").await.body, expected);
    assert_eq!(app.admin(Method::GET, "/api/admin/products?sale=drop", Value::Null).await.body["data"], json!([]));
    assert_eq!(move_to(&app, "other").await.body, expected, "and again changes nothing");
    let change = json!({"from": "drop", "to": "other"});
    let said = [json!(["product.moved", "drop", change]), json!(["product.moved", "other", change])];
    let log = events(&app).await;
    assert!(log.len() == 3 && said.iter().all(|event| log.contains(event)), "{log:?}");
    for (sale, refusal) in [("nosuch", (404, "sale_not_found")), ("p0", (404, "sale_not_found"))] {
        assert_eq!(move_to(&app, sale).await.refusal(), refusal);
    }
    app.add_product(json!({"id": 1, "sale": "yen", "name": "Mug", "price": "5", "currency": "JPY", "total_stock": 1}))
        .await;
    let differs = move_to(&app, "yen").await;
    assert_eq!(
        (differs.refusal(), &differs.body["errors"][0]["code"]),
        ((422, "validation_failed"), &json!("currency_differs"))
    );
    let held = hold(&app).await;
    assert_eq!(move_to(&app, "drop").await.refusal(), (409, "product_has_holds"));
    assert_eq!(app.delete(&format!("/api/holds/{}", held.id())).await.status, 204);
    let back =
        app.admin(Method::POST, "/api/admin/products/by-sku/A/move", json!({"sale": "drop", "reason": "no"})).await;
    assert_eq!((back.status, &back.body), (200, &before));
}

#[tokio::test]
async fn of_32_holds_and_a_deletion_either_side_wins_and_nobody_holds_a_unit_of_nothing() {
    let app = shop().await;
    let other = Other::of(&app);
    let (mut deleted, mut refused) = (0, 0);
    for round in 0..12 {
        // Which one comes first differs from round to round.
        let holds = join_all((0..32).map(|at| {
            let (app, other) = (&app, &other);
            async move { if at % 2 == 0 { hold(app).await } else { other.hold(app).await } }
        }));
        let (first, deletion) = if round % 2 == 0 {
            tokio::join!(holds, delete(&app))
        } else {
            let deletion = other.admin(&app, Method::DELETE, "/api/admin/products/7", Value::Null);
            let (deletion, holds) = tokio::join!(deletion, holds);
            (holds, deletion)
        };
        let held: Vec<_> = first.iter().filter(|hold| hold.status == 201).collect();
        if deletion.status == 204 {
            assert_eq!(held.len(), 0);
            assert!(first.iter().all(|hold| hold.refusal() == (404, "product_not_found")), "{first:?}");
            deleted += 1;
            is_gone(&app).await;
            make(&app, if round % 3 == 0 { "other" } else { "drop" }).await;
        } else {
            assert_eq!(deletion.refusal(), (409, "product_has_holds"));
            assert_eq!(held.len(), 10);
            refused += 1;
            for hold in held {
                assert_eq!(app.delete(&format!("/api/holds/{}", hold.id())).await.status, 204);
            }
        }
    }
    assert_eq!(deleted + refused, 12);
}

#[tokio::test]
async fn two_services_that_remember_a_product_sell_it_where_it_is_while_it_moves_to_and_fro() {
    let app = shop().await;
    let other = Other::of(&app);
    let load = async {
        let mut held = 0;
        for _ in 0..60 {
            for hold in <[Answer; 2]>::from(tokio::join!(hold(&app), other.hold(&app))) {
                match hold.refusal() {
                    (201, _) => {
                        held += 1;
                        assert_eq!(app.delete(&format!("/api/holds/{}", hold.id())).await.status, 204);
                    }
                    (404, "product_not_found") => {}
                    refusal => panic!("{refusal:?}"),
                }
            }
        }
        held
    };
    let to_and_fro = async {
        let mut moved = 0;
        for round in 0..60 {
            let sale = ["other", "drop"][round / 2 % 2];
            let answer = if round % 2 == 0 {
                move_to(&app, sale).await
            } else {
                other.admin(&app, Method::POST, "/api/admin/products/7/move", json!({"sale": sale})).await
            };
            match answer.refusal() {
                (200, _) => {
                    assert_eq!(answer.body["sale"], sale);
                    moved += 1;
                }
                (409, "product_has_holds") => {}
                refusal => panic!("{refusal:?}"),
            }
        }
        moved
    };
    let (holds, moved) = tokio::join!(load, to_and_fro);
    assert!(holds > 0 && moved > 0, "{holds} held, {moved} moved");
    assert_eq!(app.get("/api/products/7").await.body["available_stock"], 10);
    assert_eq!(other.hold(&app).await.status, 201);
}

#[tokio::test]
async fn of_16_moves_to_two_sales_and_deletions_at_once_the_last_one_decides_and_one_product_is_left_or_none() {
    let app = shop().await;
    let other = Other::of(&app);
    for _ in 0..6 {
        let answers = join_all((0..16).map(|at| {
            let (app, other) = (&app, &other);
            let sale = ["other", "drop"][at % 2];
            async move {
                match at {
                    15 => delete(app).await,
                    _ if at % 4 < 2 => move_to(app, sale).await,
                    _ => other.admin(app, Method::POST, "/api/admin/products/7/move", json!({"sale": sale})).await,
                }
            }
        }))
        .await;
        for answer in &answers {
            assert!([200, 204, 404, 503].contains(&answer.status), "{answer:?}");
        }
        // Where so many want to decide a call may give up, and leave the rest to the next one.
        let last = move_to(&app, "other").await;
        let was_deleted = answers.iter().any(|answer| answer.status == 204);
        assert!(last.status == 200 || last.status == 404 && was_deleted, "{last:?} after {answers:?}");
        // Each sale by itself: whatever the directory says, no second product is left in another one.
        let mut redis = app.redis.connect();
        let there = ["drop", "other"].map(|sale| stock::exists(&mut redis, &format!("fs1:{{{sale}}}:stock"), 7));
        let listed = app.get("/api/products/7").await;
        if listed.status == 200 {
            assert_eq!(there, ["drop", "other"].map(|sale| listed.body["sale"] == sale));
        } else {
            assert_eq!(there, [false, false], "{answers:?}");
            is_gone(&app).await;
            make(&app, "drop").await;
        }
        assert!(is_clean(&app).await);
    }
}

#[tokio::test]
async fn a_move_of_a_product_that_a_late_deletion_took_ends_and_frees_its_sku() {
    let app = shop().await;
    // A deletion noted that it begins, a move took its note for its own, and then the deletion took the product.
    note(&app, "drop>other#t A");
    step(&app, Op::RemoveProduct, "drop", &[], &[]);
    assert_eq!(move_to(&app, "other").await.refusal(), (404, "product_not_found"));
    is_gone(&app).await;
    make(&app, "other").await;
    assert_eq!(hold(&app).await.status, 201);
}

/// Runs one step of a deletion or a move, as a service does before it is killed.
fn step(app: &TestApp, op: Op, sale: &str, more: &[&str], arguments: &[&str]) {
    let catalogue = mutant::catalogue();
    let script = redis::Script::new(&catalogue.script(op).source);
    let mut call = script.prepare_invoke();
    let book = ["sale", "stock", "lapses", "deadlines", "customers", "events", "due", "orders"];
    for name in book.iter().chain(&["product:7"]).chain(more) {
        call.key(format!("fs1:{{{sale}}}:{name}"));
    }
    ["60000", "1000", "7"].iter().chain(arguments).for_each(|argument| _ = call.arg(argument));
    let _reply: redis::Value = call.invoke(&mut app.redis.connect()).unwrap();
}

fn note(app: &TestApp, entry: &str) {
    let () = app.redis.connect().hset("fs1:{:all}:products", "7", entry).unwrap();
}

#[tokio::test]
async fn a_deletion_that_a_crash_interrupts_is_finished_by_the_same_call_and_is_clean_at_each_step() {
    let app = shop().await;
    let held = hold(&app).await.id();
    note(&app, "~drop A");
    assert_eq!(delete(&app).await.refusal(), (409, "product_has_holds"));
    assert_eq!(hold(&app).await.status, 201, "a deletion that was refused changes nothing");
    assert_eq!(app.get(&format!("/api/holds/{held}")).await.status, 200);
    for steps in 1..=2 {
        let app = shop().await;
        let other = Other::of(&app);
        assert_eq!(other.admin(&app, Method::GET, "/api/products/7", Value::Null).await.status, 200);
        note(&app, "~drop A");
        if steps == 2 {
            step(&app, Op::RemoveProduct, "drop", &[], &[]);
            assert_eq!(app.get("/api/products/7").await.refusal(), (404, "product_not_found"));
            assert_eq!(other.hold(&app).await.refusal(), (404, "product_not_found"));
        }
        assert!(is_clean(&app).await, "{steps}");
        assert_eq!(delete(&app).await.status, 204, "{steps}");
        is_gone(&app).await;
    }
}

#[tokio::test]
async fn a_move_that_a_crash_interrupts_is_finished_by_any_call_that_moves_or_deletes_and_is_clean_at_each_step() {
    let to = ["drop", "other", "60000"];
    let what = ["USD", "Cap", r#"{"colour":"red"}"#, "50000", "10", "3", "group=caps visibility=unlisted"];
    for steps in 1..=4 {
        for ending in ["move", "move back", "delete", "make"] {
            let app = shop().await;
            let other = Other::of(&app);
            assert_eq!(other.admin(&app, Method::GET, "/api/products/7", Value::Null).await.status, 200);
            note(&app, "drop>other#t A");
            if steps > 1 {
                step(&app, Op::RemoveProduct, "drop", &["moving:7:t", "once:move-t"], &to);
            }
            if steps > 2 {
                step(&app, Op::ArriveProduct, "other", &["once:move-t"], &[&to[..], &what].concat());
            }
            if steps > 3 {
                note(&app, "other A");
            }
            assert!(is_clean(&app).await, "{steps}");
            let expected = if steps == 1 || steps == 4 { 200 } else { 404 };
            for read in
                [app.get("/api/products/7").await, other.admin(&app, Method::GET, "/api/products/7", Value::Null).await]
            {
                assert_eq!(read.status, expected, "{steps}");
            }
            match ending {
                "delete" => {
                    assert_eq!(delete(&app).await.status, 204, "{steps}");
                    is_gone(&app).await;
                    continue;
                }
                "make" => {
                    let product =
                        json!({"id": 7, "sale": "drop", "sku": "A", "name": "Cap", "price": "5", "total_stock": 10});
                    let refused = app.admin(Method::POST, "/api/admin/products", product).await;
                    assert_eq!(refused.refusal(), (409, "already_exists"), "{steps}");
                    assert_eq!(move_to(&app, "other").await.status, 200, "{steps}");
                }
                ending => {
                    let sale = if ending == "move" { "other" } else { "drop" };
                    let moved = move_to(&app, sale).await;
                    let facts = ["sale", "available_stock", "price", "group", "visibility", "sku", "max_per_hold"];
                    let found = facts.map(|name| moved.body[name].clone());
                    let wanted = json!([sale, 10, "5.00", "caps", "unlisted", "A", 3]);
                    assert_eq!((moved.status, json!(found)), (200, wanted), "{steps} {ending}");
                    assert_eq!(moved.body["metadata"], json!({"colour": "red"}));
                }
            }
            assert_eq!(other.hold(&app).await.status, 201, "{steps} {ending}");
            assert!(is_clean(&app).await, "{steps} {ending}");
        }
    }
}

#[tokio::test]
async fn a_product_that_the_other_sale_cannot_take_comes_back() {
    let app = shop().await;
    // The sale got its currency after the move began.
    note(&app, "drop>yen#t A");
    app.add_product(json!({"id": 1, "sale": "yen", "name": "Mug", "price": "5", "currency": "JPY", "total_stock": 1}))
        .await;
    step(&app, Op::RemoveProduct, "drop", &["moving:7:t", "once:move-t"], &["drop", "yen", "60000"]);
    let differs = move_to(&app, "yen").await;
    assert_eq!(
        (differs.refusal(), &differs.body["errors"][0]["code"]),
        ((422, "validation_failed"), &json!("currency_differs"))
    );
    let read = app.get("/api/products/7").await.body;
    assert_eq!((&read["sale"], &read["available_stock"], &read["sku"]), (&json!("drop"), &json!(10), &json!("A")));
    assert_eq!(move_to(&app, "other").await.status, 200);
}

#[tokio::test]
async fn the_command_line_moves_deletes_and_archives_products_and_lists_some_of_them() {
    let app = shop().await;
    let moved = json_of(&app, "product move 7 --to other --json");
    assert_eq!(moved["sale"], "other");
    assert!(done(&app, "product move --sku A --to drop --reason back").starts_with("product 7: live\n"));
    app.add_product(json!({"id": 8, "sale": "drop", "name": "Mug", "price": "5", "total_stock": 1})).await;
    let ids = |arguments: &str| {
        let list = json_of(&app, format!("product list --json {arguments}").trim());
        list["data"].as_array().unwrap().iter().map(|row| row["id"].as_u64().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(json_of(&app, "product archive 8 --json")["archived"], true);
    assert_eq!((ids("--archived"), ids("--visibility unlisted --sale drop")), (vec![8], vec![7]));
    assert_eq!(json_of(&app, "product archive 8 --undo --json").get("archived"), None);
    assert!(ids("--archived").is_empty());
    let table = done(&app, "product list");
    let head = table.lines().next().unwrap().split_whitespace().take(3).collect::<Vec<_>>();
    assert_eq!(head, ["ID", "SKU", "NAME"], "{table}");
    all_fail(
        &app,
        &[
            ("product move 7 --to nosuch", 1, &["there is no such sale"]),
            ("product delete 9", 1, &["product_not_found"]),
            ("product move 7", 2, &["--to"]),
        ],
    );
    assert_eq!(done(&app, "product delete --sku A --reason typo"), "deleted\n");
    assert_eq!(ids(""), [8]);
    let hidden = json_of(&app, "sale change drop --visibility hidden --json");
    assert_eq!(hidden["visibility"], "hidden");
}
