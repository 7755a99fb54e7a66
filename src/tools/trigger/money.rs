//! How much the events are about: what the order costs, or what the caller says instead.

use serde::Deserialize;

use super::TriggerPlan;
use crate::{
    domain::{
        ids::{HoldKind, IdKind},
        money::{Amount, Currency},
        payment::PaymentStatus,
    },
    tools::client::{CallPath, Connection},
    webhook::SampleKind,
};

const HOLDS: &str = "/api/holds";
const ORDERS: &str = "/api/orders";
/// The currency of an amount that stands alone, where the service knows no total.
const USUAL_CURRENCY: &str = "USD";

/// What the caller says about the money.
#[derive(Default)]
pub struct MoneyPlan {
    /// The events say nothing about money.
    pub no_amount: bool,
    /// As it is written. Without it, the total of the order.
    pub amount: Option<String>,
    /// Without it, that of the order.
    pub currency: Option<Currency>,
}

/// What the order costs, as far as the service says.
pub(super) enum Total {
    Is(Amount, Currency),
    /// With the reason.
    Unknown(String),
}

/// The fields of an order or of a hold that matter here.
#[derive(Deserialize)]
struct Priced {
    total_amount: Option<String>,
    currency: Option<String>,
    order_id: Option<String>,
}

impl MoneyPlan {
    /// Whether the service must say what the caller does not.
    pub(super) fn is_asked_for(&self) -> bool {
        !self.no_amount && self.amount.is_none()
    }

    /// The money of an event, and whether it is a part of what was paid.
    pub(super) fn of(&self, kind: SampleKind, total: &Total) -> Result<(Option<(Amount, Currency)>, bool), String> {
        let is_half = kind == SampleKind::PartialRefund;
        let stated = if self.no_amount { None } else { self.stated(total)? };
        if self.no_amount || self.amount.is_some() || !is_half {
            let whole = total.known();
            let is_less = stated.zip(whole).is_some_and(|((part, _), (whole, _))| part < whole);
            return Ok((stated, is_half || kind.status() == PaymentStatus::Refunded && is_less));
        }
        let (whole, currency) = stated.ok_or_else(|| format!("{}: give --amount", total.why_unknown()))?;
        let half = half(whole, currency).ok_or("half of the total is less than the smallest unit: give --amount")?;
        Ok((Some((half, currency)), true))
    }

    /// The amount that the caller says, else the total, in the currency that the caller says, else in that of the order.
    fn stated(&self, total: &Total) -> Result<Option<(Amount, Currency)>, String> {
        let known = total.known();
        let currency =
            self.currency.or(known.map(|(_, currency)| currency)).or_else(|| Currency::parse(USUAL_CURRENCY));
        let Some(currency) = currency else { return Ok(None) };
        match (&self.amount, known) {
            (Some(text), _) => {
                let amount = Amount::parse(text, currency.decimals()).map_err(|error| format!("--amount: {error}"))?;
                Ok(Some((amount, currency)))
            }
            (None, Some((amount, _))) if !amount.fits(&currency) => {
                Err(format!("the total has more decimals than {}: give --amount", currency.code()))
            }
            (None, known) => Ok(known.map(|(amount, _)| (amount, currency))),
        }
    }
}

impl Total {
    fn known(&self) -> Option<(Amount, Currency)> {
        match self {
            Self::Is(amount, currency) => Some((*amount, *currency)),
            Self::Unknown(_) => None,
        }
    }

    pub(super) fn why_unknown(&self) -> &str {
        match self {
            Self::Is(..) => "the total is known",
            Self::Unknown(why) => why,
        }
    }
}

/// Half of an amount, rounded down to the smallest unit of its currency. `None` where that is nothing.
fn half(whole: Amount, currency: Currency) -> Option<Amount> {
    let unit = 10_u64.pow(4 - u32::try_from(currency.decimals()).unwrap_or(4).min(4));
    let half = whole.ten_thousandths() / 2 / unit * unit;
    (half > 0).then(|| Amount::from_ten_thousandths(half))
}

/// Asks the service what the order costs, or the hold. Nobody asks where the caller says everything.
///
/// # Errors
/// When the events need it and the service does not answer.
pub(super) async fn total(connection: &mut Connection, plan: &TriggerPlan) -> Result<Total, String> {
    let money = &plan.money;
    if money.no_amount {
        return Ok(Total::Unknown("nobody asked for the total".to_owned()));
    }
    let is_needed = money.amount.is_none() || money.currency.is_none();
    let path = if plan.target.starts_with(HoldKind::PREFIX) { HOLDS } else { ORDERS };
    match ask(connection, plan, path, &plan.target).await {
        Err(why) if is_needed => Err(why),
        Err(why) => Ok(Total::Unknown(why)),
        Ok(total) => Ok(total),
    }
}

