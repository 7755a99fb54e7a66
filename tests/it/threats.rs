//! Attacks of docs/threats.md that no other test tries. Each begins as somebody who has what the heading of its table says,
//! and no more.

mod documented;

use std::{collections::BTreeSet, fs, os::unix::fs::PermissionsExt, path::Path, process::Stdio};

use base64::prelude::{BASE64_STANDARD as BASE64, Engine as _};
use flashsale::webhook::PROVIDERS;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{
    app::{ADMIN_TOKEN, TestApp},
    contract::Ask,
    eventually,
    process::command,
    redis::{free_port, signal_process},
    routes, stock,
};

const API_KEY: &str = "key-of-the-web-shop";
const READING: &str = "a-token-that-may-look";
const NAMED: &str = "secret-of-anna-alone";
const OWN_SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const STRIPE_SECRET: &str = "whsec_c3RyaXBlc3RyaXBlc3RyaXBlc3RyaXBl";

/// A service where each door has its lock.
async fn locked() -> TestApp {
    let app = TestApp::start_with(&[
        ("HTTP__API_KEYS", API_KEY),
        ("ADMIN__TOKENS", "anna:secret-of-anna-alone"),
        ("ADMIN__READ_TOKENS", READING),
        ("WEBHOOK__SECRETS", OWN_SECRET),
        ("WEBHOOK__STRIPE_SECRETS", STRIPE_SECRET),
        ("WEBHOOK__ALLOW_UNSIGNED", ""),
    ]);
    app.add_product(json!({"id": 1, "name": "Item", "price": "50.00", "total_stock": 9})).await;
    app
}

async fn status(request: RequestBuilder) -> u16 {
    request.ask().await.unwrap().status().as_u16()
}

/// Everything that Redis has, as a text.
fn dump(app: &TestApp) -> String {
    let mut redis = app.redis.connect();
    let mut keys: Vec<Vec<u8>> = redis::cmd("KEYS").arg("*").query(&mut redis).unwrap();
    // A mark of the sweep, which comes and goes by itself.
    keys.retain(|key| key != b"fs1:{:all}:swept");
    keys.sort();
    let values = keys.iter().map(|key| redis::cmd("DUMP").arg(key).query::<Option<Vec<u8>>>(&mut redis).unwrap());
    format!("{keys:?} {:?}", values.collect::<Vec<_>>())
}

#[tokio::test]
async fn every_admin_route_refuses_who_may_not_use_it_however_the_path_is_spelled() {
    let app = locked().await;
    let before = dump(&app);
    let admin = routes::all().into_iter().filter(|(_, path)| path.starts_with("/api/admin/"));
    for (method, path) in admin {
        let request = |path: &str| app.request(method.clone(), path).header("x-api-key", API_KEY).json(&json!({}));
        assert_eq!(status(request(&path)).await, 401, "{method} {path}");
        for bearer in [
            API_KEY,
            OWN_SECRET,
            STRIPE_SECRET,
            "",
            "anna",
            "anna:",
            "bob:secret-of-anna-alone",
            ":secret-of-anna-alone",
        ] {
            assert_eq!(status(request(&path).bearer_auth(bearer)).await, 401, "{method} {path} with {bearer}");
        }
        for spelled in [
            path.replace("/admin/", "/%61dmin/"),
            path.replace("/admin/", "//admin/"),
            path.replace("/api/", "/api/x/../"),
            path.replace("/api/", "/api/holds/..%2f"),
            path.replace("/admin/", "/admin;x/"),
            path.replace("/admin/", "/ADMIN/"),
            format!("{path}/"),
            format!("{path}?access_token={ADMIN_TOKEN}"),
        ] {
            let answered = status(request(&spelled)).await;
            assert!([400, 401, 404, 405].contains(&answered), "{method} {spelled} is answered {answered}");
        }
        let reading = status(request(&path).bearer_auth(READING)).await;
        assert!(
            (method == Method::GET) != (reading == 403),
            "{method} {path} is answered {reading} to a token that reads"
        );
    }
    assert_eq!(dump(&app), before, "somebody who may not changed something");
}

