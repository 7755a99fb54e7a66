//! What an exported log says, as it was at its end: the last state of each order, review, product and sale.
//!
//! Memory: of an order its id, state, sum, deadline and lines, about 250 bytes. A line has a bound.

use std::{
    collections::{BTreeMap, HashMap},
    io::{self, BufRead, Read},
};

use super::findings::UnreadableLine;
use crate::{
    domain::{
        event::{EventKind, Position},
        event_cursor::EventCursor,
        ids::SaleId,
        money::{Amount, Currency},
        order::OrderStatus,
    },
    wire::{
        event::{EventBody, type_word},
        order::OrderBody,
        product::ProductBody,
        review::ReviewBody,
        sale::SaleBody,
        time,
    },
};

/// A longer line is no event.
const LINE_BYTES_MAX: usize = 1 << 20;
/// Lines that are named. More are counted.
const UNREADABLE_MAX: usize = 100;
/// Events between two reports of progress.
const PROGRESS_EACH: u64 = 1_000;

#[derive(Default)]
pub(super) struct Log {
    pub(super) events: u64,
    pub(super) unreadable: Vec<UnreadableLine>,
    pub(super) unreadable_lines: u64,
    pub(super) sales: BTreeMap<SaleId, KnownSale>,
    /// `None`: the last event about it is its deletion.
    pub(super) products: BTreeMap<u64, Known<Option<ProductBody<'static>>>>,
    /// By sale and id.
    pub(super) orders: BTreeMap<SaleId, HashMap<String, KnownOrder>>,
    pub(super) reviews: HashMap<String, Known<ReviewBody<'static>>>,
}

/// A thing as the last event about it says.
pub(super) struct Known<T> {
    /// The shard whose log has this event.
    pub(super) shard: SaleId,
    pub(super) position: Position,
    pub(super) body: T,
}

/// The terms are `None` when the log has no event about the sale itself.
#[derive(Default)]
pub(super) struct KnownSale {
    pub(super) terms: Option<Known<SaleBody<'static>>>,
}

pub(super) struct KnownOrder {
    pub(super) position: Position,
    pub(super) status: OrderStatus,
    pub(super) total: Option<(Amount, Currency)>,
    pub(super) due_ms: i64,
    /// Product and units.
    pub(super) lines: Box<[(u64, u64)]>,
}

impl Log {
    /// # Errors
    /// When the bytes cannot be read. A line that is no event is noted instead.
    pub(super) fn read(
        &mut self,
        lines: &mut impl BufRead,
        only: Option<&str>,
        mut progress: impl FnMut(u64),
    ) -> io::Result<()> {
        let mut line = Vec::new();
        for number in 1.. {
            line.clear();
            if lines.by_ref().take(LINE_BYTES_MAX as u64).read_until(b'\n', &mut line)? == 0 {
                break;
            }
            let why = if line.len() == LINE_BYTES_MAX && !line.ends_with(b"\n") {
                lines.skip_until(b'\n')?;
                Err("is longer than any event".to_owned())
            } else {
                self.read_line(line.trim_ascii(), only)
            };
            if let Err(why) = why {
                self.unreadable_lines += 1;
                if self.unreadable.len() < UNREADABLE_MAX {
                    self.unreadable.push(UnreadableLine { line: number, why });
                }
            }
            if self.events.is_multiple_of(PROGRESS_EACH) {
                progress(self.events);
            }
        }
        Ok(())
    }

    fn read_line(&mut self, line: &[u8], only: Option<&str>) -> Result<(), String> {
        let line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
        if line.is_empty() {
            return Ok(());
        }
        let event: EventBody<'static> =
            serde_json::from_slice(line).map_err(|error| format!("is no event: {error}"))?;
        let sale = SaleId::parse(&event.sale).ok_or("names no sale")?;
        let cursor = EventCursor::parse(&event.id);
        let (shard, position) =
            cursor.as_ref().and_then(|cursor| cursor.event_of(&sale)).ok_or("has no id of an event")?;
        if only.is_some_and(|only| only != sale.as_str()) {
            return Ok(());
        }
        self.take(event, shard.clone(), position)?;
        self.events += 1;
        Ok(())
    }

    /// Remembers what is newer than what is known.
    fn take(&mut self, event: EventBody<'static>, shard: SaleId, position: Position) -> Result<(), String> {
        let EventBody { order, review, product, terms, r#type, .. } = event;
        let known_sale = self.sales.entry(shard.whole()).or_default();
        if let Some(terms) = terms
            && known_sale.terms.as_ref().is_none_or(|earlier| earlier.position <= position)
        {
            known_sale.terms = Some(Known { shard: shard.clone(), position, body: terms });
        }
        if let Some(order) = order {
            let known = KnownOrder::of(&order, position)?;
            let orders = self.orders.entry(shard.whole()).or_default();
            if orders.get(&*order.id).is_none_or(|earlier| earlier.position <= position) {
                orders.insert(order.id.into_owned(), known);
            }
        }
        if let Some(review) = review
            && self.reviews.get(&review.id).is_none_or(|earlier| earlier.position <= position)
        {
            self.reviews.insert(review.id.clone(), Known { shard: shard.clone(), position, body: review });
        }
        if let Some(product) = product
            && self.products.get(&product.id).is_none_or(|earlier| earlier.position <= position)
        {
            let (id, is_deleted) = (product.id, r#type == type_word(EventKind::ProductDeleted));
            self.products.insert(id, Known { shard, position, body: (!is_deleted).then_some(product) });
        }
        Ok(())
    }
}

impl KnownOrder {
    fn of(order: &OrderBody<'_>, position: Position) -> Result<Self, String> {
        let status = OrderStatus::parse(&order.status).ok_or("has an order in an unknown state")?;
        let total = order.total_amount.as_deref().zip(order.currency.as_deref());
        let total = total.map(|(amount, code)| {
            let currency = Currency::parse(code)?;
            Some((Amount::parse(amount, currency.decimals()).ok()?, currency))
        });
        let total = total.map(|total| total.ok_or("has an order with an unknown sum")).transpose()?;
        let due_ms = time::parse(&order.payment_due_at).ok_or("has an order with an unknown deadline")?;
        let lines = order.items.iter().map(|item| (item.product_id, item.quantity)).collect();
        Ok(Self { position, status, total, due_ms, lines })
    }
}
