//! All that the service knows of Redis: one file per operation, each of which makes its call and reads the outcome.

mod batch;
mod cancel;
pub mod embedded;
mod error;
mod find_hold;
mod find_order;
mod hold;
mod keys;
mod once;
mod order;
mod put_product;
mod record;
mod release;
mod reply;
mod runner;
pub mod script;
mod settle;
mod standing;
mod stock;
mod topology;

use std::{cell::RefCell, collections::HashMap, rc::Rc, sync::Arc};

use crate::domain::ids::{IdSigner, ProductId, SaleId};

use self::{
    batch::{Batcher, Patience},
    hold::Holds,
    keys::{PRODUCTS, SaleKeys},
    reply::Reply,
    runner::{Call, Runner},
    script::Op,
    stock::Reads,
};
pub use self::{
    error::Failure,
    script::Catalogue,
    standing::{Standing, Unfit},
    topology::{Limits, Topology},
};

/// Products whose sale a worker remembers; beyond that it asks Redis.
const REMEMBERED_MAX: usize = 100_000;

/// How long the terms of a sale are, and how long things are remembered, in milliseconds.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    pub hold_ms: u64,
    pub hold_max_ms: u64,
    pub payment_ms: u64,
    /// Idempotency keys of holds.
    pub idempotency_ms: u64,
    /// Ids of payment events.
    pub event_ms: u64,
    /// Unpaid orders, after their payment deadline.
    pub retention_ms: u64,
}

/// What all workers share: how to reach Redis, the scripts, the terms, and the secret that Redis keeps.
#[derive(Clone)]
pub struct Blueprint {
    pub topology: Topology,
    pub catalogue: Arc<Catalogue>,
    pub terms: Terms,
    pub ids: IdSigner,
}

/// The store of one worker. It lives on one thread.
pub struct Store {
    runner: Rc<Runner>,
    holds: Rc<Batcher<Holds>>,
    reads: Rc<Batcher<Reads>>,
    terms: Terms,
    ids: IdSigner,
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
        let holds = Holds { terms: blueprint.terms, ids: blueprint.ids.clone() };
        Self {
            holds: Batcher::new(Rc::clone(&runner), holds, patience),
            reads: Batcher::new(Rc::clone(&runner), Reads, patience),
            runner,
            terms: blueprint.terms,
            ids: blueprint.ids.clone(),
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

    /// The sale of a product; it never changes, so it is remembered.
    async fn sale_of(&self, product: ProductId) -> Result<Option<SaleId>, Failure> {
        if let Some(sale) = self.sales.borrow().get(&product) {
            return Ok(Some(sale.clone()));
        }
        // Boxed, so that the many requests that do not come here are small while they wait.
        Box::pin(self.look_up_sale(product)).await
    }

    async fn look_up_sale(&self, product: ProductId) -> Result<Option<SaleId>, Failure> {
        let found = self.runner.plain(redis::cmd("HGET").arg(PRODUCTS).arg(product.get())).await?;
        let redis::Value::BulkString(bytes) = found else { return Ok(None) };
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

/// An answer that the script does not give: another version of the script, or a bug.
fn unknown_word(op: Op, word: &str) -> Failure {
    Failure::unreadable(format!("{} answered {word:?}", op.name()))
}
