//! Batching without a timer: what arrives while a call is in flight waits in a bounded queue, and goes out together as the
//! next call. An idle worker sends a lone ask at once, a busy one fills its batches by itself.
//!
//! A batcher belongs to one thread.

use std::{
    cell::RefCell,
    collections::{HashMap, VecDeque},
    hash::Hash,
    pin::pin,
    rc::Rc,
    time::{Duration, Instant},
};

use tokio::{sync::oneshot, task::spawn_local, time::sleep_until};

use super::{
    error::Failure,
    reply::Reply,
    runner::{Call, Runner},
};

/// Something that one call can do for many.
pub trait Work: 'static {
    /// Whatever has a queue of its own.
    type Key: Clone + Eq + Hash;
    type Ask;
    type Answer;
    /// Asks of one call. A script with 300 arguments takes under a millisecond, one with 3,000 a hundred.
    const BATCH_MAX: usize;

    fn call(&self, key: &Self::Key, asks: &[Self::Ask]) -> Call;

    /// An answer for each ask, in their order.
    ///
    /// # Errors
    /// [`Failure::Unreadable`], for all of them.
    fn read(
        &self,
        key: &Self::Key,
        asks: Vec<Self::Ask>,
        word: &str,
        reply: Reply,
    ) -> Result<Vec<Self::Answer>, Failure>;
}

/// Bounds on waiting.
#[derive(Clone, Copy)]
pub struct Patience {
    /// From arrival to answer, the wait in the queue included.
    pub wait: Duration,
    /// Asks that may wait in one queue.
    pub queue_max: usize,
}

/// Who waits for an answer, and until when.
struct Waiter<A> {
    deadline: Instant,
    answer: oneshot::Sender<Result<A, Failure>>,
}

/// The asks that wait for a key. It is there exactly as long as a call is in flight.
type Queue<W> = VecDeque<(<W as Work>::Ask, Waiter<<W as Work>::Answer>)>;

/// Asks that go out together, and who waits for each.
struct Batch<W: Work> {
    asks: Vec<W::Ask>,
    waiters: VecDeque<Waiter<W::Answer>>,
}

pub struct Batcher<W: Work> {
    runner: Rc<Runner>,
    work: W,
    patience: Patience,
    queues: RefCell<HashMap<W::Key, Queue<W>>>,
}

impl<W: Work> Batcher<W> {
    pub fn new(runner: Rc<Runner>, work: W, patience: Patience) -> Rc<Self> {
        Rc::new(Self { runner, work, patience, queues: RefCell::default() })
    }

    /// Waits for the answer of a call that starts after this.
    ///
    /// # Errors
    /// [`Failure`]: after `Overloaded` the ask was never sent; after `TimedOut` and `Unavailable` the outcome is unknown.
    pub async fn ask(self: &Rc<Self>, key: &W::Key, ask: W::Ask) -> Result<W::Answer, Failure> {
        let (answer, answered) = oneshot::channel();
        let waiter = Waiter { deadline: Instant::now() + self.patience.wait, answer };
        self.enqueue(key, ask, waiter)?;
        answered.await.unwrap_or_else(|_| Err(Failure::unreadable("a batch was dropped")))
    }

    fn enqueue(self: &Rc<Self>, key: &W::Key, ask: W::Ask, waiter: Waiter<W::Answer>) -> Result<(), Failure> {
        let mut queues = self.queues.borrow_mut();
        if let Some(queue) = queues.get_mut(key) {
            if queue.len() >= self.patience.queue_max {
                return Err(Failure::Overloaded(format!("{} wait for the same already", queue.len())));
            }
            queue.push_back((ask, waiter));
            return Ok(());
        }
        queues.insert(key.clone(), VecDeque::from([(ask, waiter)]));
        drop(queues);
        // It runs after the requests that the worker has read already, which so come into its first batch.
        spawn_local(InFlight { batcher: Rc::clone(self), key: key.clone() }.drain());
        Ok(())
    }

    /// The next batch, or `None` when nothing waits any more: then the queue is gone.
    fn next_batch(&self, key: &W::Key) -> Option<Batch<W>> {
        let mut queues = self.queues.borrow_mut();
        let queue = queues.get_mut(key)?;
        if queue.is_empty() {
            queues.remove(key);
            return None;
        }
        let size = queue.len().min(W::BATCH_MAX);
        let (asks, waiters) = queue.drain(..size).unzip();
        Some(Batch { asks, waiters })
    }

    async fn decide(&self, key: &W::Key, batch: Batch<W>) {
        let Batch { asks, mut waiters } = batch;
        let size = waiters.len();
        let mut call = pin!(self.runner.call(self.work.call(key, &asks)));
        let reply = loop {
            let alarm = waiters.front().map_or_else(|| Instant::now() + self.patience.wait, |first| first.deadline);
            tokio::select! {
                biased;
                reply = &mut call => break reply,
                () = sleep_until(alarm.into()) => self.give_up_on_the_late(key, &mut waiters),
            }
        };
        let answers = reply.and_then(|(word, reply)| self.work.read(key, asks, &word, reply));
        // Those who were given up on stood in front.
        let late = size - waiters.len();
        match answers {
            Ok(answers) => {
                answers.into_iter().skip(late).zip(waiters).for_each(|(answer, waiter)| waiter.tell(Ok(answer)));
            }
            Err(failure) => waiters.into_iter().for_each(|waiter| waiter.tell(Err(failure.clone()))),
        }
    }

    /// Answers those whose deadline has passed: the front of the batch in flight, and of the queue behind it.
    fn give_up_on_the_late(&self, key: &W::Key, in_flight: &mut VecDeque<Waiter<W::Answer>>) {
        let now = Instant::now();
        while let Some(waiter) = in_flight.pop_front_if(|waiter| waiter.deadline <= now) {
            waiter.tell(Err(Failure::TimedOut("the call is still in flight".to_owned())));
        }
        let mut queues = self.queues.borrow_mut();
        let Some(queue) = queues.get_mut(key) else { return };
        while let Some((_, waiter)) = queue.pop_front_if(|(_, waiter)| waiter.deadline <= now) {
            waiter.tell(Err(Failure::Overloaded("its turn did not come in time".to_owned())));
        }
    }
}

impl<A> Waiter<A> {
    fn tell(self, answer: Result<A, Failure>) {
        // The client may have gone; what was decided stands.
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
        while let Some(batch) = self.batcher.next_batch(&self.key) {
            self.batcher.decide(&self.key, batch).await;
        }
    }
}

/// However it ends, the next ask starts anew.
impl<W: Work> Drop for InFlight<W> {
    fn drop(&mut self) {
        self.batcher.queues.borrow_mut().remove(&self.key);
    }
}
