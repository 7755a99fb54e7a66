//! `flashsale serve`.

use super::{CommonArgs, ServeArgs, demo, environment, say};
use crate::{
    app::Application,
    config::{self, Overrides},
    store::Catalogue,
    telemetry,
};

pub(super) fn run(common: &CommonArgs, args: &ServeArgs) -> Result<(), String> {
    let environment = environment();
    let mut flags = Overrides::new();
    flags.extend(args.addr.clone().map(|addr| ("http.addr", addr)));
    let mut settings =
        config::load(common.config.as_deref(), &environment, &flags).map_err(|complaints| complaints.to_string())?;
    if args.demo {
        demo::adapt(&mut settings);
    }
    telemetry::init(&settings.log);
    actix_web::rt::System::new().block_on(async {
        let application = Application::build(&settings, Catalogue::compiled()).await.map_err(|e| e.to_string())?;
        if args.demo {
            demo::seed(&application.store()).await?;
            say(&demo::welcome(&application, &settings));
        }
        application.run_until_stopped().await.map_err(|e| e.to_string())
    })
}
