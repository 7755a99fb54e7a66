//! What is counted of decisions and of Redis, and what is in the store, for Prometheus.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    Op, Store,
    order_counts::OrderCounts,
    redis::meter::{CallMeter, CallResult, QueueCells, ServerCells},
    state::State,
};
use crate::{
    domain::{figures::Family, order::OrderStatus, product::Stock, review::ReviewReason, sale::SaleStatus},
    metrics::{
        Count, Exposition,
        Kind::{Counter, Gauge, Histogram},
        Scale, Sums, seconds,
    },
};

impl Store {
    /// What this process counted. Asks nobody.
    pub fn write_counts(&self, metrics: &mut Exposition) {
        self.write_figures(metrics);
        let meters = self.meters.all();
        write_queues(metrics, &queues(&meters));
        write_scripts(metrics, &meters);
        write_servers(metrics, &servers(&meters));
    }

    fn write_figures(&self, metrics: &mut Exposition) {
        let sums = self.figures.sums();
        for (wanted, name, help) in [
            (Family::Holds, "flashsale_holds_total", "Requests for a hold, by what came of them."),
            (Family::Orders, "flashsale_orders_total", "Requests for an order, by what came of them."),
            (Family::PaymentEvents, "flashsale_payment_events_total", "Payment events, by what came of them."),
        ] {
            metrics.family(name, Counter, help);
            for (figure, count) in &sums {
                let (family, outcome, reason) = figure.labels();
                if family == wanted {
                    metrics.sample(&[("outcome", outcome), ("reason", reason)], count);
                }
            }
        }
    }

    /// What is in the store now, or that it cannot be looked at.
    pub async fn write_state(self: &Arc<Self>, metrics: &mut Exposition, products_max: usize) {
        let (state, orders) = tokio::join!(self.state(products_max), self.order_counts());
        let help = "Whether the store could be looked at. 0: what is in it is missing here.";
        metrics.single("flashsale_store_up", Gauge, help, u8::from(state.is_ok()));
        match state {
            Ok(state) => {
                write_state(metrics, &state);
                write_orders(metrics, orders.as_ref());
            }
            Err(failure) => tracing::debug!(cause = %failure, "metrics without the state of the store"),
        }
    }
}

/// The cells of all workers for the queues of a script.
type Queues = Vec<(Op, Vec<Arc<QueueCells>>)>;

fn queues(meters: &[Arc<CallMeter>]) -> Queues {
    let all: Vec<_> = meters.iter().flat_map(|meter| meter.queues()).collect();
    let of = |op| all.iter().filter(|(of, _)| *of == op).map(|(_, cells)| Arc::clone(cells)).collect::<Vec<_>>();
    Op::ALL.into_iter().map(|op| (op, of(op))).filter(|(_, cells)| !cells.is_empty()).collect()
}

fn write_queues(metrics: &mut Exposition, queues: &Queues) {
    metrics.family("flashsale_batch_size", Histogram, "Items that one call of a script decided together.");
    for (op, cells) in queues {
        let sizes = Sums::of_all(&Scale::SIZE, cells.iter().map(|cells| &cells.sizes));
        metrics.histogram(&[("script", op.name())], &sizes);
    }
    metrics.family("flashsale_queue_wait_seconds", Histogram, "How long items of a batch waited for their call.");
    for (op, cells) in queues {
        let waited = Sums::of_all(&Scale::TIME, cells.iter().map(|cells| &cells.waited));
        metrics.histogram(&[("script", op.name())], &waited);
    }
    metrics.family("flashsale_queue_waiting", Gauge, "Items that wait for a call.");
    for (op, cells) in queues {
        metrics.sample(&[("script", op.name())], sum(cells, |cells| &cells.waiting));
    }
}

fn write_scripts(metrics: &mut Exposition, meters: &[Arc<CallMeter>]) {
    metrics.family("flashsale_script_calls_total", Counter, "Calls of scripts that were decided.");
    for op in Op::ALL {
        metrics.sample(&[("script", op.name())], sum(meters, |meter| &meter.script(op).calls));
    }
    let help = "Seconds between sending these calls and their decisions, together.";
    metrics.family("flashsale_script_seconds_total", Counter, help);
    for op in Op::ALL {
        let micros = sum(meters, |meter| &meter.script(op).micros);
        metrics.sample(&[("script", op.name())], seconds(micros));
    }
}

/// The cells of all workers for each server.
type Servers = BTreeMap<String, Vec<Arc<ServerCells>>>;

fn servers(meters: &[Arc<CallMeter>]) -> Servers {
    let mut servers = Servers::new();
    for (address, cells) in meters.iter().flat_map(|meter| meter.servers()) {
        servers.entry(address).or_default().push(cells);
    }
    servers
}

