//! The query of an export.

use actix_web::{
    HttpRequest,
    dev::Payload,
    http::{Method, Version},
};

use super::{
    Parameters, authorize,
    rows::{self, Format, Row},
    times::{Times, TimesForm, zone},
};
use crate::{
    domain::{
        ids::SaleId,
        order::{Order, OrderStatus},
        order_filter::Period,
    },
    http::{
        extract::FromHttp,
        problem::{Code, Problem},
    },
    wire::{item::ItemRow, order::OrderRow, payment::PaymentRow},
};

const PARAMETERS: [&str; 10] = ["per", "format", "sale", "status", "since", "until", "by", "columns", "times", "zone"];

/// What has a row.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Per {
    Order,
    Item,
    Payment,
}

impl Per {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "order" => Some(Self::Order),
            "item" => Some(Self::Item),
            "payment" => Some(Self::Payment),
            _ => None,
        }
    }

    fn plural(self) -> &'static str {
        match self {
            Self::Order => "orders",
            Self::Item => "items",
            Self::Payment => "payments",
        }
    }

    /// The columns of its CSV, and the fields of its NDJSON that have no column.
    fn columns(self) -> (&'static [&'static str], &'static [&'static str]) {
        match self {
            Self::Order => (OrderRow::COLUMNS, OrderRow::LISTS),
            Self::Item => (ItemRow::COLUMNS, ItemRow::LISTS),
            Self::Payment => (PaymentRow::COLUMNS, PaymentRow::LISTS),
        }
    }
}

/// The time of an order that `since` and `until` are about.
#[derive(Clone, Copy, PartialEq, Eq)]
enum By {
    CreatedAt,
    /// Orders that were never paid are in no period.
    PaidAt,
}

impl By {
    fn parse(text: &str) -> Option<Self> {
        match text {
            "created_at" => Some(Self::CreatedAt),
            "paid_at" => Some(Self::PaidAt),
            _ => None,
        }
    }
}

/// The query of an export.
pub(in crate::http) struct ExportRequest {
    pub(super) per: Per,
    pub(super) format: Format,
    status: Option<OrderStatus>,
    pub(super) sale: Option<SaleId>,
    period: Period,
    by: By,
    /// `None`: all.
    columns: Option<Vec<&'static str>>,
    times: Times,
    pub(super) head_only: bool,
}

impl FromHttp for ExportRequest {
    async fn read(request: HttpRequest, _payload: Payload) -> Result<Self, Problem> {
        authorize(&request)?;
        if request.version() < Version::HTTP_11 {
            let detail = "before HTTP/1.1 a client cannot distinguish an export that broke off from a whole one";
            return Err(Problem::new(Code::UpgradeRequired, detail));
        }
        let mut parameters = Parameters::of(&request, &PARAMETERS);
        let per = parameters.read("per", "order, item or payment", Per::parse).unwrap_or(Per::Order);
        let format = parameters.read("format", "csv or ndjson", Format::parse).unwrap_or(Format::Csv);
        let asked = Self {
            per,
            format,
            status: parameters.status(),
            sale: parameters.sale(),
            period: parameters.period(),
            by: parameters.read("by", "created_at or paid_at", By::parse).unwrap_or(By::CreatedAt),
            columns: columns(&mut parameters, per, format),
            times: times(&mut parameters),
            head_only: *request.method() == Method::HEAD,
        };
        parameters.finish(asked)
    }
}

fn columns(parameters: &mut Parameters, per: Per, format: Format) -> Option<Vec<&'static str>> {
    let (columns, lists) = per.columns();
    let known = [columns, if format == Format::Ndjson { lists } else { &[] }].concat();
    let what = format!("columns with commas between, each once, of {}", known.join(", "));
    parameters.read("columns", &what, |text| {
        let find = |name: &str| known.iter().find(|known| **known == name.trim()).copied();
        let chosen: Vec<_> = text.split(',').map(find).collect::<Option<_>>()?;
        let is_first = |(at, name): (usize, &&str)| !chosen[..at].contains(name);
        chosen.iter().enumerate().all(is_first).then_some(chosen)
    })
}

fn times(parameters: &mut Parameters) -> Times {
    let form = parameters.read("times", "rfc3339 or spreadsheet", TimesForm::parse);
    let what = "a time zone such as Europe/Berlin, or a distance from UTC such as -05:00 (in a URL, + is %2B)";
    Times { form: form.unwrap_or(TimesForm::Rfc3339), zone: parameters.read("zone", what, zone) }
}

impl ExportRequest {
    /// When the orders were made that may be wanted. Nobody pays an order before it is made.
    pub(super) fn made(&self) -> Period {
        match self.by {
            By::CreatedAt => self.period,
            By::PaidAt => Period { since_ms: None, ..self.period },
        }
    }

    pub(super) fn wants(&self, order: &Order) -> bool {
        let is_in_period = match self.by {
            By::CreatedAt => true,
            By::PaidAt => order.paid_ms.is_some_and(|ms| self.period.contains(ms)),
        };
        is_in_period && self.status.is_none_or(|status| order.status == status)
    }

    /// Whether the number of rows can be said without reading orders.
    pub(super) fn is_counted(&self) -> bool {
        self.per == Per::Order && self.status.is_none() && self.by == By::CreatedAt
    }

    pub(super) fn head(&self) -> Vec<u8> {
        match (self.format, &self.columns) {
            (Format::Ndjson, _) => Vec::new(),
            (Format::Csv, Some(columns)) => rows::head(columns),
            (Format::Csv, None) => rows::head(self.per.columns().0),
        }
    }

    pub(super) fn rows<R: Row>(&self, rows: impl Iterator<Item = R>) -> Vec<u8> {
        match (self.format, &self.columns) {
            (Format::Csv, columns) => rows::csv(rows, columns.as_deref().unwrap_or(R::COLUMNS), &self.times),
            (Format::Ndjson, columns) => rows::ndjson(rows, columns.as_deref(), &self.times),
        }
    }

    /// `orders-drop-1-paid.csv`
    pub(super) fn file_name(&self) -> String {
        let parts =
            [Some(self.per.plural()), self.sale.as_ref().map(SaleId::as_str), self.status.map(OrderStatus::as_str)];
        let stem = parts.into_iter().flatten().collect::<Vec<_>>().join("-");
        format!("{stem}.{}", self.format.ending())
    }
}
