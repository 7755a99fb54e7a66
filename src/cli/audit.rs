//! `flashsale audit`: compares stored counters and indexes with the records.

use std::{path::PathBuf, time::Duration};

use clap::Args;
use serde_json::Value;

use super::{
    CommonArgs,
    arguments::filled,
    audit_against::{AgainstArgs, against},
    exit::Exit,
    progress::{Counting, Progress},
    service::{CommandError, ServiceArgs, settings},
    table::{Column, Table, cell, counted, short_time},
};
use crate::{
    tools::{
        client::{CallPath, api::ApiCall},
        text::printable,
    },
    wire::audit::{AuditBody, DifferenceBody, SaleAuditBody},
};

/// An audit of ten million records takes less.
const TIMEOUT: Duration = Duration::from_mins(10);

/// Up to this number all sales are listed, otherwise only those with differences.
const SALES_SHOWN: usize = 20;

const EXAMPLES: &str = "\
Examples:
  flashsale audit                      all sales
  flashsale audit --sale drop-1        one sale
  flashsale audit --repair             also repair what can be repaired
  flashsale audit --json | jq .ok
  flashsale audit --against events.ndjson      after a restore: what the store does not know

The service recomputes counters, buckets, customers and indexes from the records, which are live
holds and orders. You may audit while you sell: a busy sale is read several times, and only
differences that stay the same each time are reported. A sale is repaired only at a moment in
which nothing is written to it: pause it if there is none. Each repair is an event
(sale.repaired).

--against compares the store with a log that `flashsale export --per event` wrote, also one that gzip
packed, or with stdin (-): one event a line. It names orders, reviews, products and sales that the
store does not have, or has as they were before; paid orders first, with their sums and units. It
only reads. It holds about 250 bytes of each order of the log. Unpaid orders are missed only as
long as sale.retention_seconds of the settings here.

Exit status: 0 all is as the records say; 1 something differs, or the service refused; 2 no
audit was made.";

/// Recompute counters and indexes from the records, and compare
#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct AuditArgs {
    /// Only this sale
    #[arg(long, value_name = "ID", value_parser = filled)]
    sale: Option<String>,
    /// Compare with an exported log of events, and name what the store does not know; - is stdin
    #[arg(long, value_name = "FILE", conflicts_with = "repair")]
    against: Option<PathBuf>,
    /// Repair what can be repaired, and compare again
    #[arg(long)]
    repair: bool,
    /// Why it is repaired, for whoever reads the event later; up to 200 bytes
    #[arg(long, value_name = "TEXT", value_parser = filled, requires = "repair", conflicts_with = "against")]
    reason: Option<String>,
    #[command(flatten)]
    service: ServiceArgs,
}

pub(super) fn run(common: &CommonArgs, args: &AuditArgs) -> Exit {
    if let Some(file) = &args.against {
        return args.service.run(common, async |client| {
            let retention_seconds = settings(common).map_err(CommandError::NotDone)?.sale.retention_seconds;
            let (sale, json) = (args.sale.as_deref(), args.service.json);
            against(client, &AgainstArgs { file, sale, retention_seconds, json }).await
        });
    }
    let path = CallPath::of("/api/admin/audit").maybe("sale", args.sale.as_ref()).maybe("reason", args.reason.as_ref());
    args.service.run(common, async |client| {
        let call = if args.repair { ApiCall::post(path, &Value::Null) } else { ApiCall::get(path) };
        client.set_timeout(args.service.timeout.unwrap_or(TIMEOUT));
        let reply = Progress::begin(Counting::Nothing("auditing")).during(client.send(call)).await?;
        let audit: AuditBody<'_> = reply.json()?;
        args.service.show(&reply, |_: &Value| report(&audit, args.repair))?;
        Ok(if audit.ok { Exit::Done } else { Exit::No })
    })
}

fn report(audit: &AuditBody<'_>, is_repair: bool) -> String {
    let AuditBody { sales, differences, repaired, .. } = audit;
    let mut parts: Vec<String> = sales_table(sales).into_iter().collect();
    if !repaired.is_empty() {
        parts.push(format!("Repaired:\n{}", differences_table(repaired)));
    }
    if !differences.is_empty() {
        parts.push(format!("Different:\n{}", differences_table(differences)));
    }
    parts.push(verdict(sales, differences, is_repair));
    parts.join("\n\n")
}

/// The sales; of many only those with differences.
fn sales_table(sales: &[SaleAuditBody<'_>]) -> Option<String> {
    let all_fit = sales.len() <= SALES_SHOWN;
    let shown: Vec<_> = sales.iter().filter(|sale| all_fit || !sale.ok).collect();
    let mut table = Table::new(&[
        Column::Wide("SALE"),
        Column::Right("PRODUCTS"),
        Column::Right("HOLDS"),
        Column::Right("ORDERS"),
        Column::Right("CUSTOMERS"),
        Column::Left("LOOKED AT"),
        Column::Right("DIFFERENCES"),
    ]);
    for sale in &shown {
        let looks = if sale.exact { "at rest".to_owned() } else { format!("{} times", sale.looks) };
        let SaleAuditBody { id, products, holds, orders, customers, differences, .. } = sale;
        table.row([cell(id), cell(products), cell(holds), cell(orders), cell(customers), looks, cell(differences)]);
    }
    (!shown.is_empty()).then(|| table.text())
}

fn differences_table(differences: &[DifferenceBody<'_>]) -> String {
    let mut table = Table::new(&[
        Column::Left("SALE"),
        Column::Left("WHAT"),
        Column::Wide("OF"),
        Column::Right("STORED"),
        Column::Right("RECORDS"),
        Column::Left("REPAIRABLE"),
    ]);
    for difference in differences {
        let DifferenceBody { sale, what, stored, recomputed, repairable, .. } = difference;
        table.row([cell(sale), cell(what), subject(difference), cell(stored), cell(recomputed), cell(repairable)]);
    }
    table.text()
}

/// What the difference is about, in words.
fn subject(difference: &DifferenceBody<'_>) -> String {
    let parts = [
        difference.customer_id.as_deref().map(|customer| format!("customer {}", printable(customer))),
        difference.product_id.map(|product| format!("product {product}")),
        difference.deadline.as_deref().map(|deadline| format!("until {}", short_time(Some(deadline)))),
        difference.order_id.as_deref().map(printable),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn verdict(sales: &[SaleAuditBody<'_>], differences: &[DifferenceBody<'_>], is_repair: bool) -> String {
    let count: u64 = sales.iter().map(|sale| sale.differences as u64).sum();
    if sales.is_empty() {
        return "There is no sale: the store is new, or it was emptied. `flashsale audit --against events.ndjson` compares it \
                with an exported log."
            .to_owned();
    }
    if count == 0 {
        return format!("{} audited: all is as the records say.", counted(sales.len() as u64, "sale"));
    }
    let more = count.saturating_sub(differences.len() as u64);
    let more = if more > 0 { format!(" ({more} more are not listed)") } else { String::new() };
    let repairable = differences.iter().any(|difference| difference.repairable);
    let advice = match (repairable, is_repair) {
        (true, false) => "`flashsale audit --repair` repairs what is repairable.",
        (true, true) => "The sale was written to all the time: `flashsale sale pause ID`, then repair it again.",
        (false, _) => {
            "None of it can be repaired: more units are promised than exist (restock, or cancel orders), or a record is \
             missing or unreadable."
        }
    };
    format!("{}{more}. {advice}", counted(count, "difference"))
}
