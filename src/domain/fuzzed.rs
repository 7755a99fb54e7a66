//! Properties of the texts that become words of this room.

use std::fmt;

use super::{
    cursor::ListCursor,
    event_cursor::EventCursor,
    ids::{HoldId, HoldKind, IdKind, OrderId, ProductId, SaleId, SignedId},
    money::{Amount, AmountError, Currency},
    payment::PaymentId,
    review::ReviewId,
    text::{CustomerId, IdempotencyKey, Name},
};

/// A decimal number of any length, read by nothing that the service reads with: `digits * 10^exponent`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Decimal {
    is_negative: bool,
    /// Without zeros at either end. Empty for zero.
    digits: String,
    exponent: i64,
}

impl Decimal {
    /// Reads digits, perhaps with a sign, a point and an exponent.
    pub(crate) fn read(text: &str) -> Option<Self> {
        let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
        let (mantissa, power) = match unsigned.find(['e', 'E']) {
            Some(at) => (&unsigned[..at], Self::read_power(&unsigned[at + 1..])?),
            None => (unsigned, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, "0"));
        let are_digits = |text: &str| !text.is_empty() && text.chars().all(|c| c.is_ascii_digit());
        if !are_digits(whole) || !are_digits(fraction) {
            return None;
        }
        let all = format!("{whole}{fraction}");
        let kept = all.trim_end_matches('0');
        let exponent = power - i64::try_from(fraction.len()).ok()? + i64::try_from(all.len() - kept.len()).ok()?;
        let digits = kept.trim_start_matches('0').to_owned();
        let exponent = if digits.is_empty() { 0 } else { exponent };
        Some(Self { is_negative: text.starts_with('-'), digits, exponent })
    }

    fn read_power(text: &str) -> Option<i64> {
        let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
        if digits.is_empty() || digits.trim_start_matches('0').len() > 9 || !digits.chars().all(|c| c.is_ascii_digit())
        {
            return None;
        }
        let power: i64 = digits.parse().ok()?;
        Some(if text.starts_with('-') { -power } else { power })
    }

    pub(crate) fn of(amount: Amount) -> Self {
        let whole = Self::read(&amount.ten_thousandths().to_string()).expect("digits");
        let exponent = if whole.digits.is_empty() { 0 } else { whole.exponent - 4 };
        Self { exponent, ..whole }
    }

    pub(crate) fn magnitude(&self) -> Self {
        Self { is_negative: false, ..self.clone() }
    }

    fn decimals(&self) -> i64 {
        (-self.exponent).max(0)
    }

    /// Whether an amount can hold it: below 2^53 ten-thousandths.
    fn is_small(&self) -> bool {
        let places = i64::try_from(self.digits.len()).unwrap_or(i64::MAX) + self.exponent + 4;
        match usize::try_from(places) {
            Ok(places @ 1..20) => {
                let scaled = format!("{:0<places$}", self.digits);
                scaled[..places].parse::<u64>().is_ok_and(|value| value < 1 << 53)
            }
            _ => places <= 0,
        }
    }
}

/// Each reader of a word gives back the text that it took.
pub(crate) fn words(bytes: &[u8]) {
    let text = &*String::from_utf8_lossy(bytes);
    again(text, SaleId::parse(text));
    again(text, ProductId::parse(text));
    again(text, ReviewId::parse(text));
    again(text, ListCursor::parse(text));
    again(text, CustomerId::parse(text).map(|id| id.as_str().to_owned()));
    again(text, PaymentId::parse(text).map(|id| id.as_str().to_owned()));
    again(text.trim(), Name::parse(text).map(|name| name.as_str().to_owned()));
    again(text, split::<HoldKind>(text));
    again(text, split::<super::ids::OrderKind>(text));
    if let Some(key) = IdempotencyKey::parse(text) {
        let quoted = format!("\"{}\"", key.as_str());
        assert!(key.as_str() == text || quoted == text, "{text:?} became {:?}", key.as_str());
        assert!(key.as_str().bytes().all(|byte| byte.is_ascii_graphic()));
    }
    // Sales may come in any order, and the last word about each counts.
    if let Some(cursor) = EventCursor::parse(text) {
        assert_eq!(EventCursor::parse(&cursor.to_string()).as_ref(), Some(&cursor), "{text:?}");
        assert!(cursor.to_string().len() <= text.len(), "{text:?} became longer");
    }
}

