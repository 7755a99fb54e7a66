//! Batching without a timer: items that arrive while a call is in flight wait in a bounded queue, and the next call takes
//! them together. An idle worker sends a lone item at once. A busy worker fills its batches by itself.
//!
//! A batcher belongs to one thread.

use std::{
    cell::RefCell,
    collections::{HashMap, VecDeque},
    hash::Hash,
    pin::pin,
    rc::Rc,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{sync::oneshot, task::spawn_local, time::sleep_until};

use super::{
    admission::Permit,
    call::ScriptCall,
    catalogue::Op,
    codel::{self, Codel},
    error::Failure,
    meter::{CallResult, QueueCells},
    reply::Reply,
    runner::{Decided, Runner},
    sequence::Sequence,
};
use crate::trace::CallSpan;

/// An operation that one call does for many items.
pub trait Work: 'static {
    /// Each key has a queue of its own.
    type Key: Clone + Eq + Hash;
    type Item;
    type Answer;
    const OP: Op;
    /// Items of one call. A script with 300 arguments takes less than a millisecond, one with 3,000 takes a hundred.
    const BATCH_MAX: usize;
    /// Whether those who waited for too long are refused, so that the others are served soon. Nothing of theirs was sent.
    const SHEDS: bool = false;

    /// The slot of its keys.
    fn slot(key: &Self::Key) -> u16;

    /// A call of its operation.
    fn call(&self, key: &Self::Key, items: &[Self::Item]) -> ScriptCall;

    /// An answer for each item, in their order.
    ///
    /// # Errors
    /// [`Failure::Unreadable`], for all of them.
    fn read(
        &self,
        key: &Self::Key,
        items: Vec<Self::Item>,
        word: &str,
        reply: Reply,
    ) -> Result<Vec<Self::Answer>, Failure>;
}

/// Bounds on waiting.
#[derive(Clone, Copy)]
pub struct Timeouts {
    /// From arrival to answer, including the wait in the queue.
    pub wait: Duration,
    /// Items that may wait in one queue.
    pub queue_max: usize,
}

/// A caller that waits for an answer, and until when.
struct Waiter<A> {
    deadline: Instant,
    answer: oneshot::Sender<Result<Answered<A>, Failure>>,
}

/// An answer, and where its decision stands, if the service shows that.
type Answered<A> = (A, Option<Sequence>);

/// The items that wait for a key, by their deadlines. The queue exists exactly as long as a call is in flight, or waits for its turn.
struct Queue<W: Work> {
    waiting: VecDeque<(W::Item, Waiter<W::Answer>)>,
    codel: Codel,
}

/// Items of one call, and the caller that waits for each.
struct Batch<W: Work> {
    items: Vec<W::Item>,
    waiters: VecDeque<Waiter<W::Answer>>,
}

pub struct Batcher<W: Work> {
    runner: Rc<Runner>,
    work: W,
    timeouts: Timeouts,
    queues: RefCell<HashMap<W::Key, Queue<W>>>,
    cells: Arc<QueueCells>,
}

impl<W: Work> Batcher<W> {
    pub fn new(runner: Rc<Runner>, work: W, timeouts: Timeouts) -> Rc<Self> {
        let cells = runner.meter().queue(W::OP);
        Rc::new(Self { runner, work, timeouts, queues: RefCell::default(), cells })
    }

    /// Waits for the answer of a call that starts after this.
    ///
    /// # Errors
    /// [`Failure`]: after `Overloaded` the item was never sent; after `TimedOut` and `Unavailable` the outcome is unknown.
    pub fn submit(self: &Rc<Self>, key: &W::Key, item: W::Item) -> impl Future<Output = Result<W::Answer, Failure>> {
        self.submit_by(key, item, self.deadline())
    }

    /// When somebody gives up who comes now.
    pub fn deadline(&self) -> Instant {
        Instant::now() + self.timeouts.wait
    }

    /// Whether a call for this key is in flight, or about to be.
    pub fn is_busy(&self, key: &W::Key) -> bool {
        self.queues.borrow().contains_key(key)
    }

