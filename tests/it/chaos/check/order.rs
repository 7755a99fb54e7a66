//! Replays the answers of each sale in the order in which the sale says that it decided, against the model, in linear time; and
//! checks that this order fits real time.
//!
//! The model is a set of states for each hold (`life`), and with it a range for each counter. It has no search in it.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
    fmt::Write,
};

use super::{
    super::history::{Call, FaultSpan, History, Product, Request, Sequence},
    Violation,
    figures::{self, Figures},
    life::{self, Deadlines, State, Window},
    limits,
    roster::{Roster, may_change, may_have_been_repeated},
};

/// How long before a fail-over a write may be that the new primary never got.
const LAG_US: u64 = 3_000_000;
/// What happens at a place of the order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    /// Writes of the last seconds may be gone.
    Loss(u64),
    Decided(usize),
    /// A call may take effect from here on.
    Begins(usize),
}

/// By write; then decisions of its batch by their place, then those of batches that saw it, then what may follow.
type Place = (u64, u8, u64, u64);

pub struct Replay<'a> {
    pub history: &'a History,
    pub roster: &'a Roster,
    pub lives: Vec<Lived>,
    pub figures: HashMap<Product, Figures>,
    pub totals: HashMap<Product, Vec<i64>>,
    /// The units of each customer.
    pub customers: HashMap<(&'a str, Product), Figures>,
    /// Restocks that may take effect, by product and key.
    restocks: Vec<(Product, String, i64)>,
    /// How often each restock was asked for, by key.
    asked: HashMap<&'a str, usize>,
    past_totals: Vec<(u64, Product, Vec<i64>)>,
    due: BinaryHeap<Reverse<(u64, usize)>>,
    write: u64,
    /// Holds that a fail-over forgot, though they had been answered.
    pub lost: usize,
}

/// A life as the replay knows it.
pub struct Lived {
    pub states: Vec<State>,
    deadlines: Deadlines,
    /// How many of them are waited for.
    watched: usize,
    /// Calls that may take effect.
    open: Vec<usize>,
    /// What it was at earlier writes.
    past: Vec<(u64, Vec<State>)>,
}

/// Replays all sales. The holds that were lost; the first violation of each sale.
pub fn check(history: &History, roster: &Roster) -> (usize, Vec<Violation>) {
    let (mut lost, mut violations) = (0, Vec::new());
    for sale in 0..roster.sales.len() {
        violations.extend(fits_real_time(history, roster, sale));
        let mut replay = Replay::new(history, roster);
        violations.extend(replay.run(sale).err());
        lost += replay.lost;
    }
    (lost, violations)
}

fn sequence(call: &Call) -> Option<Sequence> {
    call.reply().and_then(|reply| reply.sequence)
}

/// What ended before another call began was decided before it.
fn fits_real_time(history: &History, roster: &Roster, sale: usize) -> Option<Violation> {
    let calls = &history.calls;
    let decided = || (0..calls.len()).filter(|n| roster.sale_of[*n] == Some(sale) && sequence(&calls[*n]).is_some());
    let (mut by_start, mut by_end): (Vec<_>, Vec<_>) = (decided().collect(), decided().collect());
    by_start.sort_by_key(|n| calls[*n].start_ns);
    by_end.sort_by_key(|n| calls[*n].end_ns);
    let (mut ended, mut last) = (by_end.into_iter().peekable(), None::<(u64, usize)>);
    for later in by_start {
        let start = calls[later].start_ns;
        while let Some(earlier) = ended.next_if(|n| calls[*n].end_ns < start) {
            let write = sequence(&calls[earlier]).map_or(0, |(write, ..)| write);
            last = last.max(Some((write, earlier)));
        }
        let Some((write, earlier)) = last else { continue };
        let was_lost = |span: &FaultSpan| {
            span.may_lose() && calls[earlier].end_ns <= span.end_ns && calls[later].end_ns >= span.start_ns
        };
        if sequence(&calls[later]).is_some_and(|(own, ..)| own < write) && !history.faults.iter().any(was_lost) {
            let said = "a decision has an earlier place than one that was answered before it was asked for";
            return Some(Violation::new("order", said.to_owned(), vec![earlier, later]));
        }
    }
    None
}

