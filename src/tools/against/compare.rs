//! Asks the service, page by page, and compares what it has with what the log says.

use std::{
    borrow::Cow,
    collections::{BTreeMap, HashMap},
};

use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use super::{
    Question,
    findings::{Comparison, Counts, Finding, LostMoney, LostUnits, Sums, What},
    log::{Known, KnownOrder, Log},
    parting::parting,
};
use crate::{
    domain::{
        event::Position,
        ids::{OrderId, SaleId},
        money::{Amount, Currency},
        order::OrderStatus,
    },
    tools::client::{
        CallPath,
        api::{ApiCall, ApiClient, CallError},
        walk::{PAGE, Walk},
    },
    wire::{
        event::changed_fields, order::OrderRow, product::ProductBody, review::ReviewBody, sale::SaleBody, time::rfc3339,
    },
};

/// Something that may be missing or older in the store: its sale's log decides.
struct Suspect {
    position: Position,
    finding: Finding,
    /// An order that is paid in the log.
    paid: Option<KnownOrder>,
}

pub(super) struct Comparer<'a, P> {
    client: &'a mut ApiClient,
    question: &'a Question<'a>,
    progress: P,
    found: Comparison,
    sums: Sums,
    /// By shard.
    suspects: BTreeMap<SaleId, Vec<Suspect>>,
    /// Available units in the store, by product.
    available: BTreeMap<u64, u64>,
}

impl<'a, P: FnMut(&str, u64)> Comparer<'a, P> {
    pub(super) fn new(client: &'a mut ApiClient, question: &'a Question<'a>, progress: P) -> Self {
        let (found, sums) = (Comparison::default(), Sums::default());
        Self { client, question, progress, found, sums, suspects: BTreeMap::new(), available: BTreeMap::new() }
    }

    pub(super) async fn compare(mut self, log: Log) -> Result<Comparison, CallError> {
        let Log { events, unreadable, unreadable_lines, sales, products, orders, reviews } = log;
        self.found = Comparison { events, unreadable_lines, unreadable, ..Comparison::default() };
        for (sale, known) in sales {
            let Some(terms) = known.terms else { continue };
            self.compare_sale(&sale, terms).await?;
        }
        self.compare_products(products).await?;
        for (sale, orders) in orders {
            self.compare_orders(&sale, orders).await?;
        }
        self.compare_reviews(reviews).await?;
        self.judge().await?;
        Ok(self.finish())
    }

    async fn compare_sale(&mut self, sale: &SaleId, terms: Known<SaleBody<'static>>) -> Result<(), CallError> {
        let Known { shard, position, body: terms } = terms;
        self.found.sales.in_log += 1;
        (self.progress)("sales", self.found.sales.in_log);
        let there = self.find::<SaleBody<'static>>(CallPath::of("/api/admin/sales").segment(sale)).await?;
        let subject = Subject { what: What::Sale, shard: &shard, id: sale.as_str(), position };
        match there {
            None => self.suspect(&shard, position, subject.missing("there".to_owned()), None),
            Some(there) => self.suspect_fields(&subject, changed_fields(&there, &terms)),
        }
        Ok(())
    }

    async fn compare_products(
        &mut self,
        products: BTreeMap<u64, Known<Option<ProductBody<'static>>>>,
    ) -> Result<(), CallError> {
        for (id, Known { shard, position, body }) in products {
            self.found.products.in_log += 1;
            (self.progress)("products", self.found.products.in_log);
            let there = self.find::<ProductBody<'static>>(CallPath::of("/api/admin/products").segment(id)).await?;
            self.available.extend(there.iter().map(|there| (id, there.available_stock)));
            let subject = Subject { what: What::Product, shard: &shard, id: &id.to_string(), position };
            match (body, there) {
                (None, None) => {}
                (None, Some(there)) => {
                    let finding = Finding { in_store: Some(summary(&there)), ..subject.missing("deleted".to_owned()) };
                    self.suspect(&shard, position, finding, None);
                }
                (Some(body), None) => self.suspect(&shard, position, subject.missing(summary(&body)), None),
                (Some(body), Some(there)) => {
                    let mut fields = changed_fields(&there, &body);
                    fields.retain(|field, _| !MOVES.contains(&field.as_str()));
                    self.suspect_fields(&subject, fields);
                }
            }
        }
        Ok(())
    }