    /// [`Batcher::submit`] for somebody who gives up at this instant.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn submit_by(
        self: &Rc<Self>,
        key: &W::Key,
        item: W::Item,
        deadline: Instant,
    ) -> Result<W::Answer, Failure> {
        let span = CallSpan::of_batch(W::OP.name());
        let answer = self.decided(key, item, deadline).await;
        span.end(answer.as_ref().err().map(|failure| CallResult::of_failure(failure).as_str()));
        answer
    }

    async fn decided(self: &Rc<Self>, key: &W::Key, item: W::Item, deadline: Instant) -> Result<W::Answer, Failure> {
        let (answer, answered) = oneshot::channel();
        let waiter = Waiter { deadline, answer };
        self.enqueue(key, item, waiter)?;
        let answered = answered.await.unwrap_or_else(|_| Err(Failure::unreadable("a batch was dropped")));
        let (answer, sequence) = answered?;
        if let Some(sequence) = sequence {
            sequence.note();
        }
        Ok(answer)
    }

    fn enqueue(self: &Rc<Self>, key: &W::Key, item: W::Item, waiter: Waiter<W::Answer>) -> Result<(), Failure> {
        let mut queues = self.queues.borrow_mut();
        if let Some(queue) = queues.get_mut(key) {
            let waiting = queue.waiting.len();
            if waiting >= self.timeouts.queue_max {
                return Err(Failure::overloaded(format!("{waiting} wait for the same already")));
            }
            // Behind all that give up before it. Nearly always that is the end.
            let before = queue.waiting.iter().rposition(|(_, other)| other.deadline <= waiter.deadline);
            queue.waiting.insert(before.map_or(0, |place| place + 1), (item, waiter));
            self.cells.waiting.add(1);
            return Ok(());
        }
        self.cells.waiting.add(1);
        let queue = Queue { waiting: VecDeque::from([(item, waiter)]), codel: Codel::new(Instant::now()) };
        queues.insert(key.clone(), queue);
        drop(queues);
        // The task runs after the requests that the worker has read already, so they come into its first batch.
        spawn_local(InFlight { batcher: Rc::clone(self), key: key.clone() }.drain());
        Ok(())
    }

    /// Leave to send the next batch, which is made only then: who came while it waited for its turn goes with it. `None`: it would
    /// have come too late.
    async fn permit(&self, key: &W::Key) -> Result<Option<Permit>, Failure> {
        let mut permit = pin!(self.runner.permit(W::OP, W::slot(key)));
        loop {
            let first =
                self.queues.borrow().get(key).and_then(|queue| queue.waiting.front().map(|(_, first)| first.deadline));
            let alarm = first.unwrap_or_else(|| Instant::now() + self.timeouts.wait);
            tokio::select! {
                biased;
                permit = &mut permit => return permit,
                () = sleep_until(alarm.into()) => self.time_out(key, &mut VecDeque::new()),
            }
        }
    }

    /// Whether somebody waits. If not, the queue is gone.
    fn has_waiting(&self, key: &W::Key) -> bool {
        let mut queues = self.queues.borrow_mut();
        let has_waiting = queues.get(key).is_some_and(|queue| !queue.waiting.is_empty());
        if !has_waiting {
            queues.remove(key);
        }
        has_waiting
    }

    /// Answers those who have waited for longer than this.
    fn refuse(&self, key: &W::Key, waited: Duration, failure: &Failure) {
        let mut queues = self.queues.borrow_mut();
        let Some(queue) = queues.get_mut(key) else { return };
        let until = Instant::now() + self.timeouts.wait;
        let is_late = |(_, waiter): &mut (_, Waiter<_>)| until.saturating_duration_since(waiter.deadline) >= waited;
        while let Some((_, waiter)) = queue.waiting.pop_front_if(is_late) {
            self.cells.waiting.take(1);
            waiter.answer(Err(failure.clone()));
        }
    }

    /// The next batch. `None`: none of those who waited is served.
    fn next_batch(&self, key: &W::Key) -> Option<Batch<W>> {
        let mut queues = self.queues.borrow_mut();
        let queue = queues.get_mut(key)?;
        let size = queue.waiting.len().min(W::BATCH_MAX);
        let mut batch = Batch { items: Vec::with_capacity(size), waiters: VecDeque::with_capacity(size) };
        let now = Instant::now();
        while batch.items.len() < size
            && let Some((item, waiter)) = queue.waiting.pop_front()
        {
            self.cells.waiting.take(1);
            let waited = (now + self.timeouts.wait).saturating_duration_since(waiter.deadline);
            if W::SHEDS && !queue.codel.admits(waited, queue.waiting.is_empty(), now) {
                waiter.answer(Err(Failure::overloaded("it waited for too long")));
                continue;
            }
            self.cells.waited.observe_time(waited);
            batch.items.push(item);
            batch.waiters.push_back(waiter);
        }
        if batch.items.is_empty() {
            return None;
        }
        self.cells.sizes.observe(batch.items.len() as u64);
        Some(batch)
    }

    /// Where the script fails at a text that somebody made unreadable, each half is decided on its own, and so on. So nobody is
    /// refused but for what is their own.
    async fn decide(&self, key: &W::Key, batch: Batch<W>, permit: Permit) {
        let (mut next, mut permit, mut halves) = (Some(batch), Some(permit), Vec::new());
        while let Some(batch) = next {
            if !batch.items.is_empty() {
                self.decide_as_one(key, batch, permit.take(), &mut halves).await;
            }
            next = halves.pop();
            next.iter_mut().for_each(|half| half.give_up_late(Instant::now()));
        }
    }

    /// Without a permit it is a half: what failed before may have done something.
    async fn decide_as_one(&self, key: &W::Key, batch: Batch<W>, permit: Option<Permit>, halves: &mut Vec<Batch<W>>) {
        let (Batch { mut items, mut waiters }, is_half) = (batch, permit.is_none());
        let size = waiters.len();
        // By their deadlines, so the last one gives up last.
        let until = waiters.back().map_or_else(Instant::now, |last| last.deadline);
        let mut call = pin!(self.runner.decide(self.work.call(key, &items).until(until).with_permit(permit)));
        let reply = loop {
            let fronts = halves.iter().filter_map(|half| half.waiters.front()).chain(waiters.front());
            let alarm = fronts.map(|front| front.deadline).min().unwrap_or_else(|| Instant::now() + self.timeouts.wait);
            tokio::select! {
                biased;
                reply = &mut call => break reply,
                () = sleep_until(alarm.into()) => {
                    self.time_out(key, &mut waiters);
                    halves.iter_mut().for_each(|half| half.give_up_late(Instant::now()));
                }
            }
        };
        let reply = if is_half { reply.map_err(Failure::after_decision) } else { reply };
        // The waiters whose time was up were in front.
        let late = size - waiters.len();
        match &reply {
            Err(failure) if W::OP.may_be_resent() && failure.is_of_script() => {
                if waiters.len() > 1 {
                    drop(items.drain(..late));
                    let half = items.len() / 2;
                    let second = Batch { items: items.split_off(half), waiters: waiters.split_off(half) };
                    halves.extend([second, Batch { items, waiters }]);
                    return;
                }
            }
            Err(failure) => halves.drain(..).for_each(|half| half.fail(failure)),
            Ok(_) => {}
        }
        let answers = reply.and_then(|Decided { word, reply, sequence }| {
            let answers = self.work.read(key, items, &word, reply)?;
            let sequence = move |place| sequence.map(|first| first.at(place));
            Ok(answers.into_iter().enumerate().map(move |(place, answer)| (answer, sequence(place))))
        });
        match answers {
            Ok(answers) => {
                answers.skip(late).zip(waiters).for_each(|(answer, waiter)| waiter.answer(Ok(answer)));
            }
            Err(failure) => waiters.into_iter().for_each(|waiter| waiter.answer(Err(failure.clone()))),
        }
    }

    /// Answers the waiters whose deadline has passed: in the batch in flight, and in the queue behind it.
    fn time_out(&self, key: &W::Key, in_flight: &mut VecDeque<Waiter<W::Answer>>) {
        let now = Instant::now();
        while let Some(waiter) = in_flight.pop_front_if(|waiter| waiter.deadline <= now) {
            waiter.answer(Err(Failure::timed_out("the call is still in flight")));
        }
        let mut queues = self.queues.borrow_mut();
        let Some(queue) = queues.get_mut(key) else { return };
        while let Some((_, waiter)) = queue.waiting.pop_front_if(|(_, waiter)| waiter.deadline <= now) {
            self.cells.waiting.take(1);
            waiter.answer(Err(Failure::overloaded("its turn did not come in time")));
        }
    }
}