/// What somebody with a secret may take for a key of a door: as it is, in the form of another door, and its bytes as base64.
fn forms(secret: &str) -> BTreeSet<String> {
    let bare = secret.strip_prefix("whsec_").unwrap_or(secret);
    [
        secret.to_owned(),
        format!("whsec_{bare}"),
        format!("whsec_{}", BASE64.encode(secret)),
        format!("whsec_{}", BASE64.encode(bare)),
    ]
    .into()
}

#[tokio::test]
async fn each_secret_opens_its_own_door_and_no_other() {
    let app = locked().await;
    let order = {
        let hold = app.request(Method::POST, "/api/holds").header("x-api-key", API_KEY);
        let hold = app.send(hold.json(&json!({"product_id": 1, "quantity": 1}))).await.id();
        let order = app.request(Method::POST, "/api/orders").header("x-api-key", API_KEY);
        app.send(order.json(&json!({"hold_id": hold}))).await.id()
    };
    let secrets = [
        ("key", API_KEY),
        ("reads", READING),
        ("token", ADMIN_TOKEN),
        ("named", NAMED),
        ("own", OWN_SECRET),
        ("stripe", STRIPE_SECRET),
    ];
    for (name, secret) in secrets {
        let opens = |door: &[&str]| door.contains(&name);
        let storefront = status(app.request(Method::GET, "/api/products/1").header("x-api-key", secret)).await;
        assert_eq!(storefront == 200, opens(&["key"]), "the storefront with {name}");
        let reads = status(app.request(Method::GET, "/api/admin/sales").bearer_auth(secret)).await;
        assert_eq!(reads == 200, opens(&["reads", "token", "named"]), "reading as an admin with {name}");
        let audit = app.request(Method::POST, "/api/admin/audit").bearer_auth(secret);
        assert_eq!(status(audit).await == 200, opens(&["token", "named"]), "writing as an admin with {name}");
        for (provider, own) in PROVIDERS.iter().zip(["own", "stripe"]) {
            let forms: Vec<_> = forms(secret).into_iter().filter(|form| (provider.sign)(form).is_some()).collect();
            assert!(!forms.is_empty(), "{name} signs nothing at {}", provider.path);
            let mut opened = Vec::new();
            for form in &forms {
                let sign = (provider.sign)(form).unwrap();
                let now = u64::try_from(jiff::Timestamp::now().as_second()).unwrap();
                let signed =
                    sign(&format!("e-{name}"), now, json!({"id": "e", "type": "x", "order_id": order}).to_string());
                let request = app.request(Method::POST, provider.path).header("content-type", provider.media_type);
                let request =
                    signed.headers.iter().fold(request, |request, (name, value)| request.header(*name, value));
                let answered = status(request.body(signed.body)).await;
                assert!(answered < 500, "{} with {name}: {answered}", provider.path);
                // What is trusted may still be no event.
                opened.extend((answered != 401).then_some(&**form));
            }
            // A signature that is trusted shows that these are signed as the door wants it.
            let trusted = if name == own { vec![secret] } else { vec![] };
            assert_eq!(opened, trusted, "{} with {name}", provider.path);
        }
    }
    let product = app.request(Method::GET, "/api/products/1").header("x-api-key", API_KEY);
    assert_eq!(app.send(product).await.body["pending_stock"], 1);
}

