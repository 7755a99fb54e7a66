//! Which columns of a file become which columns of the service.

use clap::builder::ValueParserFactory;
use csv::ByteRecord;
use encoding_rs::Encoding;

use super::{
    import_preset::{Preset, ShopRow, ShopRows},
    table::cell as printed,
};
use crate::wire::table::{self, COLUMNS, REQUIRED};

/// `name=Titel`: a column of the service, and that of the file.
#[derive(Clone, Debug)]
pub(super) struct ColumnMap {
    ours: &'static str,
    theirs: String,
}

impl ColumnMap {
    /// The plan of a table with these columns.
    pub(super) fn among(text: &str, columns: &[&'static str]) -> Result<Self, String> {
        let (ours, theirs) = text.split_once('=').ok_or("write it as ours=theirs, such as name=Title")?;
        let known = || format!("there is no column {ours}; ours are {}", columns.join(", "));
        let ours = table::column_of(ours, columns).ok_or_else(known)?;
        if theirs.trim().is_empty() {
            return Err("the column of the file is empty: write it as ours=theirs, such as name=Title".to_owned());
        }
        Ok(Self { ours, theirs: theirs.trim().to_owned() })
    }

    pub(super) fn ours(&self) -> &'static str {
        self.ours
    }

    /// Whether it is about this column of the file.
    pub(super) fn names(&self, cell: &str) -> bool {
        is_same_name(&self.theirs, cell)
    }
}

impl ValueParserFactory for ColumnMap {
    type Parser = clap::builder::ValueParser;

    fn value_parser() -> Self::Parser {
        clap::builder::ValueParser::new(|text: &str| Self::among(text, &COLUMNS))
    }
}

/// What the caller says about a table.
#[derive(Clone, Debug, Default)]
pub(super) struct TableChoices {
    pub(super) maps: Vec<ColumnMap>,
    pub(super) preset: Option<Preset>,
    /// For rows that name none.
    pub(super) sale: Option<String>,
    /// For rows that name none.
    pub(super) currency: Option<String>,
    pub(super) encoding: Option<&'static Encoding>,
}

impl TableChoices {
    pub(super) fn is_empty(&self) -> bool {
        self.maps.is_empty()
            && self.preset.is_none()
            && self.sale.is_none()
            && self.currency.is_none()
            && self.encoding.is_none()
    }

    /// Whether a cell of a header names a column that is taken.
    pub(super) fn knows(&self, cell: &str) -> bool {
        let is_same = |name: &str| is_same_name(name, cell);
        table::column(cell).is_some()
            || self.maps.iter().any(|map| is_same(&map.theirs))
            || COLUMNS.iter().any(|ours| self.preset_names(ours).iter().any(|name| is_same(name)))
    }

    fn preset_names(&self, ours: &str) -> &'static [&'static str] {
        self.preset.map_or(&[], |preset| preset.names(ours))
    }

    fn takes_all(&self) -> bool {
        self.maps.is_empty() && self.preset.is_none()
    }
}

/// Where a cell that is sent comes from.
enum Origin {
    Column(usize),
    /// The column, or this text where that is empty.
    OrElse(Option<usize>, String),
    ShopName,
    ShopId,
    /// What the preset makes of what all variants of a product share.
    ShopGroup,
}

/// How rows of the file become rows of the service.
pub(super) struct Plan {
    /// The header that is sent.
    pub(super) header: Vec<String>,
    origins: Vec<Origin>,
    shop: Option<ShopRows>,
    /// Columns of the file that are not sent.
    pub(super) left_out: Vec<String>,
    /// Columns of the file.
    pub(super) columns: usize,
}

/// What a row of the file becomes.
pub(super) enum PlannedRow {
    Sent(ByteRecord),
    Skipped(&'static str),
}

impl Plan {
    /// # Errors
    /// When the header has not what the choices name.
    pub(super) fn of(header: &ByteRecord, choices: &TableChoices) -> Result<Self, String> {
        let names: Vec<String> = header.iter().map(|cell| String::from_utf8_lossy(cell).trim().to_owned()).collect();
        let mut plan = if choices.takes_all() { Self::of_all(&names) } else { Self::of_some(&names, choices)? };
        for (name, text) in [("sale", &choices.sale), ("currency", &choices.currency)] {
            let Some(text) = text.clone() else { continue };
            match plan.header.iter().position(|column| table::column(column) == Some(name)) {
                Some(at) => {
                    let column = match &plan.origins[at] {
                        Origin::Column(column) => Some(*column),
                        _ => None,
                    };
                    plan.origins[at] = Origin::OrElse(column, text);
                }
                None => plan.add(name, Origin::OrElse(None, text)),
            }
        }
        Ok(plan)
    }

    /// Every column, by its own name: the service knows which ones it takes.
    fn of_all(names: &[String]) -> Self {
        let origins = (0..names.len()).map(Origin::Column).collect();
        Self { header: names.to_vec(), origins, shop: None, left_out: Vec::new(), columns: names.len() }
    }

