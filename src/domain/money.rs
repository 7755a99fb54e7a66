//! Money: whole ten-thousandths of a currency unit, so that every ISO 4217 currency fits one scale and no fraction exists.

use std::fmt;

/// Decimals of a ten-thousandth. ISO 4217 has no currency with more than four.
const SCALE_DIGITS: usize = 4;
const SCALE: u64 = 10_000;
/// Decimals of most currencies.
const DECIMALS_USUAL: usize = 2;

/// Digits behind the smallest unit of a currency. Where these are all 0 or all 9, what follows the unit is the noise of a float.
const NOISE_DIGITS: usize = 3;
/// Digits of an amount that are read, and the largest exponent.
const READ_DIGITS_MAX: usize = 40;

/// The most that one product of a hold may cost in all: `price * max_per_hold`, in ten-thousandths. Sixteen lines of it stay
/// below 2^53, up to which the scripts multiply and add exactly.
pub const LINE_TOTAL_MAX: u64 = 500_000_000_000_000;

/// An ISO 4217 currency that has decimals defined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Currency(iso_currency::Currency);

impl Currency {
    /// Three capital letters of a known currency.
    pub fn parse(code: &str) -> Option<Self> {
        iso_currency::Currency::from_code(code).filter(|c| c.exponent().is_some()).map(Self)
    }

    pub fn code(&self) -> &'static str {
        self.0.code()
    }

    /// Decimals that the currency is written with.
    pub fn decimals(&self) -> usize {
        self.0.exponent().map_or(0, usize::from).min(SCALE_DIGITS)
    }
}

/// A sum without its currency, in ten-thousandths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Amount(u64);

/// Why a text is no amount.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AmountError {
    #[error("an amount is a decimal string such as \"50.00\"")]
    NotADecimal,
    #[error("the amount has more decimals than its currency")]
    TooManyDecimals,
    #[error("the amount is too large")]
    TooLarge,
}

impl Amount {
    /// More than any price may be, in whole units, so that each currency can be written with it.
    const BEYOND: Self = Self(u64::MAX / SCALE * SCALE);

    /// Reads a price. One that no number here holds becomes more than any price may be, so that it is refused for its size.
    pub fn parse_price(text: &str, decimals_max: usize) -> Option<Self> {
        match Self::parse(text, decimals_max) {
            Err(AmountError::TooLarge) => Some(Self::BEYOND),
            price => price.ok(),
        }
    }

    pub fn from_ten_thousandths(value: u64) -> Self {
        Self(value)
    }

    pub fn ten_thousandths(self) -> u64 {
        self.0
    }

    /// Reads `50`, `50.0` or `50.00`: no sign, no exponent, at most `decimals_max` decimals that are not zero.
    ///
    /// # Errors
    /// See [`AmountError`].
    pub fn parse(text: &str, decimals_max: usize) -> Result<Self, AmountError> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        if !digits(whole) || !digits(fraction) || text.len() > 40 {
            return Err(AmountError::NotADecimal);
        }
        let fraction = fraction.trim_end_matches('0');
        if fraction.len() > decimals_max.min(SCALE_DIGITS) {
            return Err(AmountError::TooManyDecimals);
        }
        let whole: u64 = whole.parse().map_err(|_| AmountError::TooLarge)?;
        let part: u64 = format!("{fraction:0<SCALE_DIGITS$}").parse().map_err(|_| AmountError::NotADecimal)?;
        let value = whole.checked_mul(SCALE).and_then(|w| w.checked_add(part)).ok_or(AmountError::TooLarge)?;
        if value >= 1 << 53 { Err(AmountError::TooLarge) } else { Ok(Self(value)) }
    }

    /// Reads an amount that may have been a float, and whether it has a minus: `-50`, `5e1`, and `49.99999999999999`, whose
    /// noise is far below the smallest unit and rounded away.
    ///
    /// # Errors
    /// See [`AmountError`].
    pub fn parse_float(text: &str, decimals_max: usize) -> Result<(Self, bool), AmountError> {
        let is_negative = text.starts_with('-');
        let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
        let (digits, exponent) = match unsigned.split_once(['e', 'E']) {
            Some((digits, exponent)) => (digits, exponent.parse().map_err(|_| AmountError::NotADecimal)?),
            None => (unsigned, 0_i8),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
        let are_digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        let zeros = usize::from(exponent.unsigned_abs());
        if !are_digits(whole) || !are_digits(fraction) || digits.len() > READ_DIGITS_MAX || zeros > READ_DIGITS_MAX {
            return Err(AmountError::NotADecimal);
        }
        let point = if exponent < 0 { whole.len() } else { whole.len() + 2 * zeros };
        let padded = ["0".repeat(zeros), whole.to_owned(), fraction.to_owned(), "0".repeat(zeros)].concat();
        Self::rounded(padded.split_at(point), decimals_max.min(SCALE_DIGITS)).map(|amount| (amount, is_negative))
    }

    /// The nearest amount with so many decimals, if only noise is between the two.
    fn rounded((whole, fraction): (&str, &str), decimals: usize) -> Result<Self, AmountError> {
        let fraction = format!("{fraction:0<width$}", width = SCALE_DIGITS + NOISE_DIGITS);
        let (kept, rest) = fraction.split_at(decimals);
        let up = match &rest[..NOISE_DIGITS] {
            "000" => 0,
            "999" => (decimals..SCALE_DIGITS).fold(1, |unit, _| unit * 10),
            _ => return Err(AmountError::TooManyDecimals),
        };
        let whole = whole.trim_start_matches('0');
        if whole.len() > READ_DIGITS_MAX / 2 {
            return Err(AmountError::TooLarge);
        }
        let amount = Self::parse(&format!("0{whole}.{kept}0"), decimals)?.0 + up;
        if amount >= 1 << 53 { Err(AmountError::TooLarge) } else { Ok(Self(amount)) }
    }

    /// Whether the currency can be written with it.
    pub fn fits(self, currency: &Currency) -> bool {
        let unit = (currency.decimals()..SCALE_DIGITS).fold(1, |unit, _| unit * 10);
        self.0.is_multiple_of(unit)
    }

    #[must_use]
    pub fn times(self, units: u64) -> Self {
        Self(self.0.saturating_mul(units))
    }

    /// The amount with the decimals of its currency, or with more where it has more. An unknown currency counts as one with two.
    pub fn written(self, currency: Option<&Currency>) -> String {
        let zeros = |digits: &&str| digits.len() - digits.trim_end_matches('0').len();
        let part = format!("{:0>SCALE_DIGITS$}", self.0 % SCALE);
        let own = SCALE_DIGITS - zeros(&part.as_str());
        InCurrency { amount: self, decimals: own.max(currency.map_or(DECIMALS_USUAL, Currency::decimals)) }.to_string()
    }

    /// With as many decimals as the currency is written with.
    pub fn in_currency(self, currency: &Currency) -> InCurrency {
        InCurrency { amount: self, decimals: currency.decimals() }
    }
}

