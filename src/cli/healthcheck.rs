//! `flashsale healthcheck`: asks /readyz. Made for containers, which have no curl.

use std::{process::ExitCode, rc::Rc, time::Duration};

use clap::Args;
use tokio::task::LocalSet;

use super::{CommonArgs, UNUSABLE, complain, endpoint, filled, load_settings, say};
use crate::tools::client::{Bounds, Endpoint, Line};

const BOUNDS: Bounds = Bounds { patience: Duration::from_secs(3), body_bytes_max: 8_192 };
/// It answered that it is not, or not at all.
const NOT_READY: u8 = 1;

/// Which service
#[derive(Args)]
#[command(after_help = "Exit status: 0 it is ready; 1 it is not, or does not answer; 2 bad flags or settings.")]
pub(super) struct HealthcheckArgs {
    /// The service to ask [default: that of `FLASHSALE_URL`, else of http.addr of the settings]
    #[arg(long, value_name = "HOST:PORT", value_parser = filled)]
    addr: Option<String>,
    /// The same as a URL, also of https
    #[arg(long, value_name = "URL", value_parser = filled, conflicts_with = "addr")]
    url: Option<String>,
}

pub(super) fn run(common: &CommonArgs, args: &HealthcheckArgs) -> ExitCode {
    let told = which(common, args).map_err(|message| (UNUSABLE, message));
    match told.and_then(|endpoint| ask(endpoint).map_err(|message| (NOT_READY, message))) {
        Ok(()) => {
            say("ready");
            ExitCode::SUCCESS
        }
        Err((status, message)) => {
            complain(&message);
            ExitCode::from(status)
        }
    }
}

fn which(common: &CommonArgs, args: &HealthcheckArgs) -> Result<Endpoint, String> {
    if let Some(addr) = &args.addr {
        let is_whole = addr.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
        let endpoint = is_whole.then(|| Endpoint::parse(&format!("http://{addr}")).ok()).flatten();
        return endpoint.ok_or_else(|| "--addr must be a host and port such as 127.0.0.1:8080".to_owned());
    }
    let settings = load_settings(common);
    endpoint(args.url.as_deref(), &settings.map_err(|complaints| complaints.to_string())?)
}

fn ask(endpoint: Endpoint) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|e| e.to_string())?;
    let url = endpoint.url().to_owned();
    let question = endpoint.get("/readyz");
    let mut line = Line::bounded(Rc::new(endpoint), BOUNDS);
    let answer = LocalSet::new().block_on(&runtime, line.send(question));
    match answer.map_err(|lost| format!("{url} does not answer: {lost}"))?.status {
        200 => Ok(()),
        status => Err(format!("{url} is not ready: it answers {status}")),
    }
}
