//! GET /api/admin/customers/{id}.

use actix_web::{HttpRequest, HttpResponse, dev::Payload, http::StatusCode, web::Data};

use super::{Parameters, authorize};
use crate::{
    domain::{
        customer::SaleCustomer,
        ids::SaleId,
        outcome::{FindCustomerOutcome, HoldOutcome},
        text::CustomerId,
    },
    http::{
        answer,
        extract::{FromHttp, Parsed},
        holds,
        problem::{Code, FieldError, Problem},
        refusals,
    },
    store::Store,
    wire::{
        customer::{CustomerBody, RefusalBody, SaleCustomerBody},
        order::OrderRow,
    },
};

pub(in crate::http) async fn read(
    store: Data<Store>,
    Parsed(request): Parsed<ReadRequest>,
) -> Result<HttpResponse, Problem> {
    let found = match store.find_customer(&request.customer, request.sale.as_ref()).await? {
        FindCustomerOutcome::Found(found) => found,
        FindCustomerOutcome::SaleNotFound => return Err(refusals::sale_not_found()),
        FindCustomerOutcome::TooManySales { sales } => {
            let detail = format!("there are {sales} sales, too many to look into all of them: name one with ?sale=");
            return Err(Problem::new(Code::SaleRequired, detail));
        }
    };
    let body = CustomerBody {
        customer_id: request.customer.as_str().into(),
        sales: found.sales.iter().map(body).collect(),
        orders: found.orders.iter().map(OrderRow::of).collect(),
        orders_examined: found.orders_examined,
        has_older: found.has_older,
    };
    Ok(answer::fresh_json(StatusCode::OK, &body))
}

fn body(customer: &SaleCustomer) -> SaleCustomerBody<'_> {
    let each = customer.products.iter().map(|product| customer.refusal_of(product).and_then(refusal)).collect();
    SaleCustomerBody::of(customer, customer.refusal().and_then(refusal), each)
}

/// The words that the buyer would get.
fn refusal(outcome: HoldOutcome) -> Option<RefusalBody> {
    let (code, detail, more) = holds::answered(outcome).err()?.parts();
    Some(RefusalBody { code, detail, more })
}

pub(in crate::http) struct ReadRequest {
    customer: CustomerId,
    sale: Option<SaleId>,
}

impl FromHttp for ReadRequest {
    async fn read(request: HttpRequest, _payload: Payload) -> Result<Self, Problem> {
        authorize(&request)?;
        let mut parameters = Parameters::of(&request, &["sale"]);
        let sale = parameters.sale();
        // Decoded whole: `query` leaves the `%` and `/` of an id encoded.
        let id = request.match_info().load::<String>().ok();
        let customer = id.and_then(|id| CustomerId::parse(&id)).ok_or_else(|| {
            let detail = format!("the id of a customer is {}", CustomerId::RULE).into();
            Problem::of_fields(&[FieldError { pointer: String::new(), code: "invalid_format", detail }])
        })?;
        parameters.finish(Self { customer, sale })
    }
}
