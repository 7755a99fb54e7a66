//! The catalogue of scripts. A script is its file in `lua/`, with the shared fragments that its header names put in front.

use redis::Script as Hashed;

/// What the service knows about a script before it is joined.
struct Entry {
    name: &'static str,
    file: &'static str,
    resend: bool,
}

/// Declares the operations, one line for each: its variant of [`Op`], the name of its script, and whether the same call may be
/// sent again when the connection was lost before the answer came. `resend` means that a repetition has no second effect. Its
/// answer may then be that of a repetition: an order that exists, an event that is a duplicate.
macro_rules! catalogue {
    ($($op:ident $name:literal $repetition:ident,)+) => {
        /// The operations, each a script of the same name, in the order of the catalogue.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Op {
            $($op,)+
        }

        impl Op {
            pub const ALL: [Self; ENTRIES.len()] = [$(Self::$op,)+];
        }

        const ENTRIES: [Entry; [$($name,)+].len()] = [
            $(Entry {
                name: $name,
                file: include_str!(concat!("../../../lua/", $name, ".lua")),
                resend: catalogue!(@$repetition),
            },)+
        ];
    };
    (@resend) => { true };
    (@no_resend) => { false };
}

catalogue! {
    Hold "hold" resend,
    HoldSales "hold_sales" resend,
    Release "release" no_resend,
    Extend "extend" no_resend,
    Order "order" resend,
    Cancel "cancel" resend,
    StartPayment "start_payment" resend,
    Settle "settle" resend,
    Confirm "confirm" resend,
    KeepUnmatched "keep_unmatched" resend,
    NotePayment "note_payment" resend,
    FindDue "find_due" resend,
    Expire "expire" resend,
    Stock "stock" resend,
    FindFree "find_free" resend,
    Lend "lend" resend,
    Borrow "borrow" resend,
    FindTerms "find_terms" resend,
    CopyTerms "copy_terms" resend,
    FindHold "find_hold" resend,
    FindOrder "find_order" resend,
    FindCustomer "find_customer" resend,
    ListOrders "list_orders" resend,
    ReadOrders "read_orders" resend,
    AuditUnits "audit_units" resend,
    AuditHolds "audit_holds" resend,
    AuditOrders "audit_orders" resend,
    Repair "repair" no_resend,
    ListReviews "list_reviews" resend,
    Resolve "resolve" resend,
    PutSale "put_sale" no_resend,
    ChangeSale "change_sale" resend,
    FindSale "find_sale" resend,
    ClaimProduct "claim_product" no_resend,
    ChangeListing "change_listing" resend,
    RemoveProduct "remove_product" no_resend,
    ArriveProduct "arrive_product" resend,
    PutProduct "put_product" no_resend,
    ChangeProduct "change_product" resend,
    Restock "restock" no_resend,
}

/// Declares the fragments by name.
macro_rules! fragments {
    ($($name:literal,)+) => {
        const FRAGMENTS: &[(&str, &str)] = &[$(($name, include_str!(concat!("../../../lua/lib/", $name, ".lua"))),)+];
    };
}

fragments! {
    "book",
    "buckets",
    "clock",
    "costs",
    "customers",
    "heard",
    "holds",
    "keys",
    "limits",
    "orders",
    "pages",
    "payment_reviews",
    "payments",
    "plain_hold",
    "plain_order",
    "plain_payment",
    "plain_runs",
    "prices",
    "products",
    "records",
    "reviews",
    "rules",
    "sales",
    "stock",
    "units",
}

/// The fragment that a test replaces.
const CLOCK: &str = "lib/clock.lua";

/// A script, ready to be called by its hash.
#[derive(Debug)]
pub struct Script {
    pub name: &'static str,
    pub source: String,
    pub sha: String,
    pub resend: bool,
    is_of_sale: bool,
    /// Behind its reply come the number of the last write of the sale, and whether the call made it.
    pub is_numbered: bool,
}

/// Goes around a script about a sale, where the service shows in which order it decided.
const NUMBERED: [&str; 2] = [
    "local function decided()\n",
    "end\n\
     local before = redis.call('HGET', KEYS[1], 'last_write')\n\
     local reply = decided()\n\
     if reply.err then return reply end\n\
     local last_write = redis.call('HGET', KEYS[1], 'last_write')\n\
     reply[#reply + 1] = last_write ~= before and 1 or 0\n\
     reply[#reply + 1] = last_write or '0'\n\
     return reply\n",
];

/// The version of the key schema: what the scripts write, and what they can read.
const SCHEMA: &str = "3";

/// All scripts, in the order of [`Op`].
#[derive(Debug)]
pub struct Catalogue {
    scripts: Vec<Script>,
    schema: &'static str,
}

impl Catalogue {
    pub fn compiled() -> Self {
        Self::edited(|_, text| text.to_owned())
    }

    /// Replaces the server's clock by another source of time. Only a test builds such a catalogue: the scripts of the service
    /// have no argument for the time.
    #[doc(hidden)]
    pub fn with_clock(clock: &str) -> Self {
        Self::edited(|file, text| if file == CLOCK { clock } else { text }.to_owned())
    }

