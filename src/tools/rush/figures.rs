//! Numbers as people read them.

use std::fmt::Display;

/// `12,345`.
pub fn thousands(number: impl Display) -> String {
    let text = number.to_string();
    let (sign, digits) = text.strip_prefix('-').map_or(("", text.as_str()), |digits| ("-", digits));
    let mut out = String::from(sign);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// Microseconds in a fitting unit, with three figures: `412 µs`, `4.12 ms`, `1.20 s`.
pub fn latency(us: u64) -> String {
    match us {
        0..1_000 => format!("{us} µs"),
        1_000..1_000_000 => format!("{} ms", three_figures(us)),
        _ => format!("{} s", three_figures(us / 1_000)),
    }
}

/// A number of thousandths with three significant figures.
fn three_figures(thousandths: u64) -> String {
    let (whole, rest) = (thousandths / 1_000, thousandths % 1_000);
    match whole {
        0..10 => format!("{whole}.{:02}", rest / 10),
        10..100 => format!("{whole}.{}", rest / 100),
        _ => thousands(whole),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(thousands), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(thousands(-100_i64), "-100");
        let spans = [7, 999, 4_120, 41_250, 412_500, 1_204_000, 61_000_000].map(latency);
        assert_eq!(spans, ["7 µs", "999 µs", "4.12 ms", "41.2 ms", "412 ms", "1.20 s", "61.0 s"]);
    }
}
