//! All that the service knows of Redis: one file per operation, each of which makes its call and reads the outcome.

mod audit;
mod cancel;
mod change_product;
mod confirm;
mod expire;
mod extend;
mod find_hold;
mod find_order;
mod hold;
mod idempotency;
mod keep_unmatched;
mod list_events;
mod list_orders;
mod list_reviews;
mod order;
mod put_product;
mod redis;
mod release;
mod resolve;
mod restock;
mod sale;
mod settle;
mod start_payment;
mod stock;

use std::{cell::RefCell, collections::HashMap, rc::Rc, sync::Arc};

use tokio::sync::Mutex;

use crate::domain::{
    ids::{HoldId, IdSigner, ProductId, SaleId},
    order::Order,
};

use self::{
    confirm::Confirms,
    hold::Holds,
    order::Orders,
    redis::{
        batch::{self, Batcher, Patience},
        durability::Barrier,
        keys::{self, PRODUCTS, SALES, SaleKeys},
        record,
        reply::{self, Fields, Reply},
        runner::{Call, Runner},
    },
    settle::Settles,
    stock::Reads,
};
pub use self::{
    list_orders::OrderWalk,
    redis::{
        catalogue::{Catalogue, Op},
        durability::{Demand, Durability},
        error::Failure,
        preflight::{Standing, Unfit},
        topology::{Limits, Topology},
    },
};

/// Products whose sale a worker remembers; beyond that it asks Redis.
const REMEMBERED_MAX: usize = 100_000;

/// How long the terms of a sale are, and how long things are remembered, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    pub hold_ms: u64,
    pub hold_max_ms: u64,
    pub payment_ms: u64,
    /// From the creation of an order to the latest deadline that a started payment may move it to.
    pub payment_max_ms: u64,
    /// Idempotency keys of holds.
    pub idempotency_ms: u64,
    /// Ids of payment events.
    pub event_ms: u64,
    /// Unpaid orders, after their payment deadline.
    pub retention_ms: u64,
    /// Events that the log of a sale keeps.
    pub events_max: u64,
}

impl Terms {
    /// The arguments that every script with a book takes first.
    fn for_book(&self, call: Call) -> Call {
        call.number(self.retention_ms).number(self.events_max)
    }
}

/// What all workers share: how to reach Redis, the scripts, the terms, and the secret that Redis keeps.
#[derive(Clone)]
pub struct Blueprint {
    pub topology: Topology,
    pub catalogue: Arc<Catalogue>,
    pub terms: Terms,
    pub ids: IdSigner,
    /// What is waited for before a payment event is answered.
    barrier: Option<Barrier>,
    /// Held by the one audit of all workers.
    audits: Arc<Mutex<()>>,
}

/// The store of one worker. It lives on one thread.
pub struct Store {
    runner: Rc<Runner>,
    holds: Rc<Batcher<Holds>>,
    reads: Rc<Batcher<Reads>>,
    orders: Rc<Batcher<Orders>>,
    settles: Rc<Batcher<Settles>>,
    /// Where an answer to a payment event means more than that Redis has it.
    confirms: Option<Rc<Batcher<Confirms>>>,
    terms: Terms,
    ids: IdSigner,
    audits: Arc<Mutex<()>>,
    sales: RefCell<HashMap<ProductId, SaleId>>,
    /// A sale that nobody sells in, to try a script on.
    nowhere: SaleId,
}

impl Store {
    /// Connects at the first call.
    pub fn new(blueprint: &Blueprint) -> Self {
        let limits = blueprint.topology.limits;
        let patience = Patience { wait: limits.call, queue_max: limits.queue_max };
        let runner = Rc::new(Runner::new(&blueprint.topology, Arc::clone(&blueprint.catalogue)));
        let (terms, ids) = (blueprint.terms, &blueprint.ids);
        Self {
            holds: Batcher::new(Rc::clone(&runner), Holds { terms, ids: ids.clone() }, patience),
            reads: Batcher::new(Rc::clone(&runner), Reads, patience),
            orders: Batcher::new(Rc::clone(&runner), Orders { terms, ids: ids.clone() }, patience),
            settles: Batcher::new(Rc::clone(&runner), Settles { terms, ids: ids.clone() }, patience),
            confirms: blueprint.barrier.map(|barrier| confirms(blueprint, barrier)),
            runner,
            terms: blueprint.terms,
            ids: blueprint.ids.clone(),
            audits: Arc::clone(&blueprint.audits),
            sales: RefCell::default(),
            nowhere: SaleId::nowhere(),
        }
    }

