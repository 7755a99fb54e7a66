//! C0: parses what flashsale parses, answers as many bytes, and does nothing in between. No service can beat it.

use actix_web::{
    HttpResponse,
    web::{self, ServiceConfig},
};
use serde::Deserialize;

use super::{REQUEST_ID, Wish};

const HELD: &str = r#"{"id":"hold_p1_-ffwesdZnkpB3XefFNNl3oza","product_id":1,"quantity":1,"unit_price":"50.00","items":[{"product_id":1,"quantity":1,"unit_price":"50.00"}],"total_amount":"50.00","currency":"USD","customer_id":null,"expires_at":"2026-11-22T16:54:36.000Z","expires_in":900}"#;
const ORDERED: &str = r#"{"id":"order_p1_-ffwesdZnkpB3XefFNNl3oza","hold_id":"hold_p1_-ffwesdZnkpB3XefFNNl3oza","product_id":1,"quantity":1,"unit_price":"50.00","items":[{"product_id":1,"quantity":1,"unit_price":"50.00"}],"status":"pending","total_amount":"1.00","currency":"USD","created_at":"2026-11-22T16:39:36.000Z","payment_due_at":"2026-11-22T16:54:36.000Z","paid_at":null}"#;
const PAID: &str = r#"{"message":"Webhook received","outcome":"applied","order":{"id":"order_p1_-ffwesdZnkpB3XefFNNl3oza","hold_id":"hold_p1_-ffwesdZnkpB3XefFNNl3oza","product_id":1,"quantity":1,"unit_price":"50.00","items":[{"product_id":1,"quantity":1,"unit_price":"50.00"}],"status":"paid","total_amount":"1.00","currency":"USD","created_at":"2026-11-22T16:39:36.000Z","payment_due_at":"2026-11-22T16:54:36.000Z","paid_at":"2026-11-22T16:39:36.000Z"}}"#;
const PRODUCT: &str = r#"{"id":1,"sale":"p1","name":"Item","price":"1.00","currency":"USD","total_stock":1000000000,"available_stock":1000000000,"held_stock":0,"pending_stock":0,"sold_stock":0,"max_per_hold":10,"max_per_customer":null,"status":"live","starts_at":null,"ends_at":null,"next_release_at":null,"group":null,"visibility":"public"}"#;

#[derive(Deserialize)]
struct OrderWish {
    hold_id: String,
}

#[derive(Deserialize)]
struct Event {
    idempotency_key: String,
    payload: Payload,
}

#[derive(Deserialize)]
struct Payload {
    status: String,
    order_id: String,
}

pub fn configure(routes: &mut ServiceConfig) {
    routes.route("/api/holds", web::post().to(hold)).route("/api/orders", web::post().to(order));
    routes.route("/api/payments/webhook", web::post().to(payment)).route("/api/products/1", web::get().to(product));
}

async fn hold(wish: web::Json<Wish>) -> HttpResponse {
    if wish.product_id == 0 || wish.quantity == 0 { refused() } else { answered(HttpResponse::Created(), HELD) }
}

pub async fn sold_out(wish: web::Json<Wish>) -> HttpResponse {
    if wish.product_id == 0 || wish.quantity == 0 { refused() } else { super::sold_out() }
}

async fn order(wish: web::Json<OrderWish>) -> HttpResponse {
    if wish.hold_id.is_empty() { refused() } else { answered(HttpResponse::Created(), ORDERED) }
}

async fn payment(event: web::Json<Event>) -> HttpResponse {
    let Event { idempotency_key, payload } = &*event;
    if idempotency_key.is_empty() || payload.status.is_empty() || payload.order_id.is_empty() {
        return refused();
    }
    answered(HttpResponse::Ok(), PAID)
}

async fn product() -> HttpResponse {
    answered(HttpResponse::Ok(), PRODUCT)
}

fn answered(mut answer: actix_web::HttpResponseBuilder, body: &'static str) -> HttpResponse {
    answer.content_type("application/json").insert_header(REQUEST_ID).body(body)
}

fn refused() -> HttpResponse {
    HttpResponse::UnprocessableEntity().finish()
}
