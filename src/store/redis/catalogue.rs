//! The catalogue of scripts. A script is its file in `lua/`, with the shared fragments that its header names put in front.

use redis::Script as Hashed;

/// The operations, each a script of the same name, in the order of the catalogue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    Hold,
    Release,
    Extend,
    Order,
    Cancel,
    StartPayment,
    Settle,
    Confirm,
    KeepUnmatched,
    FindDue,
    Expire,
    Stock,
    FindHold,
    FindOrder,
    ListOrders,
    ReadOrders,
    AuditUnits,
    AuditHolds,
    AuditOrders,
    Repair,
    ListEvents,
    ListReviews,
    Resolve,
    PutSale,
    ChangeSale,
    FindSale,
    ClaimProduct,
    PutProduct,
    ChangeProduct,
    Restock,
}

struct Entry {
    name: &'static str,
    file: &'static str,
    /// Whether the same call may be sent again when the connection was lost before the answer came: it has no second
    /// effect. Its answer may then be that of a repetition: an order that exists, an event that is a duplicate.
    resend: bool,
}

macro_rules! entry {
    ($name:literal, $resend:literal) => {
        Entry { name: $name, file: include_str!(concat!("../../../lua/", $name, ".lua")), resend: $resend }
    };
}

const ENTRIES: [Entry; 30] = [
    entry!("hold", true),
    entry!("release", false),
    entry!("extend", false),
    entry!("order", true),
    entry!("cancel", true),
    entry!("start_payment", true),
    entry!("settle", true),
    entry!("confirm", true),
    entry!("keep_unmatched", true),
    entry!("find_due", true),
    entry!("expire", true),
    entry!("stock", true),
    entry!("find_hold", true),
    entry!("find_order", true),
    entry!("list_orders", true),
    entry!("read_orders", true),
    entry!("audit_units", true),
    entry!("audit_holds", true),
    entry!("audit_orders", true),
    entry!("repair", false),
    entry!("list_events", true),
    entry!("list_reviews", true),
    entry!("resolve", true),
    entry!("put_sale", false),
    entry!("change_sale", true),
    entry!("find_sale", true),
    entry!("claim_product", false),
    entry!("put_product", false),
    entry!("change_product", true),
    entry!("restock", false),
];

const FRAGMENTS: [(&str, &str); 10] = [
    ("clock", include_str!("../../../lua/lib/clock.lua")),
    ("pages", include_str!("../../../lua/lib/pages.lua")),
    ("units", include_str!("../../../lua/lib/units.lua")),
    ("customers", include_str!("../../../lua/lib/customers.lua")),
    ("records", include_str!("../../../lua/lib/records.lua")),
    ("book", include_str!("../../../lua/lib/book.lua")),
    ("orders", include_str!("../../../lua/lib/orders.lua")),
    ("reviews", include_str!("../../../lua/lib/reviews.lua")),
    ("products", include_str!("../../../lua/lib/products.lua")),
    ("sales", include_str!("../../../lua/lib/sales.lua")),
];

/// A script, ready to be called by its hash.
#[derive(Debug)]
pub struct Script {
    pub name: &'static str,
    pub source: String,
    pub sha: String,
    pub resend: bool,
}

/// All scripts, in the order of [`Op`].
#[derive(Debug)]
pub struct Catalogue(Vec<Script>);

impl Catalogue {
    pub fn compiled() -> Self {
        Self::with_clock(FRAGMENTS[0].1)
    }

    /// With another source of time than the server's clock. Only a test builds such a catalogue: the scripts of the
    /// service have no way to be told the time.
    #[doc(hidden)]
    pub fn with_clock(clock: &str) -> Self {
        Self(ENTRIES.iter().map(|entry| join(entry, clock)).collect())
    }

    pub fn script(&self, op: Op) -> &Script {
        &self.0[op as usize]
    }

    pub fn iter(&self) -> impl Iterator<Item = &Script> {
        self.0.iter()
    }
}

impl Op {
    pub const ALL: [Self; 30] = [
        Self::Hold,
        Self::Release,
        Self::Extend,
        Self::Order,
        Self::Cancel,
        Self::StartPayment,
        Self::Settle,
        Self::Confirm,
        Self::KeepUnmatched,
        Self::FindDue,
        Self::Expire,
        Self::Stock,
        Self::FindHold,
        Self::FindOrder,
        Self::ListOrders,
        Self::ReadOrders,
        Self::AuditUnits,
        Self::AuditHolds,
        Self::AuditOrders,
        Self::Repair,
        Self::ListEvents,
        Self::ListReviews,
        Self::Resolve,
        Self::PutSale,
        Self::ChangeSale,
        Self::FindSale,
        Self::ClaimProduct,
        Self::PutProduct,
        Self::ChangeProduct,
        Self::Restock,
    ];

    pub fn name(self) -> &'static str {
        ENTRIES[self as usize].name
    }
}

fn join(entry: &Entry, clock: &str) -> Script {
    let (shebang, body) = entry.file.split_once('\n').unwrap_or((entry.file, ""));
    let mut source = format!("{shebang}\n");
    for (name, fragment) in FRAGMENTS {
        if uses(body).any(|used| used == name) {
            source.push_str(if name == "clock" { clock } else { fragment });
        }
    }
    source.push_str(body);
    let sha = Hashed::new(&source).get_hash().to_owned();
    Script { name: entry.name, source, sha, resend: entry.resend }
}

/// The fragments that a header names: `-- uses   clock, units`.
fn uses(body: &str) -> impl Iterator<Item = &str> {
    let line = body.lines().find_map(|line| line.strip_prefix("-- uses ")).unwrap_or("");
    line.split(',').map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_catalogue_is_in_the_order_of_its_names() {
        for (at, op) in Op::ALL.into_iter().enumerate() {
            assert_eq!(op as usize, at);
            assert_eq!(format!("{op:?}").to_lowercase(), op.name().replace('_', ""));
        }
    }

    #[test]
    fn every_script_begins_with_its_shebang_and_has_the_fragments_that_it_uses() {
        for script in Catalogue::compiled().iter() {
            assert!(script.source.starts_with("#!lua"), "{}", script.name);
            let wants = |word: &str| script.source.contains(&format!("{word}("));
            let has = |word: &str| script.source.contains(&format!("local function {word}("));
            for word in [
                "guarded_now",
                "int",
                "reclaim",
                "move",
                "owe",
                "live_hold",
                "order_reply",
                "quote",
                "write_book",
                "open_review",
            ] {
                assert_eq!(wants(word), has(word), "{}: {word}", script.name);
            }
        }
    }
}
