//! The comparison of answers with the document finds wrong ones, and every test that asks the service goes through it.

use hyper::{HeaderMap, header::HeaderName};
use serde_json::{Value, json};

use crate::{
    house::{files, read, root},
    support::contract::{Document, Exchange},
};

/// An answer that a test changes.
#[derive(Clone)]
struct Given {
    method: &'static str,
    target: &'static str,
    sent: Option<Value>,
    status: u16,
    headers: Vec<(&'static str, &'static str)>,
    body: String,
}

impl Given {
    fn compared(&self) -> Result<(), String> {
        let mut headers = HeaderMap::new();
        for (name, value) in &self.headers {
            headers.insert(HeaderName::from_static(name), value.parse().unwrap());
        }
        let sent = self.sent.as_ref().map(|value| value.to_string().into_bytes());
        let body = Some(self.body.as_bytes());
        let (method, target, status) = (self.method, self.target, self.status);
        Document::ours().compare(&Exchange { method, target, sent: sent.as_deref(), status, headers: &headers, body })
    }

    fn set(&mut self, name: &'static str, value: &'static str) {
        self.headers.retain(|(known, _)| *known != name);
        self.headers.push((name, value));
    }

    fn edit(&mut self, edit: impl FnOnce(&mut Value)) {
        let mut body = serde_json::from_str(&self.body).unwrap();
        edit(&mut body);
        self.body = body.to_string();
    }
}

/// A refusal, as an example of the document.
fn refusal() -> Given {
    let example = &super::document()["components"]["examples"]["rate_limited"]["value"];
    Given {
        method: "POST",
        target: "/api/holds",
        sent: None,
        status: 429,
        headers: vec![
            ("content-type", "application/problem+json"),
            ("x-request-id", "9f0c6d1e2b3a4c5d-1f"),
            ("retry-after", "1"),
        ],
        body: example.to_string(),
    }
}

/// A product that was made, as an example of the document.
fn made() -> Given {
    let operation = &super::document()["paths"]["/api/admin/products"]["post"];
    let body = &operation["responses"]["201"]["content"]["application/json"]["example"];
    Given {
        target: "/api/admin/products",
        sent: Some(operation["requestBody"]["content"]["application/json"]["example"].clone()),
        status: 201,
        headers: vec![
            ("content-type", "application/json"),
            ("x-request-id", "9f0c6d1e2b3a4c5d-1f"),
            ("cache-control", "no-store"),
        ],
        body: body.to_string(),
        ..refusal()
    }
}

