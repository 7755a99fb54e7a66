//! The table of routes.

use actix_web::{
    FromRequest, Handler, HttpResponse, Resource, Responder,
    middleware::{Condition, from_fn},
    web::{self, ServiceConfig},
};

use super::{
    Desk, admin,
    gate::gate,
    health, holds, orders, payments,
    problem::{Code, Problem},
    products,
};

/// Adds all routes. The admin routes are there only when there is a token for them.
pub fn configure(config: &mut ServiceConfig, desk: &Desk) {
    configure_storefront(config, desk);
    for verifier in desk.verifiers.iter() {
        config.service(resource(verifier.provider.path, "POST").route(web::post().to(payments::webhook)));
    }
    config.service(reading("/livez", health::livez)).service(reading("/readyz", health::readyz));
    if desk.admins.is_some() {
        configure_admin(config);
    }
    config.default_service(web::to(not_found));
}

/// Each scope is behind the gate as a whole, also a path in it that is spelled with escapes.
fn configure_storefront(config: &mut ServiceConfig, desk: &Desk) {
    let behind_gate = |path| web::scope(path).wrap(Condition::new(desk.gate.is_some(), from_fn(gate)));
    config
        .service(
            behind_gate(products::PATH).service(reading("", products::list)).service(reading("/{id}", products::read)),
        )
        .service(
            behind_gate(holds::PATH)
                .service(resource("", "POST").route(web::post().to(holds::create)))
                .service(
                    resource("/{id}", "GET, HEAD, DELETE")
                        .route(web::get().to(holds::read))
                        .route(web::head().to(holds::read))
                        .route(web::delete().to(holds::release)),
                )
                .service(resource("/{id}/extend", "POST").route(web::post().to(holds::extend))),
        )
        .service(
            behind_gate(orders::PATH)
                .service(resource("", "POST").route(web::post().to(orders::create)))
                .service(reading("/{id}", orders::read))
                .service(resource("/{id}/cancel", "POST").route(web::post().to(orders::cancel)))
                .service(resource("/{id}/payment-started", "POST").route(web::post().to(orders::start_payment))),
        );
}

fn configure_admin(config: &mut ServiceConfig) {
    config
        .service(
            resource("/api/admin/sales", "GET, HEAD, POST")
                .route(web::get().to(admin::sales::list))
                .route(web::head().to(admin::sales::list))
                .route(web::post().to(admin::sales::create)),
        )
        .service(
            resource("/api/admin/sales/{id}", "GET, HEAD, PATCH")
                .route(web::get().to(admin::sales::read))
                .route(web::head().to(admin::sales::read))
                .route(web::patch().to(admin::sales::change)),
        )
        .service(
            resource("/api/admin/products", "GET, HEAD, POST")
                .route(web::get().to(admin::products::list))
                .route(web::head().to(admin::products::list))
                .route(web::post().to(admin::products::create)),
        )
        .service(resource("/api/admin/import", "POST").route(web::post().to(admin::import::products)))
        .service(
            resource("/api/admin/products/{id}", "GET, HEAD, PATCH")
                .route(web::get().to(admin::products::read))
                .route(web::head().to(admin::products::read))
                .route(web::patch().to(admin::products::change)),
        )
        .service(resource("/api/admin/products/{id}/restock", "POST").route(web::post().to(admin::products::restock)))
        .service(reading("/api/admin/orders", admin::orders::list))
        .service(reading("/api/admin/orders/export", admin::export::orders))
        .service(resource("/api/admin/orders/{id}/cancel", "POST").route(web::post().to(admin::orders::cancel)))
        .service(
            resource("/api/admin/audit", "GET, HEAD, POST")
                .route(web::get().to(admin::audit::read))
                .route(web::head().to(admin::audit::read))
                .route(web::post().to(admin::audit::repair)),
        )
        .service(reading("/api/admin/events", admin::events::list))
        .service(reading("/api/admin/reviews", admin::reviews::list))
        .service(resource("/api/admin/reviews/{id}/resolve", "POST").route(web::post().to(admin::reviews::resolve)));
}

/// HEAD is answered as GET is; the server leaves the body out.
fn reading<F, Args>(path: &str, handler: F) -> Resource
where
    F: Handler<Args>,
    Args: FromRequest + 'static,
    F::Output: Responder + 'static,
{
    resource(path, "GET, HEAD").route(web::get().to(handler.clone())).route(web::head().to(handler))
}

fn resource(path: &str, allow: &'static str) -> Resource {
    let refuse = move || async move { Err::<HttpResponse, _>(Problem::method_not_allowed(allow)) };
    web::resource(path).default_service(web::to(refuse))
}

async fn not_found() -> Result<HttpResponse, Problem> {
    Err(Problem::new(Code::NotFound, "there is nothing at this path"))
}
