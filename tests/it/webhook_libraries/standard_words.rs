//! All words of our own webhook, spelled as senders spell them, signed by the library of Standard Webhooks.

use flashsale::webhook::standard;
use serde_json::{Value, json};

use super::{SECRETS, documented, known, libraries, open_reviews, run, shop, signed_as};

const MADE: u64 = 1_764_000_000;
const AMOUNTS: usize = 7;

/// What comes before an event with one of the words of a status, and what the order must be afterwards.
fn story(status: &str) -> (&'static [&'static str], &'static str) {
    match status {
        "paid" => (&["processing"], "paid: pay, captured 50.00"),
        "processing" => (&[], "pending: pay, in flight"),
        "failed" => (&[], "pending: pay, declined"),
        "cancelled" => (&[], "pending: pay, ended"),
        "refunded" => (&["paid"], "refunded: pay, captured 50.00, refunded 50.00"),
        "refund_failed" => (&["paid", "refunded"], "refund_required: pay, captured 50.00; review refund_failed"),
        "disputed" => (&["paid"], "paid: pay, captured 50.00, dispute open; review disputed"),
        "dispute_won" => (&["paid", "disputed"], "paid: pay, captured 50.00, dispute won"),
        "dispute_lost" => (&["paid", "disputed"], "paid: pay, captured 50.00, dispute lost; review dispute_lost"),
        other => panic!("a status without a story: {other}"),
    }
}

fn spelled(word: &str, at: usize) -> String {
    match at % 5 {
        0 => word.to_owned(),
        1 => word.to_uppercase(),
        2 => word.replace('_', "-"),
        3 => format!(" {}\n", word.replace('_', " ")),
        _ => format!("{}{}", word[..1].to_uppercase(), &word[1..]),
    }
}

/// The payload of an event, whose fields are spelled in one of many ways.
fn payload(word: &str, (number, order): (usize, &str), made: u64, at: usize) -> Value {
    let amounts: [Value; AMOUNTS] = [
        json!("50.00"),
        json!(50),
        json!(50.0),
        json!("5e1"),
        json!(" 50.0 "),
        json!(49.999_999_999_999_99),
        Value::Null,
    ];
    let amount = match &amounts[at % AMOUNTS] {
        // Without an amount nobody knows which part went back.
        Value::Null if word == "partially_refunded" => json!("50"),
        amount => amount.clone(),
    };
    let payment = [json!(format!("pay_{number}")), json!(format!(" pay_{number}\t"))][at % 2].clone();
    let sent = [
        json!(made),
        json!(made * 1_000),
        json!(jiff::Timestamp::from_second(made.cast_signed()).unwrap().to_string()),
    ];
    json!({
        "status": spelled(word, at), "order_id": order, "payment_id": payment, "amount": amount, "sent_at": sent[at % 3],
        "currency": (["USD", "usd", " Usd "][at % 3]), "metadata": {"cart": [at, null]},
    })
}

#[tokio::test]
async fn every_word_of_our_own_webhook_has_its_effect_however_it_is_spelled_and_signed() {
    if libraries().is_none() {
        return;
    }
    let app = shop().await;
    let mut jobs = Vec::new();
    let mut expected = Vec::new();
    for (words, _) in documented("| `payload.status` | or |", 2) {
        let (before, end) = story(&words[0]);
        for word in &words {
            for is_reversed in [false, true] {
                let (number, order) = (expected.len(), app.ordered().await);
                let events: Vec<&str> = before.iter().copied().chain([word.as_str()]).collect();
                let mut coming: Vec<usize> = (0..events.len()).flat_map(|event| [event, event]).collect();
                if is_reversed {
                    coming = (0..events.len()).rev().chain((0..events.len()).rev()).collect();
                }
                for event in coming {
                    let at = jobs.len();
                    // An event says the same each time, and other bytes say it.
                    let payload = payload(events[event], (number, &order), MADE + event as u64, number + event);
                    jobs.push(signed_as(
                        at,
                        json!({
                            "library": "standard", "url": format!("http://{}{}", app.addr, standard::PROVIDER.path),
                            "id": format!("msg_{number}_{event}"), "spelling": at, "payload": payload,
                        }),
                    ));
                }
                expected.push((order, end, format!("{word}, reversed: {is_reversed}")));
            }
        }
    }
    let came = run(&json!({"send": jobs, "check": []}));
    for (job, came) in jobs.iter().zip(came["send"].as_array().unwrap()) {
        assert_eq!(came[0], 200, "{came} {job}");
    }
    let reviews = open_reviews(&app).await;
    let mut wrong = Vec::new();
    for (number, (order, end, what)) in expected.iter().enumerate() {
        let reasons = reviews.get(&format!("pay_{number}")).into_iter().flatten();
        let known = known(&app, order).await + &reasons.map(|reason| format!("; review {reason}")).collect::<String>();
        if known != *end {
            wrong.push(format!("{what}\n    must be {end:?}\n    and is  {known:?}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {}\n{}", wrong.len(), expected.len(), wrong.join("\n"));
    println!("{} events of {} orders, signed with {} secrets", jobs.len(), expected.len(), SECRETS.len());
}

#[tokio::test]
async fn a_word_that_no_table_knows_is_answered_and_the_corrected_event_counts() {
    if libraries().is_none() {
        return;
    }
    let app = shop().await;
    let order = app.ordered().await;
    let job = |at: usize, word: &str| {
        let payload = payload(word, (1, &order), MADE, 0);
        let url = format!("http://{}{}", app.addr, standard::PROVIDER.path);
        signed_as(at, json!({"library": "standard", "url": url, "id": "msg_1", "spelling": at, "payload": payload}))
    };
    let jobs = [job(0, "payd"), job(1, "payd"), job(2, "paid"), job(3, "paid")];
    let came = run(&json!({"send": jobs, "check": []}));
    assert_eq!(came["send"], json!([[200, "ignored"], [200, "ignored"], [200, "applied"], [200, "duplicate"]]));
    assert_eq!(known(&app, &order).await, "paid: pay, captured 50.00");
}
