//! Lists that commands read as a whole. One that takes long says how far it is.

use serde_json::Value;

use super::{
    progress::{Counting, Progress},
    table::counted,
};
use crate::{
    tools::client::{
        CallPath,
        api::{ApiClient, CallError},
        walk,
    },
    wire::Page,
};

/// All rows of a list, or the first of them. `noun` is what a row is.
pub(super) async fn read_list(
    client: &mut ApiClient,
    noun: &'static str,
    path: CallPath,
    most: Option<u64>,
) -> Result<Page<Value>, CallError> {
    let mut progress = Progress::begin(Counting::Things(noun, None));
    let mut calls = 0;
    walk::read_list(client, path, most, |found| {
        calls += 1;
        progress.set(found as u64, format!("found in {}", counted(calls, "call")));
    })
    .await
}
