//! `flashsale review`: lists, shows and resolves reviews.

use clap::{Args, Subcommand};
use serde_json::json;

use super::{
    CommonArgs,
    arguments::filled,
    exit::Exit,
    list::read_list,
    print::print_note,
    service::{CommandError, ServiceArgs},
    table::{Column, Table, cell, money, sheet, short_minute, short_time},
};
use crate::{
    tools::client::{
        CallPath,
        api::{ApiCall, ApiClient},
    },
    wire::review::ReviewBody,
};

const REVIEWS: &str = "/api/admin/reviews";

const EXAMPLES: &str = "\
Examples:
  flashsale review list                               what waits for a person
  flashsale review show review_…                      what happened, and what to do
  flashsale review accept review_… --note \"tax was on top\"
  flashsale review refund review_… --note \"sent back by hand\"
  flashsale review dismiss review_… --note \"the buyer keeps the gift card\"

flashsale moves no money: refunds are made at your payment provider.

Exit status: 0 done; 1 the service refused; 2 nothing was done (bad flags, no service, no token), or the result is unknown.";

const LIST_EXAMPLES: &str = "\
Examples:
  flashsale review list
  flashsale review list --status resolved --sale drop-1
  flashsale review list --json | jq -r '.data[] | select(.reason == \"disputed\").id'

Money that names nothing of this service is in the sale p0: `flashsale review list --sale p0`.";

const SHOW_EXAMPLES: &str = "\
Examples:
  flashsale review show review_…
  flashsale payment show pi_…                         all reviews about one payment

An open review says in plain words what happened and what to do, and gives the commands for it.";

const ACCEPT_EXAMPLES: &str = "\
Examples:
  flashsale review accept review_… --note \"tax was on top\"
  flashsale review accept review_… --note \"restocked for this buyer\"

This money pays the order. An order that was over gets units again if there are any (else units_gone). Money that went \
back, and money for an order that other money pays, cannot be accepted (payment_not_acceptable).";

const REFUND_EXAMPLES: &str = "\
Example:
  flashsale review refund review_… --note \"wrong amount, sent back\"

This money goes back: the order becomes refund_required unless other money pays it, and its units are available again by \
the terms of its sale. flashsale moves no money: make the refund at your payment provider, whose event then closes the matter.";

const DISMISS_EXAMPLES: &str = "\
Example:
  flashsale review dismiss review_… --note \"a test payment\"

Nothing changes but the review, which is closed with the note.";

/// List, show and resolve reviews: money that a person must look at
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct ReviewArgs {
    #[command(subcommand)]
    command: ReviewCommand,
    #[command(flatten)]
    service: ServiceArgs,
}

#[derive(Subcommand)]
enum ReviewCommand {
    /// List reviews: those that wait for a person, or those that are resolved
    #[command(after_help = LIST_EXAMPLES)]
    List {
        /// Reviews with this status [default: open]
        #[arg(long, value_parser = ["open", "resolved"])]
        status: Option<String>,
        /// Only reviews of this sale
        #[arg(long, value_name = "ID", value_parser = filled)]
        sale: Option<String>,
    },
    /// Show one review: what happened, and what to do
    #[command(after_help = SHOW_EXAMPLES)]
    Show {
        /// Review id
        #[arg(value_parser = filled)]
        id: String,
    },
    /// Resolve a review: this money pays the order
    #[command(after_help = ACCEPT_EXAMPLES)]
    Accept(DecisionArgs),
    /// Resolve a review: this money goes back
    #[command(after_help = REFUND_EXAMPLES)]
    Refund(DecisionArgs),
    /// Resolve a review: nothing changes
    #[command(after_help = DISMISS_EXAMPLES)]
    Dismiss(DecisionArgs),
}

#[derive(Args)]
struct DecisionArgs {
    /// Review id
    #[arg(value_parser = filled)]
    id: String,
    /// Why, for whoever reads it later; 1 to 1000 characters
    #[arg(long, value_name = "TEXT", value_parser = filled)]
    note: String,
}

