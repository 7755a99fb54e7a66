//! Afterwards: releases the holds and cancels the orders that the rush made, and counts what stays and why.

use std::{
    cell::{Cell, RefCell},
    collections::{BTreeMap, HashSet, VecDeque},
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use serde::Deserialize;
use tokio::time::sleep;

use super::{buyers::RushState, crowd::Choice};
use crate::tools::client::{Answer, Connection, Request, TransportError};

/// How often a request is sent until somebody decides it.
const TRIES: u32 = 4;
const RETRY_PAUSE: Duration = Duration::from_millis(250);
/// Requests in a row that nobody decides, after which it gives up: the service is gone.
const UNDECIDED_MAX: u32 = 64;
/// Different reasons that are counted apart.
const REASONS_MAX: usize = 20;

/// What is to be taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TakeAway {
    All,
    /// What has not lapsed by itself, if somebody does not wait for that.
    UntilItLapses,
    Nothing,
}

/// What the rush made and has not taken away.
pub struct Made {
    what: TakeAway,
    holds: HashSet<String>,
    /// Holds that lapse by themselves soon, with their deadlines.
    lapsing: VecDeque<(Instant, String)>,
    orders: HashSet<String>,
    /// Orders that are paid: they stay.
    paid: HashSet<String>,
    /// Buyers who may have a hold.
    unknown: Vec<Choice>,
}

/// What became of all that the rush made.
#[derive(Clone, Debug, Default)]
pub struct TakenAway {
    /// It was asked to leave everything.
    pub kept: bool,
    pub holds: u64,
    pub orders: u64,
    /// Holds that had lapsed by then.
    pub lapsed: u64,
    /// Orders that money has paid.
    pub paid: u64,
    /// What could not be taken away, by reason.
    pub stays: BTreeMap<String, u64>,
}

/// One thing to take away.
enum Thing {
    Hold(String),
    Order(String),
    Unknown(Choice),
}

/// What one answer means.
enum Decided {
    Released,
    Cancelled,
    Lapsed,
    /// There is nothing.
    Nothing,
    /// It is this now.
    Became(Thing),
    Stays(String),
}

/// The fields that matter, of any answer.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Fields {
    id: Option<String>,
    code: Option<String>,
    order_id: Option<String>,
    order_status: Option<String>,
}

impl Made {
    pub fn new(what: TakeAway) -> Self {
        let (holds, orders, paid) = (HashSet::new(), HashSet::new(), HashSet::new());
        Self { what, holds, lapsing: VecDeque::new(), orders, paid, unknown: Vec::new() }
    }

    pub fn add_hold(&mut self, hold: &str, deadline: Option<Instant>) {
        match self.what {
            TakeAway::All => {
                self.holds.insert(hold.to_owned());
            }
            TakeAway::UntilItLapses => {
                let now = Instant::now();
                while self.lapsing.front().is_some_and(|(deadline, _)| *deadline < now) {
                    self.lapsing.pop_front();
                }
                self.lapsing.extend(deadline.map(|deadline| (deadline, hold.to_owned())));
            }
            TakeAway::Nothing => {}
        }
    }

    pub fn add_unknown(&mut self, choice: Choice) {
        if self.what != TakeAway::Nothing {
            self.unknown.push(choice);
        }
    }

    pub fn replace_hold(&mut self, hold: &str, order: &str) {
        if self.holds.remove(hold) {
            self.orders.insert(order.to_owned());
        }
    }

    pub fn set_paid(&mut self, order: &str) {
        if let Some(order) = self.orders.take(order) {
            self.paid.insert(order);
        }
    }

    fn take(&mut self) -> Vec<Thing> {
        let now = Instant::now();
        let lapsing = self.lapsing.drain(..).filter(|(deadline, _)| *deadline >= now).map(|(_, hold)| hold);
        let holds = self.holds.drain().chain(lapsing).map(Thing::Hold);
        let orders = self.orders.drain().map(Thing::Order);
        holds.chain(orders).chain(self.unknown.drain(..).map(Thing::Unknown)).collect()
    }
}

impl TakenAway {
    /// Things that are still there, though they should not be.
    pub fn left(&self) -> u64 {
        self.stays.values().sum()
    }

    fn stays(&mut self, why: String, count: u64) {
        let is_full = self.stays.len() >= REASONS_MAX && !self.stays.contains_key(&why);
        *self.stays.entry(if is_full { "another reason".to_owned() } else { why }).or_default() += count;
    }