fn again(text: &str, read: Option<impl fmt::Display>) {
    if let Some(read) = read {
        assert_eq!(read.to_string(), text, "written again");
    }
}

fn split<K: IdKind>(text: &str) -> Option<String> {
    let (sale, key, tag) = SignedId::<K>::split(text)?;
    let id = SignedId::<K>::signed(sale.clone(), key, tag);
    assert_eq!((id.sale(), id.key()), (&sale, key));
    let both = (HoldId::split(text).is_some(), OrderId::split(text).is_some());
    assert_ne!(both, (true, true), "{text:?} is a hold and an order");
    Some(id.as_str().to_owned())
}

/// Amounts are what an independent reading says. The first byte chooses the decimals.
pub(crate) fn amounts(bytes: &[u8]) {
    let Some((first, rest)) = bytes.split_first() else { return };
    let (decimals, text) = (first % 5, &*String::from_utf8_lossy(rest));
    let decimal = Decimal::read(text);
    exact(text, decimals, decimal.as_ref());
    float(text, decimals, decimal.as_ref());
}

fn exact(text: &str, decimals: u8, decimal: Option<&Decimal>) {
    let is_plain = !text.contains(['-', '+', 'e', 'E']) && text.len() <= 40;
    let plain = decimal.filter(|_| is_plain);
    match (Amount::parse(text, decimals.into()), plain) {
        (Ok(amount), Some(decimal)) => {
            assert_eq!(Decimal::of(amount), *decimal, "{text:?}");
            written_again(amount, decimals);
        }
        (Err(AmountError::NotADecimal), None) => {}
        (Err(AmountError::TooManyDecimals), Some(decimal)) => {
            assert!(decimal.decimals() > i64::from(decimals), "{text:?} has so many decimals");
        }
        (Err(AmountError::TooLarge), Some(decimal)) => assert!(!decimal.is_small(), "{text:?} is not large"),
        (read, plain) => panic!("{text:?} is {read:?}, and should be {plain:?}"),
    }
}

fn float(text: &str, decimals: u8, decimal: Option<&Decimal>) {
    let Ok((amount, is_negative)) = Amount::parse_float(text, decimals.into()) else {
        // What has no noise is an amount.
        let is_amount = Amount::parse(text, decimals.into()).is_ok();
        assert!(!is_amount, "{text:?} is an amount, unless it may be a float");
        return;
    };
    let decimal = decimal.unwrap_or_else(|| panic!("{text:?} is no number, and was read as {amount:?}"));
    assert_eq!(decimal.is_negative, is_negative, "{text:?}");
    if Decimal::of(amount) != decimal.magnitude() {
        let [given, read] = [text, &amount.written(None)].map(|text| text.parse::<f64>().map_or(f64::NAN, f64::abs));
        let noise = 1.001 * 0.1_f64.powi(i32::from(decimals) + 3) + given * 1e-15;
        assert!((given - read).abs() <= noise, "{text:?} was read as {read}");
    }
    written_again(amount, decimals);
}

fn written_again(amount: Amount, decimals: u8) {
    assert_eq!(Amount::parse(&amount.written(None), 4), Ok(amount));
    for code in ["JPY", "USD", "KWD", "CLF"] {
        let currency = Currency::parse(code).expect("a currency");
        assert_eq!(Amount::parse(&amount.written(Some(&currency)), 4), Ok(amount), "{code}");
        assert!(amount.fits(&currency) || usize::from(decimals) > currency.decimals(), "{amount:?} in {code}");
        if amount.fits(&currency) {
            let text = amount.in_currency(&currency).to_string();
            assert_eq!(Amount::parse(&text, currency.decimals()), Ok(amount), "{code}");
        }
    }
}