    /// Fields with other values in the store (`from`) than in the log (`to`).
    fn suspect_fields(&mut self, subject: &Subject<'_>, fields: Map<String, Value>) {
        if fields.is_empty() {
            return;
        }
        let all = |side: &str| {
            let texts = fields.iter().map(|(field, values)| format!("{field} {}", shown(&values[side])));
            texts.collect::<Vec<_>>().join(", ")
        };
        let (in_log, in_store) = (all("to"), Some(all("from")));
        let fields = fields
            .into_iter()
            .map(|(field, values)| (field, json!({"in_log": values["to"], "in_store": values["from"]})));
        let finding = Finding { in_store, fields: fields.collect(), ..subject.missing(in_log) };
        self.suspect(subject.shard, subject.position, finding, None);
    }

    async fn compare_orders(
        &mut self,
        sale: &SaleId,
        mut orders: HashMap<String, KnownOrder>,
    ) -> Result<(), CallError> {
        self.found.orders.in_log += orders.len() as u64;
        let mut walk = Walk::new(CallPath::of("/api/admin/orders").with("sale", sale));
        let mut compared = 0;
        while let Some(page) = unless_missing(walk.next::<OrderRow<'static>>(self.client, PAGE).await)?.flatten() {
            for row in &page.data {
                if let Some(known) = orders.remove(&*row.id)
                    && known.status.as_str() != row.status
                {
                    self.suspect_order(&shard_of(&row.id, sale), &row.id, known, Some(row.status.clone().into_owned()));
                }
            }
            compared += page.data.len() as u64;
            (self.progress)("orders", compared);
        }
        let keeps_since =
            self.question.now_ms - i64::try_from(self.question.retention_seconds).unwrap_or(i64::MAX) * 1_000;
        for (id, known) in orders {
            if !has_money(known.status) && known.due_ms < keeps_since {
                self.found.forgotten_orders += 1;
            } else {
                self.suspect_order(&shard_of(&id, sale), &id, known, None);
            }
        }
        Ok(())
    }

    async fn compare_reviews(
        &mut self,
        mut reviews: HashMap<String, Known<ReviewBody<'static>>>,
    ) -> Result<(), CallError> {
        self.found.reviews.in_log = reviews.len() as u64;
        let mut compared = 0;
        for status in ["open", "resolved"] {
            let mut walk = Walk::new(CallPath::of("/api/admin/reviews").with("status", status));
            while !reviews.is_empty() {
                let Some(page) = walk.next::<ReviewBody<'static>>(self.client, PAGE).await? else { break };
                for there in &page.data {
                    if let Some(known) = reviews.remove(&there.id)
                        && known.body.status != there.status
                    {
                        self.suspect_review(known, Some(there.status.clone().into_owned()));
                    }
                }
                compared += page.data.len() as u64;
                (self.progress)("reviews", compared);
            }
        }
        reviews.into_values().for_each(|known| self.suspect_review(known, None));
        Ok(())
    }

    fn suspect_order(&mut self, shard: &SaleId, id: &str, known: KnownOrder, in_store: Option<String>) {
        let what = match known.status {
            OrderStatus::Paid => What::PaidOrder,
            status if has_money(status) => What::OrderWithMoney,
            _ => What::Order,
        };
        let subject = Subject { what, shard, id, position: known.position };
        let mut finding = Finding { in_store, ..subject.missing(known.status.as_str().to_owned()) };
        finding.amount = known.total.map(|(amount, currency)| amount.in_currency(&currency).to_string());
        finding.currency = known.total.map(|(_, currency)| currency.code().to_owned());
        self.suspect(shard, known.position, finding, (what == What::PaidOrder).then_some(known));
    }

    fn suspect_review(
        &mut self,
        Known { shard, position, body }: Known<ReviewBody<'static>>,
        in_store: Option<String>,
    ) {
        let in_log = format!("{}, {}", body.status, body.reason);
        let subject = Subject { what: What::Review, shard: &shard, id: &body.id, position };
        let mut finding = Finding { in_store, ..subject.missing(in_log) };
        finding.amount = body.amount;
        finding.currency = body.currency.map(Cow::into_owned);
        self.suspect(&shard, position, finding, None);
    }

    fn suspect(&mut self, shard: &SaleId, position: Position, finding: Finding, paid: Option<KnownOrder>) {
        self.suspects.entry(shard.clone()).or_default().push(Suspect { position, finding, paid });
    }

    /// What is not there is missing. What is there in another state is older if the store's log lacks the event that made it
    /// what the log says, and newer otherwise.
    async fn judge(&mut self) -> Result<(), CallError> {
        for (shard, suspects) in std::mem::take(&mut self.suspects) {
            let there = suspects.iter().filter(|suspect| suspect.finding.in_store.is_some());
            let positions: Vec<_> = there.map(|suspect| suspect.position).collect();
            let parts_at = if positions.is_empty() { None } else { parting(self.client, &shard, positions).await? };
            for suspect in suspects {
                let is_older = parts_at.is_some_and(|at| suspect.position >= at);
                if suspect.finding.in_store.is_none() || is_older {
                    self.count(suspect);
                }
            }
        }
        Ok(())
    }

