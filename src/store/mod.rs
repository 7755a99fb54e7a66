//! All that the service knows of Redis.
//!
//! One file for each operation: its script in `lua/`, its file here and its function have one name. The scripts of an audit
//! have theirs in `audit/`. The other files are no operations:
//! - `blueprint`: what the stores of all workers share,
//! - `terms`: the settings that become terms of sales,
//! - `ids`: signs and checks the ids of holds and orders,
//! - `fuzzed`: what must be true of an id that a caller sends back,
//! - `idempotency`: hashes and fingerprints of keys and events,
//! - `payment_directory`, `payment_later`: which order each payment is about,
//! - `find_payment`: reads with several operations,
//! - `give_back`: holds whose answers were lost,
//! - `figures`: how often what was decided,
//! - `metrics`, `state`, `order_counts`: those, what is counted of Redis, and what is in the store now, for Prometheus,
//! - `hold_runs`: which holds of a batch are decided together,
//! - `alone_sales`: which sales share no call with others for a while,
//! - `hold_by_sku`: `hold`, for products that are named by their SKUs,
//! - `spread`, `hold_spread`, `gather`, `late_payments`, `sums`: sales over several slots, and how units get to where buyers want
//!   them,
//! - `lost_shards`: what of such a sale is gone for good,
//! - `events`, `events_back`, `tail`: the event logs, read with plain commands, and readers that wait for more,
//! - `listing`, `directory`: which sales exist, and the sale and SKU of each product,
//! - `search_products`: products by a part of their name,
//! - `product_names`: the names of products, for exports,
//! - `join_skus`: says the SKUs of products in what other operations read,
//! - `joined`: callers that want the same at the same time,
//! - `known_products`: what a worker remembers of the directory,
//! - `delete_product`, `move_product`, `name_product`: the calls of which they consist, and how they go on after a crash,
//! - `made_sales`: which sales were made, and are gone,
//! - `list_sales`, `list_products`, `sweep`: several calls of the operations `find_sale`, `stock`, and `find_due` and
//!   `expire`.
//!
//! `redis/` is the machinery: connections, scripts, batches, keys, and the grammar of records.

mod alone_sales;
mod arrive_product;
mod audit;
mod blueprint;
mod borrow;
mod cancel;
mod change_listing;
mod change_product;
mod change_sale;
mod claim_product;
mod confirm;
mod copy_terms;
mod delete_product;
mod directory;
mod events;
mod events_back;
mod expire;
mod extend;
mod figures;
mod find_customer;
mod find_due;
mod find_free;
mod find_hold;
mod find_order;
mod find_payment;
mod find_sale;
mod find_terms;
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) mod fuzzed;
mod gather;
mod give_back;
mod hold;
mod hold_by_sku;
mod hold_runs;
mod hold_sales;
mod hold_spread;
mod idempotency;
mod ids;
mod join_skus;
mod joined;
mod keep_unmatched;
mod known_products;
mod late_payments;
mod lend;
mod list_orders;
mod list_products;
mod list_reviews;
mod list_sales;
mod listing;
mod lost_shards;
mod made_sales;
mod metrics;
mod move_product;
mod name_product;
mod note_payment;
mod order;
mod order_counts;
mod payment_directory;
mod payment_later;
mod product_names;
mod put_product;
mod put_sale;
mod read_orders;
mod redis;
mod release;
mod remove_product;
mod resolve;
mod restock;
mod search_products;
mod settle;
mod spread;
mod start_payment;
mod state;
mod stock;
mod sums;
mod sweep;
mod tail;
mod terms;

use std::{cell::RefCell, collections::HashMap, rc::Rc, sync::Arc, time::Duration};

use futures_util::future::join_all;
use tokio::sync::Mutex;

use crate::domain::{
    event::EventQuery,
    ids::{HoldId, ProductId, SaleId},
    order::Order,
    outcome::{ListEventsOutcome, ListProductsOutcome},
    product_query::ProductQuery,
    sku::Sku,
};
use crate::metrics::Workers;

