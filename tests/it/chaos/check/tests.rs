//! The checkers see planted lies, and no lie where there is none.

use serde_json::{Value, json};

mod deadlines;
mod loss;

use super::{
    super::{
        dice::Dice,
        history::{Call, End, FaultSpan, History, Offer, Outcome, Reply, Request, Sequence, Target},
    },
    Verdict, check,
};

const BEGAN_MS: u64 = 1_800_000_000_000;
/// Far enough that nothing lapses.
const LATER: &str = "2027-06-01T00:00:00.000Z";

/// A history that is true: a sale of one product of so many units, decided one call after another, each of them under way for longer
/// than its decision takes.
#[derive(Clone)]
struct Truth {
    calls: Vec<Call>,
    now_us: u64,
    available: i64,
    held: i64,
    total: i64,
    holds: Vec<(String, i64)>,
}

impl Truth {
    fn of_units(units: i64) -> Self {
        Self { calls: vec![], now_us: 1_000_000, available: units, held: 0, total: units, holds: vec![] }
    }

    /// Random calls of clients that overlap.
    fn of_seed(seed: u64, count: usize) -> Self {
        let mut truth = Self::of_units(6);
        let mut dice = Dice::new(seed);
        for _ in 0..count {
            let units = i64::try_from(dice.between(1, 4)).unwrap();
            match dice.between(0, 4) {
                0 if !truth.holds.is_empty() => {
                    let at = usize::try_from(dice.between(0, truth.holds.len() as u64)).unwrap();
                    truth.release(at);
                }
                1 => truth.read(),
                _ => truth.hold(units),
            }
            // Wider than the decision by a little or a lot, so that some overlap.
            let call = truth.calls.last_mut().unwrap();
            call.start_ns -= dice.between(0, 40) * 10_000;
            call.end_ns += dice.between(0, 40) * 10_000;
            truth.now_us += dice.between(0, 600);
        }
        truth
    }

    fn push(&mut self, request: Request, status: u16, body: Value, writes: bool) {
        if writes {
            self.now_us += 100;
        }
        let at_ns = self.now_us * 1_000 + if writes { 0 } else { 50_000 };
        let code = body["code"].as_str().unwrap_or_default().to_owned();
        let sequence = Some((BEGAN_MS * 1_000 + self.now_us, u8::from(!writes), 0));
        let reply = Reply { status, code, is_replayed: false, body, sequence };
        let outcome = Outcome::Answered(reply);
        self.calls.push(Call {
            client: 0,
            service: 0,
            start_ns: at_ns - 20_000,
            end_ns: at_ns + 20_000,
            request,
            outcome,
        });
    }

    fn hold(&mut self, units: i64) {
        let request = Request::Hold { key: None, lines: vec![(1, units)], customer: None };
        if units > self.available {
            let body = json!({"code": "insufficient_stock", "product_id": 1, "available_stock": self.available});
            return self.push(request, 409, body, false);
        }
        let id = format!("hold_{}", self.calls.len());
        self.available -= units;
        self.held += units;
        self.holds.push((id.clone(), units));
        self.push(request, 201, json!({"id": id, "expires_at": LATER}), true);
    }

    fn release(&mut self, at: usize) {
        let (hold, units) = self.holds.remove(at);
        self.available += units;
        self.held -= units;
        self.push(Request::Release { hold }, 204, Value::Null, true);
    }

    fn read(&mut self) {
        let body = json!({"available_stock": self.available, "held_stock": self.held, "pending_stock": 0, "sold_stock": 0,
                          "total_stock": self.total});
        self.push(Request::ReadProduct { product: 1 }, 200, body, false);
    }

    fn restock(&mut self, key: &str, delta: i64) {
        self.total += delta;
        self.available += delta;
        let request = Request::Restock { product: 1, delta, key: key.to_owned() };
        self.push(request, 200, json!({"total_stock": self.total}), true);
    }

    /// The history, and the end that such a one has when all holds have lapsed.
    fn history(self) -> History {
        let offer = Offer { product: 1, sale: "east".to_owned(), units: self.total, most: None, most_of_sale: None };
        let product = json!({"available_stock": self.total, "held_stock": 0, "pending_stock": 0, "sold_stock": 0,
                             "total_stock": self.total});
        let end = End { products: [(1, product)].into(), audit: json!({"ok": true}), ..End::default() };
        History { offers: vec![offer], calls: self.calls, end, began_ms: BEGAN_MS, ..History::default() }
    }
}

