//! `hold_sales`: one call for the holds of all sales that came at the same time, where one server has them all. Holds of a rush on
//! many sales would else need a call for each.
//!
//! It decides what is plain, as nearly all is. What it leaves goes to `hold`, with the others of its sale.

use std::{cell::RefCell, collections::HashMap, rc::Rc, time::Instant};

use super::{
    Failure, Op, Reply, ScriptCall,
    alone_sales::Alone,
    batch::{Batcher, Timeouts, Work},
    hold::{HoldAnswer, HoldItem, Holds, keys_of, requests_of},
    hold_runs::Runs,
    redis::{runner::Runner, sequence::Sequence},
    unknown_word,
};
use crate::domain::ids::SaleId;

/// Calls that may be in flight: while Redis decides one, the service reads the answers of another. More made nothing faster on two cores.
/// Holds of one sale that go together with others are always in the same queue.
const QUEUES: usize = 2;
/// So many holds of one sale in one call show that it is hot: it goes alone, so that the others do not wait behind it.
const HOT: usize = 32;

pub(super) struct HoldSales {
    calls: Rc<Batcher<Calls>>,
    alone: Rc<RefCell<Alone>>,
}

/// What becomes of a hold.
pub(super) enum Together {
    Decided(HoldAnswer),
    /// It needs a call of its sale.
    Left {
        item: HoldItem,
        /// Perhaps it is made already.
        may_exist: bool,
    },
}

impl HoldSales {
    /// `None` where the server of one sale does not have the others.
    pub(super) fn new(runner: &Rc<Runner>, holds: &Holds, timeouts: Timeouts) -> Option<Self> {
        if !runner.spans_sales() {
            return None;
        }
        let alone = Rc::<RefCell<Alone>>::default();
        let calls = Calls { holds: holds.clone(), alone: Rc::clone(&alone) };
        Some(Self { calls: Batcher::new(Rc::clone(runner), calls, timeouts), alone })
    }

    pub(super) fn takes(&self, item: &HoldItem) -> bool {
        item.may_be_plain() && !self.alone.borrow().has(&item.sale)
    }

    /// # Errors
    /// [`Failure`], as of [`Batcher::submit_by`].
    pub(super) async fn hold_sales(&self, item: HoldItem, until: Instant) -> Result<Together, Failure> {
        let queue = queue_of(&item.sale);
        match self.calls.submit_by(&queue, item, until).await?? {
            Answer::OfOneSale(answer) => Ok(Together::Decided(answer)),
            Answer::Decided(answer, sequence) => {
                sequence.note();
                Ok(Together::Decided(answer))
            }
            Answer::Left { item, may_exist } => {
                self.alone.borrow_mut().note_left(&item.sale, Instant::now());
                Ok(Together::Left { item, may_exist })
            }
        }
    }
}

/// Calls for the holds of several sales.
struct Calls {
    holds: Holds,
    alone: Rc<RefCell<Alone>>,
}

enum Answer {
    /// All of its call were of one sale, and `hold` decided them.
    OfOneSale(HoldAnswer),
    /// With the place of the decision among those of its sale.
    Decided(HoldAnswer, Sequence),
    Left {
        item: HoldItem,
        may_exist: bool,
    },
}

impl Work for Calls {
    type Key = usize;
    type Item = HoldItem;
    /// A failure is that of its sale: one that cannot be read keeps no other one from selling.
    type Answer = Result<Answer, Failure>;
    const OP: Op = Op::Hold;
    const BATCH_MAX: usize = Holds::BATCH_MAX;
    const SHEDS: bool = true;

    /// One server has all slots.
    fn slot(_queue: &usize) -> u16 {
        0
    }

    fn call(&self, _queue: &usize, items: &[HoldItem]) -> ScriptCall {
        if are_of_one_sale(items) {
            return self.holds.call(&items[0].sale, items);
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

    fn read(
        &self,
        _queue: &usize,
        items: Vec<HoldItem>,
        word: &str,
        mut reply: Reply,
    ) -> Result<Vec<Self::Answer>, Failure> {
        if are_of_one_sale(&items) {
            let sale = items[0].sale.clone();
            self.note_size(&sale, items.len());
            let answers = self.holds.read(&sale, items, word, reply)?;
            return Ok(answers.into_iter().map(|answer| Ok(Answer::OfOneSale(answer))).collect());
        }
        if word != "decided" {
            return Err(unknown_word(Op::HoldSales, word));
        }
        // The time of the server, which its connection has read.
        reply.skip();
        let sales = by_sale(&items);
        let mut items: Vec<Option<HoldItem>> = items.into_iter().map(Some).collect();
        let mut answers: Vec<Option<Self::Answer>> = items.iter().map(|_| None).collect();
        for places in sales {
            let of_sale: Vec<HoldItem> = places.iter().filter_map(|place| items[*place].take()).collect();
            self.note_size(&of_sale[0].sale, places.len());
            let (now_ms, write, has_only_seen) = (reply.int()?, reply.count()?, reply.count()? > 0);
            let (may_exist, values) = (reply.count()? > 0, reply.count()?);
            let decided = reply.take(usize::try_from(values).unwrap_or(usize::MAX));
            let sequence = Sequence { write, has_only_seen, place: 0 };
            match self.read_sale(of_sale, now_ms, sequence, decided, may_exist) {
                Ok(read) => places.iter().zip(read).for_each(|(place, answer)| answers[*place] = Some(Ok(answer))),
                Err(failure) => places.iter().for_each(|place| answers[*place] = Some(Err(failure.clone()))),
            }
        }
        let answers: Option<Vec<_>> = answers.into_iter().collect();
        answers.ok_or_else(|| Failure::unreadable("fewer decisions than holds"))
    }
}

impl Calls {
    fn note_size(&self, sale: &SaleId, holds: usize) {
        if holds >= HOT {
            self.alone.borrow_mut().note_hot(sale, Instant::now());
        }
    }

    /// What becomes of the holds of one sale: of its first runs, which have these values, something is decided.
    fn read_sale(
        &self,
        items: Vec<HoldItem>,
        now_ms: i64,
        sequence: Sequence,
        mut decided: Reply,
        may_exist: bool,
    ) -> Result<Vec<Answer>, Failure> {
        let runs = Runs::of(&items);
        let mut items: Vec<Option<HoldItem>> = items.into_iter().map(Some).collect();
        let mut answers: Vec<Option<HoldAnswer>> = items.iter().map(|_| None).collect();
        let mut places = runs.places().iter();
        while !decided.is_empty() {
            self.holds.read_run(now_ms, &mut places, &mut items, &mut answers, &mut decided)?;
        }
        let answers = items.into_iter().zip(answers).enumerate().map(|(place, (left, answer))| match (left, answer) {
            (Some(item), None) => Some(Answer::Left { item, may_exist }),
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
