//! `flashsale healthcheck`: asks /readyz. Made for containers, which have no curl.

use std::time::Duration;

use clap::Args;
use serde_json::Value;

use super::{
    CommonArgs,
    arguments::filled,
    exit::Exit,
    print::{print_error, print_line},
    service::{endpoint, settings, with_service},
};
use crate::tools::{
    client::{
        Bounds, CallPath, Endpoint,
        api::{ApiCall, ApiClient, CallError},
    },
    text::printable,
};

const BOUNDS: Bounds = Bounds { timeout: Duration::from_secs(3), body_bytes_max: 8_192 };

/// Which service
#[derive(Args)]
#[command(
    after_help = "Exit status: 0 ready, or degraded (it says which); 1 not ready, or no answer; 2 bad flags or settings."
)]
pub(super) struct HealthcheckArgs {
    /// Address of the service [default: that of `FLASHSALE_URL`, else http.addr of the settings]
    #[arg(long, value_name = "HOST:PORT", value_parser = filled)]
    addr: Option<String>,
    /// The same as a URL, which may be https
    #[arg(long, value_name = "URL", value_parser = filled, conflicts_with = "addr")]
    url: Option<String>,
}

pub(super) fn run(common: &CommonArgs, args: &HealthcheckArgs) -> Exit {
    with_service(client(common, args), async |client| match check(client).await {
        Ok(status) => {
            print_line(&status);
            Ok(Exit::Done)
        }
        Err(message) => {
            print_error(&message);
            Ok(Exit::No)
        }
    })
}

/// With `--addr` no settings are read, so that a container needs none for its health check.
fn client(common: &CommonArgs, args: &HealthcheckArgs) -> Result<ApiClient, String> {
    let endpoint = match &args.addr {
        Some(addr) => endpoint_at(addr)?,
        None => endpoint(args.url.as_deref(), &settings(common)?)?,
    };
    ApiClient::bounded(endpoint, None, BOUNDS).map_err(|error| error.to_string())
}

fn endpoint_at(addr: &str) -> Result<Endpoint, String> {
    // What http.addr may be, too: a port alone, or behind a colon, is on this machine.
    let addr = &match addr.strip_prefix(':').unwrap_or(addr) {
        port if port.parse::<u16>().is_ok() => format!("127.0.0.1:{port}"),
        _ => addr.to_owned(),
    };
    let is_whole = addr.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    let endpoint = is_whole.then(|| Endpoint::parse(&format!("http://{addr}")).ok()).flatten();
    endpoint.ok_or_else(|| "--addr must be a host and port such as 127.0.0.1:8080".to_owned())
}

/// What the service says of itself: `ready`, or `degraded` and why.
async fn check(mut client: ApiClient) -> Result<String, String> {
    let url = client.url().to_owned();
    let refused = |status: u16, why: &str| format!("{url} is not ready: it answers {status}{why}");
    match client.send(ApiCall::get(CallPath::of("/readyz"))).await {
        Ok(reply) if reply.status == 200 => {
            let said: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
            let status = said["status"].as_str().unwrap_or("ready");
            Ok(said["detail"].as_str().map_or_else(|| status.to_owned(), |detail| format!("{status}: {detail}")))
        }
        Ok(reply) => Err(refused(reply.status, "")),
        Err(CallError::Refused(refusal)) => {
            let word = refusal.problem["redis_says"].as_str().map_or_else(String::new, |word| format!(" ({word})"));
            let why = format!(" {}: {}{word}", refusal.code, refusal.detail);
            Err(refused(refusal.status, &printable(&why)))
        }
        Err(error) => Err(format!("{url} does not answer: {error}")),
    }
}