    fn count(&mut self, decided: Decided) {
        match decided {
            Decided::Released => self.holds += 1,
            Decided::Cancelled => self.orders += 1,
            Decided::Lapsed => self.lapsed += 1,
            Decided::Nothing | Decided::Became(_) => {}
            Decided::Stays(why) => self.stays(why, 1),
        }
    }
}

/// Takes away what the rush made, over the connections of its workers, until `stop` is ready. Calls `progress` with what is done.
pub async fn take_away(
    state: &RushState,
    workers: &mut [Vec<Connection>],
    stop: impl Future<Output = ()>,
    progress: impl Fn(u64),
) -> TakenAway {
    let (things, paid, kept) = {
        let made = &mut state.ledger.borrow_mut().made;
        (RefCell::new(made.take()), made.paid.len() as u64, made.what == TakeAway::Nothing)
    };
    let taken = RefCell::new(TakenAway { kept, paid, ..TakenAway::default() });
    let undecided = Cell::new(0);
    let done = Cell::new(0);
    let serve = async |connection: &mut Connection| {
        while undecided.get() < UNDECIDED_MAX {
            let Some(thing) = things.borrow_mut().pop() else { break };
            let decided = take_one(state, connection, thing, &undecided).await;
            taken.borrow_mut().count(decided);
            done.set(done.get() + 1);
            progress(done.get());
        }
    };
    let all = things.borrow().len() as u64;
    let connections = workers.iter_mut().filter_map(|connections| connections.first_mut());
    let why = tokio::select! {
        _ = join_all(connections.map(serve)) => "the service does not answer",
        () = stop => "it was interrupted",
    };
    let mut taken = taken.into_inner();
    // Those in flight when it was interrupted count as left, because nobody knows.
    if done.get() < all {
        taken.stays(why.to_owned(), all - done.get());
    }
    taken
}

/// Follows one thing to its end: what is unknown may be a hold, and a hold may be an order.
async fn take_one(state: &RushState, connection: &mut Connection, thing: Thing, undecided: &Cell<u32>) -> Decided {
    let mut thing = thing;
    loop {
        match decide(state, connection, &thing, undecided).await {
            Decided::Became(other) => thing = other,
            decided => return decided,
        }
    }
}

async fn decide(state: &RushState, connection: &mut Connection, thing: &Thing, undecided: &Cell<u32>) -> Decided {
    let mut why = String::new();
    for attempt in 1..=TRIES {
        match read(thing, connection.send(thing.request(state)).await) {
            Ok(decided) => {
                undecided.set(0);
                return decided;
            }
            Err(reason) => why = reason,
        }
        if undecided.get() >= UNDECIDED_MAX {
            break;
        }
        sleep(RETRY_PAUSE * attempt).await;
    }
    undecided.set(undecided.get() + 1);
    Decided::Stays(why)
}

impl Thing {
    fn request(&self, state: &RushState) -> Request {
        match self {
            Self::Hold(hold) => state.requests.release(hold),
            Self::Order(order) => state.requests.cancel(order),
            // The key of the first time: it is that hold, or a new one.
            Self::Unknown(choice) => state.requests.hold(*choice, None),
        }
    }
}

/// What an answer says about the thing, or why it decides nothing.
fn read(thing: &Thing, answer: Result<Answer, TransportError>) -> Result<Decided, String> {
    let answer = answer.map_err(|_| "no answer".to_owned())?;
    let Fields { id, code, order_id, order_status } = serde_json::from_slice(&answer.body).unwrap_or_default();
    let code = code.unwrap_or_default();
    let plain = format!("{} {code}", answer.status).trim_end().to_owned();
    Ok(match (thing, answer.status) {
        (_, 408 | 429 | 500..=599) => return Err(plain),
        (Thing::Hold(_), 200..=299) => Decided::Released,
        (Thing::Order(_), 200..=299) => Decided::Cancelled,
        (Thing::Unknown(_), 200..=299) => match id {
            Some(hold) => Decided::Became(Thing::Hold(hold)),
            None => Decided::Stays("unreadable".to_owned()),
        },
        (Thing::Hold(_), 409) if order_id.is_some() => Decided::Became(Thing::Order(order_id.unwrap_or_default())),
        (Thing::Hold(_), 410) => Decided::Lapsed,
        (Thing::Unknown(_), 409 | 410) => Decided::Nothing,
        _ => Decided::Stays(match order_status {
            Some(status) => format!("the order is {status}"),
            None => plain,
        }),
    })
}
