//! `hold`: sets units aside until a deadline. One call decides a batch of holds of one sale.

use std::borrow::Borrow;

use tokio::time::timeout_at;

use super::{
    Failure, Op, Reply, ScriptCall, ServiceTerms, Store,
    batch::Work,
    give_back::Asked,
    hold_runs::Runs,
    hold_sales::Together,
    idempotency::{self, Use},
    ids::{IdPart, IdSigner},
    keys::SaleKeys,
    record::{self, Costs},
    redis::slot,
    unknown_word,
};
use crate::domain::{
    hold::{Hold, HoldCommand},
    ids::{ProductId, SaleId, Shards},
    limits::{CustomerLimit, Group},
    outcome::{HoldOutcome, Shortage},
    sale::SaleStatus,
};

impl Store {
    /// # Errors
    /// [`Failure`]; after a timeout the hold may exist. The same command with its idempotency key then finds it, and one without is
    /// given back.
    pub async fn hold(&self, command: HoldCommand) -> Result<HoldOutcome, Failure> {
        let (sale, shards) = match self.one_sale(&command).await? {
            Ok(sale) => sale,
            Err(refusal) => return Ok(refusal),
        };
        match self.hold_in(&sale, shards, command).await? {
            HoldAnswer::Decided(outcome) => Ok(outcome),
            HoldAnswer::ProductNotFound(product, command) => Box::pin(self.hold_instead(&sale, product, command)).await,
        }
    }

    async fn hold_in(&self, sale: &SaleId, shards: Shards, command: HoldCommand) -> Result<HoldAnswer, Failure> {
        if shards.are_several() {
            return Box::pin(self.hold_spread(self.spreads.shards(sale, shards), command)).await;
        }
        self.hold_at(sale, command).await
    }

    /// `sale`: the shard that decides.
    pub(super) async fn hold_at(&self, sale: &SaleId, command: HoldCommand) -> Result<HoldAnswer, Failure> {
        // Before the call, so that the script recognizes the key when the runner sends the call again.
        let key = IdPart::random();
        let asked = command.idempotency_key.is_none().then(|| self.asked(sale, key));
        let answer = match self.decide_hold(HoldItem { sale: sale.clone(), key, command }).await {
            Ok(HoldAnswer::Decided(outcome)) => HoldAnswer::Decided(self.with_skus(outcome).await?),
            Err(failure) if !failure.leaves_open() => {
                asked.into_iter().for_each(Asked::answered);
                return Err(failure);
            }
            other => other?,
        };
        asked.into_iter().for_each(Asked::answered);
        Ok(answer)
    }

    /// In the call of all sales where it is plain, and else in that of its own sale.
    async fn decide_hold(&self, item: HoldItem) -> Result<HoldAnswer, Failure> {
        let (sale, until) = (item.sale.clone(), self.holds.deadline());
        let Some(all) = self.hold_sales.as_ref().filter(|all| all.takes(&item) && !self.holds.is_busy(&sale)) else {
            return self.holds.submit_by(&sale, item, until).await;
        };
        let (item, may_exist) = match all.hold_sales(item, until).await? {
            Together::Decided(answer) => return Ok(answer),
            Together::Left { item, may_exist } => (item, may_exist),
        };
        // Others of the queue may have more time, and it is looked after by theirs.
        let answer = timeout_at(until.into(), self.holds.submit_by(&sale, item, until)).await;
        let answer = answer.unwrap_or_else(|_| Err(Failure::timed_out("the call of its sale is still in flight")));
        if may_exist { answer.map_err(Failure::after_decision) } else { answer }
    }

    /// Holds where the products are now, if the worker remembered a sale of before.
    async fn hold_instead(
        &self,
        sale: &SaleId,
        missing: ProductId,
        command: HoldCommand,
    ) -> Result<HoldOutcome, Failure> {
        for line in command.lines.as_slice() {
            self.sale_instead(line.product, sale).await?;
        }
        let (newer, shards) = match self.one_sale(&command).await? {
            Ok(newer) if newer.0 != *sale => newer,
            Ok(_) => {
                self.check_made(sale).await?;
                return Ok(HoldOutcome::ProductNotFound(missing));
            }
            Err(refusal) => return Ok(refusal),
        };
        match self.hold_in(&newer, shards, command).await? {
            HoldAnswer::Decided(outcome) => Ok(outcome),
            HoldAnswer::ProductNotFound(product, _) => Ok(HoldOutcome::ProductNotFound(product)),
        }
    }

