//! What a topic was like when it was read last, as the events that say so.

use std::{
    collections::BTreeMap,
    fmt::Write,
    hash::{DefaultHasher, Hash, Hasher},
};

use actix_web::web::Bytes;

use crate::domain::ids::{ProductId, SaleId};

/// Products as JSON.
pub(super) type Rows = BTreeMap<ProductId, Bytes>;

const UNAVAILABLE: &[u8] = b"event: unavailable\ndata: {\"detail\":\"the stock cannot be read at the moment\"}\n\n";
const GONE: &[u8] = b"event: gone\ndata: {\"detail\":\"there is no such product or sale any more\"}\n\n";

pub(super) struct Snapshot {
    /// One more than that of the snapshot before.
    version: u64,
    /// The sale, if it is about one.
    sale: Option<String>,
    rows: Rows,
    /// The same for the same rows, on every worker.
    id: String,
    /// The event for whoever saw nothing yet, or missed a snapshot.
    whole: Bytes,
    /// The event for whoever saw the snapshot before.
    change: Bytes,
    /// The stream ends with it.
    pub(super) is_last: bool,
}

impl Snapshot {
    pub(super) fn first(sale: Option<&SaleId>, rows: Rows) -> Self {
        Self::new(0, sale.map(|sale| sale.as_str().to_owned()), rows, None)
    }

    fn new(version: u64, sale: Option<String>, rows: Rows, before: Option<&Rows>) -> Self {
        let id = id_of(&rows);
        let whole = match &sale {
            None => event("product", &id, rows.values().next().map_or(&[], |row| &row[..])),
            Some(sale) => event("products", &id, &list(&format!("\"sale\":\"{sale}\""), rows.values())),
        };
        let change = match (&sale, before) {
            (Some(_), Some(before)) => {
                let removed: Vec<_> =
                    before.keys().filter(|id| !rows.contains_key(id)).map(|id| id.get().to_string()).collect();
                let changed = rows.iter().filter(|(id, row)| before.get(id) != Some(row)).map(|(_, row)| row);
                event("changes", &id, &list(&format!("\"removed\":[{}]", removed.join(",")), changed))
            }
            _ => whole.clone(),
        };
        Self { version, sale, rows, id, whole, change, is_last: false }
    }

    /// The snapshot after this one. `None`: nothing has changed.
    pub(super) fn next(&self, rows: Rows) -> Option<Self> {
        let version = self.version + 1;
        // Who was sent that it cannot be read is sent everything.
        let before = (self.whole != UNAVAILABLE).then_some(&self.rows);
        (before != Some(&rows)).then(|| Self::new(version, self.sale.clone(), rows, before))
    }

    /// It cannot be read. `None`: that is known.
    pub(super) fn unavailable(&self) -> Option<Self> {
        (self.whole != UNAVAILABLE).then(|| self.said(UNAVAILABLE))
    }

    pub(super) fn gone(&self) -> Self {
        Self { is_last: true, ..self.said(GONE) }
    }

    /// Nothing is known of any rows.
    fn said(&self, event: &'static [u8]) -> Self {
        let (sale, event) = (self.sale.clone(), Bytes::from_static(event));
        let (id, rows) = (String::new(), Rows::new());
        Self { version: self.version + 1, sale, rows, id, whole: event.clone(), change: event, is_last: false }
    }

    pub(super) fn version(&self) -> u64 {
        self.version
    }

    /// The event for somebody who saw this version last. Empty: there is nothing new.
    pub(super) fn since(&self, seen: u64) -> Bytes {
        match self.version.checked_sub(seen) {
            Some(0) => Bytes::new(),
            Some(1) => self.change.clone(),
            _ => self.whole.clone(),
        }
    }

    /// The event for somebody who comes, and knows the rows with this id from before.
    pub(super) fn welcome(&self, known: Option<&str>) -> Bytes {
        if known == Some(&*self.id) && !self.id.is_empty() { Bytes::new() } else { self.whole.clone() }
    }
}

/// `DefaultHasher` begins with the same keys everywhere.
fn id_of(rows: &Rows) -> String {
    let mut hasher = DefaultHasher::new();
    for (id, row) in rows {
        (id.get(), &row[..]).hash(&mut hasher);
    }
    format!("{:016x}", hasher.finish())
}

fn list<'a>(first: &str, rows: impl Iterator<Item = &'a Bytes>) -> Vec<u8> {
    let rows: Vec<_> = rows.map(|row| &row[..]).collect();
    [b"{", first.as_bytes(), b",\"products\":[", &rows.join(&b","[..]), b"]}"].concat()
}

/// `data` has no line break: JSON of this service has none outside of its texts, and there they are escaped.
fn event(name: &str, id: &str, data: &[u8]) -> Bytes {
    let mut head = String::new();
    let _written = write!(head, "event: {name}\nid: {id}\ndata: ");
    [head.as_bytes(), data, b"\n\n"].concat().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(of: &[(u64, &'static str)]) -> Rows {
        of.iter().map(|(id, row)| (ProductId::new(*id).unwrap(), Bytes::from_static(row.as_bytes()))).collect()
    }

    fn text(bytes: &Bytes) -> &str {
        std::str::from_utf8(bytes).unwrap()
    }

    fn first(of: &[(u64, &'static str)]) -> Snapshot {
        Snapshot::first(Some(&SaleId::parse("drop").unwrap()), rows(of))
    }

    #[test]
    fn whoever_saw_the_one_before_is_sent_what_changed_and_everybody_else_all() {
        let before = first(&[(1, "{1}"), (2, "{2}"), (3, "{3}")]);
        let after = before.next(rows(&[(1, "{1}"), (3, "{30}"), (4, "{4}")])).unwrap();
        let change = after.since(before.version());
        assert!(text(&change).starts_with("event: changes\nid: "), "{change:?}");
        assert!(text(&change).ends_with("\ndata: {\"removed\":[2],\"products\":[{30},{4}]}\n\n"), "{change:?}");
        let last = after.next(rows(&[(1, "{1}")])).unwrap();
        for all in [last.since(before.version()), last.welcome(None), last.welcome(Some("another"))] {
            assert!(text(&all).ends_with("\ndata: {\"sale\":\"drop\",\"products\":[{1}]}\n\n"), "{all:?}");
        }
        assert!(last.since(last.version()).is_empty() && last.next(rows(&[(1, "{1}")])).is_none());
    }

    #[test]
    fn whoever_knows_the_rows_is_not_sent_them_again() {
        let [one, same, other] = [first(&[(1, "{1}")]), first(&[(1, "{1}")]), first(&[(1, "{2}")])];
        assert!(one.welcome(Some(&same.id)).is_empty() && !one.welcome(Some(&other.id)).is_empty());
    }

    #[test]
    fn what_cannot_be_read_is_said_once_and_everything_afterwards() {
        let before = first(&[(1, "{1}")]);
        let away = before.unavailable().unwrap();
        assert!(away.unavailable().is_none());
        assert_eq!(away.welcome(Some("")), UNAVAILABLE);
        let back = away.next(rows(&[(1, "{1}")])).unwrap();
        assert_eq!(back.since(away.version()), before.welcome(None), "though it is as before");
        assert!(back.gone().is_last);
    }
}