pub(super) fn run(common: &CommonArgs, args: &ReviewArgs) -> Exit {
    let service = &args.service;
    service.run(common, async |client| match &args.command {
        ReviewCommand::List { status, sale } => {
            let path = CallPath::of(REVIEWS).maybe("status", status.as_ref()).maybe("sale", sale.as_ref());
            list(client, service, path).await
        }
        ReviewCommand::Show { id } => service.show(&client.send(ApiCall::get(path(id))).await?, text),
        ReviewCommand::Accept(decision) => resolve(client, service, "accept", decision).await,
        ReviewCommand::Refund(decision) => resolve(client, service, "refund", decision).await,
        ReviewCommand::Dismiss(decision) => resolve(client, service, "dismiss", decision).await,
    })
}

fn path(id: &str) -> CallPath {
    CallPath::of(REVIEWS).segment(id)
}

async fn list(client: &mut ApiClient, service: &ServiceArgs, path: CallPath) -> Result<Exit, CommandError> {
    let reviews = read_list(client, "review", path, None).await?;
    service.show_list(reviews, |reviews: &[ReviewBody<'static>]| {
        if reviews.is_empty() {
            return "no reviews here".to_owned();
        }
        // Most money of a list did not go back.
        let are_refunded = reviews.iter().any(|review| review.refunded_amount.is_some());
        // What waits for a person has no action yet.
        let are_resolved = reviews.iter().any(|review| review.status == "resolved");
        let mut columns = vec![Column::Left("ID"), Column::Left("REASON"), Column::Right("AMOUNT")];
        columns.extend(are_refunded.then_some(Column::Right("REFUNDED")));
        columns.extend([Column::Right("EXPECTED"), Column::Left("OPENED")]);
        columns.extend(are_resolved.then_some(Column::Left("ACTION")));
        let mut table = Table::new(&columns);
        for review in reviews {
            let mut facts = vec![review.id.clone(), cell(&review.reason), captured(review)];
            facts.extend(are_refunded.then(|| cell(&review.refunded_amount)));
            facts.extend([expected(review), short_minute(&review.opened_at)]);
            facts.extend(are_resolved.then(|| cell(&review.action)));
            table.row(facts);
        }
        table.text()
    })
}

/// Resolves, and prints one line. What is left to do at the provider is said beside the result.
async fn resolve(
    client: &mut ApiClient,
    service: &ServiceArgs,
    action: &str,
    decision: &DecisionArgs,
) -> Result<Exit, CommandError> {
    let body = json!({"action": action, "note": decision.note});
    let call = ApiCall::post(path(&decision.id).segment("resolve"), &body);
    let reply = client.send(call).await?;
    if action == "refund" {
        print_note("flashsale moves no money: make the refund at your payment provider.");
    }
    service.show(&reply, title)
}

fn title(review: &ReviewBody<'_>) -> String {
    match (&*review.status, &review.action) {
        ("resolved", Some(action)) => format!("review {}: resolved, {}", review.id, cell(action)),
        ("resolved", None) => format!("review {}: resolved by a later event", review.id),
        (status, _) => format!("review {}: {}", review.id, cell(&status)),
    }
}

fn expected(review: &ReviewBody<'_>) -> String {
    money(review.expected_amount.as_deref(), review.expected_currency.as_deref())
}

fn captured(review: &ReviewBody<'_>) -> String {
    money(review.amount.as_deref(), review.currency.as_deref())
}

/// What happened to the money, and what a person can do. An order is paid by money that is accepted.
struct Explanation {
    happened: &'static str,
    to_do: &'static str,
    can_accept: bool,
}

