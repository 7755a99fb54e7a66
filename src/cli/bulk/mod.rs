//! Many things at once: one call of the service for each, a few at a time. Each call can be sent again and does nothing twice.

mod file;
mod report;
mod which;

use std::cell::{Cell, RefCell};

use futures_util::future::join_all;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use self::report::Report;
use super::{
    exit::Exit,
    print::{print_line, print_note},
    progress::{Counting, Progress},
    service::{CommandError, ServiceArgs, brief},
    table::cell,
};
use crate::tools::client::{
    CallPath,
    api::{ApiCall, ApiClient, CallError},
};

pub(super) use self::which::{Target, WhichArgs, product_path, products};

/// Connections, and so calls at the same time. The service decides those of one sale one after another.
const CONNECTIONS: usize = 8;

/// One of many.
pub(super) struct Step {
    /// The row of the file, from 1 on.
    pub(super) row: Option<u64>,
    /// What people call it.
    pub(super) name: String,
    pub(super) work: Work,
}

pub(super) enum Work {
    Call {
        before: Before,
        call: ApiCall,
    },
    /// Why nothing is sent.
    Wrong(String),
}

/// How it stands before the call, to see what the call changed.
pub(super) enum Before {
    Known(Value),
    At {
        path: CallPath,
        /// The id that it must have.
        id: Option<u64>,
    },
}

/// What the many are, and how they are reported.
pub(super) struct Kind {
    /// Their noun.
    pub(super) noun: &'static str,
    /// The fields that the calls change.
    pub(super) fields: &'static [&'static str],
    /// What to do when not everything was tried.
    pub(super) go_on: String,
    /// The name of the run, where the service remembers what was done in it.
    pub(super) run: Option<String>,
}

impl Kind {
    /// What the call changed: `{"price": {"from": "9.00", "to": "9.50"}}`, as events have it.
    fn changed(&self, before: &Value, after: &Value) -> Map<String, Value> {
        let fields = self.fields.iter().filter(|field| before[**field] != after[**field]);
        fields.map(|field| ((*field).to_owned(), json!({"from": before[*field], "to": after[*field]}))).collect()
    }
}

/// What became of one.
enum Outcome {
    Done(Map<String, Value>),
    Unchanged,
    Refused {
        code: String,
        detail: String,
    },
    /// Sent, and no answer came.
    Unknown(String),
    NotTried,
}

/// Does all steps, prints the report, and gives the exit status.
///
/// # Errors
/// When not every step has an answer. The report says which.
pub(super) async fn run(
    client: &ApiClient,
    service: &ServiceArgs,
    kind: &Kind,
    steps: Vec<Step>,
) -> Result<Exit, CommandError> {
    let rows: Vec<_> = steps.iter().map(|step| (step.row, step.name.clone())).collect();
    let progress = RefCell::new(Progress::begin(Counting::Things(kind.noun, Some(steps.len() as u64))));
    let outcomes = RefCell::new(rows.iter().map(|_| Outcome::NotTried).collect::<Vec<_>>());
    let (queue, stopped) = (RefCell::new(steps.into_iter().enumerate()), Cell::new(None));
    let connections = (0..rows.len().min(CONNECTIONS)).map(|_| async {
        let mut client = client.beside();
        loop {
            // After the first step without an answer no other begins.
            let why: Option<String> = stopped.take();
            let is_stopped = why.is_some();
            stopped.set(why);
            let Some((at, step)) = queue.borrow_mut().next().filter(|_| !is_stopped) else { break };
            let (outcome, why) = take(&mut client, kind, step.work).await;
            if let Some(why) = why {
                stopped.set(Some(why));
            }
            outcomes.borrow_mut()[at] = outcome;
            progress.borrow_mut().one_more();
        }
    });
    join_all(connections).await;
    progress.borrow_mut().end();
    let report = Report::new(kind, rows.into_iter().zip(outcomes.into_inner()).collect());
    print_line(&if service.json { report.json() } else { report.text() });
    match stopped.take() {
        Some(why) => Err(CommandError::NotDone(format!("{why}\n  {}", kind.go_on))),
        None => Ok(if report.is_good() { Exit::Done } else { Exit::No }),
    }
}

/// Does one step. Gives also why no other should begin, if so.
async fn take(client: &mut ApiClient, kind: &Kind, work: Work) -> (Outcome, Option<String>) {
    let (before, call) = match work {
        Work::Wrong(detail) => return (Outcome::Refused { code: String::new(), detail }, None),
        Work::Call { before, call } => (before, call),
    };
    let before = match before {
        Before::Known(before) => before,
        Before::At { path, id } => match read(client, path).await {
            Ok(before) if id.is_some_and(|id| before["id"] != id) => return (other_product(&before, id), None),
            Ok(before) => before,
            Err(CallError::Refused(refusal)) if refusal.is_refusal() => return answered(CallError::Refused(refusal)),
            // Only read.
            Err(error) => return (Outcome::NotTried, Some(brief(&error))),
        },
    };
    let call = match &kind.run {
        Some(run) => call.with_header("idempotency-key", key_in_run(run, &before["id"])),
        None => call,
    };
    match client.send(call).await.and_then(|reply| reply.json::<Value>()) {
        Ok(after) => {
            let changed = kind.changed(&before, &after);
            (if changed.is_empty() { Outcome::Unchanged } else { Outcome::Done(changed) }, None)
        }
        Err(error) => answered(error),
    }
}

async fn read(client: &mut ApiClient, path: CallPath) -> Result<Value, CallError> {
    client.send(ApiCall::get(path)).await?.json()
}

/// The row has the id of one product and the SKU of another.
fn other_product(before: &Value, id: Option<u64>) -> Outcome {
    let (id, found) = (id.unwrap_or_default(), cell(&before["id"]));
    let detail = format!("the row has id {id}, and its sku is that of product {found}: which one is meant?");
    Outcome::Refused { code: String::new(), detail }
}

/// What a call without a success means.
fn answered(error: CallError) -> (Outcome, Option<String>) {
    let why = brief(&error);
    match error {
        // Everything else would be refused like this.
        CallError::Refused(refusal) if matches!(refusal.status, 401 | 403) => (Outcome::NotTried, Some(why)),
        CallError::Refused(refusal) if refusal.is_refusal() => {
            (Outcome::Refused { code: refusal.code, detail: refusal.detail }, None)
        }
        CallError::Refused(_) | CallError::Unreadable => (Outcome::Unknown(why.clone()), Some(why)),
        CallError::Transport(error) if error.may_have_effect() => (Outcome::Unknown(why.clone()), Some(why)),
        _ => (Outcome::NotTried, Some(why)),
    }
}

/// The idempotency key of a product in a run, by its id, whether a file names it by SKU or not. The units are not in it, so that
/// another number in the same run is refused, and not added to what the run did before.
fn key_in_run(run: &str, id: &Value) -> String {
    let hash = Sha256::digest(format!("{run}\0{id}").as_bytes());
    let digits: String = hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    format!("run-{digits}")
}

/// The name of a run: the caller's, or a new one. A new one is printed at once, because the command may be killed.
///
/// # Errors
/// When the system gives no random bytes.
pub(super) fn run_name(given: Option<&str>) -> Result<String, CommandError> {
    if let Some(name) = given {
        return Ok(name.to_owned());
    }
    let random = getrandom::u64().map_err(|error| CommandError::NotDone(error.to_string()))?;
    let name = format!("run-{random:016x}");
    print_note(&format!("This is {name}. If it breaks off, the same again with --run {name} goes on."));
    Ok(name)
}
