//! `hold_sales`: one call for the holds of all sales that came at the same time, where one server has them all. Holds of a rush on
//! many sales would else need a call for each.
//!
//! It decides what is plain, as nearly all is. What it leaves goes to `hold`, with the others of its sale.

use std::{
    cell::RefCell,
    collections::HashMap,
    rc::Rc,
    time::{Duration, Instant},
};

use super::{
    Failure, Op, Reply, ScriptCall,
    batch::{Batcher, Timeouts, Work},
    hold::{HoldAnswer, HoldItem, Holds, keys_of, requests_of},
    hold_runs::Runs,
    redis::{runner::Runner, sequence::Sequence},
    unknown_word,
};
use crate::domain::ids::SaleId;

/// Calls that may be in flight: while Redis decides one, the service reads the answers of another. More made nothing faster on two cores.
/// The holds of a sale are always in the same queue.
const QUEUES: usize = 2;
/// For how long a sale goes alone of which something was left, and at most after it was left again and again: as one that is sold
/// out, or paused.
const ALONE: Duration = Duration::from_millis(25);
const ALONE_MAX: Duration = Duration::from_secs(1);
/// From so many sales on, those that need not go alone any more are forgotten.
const ALONE_KEPT: usize = 1_000;

pub(super) struct HoldSales {
    calls: Rc<Batcher<Calls>>,
    /// Until when these sales go alone, and for how long they did.
    alone: RefCell<HashMap<SaleId, (Instant, Duration)>>,
}

impl HoldSales {
    /// `None` where the server of one sale does not have the others.
    pub(super) fn new(runner: &Rc<Runner>, holds: &Holds, timeouts: Timeouts) -> Option<Self> {
        let calls = || Batcher::new(Rc::clone(runner), Calls(holds.clone()), timeouts);
        runner.spans_sales().then(|| Self { calls: calls(), alone: RefCell::default() })
    }

    pub(super) fn takes(&self, item: &HoldItem) -> bool {
        let alone = self.alone.borrow();
        item.may_be_plain()
            && (alone.is_empty() || alone.get(&item.sale).is_none_or(|(until, _)| Instant::now() > *until))
    }

    /// What becomes of it, or the hold itself where it is left.
    ///
    /// # Errors
    /// [`Failure`], as of [`Batcher::submit_by`].
    pub(super) async fn hold_sales(
        &self,
        item: HoldItem,
        until: Instant,
    ) -> Result<Result<HoldAnswer, HoldItem>, Failure> {
        let sale = item.sale.clone();
        match self.calls.submit_by(&queue_of(&sale), item, until).await? {
            Answer::OfOneSale(answer) => Ok(Ok(answer)),
            Answer::Decided(answer, sequence) => {
                sequence.note();
                self.note_decided(&sale);
                Ok(Ok(answer))
            }
            Answer::Left(item) => {
                self.note_left(sale, Instant::now());
                Ok(Err(item))
            }
        }
    }

    fn note_decided(&self, sale: &SaleId) {
        if !self.alone.borrow().is_empty() {
            self.alone.borrow_mut().remove(sale);
        }
    }

    /// It goes alone for a while, and for twice as long if it did before. Others of the same call say the same.
    fn note_left(&self, sale: SaleId, now: Instant) {
        let mut alone = self.alone.borrow_mut();
        if alone.len() >= ALONE_KEPT {
            alone.retain(|_, (until, pause)| now <= *until + *pause);
        }
        let (until, pause) = alone.entry(sale).or_insert((now, ALONE / 2));
        if now >= *until {
            *pause = (*pause * 2).min(ALONE_MAX);
            *until = now + *pause;
        }
    }
}

/// Calls for the holds of several sales.
struct Calls(Holds);

enum Answer {
    /// All of its call were of one sale, and `hold` decided them.
    OfOneSale(HoldAnswer),
    /// With the place of the decision among those of its sale.
    Decided(HoldAnswer, Sequence),
    Left(HoldItem),
}

impl Work for Calls {
    type Key = usize;
    type Item = HoldItem;
    type Answer = Answer;
    const OP: Op = Op::Hold;
    const BATCH_MAX: usize = Holds::BATCH_MAX;
    const SHEDS: bool = true;

