//! The controls that flashsale is compared with, on the same HTTP stack, allocator and settings, each in a process of its own.
//!
//! They do less: no request ids, no signed ids, no idempotency, no problem documents, no limits.

mod classic;
mod empty;
mod postgres;

use std::{io, net::SocketAddr, time::Duration};

use actix_web::{
    App, HttpResponse, HttpServer,
    web::{self, ServiceConfig},
};
use serde::{Deserialize, Serialize};

pub use self::postgres::SESSIONS;

const HOLD_SECONDS: u64 = 900;
const REQUEST_ID: (&str, &str) = ("x-request-id", "0123456789abcdef-12345");
const SOLD_OUT: &str = r#"{"type":"https://flashsale.example/problems/insufficient-stock","title":"Insufficient stock","status":409,"detail":"all units are sold","code":"insufficient_stock","request_id":"0123456789abcdef-12345","product_id":1,"available_stock":0,"reason":"sold_out","next_release_at":null}"#;

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Control {
    /// Empty handlers: parse the same bodies and answer as many bytes.
    C0,
    /// Like C0, but every answer is sold out.
    C0SoldOut,
    /// One `pool.get()` and one script call for each request.
    C1,
    /// One script call for each request on a multiplexed connection.
    C2,
    /// One transaction for each request in PostgreSQL.
    C3,
    /// Like C3, but answers before the commit is on disk.
    C3Relaxed,
}

#[derive(Deserialize)]
struct Wish {
    product_id: u64,
    quantity: u64,
}

#[derive(Serialize)]
struct Hold {
    id: String,
    product_id: u64,
    quantity: u64,
    unit_price: &'static str,
    items: [Item; 1],
    total_amount: &'static str,
    currency: &'static str,
    customer_id: Option<String>,
    expires_at: &'static str,
    expires_in: u64,
}

#[derive(Serialize)]
struct Item {
    product_id: u64,
    quantity: u64,
    unit_price: &'static str,
}

/// Serves until it is killed.
///
/// # Errors
/// When it cannot listen.
pub fn run(control: Control, addr: SocketAddr, workers: usize, store_url: &str) -> io::Result<()> {
    let url = store_url.to_owned();
    let server = HttpServer::new(move || App::new().configure(|routes| configure(control, &url, routes)));
    let server = server.workers(workers).keep_alive(Duration::from_secs(75)).bind(addr)?;
    actix_web::rt::System::new().block_on(server.run())
}

/// The routes; each worker calls this for itself.
fn configure(control: Control, url: &str, routes: &mut ServiceConfig) {
    match control {
        Control::C0 => empty::configure(routes),
        Control::C0SoldOut => _ = routes.route("/api/holds", web::post().to(empty::sold_out)),
        Control::C1 | Control::C2 => {
            routes.app_data(web::Data::new(classic::Worker::new(url)));
            let holds = web::post();
            let holds = if control == Control::C1 { holds.to(classic::pooled) } else { holds.to(classic::multiplexed) };
            routes.route("/api/holds", holds);
        }
        Control::C3 | Control::C3Relaxed => {
            routes.app_data(web::Data::new(postgres::Pool::new(url, control == Control::C3)));
            routes.route("/api/holds", web::post().to(postgres::hold));
        }
    }
}

fn held(wish: &Wish, id: String) -> HttpResponse {
    let (product_id, quantity) = (wish.product_id, wish.quantity);
    HttpResponse::Created().insert_header(REQUEST_ID).json(Hold {
        id,
        product_id,
        quantity,
        unit_price: "50.00",
        items: [Item { product_id, quantity, unit_price: "50.00" }],
        total_amount: "50.00",
        currency: "USD",
        customer_id: None,
        expires_at: "2026-11-22T16:54:36.000Z",
        expires_in: HOLD_SECONDS,
    })
}

fn sold_out() -> HttpResponse {
    HttpResponse::Conflict().content_type("application/problem+json").insert_header(REQUEST_ID).body(SOLD_OUT)
}
