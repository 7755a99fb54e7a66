//! DELETE /api/admin/products/{id}, and POST …/move: for products that never sold.

use actix_web::{HttpRequest, HttpResponse, dev::Payload, web::Data};

use super::{
    Parameters, acts, authorize,
    new_product::currency_differs,
    products::{key_in_path, named},
};
use crate::{
    domain::{
        act::{Act, Reason},
        ids::SaleId,
        outcome::{DeleteProductOutcome, MoveProductOutcome},
        sku::ProductKey,
        visibility::Audience,
    },
    http::{
        body,
        extract::{FromHttp, Parsed},
        fields::{Json, Object},
        problem::{FieldError, Problem},
        products, refusals,
    },
    store::Store,
};

pub(in crate::http) async fn delete(
    store: Data<Store>,
    Parsed(DeleteRequest { key, act }): Parsed<DeleteRequest>,
) -> Result<HttpResponse, Problem> {
    let id = named(&store, &key).await?;
    match store.delete_product(id, &act).await? {
        DeleteProductOutcome::Deleted => {
            acts::log(&act, "product.deleted", &format!("product {id}"));
            Ok(HttpResponse::NoContent().finish())
        }
        DeleteProductOutcome::ProductNotFound => Err(refusals::product_not_found()),
        DeleteProductOutcome::HasOrders => Err(refusals::product_has_orders()),
        DeleteProductOutcome::HasHolds => Err(refusals::product_has_holds()),
    }
}

pub(in crate::http) async fn to_sale(
    store: Data<Store>,
    Parsed(MoveRequest { key, to, act }): Parsed<MoveRequest>,
) -> Result<HttpResponse, Problem> {
    let id = named(&store, &key).await?;
    match store.move_product(id, &to, &act).await? {
        MoveProductOutcome::Moved { from } => {
            acts::log(&act, "product.moved", &format!("product {id} from {from} to {to}"));
            products::changed_product(&store, id).await
        }
        MoveProductOutcome::AlreadyThere => products::product(&store, id, Audience::Admins).await,
        MoveProductOutcome::ProductNotFound => Err(refusals::product_not_found()),
        MoveProductOutcome::SaleNotFound => Err(refusals::sale_not_found()),
        MoveProductOutcome::CurrencyDiffers { sale_currency } => Err(currency_differs("/sale", sale_currency)),
        MoveProductOutcome::SaleIsSpread(sale) => Err(refusals::sale_is_spread(&sale)),
        MoveProductOutcome::HasOrders => Err(refusals::product_has_orders()),
        MoveProductOutcome::HasHolds => Err(refusals::product_has_holds()),
    }
}

pub(in crate::http) struct DeleteRequest {
    key: ProductKey,
    act: Act,
}

impl FromHttp for DeleteRequest {
    async fn read(request: HttpRequest, _payload: Payload) -> Result<Self, Problem> {
        let act = authorize(&request)?;
        let mut parameters = Parameters::of(&request, &["reason"]);
        let act = act.because(acts::reason_of(&mut parameters));
        parameters.finish(())?;
        Ok(Self { key: key_in_path(&request)?, act })
    }
}

/// The body of POST /api/admin/products/{id}/move, and the product in its path.
pub(in crate::http) struct MoveRequest {
    key: ProductKey,
    to: SaleId,
    act: Act,
}

impl FromHttp for MoveRequest {
    async fn read(request: HttpRequest, mut payload: Payload) -> Result<Self, Problem> {
        let act = authorize(&request)?;
        let key = key_in_path(&request)?;
        let (to, reason) = body::read_json(&request, &mut payload, read_move).await?;
        Ok(Self { key, to, act: act.because(reason) })
    }
}

fn read_move(json: Json<'_>, errors: &mut Vec<FieldError>) -> Option<(SaleId, Option<Reason>)> {
    let mut object = Object::open(json, "", &["sale", "reason"], errors)?;
    let reason = acts::reason_in(&mut object);
    Some((object.required_text("sale", "the id of a sale", SaleId::parse)?, reason))
}
