//! `flashsale serve`.

use super::{CommonArgs, ServeArgs, demo, environment, exit::Exit, print::print_line};
use crate::{
    app::Application,
    config::{self, Overrides},
    store::Catalogue,
    telemetry,
};

/// # Errors
/// What went wrong, and the exit status for it.
pub(super) fn run(common: &CommonArgs, args: &ServeArgs) -> Result<(), (Exit, String)> {
    let environment = environment();
    let mut flags = Overrides::new();
    flags.extend(args.addr.clone().map(|addr| ("http.addr", addr)));
    let settings = config::load(common.config.as_deref(), &environment, &flags);
    let mut settings = settings.map_err(|complaints| (Exit::Unknown, complaints.to_string()))?;
    if args.demo {
        demo::adapt(&mut settings);
    }
    telemetry::init(&settings.log);
    let served = actix_web::rt::System::new().block_on(async {
        let application = Application::build(&settings, Catalogue::compiled()).await.map_err(|e| e.to_string())?;
        if args.demo {
            demo::seed(&application.store()).await?;
            print_line(&demo::welcome(&application, &settings));
        }
        application.run_until_stopped().await.map_err(|e| e.to_string())
    });
    served.map_err(|message| (Exit::No, message))
}