#[tokio::test]
async fn no_id_that_differs_in_one_character_is_known() {
    let app = TestApp::selling(2).await;
    let (hold, order) = (app.held().await, app.ordered().await);
    let before = app.stock(1).await;
    for (path, id) in [("holds", &hold), ("orders", &order)] {
        for at in 0..id.len() {
            let other = if id.as_bytes()[at] == b'a' { "b" } else { "a" };
            let guessed = format!("{}{other}{}", &id[..at], &id[at + 1..]);
            assert_eq!(app.get(&format!("/api/{path}/{guessed}")).await.status, 404, "{guessed} for {id}");
            if path == "holds" {
                assert_eq!(app.delete(&format!("/api/holds/{guessed}")).await.status, 404, "{guessed} for {id}");
                let order = app.post("/api/orders", json!({"hold_id": guessed})).await;
                assert_eq!(order.status, 404, "{guessed} for {id}");
            } else {
                let cancelled = app.post(&format!("/api/orders/{guessed}/cancel"), Value::Null).await;
                assert_eq!(cancelled.status, 404, "{guessed} for {id}");
            }
        }
        // A part of the id, and the id of the one as that of the other.
        assert_eq!(app.get(&format!("/api/{path}/{}", &id[..id.len() - 1])).await.status, 404);
    }
    assert_eq!(app.get(&format!("/api/orders/{hold}")).await.status, 404);
    assert_eq!(app.get(&format!("/api/holds/{order}")).await.status, 404);
    assert_eq!(app.stock(1).await, before);
}

#[tokio::test]
async fn texts_that_look_like_our_records_are_only_texts() {
    let app = TestApp::start();
    let product = json!({"id": 1, "name": "Item", "price": "50.00", "total_stock": 50, "max_per_customer": 2});
    app.add_product(product).await;
    let hold = async |customer: &str| {
        let body = json!({"product_id": 1, "quantity": 2, "customer_id": customer, "metadata": {"note": customer}});
        app.post("/api/holds", body).await
    };
    let victim = hold("victim").await;
    assert_eq!(victim.status, 201);
    for text in [
        "1=2 victim",
        "victim 1=0",
        "a abandoned=0@0 1=0",
        "4102444800000:1:h=9",
        "{p0}",
        "fs1:{p1}:stock",
        "%(victim)",
        "a\u{2028}victim",
        "'; redis.call('FLUSHALL') --",
        "]]return 1",
    ] {
        let first = hold(text).await;
        assert_eq!(first.status, 201, "{text}: {first:?}");
        let id = first.id();
        let order = app.post("/api/orders", json!({"hold_id": id})).await;
        assert_eq!((&order.body["customer_id"], &order.body["metadata"]["note"]), (&text.into(), &text.into()));
        assert_eq!(hold(text).await.refusal(), (409, "customer_limit_reached"), "{text}");
        assert_eq!(hold("victim").await.refusal(), (409, "customer_limit_reached"), "after {text}");
    }
    // A line end would begin a line of a record.
    for text in ["a\nvictim", "a\r\nstatus\npaid", "a\tb", "a\0", "\u{85}"] {
        assert_eq!(hold(text).await.status, 422, "{text:?}");
    }
    assert_eq!(app.stock(1).await, "28 available, 2 held, 20 pending");
}

#[tokio::test]
async fn nobody_can_act_in_the_name_of_another_admin() {
    let app = locked().await;
    let act = async |reason: &str| {
        let body = json!({"delta": 1, "reason": reason});
        app.send(app.request(Method::POST, "/api/admin/products/1/restock").bearer_auth(NAMED).json(&body)).await
    };
    for forged in ["x\nactor\nboss", "x\r\nactor\r\nboss", "x\0actor"] {
        assert_eq!(act(forged).await.status, 422, "{forged:?}");
    }
    assert_eq!(act("actor boss").await.status, 200);
    let with_actor = json!({"delta": 1, "actor": "boss"});
    let request = app.request(Method::POST, "/api/admin/products/1/restock").bearer_auth(NAMED).json(&with_actor);
    assert!((400..500).contains(&app.send(request).await.status));
    let events = app.admin(Method::GET, "/api/admin/events?types=product.restocked", Value::Null).await;
    let actors: Vec<_> = events.body["data"].as_array().unwrap().iter().map(|event| event["actor"].clone()).collect();
    assert_eq!(actors, ["anna"], "{events:?}");
}

