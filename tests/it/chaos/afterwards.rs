//! What is done when all is healed: whatever has no answer is asked for again, everything lapses, and the end is read.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use futures_util::{StreamExt, stream};
use reqwest::Method;
use serde_json::Value;

use super::{
    client::Recorder,
    history::{Call, End, Offer, Outcome, Request},
};

/// Who asks afterwards.
pub const CLERK: usize = 99;
/// Requests of the clerk at the same time.
const AT_ONCE: usize = 6;
/// Longer than any hold or order of the run lives.
const LAPSED: Duration = Duration::from_secs(30);

/// Asks for everything whose outcome is unknown, until there is an answer.
pub async fn ask_again(recorder: &Recorder) {
    let open = unanswered(&recorder.calls.borrow());
    insist_on_all(recorder, open).await;
    let (holds, orders) = doubtful(&recorder.calls.borrow());
    insist_on_all(recorder, holds.into_iter().map(|hold| Request::ReadHold { hold })).await;
    insist_on_all(recorder, orders.into_iter().map(|order| Request::ReadOrder { order })).await;
}

async fn insist_on_all(recorder: &Recorder, all: impl IntoIterator<Item = Request>) {
    stream::iter(all).map(|request| insist(recorder, request)).buffer_unordered(AT_ONCE).collect::<()>().await;
}

/// The requests that nobody has an answer to, once each. What cannot be sent again without another effect is looked at instead.
fn unanswered(calls: &[Call]) -> Vec<Request> {
    let mut open: Vec<Request> = Vec::new();
    for call in calls {
        let asked = &call.request;
        let may_repeat = match asked {
            Request::Hold { key, .. } => key.is_some(),
            Request::Event { .. } | Request::Restock { .. } | Request::Order { .. } => true,
            _ => false,
        };
        if may_repeat && call.reply().is_none() && !open.contains(asked) {
            open.push(asked.clone());
        }
    }
    open.retain(|asked| !calls.iter().any(|call| call.request == *asked && decides(call)));
    open
}

/// Whether an answer says what came of the request. A restock that was refused is not remembered: where one try of it has no
/// answer, it may still take effect after the refusal of another try.
fn decides(call: &Call) -> bool {
    let is_restock = matches!(call.request, Request::Restock { .. });
    call.reply().is_some_and(|reply| !is_restock || reply.status < 300)
}

/// Holds and orders to which something was done that nobody has an answer to.
fn doubtful(calls: &[Call]) -> (BTreeSet<String>, BTreeSet<String>) {
    let (mut holds, mut orders) = (BTreeSet::new(), BTreeSet::new());
    for call in calls.iter().filter(|call| call.is_unknown()) {
        match &call.request {
            Request::Release { hold } | Request::Extend { hold, .. } | Request::Order { hold } => {
                holds.insert(hold.clone())
            }
            Request::Cancel { order } | Request::StartPayment { order } => orders.insert(order.clone()),
            _ => false,
        };
    }
    (holds, orders)
}

async fn insist(recorder: &Recorder, request: Request) {
    let started = Instant::now();
    for service in 0.. {
        let call = recorder.send(CLERK, service, request.clone()).await;
        if matches!(call.outcome, Outcome::Answered(_)) {
            return;
        }
        assert!(started.elapsed() < Duration::from_mins(1), "no answer after all was healed: {call}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Waits until all holds and orders have lapsed that nobody paid, and reads what is left.
pub async fn read_end(recorder: &Recorder, offers: &[Offer]) -> End {
    let mut end = End::default();
    let started = Instant::now();
    for offer in offers {
        loop {
            insist(recorder, Request::ReadProduct { product: offer.product }).await;
            let body = recorder.calls.borrow().last().and_then(|call| call.reply().map(|reply| reply.body.clone()));
            let body = body.unwrap_or_default();
            let is_at_rest = body["held_stock"] == 0 && body["pending_stock"] == 0;
            if is_at_rest || started.elapsed() > LAPSED {
                end.products.insert(offer.product, body);
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    end.orders = all_pages(recorder, "/api/admin/orders?limit=100", "cursor").await;
    let events = all_pages(recorder, "/api/admin/events?limit=1000&types=order.*", "after").await;
    let event = |event: &Value| {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        (text(&event["type"]), text(&event["order"]["id"]))
    };
    end.events = events.iter().map(event).collect();
    end.audit = get(recorder, "/api/admin/audit").await;
    end
}

async fn get(recorder: &Recorder, path: &str) -> Value {
    let started = Instant::now();
    loop {
        let answer = recorder.admin(Method::GET, path, None).await;
        if let Some((200, body)) = answer {
            return body;
        }
        assert!(started.elapsed() < Duration::from_mins(1), "{path}: {answer:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn all_pages(recorder: &Recorder, path: &str, cursor: &str) -> Vec<Value> {
    let (mut all, mut next) = (Vec::new(), String::new());
    loop {
        let mut page = get(recorder, &format!("{path}&{cursor}={next}")).await;
        let more = page["data"].as_array_mut().map(std::mem::take).unwrap_or_default();
        let is_last = page["next_cursor"].is_null() || page["more"] == false;
        all.extend(more);
        if is_last {
            return all;
        }
        page["next_cursor"].as_str().unwrap_or_default().clone_into(&mut next);
    }
}

/// How often each outcome came.
pub fn tally(calls: &[Call]) -> BTreeMap<String, usize> {
    let mut tally = BTreeMap::new();
    for call in calls {
        let word = match &call.outcome {
            Outcome::Answered(reply) if reply.status < 300 => "done".to_owned(),
            Outcome::Answered(reply) => reply.code.clone(),
            Outcome::NotDone(_) => "not done".to_owned(),
            Outcome::Unknown(_) => "unknown".to_owned(),
        };
        *tally.entry(word).or_default() += 1;
    }
    tally
}
