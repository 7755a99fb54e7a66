//! What flashsale is compared with, on the same HTTP stack, allocator and settings, each a process of its own.
//!
//! They do less: no request ids, no signed ids, no idempotency, no problem documents, no limits, no products but one.

use std::{cell::Cell, io, net::SocketAddr};

use actix_web::{App, HttpResponse, HttpServer, web};
use deadpool_redis::{Config, Pool, Runtime};
use redis::{Script, aio::MultiplexedConnection};
use serde::{Deserialize, Serialize};
use tokio::sync::OnceCell;

const HOLD_MS: u64 = 900_000;
const CLASSIC: &str = include_str!("classic.lua");

#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub enum Control {
    /// An empty handler: parses the same body and answers the same bytes.
    C0,
    /// As C0, and says that there is nothing left.
    C0SoldOut,
    /// One `pool.get()` and one script call for each request.
    C1,
    /// One script call for each request on a multiplexed connection.
    C2,
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
    items: [Item; 1],
    customer_id: Option<String>,
    expires_at: &'static str,
    expires_in: u64,
}

#[derive(Serialize)]
struct Item {
    product_id: u64,
    quantity: u64,
}

/// As long as an answer of flashsale.
const HELD: &str = r#"{"id":"hold_p1_-ffwesdZnkpB3XefFNNl3oza","product_id":1,"quantity":1,"items":[{"product_id":1,"quantity":1}],"customer_id":null,"expires_at":"2026-11-22T16:54:36.000Z","expires_in":900}"#;
const SOLD_OUT: &str = r#"{"type":"https://flashsale.example/problems/insufficient-stock","title":"Insufficient stock","status":409,"detail":"all units are sold","code":"insufficient_stock","request_id":"0123456789abcdef-12345","product_id":1,"available_stock":0,"reason":"sold_out","next_release_at":null}"#;
const PRODUCT: &str = r#"{"id":1,"sale":"p1","name":"Item","price":"1.00","currency":"USD","total_stock":1000000000,"available_stock":1000000000,"held_stock":0,"pending_stock":0,"sold_stock":0,"max_per_hold":10,"max_per_customer":null,"status":"live","starts_at":null,"ends_at":null,"next_release_at":null}"#;
const REQUEST_ID: (&str, &str) = ("x-request-id", "0123456789abcdef-12345");

/// How a worker of a control reaches Redis.
struct Worker {
    pool: Pool,
    connection: OnceCell<MultiplexedConnection>,
    script: Script,
    number: u64,
    count: Cell<u64>,
}

/// Serves until it is killed.
pub fn run(control: Control, addr: SocketAddr, workers: usize, redis_url: &str) -> io::Result<()> {
    let url = redis_url.to_owned();
    let server = HttpServer::new(move || {
        let worker = web::Data::new(Worker::new(&url));
        let app = App::new().app_data(worker).route("/api/products/1", web::get().to(product));
        match control {
            Control::C0 => app.route("/api/holds", web::post().to(empty)),
            Control::C0SoldOut => app.route("/api/holds", web::post().to(empty_sold_out)),
            Control::C1 => app.route("/api/holds", web::post().to(pooled)),
            Control::C2 => app.route("/api/holds", web::post().to(multiplexed)),
        }
    });
    let server = server.workers(workers).keep_alive(std::time::Duration::from_secs(75)).bind(addr)?;
    actix_web::rt::System::new().block_on(server.run())
}

async fn product() -> HttpResponse {
    HttpResponse::Ok().content_type("application/json").insert_header(REQUEST_ID).body(PRODUCT)
}

async fn empty(wish: web::Json<Wish>) -> HttpResponse {
    if wish.product_id == 0 || wish.quantity == 0 {
        return HttpResponse::UnprocessableEntity().finish();
    }
    HttpResponse::Created().content_type("application/json").insert_header(REQUEST_ID).body(HELD)
}

async fn empty_sold_out(wish: web::Json<Wish>) -> HttpResponse {
    if wish.product_id == 0 || wish.quantity == 0 {
        return HttpResponse::UnprocessableEntity().finish();
    }
    sold_out()
}

async fn pooled(wish: web::Json<Wish>, worker: web::Data<Worker>) -> HttpResponse {
    let Ok(mut connection) = worker.pool.get().await else { return HttpResponse::ServiceUnavailable().finish() };
    let id = worker.next_id();
    let decided = worker.call(&wish, &id).invoke_async(&mut *connection).await;
    answer(&wish, id, &decided)
}

async fn multiplexed(wish: web::Json<Wish>, worker: web::Data<Worker>) -> HttpResponse {
    let connect = async || worker.pool.get().await.map(|connection| (*connection).clone());
    let Ok(connection) = worker.connection.get_or_try_init(connect).await else {
        return HttpResponse::ServiceUnavailable().finish();
    };
    let id = worker.next_id();
    let decided = worker.call(&wish, &id).invoke_async(&mut connection.clone()).await;
    answer(&wish, id, &decided)
}

impl Worker {
    fn new(url: &str) -> Self {
        let pool = Config::from_url(url).create_pool(Some(Runtime::Tokio1)).expect("a URL of this program's own");
        let number = std::time::UNIX_EPOCH.elapsed().map_or(0, |now| u64::from(now.subsec_nanos()));
        Self { pool, connection: OnceCell::new(), script: Script::new(CLASSIC), number, count: Cell::new(0) }
    }

    fn next_id(&self) -> String {
        self.count.set(self.count.get() + 1);
        format!("hold_{:08x}{:016x}", self.number, self.count.get())
    }

    fn call(&self, wish: &Wish, id: &str) -> redis::ScriptInvocation<'_> {
        let mut call = self.script.prepare_invoke();
        call.key(format!("{{{}}}:left", wish.product_id)).key(format!("{{{}}}:deadlines", wish.product_id));
        call.key(format!("{{{}}}:{id}", wish.product_id)).arg(wish.quantity).arg(HOLD_MS).arg(id);
        call
    }
}

fn answer(wish: &Wish, id: String, decided: &redis::RedisResult<i64>) -> HttpResponse {
    match decided {
        Err(_) => HttpResponse::ServiceUnavailable().finish(),
        Ok(-1) => sold_out(),
        Ok(_) => {
            let (product_id, quantity) = (wish.product_id, wish.quantity);
            HttpResponse::Created().insert_header(REQUEST_ID).json(Hold {
                id,
                product_id,
                quantity,
                items: [Item { product_id, quantity }],
                customer_id: None,
                expires_at: "2026-11-22T16:54:36.000Z",
                expires_in: HOLD_MS / 1_000,
            })
        }
    }
}

fn sold_out() -> HttpResponse {
    HttpResponse::Conflict().content_type("application/problem+json").insert_header(REQUEST_ID).body(SOLD_OUT)
}
