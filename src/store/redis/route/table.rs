//! The table of slots: which primary has which slots.

use redis::Value;

use crate::store::{
    Failure,
    redis::{reply::Reply, slot::SLOTS},
};

/// Ranges of slots and the address of their primary, in the order of slots.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Table(Vec<Range>);

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Range {
    from: u16,
    to: u16,
    address: String,
}

impl Table {
    /// From the reply of CLUSTER SLOTS. A server that does not know its own name leaves it out: it is what it was asked by.
    pub(super) fn read(slots: Value, asked: &str) -> Result<Self, Failure> {
        let mut rows = Reply::read(slots)?;
        let mut ranges = Vec::new();
        while !rows.is_empty() {
            let mut row = rows.list()?;
            let (from, to, mut primary) = (slot_number(&mut row)?, slot_number(&mut row)?, row.list()?);
            let (host, port) = (primary.text_or_none()?.unwrap_or_default(), primary.int()?);
            let host = if host.is_empty() || host == "?" { host_of(asked) } else { &host };
            ranges.push(Range { from, to, address: address(host, port) });
        }
        ranges.sort_unstable();
        Ok(Self(ranges))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn owner(&self, slot: u16) -> Option<&str> {
        let behind = self.0.partition_point(|range| range.from <= slot);
        self.0[..behind].last().filter(|range| slot <= range.to).map(|range| range.address.as_str())
    }

    /// The addresses of all primaries with slots.
    pub(super) fn primaries(&self) -> Vec<&str> {
        let mut addresses: Vec<_> = self.0.iter().map(|range| range.address.as_str()).collect();
        addresses.sort_unstable();
        addresses.dedup();
        addresses
    }

    /// Slots that no primary has.
    pub(super) fn uncovered(&self) -> u16 {
        SLOTS - self.0.iter().map(|range| range.to - range.from + 1).sum::<u16>().min(SLOTS)
    }
}

fn slot_number(row: &mut Reply) -> Result<u16, Failure> {
    let number = row.int()?;
    u16::try_from(number).ok().filter(|slot| *slot < SLOTS).ok_or_else(|| Failure::unreadable(format!("slot {number}")))
}

/// As it stands in MOVED. The host of an IPv6 address has brackets here, and none there.
pub(super) fn address(host: &str, port: i64) -> String {
    if host.contains(':') && !host.starts_with('[') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// Host, without brackets, and port.
pub(super) fn split(address: &str) -> Option<(&str, u16)> {
    let (host, port) = address.rsplit_once(':')?;
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    Some((host, port.parse().ok()?))
}

fn host_of(address: &str) -> &str {
    split(address).map_or(address, |(host, _)| host)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulk(text: &str) -> Value {
        Value::BulkString(text.as_bytes().to_vec())
    }

    fn row(from: i64, to: i64, host: Value, port: i64) -> Value {
        let primary = Value::Array(vec![host, Value::Int(port), bulk("id"), Value::Array(vec![])]);
        Value::Array(vec![Value::Int(from), Value::Int(to), primary])
    }

    #[test]
    fn each_slot_has_the_primary_of_its_range() {
        let rows = vec![
            row(10_923, 16_383, bulk("10.0.0.3"), 6379),
            row(0, 5_460, bulk("10.0.0.1"), 6379),
            row(5_461, 10_900, Value::Nil, 7001),
            row(10_910, 10_922, bulk("::1"), 7002),
        ];
        let table = Table::read(Value::Array(rows), "10.0.0.9:6379").unwrap();
        for (slot, owner) in [
            (0, Some("10.0.0.1:6379")),
            (5_460, Some("10.0.0.1:6379")),
            (5_461, Some("10.0.0.9:7001")),
            (10_901, None),
            (10_922, Some("[::1]:7002")),
            (16_383, Some("10.0.0.3:6379")),
        ] {
            assert_eq!(table.owner(slot), owner, "{slot}");
        }
        assert_eq!((table.primaries().len(), table.uncovered()), (4, 9));
        assert_eq!(split("[::1]:7002"), Some(("::1", 7002)));
        assert!(Table::read(Value::Array(vec![row(0, 16_384, bulk("h"), 1)]), "h:1").is_err());
        assert!(Table::read(Value::Array(vec![]), "h:1").unwrap().is_empty());
    }
}