pub use self::{
    blueprint::Blueprint,
    figures::Figures,
    ids::IdSigner,
    list_orders::OrderWalk,
    product_names::ProductNames,
    redis::{
        catalogue::{Catalogue, Op},
        doctor,
        durability::{Durability, DurabilityWanted},
        error::Failure,
        preflight::{PreflightError, PreflightReport},
        sequence,
        topology::{Limits, Login, Topology},
    },
    terms::ServiceTerms,
};
use self::{
    confirm::Confirms,
    figures::Counters,
    give_back::{GiveBack, LostHolds},
    hold::Holds,
    hold_sales::HoldSales,
    joined::Joined,
    known_products::KnownProducts,
    order::Orders,
    order_counts::CountedOrders,
    redis::{
        batch::{self, Batcher, Timeouts},
        call::ScriptCall,
        keys, made,
        meter::CallMeter,
        node::Node,
        record,
        reply::{self, Reply},
        runner::Runner,
    },
    settle::Settles,
    spread::Spreads,
    state::LastLook,
    stock::Stocks,
    tail::Waits,
};

/// The store of one worker. It lives on one thread.
pub struct Store {
    runner: Rc<Runner>,
    holds: Rc<Batcher<Holds>>,
    /// `None` where sales are on several servers.
    hold_sales: Option<HoldSales>,
    stocks: Rc<Batcher<Stocks>>,
    orders: Rc<Batcher<Orders>>,
    settles: Rc<Batcher<Settles>>,
    /// `None` when an answer to a payment event needs no more than that Redis has the event.
    confirms: Option<Rc<Batcher<Confirms>>>,
    /// What payments wait for. 0: no replica.
    replicas_wanted: u32,
    terms: ServiceTerms,
    ids: IdSigner,
    /// Held by the one audit of all workers.
    audits: Arc<Mutex<()>>,
    lost_holds: Rc<LostHolds>,
    give_back: GiveBack,
    /// The longest that a call waits for its turn, and then for Redis.
    call_max: Duration,
    /// Readers that wait for events.
    waits: Rc<Waits>,
    /// Readers of the same list, and of the same events.
    product_lists: Rc<Joined<ProductQuery, ListProductsOutcome>>,
    /// By what they ask for, and the look up to which they read.
    event_pages: Rc<Joined<(EventQuery, Option<u64>), ListEventsOutcome>>,
    known_products: KnownProducts,
    spreads: Rc<Spreads>,
    known_skus: RefCell<HashMap<Sku, ProductId>>,
    figures: Arc<Figures>,
    last_look: LastLook,
    counted_orders: Arc<CountedOrders>,
    /// What all workers count of their calls to Redis.
    meters: Arc<Workers<CallMeter>>,
    /// The part of the figures that this worker counts.
    counters: Arc<Counters>,
    /// Keeps payment events about ids that this service never made. Nothing sells there, so `ready` calls a script in it.
    unmatched_sale: SaleId,
}

impl Store {
    /// Connects at the first call.
    pub fn new(blueprint: &Blueprint) -> Self {
        let limits = blueprint.topology.limits;
        let timeouts = Timeouts { wait: limits.call, queue_max: limits.queue_max };
        let identity = Some(Arc::clone(&blueprint.identity));
        let meter = blueprint.meters.join(CallMeter::default());
        let confirms = Confirms::batcher(blueprint, &meter);
        let runner = Runner::with(&blueprint.topology, Arc::clone(&blueprint.catalogue), identity, None, meter);
        let (runner, terms, ids) = (Rc::new(runner), blueprint.terms, &blueprint.ids);
        let holds = Holds { terms, ids: ids.clone() };
        Self {
            hold_sales: HoldSales::new(&runner, &holds, timeouts),
            holds: Batcher::new(Rc::clone(&runner), holds, timeouts),
            stocks: Batcher::new(Rc::clone(&runner), Stocks, timeouts),
            orders: Batcher::new(Rc::clone(&runner), Orders { terms, ids: ids.clone() }, timeouts),
            settles: Batcher::new(Rc::clone(&runner), Settles { terms, ids: ids.clone() }, timeouts),
            confirms: confirms.clone(),
            replicas_wanted: blueprint.barrier.map_or(0, |barrier| barrier.replicas()),
            lost_holds: Rc::default(),
            give_back: GiveBack::default(),
            call_max: limits.call,
            waits: Waits::new(Rc::clone(&runner)),
            product_lists: Joined::new(limits.queue_max),
            event_pages: Joined::new(limits.queue_max),
            spreads: Spreads::new(&runner, confirms, timeouts),
            runner,
            terms,
            ids: ids.clone(),
            audits: Arc::clone(&blueprint.audits),
            known_products: KnownProducts::new(Arc::clone(&blueprint.skus_given)),
            known_skus: RefCell::default(),
            figures: Arc::clone(&blueprint.figures),
            last_look: Arc::clone(&blueprint.last_look),
            counted_orders: Arc::clone(&blueprint.counted_orders),
            meters: Arc::clone(&blueprint.meters),
            counters: blueprint.figures.of_worker(),
            unmatched_sale: SaleId::unmatched(),
        }
    }

