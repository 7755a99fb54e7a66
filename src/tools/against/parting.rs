//! The place at which the store's log of a shard parts from the exported one.

use crate::{
    domain::{event::Position, event_cursor::EventCursor, ids::SaleId},
    tools::client::{
        CallPath,
        api::{ApiCall, ApiClient, CallError},
    },
    wire::event::{EventBody, EventPageBody},
};

/// Events of a page. Those of other shards stand between those of one.
const PAGE: usize = 100;

/// The positions that the store's log lacks begin here. `None`: it has all that were asked about.
pub(super) async fn parting(
    client: &mut ApiClient,
    shard: &SaleId,
    mut positions: Vec<Position>,
) -> Result<Option<Position>, CallError> {
    positions.sort_unstable();
    let first = first_of(client, shard, None).await?;
    // Everything before a place that the store knows is known.
    let (mut known, mut lacking) = (0, positions.len());
    while known < lacking {
        let middle = usize::midpoint(known, lacking);
        if knows(client, shard, positions[middle], first).await? {
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
    shard: &SaleId,
    position: Position,
    first: Option<Position>,
) -> Result<bool, CallError> {
    let Some(first) = first else { return Ok(false) };
    if position <= first {
        return Ok(true);
    }
    Ok(first_of(client, shard, Some(position.before())).await? == Some(position))
}

/// The position of the first event of the shard after that one. `None`: there is none, or the one itself is not in the log.
async fn first_of(
    client: &mut ApiClient,
    shard: &SaleId,
    after: Option<Position>,
) -> Result<Option<Position>, CallError> {
    let path = CallPath::of("/api/admin/events").with("sale", shard.name()).with("limit", PAGE);
    let mut after = after.map(|after| format!("{shard}:{after}"));
    loop {
        let page: EventPageBody<EventBody<'static>> =
            match client.send(ApiCall::get(path.clone().maybe("after", after.as_ref()))).await {
                Ok(reply) => reply.json()?,
                Err(CallError::Refused(refusal)) if ["sale_not_found", "cursor_expired"].contains(&&*refusal.code) => {
                    return Ok(None);
                }
                Err(error) => return Err(error),
            };
        for event in &page.data {
            let cursor = EventCursor::parse(&event.id);
            let (of, position) =
                cursor.as_ref().and_then(|cursor| cursor.event_of(&shard.whole())).ok_or(CallError::Unreadable)?;
            if of == shard {
                return Ok(Some(position));
            }
        }
        if !page.more {
            return Ok(None);
        }
        after = Some(page.next_cursor);
    }
}
