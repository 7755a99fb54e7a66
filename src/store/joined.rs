//! Callers that want the same at the same time share one answer. The call for it starts after they asked, so that the answer
//! was true at an instant in between.

use std::{
    cell::RefCell,
    collections::{HashMap, hash_map::Entry},
    future::Future,
    hash::Hash,
    rc::Rc,
};

use tokio::{sync::oneshot, task::spawn_local};

use super::Failure;

type Answer<T> = Result<Rc<T>, Failure>;

/// Those who wait for an answer, by what they want. An entry exists exactly as long as a call for it is in flight.
pub(super) struct Joined<K, T> {
    waiting: RefCell<HashMap<K, Vec<oneshot::Sender<Answer<T>>>>>,
    waiting_max: usize,
}

impl<K: Clone + Eq + Hash + 'static, T: 'static> Joined<K, T> {
    pub(super) fn new(waiting_max: usize) -> Rc<Self> {
        Rc::new(Self { waiting: RefCell::default(), waiting_max })
    }

    /// Every caller with the same key must bring the same call.
    ///
    /// # Errors
    /// Those of the call, and [`Failure::Overloaded`] when too many wait for the same.
    pub(super) async fn ask<F>(self: &Rc<Self>, key: K, call: impl Fn() -> F + 'static) -> Answer<T>
    where
        F: Future<Output = Result<T, Failure>> + 'static,
    {
        let (answer, answered) = oneshot::channel();
        match self.waiting.borrow_mut().entry(key.clone()) {
            Entry::Occupied(waiting) if waiting.get().len() >= self.waiting_max => {
                return Err(Failure::overloaded(format!("{} wait for the same already", self.waiting_max)));
            }
            Entry::Occupied(mut waiting) => waiting.get_mut().push(answer),
            Entry::Vacant(none) => {
                none.insert(vec![answer]);
                // The task runs after the requests that the worker has read already, so the first call is theirs too.
                spawn_local(InFlight { joined: Rc::clone(self), key }.answer_all(call));
            }
        }
        answered.await.unwrap_or_else(|_| Err(Failure::unreadable("a call for several was dropped")))
    }

    /// `None` when nobody waits any more: then the entry is gone.
    fn take(&self, key: &K) -> Option<Vec<oneshot::Sender<Answer<T>>>> {
        let mut all = self.waiting.borrow_mut();
        let mut waiting = std::mem::take(all.get_mut(key)?);
        // The clients that have gone need no call.
        waiting.retain(|answer| !answer.is_closed());
        if waiting.is_empty() {
            all.remove(key);
            return None;
        }
        Some(waiting)
    }
}

/// Calls for one key, one after the other, until nobody waits.
struct InFlight<K: Eq + Hash, T> {
    joined: Rc<Joined<K, T>>,
    key: K,
}

impl<K: Clone + Eq + Hash + 'static, T: 'static> InFlight<K, T> {
    async fn answer_all<F: Future<Output = Result<T, Failure>>>(self, call: impl Fn() -> F) {
        while let Some(waiting) = self.joined.take(&self.key) {
            let answer = call().await.map(Rc::new);
            for caller in waiting {
                // The client may have gone.
                let _gone = caller.send(answer.clone());
            }
        }
    }
}

/// However it ends, the next caller starts another one.
impl<K: Eq + Hash, T> Drop for InFlight<K, T> {
    fn drop(&mut self) {
        self.joined.waiting.borrow_mut().remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use futures_util::future::join_all;
    use tokio::{sync::Semaphore, task::LocalSet};

    use super::*;

    /// Counts its calls. Each needs a permit to end.
    struct Calls {
        begun: Cell<usize>,
        may_end: Semaphore,
    }

    fn run(test: impl Future<Output = ()>) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        LocalSet::new().block_on(&runtime, test);
    }

    async fn ask(joined: &Rc<Joined<u8, usize>>, calls: &Rc<Calls>) -> Answer<usize> {
        let calls = Rc::clone(calls);
        joined
            .ask(1, move || {
                let calls = Rc::clone(&calls);
                async move {
                    calls.begun.set(calls.begun.get() + 1);
                    let number = calls.begun.get();
                    calls.may_end.acquire().await.unwrap().forget();
                    Ok(number)
                }
            })
            .await
    }

    #[test]
    fn those_who_ask_together_share_a_call_and_those_who_ask_meanwhile_the_next_one() {
        run(async {
            let (joined, calls) =
                (Joined::new(1_000), Rc::new(Calls { begun: Cell::new(0), may_end: Semaphore::new(0) }));
            let early = join_all((0..40).map(|_| ask(&joined, &calls)));
            let late = async {
                while calls.begun.get() == 0 {
                    tokio::task::yield_now().await;
                }
                let late = join_all((0..40).map(|_| ask(&joined, &calls)));
                let open = async {
                    tokio::task::yield_now().await;
                    calls.may_end.add_permits(2);
                };
                tokio::join!(late, open).0
            };
            let (early, late) = tokio::join!(early, late);
            assert!(early.into_iter().all(|answer| *answer.unwrap() == 1));
            assert!(
                late.into_iter().all(|answer| *answer.unwrap() == 2),
                "a call that began before they asked is not theirs"
            );
            assert_eq!(calls.begun.get(), 2);
            assert!(joined.waiting.borrow().is_empty());
        });
    }

    #[test]
    fn beyond_the_bound_callers_are_refused() {
        run(async {
            let (joined, calls) = (Joined::new(2), Rc::new(Calls { begun: Cell::new(0), may_end: Semaphore::new(0) }));
            let asked = join_all((0..3).map(|_| ask(&joined, &calls)));
            calls.may_end.add_permits(1);
            let refused =
                asked.await.into_iter().filter(|answer| matches!(answer, Err(Failure::Overloaded(_)))).count();
            assert_eq!((refused, calls.begun.get()), (1, 1));
            assert!(joined.waiting.borrow().is_empty());
        });
    }
}