#[tokio::test]
async fn no_text_of_a_client_begins_a_line_of_the_log_or_steers_a_terminal() {
    for format in ["text", "json"] {
        let folder = TempDir::with_prefix("fs").unwrap();
        let log = folder.path().join("log");
        let addr = format!("127.0.0.1:{}", free_port());
        let mut program = command(&folder.path().join("data"));
        program.args(["serve", "--demo", "--addr", &addr]).env("FLASHSALE_LOG__FORMAT", format);
        program.env("FLASHSALE_LOG__FILTER", "info,flashsale=trace").env("FLASHSALE_ADMIN__TOKEN", ADMIN_TOKEN);
        program.stdout(Stdio::null());
        let mut service = program.stderr(fs::File::create(&log).unwrap()).spawn().unwrap();
        let client = reqwest::Client::new();
        let url = |path: &str| format!("http://{addr}{path}");
        eventually("it is ready", async || client.get(url("/readyz")).ask().await.is_ok()).await;
        for (n, text) in FORGERIES.iter().enumerate() {
            let raw = percent_encoding::percent_decode_str(text).decode_utf8().unwrap().into_owned();
            // Each place has a word of its own, by which its line is found.
            let at = |place: &str| format!("{place}{n}{raw}{place}{n}");
            let event = |of: &str| {
                json!({"idempotency_key": at(of), "payload": {"status": "paid", "order_id": at("target"),
                                          "payment_id": at("payment")}})
            };
            let unknown =
                json!({"idempotency_key": format!("e{n}"), "payload": {"status": at("status"), "order_id": "x"}});
            let hold = json!({"product_id": 1, "quantity": 1, "customer_id": raw, "metadata": {&*raw: raw}, &*raw: 1});
            let restock = json!({"delta": 1, "reason": at("reason")});
            let mut plain_key = event("");
            plain_key["idempotency_key"] = json!(format!("k{n}"));
            let requests = [
                client.get(url(&format!("/path{n}{text}"))),
                client.get(url(&format!("/api/holds/{text}?{text}={text}"))),
                // A header has no line ends: what the client sends there is the text with escapes.
                client.get(url("/api/products/1")).header("x-request-id", raw.as_bytes().escape_ascii().to_string()),
                client.get(url("/api/products/1")).header("user-agent", *text).header("x-forwarded-for", *text),
                client.post(url("/api/payments/webhook")).json(&event("event")),
                client.post(url("/api/payments/webhook")).json(&plain_key),
                client.post(url("/api/payments/webhook")).json(&unknown),
                client.post(url("/api/holds")).json(&hold),
                client.post(url("/api/holds")).header("content-type", "application/json").body(raw.clone()),
                client.post(url("/api/admin/products/1/restock")).bearer_auth(ADMIN_TOKEN).json(&restock),
            ];
            for request in requests {
                let _refused = request.ask().await.unwrap();
            }
        }
        signal_process(service.id(), "TERM");
        assert!(tokio::task::spawn_blocking(move || service.wait()).await.unwrap().unwrap().success());
        let text = fs::read_to_string(&log).unwrap();
        for line in text.lines() {
            let begins = match format {
                "json" => serde_json::from_str::<Value>(line).is_ok_and(|line| line["timestamp"].is_string()),
                _ => line.split_once(' ').is_some_and(|(at, _)| at.parse::<jiff::Timestamp>().is_ok()),
            };
            assert!(begins, "{format}: a line that the service did not begin: {line:?}");
            let is_plain = |c: char| !c.is_control() && c != '\u{202e}';
            assert!(line.chars().all(is_plain), "{format}: {line:?}");
        }
        // The texts came as far as the log: otherwise all of this says nothing.
        for n in 0..FORGERIES.len() {
            for place in LOGGED {
                let word = format!("{place}{n}");
                let lines = text.lines().filter(|line| line.contains(&word) && line.contains("FORGED")).count();
                assert!(lines > 0, "{format}: no line has what was sent as {word}:\n{text}");
            }
        }
    }
}

