//! `flashsale serve`.

use std::io::{self, IsTerminal};

use super::{CommonArgs, ServeArgs, demo, exit::Exit, load, print::print_line};
use crate::{app::Application, config::Overrides, store::Catalogue, telemetry};

/// # Errors
/// What went wrong, and the exit status for it.
pub(super) fn run(common: &CommonArgs, args: &ServeArgs) -> Result<(), (Exit, String)> {
    let mut flags = Overrides::new();
    flags.extend(args.addr.clone().map(|addr| ("http.addr", addr)));
    let loaded = load(common, &flags).map_err(|message| (Exit::Unknown, message))?;
    let (says_unsigned, says_drain) = (loaded.is_given(demo::ALLOW_UNSIGNED), loaded.is_given("http.drain_seconds"));
    let mut settings = loaded.settings;
    let generated = if args.demo { demo::adapt(&mut settings, says_unsigned) } else { None };
    // No load balancer is in front of these, and a person waits for the end.
    if !says_drain && (args.demo || io::stdin().is_terminal() || io::stderr().is_terminal()) {
        settings.http.drain_seconds = 0;
    }
    telemetry::init(&settings.log);
    let served = actix_web::rt::System::new().block_on(async {
        let application = Application::build(&settings, Catalogue::compiled()).await.map_err(|e| e.to_string())?;
        if args.demo {
            demo::seed(&application.store()).await?;
            print_line(&demo::welcome(&application, &settings, generated.as_deref()));
        }
        application.run_until_stopped().await.map_err(|e| e.to_string())
    });
    served.map_err(|message| (Exit::No, message))
}