    /// The sale of all products of the command, or the refusal where they are not of one sale.
    async fn one_sale(&self, command: &HoldCommand) -> Result<Result<(SaleId, Shards), HoldOutcome>, Failure> {
        let mut common: Option<(SaleId, Shards)> = None;
        for line in command.lines.as_slice() {
            match (self.sale_of(line.product).await?, &common) {
                (None, _) => return Ok(Err(HoldOutcome::ProductNotFound(line.product))),
                (Some((sale, _)), Some((other, _))) if sale != *other => {
                    return Ok(Err(HoldOutcome::ProductsOfDifferentSales));
                }
                (Some(sale), _) => common = Some(sale),
            }
        }
        common.map(Ok).ok_or_else(|| Failure::unreadable("a hold without lines"))
    }
}

/// Decides holds: a queue for each sale.
#[derive(Clone)]
pub(super) struct Holds {
    pub(super) terms: ServiceTerms,
    pub(super) ids: IdSigner,
}

/// What a batch answers to each of its holds.
pub(super) enum HoldAnswer {
    Decided(HoldOutcome),
    /// With the command, for the sale that the product may have moved to.
    ProductNotFound(ProductId, HoldCommand),
}

pub(super) struct HoldItem {
    pub(super) sale: SaleId,
    /// The key of the hold that it may become.
    key: IdPart,
    command: HoldCommand,
}

impl HoldItem {
    /// An item whose hold has some id.
    #[cfg(test)]
    pub(super) fn of(command: HoldCommand) -> Self {
        Self { sale: SaleId::parse("s").unwrap(), key: IdPart::random(), command }
    }

    /// Whether `lua/lib/plain_runs.lua` can decide it: units of one product, for a customer or nobody.
    pub(super) fn may_be_plain(&self) -> bool {
        let HoldCommand { lines, customer: _, hold_ms, idempotency_key, metadata } = &self.command;
        lines.as_slice().len() == 1 && hold_ms.is_none() && idempotency_key.is_none() && metadata.is_none()
    }

    /// The product and the units, where the hold asks for nothing else.
    pub(super) fn plain(&self) -> Option<(ProductId, u64)> {
        let HoldCommand { lines, customer, hold_ms, idempotency_key, metadata } = &self.command;
        let [line] = lines.as_slice() else { return None };
        let is_plain = customer.is_none() && hold_ms.is_none() && idempotency_key.is_none() && metadata.is_none();
        is_plain.then(|| (line.product, line.quantity.get()))
    }

    /// Whether both ask for the same, and neither has an idempotency key.
    pub(super) fn asks_as(&self, other: &Self) -> bool {
        let (a, b) = (&self.command, &other.command);
        a.idempotency_key.is_none()
            && b.idempotency_key.is_none()
            && a.lines == b.lines
            && a.hold_ms == b.hold_ms
            && a.customer == b.customer
            && a.metadata == b.metadata
    }

    /// The argument that `lua/hold.lua` reads.
    fn argument(&self) -> String {
        let command = &self.command;
        let lines = command.lines.as_slice().iter().map(|line| format!("{}={}", line.product, line.quantity.get()));
        let mut argument = lines.collect::<Vec<_>>().join(",");
        if let Some(customer) = &command.customer {
            argument = format!("{argument} {}", customer.as_str());
        }
        let hold_ms = command.hold_ms.unwrap_or(0);
        if command.idempotency_key.is_some() {
            let fingerprint = idempotency::fingerprint_of_hold(command);
            argument = format!("{argument}\n{hold_ms} {fingerprint} {}", self.key.as_str());
        } else if hold_ms > 0 || command.metadata.is_some() {
            argument = format!("{argument}\n{hold_ms}");
        }
        match &command.metadata {
            Some(metadata) => format!("{argument}\n{}", record::metadata_line(metadata)),
            None => argument,
        }
    }
}