fn explanation(reason: &str) -> Explanation {
    let of = |happened, to_do, can_accept| Explanation { happened, to_do, can_accept };
    match reason {
        "amount_mismatch" => of(
            "what was captured is not what the order costs",
            "compare both amounts: accept pays the order, refund ends it. Until the deadline the units stay with the buyer",
            true,
        ),
        "duplicate_payment" => of(
            "the order is paid, and this is a second payment for it",
            "refund it at the provider. The event of that refund closes the review",
            false,
        ),
        "refund_mismatch" => of(
            "a refund does not fit what is known of its payment",
            "compare currency and amount with what the provider says, then dismiss",
            false,
        ),
        "partial_refund" => of(
            "a part of the money went back, and the order stays paid",
            "if a part was meant, dismiss. If not, refund the rest at the provider, which closes the review",
            false,
        ),
        "refund_failed" => of(
            "a refund that was reported did not reach the buyer",
            "refund again at the provider, which closes the review. Or accept, and the money pays the order again",
            true,
        ),
        "disputed" => of(
            "the buyer's bank takes the money back unless the shop wins",
            "answer the dispute at the provider, and do not ship meanwhile. Winning closes the review",
            false,
        ),
        "dispute_lost" => of(
            "the shop lost the dispute, and the bank keeps the money",
            "if nothing was shipped, refund ends the order. Else dismiss",
            false,
        ),
        "hold_expired" => of(
            "the money came after the hold was gone, so nobody knows for which units",
            "refund it at the provider. The event of that refund closes the review",
            false,
        ),
        "units_gone" => of(
            "the money came too late, and the units are somebody else's",
            "refund it at the provider, which closes the review. Or restock, and accept",
            true,
        ),
        "order_cancelled" => of(
            "the money came after the order was cancelled",
            "refund it at the provider, which closes the review. Or accept, if there are units",
            true,
        ),
        "unmatched" => of(
            "the money names nothing that this service made",
            "find out whose it is. An event that names an order closes the review",
            false,
        ),
        _ => of("this program does not know this reason", "read about it in the documents of the service", true),
    }
}

/// What happened, the facts, and for an open review what to do.
pub(super) fn text(review: &ReviewBody<'_>) -> String {
    let explanation = explanation(&review.reason);
    let is_open = review.status == "open";
    let mut facts = vec![
        fact("reason", format!("{}: {}", review.reason, explanation.happened)),
        // Nothing is known of an unmatched payment but what the event says.
        fact(if review.reason == "unmatched" { "amount" } else { "captured" }, captured(review)),
        fact("expected", expected(review)),
        fact("event", format!("{}, {}", review.event, review.event_id)),
        fact("payment", cell(&review.payment_id)),
        fact("order", cell(&review.order_id)),
        fact("opened", short_time(Some(&review.opened_at))),
    ];
    let known = [
        ("refunded", review.refunded_amount.as_deref().map(|sum| money(Some(sum), review.currency.as_deref()))),
        ("stated", review.stated_amount.as_ref().map(cell)),
        ("named", review.reference.as_ref().map(cell)),
        ("customer", review.customer_id.as_ref().map(cell)),
        ("deadline", review.payment_due_at.as_deref().map(|at| short_time(Some(at)))),
        ("previous", review.previous_id.as_ref().map(cell)),
        ("resolved", review.resolved_at.as_deref().map(|at| short_time(Some(at)))),
        ("actor", review.actor.as_ref().map(cell)),
        ("action", review.action.as_ref().map(cell)),
        ("note", review.note.as_ref().map(cell)),
    ];
    facts.extend(known.into_iter().filter_map(|(name, text)| Some(fact(name, text?))));
    if is_open {
        facts.push(fact("", String::new()));
        let sentences = explanation.to_do.split(". ").enumerate();
        facts.extend(sentences.map(|(at, sentence)| fact(if at == 0 { "to do" } else { "" }, sentence.to_owned())));
        facts.push(fact("", String::new()));
        let actions = [("accept", explanation.can_accept), ("refund", review.order_id.is_some()), ("dismiss", true)];
        for (action, _) in actions.into_iter().filter(|(_, is_possible)| *is_possible) {
            facts.push(fact(action, format!("flashsale review {action} {} --note …", review.id)));
        }
    }
    sheet(&title(review), &facts)
}

