//! The table of routes.

use actix_web::{
    FromRequest, Handler, HttpRequest, HttpResponse, Resource, Responder, Route, http,
    middleware::{Condition, from_fn},
    web::{self, ServiceConfig},
};

use super::{
    HttpContext, admin,
    gate::gate,
    health, holds, live, metrics, orders, pages, parameters, payments,
    problem::{Code, Problem},
    products, simulated_provider,
};

/// Adds all routes. Without an admin token there are no admin routes.
pub fn configure(config: &mut ServiceConfig, context: &HttpContext) {
    configure_storefront(config, context);
    for verifier in context.verifiers.iter() {
        config.service(at(verifier.provider.path, [post_with_query(payments::webhook)]));
    }
    config.service(reading(health::LIVEZ, health::livez)).service(reading(health::READYZ, health::readyz));
    if context.admins.is_some() || context.metrics.has_readers() {
        config.service(reading(metrics::PATH, metrics::read));
    }
    if context.admins.is_some() {
        configure_admin(config);
    }
    for asset in context.pages.assets() {
        // Whoever links to a page adds what they like: ?utm_source=letter.
        config.service(at(asset.path, [list(asset.handler())]));
    }
    if context.pages.storefront {
        config.service(reading(pages::PARTS, pages::parts));
    }
    if context.simulated_provider.is_some() {
        config.service(at(simulated_provider::PATH, [post(simulated_provider::pay)]));
    }
    config.default_service(web::to(not_found));
}

/// The gate is around each scope as a whole, so that no spelling of a path with escapes leads past it.
fn configure_storefront(config: &mut ServiceConfig, context: &HttpContext) {
    let behind_gate = |path| web::scope(path).wrap(Condition::new(context.gate.is_some(), from_fn(gate)));
    config
        .service(
            behind_gate(products::PATH)
                .service(at("", [list(products::list)]))
                .service(reading("/by-sku/{sku}", products::read_by_sku))
                .service(reading("/{id}", products::read))
                .service(reading("/{id}/live", live::product)),
        )
        .service(behind_gate("/api/sales").service(reading("/{id}/live", live::sale)))
        .service(
            behind_gate(holds::PATH)
                .service(at("", [post(holds::create)]))
                .service(at("/{id}", [get(holds::read), delete(holds::release)]))
                .service(at("/{id}/extend", [post(holds::extend)])),
        )
        .service(
            behind_gate(orders::PATH)
                .service(at("", [post(orders::create)]))
                .service(reading("/{id}", orders::read))
                .service(at("/{id}/cancel", [post(orders::cancel)]))
                .service(at("/{id}/payment-started", [post(orders::start_payment)])),
        );
}

fn configure_admin(config: &mut ServiceConfig) {
    use admin::{
        audit, customers, events, export, figures, import, orders, payments, product_life, products, reviews, sales,
        token,
    };
    config
        .service(at("/api/admin/sales", [list(sales::list), post(sales::create)]))
        .service(at("/api/admin/sales/{id}", [get(sales::read), patch(sales::change)]))
        .service(at("/api/admin/products", [list(products::list), post(products::create)]))
        .service(at("/api/admin/import", [post_with_query(import::products)]))
        // Before the ids, because a SKU may be the word restock.
        .service(at(
            "/api/admin/products/by-sku/{sku}",
            [get(products::read), patch(products::change), delete_with_query(product_life::delete)],
        ))
        .service(at("/api/admin/products/by-sku/{sku}/move", [post(product_life::to_sale)]))
        .service(at("/api/admin/products/by-sku/{sku}/restock", [post(products::restock)]))
        .service(at(
            "/api/admin/products/{id}",
            [get(products::read), patch(products::change), delete_with_query(product_life::delete)],
        ))
        .service(at("/api/admin/products/{id}/move", [post(product_life::to_sale)]))
        .service(at("/api/admin/products/{id}/restock", [post(products::restock)]))
        .service(at("/api/admin/orders", [list(orders::list)]))
        .service(at("/api/admin/orders/export", [list(export::orders)]))
        .service(reading("/api/admin/orders/{id}", orders::read))
        .service(at("/api/admin/orders/{id}/cancel", [post_with_query(orders::cancel)]))
        .service(at("/api/admin/customers/{id}", [list(customers::read)]))
        .service(at("/api/admin/audit", [list(audit::read), post_with_query(audit::repair)]))
        .service(at("/api/admin/events", [list(events::list)]))
        .service(reading("/api/admin/figures", figures::read))
        .service(reading("/api/admin/token", token::read))
        .service(at("/api/admin/reviews", [list(reviews::list)]))
        .service(reading("/api/admin/payments/{id}", payments::read))
        .service(reading("/api/admin/reviews/{id}", reviews::read))
        .service(at("/api/admin/reviews/{id}/resolve", [post(reviews::resolve)]));
}