    /// The columns that are known, and no others.
    fn of_some(names: &[String], choices: &TableChoices) -> Result<Self, String> {
        let find = |wanted: &str| names.iter().position(|name| is_same_name(name, wanted));
        let mut plan =
            Self { header: Vec::new(), origins: Vec::new(), shop: None, left_out: Vec::new(), columns: names.len() };
        let mut taken = Vec::new();
        let mut place = |ours: &'static str| -> Result<Option<usize>, String> {
            let mut mapped = choices.maps.iter().filter(|map| map.ours == ours).map(|map| {
                let missing =
                    || format!("there is no column {} for {ours}; the file has {}", map.theirs, listed(names));
                find(&map.theirs).ok_or_else(missing)
            });
            let mapped = mapped.next_back().transpose()?;
            let by_preset = || choices.preset_names(ours).iter().find_map(|name| find(name));
            let by_name = || names.iter().position(|name| table::column(name) == Some(ours));
            let at = mapped.or_else(by_preset).or_else(by_name);
            taken.extend(at);
            match at {
                None if REQUIRED.contains(&ours) => Err(missing(ours, names, choices)),
                at => Ok(at),
            }
        };
        let mut places = Vec::new();
        for ours in COLUMNS {
            places.push((ours, place(ours)?));
        }
        let at = |ours| places.iter().find_map(|(name, at)| (*name == ours).then_some(*at).flatten()).unwrap_or(0);
        if let Some(preset) = choices.preset {
            let shop = ShopRows::of(preset, find, at("name"), at("price"));
            plan.shop = Some(shop.map_err(|name| format!("there is no column {name}; {}", preset.advice(name)))?);
        }
        for (ours, at) in places {
            match (ours, at, choices.preset) {
                ("name", Some(_), Some(_)) => plan.add(ours, Origin::ShopName),
                ("id", None, Some(Preset::Shopify)) => plan.add(ours, Origin::ShopId),
                ("group", None, Some(Preset::Shopify)) => plan.add(ours, Origin::ShopGroup),
                (_, Some(at), _) => plan.add(ours, Origin::Column(at)),
                (_, None, _) => {}
            }
        }
        let left = (0..names.len()).filter(|at| !taken.contains(at) && !table::is_unnamed(&names[*at]));
        plan.left_out = left.map(|at| names[at].clone()).collect();
        Ok(plan)
    }

    fn add(&mut self, name: &str, origin: Origin) {
        self.header.push(name.to_owned());
        self.origins.push(origin);
    }

    /// Where the header that is sent has a column of ours.
    pub(super) fn place(&self, ours: &str) -> Option<usize> {
        self.header.iter().position(|name| table::column(name) == Some(ours))
    }

    pub(super) fn read(&mut self, row: &ByteRecord) -> PlannedRow {
        let (mut shop_name, mut shop_id, mut shop_group) = (String::new(), String::new(), String::new());
        match self.shop.as_mut().map(|shop| shop.read(row)) {
            None => {}
            Some(ShopRow::Skipped(why)) => return PlannedRow::Skipped(why),
            Some(ShopRow::Product { name, id, group }) => {
                shop_name = name;
                shop_id = id.map_or_else(String::new, |id| id.to_string());
                shop_group = group.unwrap_or_default();
            }
        }
        let of_file = |at: usize| row.get(at).unwrap_or_default();
        let cells = self.origins.iter().map(|origin| match origin {
            Origin::Column(at) => of_file(*at),
            Origin::OrElse(at, text) => {
                at.map(of_file).filter(|cell| !cell.trim_ascii().is_empty()).unwrap_or(text.as_bytes())
            }
            Origin::ShopName => shop_name.as_bytes(),
            Origin::ShopId => shop_id.as_bytes(),
            Origin::ShopGroup => shop_group.as_bytes(),
        });
        PlannedRow::Sent(cells.collect())
    }
}

fn missing(ours: &str, names: &[String], choices: &TableChoices) -> String {
    match choices.preset.map(|preset| (preset.names(ours), preset.advice(ours))) {
        Some((theirs, advice)) if !theirs.is_empty() => {
            format!("there is no column {} for {ours}; {advice}", theirs.join(" or "))
        }
        _ => format!("there is no column {ours}; name one with --map {ours}=…, of {}", listed(names)),
    }
}

fn listed(names: &[String]) -> String {
    let shown = names.iter().filter(|name| !table::is_unnamed(name)).take(COLUMNS_MAX).map(printed);
    shown.collect::<Vec<_>>().join(", ")
}

/// Columns of a file that a message lists.
const COLUMNS_MAX: usize = 100;

fn is_same_name(name: &str, other: &str) -> bool {
    name.trim().to_lowercase() == other.trim().to_lowercase()
}