/// A number of a server.
type NumberOf = fn(&ServerCells) -> &Count;

fn write_servers(metrics: &mut Exposition, servers: &Servers) {
    metrics.family("flashsale_redis_calls_total", Counter, "Attempts to ask a Redis server, by what came of them.");
    for (server, cells) in servers {
        for result in CallResult::ALL {
            let count: u64 = cells.iter().map(|cells| cells.counted(result)).sum();
            metrics.sample(&[("server", server), ("result", result.as_str())], count);
        }
    }
    metrics.family("flashsale_redis_call_duration_seconds", Histogram, "How long a Redis server took to answer.");
    for (server, cells) in servers {
        let took = Sums::of_all(&Scale::TIME, cells.iter().map(|cells| &cells.took));
        metrics.histogram(&[("server", server)], &took);
    }
    let numbers: [(_, _, _, NumberOf); 3] = [
        ("flashsale_redis_in_flight", Gauge, "Calls to a Redis server without an answer yet.", |cells| {
            &cells.in_flight
        }),
        ("flashsale_redis_connections_total", Counter, "Connections that were opened.", |cells| &cells.connections),
        (
            "flashsale_redis_open_breakers",
            Gauge,
            "Connections of workers on which nobody asks a server because it did not answer.",
            |cells| &cells.open_breakers,
        ),
    ];
    for (name, kind, help, number) in numbers {
        metrics.family(name, kind, help);
        for (server, cells) in servers {
            metrics.sample(&[("server", server)], sum(cells, number));
        }
    }
}

fn write_state(metrics: &mut Exposition, state: &State) {
    metrics.family("flashsale_units", Gauge, "Units of a product, by where they are. total is their sum.");
    for product in &state.products {
        let (id, sku) = (product.id.to_string(), product.sku.as_ref().map_or("", |sku| sku.as_str()));
        let Stock { total, available, held, pending, sold } = product.stock;
        for (units, count) in
            [("total", total), ("available", available), ("held", held), ("pending", pending), ("sold", sold)]
        {
            let labels = [("sale", product.sale.as_str()), ("product", &id), ("sku", sku), ("state", units)];
            metrics.sample(&labels, count);
        }
    }
    metrics.family("flashsale_sales", Gauge, "Sales, by status.");
    for status in SaleStatus::ALL {
        let sales = state.sales.iter().filter(|(sale, _)| sale.terms.window.status(state.now_ms) == status).count();
        metrics.sample(&[("status", status.as_str())], sales);
    }
    let pending: u64 = state.sales.iter().map(|(_, pending)| pending).sum();
    metrics.single("flashsale_orders_pending", Gauge, "Orders that wait for a payment.", pending);
    metrics.family("flashsale_reviews_open", Gauge, "Reviews that wait for a person, by reason.");
    for reason in ReviewReason::ALL {
        let count = state.reviews.get(&reason).map_or(0, |reviews| reviews.count);
        metrics.sample(&[("reason", reason.as_str())], count);
    }
    let help = "For how long the first of these reviews has waited. 0 where none is open.";
    metrics.family("flashsale_review_oldest_age_seconds", Gauge, help);
    for reason in ReviewReason::ALL {
        let age_ms = state.reviews.get(&reason).map_or(0, |reviews| state.now_ms - reviews.opened_ms);
        metrics.sample(&[("reason", reason.as_str())], seconds(u64::try_from(age_ms).unwrap_or(0) * 1_000));
    }
    metrics.family("flashsale_left_out", Gauge, "Whether there is more in the store than is shown here.");
    for (what, has_more) in
        [("products", state.has_more_products), ("sales", state.has_more_sales), ("reviews", state.has_more_reviews)]
    {
        metrics.sample(&[("what", what)], u8::from(has_more));
    }
}

fn write_orders(metrics: &mut Exposition, orders: Option<&OrderCounts>) {
    metrics.family(
        "flashsale_stored_orders",
        Gauge,
        "Orders whose records are kept, by status, as they were counted last.",
    );
    if let Some(orders) = orders {
        for status in OrderStatus::ALL {
            metrics.sample(&[("status", status.as_str())], orders.of(status));
        }
    }
    let help = "For how long ago this count began.";
    metrics.family("flashsale_stored_orders_age_seconds", Gauge, help);
    if let Some(orders) = orders {
        metrics.sample(&[], format_args!("{:.3}", orders.age().as_secs_f64()));
    }
}

fn sum<T>(cells: &[Arc<T>], number: impl Fn(&T) -> &Count) -> u64 {
    cells.iter().map(|cells| number(cells).get()).sum()
}
