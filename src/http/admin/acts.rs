//! One line in the log for each act of an admin: who did what to which thing, why, and what it changed.

use serde_json::{Map, Value};

use crate::{
    domain::{
        act::{Act, Change, Reason},
        product::Product,
        sale::Sale,
    },
    http::{fields::Object, parameters::Parameters},
    wire::{event::changed_fields, product::ProductBody, sale::SaleBody},
};

/// `what`: the word of the event, such as `product.restocked`.
pub(super) fn log(act: &Act, what: &'static str, of: &str) {
    log_change(act, what, of, &Map::new());
}

/// Logs a change of a product, where it changed anything.
pub(super) fn log_product(act: &Act, what: &'static str, change: &Change<Product>) {
    if let Some(before) = &change.before {
        let fields = changed_fields(&ProductBody::of(before), &ProductBody::of(&change.after));
        log_change(act, what, &format!("product {}", change.after.id), &fields);
    }
}

/// Logs a change of a sale, where it changed anything.
pub(super) fn log_sale(act: &Act, what: &'static str, change: &Change<Sale>) {
    if let Some(before) = &change.before {
        let fields = changed_fields(&SaleBody::of(before), &SaleBody::of(&change.after));
        log_change(act, what, &format!("sale {}", change.after.id), &fields);
    }
}

fn log_change(act: &Act, what: &'static str, of: &str, change: &Map<String, Value>) {
    let change = (!change.is_empty()).then(|| Value::from(change.clone()).to_string());
    tracing::info!(
        admin.what = what,
        admin.of = of,
        admin.actor = act.actor(),
        admin.reason = act.reason(),
        admin.change = change,
        "an admin acted"
    );
}

/// The field `reason` of a body.
pub(super) fn reason_in(object: &mut Object<'_, '_>) -> Option<Reason> {
    object.text("reason", Reason::RULE, Reason::parse)
}

/// The parameter `reason` of a request without a body of its own.
pub(super) fn reason_of(parameters: &mut Parameters) -> Option<Reason> {
    parameters.read("reason", Reason::RULE, Reason::parse)
}
