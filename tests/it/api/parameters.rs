//! What paths and queries may say.

use reqwest::Method;
use serde_json::json;

use crate::support::app::{ADMIN_TOKEN, Answer, TestApp};

impl TestApp {
    async fn ask(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path).bearer_auth(ADMIN_TOKEN)).await
    }
}

#[tokio::test]
async fn escapes_that_are_no_utf_8_are_refused_on_every_route_that_reads_them() {
    let app = TestApp::selling(5).await;
    for path in [
        "/api/products/%ff",
        "/api/products/by-sku/A%C3",
        "/api/admin/products/by-sku/%80",
        "/api/admin/customers/%ff",
        "/api/admin/payments/pi_%ed%a0%80",
        "/api/holds/%fe",
        "/api/orders/%ff",
    ] {
        let answer = app.ask(path).await;
        let error = &answer.body["errors"][0];
        assert_eq!(
            (answer.refusal(), &error["code"]),
            ((422, "validation_failed"), &json!("invalid_encoding")),
            "{path}"
        );
        assert!(error["detail"].as_str().unwrap().contains("UTF-8"), "{error}");
    }
    for (path, pointer) in [
        ("/api/products?sale=%ff", "/sale"),
        ("/api/admin/orders?customer_id=J%E9r", "/customer_id"),
        ("/api/admin/orders/export?zone=%C3", "/zone"),
        ("/api/admin/events?types=%ff", "/types"),
    ] {
        let answer = app.ask(path).await;
        let errors = answer.body["errors"].as_array().unwrap();
        assert!(errors.iter().any(|e| e["code"] == "invalid_encoding" && e["pointer"] == pointer), "{answer:?}");
    }
    assert_eq!(app.ask("/api/admin/customers/J%C3%A9r%C3%B4me%20%EF%BF%BD").await.status, 200);
    assert_eq!(app.ask("/api/admin/orders?customer_id=J%C3%A9r").await.status, 200);
}

#[tokio::test]
async fn an_empty_parameter_is_refused_because_it_would_mean_everything() {
    let app = TestApp::selling(5).await;
    for (path, name) in [
        ("/api/products?sale=", "sale"),
        ("/api/products?ids=", "ids"),
        ("/api/products?limit=", "limit"),
        ("/api/admin/orders?customer_id=", "customer_id"),
        ("/api/admin/orders?status=&sale=p1", "status"),
        ("/api/admin/orders/export?since=", "since"),
        ("/api/admin/reviews?status", "status"),
        ("/api/admin/events?types=", "types"),
        ("/api/admin/audit?sale=", "sale"),
    ] {
        let answer = app.ask(path).await;
        let error = &answer.body["errors"][0];
        assert_eq!((answer.status, &error["pointer"]), (422, &json!(format!("/{name}"))), "{path}: {answer:?}");
        assert!(error["detail"].as_str().unwrap().starts_with(&format!("{name} is empty: leave it out")), "{error}");
    }
    for path in ["/api/products?cursor=", "/api/admin/orders?cursor=", "/api/admin/events?after="] {
        assert_eq!(app.ask(path).await.status, 200, "{path}: a list begins there");
    }
}

#[tokio::test]
async fn a_time_that_ends_before_it_begins_and_offsets_that_no_place_has_are_refused() {
    let app = TestApp::selling(5).await;
    let reversed = "since=2026-11-27T10:00:00Z&until=2026-11-27T09:00:00Z";
    for path in ["/api/admin/orders", "/api/admin/orders/export", "/api/admin/events"] {
        let answer = app.ask(&format!("{path}?{reversed}")).await;
        assert_eq!((answer.status, &answer.body["errors"][0]["pointer"]), (422, &json!("/until")), "{path}");
        let same = "since=2026-11-27T10:00:00Z&until=2026-11-27T10:00:00Z";
        assert_eq!(app.ask(&format!("{path}?{same}")).await.status, 200, "{path}");
    }
    let distant = app.ask("/api/admin/orders?since=2026-11-27T10:00:00%2B25:00").await;
    assert_eq!((distant.status, &distant.body["errors"][0]["pointer"]), (422, &json!("/since")));
    for zone in ["%2B25:00", "posixrules", "localtime", "Factory", "posix/Europe/Berlin", "right/Europe/Berlin"] {
        let answer = app.ask(&format!("/api/admin/orders/export?zone={zone}")).await;
        assert_eq!((answer.status, &answer.body["errors"][0]["pointer"]), (422, &json!("/zone")), "{zone}");
    }
    let sale =
        app.admin(Method::POST, "/api/admin/sales", json!({"id": "s", "starts_at": "2026-11-27T10:00:00+24:00"}));
    assert_eq!(sale.await.body["errors"][0]["pointer"], "/starts_at");
}