fn rules(verdict: &Verdict) -> Vec<&'static str> {
    let mut rules: Vec<_> = verdict.violations.iter().map(|violation| violation.rule).collect();
    rules.dedup();
    rules
}

/// Without the places that the sale says, so that only the search can see a lie.
fn without_sequences(mut history: History) -> History {
    for call in &mut history.calls {
        if let Outcome::Answered(reply) = &mut call.outcome {
            reply.sequence = None;
        }
    }
    history
}

fn refused_by_both(history: History, what: &str) {
    assert_eq!(rules(&check(&history)), ["order"], "{what}");
    assert_eq!(rules(&check(&without_sequences(history))), ["windows"], "{what}");
}

fn reply_of(call: &mut Call) -> &mut Reply {
    let Outcome::Answered(reply) = &mut call.outcome else { panic!("no answer") };
    reply
}

#[test]
fn true_histories_are_accepted() {
    for seed in 0..50 {
        let verdict = check(&Truth::of_seed(seed, 200).history());
        assert!(verdict.violations.is_empty(), "seed {seed}: {:?}", verdict.violations);
        assert!(verdict.searched.windows > 10 && verdict.searched.undecided == 0, "{:?}", verdict.searched);
    }
}

#[test]
fn a_history_with_one_planted_lie_is_refused_by_both_checkers() {
    for seed in 0..50 {
        let mut history = Truth::of_seed(seed, 200).history();
        let mut reads = history.calls.iter_mut().filter(|call| matches!(call.request, Request::ReadProduct { .. }));
        let reply = reply_of(reads.nth(10).unwrap());
        // A unit that nobody has.
        for (name, more) in [("available_stock", 7), ("held_stock", -7)] {
            reply.body[name] = json!(reply.body[name].as_i64().unwrap() + more);
        }
        refused_by_both(history, &format!("seed {seed}"));
    }
}

#[test]
fn a_unit_that_two_buyers_hold_is_seen() {
    let mut truth = Truth::of_units(1);
    truth.hold(1);
    truth.available = 1;
    truth.hold(1);
    refused_by_both(truth.history(), "the last unit");
}

#[test]
fn an_answer_of_unknown_outcome_explains_what_others_see_and_no_more() {
    let history = |available: i64| {
        let mut truth = Truth::of_units(5);
        truth.hold(2);
        // Nobody got this answer.
        truth.calls.last_mut().unwrap().outcome = Outcome::Unknown("the connection broke".to_owned());
        truth.available = available;
        truth.held = 5 - available;
        truth.read();
        truth.history()
    };
    assert!(check(&history(3)).violations.is_empty(), "it was done");
    assert!(check(&history(5)).violations.is_empty(), "it was not done");
    refused_by_both(history(2), "more than it");
}

#[test]
fn a_hold_comes_late_where_its_service_was_stopped_with_it_and_not_otherwise() {
    let mut truth = Truth::of_units(5);
    truth.hold(2);
    truth.calls.last_mut().unwrap().outcome = Outcome::Unknown("no answer in time".to_owned());
    truth.now_us += 11_000_000;
    truth.read();
    let mut history = truth.history();
    assert!(!check(&history).violations.is_empty(), "nobody holds these units any more");
    let end_ns = history.calls.last().unwrap().start_ns;
    let name = "FailOver+StopService".to_owned();
    history.faults.push(FaultSpan { name, start_ns: 0, end_ns, lost_at_ns: vec![] });
    let verdict = check(&history);
    assert!(verdict.violations.is_empty(), "{:?}", verdict.violations.first().map(|first| &first.said));
}

#[test]
fn a_restock_that_is_asked_for_again_counts_where_the_answers_say_whatever_its_own_answer_looks_like() {
    let mut truth = Truth::of_units(21);
    let asked = [("a", 1), ("b", -1), ("c", -1)];
    for (key, delta) in asked {
        truth.restock(key, delta);
        truth.calls.last_mut().unwrap().outcome = Outcome::NotDone("store_full".to_owned());
    }
    truth.total = 21;
    for (key, delta) in asked {
        truth.restock(key, delta);
    }
    // The second came while the first was under way. By itself, its answer could be that of a repetition before it.
    let first_end_ns = truth.calls[3].end_ns;
    truth.calls[4].start_ns = first_end_ns - 10;
    let history = |truth: Truth| {
        let mut history = truth.history();
        history.offers[0].units = 21;
        without_sequences(history)
    };
    let mut lie = history(truth.clone());
    reply_of(&mut lie.calls[5]).body["total_stock"] = json!(19);
    assert_eq!(rules(&check(&lie)), ["windows"]);
    let verdict = check(&history(truth));
    assert!(verdict.violations.is_empty(), "{:?}", verdict.violations);
}

