//! Requests as commands: what a handler is given was read, checked and parsed.

use std::{future::Future, pin::Pin};

use actix_web::{FromRequest, HttpRequest, dev::Payload, web::Data};

use super::{Desk, problem::Problem};

/// What a request can ask for.
pub(super) trait Ask: Sized + 'static {
    /// # Errors
    /// A [`Problem`] that says what is wrong with the request.
    fn read(request: HttpRequest, payload: Payload) -> impl Future<Output = Result<Self, Problem>>;
}

/// The argument of a handler.
pub(super) struct Asked<T>(pub(super) T);

impl<T: Ask> FromRequest for Asked<T> {
    type Error = Problem;
    type Future = Pin<Box<dyn Future<Output = Result<Self, Problem>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let asking = T::read(request.clone(), payload.take());
        Box::pin(async move { asking.await.map(Self) })
    }
}

pub(super) fn desk(request: &HttpRequest) -> Data<Desk> {
    request.app_data::<Data<Desk>>().expect("the application registers its desk").clone()
}
