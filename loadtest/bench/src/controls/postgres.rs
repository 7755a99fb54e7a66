//! C3: the original algorithm in PostgreSQL: lock the product's row, sum its active holds, insert a hold, commit.
//!
//! It takes as few round trips as the algorithm allows: the first and the last are two statements sent together.

use std::cell::RefCell;

use actix_web::{HttpResponse, web};
use tokio::sync::Semaphore;
use tokio_postgres::{Client, NoTls, Statement, types::ToSql};

use super::{Wish, held, sold_out};

/// Sessions of each worker. More of them only wait for each other's row lock: with 1, 4 and 16, pgbench made 310, 350 and 280
/// such transactions a second, and without waiting for the disk 1,060, 1,310 and 1,120.
pub const SESSIONS: usize = 4;

const LOCK: &str = "SELECT stock FROM products WHERE id = $1 FOR UPDATE";
const SUM: &str = "SELECT COALESCE(SUM(quantity), 0)::bigint FROM holds WHERE product_id = $1 AND expires_at > now()";
const INSERT: &str =
    "INSERT INTO holds (product_id, quantity, expires_at) VALUES ($1, $2, now() + interval '15 minutes') RETURNING id";

/// The sessions of a worker that are not in use; those in use hold a permit.
pub struct Pool {
    url: String,
    commits_wait: bool,
    idle: RefCell<Vec<Session>>,
    turns: Semaphore,
}

/// A connection with its statements prepared.
struct Session {
    client: Client,
    lock: Statement,
    sum: Statement,
    insert: Statement,
}

pub async fn hold(wish: web::Json<Wish>, pool: web::Data<Pool>) -> HttpResponse {
    match pool.hold(&wish).await {
        Err(_) => HttpResponse::ServiceUnavailable().finish(),
        Ok(None) => sold_out(),
        Ok(Some(id)) => held(&wish, format!("hold_{id:024}")),
    }
}

impl Pool {
    pub fn new(url: &str, commits_wait: bool) -> Self {
        Self { url: url.to_owned(), commits_wait, idle: RefCell::default(), turns: Semaphore::new(SESSIONS) }
    }

    /// The id of the hold, or `None` if there are too few units. A session on which something failed is not used again.
    async fn hold(&self, wish: &Wish) -> Result<Option<i64>, tokio_postgres::Error> {
        let _turn = self.turns.acquire().await.expect("the semaphore is never closed");
        let idle = self.idle.borrow_mut().pop();
        let session = match idle {
            Some(session) => session,
            None => self.connect().await?,
        };
        let decided = session.hold(wish).await?;
        self.idle.borrow_mut().push(session);
        Ok(decided)
    }

    async fn connect(&self) -> Result<Session, tokio_postgres::Error> {
        let (client, connection) = tokio_postgres::connect(&self.url, NoTls).await?;
        actix_web::rt::spawn(connection);
        if !self.commits_wait {
            client.batch_execute("SET synchronous_commit = off").await?;
        }
        let (lock, sum) = (client.prepare(LOCK).await?, client.prepare(SUM).await?);
        Ok(Session { lock, sum, insert: client.prepare(INSERT).await?, client })
    }
}

impl Session {
    async fn hold(&self, wish: &Wish) -> Result<Option<i64>, tokio_postgres::Error> {
        let (product_id, units) = (wish.product_id.cast_signed(), wish.quantity.cast_signed());
        let product: [&(dyn ToSql + Sync); 1] = [&product_id];
        let product_and_units: [&(dyn ToSql + Sync); 2] = [&product_id, &units];
        // Statements are sent in the order in which they are polled.
        let begin = self.client.batch_execute("BEGIN");
        let ((), row) = tokio::try_join!(biased; begin, self.client.query_one(&self.lock, &product))?;
        let sum = self.client.query_one(&self.sum, &product).await?;
        if row.get::<_, i64>(0) - sum.get::<_, i64>(0) < units {
            self.client.batch_execute("ROLLBACK").await?;
            return Ok(None);
        }
        let insert = self.client.query_one(&self.insert, &product_and_units);
        let (row, ()) = tokio::try_join!(biased; insert, self.client.batch_execute("COMMIT"))?;
        Ok(Some(row.get(0)))
    }
}
