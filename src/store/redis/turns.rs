//! Whose turn it is to be sent. Calls of different sales share no batch, so without this they would wait in the server itself, where
//! nobody can refuse those that waited for too long. So no more are in flight than the server answers in a moment. New holds, reads
//! and lists wait here for their turns, by controlled delay; all else is sent at once.

use std::{cell::RefCell, collections::VecDeque, rc::Rc, time::Instant};

use tokio::sync::oneshot;

use super::{
    codel::{self, Codel},
    pace::Pace,
    rank::Rank,
};

/// The turns of one worker at one server.
#[derive(Default)]
pub struct Turns(RefCell<Queues<oneshot::Sender<Turn>>>);

/// A call in flight, until this is dropped.
pub struct Turn {
    turns: Rc<Turns>,
    has_answer: bool,
}

/// Those who wait, by what brings them their turns.
struct Queues<T> {
    in_flight: usize,
    pace: Pace,
    /// What matters most is first.
    waiting: [Queue<T>; 3],
}

struct Queue<T> {
    /// Since when each of them waits.
    waiting: VecDeque<(Instant, T)>,
    /// There is one while somebody waits.
    codel: Option<Codel>,
}

/// The queue of a rank. `None`: it never waits.
fn queue_of(rank: Rank) -> Option<usize> {
    match rank {
        Rank::Payments | Rank::Orders | Rank::Releases => None,
        Rank::Holds => Some(0),
        Rank::Reads => Some(1),
        Rank::Lists => Some(2),
    }
}

impl Turns {
    /// Waits for a turn. `None`: it would have come too late.
    pub async fn take(self: &Rc<Self>, rank: Rank) -> Option<Turn> {
        let comes = {
            let mut queues = self.0.borrow_mut();
            // Where there is room, nobody waits.
            queue_of(rank).filter(|_| !queues.has_room()).map(|queue| {
                let (turn, comes) = oneshot::channel();
                queues.wait(queue, turn, Instant::now());
                comes
            })
        };
        match comes {
            Some(turn) => turn.await.ok(),
            None => Some(self.take_now()),
        }
    }

    /// A turn before all who wait.
    pub fn take_now(self: &Rc<Self>) -> Turn {
        self.0.borrow_mut().send(Instant::now());
        Turn::of(self)
    }
}

impl Turn {
    fn of(turns: &Rc<Turns>) -> Self {
        Self { turns: Rc::clone(turns), has_answer: false }
    }

    /// Ends it with an answer of the server. One that is dropped without says nothing of how fast the server is.
    pub fn answered(mut self) {
        self.has_answer = true;
    }
}

impl Drop for Turn {
    /// Whoever waits goes on, as far as there is room. Who is refused learns it by the end of a channel.
    fn drop(&mut self) {
        let now = Instant::now();
        self.turns.0.borrow_mut().leave(now, self.has_answer);
        loop {
            let next = self.turns.0.borrow_mut().next(now, |turn| !turn.is_closed());
            let Some(next) = next else { return };
            // It is there: its caller did not leave in between.
            let _sent = next.send(Self::of(&self.turns));
        }
    }
}

impl<T> Default for Queues<T> {
    fn default() -> Self {
        let waiting = std::array::from_fn(|_| Queue { waiting: VecDeque::new(), codel: None });
        Self { in_flight: 0, pace: Pace::default(), waiting }
    }
}

impl<T> Queues<T> {
    fn has_room(&self) -> bool {
        self.in_flight < self.pace.in_flight_max()
    }

    fn send(&mut self, now: Instant) {
        self.pace.sent(now);
        self.in_flight += 1;
    }

    fn leave(&mut self, now: Instant, has_answer: bool) {
        self.in_flight -= 1;
        self.pace.ended(now, has_answer, self.in_flight);
        self.waiting.iter_mut().for_each(|queue| queue.refuse_late(now));
    }

    fn wait(&mut self, queue: usize, turn: T, now: Instant) {
        let Queue { waiting, codel } = &mut self.waiting[queue];
        waiting.push_back((now, turn));
        codel.get_or_insert_with(|| Codel::new(now));
    }