impl<'a> Replay<'a> {
    pub fn new(history: &'a History, roster: &'a Roster) -> Self {
        let absent = || Lived {
            states: vec![State::Absent],
            deadlines: Deadlines::default(),
            watched: 0,
            open: vec![],
            past: vec![],
        };
        let mut asked = HashMap::new();
        for call in &history.calls {
            if let Request::Restock { key, .. } = &call.request {
                *asked.entry(&**key).or_default() += 1;
            }
        }
        Self {
            history,
            roster,
            asked,
            lives: roster.lives.iter().map(|_| absent()).collect(),
            figures: history.offers.iter().map(|offer| (offer.product, Figures::default())).collect(),
            totals: history.offers.iter().map(|offer| (offer.product, vec![offer.units])).collect(),
            customers: HashMap::new(),
            restocks: Vec::new(),
            past_totals: Vec::new(),
            due: BinaryHeap::new(),
            write: 0,
            lost: 0,
        }
    }

    fn run(&mut self, sale: usize) -> Result<(), Violation> {
        let mut steps = self.steps(sale);
        steps.sort_unstable();
        let mut at = 0;
        while at < steps.len() {
            let write = steps[at].0.0;
            let size = steps[at..].iter().take_while(|(place, _)| place.0 == write).count();
            self.advance(write);
            for (_, step) in &steps[at..at + size] {
                match *step {
                    Step::Loss(since) => self.forget(since),
                    Step::Begins(call) => self.begin(call),
                    Step::Decided(call) => {
                        if let Err(said) = self.decide(call) {
                            self.forget(self.lost_since(call).ok_or_else(|| self.lie(call, said))?);
                            self.decide(call).map_err(|said| self.lie(call, said))?;
                        }
                    }
                }
            }
            at += size;
        }
        Ok(())
    }

    fn lie(&self, number: usize, said: String) -> Violation {
        let about = products(&self.history.calls[number]);
        let known = about.iter().map(|product| self.known(*product)).collect();
        Violation { known, ..Violation::new("order", said, vec![number]) }
    }

    /// The totals that a product may have, and the lives that surely have units of it.
    fn known(&self, product: Product) -> String {
        let mut known =
            format!("product {product}: totals {:?}, {:?}\n", self.totals[&product], self.figures[&product]);
        for (number, (life, lived)) in self.roster.lives.iter().zip(&self.lives).enumerate() {
            let units = figures::units_of(&life.lines, product);
            if units > 0 && lived.states.iter().all(|state| state.place().is_some()) {
                let name = self.roster.name(number).unwrap_or("a hold without an answer");
                let _written = writeln!(known, "  {units} in {name}: {:?} with {:?}", lived.states, lived.deadlines);
            }
        }
        known
    }

    fn steps(&self, sale: usize) -> Vec<(Place, Step)> {
        let calls = &self.history.calls;
        let of_sale = || (0..calls.len()).filter(|n| self.roster.sale_of[*n] == Some(sale));
        let mut ends: Vec<_> = of_sale().filter_map(|n| Some((calls[n].end_ns, sequence(&calls[n])?.0))).collect();
        ends.sort_unstable();
        // The greatest write that had been answered by then.
        let mut greatest = 0;
        let reached: Vec<_> = ends
            .iter()
            .map(|(end, write)| {
                greatest = greatest.max(*write);
                (*end, greatest)
            })
            .collect();
        let write_before = |ns: u64| {
            let before = reached.partition_point(|(end, _)| *end < ns);
            before.checked_sub(1).map_or(0, |last| reached[last].1)
        };
        let mut steps = Vec::new();
        for number in of_sale() {
            let call = &calls[number];
            if let Some((write, seen, index)) = sequence(call) {
                steps.push(((write, 1 + seen, index, call.start_ns), Step::Decided(number)));
            }
            if may_change(&call.request) && (call.is_unknown() || may_have_been_repeated(self.history, call)) {
                steps.push(((write_before(call.start_ns), 3, 0, call.start_ns), Step::Begins(number)));
            }
        }
        for at_ns in self.history.faults.iter().flat_map(|span| &span.lost_at_ns) {
            let write = self.history.epoch_ms(*at_ns) * 1_000;
            steps.push(((write, 0, 0, 0), Step::Loss(write - LAG_US)));
        }
        steps
    }

