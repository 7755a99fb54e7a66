//! All events of Stripe that the table knows, in the shapes of four API versions, signed by Stripe's own library.

use std::collections::BTreeSet;

use flashsale::webhook::stripe;
use serde_json::{Value, json};

use super::{Reviews, documented, known, libraries, open_reviews, run, shop, signed_as};
use crate::support::app::TestApp;

/// When the first event of a story was made. Each later one was made a second later, whenever it comes.
const MADE: u64 = 1_764_000_000;

/// Events of one order, each with the shape of its object, and what the order must be afterwards.
struct Story {
    events: &'static [(&'static str, &'static str)],
    end: &'static str,
    /// What it must be where the shapes are those of a version before this one.
    before: Option<(&'static str, &'static str)>,
}

const fn story(events: &'static [(&'static str, &'static str)], end: &'static str) -> Story {
    Story { events, end, before: None }
}

const PAID: (&str, &str) = ("payment_intent.succeeded", "intent succeeded");

const STORIES: [Story; 37] = [
    story(
        &[
            ("payment_intent.created", "intent requires_payment_method"),
            ("payment_intent.requires_action", "intent requires_action"),
            ("payment_intent.processing", "intent processing"),
            ("charge.pending", "charge"),
            PAID,
            ("charge.succeeded", "charge"),
            ("charge.updated", "charge"),
            ("checkout.session.completed", "session"),
        ],
        "paid: pi, captured 50.00",
    ),
    story(&[("payment_intent.succeeded", "intent charge expanded")], "paid: pi, captured 50.00"),
    story(&[("checkout.session.completed", "session intent expanded")], "paid: pi, captured 50.00"),
    story(&[("checkout.session.completed", "session taxed")], "paid: pi, captured 59.50"),
    Story {
        events: &[("checkout.session.completed", "session converted")],
        end: "paid: pi, captured 50.00",
        before: Some(("2025-03-31.basil", "paid: pi, captured 46.00 EUR")),
    },
    Story {
        events: &[("checkout.session.completed", "session converted"), ("refund.created", "refund converted")],
        end: "refunded: pi, captured 50.00, refunded 50.00",
        before: Some(("2025-03-31.basil", "refunded: pi, captured 46.00 EUR, refunded 46.00 EUR")),
    },
    Story {
        events: &[("checkout.session.completed", "session converted"), ("charge.refunded", "charge converted")],
        end: "refunded: pi, captured 50.00, refunded 50.00",
        before: Some(("2025-03-31.basil", "refunded: pi, captured 46.00 EUR, refunded 46.00 EUR")),
    },
    story(
        &[("checkout.session.completed", "session unpaid"), ("checkout.session.async_payment_succeeded", "session")],
        "paid: pi, captured 50.00",
    ),
    story(
        &[
            ("checkout.session.completed", "session unpaid"),
            ("payment_intent.processing", "intent processing"),
            ("checkout.session.async_payment_failed", "session unpaid"),
            ("payment_intent.payment_failed", "intent requires_payment_method"),
        ],
        "pending: pi, in flight, declined",
    ),
    story(&[("checkout.session.completed", "session free")], "pending: "),
    Story {
        events: &[("checkout.session.expired", "session expired")],
        end: "pending: cs, ended",
        before: Some(("2022-11-15", "pending: pi, ended")),
    },
    story(
        &[("charge.failed", "charge failed"), ("payment_intent.payment_failed", "intent requires_payment_method")],
        "pending: pi, declined",
    ),
    story(&[("payment_intent.partially_funded", "intent requires_action")], "pending: pi, in flight"),
    story(&[("payment_intent.canceled", "intent canceled")], "pending: pi, ended"),
    story(
        &[
            ("charge.succeeded", "charge uncaptured"),
            ("payment_intent.amount_capturable_updated", "intent authorised"),
            ("charge.captured", "charge"),
            PAID,
        ],
        "paid: pi, captured 50.00",
    ),
    // Stripe calls it a refund when a reserved amount is released.
    story(
        &[
            ("payment_intent.amount_capturable_updated", "intent authorised"),
            ("charge.refunded", "charge released"),
            ("charge.expired", "charge released"),
            ("payment_intent.canceled", "intent canceled"),
        ],
        "pending: pi, ended",
    ),
    story(
        &[
            PAID,
            ("refund.created", "refund pending"),
            ("charge.refunded", "charge whole"),
            ("charge.refund.updated", "refund"),
            ("refund.updated", "refund"),
        ],
        "refunded: pi, captured 50.00, refunded 50.00",
    ),
    story(&[PAID, ("charge.refunded", "charge intent expanded")], "refunded: pi, captured 50.00, refunded 50.00"),
    story(&[PAID, ("refund.created", "refund expanded")], "refunded: pi, captured 50.00, refunded 50.00"),
    story(
        &[PAID, ("charge.refunded", "charge part"), ("refund.created", "refund part")],
        "paid: pi, captured 50.00, refunded 10.00; review partial_refund",
    ),
    story(
        &[
            PAID,
            ("refund.created", "refund"),
            ("charge.refunded", "charge whole"),
            ("refund.updated", "refund failed"),
            ("refund.failed", "refund failed"),
            ("charge.refund.updated", "refund failed"),
        ],
        "refund_required: pi, captured 50.00; review refund_failed",
    ),
    story(
        &[PAID, ("refund.created", "refund requires_action"), ("refund.updated", "refund canceled")],
        "refund_required: pi, captured 50.00; review refund_failed",
    ),
    story(
        &[
            PAID,
            ("charge.dispute.created", "dispute"),
            ("charge.dispute.funds_withdrawn", "dispute"),
            ("charge.dispute.updated", "dispute under_review"),
        ],
        "paid: pi, captured 50.00, dispute open; review disputed",
    ),
    story(
        &[
            PAID,
            ("charge.dispute.created", "dispute expanded"),
            ("charge.dispute.funds_withdrawn", "dispute"),
            ("charge.dispute.closed", "dispute won"),
            ("charge.dispute.funds_reinstated", "dispute won"),
        ],
        "paid: pi, captured 50.00, dispute won",
    ),
    story(
        &[PAID, ("charge.dispute.created", "dispute"), ("charge.dispute.closed", "dispute lost")],
        "paid: pi, captured 50.00, dispute lost; review dispute_lost",
    ),
    story(
        &[
            PAID,
            ("charge.dispute.created", "dispute warning_needs_response"),
            ("charge.dispute.closed", "dispute warning_closed"),
        ],
        "paid: pi, captured 50.00, dispute won",
    ),
    story(
        &[PAID, ("charge.dispute.created", "dispute"), ("charge.dispute.closed", "dispute prevented")],
        "paid: pi, captured 50.00, dispute won",
    ),
    story(
        &[PAID, ("charge.refunded", "charge whole"), ("charge.dispute.created", "dispute")],
        "refunded: pi, captured 50.00, refunded 50.00, dispute open; review disputed",
    ),
    story(
        &[("payment_intent.payment_failed", "intent requires_payment_method"), PAID],
        "paid: pi, captured 50.00, declined",
    ),
    // The old Charges API: no intent.
    story(&[("charge.pending", "charge legacy"), ("charge.succeeded", "charge legacy")], "paid: ch, captured 50.00"),
    story(&[("charge.pending", "charge legacy")], "pending: ch, in flight"),
    story(
        &[("charge.succeeded", "charge legacy"), ("charge.refunded", "charge legacy refunded")],
        "refunded: ch, captured 50.00, refunded 50.00",
    ),
    story(
        &[("charge.succeeded", "charge legacy"), ("refund.created", "refund of charge")],
        "refunded: ch, captured 50.00, refunded 50.00",
    ),
    story(&[("charge.failed", "charge legacy failed")], "pending: ch, declined"),
    story(
        &[("charge.succeeded", "charge legacy uncaptured"), ("charge.expired", "charge legacy uncaptured")],
        "pending: ch, ended",
    ),
    story(
        &[("charge.succeeded", "charge legacy uncaptured"), ("charge.captured", "charge legacy")],
        "paid: ch, captured 50.00",
    ),
    story(
        &[("charge.succeeded", "charge legacy uncaptured"), ("charge.captured", "charge legacy part")],
        "in_review: ch, captured 40.00; review amount_mismatch",
    ),
];

