//! `flashsale serve`.

use std::io::{self, IsTerminal};

use super::{
    CommonArgs, ServeArgs, demo,
    exit::Exit,
    load,
    print::{error_line, print_error, print_without_waiting},
};
use crate::{
    app::Application,
    config::{Loaded, Overrides},
    store::Catalogue,
    telemetry,
};

pub(super) fn run(common: &CommonArgs, args: &ServeArgs) -> Exit {
    let mut flags = Overrides::new();
    flags.extend(args.addr.clone().map(|addr| ("http.addr", addr)));
    let loaded = match load(common, &flags) {
        Ok(loaded) => loaded,
        Err(complaints) => {
            print_error(&complaints);
            return Exit::Unknown;
        }
    };
    if let Err(error) = telemetry::init(&loaded.settings.log) {
        print_error(&format!("cannot start the log: {error}"));
        return Exit::No;
    }
    telemetry::log_panics();
    if let Err(error) = telemetry::start_traces(&loaded.settings.tracing) {
        telemetry::print(&error_line(&format!("cannot send traces: {error}")));
        telemetry::finish();
        return Exit::No;
    }
    let served = serve(loaded, args);
    // In its turn behind the log, and without waiting for a reader that stands still.
    served.as_ref().err().into_iter().for_each(|why| telemetry::print(&error_line(why)));
    telemetry::finish();
    if served.is_ok() { Exit::Done } else { Exit::No }
}

/// # Errors
/// Why it could not start or go on.
fn serve(loaded: Loaded, args: &ServeArgs) -> Result<(), String> {
    let says_drain = loaded.is_given("http.drain_seconds");
    let (says_unsigned, says_storefront) = (loaded.is_given(demo::ALLOW_UNSIGNED), loaded.is_given(demo::STOREFRONT));
    let mut settings = loaded.settings;
    let generated = if args.demo { demo::adapt(&mut settings, says_unsigned, says_storefront) } else { None };
    // No load balancer is in front of these, and a person waits for the end.
    if !says_drain && (args.demo || io::stdin().is_terminal() || io::stderr().is_terminal()) {
        settings.http.drain_seconds = 0;
    }
    actix_web::rt::System::new().block_on(async {
        let application = Application::build(&settings, Catalogue::compiled()).await.map_err(|e| e.to_string())?;
        if args.demo {
            demo::seed(&application.store()).await?;
            print_without_waiting(demo::welcome(&application, &settings, generated.as_deref()));
        }
        application.run_until_stopped().await.map_err(|e| e.to_string())
    })
}