    fn count(&mut self, Suspect { finding, paid, .. }: Suspect) {
        let counts: &mut Counts = match finding.what {
            What::PaidOrder | What::OrderWithMoney | What::Order => &mut self.found.orders,
            What::Review => &mut self.found.reviews,
            What::Product => &mut self.found.products,
            What::Sale => &mut self.found.sales,
        };
        *(if finding.in_store.is_none() { &mut counts.missing } else { &mut counts.older }) += 1;
        if let Some(KnownOrder { total, lines, .. }) = paid {
            if let Some((amount, currency)) = total {
                let (sum, orders) = self.sums.money.entry(currency.code()).or_default();
                *sum = sum.saturating_add(amount.ten_thousandths());
                *orders += 1;
            }
            for (product, units) in &lines {
                let sum = self.sums.units.entry(*product).or_default();
                *sum = sum.saturating_add(*units);
            }
        }
        self.found.differences.push(finding);
    }

    fn finish(self) -> Comparison {
        let Self { mut found, sums, available, .. } = self;
        found.differences.sort_by(|one, other| {
            (one.what, &one.sale, &one.at, &one.id).cmp(&(other.what, &other.sale, &other.at, &other.id))
        });
        found.lost_since = found.differences.iter().map(|finding| finding.at.clone()).min();
        found.paid = sums.money.iter().map(|(code, (sum, orders))| lost_money(code, *sum, *orders)).collect();
        let units =
            |(product_id, units)| LostUnits { product_id, units, available_stock: available.get(&product_id).copied() };
        found.units = sums.units.into_iter().map(units).collect();
        found.ok = found.differences.is_empty() && found.unreadable_lines == 0;
        found
    }

    /// `None`: the service has no such thing.
    async fn find<T: DeserializeOwned>(&mut self, path: CallPath) -> Result<Option<T>, CallError> {
        let found = self.client.send(ApiCall::get(path)).await;
        unless_missing(found)?.map(|reply| reply.json()).transpose()
    }
}

fn unless_missing<T>(answer: Result<T, CallError>) -> Result<Option<T>, CallError> {
    match answer {
        Err(CallError::Refused(refusal)) if refusal.code.ends_with("_not_found") => Ok(None),
        answer => answer.map(Some),
    }
}

/// What a finding is about.
struct Subject<'a> {
    what: What,
    shard: &'a SaleId,
    id: &'a str,
    position: Position,
}

impl Subject<'_> {
    /// It is not in the store.
    fn missing(&self, in_log: String) -> Finding {
        let Self { what, shard, id, position } = self;
        Finding {
            what: *what,
            sale: shard.name().to_owned(),
            id: (*id).to_owned(),
            in_log,
            in_store: None,
            fields: Map::new(),
            amount: None,
            currency: None,
            at: rfc3339(i64::try_from(position.ms()).unwrap_or(0)),
        }
    }
}

/// The shard of an order, which its id names.
fn shard_of(order: &str, sale: &SaleId) -> SaleId {
    OrderId::split(order).map_or_else(|| sale.clone(), |(shard, ..)| shard)
}

/// A value without quotes.
fn shown(value: &Value) -> String {
    match value {
        Value::Null => "none".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn has_money(status: OrderStatus) -> bool {
    use OrderStatus::{InReview, Paid, RefundRequired, Refunded};
    matches!(status, Paid | InReview | RefundRequired | Refunded)
}

/// Fields of a product that move with holds and orders, or belong to its sale.
const MOVES: [&str; 5] = ["held_stock", "pending_stock", "sold_stock", "starts_at", "ends_at"];

/// What of a product an admin sets most.
fn summary(product: &ProductBody<'_>) -> String {
    let ProductBody { total_stock, price, currency, max_per_hold, max_per_customer, .. } = product;
    let limit = max_per_customer.map_or_else(String::new, |limit| format!(", {limit} a customer"));
    format!("{total_stock} units at {price} {currency}, {max_per_hold} a hold{limit}")
}

fn lost_money(code: &str, sum: u64, orders: u64) -> LostMoney {
    let (sum, currency) = (Amount::from_ten_thousandths(sum), Currency::parse(code));
    LostMoney { currency: code.to_owned(), amount: sum.written(currency.as_ref()), orders }
}