    /// Reads and signs the ids of holds and orders.
    pub fn ids(&self) -> &IdSigner {
        &self.ids
    }

    /// Whether Redis answers, takes writes, and is the one whose secret signed our ids. Scripts that it has lost are
    /// loaded again.
    ///
    /// # Errors
    /// [`Failure`] when it does not.
    pub async fn ready(&self) -> Result<(), Failure> {
        self.runner.ensure_scripts().await?;
        // A replica refuses this script, which may write, and writes nothing here.
        let units = SaleKeys(&self.nowhere).units();
        self.runner.call(Call::of(Op::Stock).keys(units)).await?;
        if self.runner.secret().await?.is_some_and(|secret| IdSigner::new(&secret) == self.ids) {
            return Ok(());
        }
        Err(Failure::Unavailable(
            "Redis was emptied or replaced: its secret is another; restart the service".to_owned(),
        ))
    }

    /// The sale, or all sales in the order of their names; `None` when there is no such sale. What was never made here is
    /// kept in a sale of its own.
    async fn sales(&self, one: Option<&SaleId>) -> Result<Option<Vec<SaleId>>, Failure> {
        if let Some(sale) = one {
            let found = self.runner.plain(::redis::cmd("SISMEMBER").arg(SALES).arg(sale.as_str())).await?;
            let known = Reply::one(found).int()? == 1 || *sale == self.nowhere;
            return Ok(known.then(|| vec![sale.clone()]));
        }
        let mut names = Reply::read(self.runner.plain(::redis::cmd("SMEMBERS").arg(SALES)).await?)?;
        let mut sales = vec![self.nowhere.clone()];
        while !names.is_empty() {
            sales.push(SaleId::parse(&names.text()?).ok_or_else(|| Failure::unreadable("a sale id"))?);
        }
        sales.sort_unstable();
        Ok(Some(sales))
    }

    /// The order that this hold became, from the rest of a reply: now, and its fields as a list.
    fn read_order(&self, hold: &HoldId, reply: &mut Reply) -> Result<Order, Failure> {
        let now_ms = reply.int()?;
        record::order(self.ids(), hold, now_ms, &reply.list()?.fields()?)
    }

    /// As [`Store::read_order`], with the fields as a script with a book tells them.
    fn read_told_order(&self, hold: &HoldId, reply: &mut Reply) -> Result<Order, Failure> {
        let now_ms = reply.int()?;
        record::order(self.ids(), hold, now_ms, &Fields::of_lines(&reply.text()?)?)
    }

    /// The sale of a product; it never changes, so it is remembered.
    async fn sale_of(&self, product: ProductId) -> Result<Option<SaleId>, Failure> {
        if let Some(sale) = self.sales.borrow().get(&product) {
            return Ok(Some(sale.clone()));
        }
        // Boxed, so that the many requests that do not come here are small while they wait.
        Box::pin(self.look_up_sale(product)).await
    }

    async fn look_up_sale(&self, product: ProductId) -> Result<Option<SaleId>, Failure> {
        let found = self.runner.plain(::redis::cmd("HGET").arg(PRODUCTS).arg(product.get())).await?;
        let ::redis::Value::BulkString(bytes) = found else { return Ok(None) };
        let sale = std::str::from_utf8(&bytes).ok().and_then(SaleId::parse);
        let sale = sale.ok_or_else(|| Failure::unreadable("a sale id"))?;
        self.remember(product, &sale);
        Ok(Some(sale))
    }

    fn remember(&self, product: ProductId, sale: &SaleId) {
        let mut sales = self.sales.borrow_mut();
        if sales.len() < REMEMBERED_MAX {
            sales.insert(product, sale.clone());
        }
    }
}

/// On a runner of its own, because its connection waits for disks and replicas.
fn confirms(blueprint: &Blueprint, barrier: Barrier) -> Rc<Batcher<Confirms>> {
    let mut topology = blueprint.topology.clone();
    topology.limits.call += barrier.timeout();
    let limits = topology.limits;
    let runner = Runner::new(&topology, Arc::clone(&blueprint.catalogue)).with_barrier(barrier);
    // Who comes while one waits, waits for that and then for the next.
    let patience = Patience { wait: 2 * limits.call, queue_max: limits.queue_max };
    Batcher::new(Rc::new(runner), Confirms, patience)
}

/// An answer that the script does not give: another version of the script, or a bug.
fn unknown_word(op: Op, word: &str) -> Failure {
    Failure::unreadable(format!("{} answered {word:?}", op.name()))
}