impl Work for Holds {
    type Key = SaleId;
    type Item = HoldItem;
    type Answer = HoldAnswer;
    const OP: Op = Op::Hold;
    const BATCH_MAX: usize = 128;
    const SHEDS: bool = true;

    fn slot(sale: &SaleId) -> u16 {
        slot::of_sale(sale)
    }

    fn call(&self, sale: &SaleId, items: &[HoldItem]) -> ScriptCall {
        let runs = Runs::of(items);
        let mut call = keys_of(ScriptCall::of(Self::OP), sale, items, &runs);
        // A hold with an idempotency key is a run of its own, and these stay in their order.
        let claimed = items.iter().filter_map(|item| item.command.idempotency_key.as_ref());
        call = claimed.fold(call, |call, key| call.key(SaleKeys(sale).once(&idempotency::hash(Use::Hold, key))));
        call = call.number(items.len() as u64).number(self.terms.idempotency_ms).not_after();
        requests_of(call, items, &runs)
    }

    fn read(
        &self,
        _sale: &SaleId,
        items: Vec<HoldItem>,
        word: &str,
        mut reply: Reply,
    ) -> Result<Vec<HoldAnswer>, Failure> {
        if word != "decided" {
            return Err(unknown_word(Op::Hold, word));
        }
        let now_ms = reply.int()?;
        let runs = Runs::of(&items);
        let mut items: Vec<Option<HoldItem>> = items.into_iter().map(Some).collect();
        let mut answers: Vec<Option<HoldAnswer>> = items.iter().map(|_| None).collect();
        let mut places = runs.places().iter();
        while !reply.is_empty() {
            self.read_run(now_ms, &mut places, &mut items, &mut answers, &mut reply)?;
        }
        let answers: Option<Vec<_>> = answers.into_iter().collect();
        answers.ok_or_else(|| Failure::unreadable("fewer decisions than holds"))
    }
}

/// The keys of these holds of a sale: those of the sale, and that of each hold, run after run.
pub(super) fn keys_of(call: ScriptCall, sale: &SaleId, items: &[impl Borrow<HoldItem>], runs: &Runs) -> ScriptCall {
    let keys = SaleKeys(sale);
    let prefix = keys.hold("");
    let call = call.keys(keys.holding());
    runs.places().iter().fold(call, |call, place| call.key_of(&prefix, items[*place].borrow().key.as_str()))
}

/// The arguments of these holds: of each run how many they are, and what they ask for.
pub(super) fn requests_of(call: ScriptCall, items: &[impl Borrow<HoldItem>], runs: &Runs) -> ScriptCall {
    runs.iter().fold(call, |call, run| call.number(run.len() as u64).arg(items[run[0]].borrow().argument()))
}

impl Holds {
    /// Reads what was decided of the next holds, whose places are the next of these.
    pub(super) fn read_run<'a>(
        &self,
        now_ms: i64,
        places: &mut impl Iterator<Item = &'a usize>,
        items: &mut [Option<HoldItem>],
        answers: &mut [Option<HoldAnswer>],
        reply: &mut Reply,
    ) -> Result<(), Failure> {
        let (holds, decision) = (reply.count()?, read_decision(reply, now_ms)?);
        for place in places.take(usize::try_from(holds).unwrap_or(usize::MAX)) {
            let Some(item) = items[*place].take() else { continue };
            answers[*place] = Some(match &decision {
                Decision::NotThere(product) => HoldAnswer::ProductNotFound(*product, item.command),
                decision => HoldAnswer::Decided(self.outcome(item, decision, now_ms)?),
            });
        }
        Ok(())
    }

    fn outcome(&self, item: HoldItem, decision: &Decision, now_ms: i64) -> Result<HoldOutcome, Failure> {
        let HoldItem { sale, key: own_key, command: HoldCommand { lines, customer, metadata, .. } } = item;
        let hold = |key: &str, deadline_ms, costs: &Costs| {
            let (id, lines) = (self.ids.hold(&sale, key), costs.of(&lines)?);
            Ok(Hold { id, lines, currency: costs.currency, customer, metadata, deadline_ms, now_ms })
        };
        match decision {
            Decision::Held { deadline_ms, costs } => hold(own_key.as_str(), *deadline_ms, costs).map(HoldOutcome::Held),
            Decision::Replayed { deadline_ms, costs, key } => hold(key, *deadline_ms, costs).map(HoldOutcome::Replayed),
            Decision::NotThere(product) => Ok(HoldOutcome::ProductNotFound(*product)),
            Decision::Refused(refusal) => Ok(refusal.clone()),
        }
    }
}

