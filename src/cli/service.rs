//! What all commands share that ask a running service: which service, whose token, the exit status, and the text of an
//! error.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    time::Duration,
};

use clap::Args;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::{runtime::Builder, task::LocalSet};

use super::{
    CommonArgs, URL,
    arguments::{filled, variable},
    exit::Exit,
    instant, load,
    print::{print_error, print_line},
};
use crate::{
    config::{Overrides, Secret, Settings},
    tools::{
        client::{
            Bounds, Endpoint, TransportError,
            api::{ApiClient, ApiReply, CallError, Refusal},
        },
        text::printable,
    },
    wire::Page,
};

const HEADING: &str = "Service and output";

/// Which service, and whose token.
#[derive(Args)]
pub(super) struct ServiceArgs {
    /// URL of the service [default: `FLASHSALE_URL`, else http.addr of the settings]
    #[arg(long, global = true, help_heading = HEADING, value_name = "URL", value_parser = filled)]
    url: Option<String>,
    /// Admin token [default: `admin.token` of the settings (`FLASHSALE_ADMIN__TOKEN`), else the first of `admin.tokens`,
    /// else of `admin.read_tokens`]
    #[arg(long, global = true, help_heading = HEADING, value_name = "TOKEN", value_parser = filled)]
    token: Option<String>,
    /// Longest wait for an answer of the service [default: 1m; of an audit 10m]
    #[arg(long, global = true, help_heading = HEADING, value_name = "TIME", value_parser = instant::read_pause)]
    pub(super) timeout: Option<Duration>,
    /// Print the service's answer as it comes, also a refusal
    #[arg(long, global = true, help_heading = HEADING)]
    pub(super) json: bool,
}

/// Why a command could not do its work.
pub(super) enum CommandError {
    Call(CallError),
    /// Anything that is not about the service: a file that cannot be read, flags that do not fit.
    NotDone(String),
}

impl From<CallError> for CommandError {
    fn from(error: CallError) -> Self {
        Self::Call(error)
    }
}

impl ServiceArgs {
    /// Does the work with a client for the service. Prints why it could not be done, if it could not.
    pub(super) fn run(
        &self,
        common: &CommonArgs,
        work: impl AsyncFnOnce(&mut ApiClient) -> Result<Exit, CommandError>,
    ) -> Exit {
        with_service(self.client(common), async |mut client| match work(&mut client).await {
            Err(CommandError::NotDone(why)) => Err(why),
            Err(CommandError::Call(error)) => Ok(self.report(&error, &client)),
            Ok(exit) => Ok(exit),
        })
    }

    /// Prints why a call failed; gives the exit status for it.
    fn report(&self, error: &CallError, client: &ApiClient) -> Exit {
        print_error(&explain(error, client));
        let CallError::Refused(refusal) = error else { return Exit::Unknown };
        if self.json && !refusal.problem.is_null() {
            print_line(&String::from_utf8_lossy(&refusal.body));
        }
        if refusal.is_refusal() { Exit::No } else { Exit::Unknown }
    }

    /// Prints an answer: as it came, or as a text for people.
    pub(super) fn show<T: DeserializeOwned>(
        &self,
        reply: &ApiReply,
        text: impl FnOnce(&T) -> String,
    ) -> Result<Exit, CommandError> {
        if self.json {
            reply.json::<Value>()?;
            print_line(&String::from_utf8_lossy(&reply.body));
        } else {
            print_line(&text(&reply.json()?));
        }
        Ok(Exit::Done)
    }

    /// Prints a list, as [`ServiceArgs::show`] does with one answer.
    pub(super) fn show_list<T: DeserializeOwned>(
        &self,
        list: Page<Value>,
        text: impl FnOnce(&[T]) -> String,
    ) -> Result<Exit, CommandError> {
        if self.json {
            print_line(&json!(list).to_string());
        } else {
            let rows = list.data.into_iter().map(serde_json::from_value).collect::<Result<Vec<T>, _>>();
            print_line(&text(&rows.map_err(|_| CallError::Unreadable)?));
        }
        Ok(Exit::Done)
    }

    fn client(&self, common: &CommonArgs) -> Result<ApiClient, String> {
        let settings = settings(common)?;
        let endpoint = endpoint(self.url.as_deref(), &settings)?;
        let token = self.token.as_deref().or_else(|| known_token(&settings));
        let mut client = ApiClient::new(endpoint, token).map_err(|error| error.to_string())?;
        if let Some(timeout) = self.timeout {
            client.set_timeout(timeout);
        }
        Ok(client)
    }
}