/// What begins a new line, clears a terminal, or turns its text around.
const FORGERIES: [&str; 5] = ["%0aFORGED", "%0d%0aFORGED", "%1b[2JFORGED", "%c2%9b2JFORGED", "%e2%80%aeFORGED"];
/// Where a client writes what the log repeats.
const LOGGED: [&str; 3] = ["path", "status", "payment"];

/// Somebody with an account on the machine, who is neither the service's user nor root.
#[test]
fn another_user_of_the_machine_reaches_neither_the_embedded_server_nor_its_files() {
    let parent = TempDir::with_prefix("fs").unwrap();
    let data = parent.path().join("data");
    // As a volume or a package makes it, and an administrator who means well.
    fs::create_dir(&data).unwrap();
    fs::set_permissions(&data, fs::Permissions::from_mode(0o755)).unwrap();
    let service = crate::support::process::ServiceProcess::start(&data);
    let mut seen = 0;
    let mut folders = vec![data.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap().map(Result::unwrap) {
            let (path, metadata) = (entry.path(), entry.metadata().unwrap());
            if metadata.is_dir() {
                folders.push(path.clone());
            }
            let mode = metadata.permissions().mode() & 0o777;
            assert_eq!(mode & 0o077, 0, "{} has mode {mode:o}", path.display());
            seen += 1;
        }
    }
    assert!(seen >= 5, "{seen} files in {}", data.display());
    let mut redis = connect(&data);
    let port: Vec<String> = redis::cmd("CONFIG").arg(&["GET", "port"]).query(&mut redis).unwrap();
    assert_eq!(port, ["port", "0"]);
    assert!(service.stop());
}

fn connect(data: &Path) -> redis::Connection {
    let socket = redis::ConnectionAddr::Unix(data.join("redis.sock"));
    let info = redis::IntoConnectionInfo::into_connection_info(socket).unwrap();
    redis::Client::open(info).unwrap().get_connection().unwrap()
}

const NONE: [&str; 0] = [];

#[tokio::test]
async fn who_writes_into_redis_past_the_scripts_is_found_by_an_audit() {
    let app = TestApp::selling(10).await;
    let order = app.ordered().await;
    let mut redis = app.redis.connect();
    let keys: Vec<String> = redis::cmd("KEYS").arg("fs1:{p1}:order:*").query(&mut redis).unwrap();
    assert!(keys.len() == 1 && order.contains(keys[0].rsplit(':').next().unwrap()), "{keys:?} for {order}");
    let record: String = redis::cmd("GET").arg(&keys[0]).query(&mut redis).unwrap();
    // What the audit finds, in words: an audit that cannot be made finds nothing.
    let differences = async || {
        let audit = app.admin(Method::GET, "/api/admin/audit", Value::Null).await;
        assert_eq!(audit.status, 200, "{audit:?}");
        let sales = audit.body["sales"].as_array().unwrap();
        assert!(sales.iter().any(|sale| sale["id"] == "p1" && sale["orders"] == 1), "{audit:?}");
        let found = audit.body["differences"].as_array().unwrap().iter();
        let found: Vec<_> = found.map(|one| one["what"].as_str().unwrap().to_owned()).collect();
        assert_eq!(audit.body["ok"], found.is_empty(), "{audit:?}");
        found
    };
    assert_eq!(differences().await, NONE);
    // Units from nothing, and an order that was never paid.
    stock::add(&mut redis, "fs1:{p1}:stock", 1, "available", 5);
    assert_eq!(differences().await, ["available"]);
    stock::add(&mut redis, "fs1:{p1}:stock", 1, "available", -5);
    let _: () = redis::cmd("SET").arg(&keys[0]).arg(record.replace("pending", "paid")).query(&mut redis).unwrap();
    let found = differences().await;
    assert!(found.iter().any(|kind| kind == "sold") && found.iter().any(|kind| kind == "pending_until"), "{found:?}");
    let _: () = redis::cmd("SET").arg(&keys[0]).arg(&record).query(&mut redis).unwrap();
    assert_eq!(differences().await, NONE);
}