impl<W: Work> Batch<W> {
    /// Answers those whose time is up. They are in front.
    fn give_up_late(&mut self, now: Instant) {
        let late = self.waiters.iter().take_while(|waiter| waiter.deadline <= now).count();
        drop(self.items.drain(..late));
        let failure = Failure::timed_out("what came at the same time could not be read");
        self.waiters.drain(..late).for_each(|waiter| waiter.answer(Err(failure.clone())));
    }

    fn fail(self, failure: &Failure) {
        self.waiters.into_iter().for_each(|waiter| waiter.answer(Err(failure.clone())));
    }
}

impl<A> Waiter<A> {
    fn answer(self, answer: Result<Answered<A>, Failure>) {
        // The client may have gone. The decision stands.
        let _gone = self.answer.send(answer);
    }
}

/// Calls for one key, one after the other, until its queue is empty.
struct InFlight<W: Work> {
    batcher: Rc<Batcher<W>>,
    key: W::Key,
}

impl<W: Work> InFlight<W> {
    async fn drain(self) {
        let Self { batcher, key } = &self;
        while batcher.has_waiting(key) {
            match batcher.permit(key).await {
                Ok(Some(permit)) => {
                    if let Some(batch) = batcher.next_batch(key) {
                        batcher.decide(key, batch, permit).await;
                    }
                }
                // Who came just now waits for another turn.
                Ok(None) => {
                    batcher.refuse(key, codel::TARGET, &Failure::overloaded("it waited for its turn for too long"));
                }
                Err(failure) => batcher.refuse(key, Duration::ZERO, &failure),
            }
        }
    }
}

/// However it ends, the next item starts a new queue.
impl<W: Work> Drop for InFlight<W> {
    fn drop(&mut self) {
        if let Some(queue) = self.batcher.queues.borrow_mut().remove(&self.key) {
            self.batcher.cells.waiting.take(queue.waiting.len() as u64);
        }
    }
}
