//! The requests of buyers and of their payment provider. They are built by hand and not by the API client, because a rush
//! sends tens of thousands a second and counts every kind of answer itself.

use std::rc::Rc;

use serde_json::json;

use super::crowd::Choice;
use crate::{
    tools::client::{CallPath, Endpoint, Request, with_header},
    webhook::{self, Signed, signature::Signer, standard},
};

const HOLDS: &str = "/api/holds";
const ORDERS: &str = "/api/orders";

/// The requests of one rush.
pub struct Requests {
    pub endpoint: Rc<Endpoint>,
    /// The ids of the products that are wanted.
    pub products: Vec<u64>,
    /// A random number, so that no other rush has used the same idempotency keys, or has the same customers.
    pub run: u64,
    pub signer: Option<Signer>,
}

impl Requests {
    /// A hold of one unit for this buyer. Its idempotency key makes it safe to send again.
    pub fn hold(&self, choice: Choice, ttl_seconds: Option<u64>) -> Request {
        let Choice { buyer, product, customer } = choice;
        let (run, product) = (self.run, self.products[product]);
        let ttl = ttl_seconds.map_or_else(String::new, |seconds| format!(r#","ttl_seconds":{seconds}"#));
        let customer = customer.map_or_else(String::new, |at| format!(r#","customer_id":"rush-{run:016x}-{at}""#));
        let body = format!(r#"{{"product_id":{product},"quantity":1{customer}{ttl}}}"#);
        let request = self.endpoint.post(HOLDS, body);
        with_header(request, "idempotency-key", &format!("rush-{run:016x}-{buyer}"))
    }

    pub fn release(&self, hold: &str) -> Request {
        self.endpoint.delete(CallPath::of(HOLDS).segment(hold).as_str())
    }

    pub fn cancel(&self, order: &str) -> Request {
        self.endpoint.post(CallPath::of(ORDERS).segment(order).segment("cancel").as_str(), "")
    }

    pub fn order(&self, hold: &str) -> Request {
        self.endpoint.post(ORDERS, json!({ "hold_id": hold }).to_string())
    }

    /// The event that a payment provider would send.
    pub fn payment(&self, order: &str) -> Request {
        let key = format!("rush-{:016x}-{order}", self.run);
        let payload = json!({"status": "paid", "order_id": order});
        let body = json!({"idempotency_key": key, "payload": payload}).to_string();
        let signed = match &self.signer {
            Some(signer) => signer.sign(&key, webhook::now_seconds(), body),
            None => Signed { headers: Vec::new(), body },
        };
        let request = self.endpoint.post(standard::PROVIDER.path, signed.body);
        signed.headers.iter().fold(request, |request, (name, value)| with_header(request, name, value))
    }
}