#[test]
fn a_place_that_does_not_fit_real_time_is_seen() {
    let mut truth = Truth::of_units(5);
    truth.hold(1);
    truth.hold(1);
    let mut history = truth.history();
    let swap =
        |history: &mut History, from: usize, to: Sequence| reply_of(&mut history.calls[from]).sequence = Some(to);
    let [first, second] = [0, 1].map(|n| reply_of(&mut history.calls[n]).sequence.unwrap());
    swap(&mut history, 0, second);
    swap(&mut history, 1, first);
    let verdict = check(&history);
    assert_eq!(rules(&verdict), ["order"]);
    assert_eq!(verdict.violations[0].calls, [0, 1]);
}

#[test]
fn a_payment_that_overlaps_the_refund_of_another_may_come_behind_it() {
    let event = |word: &'static str, payment: &str, order: &str| Request::Event {
        id: format!("event-{word}-{payment}"),
        word: word.into(),
        payment: Some(payment.to_owned()),
        target: Target::Order(order.to_owned()),
        amount: None,
    };
    let mut truth = Truth::of_units(5);
    truth.hold(1);
    let (hold, _) = truth.holds[0].clone();
    let order = "order_1";
    let says = |status: &str| json!({"outcome": "applied", "order": {"id": order, "hold_id": hold, "status": status}});
    let made = json!({"id": order, "hold_id": hold, "status": "pending", "payment_due_at": LATER});
    truth.push(Request::Order { hold: hold.clone() }, 201, made, true);
    truth.push(event("paid", "a", order), 200, says("paid"), true);
    truth.push(event("refunded", "a", order), 200, says("refunded"), true);
    truth.push(event("paid", "b", order), 200, says("paid"), true);
    // Both are under way at once, and tried in either order.
    truth.calls[4].start_ns = truth.calls[3].start_ns;
    truth.calls[3].end_ns = truth.calls[4].end_ns;
    (truth.held, truth.available) = (0, 4);
    truth.read();
    let Outcome::Answered(reply) = &mut truth.calls[5].outcome else { panic!() };
    reply.body["sold_stock"] = json!(1);
    let history = without_sequences(truth.history());
    let (searched, violation) = super::windows::check(&history, &super::roster::Roster::read(&history));
    assert!(violation.is_none() && searched.undecided == 0, "{violation:?}");
}

#[test]
fn a_replay_that_was_asked_for_before_the_hold_itself_is_no_second_hold() {
    let with_key = |truth: &mut Truth| {
        let Request::Hold { key, .. } = &mut truth.calls.last_mut().unwrap().request else { panic!() };
        *key = Some("k".to_owned());
    };
    let history = |is_replayed: bool| {
        let mut truth = Truth::of_units(5);
        truth.hold(1);
        with_key(&mut truth);
        let mut twin = truth.calls[0].clone();
        twin.start_ns -= 10_000;
        twin.end_ns += 10_000;
        let reply = reply_of(&mut twin);
        reply.is_replayed = is_replayed;
        reply.sequence = reply.sequence.map(|(write, ..)| (write, 1, 0));
        truth.calls.insert(0, twin);
        truth.history()
    };
    assert!(check(&history(true)).violations.is_empty(), "{:?}", check(&history(true)).violations);
    assert_eq!(check(&history(false)).violations[0].rule, "once");
}