/// The methods of a handler, and its routes.
struct Method {
    allow: &'static str,
    routes: Vec<Route>,
}

/// GET and HEAD of something that knows no parameter. The server leaves the body of an answer to HEAD out.
fn get<F, Args>(handler: F) -> Method
where
    F: Handler<Args>,
    Args: FromRequest + 'static,
    F::Output: Responder + 'static,
{
    let Method { allow, routes } = list(handler);
    Method { allow, routes: routes.into_iter().map(|route| route.wrap(from_fn(parameters::none))).collect() }
}

/// GET and HEAD of something that reads its parameters itself.
fn list<F, Args>(handler: F) -> Method
where
    F: Handler<Args>,
    Args: FromRequest + 'static,
    F::Output: Responder + 'static,
{
    Method { allow: "GET, HEAD", routes: vec![web::get().to(handler.clone()), web::head().to(handler)] }
}

macro_rules! methods {
    ($($name:ident $allow:literal)*) => {
        $(fn $name<F, Args>(handler: F) -> Method
        where
            F: Handler<Args>,
            Args: FromRequest + 'static,
            F::Output: Responder + 'static,
        {
            Method { allow: $allow, routes: vec![web::$name().to(handler).wrap(from_fn(parameters::none))] }
        })*
    };
}

/// POST of something that reads its parameters itself, or takes any.
fn post_with_query<F, Args>(handler: F) -> Method
where
    F: Handler<Args>,
    Args: FromRequest + 'static,
    F::Output: Responder + 'static,
{
    Method { allow: "POST", routes: vec![web::post().to(handler)] }
}

/// DELETE of something that reads its parameters itself.
fn delete_with_query<F, Args>(handler: F) -> Method
where
    F: Handler<Args>,
    Args: FromRequest + 'static,
    F::Output: Responder + 'static,
{
    Method { allow: "DELETE", routes: vec![web::delete().to(handler)] }
}

methods! { post "POST" patch "PATCH" delete "DELETE" }

fn reading<F, Args>(path: &str, handler: F) -> Resource
where
    F: Handler<Args>,
    Args: FromRequest + 'static,
    F::Output: Responder + 'static,
{
    at(path, [get(handler)])
}

/// A resource. OPTIONS says which methods it takes, and so does the refusal of any other one.
fn at<const N: usize>(path: &str, methods: [Method; N]) -> Resource {
    let allow = format!("{}, OPTIONS", methods.each_ref().map(|method| method.allow).join(", "));
    let routes = methods.into_iter().flat_map(|method| method.routes);
    let other = move |method: http::Method| {
        let allow = allow.clone();
        std::future::ready(match method {
            http::Method::OPTIONS => Ok(HttpResponse::NoContent().insert_header((http::header::ALLOW, allow)).finish()),
            _ => Err(Problem::method_not_allowed(allow)),
        })
    };
    routes.fold(web::resource(path).default_service(web::to(other)), Resource::route)
}

/// `OPTIONS *` asks about the service as a whole.
async fn not_found(request: HttpRequest) -> Result<HttpResponse, Problem> {
    if request.method() == http::Method::OPTIONS && request.path() == "*" {
        let allow = (http::header::ALLOW, "GET, HEAD, POST, PATCH, DELETE, OPTIONS");
        return Ok(HttpResponse::NoContent().insert_header(allow).finish());
    }
    Err(Problem::new(Code::NotFound, "there is nothing at this path"))
}
