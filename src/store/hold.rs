//! `hold`: takes units out of what is available, until a deadline.

use super::{
    Call, Failure, Op, Reply, Store,
    keys::SaleKeys,
    once::{self, Use},
    unknown_word,
};
use crate::domain::{
    hold::{Hold, HoldCommand},
    ids::{HoldId, ProductId, SaleId},
    outcome::{HoldOutcome, Shortage},
};

impl Store {
    /// # Errors
    /// [`Failure`]; after a timeout the hold may exist. The same command with its idempotency key then finds it.
    pub async fn hold(&self, command: HoldCommand) -> Result<HoldOutcome, Failure> {
        let sale = match self.one_sale(&command).await? {
            Ok(sale) => sale,
            Err(refusal) => return Ok(refusal),
        };
        // Made before the call: the script knows by it when the same call comes twice.
        let id = self.ids().mint(&sale);
        let (word, mut reply) = self.runner.call(self.hold_call(&sale, &id, &command)).await?;
        if word != "decided" {
            return Err(unknown_word(Op::Hold, &word));
        }
        let now_ms = reply.int()?;
        self.read_hold_outcome(id, command, now_ms, reply.list()?)
    }

    /// The sale of all products of the command, or why there is no such sale.
    async fn one_sale(&self, command: &HoldCommand) -> Result<Result<SaleId, HoldOutcome>, Failure> {
        let mut common: Option<SaleId> = None;
        for line in command.lines.as_slice() {
            match (self.sale_of(line.product).await?, &common) {
                (None, _) => return Ok(Err(HoldOutcome::ProductNotFound(line.product))),
                (Some(sale), Some(other)) if sale != *other => return Ok(Err(HoldOutcome::ProductsOfDifferentSales)),
                (Some(sale), _) => common = Some(sale),
            }
        }
        common.map(Ok).ok_or_else(|| Failure::unreadable("a hold without lines"))
    }

    fn hold_call(&self, sale: &SaleId, id: &HoldId, command: &HoldCommand) -> Call {
        let keys = SaleKeys(sale);
        let mut call = Call::of(Op::Hold).keys(keys.units()).key(keys.hold(id.key()));
        let mut claim = String::new();
        if let Some(key) = &command.idempotency_key {
            call = call.key(keys.once(&once::hash(Use::Hold, key)));
            claim = format!("{} {}", once::fingerprint_of_hold(command), id.key());
        }
        let customer = command.customer.as_ref().map_or("", |c| c.as_str());
        let lines = command.lines.as_slice();
        call = call.number(1).number(self.terms.idempotency_ms);
        call = call.arg(claim).number(command.hold_ms.unwrap_or(0)).arg(customer).number(lines.len() as u64);
        lines.iter().fold(call, |call, line| call.number(line.product.get()).number(line.quantity.get()))
    }

    fn read_hold_outcome(
        &self,
        id: HoldId,
        command: HoldCommand,
        now_ms: i64,
        mut reply: Reply,
    ) -> Result<HoldOutcome, Failure> {
        let hold = |id, deadline_ms| Hold { id, lines: command.lines, customer: command.customer, deadline_ms, now_ms };
        Ok(match reply.text()?.as_str() {
            "held" => HoldOutcome::Held(hold(id, reply.int()?)),
            "replayed" => {
                let deadline_ms = reply.int()?;
                let earlier = self.ids().hold(id.sale(), &reply.text()?);
                HoldOutcome::Replayed(hold(earlier, deadline_ms))
            }
            "idempotency_key_reused" => HoldOutcome::IdempotencyKeyReused,
            "product_not_found" => HoldOutcome::ProductNotFound(product(&mut reply)?),
            "quantity_above_limit" => {
                HoldOutcome::QuantityAboveLimit { product: product(&mut reply)?, max_per_hold: reply.count()? }
            }
            "insufficient_stock" => HoldOutcome::InsufficientStock(Shortage {
                product: product(&mut reply)?,
                available: reply.count()?,
                coming_back: reply.count()?,
                next_release_ms: reply.instant_or_none()?,
                now_ms,
            }),
            word => return Err(unknown_word(Op::Hold, word)),
        })
    }
}

fn product(reply: &mut Reply) -> Result<ProductId, Failure> {
    ProductId::new(reply.count()?).ok_or_else(|| Failure::unreadable("a product id"))
}