    /// For a call during a fail-over: since when writes may be gone. An old primary that comes back before the sentinels name the
    /// new one takes some that are lost a moment later.
    fn lost_since(&self, number: usize) -> Option<u64> {
        let call = &self.history.calls[number];
        let lost = self.history.faults.iter().filter(|span| call.start_ns <= span.end_ns);
        let lost = lost.flat_map(|span| &span.lost_at_ns).filter(|at_ns| call.end_ns >= **at_ns).min()?;
        Some((self.history.epoch_ms(*lost) * 1_000).saturating_sub(LAG_US))
    }

    /// Lets time pass until this write.
    fn advance(&mut self, write: u64) {
        self.write = write;
        let now_ms = write / 1_000;
        while let Some(Reverse((at, life))) = self.due.peek().copied() {
            if at >= now_ms {
                break;
            }
            self.due.pop();
            let window = Window { from_ms: now_ms, to_ms: now_ms, answered_ms: now_ms };
            let states = life::lapse(&self.lives[life].states, &self.lives[life].deadlines, window);
            self.put(life, states);
        }
    }

    /// A call may take effect from now on.
    fn begin(&mut self, number: usize) {
        let call = &self.history.calls[number];
        if let Request::Restock { product, delta, key } = &call.request {
            if !self.restocks.iter().any(|(_, known, _)| known == key) {
                self.restocks.push((*product, key.clone(), *delta));
            }
            let totals = figures::widen_totals(&self.totals[product], [*delta].into_iter());
            self.put_totals(*product, totals);
        }
        for life in self.roster.lives_of(number, call) {
            self.lives[life].open.push(number);
            self.reopen(life);
        }
    }

    /// Widens a life by all that may still happen to it. A deadline that nobody knows may pass at once, also when an answer has just
    /// said that it had not.
    fn reopen(&mut self, life: usize) {
        let now_ms = self.write / 1_000;
        let lived = &mut self.lives[life];
        let calls: Vec<_> = lived.open.iter().map(|n| &self.history.calls[*n]).collect();
        let states = life::widen(&lived.states, &calls, &mut lived.deadlines, |call| self.history.times(call));
        let window = Window { from_ms: now_ms, to_ms: now_ms, answered_ms: now_ms };
        let states = life::lapse(&states, &lived.deadlines, window);
        if states != lived.states {
            self.put(life, states);
        }
    }

    /// Any state of the last seconds may be what a new primary has.
    fn forget(&mut self, since: u64) {
        for life in 0..self.lives.len() {
            let lived = &mut self.lives[life];
            // What was replaced since then was in force at that time.
            let past = lived.past.iter().filter(|(until, _)| *until >= since).flat_map(|(_, states)| states);
            let states = life::joined(lived.states.iter().chain(past), &mut lived.deadlines);
            self.put(life, states);
            self.reopen(life);
        }
        let past: Vec<_> = self.past_totals.iter().filter(|(until, ..)| *until >= since).cloned().collect();
        for (_, product, more) in past {
            let mut totals = self.totals[&product].clone();
            totals.extend(more);
            totals.sort_unstable();
            totals.dedup();
            self.put_totals(product, totals);
        }
    }

    fn put_totals(&mut self, product: Product, totals: Vec<i64>) {
        let old = self.totals.insert(product, totals).unwrap();
        self.past_totals.push((self.write, product, old));
    }