    /// Gives each file, by its path in `lua/`, to the test, which answers what the scripts have of it.
    #[doc(hidden)]
    pub fn edited(edit: impl Fn(&str, &str) -> String) -> Self {
        Self { scripts: ENTRIES.iter().map(|entry| join(entry, &edit)).collect(), schema: SCHEMA }
    }

    /// Replaces the version of the key schema. Only a test does so, to be a later or an earlier version of the service.
    #[doc(hidden)]
    #[must_use]
    pub fn with_schema(self, schema: &'static str) -> Self {
        Self { schema, ..self }
    }

    /// Replies come with the number of the last write of the sale.
    #[must_use]
    pub fn numbered(self) -> Self {
        Self { scripts: self.scripts.into_iter().map(Script::numbered).collect(), ..self }
    }

    pub fn schema(&self) -> &'static str {
        self.schema
    }

    pub fn script(&self, op: Op) -> &Script {
        &self.scripts[op as usize]
    }

    pub fn iter(&self) -> impl Iterator<Item = &Script> {
        self.scripts.iter()
    }
}

impl Script {
    fn numbered(self) -> Self {
        if !self.is_of_sale {
            return self;
        }
        let [front, back] = NUMBERED;
        let (shebang, body) = self.source.split_once('\n').unwrap_or((&self.source, ""));
        let source = format!("{shebang}\n{front}{body}{back}");
        let sha = Hashed::new(&source).get_hash().to_owned();
        Self { source, sha, is_numbered: true, ..self }
    }
}

impl Op {
    pub fn name(self) -> &'static str {
        ENTRIES[self as usize].name
    }

    /// Whether a repetition has no second effect.
    pub fn may_be_resent(self) -> bool {
        ENTRIES[self as usize].resend
    }
}

fn join(entry: &Entry, edit: impl Fn(&str, &str) -> String) -> Script {
    let file = edit(&format!("{}.lua", entry.name), entry.file);
    let (shebang, body) = file.split_once('\n').unwrap_or((&file, ""));
    let mut source = format!("{shebang}\n");
    for name in uses(body) {
        source.push_str(&edit(&format!("lib/{name}.lua"), fragment(&name)));
    }
    source.push_str(body);
    let sha = Hashed::new(&source).get_hash().to_owned();
    // All that a script does with a sale has a time. Holds of several sales say the number of the write of each by themselves.
    let is_of_sale = uses(body).iter().any(|name| name == "clock") && entry.name != Op::HoldSales.name();
    Script { name: entry.name, source, sha, resend: entry.resend, is_of_sale, is_numbered: false }
}

/// The fragments that a header names, in its order: `-- uses   clock, units`. A line that ends in a comma goes on in the next.
fn uses(body: &str) -> Vec<String> {
    let mut lines = body.lines().skip_while(|line| !line.starts_with("-- uses "));
    let mut names = lines.next().and_then(|line| line.strip_prefix("-- uses ")).unwrap_or("").to_owned();
    while names.ends_with(',')
        && let Some(line) = lines.next()
    {
        names.push_str(line.trim_start_matches("--"));
    }
    names.split(',').map(|name| name.trim().to_owned()).filter(|name| name != "nothing").collect()
}

/// Empty when there is none of that name, which a test finds.
fn fragment(name: &str) -> &'static str {
    FRAGMENTS.iter().find(|(known, _)| *known == name).map_or("", |(_, text)| text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_variant_of_an_operation_has_the_name_of_its_script() {
        for op in Op::ALL {
            assert_eq!(format!("{op:?}").to_lowercase(), op.name().replace('_', ""));
        }
    }

    #[test]
    fn every_script_begins_with_its_shebang_and_is_joined_with_the_fragments_that_its_header_names() {
        for (entry, script) in ENTRIES.iter().zip(Catalogue::compiled().iter()) {
            assert!(script.source.starts_with("#!lua"), "{}", script.name);
            for name in uses(entry.file) {
                assert!(!fragment(&name).is_empty(), "{} uses {name}, which is no fragment", script.name);
                assert!(script.source.contains(fragment(&name)), "{} has {name}", script.name);
            }
        }
    }

    #[test]
    fn every_fragment_is_used() {
        for (name, _) in FRAGMENTS {
            assert!(ENTRIES.iter().any(|entry| uses(entry.file).iter().any(|used| used == name)), "{name}");
        }
    }

    #[test]
    fn a_script_has_each_function_of_the_fragments_that_it_calls() {
        for script in Catalogue::compiled().iter() {
            let calls = |word: &str| script.source.contains(&format!("{word}("));
            let has = |word: &str| script.source.contains(&format!("local function {word}("));
            for word in
                ["guarded_now", "reclaim", "live_hold", "quote", "write_book", "open_review", "product_row", "page_of"]
            {
                assert_eq!(calls(word), has(word), "{}: {word}", script.name);
            }
        }
    }
}