async fn ask(connection: &mut Connection, plan: &TriggerPlan, path: &'static str, id: &str) -> Result<Total, String> {
    let url = plan.endpoint.url();
    let answer = connection.send(plan.endpoint.get(CallPath::of(path).segment(id).as_str())).await;
    let answer = answer.map_err(|error| format!("{url} does not answer: {error}"))?;
    let unknown = || Total::Unknown(format!("the service knows no total of {id}"));
    match answer.status {
        200 => {}
        404 | 410 => return Ok(unknown()),
        401 => {
            let why = if plan.endpoint.has_api_key() { "does not know this API key" } else { "asks for an API key" };
            let why = format!("{url} {why} before it says what the order costs");
            // Events need no key, and those of our own webhook need no amount.
            let is_fatal = plan.provider.names_amount && plan.money.amount.is_none();
            return if is_fatal {
                Err(format!("{why}: --api-key, or --amount and --currency"))
            } else {
                Ok(Total::Unknown(why))
            };
        }
        status => return Err(format!("{url} answers {status} when it is asked what {id} costs")),
    }
    let Ok(priced) = serde_json::from_slice::<Priced>(&answer.body) else {
        return Err(format!("the answer of {url} is not one of flashsale: is --url right?"));
    };
    let total = priced.currency.as_deref().and_then(Currency::parse).and_then(|currency| {
        let amount = Amount::parse(priced.total_amount.as_deref()?, currency.decimals()).ok()?;
        Some(Total::Is(amount, currency))
    });
    match (total, priced.order_id) {
        (Some(total), _) => Ok(total),
        (None, Some(order)) if path == HOLDS => Box::pin(ask(connection, plan, ORDERS, &order)).await,
        (None, _) => Ok(unknown()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn currency(code: &str) -> Currency {
        Currency::parse(code).unwrap()
    }

    /// An amount of so many ten-thousandths and the currency, as an event says them.
    fn says(plan: &MoneyPlan, kind: SampleKind, total: &Total) -> (Option<(u64, &'static str)>, bool) {
        let (money, is_partial) = plan.of(kind, total).unwrap();
        (money.map(|(amount, currency)| (amount.ten_thousandths(), currency.code())), is_partial)
    }

    #[test]
    fn an_event_is_about_the_total_unless_the_caller_says_something_else() {
        let total = Total::Is(Amount::from_ten_thousandths(500_000), currency("EUR"));
        let usual = MoneyPlan::default();
        assert_eq!(says(&usual, SampleKind::Paid, &total), (Some((500_000, "EUR")), false));
        let other = MoneyPlan { amount: Some("10".to_owned()), ..MoneyPlan::default() };
        assert_eq!(says(&other, SampleKind::Paid, &total), (Some((100_000, "EUR")), false));
        assert_eq!(says(&other, SampleKind::Refunded, &total), (Some((100_000, "EUR")), true));
        let unknown = Total::Unknown(String::new());
        assert_eq!(says(&other, SampleKind::Refunded, &unknown), (Some((100_000, "USD")), false));
        let foreign = MoneyPlan { currency: Some(currency("CHF")), ..MoneyPlan::default() };
        assert_eq!(says(&foreign, SampleKind::Paid, &total), (Some((500_000, "CHF")), false));
        let none = MoneyPlan { no_amount: true, ..MoneyPlan::default() };
        assert_eq!(says(&none, SampleKind::PartialRefund, &total), (None, true));
        assert_eq!(says(&usual, SampleKind::Paid, &unknown), (None, false));
        let yen = MoneyPlan { currency: Some(currency("JPY")), ..MoneyPlan::default() };
        let cents = Total::Is(Amount::from_ten_thousandths(505_000), currency("EUR"));
        assert!(yen.of(SampleKind::Paid, &cents).is_err_and(|why| why.contains("more decimals than JPY")));
    }

    #[test]
    fn a_part_is_half_of_the_total_in_whole_units_of_the_currency() {
        let part = |ten_thousandths: u64, code: &str| {
            let total = Total::Is(Amount::from_ten_thousandths(ten_thousandths), currency(code));
            MoneyPlan::default()
                .of(SampleKind::PartialRefund, &total)
                .map(|(money, _)| money.unwrap().0.ten_thousandths())
        };
        assert_eq!(part(500_000, "USD"), Ok(250_000));
        assert_eq!(part(500_100, "USD"), Ok(250_000), "half a cent is rounded away");
        assert_eq!(part(10_010_000, "JPY"), Ok(5_000_000), "and half a yen");
        assert_eq!(part(10_010, "KWD"), Ok(5_000), "and half a fils");
        assert!(part(100, "USD").is_err_and(|why| why.contains("give --amount")), "half of one cent");
        let unknown = MoneyPlan::default().of(SampleKind::PartialRefund, &Total::Unknown("no total".to_owned()));
        assert!(unknown.is_err_and(|why| why == "no total: give --amount"));
    }
}
