//! C1 and C2: one script call for each request, as services on Redis usually do it.

use std::cell::Cell;

use actix_web::{HttpResponse, web};
use deadpool_redis::{Config, Pool, Runtime};
use redis::{Script, aio::MultiplexedConnection};
use tokio::sync::OnceCell;

use super::{HOLD_SECONDS, Wish, held, sold_out};

const CLASSIC: &str = include_str!("classic.lua");

/// How a worker reaches Redis.
pub struct Worker {
    pool: Pool,
    connection: OnceCell<MultiplexedConnection>,
    script: Script,
    number: u64,
    count: Cell<u64>,
}

/// Control C1.
pub async fn pooled(wish: web::Json<Wish>, worker: web::Data<Worker>) -> HttpResponse {
    let Ok(mut connection) = worker.pool.get().await else { return HttpResponse::ServiceUnavailable().finish() };
    let id = worker.next_id();
    let decided = worker.call(&wish, &id).invoke_async(&mut *connection).await;
    answer(&wish, id, &decided)
}

/// Control C2.
pub async fn multiplexed(wish: web::Json<Wish>, worker: web::Data<Worker>) -> HttpResponse {
    let connect = async || worker.pool.get().await.map(|connection| (*connection).clone());
    let Ok(connection) = worker.connection.get_or_try_init(connect).await else {
        return HttpResponse::ServiceUnavailable().finish();
    };
    let id = worker.next_id();
    let decided = worker.call(&wish, &id).invoke_async(&mut connection.clone()).await;
    answer(&wish, id, &decided)
}

impl Worker {
    pub fn new(url: &str) -> Self {
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
        call.key(format!("{{{}}}:{id}", wish.product_id)).arg(wish.quantity).arg(HOLD_SECONDS * 1_000).arg(id);
        call
    }
}

fn answer(wish: &Wish, id: String, decided: &redis::RedisResult<i64>) -> HttpResponse {
    match decided {
        Err(_) => HttpResponse::ServiceUnavailable().finish(),
        Ok(-1) => sold_out(),
        Ok(_) => held(wish, id),
    }
}