/// The decision of the script about a run of holds.
enum Decision {
    Held {
        deadline_ms: i64,
        costs: Costs,
    },
    Replayed {
        deadline_ms: i64,
        costs: Costs,
        key: String,
    },
    /// The sale has no such product: perhaps another one has it now.
    NotThere(ProductId),
    Refused(HoldOutcome),
}

fn read_decision(reply: &mut Reply, now_ms: i64) -> Result<Decision, Failure> {
    let refusal = match reply.text()?.as_str() {
        "held" => return Ok(Decision::Held { deadline_ms: reply.int()?, costs: Costs::read(&reply.text()?)? }),
        "replayed" => {
            let (deadline_ms, costs) = (reply.int()?, Costs::read(&reply.text()?)?);
            return Ok(Decision::Replayed { deadline_ms, costs, key: reply.text()? });
        }
        "idempotency_key_reused" => HoldOutcome::IdempotencyKeyReused,
        "product_not_found" => return Ok(Decision::NotThere(product(reply)?)),
        "product_hidden" => HoldOutcome::ProductNotFound(product(reply)?),
        "quantity_above_limit" => {
            HoldOutcome::QuantityAboveLimit { product: product(reply)?, max_per_hold: reply.count()? }
        }
        "sale_ended" => closed(SaleStatus::Ended, reply, now_ms)?,
        "sale_not_started" => closed(SaleStatus::Scheduled, reply, now_ms)?,
        "sale_paused" => closed(SaleStatus::Paused, reply, now_ms)?,
        "customer_id_required" => HoldOutcome::CustomerIdRequired(limit(reply)?),
        "customer_limit_reached" => {
            let (limit, most) = (limit(reply)?, reply.count()?);
            HoldOutcome::CustomerLimitReached { limit, most, remaining: reply.count()? }
        }
        "customer_cooling_down" => HoldOutcome::CustomerCoolingDown { until_ms: reply.int()?, now_ms },
        "insufficient_stock" => HoldOutcome::InsufficientStock(Shortage {
            product: product(reply)?,
            available: reply.count()?,
            coming_back: reply.count()?,
            next_release_ms: reply.instant_or_none()?,
            now_ms,
        }),
        word => return Err(unknown_word(Op::Hold, word)),
    };
    Ok(Decision::Refused(refusal))
}

fn closed(status: SaleStatus, reply: &mut Reply, now_ms: i64) -> Result<HoldOutcome, Failure> {
    Ok(HoldOutcome::SaleNotOpen { status, starts_ms: reply.instant_or_none()?, now_ms })
}

fn limit(reply: &mut Reply) -> Result<CustomerLimit, Failure> {
    match (reply.text()?.as_str(), reply.text()?) {
        ("product", id) => ProductId::parse(&id).map(CustomerLimit::Product),
        ("group", name) => Group::parse(&name).map(CustomerLimit::Group),
        ("sale", _) => Some(CustomerLimit::Sale),
        _ => None,
    }
    .ok_or_else(|| Failure::unreadable("a limit for each customer"))
}

fn product(reply: &mut Reply) -> Result<ProductId, Failure> {
    ProductId::new(reply.count()?).ok_or_else(|| Failure::unreadable("a product id"))
}