/// A client for a command that asks again and again: URL and token of the flags, else of the settings.
pub(super) fn client_of(
    url: Option<&str>,
    token: Option<&str>,
    settings: &Settings,
    bounds: Bounds,
) -> Result<ApiClient, String> {
    let endpoint = endpoint(url, settings)?;
    let token = token.or_else(|| known_token(settings));
    let token = token.ok_or(TOKEN_NEEDED)?;
    ApiClient::bounded(endpoint, Some(token), bounds).map_err(|error| error.to_string())
}

/// Does the work of a command that asks a service, on a runtime of one thread. Every such command runs here: with the
/// client that it needs, or with the reason why there is none. An error of either is printed.
pub(super) fn with_service<C>(client: Result<C, String>, work: impl AsyncFnOnce(C) -> Result<Exit, String>) -> Exit {
    let runtime = || Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string());
    let done = client.and_then(|client| LocalSet::new().block_on(&runtime()?, work(client)));
    done.unwrap_or_else(|message| {
        print_error(&message);
        Exit::Unknown
    })
}

/// The settings in force for a command that asks a service.
pub(super) fn settings(common: &CommonArgs) -> Result<Settings, String> {
    load(common, &Overrides::new()).map(|loaded| loaded.settings)
}

/// The service to ask: `--url`, else `FLASHSALE_URL`, else the service that these settings describe, as this machine
/// reaches it. Every command that asks a service takes it from here.
pub(super) fn endpoint(url: Option<&str>, settings: &Settings) -> Result<Endpoint, String> {
    let (url, source) = match (url, variable(URL)?) {
        (Some(url), _) => (url.to_owned(), "--url"),
        (None, Some(url)) => (url, URL),
        (None, None) => (format!("http://{}", reachable(settings.http.addr)), "http.addr"),
    };
    Endpoint::parse(&url).map_err(|error| format!("{source}: {error}"))
}

/// The endpoint with the API key that the gate of the service asks for: that of the flag, else the first of the settings.
pub(super) fn with_api_key(endpoint: Endpoint, flag: Option<&str>, settings: &Settings) -> Result<Endpoint, String> {
    let key = flag.or_else(|| settings.http.api_keys.first().map(Secret::expose));
    endpoint.with_api_key(key).map_err(|error| error.to_string())
}

/// A service that listens on all addresses is reached on the loopback one.
fn reachable(addr: SocketAddr) -> SocketAddr {
    if addr.ip().is_unspecified() { SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), addr.port()) } else { addr }
}

/// A token of the settings; one that may change things, if there is one.
pub(super) fn known_token(settings: &Settings) -> Option<&str> {
    let listed = settings.admin.tokens.iter().chain(&settings.admin.read_tokens);
    settings.admin.token.iter().chain(listed.map(|token| &token.secret)).map(Secret::expose).next()
}

const TOKEN_NEEDED: &str = "this command needs an admin token, and none is known\n  Use --token, or set admin.token \
                            (FLASHSALE_ADMIN__TOKEN) to that of the service; `flashsale serve --demo` prints its own.";
const MAY_BE_MADE: &str = "The change may have been made: look before you repeat it.";
/// What to do about an answer that takes too long.
const TOO_LONG: &str = "--timeout 5m waits longer";

/// What went wrong, and what to do about it.
fn explain(error: &CallError, client: &ApiClient) -> String {
    let url = client.url();
    match error {
        CallError::Refused(refusal) if client.has_sent_change() && may_be_done(refusal) => {
            format!("{}\n  {MAY_BE_MADE}", explain_refusal(refusal, url))
        }
        CallError::Refused(refusal) => explain_refusal(refusal, url),
        CallError::Transport(error @ TransportError::NotConnected(_)) => format!(
            "{url} does not answer: {error}\n  Is `flashsale serve` running there? Use --url or FLASHSALE_URL for another service."
        ),
        CallError::Transport(error) => {
            let effect = if client.has_sent_change() { MAY_BE_MADE } else { "Nothing was changed: try again." };
            format!("{url}: {}\n  {effect}", slow(error))
        }
        CallError::Unreadable => format!("the answer of {url} is not one of flashsale: is --url right?"),
        CallError::NoToken => TOKEN_NEEDED.to_owned(),
        CallError::Circular { .. } | CallError::Backwards { .. } | CallError::TooLong { .. } => {
            format!("{url}: {error}")
        }
        CallError::InvalidHeader(_) => error.to_string(),
    }
}