    /// Signs and checks the ids of holds and orders.
    pub fn ids(&self) -> &IdSigner {
        &self.ids
    }

    /// Whether Redis answers, accepts writes, and has the secret that signed our ids. Loads the scripts that it has lost.
    ///
    /// # Errors
    /// [`Failure`] when no server does.
    pub async fn ready(&self) -> Result<Readiness, Failure> {
        let identity = self.check_identity().await;
        if let Err(failure @ Failure::Replaced(_)) = identity {
            return Err(failure);
        }
        let primaries = self.runner.primaries().await?;
        let looks = join_all(primaries.iter().map(|node| self.look_at_server(node))).await;
        let (mut is_full, mut away, mut alone, mut failure) = (false, Vec::new(), Vec::new(), None);
        for (node, look) in primaries.iter().zip(looks) {
            let address = node.address().to_owned();
            match look {
                Ok(ServerState { has_replicas: false, .. }) => alone.push(address),
                Ok(state) => is_full |= state.is_full,
                Err(why) => {
                    away.push((address, why.word().map(str::to_owned)));
                    failure = Some(why);
                }
            }
        }
        let lost = self.lost_sales();
        match failure {
            Some(failure) if away.len() == primaries.len() => Err(failure),
            Some(_) => Ok(Readiness::Partly { away, of: primaries.len() }),
            None if !lost.is_empty() => Ok(Readiness::Lost { sales: made::names(&lost) }),
            None if !alone.is_empty() => Ok(Readiness::Alone { servers: alone }),
            None => identity.map(|()| if is_full { Readiness::Full } else { Readiness::Ready }),
        }
    }

    /// How a server is that takes writes.
    async fn look_at_server(&self, node: &Rc<Node>) -> Result<ServerState, Failure> {
        self.runner.ensure_scripts(node).await?;
        // A replica refuses this, and a full Redis does. Otherwise it does nothing, because the key does not exist.
        let is_full = match node.ask(::redis::cmd("SET").arg(self.runner.probe_at(node)).arg("").arg("XX")).await {
            Ok(_) => false,
            Err(Failure::Full(_)) => true,
            Err(failure) => return Err(failure),
        };
        let has_replicas = self.replicas_wanted == 0 || {
            let info = Reply::one(node.ask(::redis::cmd("INFO").arg("replication")).await?).text()?;
            let connected = info.lines().find_map(|line| line.strip_prefix("connected_slaves:"));
            connected.and_then(|count| count.trim().parse().ok()).is_none_or(|count: u32| count >= self.replicas_wanted)
        };
        Ok(ServerState { is_full, has_replicas })
    }

    /// Looks which server is the primary, where Sentinel names it: one that was replaced goes on taking writes, and they are lost.
    pub async fn look_for_primary(&self) {
        self.runner.look_for_primary().await;
    }

    /// Looks whether Redis is still the one that the service began with. If not, no worker asks it for anything until it is
    /// again.
    ///
    /// # Errors
    /// [`Failure::Replaced`] when it was emptied or replaced.
    pub async fn check_identity(&self) -> Result<(), Failure> {
        self.runner.check_identity().await
    }

    /// The order that this hold became, from the rest of a reply: now, and its text.
    async fn read_order(&self, hold: &HoldId, reply: &mut Reply) -> Result<Order, Failure> {
        let now_ms = reply.int()?;
        let order = record::order::order(self.ids(), hold, now_ms, &reply.text()?)?;
        self.with_skus(order).await
    }
}

struct ServerState {
    is_full: bool,
    /// As many as payments wait for.
    has_replicas: bool,
}

/// How a store that can be used is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readiness {
    Ready,
    /// Some of the servers do not answer, or refuse writes with such a word. Their sales are refused.
    Partly {
        away: Vec<(String, Option<String>)>,
        of: usize,
    },
    /// These servers have fewer replicas than payment events must reach: those are refused.
    Alone {
        servers: Vec<String>,
    },
    /// Some sales are gone, and are refused. Their names.
    Lost {
        sales: String,
    },
    /// Redis has no memory left. Scripts that need some more are refused: holds and orders, new products and sales.
    Full,
}

/// A first word that the script does not have: another version of the script, or a bug.
fn unknown_word(op: Op, word: &str) -> Failure {
    Failure::unreadable(format!("{} answered {word:?}", op.name()))
}
