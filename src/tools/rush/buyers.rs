//! The buyers: each slot serves one at a time, on connections of its own, through the steps of the scenario.

use std::{
    cell::RefCell,
    rc::Rc,
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use tokio::time::sleep;

use super::{
    crowd::{Arrival, Crowd, Ended},
    ledger::Ledger,
    plan::Scenario,
    shop::{Heard, Shop},
    tally::{Class, Step, Tally},
};
use crate::tools::client::{Ask, Line, dice::Dice};

/// How often something is asked again, with the same key, when it is unknown whether it happened.
const RETRIES: u32 = 2;
const RETRY_PAUSE: Duration = Duration::from_millis(250);
/// Payment events that are kept back, so that the copies of one are sent among those of others.
const DECK: usize = 96;

/// What all buyers of a rush share.
pub struct Floor {
    pub scenario: Scenario,
    pub shop: Shop,
    pub crowd: Crowd,
    pub tally: RefCell<Tally>,
    pub ledger: RefCell<Ledger>,
    pub dice: RefCell<Dice>,
    pub deck: RefCell<Vec<Rc<str>>>,
}

/// Serves buyers until nobody comes any more.
pub async fn serve(floor: &Floor, lines: &mut [Line]) {
    while let Some(arrival) = floor.crowd.next().await {
        floor.serve_one(lines, arrival).await;
    }
    while floor.send_payments(lines, 0).await {}
}

impl Floor {
    async fn serve_one(&self, lines: &mut [Line], arrival: Arrival) {
        let Some(hold) = self.hold(lines, arrival).await else { return };
        if !self.scenario.pays() {
            return;
        }
        let Some(order) = self.order(&mut lines[0], &hold).await else { return };
        if self.scenario == Scenario::Duplicates {
            self.deck.borrow_mut().extend(std::iter::repeat_n(Rc::from(order), self.scenario.copies()));
            self.send_payments(lines, DECK).await;
        } else {
            self.pay(&mut lines[0], &order).await;
        }
    }

    /// All copies of the wish at once, one on each line.
    async fn hold(&self, lines: &mut [Line], arrival: Arrival) -> Option<String> {
        let abandons = self.scenario == Scenario::Abandon;
        let ttl_seconds = abandons.then(|| 1 + self.dice.borrow_mut().below(2));
        let wish = || self.shop.hold(arrival.buyer, ttl_seconds);
        let heard = join_all(lines.iter_mut().map(|line| self.ask(line, Step::Hold, arrival.at, wish))).await;
        let (fate, hold) = self.ledger.borrow_mut().judge_hold(heard);
        self.tally.borrow_mut().decided(fate);
        hold
    }

    async fn order(&self, line: &mut Line, hold: &str) -> Option<String> {
        let heard = self.ask(line, Step::Order, Instant::now(), || self.shop.order(hold)).await;
        self.ledger.borrow_mut().judge_order(heard)
    }

    async fn pay(&self, line: &mut Line, order: &str) {
        let heard = self.ask(line, Step::Pay, Instant::now(), || self.shop.pay(order)).await;
        self.ledger.borrow_mut().judge_payment(order, &heard);
    }

    /// Draws an event for each line, while there are more than these; gives whether there was one.
    async fn send_payments(&self, lines: &mut [Line], more_than: usize) -> bool {
        let drawn = lines.iter_mut().filter_map(|line| Some((line, self.draw(more_than)?))).collect::<Vec<_>>();
        let some = !drawn.is_empty();
        join_all(drawn.into_iter().map(async |(line, order)| self.pay(line, &order).await)).await;
        some
    }

    fn draw(&self, more_than: usize) -> Option<Rc<str>> {
        let mut deck = self.deck.borrow_mut();
        if deck.len() <= more_than {
            return None;
        }
        let place = self.dice.borrow_mut().below(deck.len() as u64);
        Some(deck.swap_remove(usize::try_from(place).unwrap_or_default()))
    }

    /// Asks, and asks again where it is unknown whether anything happened.
    async fn ask(&self, line: &mut Line, step: Step, since: Instant, request: impl Fn() -> Ask) -> Heard {
        let mut since = since;
        let mut tries = 0;
        loop {
            let mut heard = Heard::of(step, line.send(request()).await);
            self.tally.borrow_mut().answered(step, &heard, since);
            // That the second attempt failed says nothing of the first one.
            if tries > 0 && heard.class == Class::Failed {
                heard.class = Class::Unknown;
            }
            if heard.class != Class::Unknown {
                self.tally.borrow_mut().resolved += u64::from(tries > 0);
                return heard;
            }
            if tries == RETRIES || self.crowd.ended() == Some(Ended::Interrupted) {
                return heard;
            }
            tries += 1;
            sleep(RETRY_PAUSE * tries).await;
            since = Instant::now();
        }
    }
}