/// An amount as it is written in a currency.
#[derive(Clone, Copy, Debug)]
pub struct InCurrency {
    amount: Amount,
    decimals: usize,
}

impl fmt::Display for InCurrency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, part) = (self.amount.0 / SCALE, self.amount.0 % SCALE);
        let digits = format!("{part:0>SCALE_DIGITS$}");
        match &digits[..self.decimals] {
            "" => write!(f, "{whole}"),
            decimals => write!(f, "{whole}.{decimals}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_currency_is_written_with_its_own_decimals() {
        for (text, code, written) in
            [("50.00", "USD", "50.00"), ("50", "USD", "50.00"), ("500", "JPY", "500"), ("1.5", "KWD", "1.500")]
        {
            let currency = Currency::parse(code).unwrap();
            let amount = Amount::parse(text, currency.decimals()).unwrap();
            assert_eq!(amount.in_currency(&currency).to_string(), written);
        }
    }

    #[test]
    fn an_amount_that_its_currency_cannot_write_keeps_its_decimals() {
        let usd = Currency::parse("USD").unwrap();
        let written = |value, currency| Amount::from_ten_thousandths(value).written(currency);
        assert_eq!(written(500_000, Some(&usd)), "50.00");
        assert_eq!(written(505_010, Some(&usd)), "50.501");
        assert_eq!((written(500_000, None), written(5, None)), ("50.00".to_owned(), "0.0005".to_owned()));
    }

    #[test]
    fn the_noise_of_a_float_is_rounded_away_and_real_decimals_are_not() {
        for (text, decimals, read) in [
            ("50.000000000000007", 2, "50"),
            ("49.99999999999999", 2, "50"),
            ("-49.99999999999999", 2, "-50"),
            ("0.30000000000000004", 2, "0.3"),
            ("1.1500000000000001", 4, "1.15"),
            ("99.99999999", 0, "100"),
            ("5e1", 2, "50"),
            ("5.05E+1", 2, "50.5"),
            ("123456e-2", 2, "1234.56"),
            ("5e-1", 2, "0.5"),
            ("1e-12", 2, "0"),
            ("1e11", 2, "100000000000"),
            ("+0050.0", 0, "50"),
            ("-0", 2, "-0"),
        ] {
            let (amount, is_negative) = Amount::parse_float(text, decimals).unwrap();
            assert_eq!(
                format!("{}{}", if is_negative { "-" } else { "" }, amount.written(Currency::parse("JPY").as_ref())),
                read,
                "{text}"
            );
        }
        for text in ["50.001", "50.0049", "49.995", "49.998", "0.1001"] {
            assert_eq!(Amount::parse_float(text, 2), Err(AmountError::TooManyDecimals), "{text}");
        }
        for text in
            ["", "-", "--1", "1e", "e1", "1e1.5", "1e99", "1e999", "1,234.00", "$50", ".5", "5.", " 1", "1e-99", "nan"]
        {
            assert_eq!(Amount::parse_float(text, 2), Err(AmountError::NotADecimal), "{text}");
        }
        for text in ["1e12", "1e30", "99999999999999999999", "900719925474.0992", "900719925474.0991999999"] {
            assert_eq!(Amount::parse_float(text, 4), Err(AmountError::TooLarge), "{text}");
        }
    }

    #[test]
    fn what_is_no_amount_is_refused() {
        for text in ["", "-1", "+1", "1e3", "1,5", ".5", "5.", "nan", "0x10", " 1", "1.2.3", "١"] {
            assert_eq!(Amount::parse(text, 2), Err(AmountError::NotADecimal), "{text}");
        }
        assert_eq!(Amount::parse("1.001", 2), Err(AmountError::TooManyDecimals));
        assert_eq!(Amount::parse("1.000", 2).map(Amount::ten_thousandths), Ok(10_000));
        assert_eq!(Amount::parse("99999999999999999999", 2), Err(AmountError::TooLarge));
        assert_eq!(Amount::parse("900719925474.0992", 4), Err(AmountError::TooLarge));
        assert!(Currency::parse("usd").is_none() && Currency::parse("XXX").is_none());
    }
}