/// The order in which the events of a story come.
#[derive(Clone, Copy, Debug)]
enum Coming {
    EachTwice,
    InReverseAndAgain,
}

impl Coming {
    const ALL: [Self; 2] = [Self::EachTwice, Self::InReverseAndAgain];

    fn of(self, events: usize) -> Vec<usize> {
        match self {
            Self::EachTwice => (0..2 * events).map(|at| at / 2).collect(),
            Self::InReverseAndAgain => (0..events).rev().chain((0..events).rev()).collect(),
        }
    }
}

/// What the sender needs to write, sign and send the events of one order.
struct Sender {
    app: TestApp,
    versions: Vec<String>,
    jobs: Vec<Value>,
    orders: usize,
}

impl Sender {
    async fn new() -> (Self, BTreeSet<String>) {
        let library = run(&json!({"send": [], "check": []}));
        let words = |name: &str| library[name].as_array().unwrap().iter().map(|word| word.as_str().unwrap().to_owned());
        let sender = Self { app: shop().await, versions: words("versions").collect(), jobs: Vec::new(), orders: 0 };
        (sender, words("types").collect())
    }

    /// Number and id of a new order.
    async fn order(&mut self) -> (usize, String) {
        self.orders += 1;
        (self.orders, self.app.ordered().await)
    }

