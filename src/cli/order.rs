//! `flashsale order`: lists, shows and cancels orders.

use clap::{Args, Subcommand};

use super::{
    CommonArgs,
    arguments::filled,
    exit::Exit,
    order_cancel::{self, CancelArgs},
    order_list::{self, ListArgs},
    service::ServiceArgs,
    table::{cell, money, sheet, short_time},
};
use crate::{
    tools::client::{CallPath, api::ApiCall},
    wire::{
        order::OrderRow,
        payment::{HeardEventBody, PaymentBody},
    },
};

pub(super) const ORDERS: &str = "/api/admin/orders";
/// The words of the wire for where an order stands.
pub(super) const STATUSES: [&str; 7] =
    ["pending", "in_review", "paid", "cancelled", "expired", "refund_required", "refunded"];

const EXAMPLES: &str = "\
Examples:
  flashsale order list --status refund_required       who gets money back
  flashsale order list --customer anna --since 1h     what somebody who calls has ordered
  flashsale order show order_…                        its lines, its payments, and what is known of each
  flashsale order cancel order_…                      the units are available again
  flashsale order cancel --sale drop-1 --pending      all that wait for their payment

Exit status: 0 done; 1 the service refused; 2 nothing was done (bad flags, no service, no token), or the result is unknown.";

const SHOW_EXAMPLES: &str = "\
Examples:
  flashsale order show order_…
  flashsale order show order_… --json | jq '.payments[]'

A payment shows what its events said, whatever the order made of it, and the first 20 events of the \
order as they came. What is not known is left out.";

/// List, show and cancel orders
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct OrderArgs {
    #[command(subcommand)]
    command: OrderCommand,
    #[command(flatten)]
    service: ServiceArgs,
}

#[derive(Subcommand)]
enum OrderCommand {
    /// List orders: all, or those of a sale, a customer, a product, a payment, a status or a time
    #[command(after_help = order_list::EXAMPLES)]
    List(ListArgs),
    /// Show one order with its lines and payments
    #[command(after_help = SHOW_EXAMPLES)]
    Show {
        /// Order id
        #[arg(value_parser = filled)]
        id: String,
    },
    /// Cancel an order that waits for its payment, or all of a sale that do
    #[command(after_help = order_cancel::EXAMPLES)]
    Cancel(CancelArgs),
}

pub(super) fn run(common: &CommonArgs, args: &OrderArgs) -> Exit {
    let service = &args.service;
    service.run(common, async |client| match &args.command {
        OrderCommand::List(filters) => order_list::run(client, service, filters).await,
        OrderCommand::Show { id } => service.show(&client.send(ApiCall::get(path(id))).await?, text),
        OrderCommand::Cancel(args) => order_cancel::run(client, service, args).await,
    })
}

pub(super) fn path(id: &str) -> CallPath {
    CallPath::of(ORDERS).segment(id)
}

/// The order, its lines, then a sheet for each payment.
pub(super) fn text(order: &OrderRow<'_>) -> String {
    let late = if order.late { ", late" } else { "" };
    // An order in review keeps its units until a person decides, and no longer than this.
    let due = if order.status == "in_review" { "decision due" } else { "payment due" };
    let mut facts = vec![
        fact("sale", cell(&order.sale)),
        fact("customer", cell(&order.customer_id)),
        fact("hold", cell(&order.hold_id)),
        fact("total", money(order.total_amount.as_deref(), order.currency.as_deref())),
        fact("created", short_time(Some(&order.created_at))),
        fact(due, short_time(Some(&order.payment_due_at))),
    ];
    let begun = order.payment_started_at.as_deref().map(|at| fact("payment started", short_time(Some(at))));
    let paid = order.paid_at.as_deref().map(|at| fact("paid", short_time(Some(at))));
    facts.extend(begun.into_iter().chain(paid));
    facts.extend(order.metadata.as_ref().map(|metadata| fact("metadata", cell(metadata))));
    let lines = order.items.iter().map(|item| {
        let price = money(Some(&item.unit_price), order.currency.as_deref());
        format!("{} of {} at {price}", item.quantity, item.product_name())
    });
    let lines = if order.items.is_empty() { vec!["not known any more".to_owned()] } else { lines.collect() };
    facts.extend(lines.into_iter().enumerate().map(|(at, line)| fact(if at == 0 { "items" } else { "" }, line)));
    facts.extend(heard("the shop said", &order.shop_events));
    let later = order.events_left_out;
    facts.extend((later > 0).then(|| fact("more events", format!("{later}, which came later and are not shown"))));
    let mut parts = vec![sheet(&format!("order {}: {}{late}", order.id, order.status), &facts)];
    // The order names its payment only where it has an id.
    let role = match &*order.status {
        "paid" => ": pays the order",
        "refunded" | "refund_required" if order.paid_at.is_some() => ": paid the order",
        _ => "",
    };
    parts.extend(
        order
            .payments
            .iter()
            .map(|payment| payment_text(payment, if payment.payment_id == order.payment_id { role } else { "" })),
    );
    parts.join("\n\n")
}