/// Whether the service, or something before it, failed in the middle of the change.
fn may_be_done(refusal: &Refusal) -> bool {
    let none_done = ["overloaded", "draining", "store_full", "store_replaced"];
    !refusal.is_refusal() && !none_done.contains(&&*refusal.code)
}

/// Why there is no answer, and what to do where it takes too long.
pub(super) fn slow(error: &TransportError) -> String {
    match error {
        TransportError::TimedOut(_) | TransportError::TooSlow { .. } => format!("{error}; {TOO_LONG}"),
        TransportError::NotConnected(_) | TransportError::Broken(_) => error.to_string(),
    }
}

/// Why a step of something longer has no successful answer, on one line.
pub(super) fn brief(error: &CallError) -> String {
    match error {
        CallError::Transport(error) => format!("no answer: {}", slow(error)),
        other => printable(&other.to_string()),
    }
}

pub(super) fn explain_refusal(refusal: &Refusal, url: &str) -> String {
    let fields = refusal.fields.iter().map(|(pointer, detail)| match pointer.trim_start_matches('/') {
        field if detail.starts_with(field) => detail.clone(),
        field => format!("{field}: {detail}"),
    });
    let mut lines = match &fields.collect::<Vec<_>>()[..] {
        [] => vec![format!("{}: {}", refusal.title, refusal.detail)],
        [only] => vec![format!("{}: {only}", refusal.title)],
        // The detail has the same on one line.
        several => {
            let title = format!("{}:", refusal.title);
            [title].into_iter().chain(several.iter().map(|field| format!("  - {field}"))).collect()
        }
    };
    lines.extend(advice(refusal, url).map(|advice| format!("  {advice}")));
    let code = if refusal.code.is_empty() { String::new() } else { format!(" {}", refusal.code) };
    let request = refusal.request_id.as_ref().map_or_else(String::new, |id| format!(", request {id}"));
    lines.push(format!("  ({}{code}{request})", refusal.status));
    lines.iter().map(|line| printable(line)).collect::<Vec<_>>().join("\n")
}

fn advice(refusal: &Refusal, url: &str) -> Option<String> {
    match (refusal.status, refusal.code.as_str()) {
        (401, _) => Some(format!(
            "{url} does not know this token. It is that of --token, else admin.token (FLASHSALE_ADMIN__TOKEN) or the first \
             of admin.tokens of the settings here."
        )),
        (403, _) => {
            Some("The token is one of admin.read_tokens there; use one of admin.token or admin.tokens.".to_owned())
        }
        (404, "not_found") => Some(format!(
            "A service without an admin token in its settings has no admin routes. Or it is an older flashsale, or {url} \
             is not its whole URL."
        )),
        (_, "") => Some(format!("Is {url} flashsale? The answer is not in its form.")),
        _ => refusal.retry_after_seconds.map(|seconds| format!("Try again in {seconds} s.")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(detail: &str, fields: &[(&str, &str)]) -> Refusal {
        Refusal {
            status: 422,
            code: "validation_failed".to_owned(),
            title: "Validation failed".to_owned(),
            detail: detail.to_owned(),
            fields: fields.iter().map(|(pointer, detail)| ((*pointer).to_owned(), (*detail).to_owned())).collect(),
            request_id: Some("r1".to_owned()),
            retry_after_seconds: None,
            problem: Value::Null,
            body: Vec::new().into(),
        }
    }

    #[test]
    fn a_refusal_is_printed_with_its_fields_and_cannot_command_the_terminal() {
        let last = "\n  (422 validation_failed, request r1)";
        let printed = |detail, fields| explain_refusal(&refusal(detail, fields), "http://x").replace(last, "");
        assert_eq!(printed("no \u{1b}[2J", &[]), "Validation failed: no  [2J");
        assert_eq!(printed("a\u{202e}b\u{2066}c", &[]), "Validation failed: a b c");
        assert_eq!(printed("", &[("/price", "price is required")]), "Validation failed: price is required");
        let (price, row) = (("/price", "price is required"), ("/rows/2", "this must be an object"));
        let several = "Validation failed:\n  - price is required\n  - rows/2: this must be an object";
        assert_eq!(printed("price is required; this must be an object", &[price, row]), several);
    }
}