#[test]
fn an_answer_that_the_document_does_not_have_is_found() {
    type Change = (fn() -> Given, &'static str, fn(&mut Given));
    let changes: &[Change] = &[
        (refusal, "no such status", |given| given.status = 418),
        (refusal, "its body is", |given| given.set("content-type", "application/json")),
        (refusal, "no header X-Request-Id", |given| given.headers.retain(|(name, _)| *name != "x-request-id")),
        (refusal, "header Retry-After", |given| given.set("retry-after", "soon")),
        (refusal, "no JSON", |given| given.body.truncate(20)),
        (refusal, "\"code\" is a required", |given| {
            given.edit(|body| _ = body.as_object_mut().unwrap().remove("code"));
        }),
        (refusal, "at \"/code\"", |given| given.edit(|body| body["code"] = json!("sale_ended"))),
        (refusal, "at \"/status\"", |given| given.edit(|body| body["status"] = json!(503))),
        (refusal, "no such path", |given| (given.target, given.status) = ("/api/nothing", 200)),
        (refusal, "no such path or method", |given| (given.method, given.status) = ("PUT", 200)),
        (refusal, "its body is \"text/html\"", |given| {
            given.target = "/api/nothing";
            given.set("content-type", "text/html");
        }),
        (made, "at \"/total_stock\"", |given| given.edit(|body| body["total_stock"] = json!("9"))),
        (made, "at \"\": Additional properties", |given| given.edit(|body| body["colour"] = json!("red"))),
        (made, "what it may not be sent", |given| given.sent = Some(json!({"id": 1}))),
        (made, "a parameter colour", |given| given.target = "/api/admin/products?colour=red"),
    ];
    for (given, expected, change) in changes {
        let mut given = given();
        assert_eq!(given.compared(), Ok(()), "as it is in the document");
        change(&mut given);
        let found = given.compared().expect_err(expected);
        assert!(found.contains(expected), "{expected}: {found}");
    }
}

#[test]
fn lines_events_and_empty_bodies_are_compared_too() {
    let mut deleted = Given { method: "DELETE", target: "/api/holds/hold_p1_x", status: 204, ..made() };
    (deleted.sent, deleted.body) = (None, String::new());
    assert_eq!(deleted.compared(), Ok(()));
    "{}".clone_into(&mut deleted.body);
    assert_eq!(deleted.compared(), Err("it has a body".to_owned()));
    let lines = super::document()["paths"]["/api/admin/orders/export"]["get"]["responses"]["200"].clone();
    let line = lines["content"]["application/x-ndjson"]["example"].as_str().unwrap().trim().to_owned();
    let mut export =
        Given { method: "GET", target: "/api/admin/orders/export?format=ndjson", status: 200, sent: None, ..made() };
    export.set("content-type", "application/x-ndjson");
    export.set("content-disposition", "attachment; filename=\"orders.ndjson\"");
    export.body = format!("{line}\n{line}\n");
    assert_eq!(export.compared(), Ok(()));
    export.body += "{\"id\":7}\n";
    assert!(export.compared().unwrap_err().contains("{\"id\":7}"));
    let event = |data| Document::ours().compare_event("/api/products/1/live", &data);
    assert!(event(json!({"reason": 5})).is_err() && event(json!({"id": 1})).is_err());
}

#[test]
fn each_example_is_as_its_schema_says() {
    let document = Document::ours();
    let root = super::document();
    let mut compared = 0;
    let mut compare = |holder: &Value, schema: &Value, place: &str| {
        let several =
            holder["examples"].as_object().into_iter().flatten().map(|(_, one)| &document.resolved(one)["value"]);
        for example in holder.get("example").into_iter().chain(several) {
            document.complaints(schema, example).unwrap_or_else(|why| panic!("{place}: {why}"));
            compared += 1;
        }
    };
    for (method, path, operation) in super::operations(&root) {
        let bodies = operation["responses"].as_object().unwrap().values().map(|response| document.resolved(response));
        for body in bodies.chain([&operation["requestBody"]]) {
            for (kind, media) in body["content"].as_object().into_iter().flatten() {
                compare(media, &media["schema"], &format!("{method} {path} {kind}"));
            }
        }
    }
    for (list, name, part) in ["parameters", "headers"].iter().flat_map(|list| {
        root["components"][*list].as_object().unwrap().iter().map(move |(name, part)| (list, name, part))
    }) {
        compare(part, &part["schema"], &format!("{list} {name}"));
    }
    for (name, schema) in root["components"]["schemas"].as_object().unwrap() {
        for example in schema["examples"].as_array().into_iter().flatten() {
            document.complaints(schema, example).unwrap_or_else(|why| panic!("{name}: {why}"));
        }
    }
    assert!(compared > 300, "{compared} examples");
}

/// The places that ask without a comparison, how many there are, and why.
const LEFT_OUT: [(&str, usize, &str); 5] = [
    ("checkout/mod.rs", 1, "a stub in the place of Stripe answers"),
    ("connections.rs", 2, "nginx answers"),
    ("api/live.rs", 1, "nginx answers"),
    ("support/sse.rs", 1, "nginx answers"),
    ("reliability/load.rs", 1, "nginx answers in some scenarios, and all are measured"),
];

#[test]
fn every_request_to_the_service_is_compared_with_the_document() {
    let folder = root().join("tests/it");
    for file in files("tests/it", "rs") {
        let name = file.strip_prefix(&folder).unwrap().to_str().unwrap();
        let text = read(&file);
        if name.starts_with("support/contract") || name == "openapi/answers.rs" || !text.contains("reqwest") {
            continue;
        }
        let sent: usize = [".send()", "reqwest::get(", ".execute("].map(|call| text.matches(call).count()).iter().sum();
        let known = LEFT_OUT.iter().find(|(left_out, ..)| *left_out == name).map_or(0, |(_, count, _)| *count);
        assert_eq!(sent, known, "{name}: a request to the service is sent by `ask` or `ask_head`");
    }
}

#[test]
fn the_lines_of_the_page_about_clients_are_of_the_programs_that_buy() {
    let page = read(&root().join("docs/openapi.md"));
    for (language, program) in [("ts", "purchase.ts"), ("py", "purchase.py")] {
        let block =
            page.split(&format!("```{language}\n")).nth(1).expect("a block of lines").split("```").next().unwrap();
        let text = read(&root().join("tests/clients").join(program));
        let mut lines = text.lines();
        for line in block.lines() {
            assert!(lines.any(|known| known == line), "{program} has no such line here: {line}");
        }
    }
}
