//! The requests of buyers and of their payment provider. They are built by hand and not by the API client, because a rush
//! sends tens of thousands a second and counts every kind of answer itself.

use std::rc::Rc;

use serde_json::json;

use crate::{
    tools::client::{Endpoint, Request, with_header},
    webhook::{self, Signed, signature::Signer, standard},
};

/// The requests of one rush, about one product.
pub struct Requests {
    pub endpoint: Rc<Endpoint>,
    pub product: u64,
    /// A random number, so that no other rush has used the same idempotency keys.
    pub run: u64,
    pub signer: Option<Signer>,
}

impl Requests {
    /// A hold of one unit for this buyer. Its idempotency key makes it safe to send again.
    pub fn hold(&self, buyer: u64, ttl_seconds: Option<u64>) -> Request {
        let ttl = ttl_seconds.map_or_else(String::new, |seconds| format!(r#","ttl_seconds":{seconds}"#));
        let body = format!(r#"{{"product_id":{},"quantity":1{ttl}}}"#, self.product);
        let request = self.endpoint.post("/api/holds", body);
        with_header(request, "idempotency-key", &format!("rush-{:016x}-{buyer}", self.run))
    }

    pub fn order(&self, hold: &str) -> Request {
        self.endpoint.post("/api/orders", json!({ "hold_id": hold }).to_string())
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
