//! The place at which the store's log of a sale parts from the exported one.

use crate::{
    domain::{event::Position, event_cursor::EventCursor, ids::SaleId},
    tools::client::{
        CallPath,
        api::{ApiCall, ApiClient, CallError},
    },
    wire::{Page, event::EventBody},
};

/// The positions that the store's log lacks begin here. `None`: it has all that were asked about.
pub(super) async fn parting(
    client: &mut ApiClient,
    sale: &SaleId,
    mut positions: Vec<Position>,
) -> Result<Option<Position>, CallError> {
    positions.sort_unstable();
    let first = first_of(client, sale, None).await?;
    // Everything before a place that the store knows is known.
    let (mut known, mut lacking) = (0, positions.len());
    while known < lacking {
        let middle = usize::midpoint(known, lacking);
        if knows(client, sale, positions[middle], first).await? {
            known = middle + 1;
        } else {
            lacking = middle;
        }
    }
    Ok(positions.get(lacking).copied())
}

/// A log is bounded, so it once had what is before its first event.
async fn knows(
    client: &mut ApiClient,
    sale: &SaleId,
    position: Position,
    first: Option<Position>,
) -> Result<bool, CallError> {
    let Some(first) = first else { return Ok(false) };
    if position <= first {
        return Ok(true);
    }
    Ok(first_of(client, sale, Some(position.before())).await? == Some(position))
}

/// The position of the first event after that one. `None`: there is none, or the one itself is not in the log.
async fn first_of(
    client: &mut ApiClient,
    sale: &SaleId,
    after: Option<Position>,
) -> Result<Option<Position>, CallError> {
    let path = CallPath::of("/api/admin/events").with("sale", sale).with("limit", 1);
    let path = path.maybe("after", after.map(|after| format!("{sale}:{after}")));
    let page: Page<EventBody<'static>> = match client.send(ApiCall::get(path)).await {
        Ok(reply) => reply.json()?,
        Err(CallError::Refused(refusal)) if ["sale_not_found", "cursor_expired"].contains(&&*refusal.code) => {
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    let Some(event) = page.data.first() else { return Ok(None) };
    let position = EventCursor::parse(&event.id).and_then(|cursor| cursor.position_in(sale));
    position.map(Some).ok_or(CallError::Unreadable)
}