    /// Adds an event of an order. Each time that it is sent it has other bytes.
    fn add(&mut self, (number, order): &(usize, String), version: &str, at: usize, (kind, shape): (&str, &str)) {
        let url = format!("http://{}{}", self.app.addr, stripe::PROVIDER.path);
        let count = self.jobs.len();
        self.jobs.push(signed_as(count, json!({
            "library": "stripe", "url": url, "spelling": count, "version": version, "id": format!("evt_{number}_{at}"),
            "number": number, "order": order, "created": MADE + at as u64, "type": kind, "shape": shape,
        })));
    }

    /// Sends all events. None is refused.
    fn send(&self) {
        let came = run(&json!({"send": self.jobs, "check": []}));
        let came = came["send"].as_array().unwrap();
        assert_eq!(came.len(), self.jobs.len());
        for (job, came) in self.jobs.iter().zip(came) {
            assert_eq!(came[0], 200, "{came} {job}");
        }
    }

    /// What the service knows of an order, and the reasons of the open reviews about its payment.
    async fn known(&self, reviews: &Reviews, (number, order): &(usize, String)) -> String {
        let ids = ids(*number);
        let reasons = ids.iter().flat_map(|id| reviews.get(id).into_iter().flatten());
        let reasons = reasons.map(|reason| format!("; review {reason}"));
        known(&self.app, order).await + &reasons.collect::<String>()
    }
}

/// The ids under which money of an order may be known.
fn ids(number: usize) -> [String; 5] {
    ["pi", "ch", "cs", "re", "dp"].map(|prefix| format!("{prefix}_{number}"))
}

fn table() -> Vec<(Vec<String>, String)> {
    documented("| Stripe's event | counts as |", 1)
}

