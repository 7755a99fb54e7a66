//! A table of products that exist: each row has an id or a SKU, and what to do with the product.

use std::{collections::HashMap, io, path::Path};

use csv::ByteRecord;
use serde_json::{Map, Value};

use super::which::ManyArgs;
use crate::{
    cli::{
        import_columns::ColumnMap,
        import_table::{TableError, open_table},
        source::Source,
        table::cell as printed,
    },
    wire::table::{self, cell},
};

/// The columns that any such table may have.
const COLUMNS: [&str; 12] = [
    "id",
    "sku",
    "new_sku",
    "delta",
    "total",
    "name",
    "metadata",
    "price",
    "max_per_hold",
    "max_per_customer",
    "group",
    "visibility",
];
/// More rows are several files.
const ROWS_MAX: usize = 100_000;

/// A row names its product by SKU, by id, or by both.
pub(super) struct Row {
    pub(super) number: u64,
    pub(super) sku: Option<String>,
    pub(super) id: Option<u64>,
    /// The fields of the wire that the row has, or what is wrong with it.
    pub(super) cells: Result<Value, String>,
}

/// `sku=Artikel`, as a flag.
pub(super) fn map(text: &str) -> Result<ColumnMap, String> {
    ColumnMap::among(text, &COLUMNS)
}

/// All rows. The file is read before anything is changed, so that one that breaks off changes nothing.
///
/// # Errors
/// When it cannot be read, or is no such table.
pub(super) fn read(path: &Path, many: &ManyArgs, columns: &[&'static str]) -> Result<Vec<Row>, String> {
    let source = Source(path);
    let (name, unreadable) = (source.name(), |error: io::Error| source.unreadable(&error));
    let is_known = |cell: &str| place(cell, many, columns).is_some();
    let opened = source.open().map_err(unreadable)?;
    let (mut reader, header) = open_table(opened, many.encoding, is_known).map_err(|error| match error {
        TableError::Source(error) => unreadable(error),
        TableError::Form(what) => format!("{name}: {what}"),
    })?;
    let places = places(&header, many, columns).map_err(|what| format!("{name}: {what}"))?;
    let (mut rows, mut record, mut number) = (Vec::new(), ByteRecord::new(), 0);
    let (mut skus, mut ids) = (HashMap::new(), HashMap::new());
    while reader.read_byte_record(&mut record).map_err(|error| unreadable(error.into()))? {
        if table::is_blank(&record) {
            continue;
        }
        number += 1;
        if rows.len() == ROWS_MAX {
            return Err(format!("{name} has more than {ROWS_MAX} rows; nothing was changed"));
        }
        let mut row = read_row(number, &places, &record);
        let by_sku = row.sku.clone().map(|sku| *skus.entry(sku).or_insert(number));
        let by_id = row.id.map(|id| *ids.entry(id).or_insert(number));
        if let Some(first) = by_sku.into_iter().chain(by_id).find(|first| *first != number) {
            row.cells = Err(format!("row {first} names this product too: give each product one row"));
        }
        rows.push(row);
    }
    Ok(rows)
}

/// The column of ours that a cell of the header names.
fn place(cell: &str, many: &ManyArgs, columns: &[&'static str]) -> Option<&'static str> {
    let mapped = many.map.iter().find(|map| map.names(cell)).map(ColumnMap::ours);
    mapped.or_else(|| table::column_of(cell, columns))
}

/// The column of ours for each column of the file.
fn places(header: &ByteRecord, many: &ManyArgs, columns: &[&'static str]) -> Result<Vec<Option<&'static str>>, String> {
    let names: Vec<_> = header.iter().map(|cell| String::from_utf8_lossy(cell).trim().to_owned()).collect();
    let ours = columns.join(", ");
    let mut places = Vec::new();
    for name in &names {
        let place = place(name, many, columns);
        match place {
            Some(column) if places.contains(&place) => return Err(format!("there are two columns {column}")),
            // A file of the shop has many columns, and with --map those are named that count.
            None if many.map.is_empty() && !table::is_unnamed(name) => {
                return Err(format!("column {} is not known; known are {ours}", printed(name)));
            }
            _ => places.push(place),
        }
    }
    if let Some(map) = many.map.iter().find(|map| !columns.contains(&map.ours())) {
        return Err(format!("this command reads no column {}; it reads {ours}", map.ours()));
    }
    let has = |column| places.contains(&Some(column));
    if let Some(map) = many.map.iter().find(|map| !names.iter().any(|name| map.names(name))) {
        return Err(format!("there is no column for {}: is --map right?", map.ours()));
    }
    if !has("sku") && !has("id") {
        return Err("the first row must name a column sku or id".to_owned());
    }
    Ok(places)
}

fn read_row(number: u64, places: &[Option<&'static str>], record: &ByteRecord) -> Row {
    let (mut fields, mut wrong) = (Map::new(), table::misfit(record, places.len()));
    for (column, bytes) in places.iter().zip(record).filter_map(|(column, cell)| column.map(|column| (column, cell))) {
        let Ok(text) = std::str::from_utf8(bytes) else {
            let how = "is not UTF-8; save the file as CSV UTF-8, or name its --encoding";
            wrong.get_or_insert(format!("{column} {how}"));
            continue;
        };
        match value(column, text.trim()) {
            _ if text.trim().is_empty() => {}
            Ok(value) => {
                fields.insert(column.to_owned(), value);
            }
            Err(how) => {
                wrong.get_or_insert(format!("{column} {how}"));
            }
        }
    }
    let sku = fields.remove("sku").and_then(|sku| sku.as_str().map(str::to_owned));
    let id = fields.remove("id").and_then(|id| id.as_u64());
    // The column sku is the key, so what a product gets is in another one.
    if let Some(new_sku) = fields.remove("new_sku") {
        fields.insert("sku".to_owned(), new_sku);
    }
    if sku.is_none() && id.is_none() {
        wrong.get_or_insert("the row has neither a sku nor an id".to_owned());
    }
    Row { number, sku, id, cells: wrong.map_or(Ok(fields.into()), Err) }
}

/// The JSON value that a cell stands for. What a number means is for the service to decide.
fn value(column: &str, text: &str) -> Result<Value, String> {
    let whole = |text: &str| -> Result<Value, String> {
        let digits = cell::count(text)?;
        digits.parse::<u64>().map(Value::from).map_err(|_| "must be a whole number, such as 500".to_owned())
    };
    Ok(match column {
        "id" | "total" | "max_per_hold" | "max_per_customer" => whole(text)?,
        "delta" => {
            let text = cell::code(text);
            let (units, is_less) = match text.strip_prefix(['-', '\u{2212}']) {
                Some(units) => (units, true),
                None => (text.strip_prefix('+').unwrap_or(text), false),
            };
            let units = whole(units)?.as_i64().ok_or("is too large")?;
            Value::from(if is_less { -units } else { units })
        }
        "price" => Value::from(cell::price(text, 2)?.into_owned()),
        "name" => Value::from(cell::name(text)),
        "metadata" => serde_json::from_str(text).map_err(|_| "is no JSON. Write {\"colour\": \"red\"}".to_owned())?,
        _ => Value::from(cell::code(text)),
    })
}
