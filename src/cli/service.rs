//! What all commands share that ask a running service as its admin: flags, exit status, and how a refusal is told.

use std::process::ExitCode;

use clap::Args;
use serde_json::Value;
use tokio::task::LocalSet;

use super::{CommonArgs, complain, endpoint, filled, load_settings, say};
use crate::{
    config::{Secret, Settings},
    tools::client::{
        Lost,
        admin::{Admin, Refusal, Reply, Trouble},
    },
};

const HEADING: &str = "Service and output";
/// The service refused, or something was found that should not be.
const NOT_GOOD: u8 = 1;
/// Nothing was done, or it is not known what was.
const NOT_RUN: u8 = 2;

/// Which service, and who asks.
#[derive(Args)]
pub(super) struct ServiceArgs {
    /// Where it is [default: that of `FLASHSALE_URL`, else of http.addr of the settings]
    #[arg(long, global = true, help_heading = HEADING, value_name = "URL", value_parser = filled)]
    url: Option<String>,
    /// Who asks [default: of the settings `admin.token` (`FLASHSALE_ADMIN__TOKEN`), else the first of `admin.tokens`, else of
    /// `admin.read_tokens`]
    #[arg(long, global = true, help_heading = HEADING, value_name = "TOKEN", value_parser = filled)]
    token: Option<String>,
    /// Print what the service answers, as it comes; also when it refuses
    #[arg(long, global = true, help_heading = HEADING)]
    pub(super) json: bool,
}

impl ServiceArgs {
    /// Does the work with a client for the service, and tells what kept it from being done. The work gives whether all is
    /// as it should be; if it is not, the exit status is 1.
    pub(super) fn run(
        &self,
        common: &CommonArgs,
        work: impl AsyncFnOnce(&mut Admin) -> Result<bool, Trouble>,
    ) -> ExitCode {
        let (mut admin, runtime) = match self.client(common).and_then(|admin| Ok((admin, runtime()?))) {
            Ok(ready) => ready,
            Err(message) => {
                complain(&message);
                return ExitCode::from(NOT_RUN);
            }
        };
        match LocalSet::new().block_on(&runtime, work(&mut admin)) {
            Ok(true) => ExitCode::SUCCESS,
            Ok(false) => ExitCode::from(NOT_GOOD),
            Err(trouble) => {
                complain(&explain(&trouble, admin.url()));
                let Trouble::Refused(refusal) = trouble else { return ExitCode::from(NOT_RUN) };
                if self.json && !refusal.problem.is_null() {
                    say(&String::from_utf8_lossy(&refusal.body));
                }
                ExitCode::from(if refusal.is_refusal() { NOT_GOOD } else { NOT_RUN })
            }
        }
    }

    /// Prints an answer: as it came, or as a text for people.
    pub(super) fn show(&self, reply: &Reply, text: impl FnOnce(&Value) -> String) -> Result<bool, Trouble> {
        let answer = reply.json()?;
        say(&if self.json { String::from_utf8_lossy(&reply.body).into_owned() } else { text(&answer) });
        Ok(true)
    }

    /// As [`ServiceArgs::show`], of a list of several pages.
    pub(super) fn show_list(&self, list: &Value, text: impl FnOnce(&[Value]) -> String) -> Result<bool, Trouble> {
        let rows = list["data"].as_array().ok_or(Trouble::Unreadable)?;
        say(&if self.json { list.to_string() } else { text(rows) });
        Ok(true)
    }

    fn client(&self, common: &CommonArgs) -> Result<Admin, String> {
        let settings = load_settings(common);
        let settings = settings.map_err(|complaints| complaints.to_string())?;
        let endpoint = endpoint(self.url.as_deref(), &settings)?;
        Admin::new(endpoint, self.token.as_deref().or_else(|| known_token(&settings)))
    }
}

fn runtime() -> Result<tokio::runtime::Runtime, String> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())
}

/// One that may change things, if there is one.
fn known_token(settings: &Settings) -> Option<&str> {
    let all = settings.admin.token.iter().chain(&settings.admin.tokens).chain(&settings.admin.read_tokens);
    all.map(Secret::expose).next()
}

/// What went wrong, and what to do about it.
fn explain(trouble: &Trouble, url: &str) -> String {
    match trouble {
        Trouble::Refused(refusal) => refused(refusal, url),
        Trouble::Lost(Lost::Unconnected(why)) => format!(
            "{url} does not answer: {why}\n  Is `flashsale serve` running there? --url or FLASHSALE_URL names another service."
        ),
        Trouble::Lost(lost) => {
            format!("{url}: {lost}\n  What was to be changed may be changed: look before you repeat it.")
        }
        Trouble::Unreadable => format!("what {url} answers is not what flashsale answers: is --url right?"),
        Trouble::NoToken => "this needs an admin token, and none is known\n  Say --token, or set admin.token \
                             (FLASHSALE_ADMIN__TOKEN) as the service has it; `flashsale serve --demo` prints its own."
            .to_owned(),
        Trouble::NotRun(why) => why.clone(),
    }
}

fn refused(refusal: &Refusal, url: &str) -> String {
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
    lines.iter().map(|line| plain(line)).collect::<Vec<_>>().join("\n")
}

fn advice(refusal: &Refusal, url: &str) -> Option<String> {
    match (refusal.status, refusal.code.as_str()) {
        (401, _) => Some(format!(
            "The token is that of --token, else admin.token (FLASHSALE_ADMIN__TOKEN) or the first of admin.tokens of the \
             settings here; {url} does not know it."
        )),
        (403, _) => {
            Some("The token is one of admin.read_tokens there; use one of admin.token or admin.tokens.".to_owned())
        }
        (404, "not_found") => Some(format!(
            "Without an admin token in its settings a service has no admin routes; or it is an older flashsale, or {url} \
             is not all of its URL."
        )),
        (_, "") => Some(format!("Is {url} flashsale? The answer is not in its form.")),
        _ => refusal.retry_after_seconds.map(|seconds| format!("Try again in {seconds} s.")),
    }
}

/// Without what a terminal would obey instead of showing.
pub(super) fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() || is_direction(c) { ' ' } else { c }).collect()
}

/// What turns the direction of a text, and with it the order in which the rest of the line is shown.
fn is_direction(c: char) -> bool {
    matches!(c, '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
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
    fn a_refusal_is_told_with_its_fields_and_cannot_talk_to_the_terminal() {
        let last = "\n  (422 validation_failed, request r1)";
        let told = |detail, fields| refused(&refusal(detail, fields), "http://x").replace(last, "");
        assert_eq!(told("no \u{1b}[2J", &[]), "Validation failed: no  [2J");
        assert_eq!(told("a\u{202e}b\u{2066}c", &[]), "Validation failed: a b c");
        assert_eq!(told("", &[("/price", "price is required")]), "Validation failed: price is required");
        let (price, row) = (("/price", "price is required"), ("/rows/2", "this must be an object"));
        let several = "Validation failed:\n  - price is required\n  - rows/2: this must be an object";
        assert_eq!(told("price is required; this must be an object", &[price, row]), several);
    }
}
