//! GET /api/admin/token: whose token this is, and what it may do. Never the token itself.

use actix_web::{HttpRequest, HttpResponse, dev::Payload, http::StatusCode};

use super::{Role, role_of};
use crate::{
    http::{
        answer,
        extract::{FromHttp, Parsed},
        problem::Problem,
    },
    wire::token::{Right, TokenBody},
};

pub(in crate::http) async fn read(Parsed(ReadRequest(role)): Parsed<ReadRequest>) -> HttpResponse {
    let body = match &role {
        Role::Full(actor) => {
            TokenBody { name: actor.as_ref().map(|actor| actor.as_str().into()), rights: &[Right::Read, Right::Change] }
        }
        Role::Reading => TokenBody { name: None, rights: &[Right::Read] },
    };
    answer::fresh_json(StatusCode::OK, &body)
}

pub(in crate::http) struct ReadRequest(Role);

impl FromHttp for ReadRequest {
    async fn read(request: HttpRequest, _payload: Payload) -> Result<Self, Problem> {
        role_of(&request).map(Self)
    }
}
