//! `flashsale serve`.

use super::{CommonArgs, FAILED, ServeArgs, UNUSABLE, demo, load, say};
use crate::{app::Application, config::Overrides, store::Catalogue, telemetry};

/// The exit status of what went wrong comes with it.
pub(super) fn run(common: &CommonArgs, args: &ServeArgs) -> Result<(), (u8, String)> {
    let mut flags = Overrides::new();
    flags.extend(args.addr.clone().map(|addr| ("http.addr", addr)));
    let loaded = load(common, &flags).map_err(|complaints| (UNUSABLE, complaints.to_string()))?;
    let mut settings = loaded.settings;
    if args.demo {
        demo::adapt(&mut settings);
    }
    telemetry::init(&settings.log);
    let served = actix_web::rt::System::new().block_on(async {
        let application = Application::build(&settings, Catalogue::compiled()).await.map_err(|e| e.to_string())?;
        if args.demo {
            demo::seed(&application.store()).await?;
            say(&demo::welcome(&application, &settings));
        }
        application.run_until_stopped().await.map_err(|e| e.to_string())
    });
    served.map_err(|message| (FAILED, message))
}