    /// Who is sent next, of those that are still there. Those that waited for too long are refused.
    fn next(&mut self, now: Instant, is_there: impl Fn(&T) -> bool) -> Option<T> {
        if !self.has_room() {
            return None;
        }
        let turn = self.waiting.iter_mut().find_map(|queue| queue.next(now, &is_there))?;
        self.send(now);
        Some(turn)
    }
}

impl<T> Queue<T> {
    /// Those who would not be served any more, also where all that matters more goes first.
    fn refuse_late(&mut self, now: Instant) {
        let is_late = |(since, _): &mut (Instant, T)| now.saturating_duration_since(*since) > codel::INTERVAL;
        while self.waiting.pop_front_if(is_late).is_some() {}
    }

    fn next(&mut self, now: Instant, is_there: impl Fn(&T) -> bool) -> Option<T> {
        while let (Some((since, turn)), Some(codel)) = (self.waiting.pop_front(), &mut self.codel) {
            let waited = now.saturating_duration_since(since);
            if is_there(&turn) && codel.admits(waited, self.waiting.is_empty(), now) {
                return Some(turn);
            }
        }
        self.codel = None;
        None
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::FutureExt;

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// What came of calls, in milliseconds.
    #[derive(Default)]
    struct Played {
        answered: u32,
        /// Within a second of their call.
        in_time: u32,
        longest: u32,
        /// When the last one was answered.
        end: u32,
    }

    /// A server, and calls that come to it.
    struct Server {
        /// Milliseconds on the way to it and back.
        distance: u32,
        /// Answers in 16 ms.
        pace: u32,
    }

    impl Server {
        /// So many calls come each millisecond. It stands still in some.
        fn play(&self, come: &[u32], stands: impl Fn(u32) -> bool) -> Played {
            let start = Instant::now();
            let (mut queues, mut sent) = (Queues::default(), VecDeque::new());
            let (mut played, mut work) = (Played::default(), 0);
            for (tick, come) in (0..).zip(come) {
                let now = start + tick * MS;
                for _ in 0..*come {
                    if queues.has_room() {
                        queues.send(now);
                        sent.push_back((tick, tick));
                    } else {
                        queues.wait(0, tick, now);
                    }
                }
                work += if stands(tick) { 0 } else { self.pace };
                while work >= 16
                    && let Some((came, _)) = sent.pop_front_if(|(_, sent)| tick >= *sent + self.distance)
                {
                    work -= 16;
                    queues.leave(now, true);
                    played.longest = played.longest.max(tick - came);
                    (played.answered, played.end) = (played.answered + 1, tick);
                    played.in_time += u32::from(tick - came <= 1_000);
                    sent.extend(std::iter::from_fn(|| queues.next(now, |_| true)).map(|came| (came, tick)));
                }
                // An idle server saves no work for later.
                work = work.min(self.pace.max(16));
            }
            played
        }
    }

    #[test]
    fn twice_and_ten_times_of_what_is_answered_is_answered_without_a_pause_and_soon() {
        for (pace, distance) in [(1, 0), (4, 0), (16, 1), (16, 50), (160, 20)] {
            for times in [2, 10] {
                // Calls of six seconds.
                let come: Vec<_> =
                    (0..6_000).map(|tick| times * pace * (tick + 1) / 16 - times * pace * tick / 16).collect();
                let in_time = Server { distance, pace }.play(&come, |_| false).in_time;
                let most = 6_000 * pace / 16;
                assert!(in_time >= most * 95 / 100, "{times} times of {pace} at {distance} ms: {in_time} of {most}");
            }
        }
    }

    #[test]
    fn a_burst_on_a_server_that_keeps_up_is_sent() {
        let mut come = vec![0; 3_000];
        come[1_000] = 1_000;
        for (distance, most) in [(0, 70), (5, 120), (20, 400)] {
            let Played { answered, end, .. } = Server { distance, pace: 16 * 16 }.play(&come, |_| false);
            assert_eq!(answered, 1_000, "{distance}");
            assert!(end < 1_000 + most, "at {distance} ms it ended after {}", end - 1_000);
        }
    }

    #[test]
    fn a_server_that_stood_still_for_a_moment_loses_nobody() {
        // One comes each other millisecond.
        let come: Vec<_> = (0..3_000).map(|tick| tick % 2).collect();
        let played = Server { distance: 0, pace: 16 }.play(&come, |tick| (1_000..1_300).contains(&tick));
        assert_eq!(played.answered, 1_500);
        assert!(played.longest <= 300, "{}", played.longest);
    }

    #[test]
    fn a_server_that_went_away_in_an_overload_is_not_overrun_when_it_is_back() {
        let come = vec![10; 6_000];
        let played = Server { distance: 0, pace: 16 }.play(&come, |tick| (2_000..2_600).contains(&tick));
        assert!(played.in_time >= 5_000, "{} of 5,400", played.in_time);
    }

    #[test]
    fn holds_come_before_reads_and_reads_before_lists_and_what_gives_units_back_never_waits() {
        let now = Instant::now();
        let mut queues = Queues::default();
        while queues.has_room() {
            queues.send(now);
        }
        for rank in [Rank::Lists, Rank::Reads, Rank::Holds, Rank::Lists, Rank::Holds] {
            queues.wait(queue_of(rank).unwrap(), rank, now);
        }
        assert_eq!([Rank::Payments, Rank::Orders, Rank::Releases].map(queue_of), [None; 3]);
        let mut order = Vec::new();
        for _ in 0..6 {
            queues.leave(now, true);
            order.extend(queues.next(now, |_| true));
        }
        assert_eq!(order, [Rank::Holds, Rank::Holds, Rank::Reads, Rank::Lists, Rank::Lists]);
    }

    #[test]
    fn who_waits_behind_a_rush_without_an_end_is_refused_in_time() {
        let start = Instant::now();
        let (mut queues, list) = (Queues::default(), Rc::new(()));
        while queues.has_room() {
            queues.send(start);
        }
        queues.wait(queue_of(Rank::Lists).unwrap(), Rc::clone(&list), start);
        for tick in 1..=501 {
            assert_eq!(Rc::strong_count(&list), 2, "refused after {tick} ms");
            let now = start + tick * MS;
            queues.wait(queue_of(Rank::Holds).unwrap(), Rc::new(()), now);
            queues.leave(now, true);
            // Only a hold goes on.
            assert!(queues.next(now, |_| true).is_none_or(|next| !Rc::ptr_eq(&next, &list)));
        }
        assert_eq!(Rc::strong_count(&list), 1);
    }

    #[test]
    fn what_a_server_did_not_answer_is_no_pace() {
        let start = Instant::now();
        let mut queues = Queues::<()>::default();
        // One hangs, and others are given up at once.
        queues.send(start);
        for tick in 0..2_000 {
            queues.send(start + tick * MS);
            queues.leave(start + tick * MS, false);
        }
        assert!(queues.pace.in_flight_max() < 64, "{}", queues.pace.in_flight_max());
    }

    #[tokio::test]
    async fn the_turn_of_a_caller_who_left_goes_to_the_next() {
        let turns = Rc::new(Turns::default());
        let mut taken = Vec::new();
        while turns.0.borrow().has_room() {
            taken.push(turns.take(Rank::Holds).await.unwrap());
        }
        let [mut first, mut second] = [(); 2].map(|()| Box::pin(turns.take(Rank::Holds)));
        assert!(first.as_mut().now_or_never().is_none());
        assert!(second.as_mut().now_or_never().is_none());
        let free = turns.take(Rank::Payments).await.unwrap();
        drop(first);
        drop((free, taken.pop()));
        let turn = second.await.unwrap();
        let in_flight = turns.0.borrow().in_flight;
        assert_eq!(in_flight, taken.len() + 1);
        drop((turn, taken));
        assert_eq!(turns.0.borrow().in_flight, 0);
    }
}
