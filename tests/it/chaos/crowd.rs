//! Buyers, a payment provider and an admin, who ask several services for random things, over and over.

use std::{
    cell::{Cell, RefCell},
    time::Duration,
};

use futures_util::future::join_all;

use super::{
    client::Recorder,
    dice::Dice,
    history::{Call, Offer, Request, Target},
};

pub const CLIENTS: usize = 12;
const CUSTOMERS: u64 = 8;
/// What is older has ended.
const RECENT: usize = 24;

/// What the crowd knows by now. All of its members share it, as browsers, servers and providers do.
#[derive(Default)]
struct Seen {
    holds: Vec<String>,
    /// Orders and what they cost.
    orders: Vec<(String, String)>,
    /// Everything that may be sent again as it is.
    repeatable: Vec<Request>,
    /// Payments of orders, with their orders.
    payments: Vec<(String, Target)>,
}

pub struct Crowd<'a> {
    recorder: &'a Recorder,
    offers: &'a [Offer],
    seen: RefCell<Seen>,
    number: Cell<u64>,
    stop: &'a dyn Fn() -> bool,
}

impl<'a> Crowd<'a> {
    /// Asks until `stop` says so.
    pub async fn run(recorder: &'a Recorder, offers: &'a [Offer], seed: u64, stop: &'a dyn Fn() -> bool) {
        let crowd = Self { recorder, offers, seen: RefCell::default(), number: Cell::new(0), stop };
        join_all((0..CLIENTS).map(|client| crowd.shop(client, Dice::of_part(seed, client as u64 + 1)))).await;
    }

    async fn shop(&self, client: usize, mut dice: Dice) {
        while !(self.stop)() {
            let request = self.choose(&mut dice);
            let mut call = self.send(client, &mut dice, request.clone()).await;
            // Half of those who do not know what came of it ask again at once, of whatever service.
            for _ in 0..3 {
                if !call.is_unknown() || (self.stop)() || dice.percent(50) {
                    break;
                }
                call = self.send(client, &mut dice, request.clone()).await;
            }
            let pause = if call.reply().is_some() { 12 } else { 40 };
            tokio::time::sleep(Duration::from_millis(dice.between(1, pause))).await;
        }
    }

    async fn send(&self, client: usize, dice: &mut Dice, request: Request) -> Call {
        let service = dice.between(0, self.recorder.services());
        let call = self.recorder.send(client, service, request).await;
        self.note(&call);
        call
    }

    fn new_name(&self, kind: &str) -> String {
        self.number.set(self.number.get() + 1);
        format!("{kind}-{}", self.number.get())
    }

    fn choose(&self, dice: &mut Dice) -> Request {
        let seen = self.seen.borrow();
        let hold = dice.recent(&seen.holds, RECENT).cloned();
        let order = dice.recent(&seen.orders, RECENT).cloned();
        let chosen = match dice.between(0, 100) {
            0..8 => hold.map(|hold| Request::Release { hold }),
            8..12 => hold.map(|hold| Request::Extend { hold, seconds: 1 }),
            12..15 => hold.map(|hold| Request::ReadHold { hold }),
            15..31 => hold.map(|hold| Request::Order { hold }),
            31..36 => order.map(|(order, _)| Request::Cancel { order }),
            36..39 => order.map(|(order, _)| Request::StartPayment { order }),
            39..42 => order.map(|(order, _)| Request::ReadOrder { order }),
            42..58 => Some(self.event(dice, hold, order, &seen)).flatten(),
            58..64 => dice.recent(&seen.repeatable, RECENT).cloned(),
            64..72 => dice.one(self.offers).map(|offer| Request::ReadProduct { product: offer.product }),
            72..75 => dice.one(self.offers).map(|offer| {
                let delta = if dice.percent(25) { -1 } else { i64::try_from(dice.between(1, 4)).unwrap() };
                Request::Restock { product: offer.product, delta, key: self.new_name("restock") }
            }),
            _ => None,
        };
        chosen.unwrap_or_else(|| self.hold(dice))
    }

    fn hold(&self, dice: &mut Dice) -> Request {
        let first = dice.one(self.offers).unwrap();
        let mut units = || i64::try_from(if dice.percent(70) { 1 } else { dice.between(1, 4) }).unwrap();
        let mut lines = vec![(first.product, units())];
        let others: Vec<_> =
            self.offers.iter().filter(|other| other.sale == first.sale && other.product != first.product).collect();
        let more = units();
        if dice.percent(25)
            && let Some(second) = dice.one(&others)
        {
            lines.push((second.product, more));
        }
        // Where a limit counts, nobody may be nameless, and some are.
        let customer = dice.percent(90).then(|| format!("customer-{}", dice.between(0, CUSTOMERS)));
        let key = dice.percent(60).then(|| self.new_name("key"));
        Request::Hold { key, lines, customer }
    }

    fn event(
        &self,
        dice: &mut Dice,
        hold: Option<String>,
        order: Option<(String, String)>,
        seen: &Seen,
    ) -> Option<Request> {
        let id = self.new_name("event");
        let (order, total) = order?;
        let ordered = Target::Order(order);
        let event = |word: &'static str, payment, target, amount| {
            Some(Request::Event { id, word: word.into(), payment, target, amount })
        };
        let payment = self.new_name("payment");
        match dice.between(0, 100) {
            0..52 => event("paid", Some(payment), ordered, Some(total)),
            // Too little: a person must look.
            52..56 => event("paid", Some(payment), ordered, Some("0.01".to_owned())),
            56..64 => event("paid", Some(payment), Target::Hold(hold?), None),
            64..70 => event("processing", Some(payment), ordered, None),
            70..76 => event("failed", None, ordered, None),
            76..80 => event("failed", Some(payment), ordered, None),
            _ => {
                let (payment, target) = dice.recent(&seen.payments, RECENT)?.clone();
                event("refunded", Some(payment), target, None)
            }
        }
    }

    fn note(&self, call: &Call) {
        let mut seen = self.seen.borrow_mut();
        let ok = call.reply().filter(|reply| (200..300).contains(&reply.status));
        match &call.request {
            Request::Hold { key, .. } => {
                seen.holds.extend(ok.filter(|reply| !reply.is_replayed).map(|reply| reply.text("id").to_owned()));
                if key.is_some() {
                    seen.repeatable.push(call.request.clone());
                }
            }
            Request::Order { .. } => seen.orders.extend(
                ok.filter(|reply| reply.status == 201)
                    .map(|reply| (reply.text("id").to_owned(), reply.text("total_amount").to_owned())),
            ),
            Request::Event { word, payment, target, .. } => {
                seen.repeatable.push(call.request.clone());
                if let ("paid", Some(payment)) = (&**word, payment) {
                    seen.payments.push((payment.clone(), target.clone()));
                }
            }
            Request::Restock { .. } => seen.repeatable.push(call.request.clone()),
            _ => {}
        }
    }
}