    /// One server has all slots.
    fn slot(_queue: &usize) -> u16 {
        0
    }

    fn call(&self, _queue: &usize, items: &[HoldItem]) -> ScriptCall {
        if are_of_one_sale(items) {
            return self.0.call(&items[0].sale, items);
        }
        let sales = by_sale(items).into_iter().map(|places| {
            let items: Vec<&HoldItem> = places.into_iter().map(|place| &items[place]).collect();
            let runs = Runs::of(&items);
            (items, runs)
        });
        let sales: Vec<_> = sales.collect();
        let call = ScriptCall::of(Op::HoldSales);
        let call = sales.iter().fold(call, |call, (items, runs)| keys_of(call, &items[0].sale, items, runs));
        sales.iter().fold(call.not_after(), |call, (items, runs)| {
            requests_of(call.number(items.len() as u64).number(runs.len() as u64), items, runs)
        })
    }

    fn read(&self, _queue: &usize, items: Vec<HoldItem>, word: &str, mut reply: Reply) -> Result<Vec<Answer>, Failure> {
        if are_of_one_sale(&items) {
            let sale = items[0].sale.clone();
            let answers = self.0.read(&sale, items, word, reply)?;
            return Ok(answers.into_iter().map(Answer::OfOneSale).collect());
        }
        if word != "decided" {
            return Err(unknown_word(Op::HoldSales, word));
        }
        // The time of the server, which its connection has read.
        reply.skip();
        let sales = by_sale(&items);
        let mut items: Vec<Option<HoldItem>> = items.into_iter().map(Some).collect();
        let mut answers: Vec<Option<Answer>> = items.iter().map(|_| None).collect();
        for places in sales {
            let of_sale = places.iter().filter_map(|place| items[*place].take()).collect();
            for (place, answer) in places.iter().zip(self.read_sale(of_sale, &mut reply)?) {
                answers[*place] = Some(answer);
            }
        }
        let answers: Option<Vec<_>> = answers.into_iter().collect();
        answers.ok_or_else(|| Failure::unreadable("fewer decisions than holds"))
    }
}

impl Calls {
    /// What becomes of the holds of one sale: of its first runs something is decided.
    fn read_sale(&self, items: Vec<HoldItem>, reply: &mut Reply) -> Result<Vec<Answer>, Failure> {
        let (write, decided) = (reply.count()?, reply.count()?);
        let now_ms = i64::try_from(write / 1_000).map_err(|_| Failure::unreadable("the number of a write"))?;
        let runs = Runs::of(&items);
        let mut items: Vec<Option<HoldItem>> = items.into_iter().map(Some).collect();
        let mut answers: Vec<Option<HoldAnswer>> = items.iter().map(|_| None).collect();
        let mut places = runs.places().iter();
        for _ in 0..decided {
            self.0.read_run(now_ms, &mut places, &mut items, &mut answers, reply)?;
        }
        let sequence = Sequence { write, ..Sequence::default() };
        let answers = items.into_iter().zip(answers).enumerate().map(|(place, (left, answer))| match (left, answer) {
            (Some(item), None) => Some(Answer::Left(item)),
            (None, Some(answer)) => Some(Answer::Decided(answer, sequence.at(place))),
            _ => None,
        });
        let answers: Option<Vec<_>> = answers.collect();
        answers.ok_or_else(|| Failure::unreadable("a decision about no hold"))
    }
}

fn queue_of(sale: &SaleId) -> usize {
    let sum = sale.as_str().bytes().fold(0_usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
    sum % QUEUES
}

fn are_of_one_sale(items: &[HoldItem]) -> bool {
    items.iter().all(|item| item.sale == items[0].sale)
}

/// The places of the holds of each sale.
fn by_sale(items: &[HoldItem]) -> Vec<Vec<usize>> {
    let (mut sales, mut known) = (Vec::<Vec<usize>>::new(), HashMap::new());
    for (place, item) in items.iter().enumerate() {
        let sale = *known.entry(&item.sale).or_insert(sales.len());
        if sale == sales.len() {
            sales.push(Vec::new());
        }
        sales[sale].push(place);
    }
    sales
}