    fn put(&mut self, life: usize, states: Vec<State>) {
        let lived = &mut self.lives[life];
        for (product, units) in &self.roster.lives[life].lines {
            let figures = self.figures.get_mut(product).unwrap();
            figures.add(&lived.states, *units, -1);
            figures.add(&states, *units, 1);
            if let Some(customer) = &self.roster.lives[life].customer {
                let figures = self.customers.entry((customer, *product)).or_default();
                figures.add(&lived.states, *units, -1);
                figures.add(&states, *units, 1);
            }
        }
        // Each once, when it is new.
        self.due.extend(lived.deadlines.edges_from(lived.watched).map(|at| Reverse((at, life))));
        lived.watched = lived.deadlines.count();
        let old = std::mem::replace(&mut lived.states, states);
        lived.past.push((self.write, old));
    }

    /// The figures that a call may have seen which wrote nothing: deadlines may have passed since the last write.
    fn figures_seen(&self, product: Product, call: &Call) -> Figures {
        let to_ms = if self.history.has_other_clock { u64::MAX } else { self.history.times(call).1 + life::SLACK_MS };
        let window = Window { from_ms: self.write / 1_000, to_ms, answered_ms: to_ms };
        let mut figures = self.figures[&product];
        for (life, lived) in self.roster.lives.iter().zip(&self.lives) {
            let units = figures::units_of(&life.lines, product);
            if units > 0 {
                figures.add(&lived.states, units, -1);
                figures.add(&life::lapse(&lived.states, &lived.deadlines, window), units, 1);
            }
        }
        figures
    }

    /// Compares one answer with the model, and goes on as it says. The error says what does not fit.
    fn decide(&mut self, number: usize) -> Result<(), String> {
        let call = &self.history.calls[number];
        let Some(reply) = call.reply() else { return Ok(()) };
        for product in products(call) {
            let fits =
                |figures: &Figures| figures::check(&call.request, reply, product, figures, &self.totals[&product]);
            fits(&self.figures[&product]).or_else(|said| match reply.sequence {
                Some((_, 1, _)) => fits(&self.figures_seen(product, call)),
                _ => Err(said),
            })?;
        }
        limits::check(self, call, reply)?;
        if let Request::Restock { product, delta, key } = &call.request {
            let may_repeat = self.asked[&**key] > 1;
            let totals = figures::restocked(&self.totals[product], *delta, reply, may_repeat);
            if totals.is_empty() {
                return Err(format!("a restock by {delta} leaves a total that no total before it explains"));
            }
            let open = self.restocks.iter().filter(|(of, known, _)| of == product && known != key);
            let totals = figures::widen_totals(&totals, open.map(|(.., delta)| *delta));
            if reply.status == 200 {
                self.restocks.retain(|(_, known, _)| known != key);
            }
            self.put_totals(*product, totals);
        }
        let Some(life) = self.roster.life_of[number] else { return Ok(()) };
        let lived = &mut self.lives[life];
        let now_ms = self.write / 1_000;
        let answered_ms = self.history.times(call).1;
        let window = Window { from_ms: now_ms, to_ms: now_ms, answered_ms };
        let states = life::answered(call, reply, &lived.states, &mut lived.deadlines, window);
        if states.is_empty() {
            return Err(format!("the hold or order may be {:?}, and the answer fits none of these", lived.states));
        }
        let was_certain = lived.past.iter().any(|(_, past)| !past.contains(&State::Absent));
        self.lost += usize::from(was_certain && states == [State::Absent]);
        lived.open.retain(|open| *open != number);
        self.put(life, states);
        self.reopen(life);
        for (product, _) in &self.roster.lives[life].lines {
            let left = self.figures[product].available(&self.totals[product]).1;
            if left < 0 {
                return Err(format!("{} units of product {product} more are promised than there are", -left));
            }
        }
        Ok(())
    }
}

/// The products that an answer may say something about.
pub fn products(call: &Call) -> Vec<Product> {
    match &call.request {
        Request::Hold { lines, .. } => lines.iter().map(|(product, _)| *product).collect(),
        Request::ReadProduct { product } => vec![*product],
        _ => vec![],
    }
}
