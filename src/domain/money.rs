//! Money: whole ten-thousandths of a currency unit, so that every ISO 4217 currency fits one scale and no fraction exists.

use std::fmt;

/// Decimals of a ten-thousandth. ISO 4217 has no currency with more than four.
const SCALE_DIGITS: usize = 4;
const SCALE: u64 = 10_000;

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

    /// Whether the currency can be written with it.
    pub fn fits(self, currency: &Currency) -> bool {
        let unit = (currency.decimals()..SCALE_DIGITS).fold(1, |unit, _| unit * 10);
        self.0.is_multiple_of(unit)
    }

    #[must_use]
    pub fn times(self, units: u64) -> Self {
        Self(self.0.saturating_mul(units))
    }

    /// The amount with the decimals of its currency, or with more where it has more. For an unknown currency, with as few as possible.
    pub fn written(self, currency: Option<&Currency>) -> String {
        let zeros = |digits: &&str| digits.len() - digits.trim_end_matches('0').len();
        let part = format!("{:0>SCALE_DIGITS$}", self.0 % SCALE);
        let own = SCALE_DIGITS - zeros(&part.as_str());
        InCurrency { amount: self, decimals: own.max(currency.map_or(0, Currency::decimals)) }.to_string()
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
        assert_eq!((written(500_000, None), written(5, None)), ("50".to_owned(), "0.0005".to_owned()));
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
