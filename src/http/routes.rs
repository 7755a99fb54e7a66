//! The table of routes.

use actix_web::{
    FromRequest, Handler, HttpResponse, Resource, Responder,
    web::{self, ServiceConfig},
};

use super::{
    Desk, admin, health, holds, orders, payments,
    problem::{Code, Problem},
    products,
};

/// Adds all routes. The admin routes are there only when there is a token for them.
pub fn configure(config: &mut ServiceConfig, desk: &Desk) {
    config
        .service(resource(holds::PATH, "POST").route(web::post().to(holds::create)))
        .service(reading("/api/products/{id}", products::read))
        .service(reading(products::PATH, products::list))
        .service(
            resource("/api/holds/{id}", "GET, HEAD, DELETE")
                .route(web::get().to(holds::read))
                .route(web::head().to(holds::read))
                .route(web::delete().to(holds::release)),
        )
        .service(resource("/api/holds/{id}/extend", "POST").route(web::post().to(holds::extend)))
        .service(resource("/api/orders", "POST").route(web::post().to(orders::create)))
        .service(reading("/api/orders/{id}", orders::read))
        .service(resource("/api/orders/{id}/cancel", "POST").route(web::post().to(orders::cancel)))
        .service(resource("/api/orders/{id}/payment-started", "POST").route(web::post().to(orders::start_payment)))
        .service(resource("/api/payments/webhook", "POST").route(web::post().to(payments::webhook)))
        .service(resource("/api/payments/webhooks/stripe", "POST").route(web::post().to(payments::webhook)))
        .service(reading("/livez", health::livez))
        .service(reading("/readyz", health::readyz));
    if desk.admins.is_some() {
        configure_admin(config);
    }
    config.default_service(web::to(not_found));
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
        .service(resource("/api/admin/products", "POST").route(web::post().to(admin::products::create)))
        .service(resource("/api/admin/import", "POST").route(web::post().to(admin::import::products)))
        .service(resource("/api/admin/products/{id}", "PATCH").route(web::patch().to(admin::products::change)))
        .service(resource("/api/admin/products/{id}/restock", "POST").route(web::post().to(admin::products::restock)))
        .service(reading("/api/admin/orders", admin::orders::list))
        .service(reading("/api/admin/orders/export", admin::export::orders))
        .service(resource("/api/admin/orders/{id}/cancel", "POST").route(web::post().to(admin::orders::cancel)))
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