#[test]
fn what_only_saw_a_write_comes_behind_all_that_was_written_with_it() {
    let mut truth = Truth::of_units(5);
    truth.hold(1);
    let (hold, _) = truth.holds[0].clone();
    truth.read();
    // The last of a batch, whose other places are those of refusals.
    let (released, read) = (1, 2);
    truth.release(0);
    truth.calls.swap(released, read);
    let late = json!({"code": "hold_expired"});
    truth.push(Request::ReadHold { hold }, 410, late, false);
    let mut history = truth.history();
    let write = reply_of(&mut history.calls[released]).sequence.unwrap().0;
    reply_of(&mut history.calls[released]).sequence = Some((write, 0, 7));
    for at in [released, read, 3] {
        history.calls[at].end_ns = history.calls[3].end_ns;
    }
    assert!(check(&history).violations.is_empty(), "{:?}", check(&history).violations);
    reply_of(&mut history.calls[3]).sequence = Some((write, 0, 3));
    assert_eq!(rules(&check(&history)), ["order"]);
}

#[test]
fn a_limit_that_was_exceeded_is_seen_and_so_is_a_refusal_below_it() {
    let as_customer = |truth: &mut Truth| {
        let Request::Hold { customer, .. } = &mut truth.calls.last_mut().unwrap().request else { panic!() };
        *customer = Some("ann".to_owned());
    };
    let limited = |truth: Truth| {
        let mut history = truth.history();
        history.offers[0].most = Some(2);
        check(&history)
    };
    let mut truth = Truth::of_units(9);
    truth.hold(2);
    as_customer(&mut truth);
    truth.hold(1);
    as_customer(&mut truth);
    assert_eq!(rules(&limited(truth)), ["order"]);
    let refused = |remaining: i64| {
        let mut truth = Truth::of_units(9);
        truth.hold(1);
        as_customer(&mut truth);
        let request = Request::Hold { key: None, lines: vec![(1, 2)], customer: Some("ann".to_owned()) };
        let body = json!({"code": "customer_limit_reached", "limit": "product", "product_id": 1, "most": 2, "remaining": remaining});
        truth.push(request, 409, body, false);
        limited(truth)
    };
    assert!(refused(1).violations.is_empty());
    assert_eq!(rules(&refused(0)), ["order"]);
}

#[test]
fn money_that_was_acknowledged_and_is_not_there_is_seen() {
    let history = |payments: Value| {
        let mut truth = Truth::of_units(5);
        let request = Request::Event {
            id: "e".to_owned(),
            word: "paid".into(),
            payment: Some("pi".to_owned()),
            target: Target::Order("order_x".to_owned()),
            amount: None,
        };
        truth.push(request, 200, json!({"outcome": "applied"}), true);
        let mut history = truth.history();
        history.end.orders.push(json!({"id": "order_x", "status": "refund_required", "payments": payments}));
        check(&history)
    };
    assert!(history(json!([{"payment_id": "pi", "captured": true}])).violations.is_empty());
    assert_eq!(rules(&history(json!([]))), ["money"]);
    assert_eq!(rules(&history(json!([{"payment_id": "pi", "captured": false}]))), ["money"]);
}

#[test]
fn a_name_with_two_effects_is_seen() {
    let two = |change: &dyn Fn(&mut Call, &mut Call)| {
        let mut truth = Truth::of_units(5);
        truth.hold(1);
        truth.hold(1);
        let mut history = truth.history();
        let (first, second) = history.calls.split_at_mut(1);
        change(&mut first[0], &mut second[0]);
        rules(&check(&history))
    };
    let key = |call: &mut Call| {
        let Request::Hold { key, .. } = &mut call.request else { panic!() };
        *key = Some("k".to_owned());
    };
    assert!(two(&|_, _| {}).is_empty());
    assert!(two(&|first, second| [first, second].into_iter().for_each(key)).contains(&"once"));
    let same_id = |first: &mut Call, second: &mut Call| {
        reply_of(second).body["id"] = reply_of(first).body["id"].clone();
    };
    assert!(two(&same_id).contains(&"once"));
}

#[test]
fn units_that_are_missing_or_twice_at_the_end_are_seen() {
    let end = |name: &str, value: i64| {
        let mut history = Truth::of_seed(1, 20).history();
        history.end.products.get_mut(&1).unwrap()[name] = json!(value);
        rules(&check(&history))
    };
    assert!(end("available_stock", 6).is_empty());
    for (name, value) in [("available_stock", 5), ("held_stock", 1), ("sold_stock", 1), ("total_stock", 7)] {
        assert_eq!(end(name, value), ["conservation"], "{name}");
    }
    let mut history = Truth::of_seed(1, 20).history();
    history.end.audit = json!({"ok": false});
    assert_eq!(rules(&check(&history)), ["audit"]);
}
