//! The document of the interface for programs says what the code does.

mod answers;
mod relied_on;

use std::collections::BTreeSet;

use flashsale::http::problem::Code;
use reqwest::Method;
use serde_json::{Value, json};

use crate::{
    house::{read, root},
    support::{
        app::{ADMIN_TOKEN, TestApp},
        contract::Ask,
    },
};

fn document() -> Value {
    serde_json::from_str(&read(&root().join("web/openapi.json"))).unwrap()
}

/// Method, path and operation of each.
fn operations(document: &Value) -> Vec<(String, String, &Value)> {
    let paths = document["paths"].as_object().unwrap();
    let mut all = Vec::new();
    for (path, methods) in paths {
        let methods = methods.as_object().unwrap();
        for (method, operation) in
            methods.iter().filter(|(name, _)| ["get", "post", "patch", "delete"].contains(&&***name))
        {
            all.push((method.to_uppercase(), path.clone(), operation));
        }
    }
    all
}

#[test]
fn the_document_has_every_code_of_a_problem_and_no_other() {
    let document = document();
    let listed = document["components"]["schemas"]["ProblemCode"]["enum"].as_array().unwrap();
    let listed: BTreeSet<&str> = listed.iter().map(|code| code.as_str().unwrap()).collect();
    let known: BTreeSet<&str> = Code::ALL.iter().map(|code| code.row().0).collect();
    assert_eq!(listed, known);
}

#[test]
fn each_operation_has_a_name_of_its_own_and_says_what_it_answers() {
    let document = document();
    let operations = operations(&document);
    assert!(operations.len() > 40, "{} operations", operations.len());
    let mut names = BTreeSet::new();
    for (method, path, operation) in &operations {
        let name = operation["operationId"].as_str().unwrap_or_else(|| panic!("{method} {path} has no name"));
        assert!(names.insert(name), "two operations are {name}");
        let responses = operation["responses"].as_object().unwrap();
        assert!(responses.keys().any(|status| status.starts_with('2')), "{name} never succeeds");
        for text in ["summary", "description"] {
            assert!(operation[text].as_str().is_some_and(|text| !text.is_empty()), "{name} has no {text}");
        }
    }
}

/// Both ways: what is in the document is a route that takes the method, and a route that is not in it takes none.
#[tokio::test]
async fn the_document_has_every_route_and_method() {
    let app = TestApp::start();
    let document = document();
    let mut listed = BTreeSet::new();
    for (method, path, _) in operations(&document) {
        let filled: Vec<_> = path.split('/').map(|part| if part.starts_with('{') { "1" } else { part }).collect();
        let filled = filled.join("/");
        let allowed = app.request(Method::OPTIONS, &filled).bearer_auth(ADMIN_TOKEN).ask().await.unwrap();
        let allow = allowed.headers().get("allow").map_or("", |value| value.to_str().unwrap()).to_owned();
        assert!(allow.split(", ").any(|one| one == method), "{method} {path}: the service allows {allow:?}");
        listed.insert((path, allow));
    }
    for (path, allow) in &listed {
        let named = operations(&document)
            .iter()
            .filter(|(_, of, _)| of == path)
            .map(|(method, ..)| method.clone())
            .collect::<BTreeSet<_>>();
        let taken: BTreeSet<_> =
            allow.split(", ").filter(|method| !["HEAD", "OPTIONS"].contains(method)).map(str::to_owned).collect();
        assert_eq!(named, taken, "{path}");
    }
    // The table of routes names paths by literals.
    let routes = read(&root().join("src/http/routes.rs"));
    for path in routes.split('"').filter(|text| text.starts_with("/api/admin")) {
        assert!(listed.iter().any(|(known, _)| known == path), "{path} is not in the document");
    }
}

#[tokio::test]
async fn the_document_is_served_to_everybody() {
    let app = TestApp::start_with(&[("ADMIN__TOKEN", ""), ("HTTP__API_KEYS", "a-key-of-a-shop-1234")]);
    let served = app.request(Method::GET, "/openapi.json").ask().await.unwrap();
    assert_eq!(
        (served.status().as_u16(), &served.headers()["content-type"]),
        (200, &"application/json".parse().unwrap())
    );
    assert_eq!(served.json::<Value>().await.unwrap(), document());
    assert_eq!(document()["openapi"], json!("3.1.0"));
}
