//! Properties of the tables and lines of an import.

use csv::WriterBuilder;
use encoding_rs::{Encoding, UTF_16BE, UTF_16LE};

use super::rows::{Format, Row};
use crate::{
    domain::{ids::ProductId, money::Amount, product::NewProduct, quantity::Quantity},
    http::{fields, fuzzed::sound},
    wire::table::cell,
};

const ROW_BYTES_MAX: usize = 4_096;
const HEADER: [&str; 8] =
    ["total_stock", "id", "name", "sale", "price", "currency", "max_per_customer", "max_per_hold"];

/// Any bytes as a table. Its products can be written in another dialect and read again.
pub(crate) fn tables(bytes: &[u8]) {
    let rows = match Format::Csv.read(bytes, ROW_BYTES_MAX) {
        Ok(rows) => rows,
        Err(problem) => return sound(&problem),
    };
    assert!(rows.len() <= bytes.len(), "more rows than bytes");
    let products = checked(&rows);
    written_again(&products);
    in_other_encodings(bytes, &rows);
}

/// Any bytes as lines of JSON. Each is what it is as a body of its own.
pub(crate) fn lines(bytes: &[u8]) {
    let rows = match Format::Ndjson.read(bytes, ROW_BYTES_MAX) {
        Ok(rows) => rows,
        Err(problem) => return sound(&problem),
    };
    checked(&rows);
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let lines: Vec<&[u8]> = bytes.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty()).collect();
    assert_eq!(lines.len(), rows.len());
    for (line, row) in lines.into_iter().zip(rows).filter(|(line, _)| line.len() <= ROW_BYTES_MAX) {
        assert!(row.is_err() || fields::parse(line).is_ok());
    }
}

fn checked(rows: &[Row]) -> Vec<&NewProduct> {
    rows.iter().filter_map(|row| row.as_ref().inspect_err(|problem| sound(problem)).ok()).collect()
}

/// All fields of a product that this test knows.
fn known(product: &NewProduct) -> String {
    let NewProduct { id, sale, name, price, currency, total, max_per_hold, max_per_customer, .. } = product;
    format!("{id:?} {sale:?} {name:?} {price:?} {currency:?} {total} {max_per_hold:?} {max_per_customer:?}")
}

fn written_again(products: &[&NewProduct]) {
    let mut writer = WriterBuilder::new().delimiter(b';').from_writer(Vec::new());
    writer.write_record(HEADER).expect("memory can be written");
    for product in products {
        let or_empty = |value: Option<u64>| value.map_or_else(String::new, |value| value.to_string());
        let code = product.currency.code();
        let price = product.price.in_currency(&product.currency).to_string();
        assert_eq!(Amount::parse(&price, product.currency.decimals()), Ok(product.price), "{price} {code}");
        let cells = [
            product.total.to_string(),
            or_empty(product.id.map(ProductId::get)),
            cell::guarded(product.name.as_str().into()).into_owned(),
            product.sale.as_ref().map_or_else(String::new, |sale| cell::guarded(sale.as_str().into()).into_owned()),
            price,
            code.to_ascii_lowercase(),
            or_empty(product.max_per_customer.map(Quantity::get)),
            or_empty(product.max_per_hold.map(Quantity::get)),
        ];
        writer.write_record(cells).expect("memory can be written");
    }
    let table = writer.into_inner().expect("memory can be written");
    let again = Format::Csv.read(&table, 1 << 20).expect("our own table");
    let again: Vec<_> = again.iter().map(|row| known(row.as_ref().expect("our own row"))).collect();
    let products: Vec<_> = products.iter().map(|product| known(product)).collect();
    assert_eq!(again, products, "{}", String::from_utf8_lossy(&table));
}

fn in_other_encodings(bytes: &[u8], rows: &[Row]) {
    let Ok(text) = str::from_utf8(bytes) else { return };
    // Zeros would make it UTF-16, and a mark would be there twice.
    if text.starts_with('\u{feff}') || text.contains('\0') {
        return;
    }
    let utf16 = |mark: &[u8], write: fn(u16) -> [u8; 2]| {
        [mark, &text.encode_utf16().flat_map(write).collect::<Vec<_>>()].concat()
    };
    let coded: [(&Encoding, Vec<u8>); 3] = [
        (encoding_rs::UTF_8, [b"\xef\xbb\xbf", bytes].concat()),
        (UTF_16LE, utf16(b"\xff\xfe", u16::to_le_bytes)),
        (UTF_16BE, utf16(b"\xfe\xff", u16::to_be_bytes)),
    ];
    for (encoding, coded) in coded {
        let read = Format::Csv.read(&coded, ROW_BYTES_MAX).unwrap_or_else(|problem| panic!("{problem}"));
        assert_eq!(format!("{read:?}"), format!("{rows:?}"), "{}", encoding.name());
    }
}
