//! The buyers: each worker serves one at a time, on connections of its own, through the steps of the scenario.

use std::{
    cell::RefCell,
    rc::Rc,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use tokio::time::sleep;

use super::{
    answers::{AnswerClass, Step, StepAnswer},
    arrivals::{Arrival, Arrivals, Ended},
    crowd::{Choice, Crowd},
    ledger::Ledger,
    metrics::Metrics,
    plan::Scenario,
    requests::Requests,
};
use crate::tools::client::{Connection, Request, seeded_random::SeededRandom};

/// How often a request with an unclear answer is sent again, with the same key.
const RETRIES: u32 = 2;
const RETRY_PAUSE: Duration = Duration::from_millis(250);
/// Payment events that wait in the queue, so that the copies of one are sent among those of others.
const PAYMENTS_QUEUED: usize = 96;

/// What all workers of a rush share.
pub struct RushState {
    pub scenario: Scenario,
    pub requests: Requests,
    pub crowd: Crowd,
    pub arrivals: Arrivals,
    pub metrics: RefCell<Metrics>,
    pub ledger: RefCell<Ledger>,
    pub random: RefCell<SeededRandom>,
    /// Ids of orders whose payment events are still to be sent, one entry for each copy.
    pub payments_queued: RefCell<Vec<Rc<str>>>,
}

/// One worker: serves buyers until no more come.
pub async fn work(state: &RushState, connections: &mut [Connection]) {
    while let Some(arrival) = state.arrivals.next().await {
        state.serve_one(connections, arrival).await;
    }
    while state.send_payments(connections, 0).await {}
}

impl RushState {
    async fn serve_one(&self, connections: &mut [Connection], arrival: Arrival) {
        let choice = self.crowd.choice(arrival.buyer);
        let Some(hold) = self.hold(connections, choice, arrival).await else { return };
        if !self.scenario.pays() {
            return;
        }
        let Some(order) = self.order(&mut connections[0], choice, &hold).await else { return };
        if self.scenario == Scenario::Duplicates {
            let copies = std::iter::repeat_n(Rc::from(order), self.scenario.copies());
            self.payments_queued.borrow_mut().extend(copies);
            self.send_payments(connections, PAYMENTS_QUEUED).await;
        } else {
            self.pay(&mut connections[0], &order).await;
        }
    }

    /// Sends all copies of the hold at once, one on each connection.
    async fn hold(&self, connections: &mut [Connection], choice: Choice, arrival: Arrival) -> Option<String> {
        let abandons = self.scenario == Scenario::Abandon;
        let ttl_seconds = abandons.then(|| 1 + self.random.borrow_mut().below(2));
        let request = || self.requests.hold(choice, ttl_seconds);
        let sending = connections.iter_mut().map(|connection| self.send(connection, Step::Hold, arrival.at, request));
        let answers = join_all(sending).await;
        let (result, hold) = self.ledger.borrow_mut().record_hold(choice, answers);
        self.metrics.borrow_mut().record_buyer(result);
        hold
    }

    async fn order(&self, connection: &mut Connection, choice: Choice, hold: &str) -> Option<String> {
        let answer = self.send(connection, Step::Order, Instant::now(), || self.requests.order(hold)).await;
        self.ledger.borrow_mut().record_order(choice, hold, answer)
    }

    async fn pay(&self, connection: &mut Connection, order: &str) {
        let answer = self.send(connection, Step::Pay, Instant::now(), || self.requests.payment(order)).await;
        self.ledger.borrow_mut().record_payment(order, &answer);
    }

    /// Sends one queued event on each connection, as long as more than `keep` are queued. Gives whether there was one.
    async fn send_payments(&self, connections: &mut [Connection], keep: usize) -> bool {
        let drawn: Vec<_> =
            connections.iter_mut().filter_map(|connection| Some((connection, self.draw_payment(keep)?))).collect();
        let some = !drawn.is_empty();
        join_all(drawn.into_iter().map(async |(connection, order)| self.pay(connection, &order).await)).await;
        some
    }

    /// Takes a random event out of the queue.
    fn draw_payment(&self, keep: usize) -> Option<Rc<str>> {
        let mut queued = self.payments_queued.borrow_mut();
        if queued.len() <= keep {
            return None;
        }
        let drawn = self.random.borrow_mut().below(queued.len() as u64);
        Some(queued.swap_remove(usize::try_from(drawn).unwrap_or_default()))
    }

    /// Sends the request, and sends it again while its answer is unclear.
    async fn send(
        &self,
        connection: &mut Connection,
        step: Step,
        since: Instant,
        request: impl Fn() -> Request,
    ) -> StepAnswer {
        let mut since = since;
        let mut retries = 0;
        loop {
            let mut answer = StepAnswer::read(step, connection.send(request()).await);
            self.metrics.borrow_mut().record_answer(step, &answer, since);
            // A retry that failed says nothing about the first attempt.
            if retries > 0 && answer.class == AnswerClass::Failed {
                answer.class = AnswerClass::Unknown;
            }
            if answer.class != AnswerClass::Unknown {
                self.metrics.borrow_mut().resolved += u64::from(retries > 0);
                return answer;
            }
            if retries == RETRIES || self.arrivals.ended() == Some(Ended::Interrupted) {
                return answer;
            }
            retries += 1;
            sleep(RETRY_PAUSE * retries).await;
            since = Instant::now();
        }
    }
}
