//! Cells of a table. A cell that a spreadsheet spells in its own way is read where it can mean one thing only. Where it can
//! mean two, a complaint says how to write it.

use std::borrow::Cow;

/// First characters that make a spreadsheet run a cell as a formula, and the apostrophe that marks an escaped cell.
const FORMULA: [char; 8] = ['=', '+', '-', '@', '\t', '\r', '\n', '\''];

/// Escapes a cell that a spreadsheet would run, by OWASP's rule against formulas.
pub fn guarded(cell: Cow<'_, str>) -> Cow<'_, str> {
    if cell.starts_with(FORMULA) { format!("'{cell}").into() } else { cell }
}

/// Undoes [`guarded`], as shops write it too. An apostrophe in front of anything else belongs to the text: '47 Brand.
pub fn unguarded(cell: &str) -> &str {
    cell.strip_prefix('\'').filter(|rest| rest.starts_with(FORMULA)).unwrap_or(cell)
}

/// A name on one line: line ends and tabs of a cell become blanks.
pub fn name(cell: &str) -> Cow<'_, str> {
    let name = unguarded(cell);
    if name.contains(['\r', '\n', '\t']) {
        return name
            .split(['\r', '\n', '\t'])
            .map(str::trim)
            .filter(|part| !part.is_empty())
            .collect::<Vec<_>>()
            .join(" ")
            .into();
    }
    name.into()
}

/// A cell that is no text. An apostrophe in front marks text in a spreadsheet.
pub fn code(cell: &str) -> &str {
    cell.strip_prefix('\'').unwrap_or(cell).trim()
}

/// A whole number: `307`, or `307.0` of a column with decimals.
///
/// # Errors
/// How to write it, where it could mean something else.
pub fn count(cell: &str) -> Result<&str, &'static str> {
    let cell = code(cell);
    if let Some((whole, "0" | "00")) = cell.split_once(['.', ',']).filter(|(whole, _)| are_digits(whole)) {
        return Ok(whole);
    }
    if cell.strip_prefix(['-', '\u{2212}']).is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit())) {
        return Err("is negative: the shop sold more than it had. Write what there is, at least 0");
    }
    if cell.split_once(['e', 'E']).is_some_and(|(digits, _)| is_number(digits)) {
        return Err("is rounded, as spreadsheets do with long numbers. Format the column as a number without decimals");
    }
    if is_grouped(cell) {
        return Err("has a thousands separator, or decimals. Write 1234 and not 1,234");
    }
    Ok(cell)
}

/// A price with a point: `12,50` too. `decimals` are those of its currency.
///
/// # Errors
/// How to write it, where it could mean something else.
pub fn price(cell: &str, decimals: usize) -> Result<Cow<'_, str>, &'static str> {
    let cell = code(cell);
    let has_digit = cell.contains(|c: char| c.is_ascii_digit());
    if has_digit && cell.contains(|c: char| !is_numeric(c) && !matches!(c, '-' | '+' | 'e' | 'E')) {
        return Err("has more than a number. Write 12.50 without a currency sign; the column currency says which one");
    }
    if let Some((whole, part)) = cell.split_once(',').filter(|(whole, part)| are_digits(whole) && are_digits(part))
        && part.len() < 3
    {
        return Ok(format!("{whole}.{part}").into());
    }
    // With three decimals this is how the currency is written.
    let is_own = decimals >= 3 && is_number(cell);
    if is_grouped(cell) && !is_own {
        return Err("has a thousands separator, or too many decimals. Write 1234.50 and not 1,234.50");
    }
    Ok(cell.into())
}

fn are_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// Digits, perhaps with a point or comma among them.
fn is_number(text: &str) -> bool {
    text.split_once(['.', ',']).map_or_else(|| are_digits(text), |(whole, part)| are_digits(whole) && are_digits(part))
}

fn is_numeric(c: char) -> bool {
    c.is_ascii_digit() || is_separator(c)
}

fn is_separator(c: char) -> bool {
    matches!(c, '.' | ',' | '\'' | '\u{2019}') || c.is_whitespace()
}

/// Whether three digits follow a separator somewhere, as in 1,234 and 1.234,50.
fn is_grouped(text: &str) -> bool {
    let mut parts = text.split(is_separator);
    parts.next().is_some_and(are_digits) && parts.clone().all(are_digits) && parts.any(|part| part.len() == 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_is_read_where_it_can_mean_one_thing_only() {
        for (cell, read) in
            [("307", "307"), ("307.0", "307"), ("307,00", "307"), ("'007", "007"), ("1.5", "1.5"), ("many", "many")]
        {
            assert_eq!(count(cell), Ok(read), "{cell}");
        }
        for (cell, words) in [
            ("-3", "is negative"),
            ("\u{2212}3.0", "is negative"),
            ("1,234", "thousands"),
            ("1.000", "thousands"),
            ("1 234", "thousands"),
            ("1\u{202f}234", "thousands"),
            ("1'234'567", "thousands"),
            ("1,234.00", "thousands"),
            ("9.00720E+15", "rounded"),
            ("9,00720E+15", "rounded"),
        ] {
            assert!(count(cell).unwrap_err().contains(words), "{cell}");
        }
    }

    #[test]
    fn a_price_is_read_where_it_can_mean_one_thing_only() {
        for (cell, decimals, read) in [
            ("12.50", 2, "12.50"),
            ("12,50", 2, "12.50"),
            ("12,5", 2, "12.5"),
            ("'12", 2, "12"),
            ("1.234", 3, "1.234"),
            ("1,234", 3, "1,234"),
            ("12.5001", 2, "12.5001"),
            ("-5", 2, "-5"),
            ("free", 2, "free"),
        ] {
            assert_eq!(price(cell, decimals).as_deref(), Ok(read), "{cell}");
        }
        for (cell, words) in [
            ("$12.50", "currency sign"),
            ("12,50 €", "currency sign"),
            ("EUR 12.50", "currency sign"),
            ("1,234", "thousands"),
            ("1.000", "thousands"),
            ("1,234.50", "thousands"),
            ("1.234,50", "thousands"),
            ("1\u{a0}234,50", "thousands"),
        ] {
            assert!(price(cell, 2).unwrap_err().contains(words), "{cell}");
        }
    }

    #[test]
    fn what_was_escaped_for_a_spreadsheet_comes_back_as_it_was() {
        for (cell, written) in [
            ("=1+1", "'=1+1"),
            ("+1", "'+1"),
            ("-1", "'-1"),
            ("@SUM(1)", "'@SUM(1)"),
            ("\tx", "'\tx"),
            ("\rx", "'\rx"),
            ("\nx", "'\nx"),
            ("'=1", "''=1"),
            ("'47 Brand", "''47 Brand"),
            ("a=1", "a=1"),
            ("", ""),
        ] {
            assert_eq!(guarded(cell.into()), written);
            assert_eq!(unguarded(written), cell);
        }
        assert_eq!((unguarded("'47 Brand"), name("two\r\n lines\n")), ("'47 Brand", "two lines".into()));
    }
}
