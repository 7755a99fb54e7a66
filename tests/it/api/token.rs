//! What a token may do: GET /api/admin/token.

use reqwest::{Method, RequestBuilder};
use serde_json::json;

use crate::support::app::{ADMIN_TOKEN, TestApp};

const PATH: &str = "/api/admin/token";

#[tokio::test]
async fn a_token_learns_its_name_and_its_rights_and_no_answer_has_its_secret() {
    let settings = [
        ("ADMIN__TOKENS", "anna:the-secret-of-anna,an-unnamed-token-x"),
        ("ADMIN__READ_TOKENS", "a-token-that-may-look"),
        ("METRICS__TOKEN", "a-token-for-prometheus"),
    ];
    let app = TestApp::start_with(&settings);
    let all = json!(["read", "change"]);
    for (token, name, rights) in [
        ("the-secret-of-anna", json!("anna"), &all),
        ("an-unnamed-token-x", json!(null), &all),
        (ADMIN_TOKEN, json!(null), &all),
        ("a-token-that-may-look", json!(null), &json!(["read"])),
    ] {
        let answer = app.send(app.request(Method::GET, PATH).bearer_auth(token)).await;
        assert_eq!((answer.status, &answer.body), (200, &json!({"name": name, "rights": rights})), "{token}");
        assert_eq!(&*answer.headers["cache-control"], "no-store");
    }
    let refused: [fn(RequestBuilder) -> RequestBuilder; 3] = [
        |request| request,
        |request| request.bearer_auth("a-token-of-nobody-at-all"),
        // It is good for metrics and for nothing else.
        |request| request.bearer_auth("a-token-for-prometheus"),
    ];
    for with_token in refused {
        assert_eq!(app.send(with_token(app.request(Method::GET, PATH))).await.refusal(), (401, "unauthorized"));
    }
}

/// What a page concludes from the answer is what the service does.
#[tokio::test]
async fn rights_are_those_that_count() {
    let app = TestApp::start_with(&[("ADMIN__READ_TOKENS", "a-token-that-may-look")]).with_units(3).await;
    for (token, status) in [(ADMIN_TOKEN, 200), ("a-token-that-may-look", 403)] {
        let answer = app.send(app.request(Method::GET, PATH).bearer_auth(token)).await;
        let may_change = answer.body["rights"].as_array().unwrap().contains(&json!("change"));
        let change = app.request(Method::PATCH, "/api/admin/sales/p1").json(&json!({"paused": true}));
        let changed = app.send(change.bearer_auth(token)).await;
        assert_eq!((changed.status, may_change), (status, status == 200), "{token}");
    }
}
