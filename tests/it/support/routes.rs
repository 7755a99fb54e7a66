//! All routes of the service, as `src/http/routes.rs` declares them, for tests that try each of them.

use reqwest::Method;

/// Methods and paths. An id in a path is 1, a SKU is `A`.
pub fn all() -> Vec<(Method, String)> {
    let text = include_str!("../../../src/http/routes.rs");
    let text =
        text.split("fn configure_storefront").nth(1).and_then(|text| text.split("/// The methods of a handler").next());
    let mut routes = vec![(Method::GET, "/livez".to_owned()), (Method::GET, "/readyz".to_owned())];
    routes.extend(flashsale::webhook::PROVIDERS.map(|provider| (Method::POST, provider.path.to_owned())));
    let mut scope = String::new();
    for part in text.expect("the table of routes").split(".service(").flat_map(|part| part.split("behind_gate(")) {
        if let Some((name, _)) = part.split_once("::PATH)") {
            scope = format!("/api/{}", name.trim());
        }
        let Some((call, rest)) = part.split_once('"') else { continue };
        let (path, methods) = rest.split_once('"').unwrap();
        let path = path.replace("{id}", "1").replace("{sku}", "A");
        let path = if path.starts_with("/api/") { path } else { format!("{scope}{path}") };
        let methods = if call.contains("reading(") { "get(" } else { methods };
        for (word, method) in [
            ("get", Method::GET),
            ("list", Method::GET),
            ("post", Method::POST),
            ("patch", Method::PATCH),
            ("delete", Method::DELETE),
        ] {
            let is_one = [format!("[{word}"), format!(" {word}")].iter().any(|word| methods.contains(word.as_str()));
            if is_one || methods.starts_with(word) {
                routes.push((method, path.clone()));
            }
        }
    }
    assert!(routes.len() >= 45, "the table of routes is read wrongly: {routes:?}");
    routes
}

#[test]
fn the_table_of_routes_is_read_whole() {
    let routes = all();
    let has = |method: Method, path: &str| routes.contains(&(method, path.to_owned()));
    assert!(
        has(Method::POST, "/api/holds")
            && has(Method::DELETE, "/api/holds/1")
            && has(Method::GET, "/api/products/by-sku/A")
    );
    assert!(has(Method::PATCH, "/api/admin/products/by-sku/A") && has(Method::POST, "/api/admin/reviews/1/resolve"));
    assert!(has(Method::GET, "/api/admin/orders/export") && has(Method::GET, "/api/admin/audit"));
}