fn fact(name: &str, text: String) -> (String, String) {
    (name.to_owned(), text)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn review(changes: &[(&str, Value)]) -> ReviewBody<'static> {
        let mut review = json!({"id": "review_p1_abcdefghij0123456m00", "status": "open", "reason": "amount_mismatch",
            "sale": "p1", "order_id": "order_p1_x", "reference": null, "event": "paid", "event_id": "evt_1",
            "payment_id": "pi_1", "amount": "49.00", "currency": "USD", "refunded_amount": null, "stated_amount": null,
            "expected_amount": "50.00", "expected_currency": "USD", "customer_id": "anna", "payment_due_at": "2026-11-28T09:00:00.000Z",
            "previous_id": null, "opened_at": "2026-11-27T09:00:00.000Z", "resolved_at": null, "action": null,
            "note": null});
        for (name, value) in changes {
            review[*name] = value.clone();
        }
        serde_json::from_value(review).unwrap()
    }

    #[test]
    fn an_open_review_is_printed_with_what_happened_and_what_to_do() {
        let expected = "\
review review_p1_abcdefghij0123456m00: open

  reason    amount_mismatch: what was captured is not what the order costs
  captured  49.00 USD
  expected  50.00 USD
  event     paid, evt_1
  payment   pi_1
  order     order_p1_x
  opened    2026-11-27 09:00Z
  customer  anna
  deadline  2026-11-28 09:00Z

  to do     compare both amounts: accept pays the order, refund ends it
            Until the deadline the units stay with the buyer

  accept    flashsale review accept review_p1_abcdefghij0123456m00 --note …
  refund    flashsale review refund review_p1_abcdefghij0123456m00 --note …
  dismiss   flashsale review dismiss review_p1_abcdefghij0123456m00 --note …";
        assert_eq!(text(&review(&[])), expected);
    }

    #[test]
    fn a_resolved_review_says_who_decided_what_and_offers_nothing() {
        let at = ("resolved_at", json!("2026-11-27T10:00:00.000Z"));
        let by_person = text(&review(&[
            ("status", "resolved".into()),
            at.clone(),
            ("action", "refund".into()),
            ("note", "two\nlines".into()),
            ("previous_id", "review_p1_before".into()),
            ("stated_amount", "1,234.00".into()),
            ("refunded_amount", "9.00".into()),
        ]));
        assert!(by_person.starts_with("review review_p1_abcdefghij0123456m00: resolved, refund\n"), "{by_person}");
        for line in ["action    refund", "note      two lines", "previous  review_p1_before", "stated    1,234.00"] {
            assert!(by_person.contains(&format!("\n  {line}")), "{line} in {by_person}");
        }
        assert!(by_person.contains("  refunded  9.00 USD\n") && !by_person.contains("to do"), "{by_person}");
        let by_event = title(&review(&[("status", "resolved".into()), at]));
        assert_eq!(by_event, "review review_p1_abcdefghij0123456m00: resolved by a later event");
    }

    #[test]
    fn every_reason_has_its_own_words_and_money_of_nobody_pays_no_order() {
        use crate::domain::review::ReviewReason;
        let unknown = explanation("a later one").happened;
        for reason in ReviewReason::ALL {
            assert_ne!(explanation(reason.as_str()).happened, unknown, "{reason:?}");
        }
        let nobody =
            text(&review(&[("reason", "unmatched".into()), ("order_id", Value::Null), ("reference", "x".into())]));
        assert!(nobody.contains("\n  named     x\n") && nobody.contains("review dismiss"), "{nobody}");
        assert!(!nobody.contains("review accept") && !nobody.contains("review refund"), "{nobody}");
    }
}