/// The facts of a payment that are known. What no event said is left out.
fn payment_text(payment: &PaymentBody<'_>, role: &str) -> String {
    let currency = payment.currency.as_deref();
    let mut facts = Vec::new();
    if payment.captured {
        let amount = payment.captured_amount.as_deref().map(|amount| money(Some(amount), currency));
        facts.push(fact("captured", amount.unwrap_or_else(|| "yes, and no event says how much".to_owned())));
    }
    if let Some(refunded) = &payment.refunded_amount {
        facts.push(fact("refunded", money(Some(refunded), currency)));
    }
    for (name, is_so, meaning) in [
        ("in flight", payment.in_flight, "yes: the money may still come"),
        ("declined", payment.declined, "yes: an attempt failed"),
        ("ended", payment.ended, "yes: nothing more is captured"),
    ] {
        facts.extend(is_so.then(|| fact(name, meaning.to_owned())));
    }
    facts.extend(payment.dispute.as_ref().map(|dispute| fact("dispute", cell(dispute))));
    for refund in &payment.refunds {
        let failed = if refund.failed { ", failed" } else { "" };
        let amount = money(Some(&refund.amount), currency);
        facts.push(fact("refund", format!("{amount}, {}{failed}", refund.refund_id)));
    }
    facts.extend(heard("heard", &payment.events));
    let name = payment.payment_id.as_deref().unwrap_or("without an id");
    sheet(&format!("payment {name}{role}"), &facts)
}

/// A line for each event, under one name.
fn heard(name: &str, events: &[HeardEventBody<'_>]) -> Vec<(String, String)> {
    let line = |(at, event): (usize, &HeardEventBody<'_>)| {
        let again = if event.repeats { ", nothing new" } else { "" };
        let text = format!("{} {}, {}{again}", short_time(Some(&event.received_at)), event.kind, event.event_id);
        fact(if at == 0 { name } else { "" }, text)
    };
    events.iter().enumerate().map(line).collect()
}

fn fact(name: &str, text: String) -> (String, String) {
    (name.to_owned(), text)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn order(changes: &[(&str, Value)]) -> Value {
        let mut order = json!({"id": "order_p1_x", "sale": "p1", "hold_id": "hold_p1_x", "product_id": null, "quantity": null,
        "items": [{"product_id": 1, "quantity": 2, "unit_price": "20.00"}, {"product_id": 3, "quantity": 1,
        "unit_price": "10.00"}], "customer_id": "anna", "status": "paid", "total_amount": "50.00", "currency": "USD",
        "created_at": "2026-11-27T09:00:00.000Z", "payment_due_at": "2026-11-27T09:35:00.000Z",
        "paid_at": "2026-11-27T09:40:00.000Z", "payment_id": "pi_2", "payment_started_at": null, "late": true,
        "shop_events": [], "events_left_out": 0, "payments": [
            {"payment_id": "pi_1", "captured_amount": null, "refunded_amount": null, "currency": "USD",
             "captured": false, "in_flight": true, "declined": true, "ended": false, "dispute": null, "refunds": [],
             "events": []},
            {"payment_id": "pi_2", "captured_amount": "50.00", "refunded_amount": "10.00", "currency": "USD",
             "captured": true, "in_flight": false, "declined": false, "ended": true, "dispute": "open",
             "refunds": [{"refund_id": "re_1", "amount": "10.00", "failed": false},
                         {"refund_id": "re_2", "amount": "5.00", "failed": true}],
             "events": [{"type": "paid", "event_id": "evt_1", "received_at": "2026-11-27T09:40:00.000Z", "repeats": false},
                        {"type": "paid", "event_id": "evt_2", "received_at": "2026-11-27T09:40:07.000Z", "repeats": true}
             ]}]});
        for (name, value) in changes {
            order[*name] = value.clone();
        }
        order
    }

    #[test]
    fn an_order_is_printed_with_its_lines_and_every_fact_of_its_payments() {
        let expected = "\
order order_p1_x: paid, late

  sale         p1
  customer     anna
  hold         hold_p1_x
  total        50.00 USD
  created      2026-11-27 09:00Z
  payment due  2026-11-27 09:35Z
  paid         2026-11-27 09:40Z
  items        2 of product 1 at 20.00 USD
               1 of product 3 at 10.00 USD

payment pi_1

  in flight  yes: the money may still come
  declined   yes: an attempt failed

payment pi_2: pays the order

  captured  50.00 USD
  refunded  10.00 USD
  ended     yes: nothing more is captured
  dispute   open
  refund    10.00 USD, re_1
  refund    5.00 USD, re_2, failed
  heard     2026-11-27 09:40Z paid, evt_1
            2026-11-27 09:40:07Z paid, evt_2, nothing new";
        assert_eq!(text(&serde_json::from_value(order(&[])).unwrap()), expected);
    }

    #[test]
    fn what_is_not_known_of_an_order_is_said() {
        let nameless = json!({"payment_id": null, "captured_amount": null, "refunded_amount": null, "currency": null,
            "captured": true, "in_flight": false, "declined": false, "ended": false, "dispute": null, "refunds": [], "events": []});
        let gone = order(&[
            ("items", json!([])),
            ("total_amount", Value::Null),
            ("currency", Value::Null),
            ("status", "refund_required".into()),
            ("paid_at", Value::Null),
            ("payment_id", Value::Null),
            ("late", false.into()),
            (
                "shop_events",
                json!([{"type": "failed", "event_id": "e", "received_at": "2026-11-27T09:40:00.000Z", "repeats": false}]),
            ),
            ("events_left_out", 3.into()),
            ("payments", json!([nameless])),
        ]);
        let printed = text(&serde_json::from_value(gone).unwrap());
        assert!(printed.starts_with("order order_p1_x: refund_required\n"), "{printed}");
        for line in [
            "  total          -",
            "  items          not known any more",
            "  the shop said  2026-11-27 09:40Z failed, e",
            "  more events    3, which came later and are not shown",
        ] {
            assert!(printed.contains(&format!("\n{line}\n")), "{printed}");
        }
        assert!(printed.ends_with("payment without an id\n\n  captured  yes, and no event says how much"), "{printed}");
    }

    #[test]
    fn every_status_can_be_asked_for() {
        use crate::domain::order::OrderStatus;
        assert!(STATUSES.iter().all(|word| OrderStatus::parse(word).is_some_and(|status| status.as_str() == *word)));
    }
}
