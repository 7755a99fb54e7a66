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
        .service(resource("/api/orders", "POST").route(web::post().to(orders::create)))
        .service(reading("/api/orders/{id}", orders::read))
        .service(resource("/api/orders/{id}/cancel", "POST").route(web::post().to(orders::cancel)))
        .service(resource("/api/orders/{id}/payment-started", "POST").route(web::post().to(orders::start_payment)))
        .service(resource("/api/payments/webhook", "POST").route(web::post().to(payments::webhook)))
        .service(resource("/api/payments/webhooks/stripe", "POST").route(web::post().to(payments::webhook)))
        .service(reading("/livez", health::livez))
        .service(reading("/readyz", health::readyz));
    if desk.admin_token.is_some() {
        config
            .service(resource("/api/admin/products", "POST").route(web::post().to(admin::products::create)))
            .service(reading("/api/admin/events", admin::events::list))
            .service(reading("/api/admin/reviews", admin::reviews::list))
            .service(
                resource("/api/admin/reviews/{id}/resolve", "POST").route(web::post().to(admin::reviews::resolve)),
            );
    }
    config.default_service(web::to(not_found));
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