#[tokio::test]
async fn every_event_of_stripe_in_every_shape_has_its_effect_once_in_whatever_order_it_comes() {
    if libraries().is_none() {
        return;
    }
    let (mut sender, _) = Sender::new().await;
    let mut expected = Vec::new();
    for version in sender.versions.clone() {
        for Story { events, end, before } in STORIES {
            let end =
                before.filter(|(since, _)| is_before(&sender.versions, &version, since)).map_or(end, |(_, end)| end);
            for coming in Coming::ALL {
                let order = sender.order().await;
                for at in coming.of(events.len()) {
                    sender.add(&order, &version, at, events[at]);
                }
                expected.push((order, end, format!("{version}, {coming:?}: {events:?}")));
            }
        }
    }
    sender.send();
    let reviews = open_reviews(&sender.app).await;
    let mut wrong = Vec::new();
    for (order, end, what) in &expected {
        let known = sender.known(&reviews, order).await;
        if known != *end {
            wrong.push(format!("{what}\n    must be {end:?}\n    and is  {known:?}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {}\n{}", wrong.len(), expected.len(), wrong.join("\n"));
    println!("{} events of {} orders in the shapes of {:?}", sender.jobs.len(), sender.orders, sender.versions);
}

fn is_before(versions: &[String], version: &str, since: &str) -> bool {
    let at = |version: &str| versions.iter().position(|other| other == version).expect("a version of the sender");
    at(version) < at(since)
}

/// Shapes with which the events of the table that are about money are about none.
const NO_MONEY: [&str; 3] = ["session free", "session unpaid", "charge legacy uncaptured"];

/// Each event and shape of the stories that is about money.
fn about_money() -> BTreeSet<(&'static str, &'static str)> {
    let table = table();
    let is_about_money = |(kind, shape): &(&str, &str)| {
        let (_, meaning) = table.iter().find(|(kinds, _)| kinds.iter().any(|other| other == kind)).expect("a row");
        let meaning = match meaning.split_once("without a payment intent: ") {
            Some((_, meaning)) if shape.contains("legacy") => meaning,
            Some(_) => return false,
            None => meaning,
        };
        let moves = ["`paid`", "`refunded`", "`disputed`"].iter().any(|status| meaning.starts_with(status));
        moves && !NO_MONEY.contains(shape)
    };
    STORIES.iter().flat_map(|story| story.events).copied().filter(is_about_money).collect()
}

#[tokio::test]
async fn no_money_is_forgotten_that_names_nothing_of_ours() {
    if libraries().is_none() {
        return;
    }
    let (mut sender, _) = Sender::new().await;
    let events = about_money();
    let mut orders = Vec::new();
    for version in sender.versions.clone() {
        for (at, event) in events.iter().enumerate() {
            let order = (orders.len() + 1, ["", "A-17"][at % 2].to_owned());
            sender.add(&order, &version, 0, *event);
            orders.push((order, *event, version.clone()));
        }
    }
    // A thin event has no version.
    for event in &events {
        let order = (orders.len() + 1, String::new());
        sender.add(&order, &sender.versions[0].clone(), 0, *event);
        sender.jobs.last_mut().unwrap()["thin"] = json!(true);
        orders.push((order, *event, "thin".to_owned()));
    }
    sender.send();
    let reviews = open_reviews(&sender.app).await;
    for ((number, _), event, version) in &orders {
        let reasons = ids(*number).iter().find_map(|id| reviews.get(id));
        let is_kept = reasons.is_some_and(|reasons| reasons.iter().eq(["unmatched"]));
        assert!(is_kept, "{version}: {event:?} {reasons:?}");
    }
    println!("{} events about money, each with a review", orders.len());
}

/// Both kinds of events come where a shop moves from one to the other.
#[tokio::test]
async fn a_thin_event_leaves_nothing_open_where_the_event_with_the_object_comes_too() {
    if libraries().is_none() {
        return;
    }
    let (mut sender, _) = Sender::new().await;
    let mut orders = Vec::new();
    for is_thin_first in [true, false] {
        let order = sender.order().await;
        for at in [0, 1] {
            sender.add(&order, &sender.versions[3].clone(), at, PAID);
            sender.jobs.last_mut().unwrap()["thin"] = json!(is_thin_first == (at == 0));
        }
        for (at, event) in
            [("payment_intent.payment_failed", "intent processing"), ("payment_intent.created", "intent processing")]
                .into_iter()
                .enumerate()
        {
            sender.add(&order, &sender.versions[3].clone(), 2 + at, event);
            sender.jobs.last_mut().unwrap()["thin"] = json!(true);
        }
        orders.push(order);
    }
    sender.send();
    let reviews = open_reviews(&sender.app).await;
    for order in &orders {
        assert_eq!(sender.known(&reviews, order).await, "paid: pi, captured 50.00");
    }
}

/// The types of the table come from the document, so that a new row without a story fails here.
#[tokio::test]
async fn every_type_of_the_table_is_in_a_story_and_the_library_knows_no_other_about_payments() {
    if libraries().is_none() {
        return;
    }
    let (_, library) = Sender::new().await;
    let table: BTreeSet<String> = table().into_iter().flat_map(|(kinds, _)| kinds).collect();
    let sent = STORIES.iter().flat_map(|story| story.events).map(|(kind, _)| (*kind).to_owned());
    assert_eq!(sent.collect::<BTreeSet<_>>(), table);
    let about_payments = ["payment_intent.", "checkout.session.", "charge.", "refund."];
    let of_library = library.into_iter().filter(|kind| about_payments.iter().any(|prefix| kind.starts_with(prefix)));
    assert_eq!(of_library.collect::<BTreeSet<_>>(), table);
}
