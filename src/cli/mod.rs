//! The command line beside `serve`: a file per subject, each reading its words and calling one flow.

pub mod broker;
pub mod jobs;
pub mod keys;
pub mod partners;
pub mod payouts;
pub mod settlements;
pub mod users;

use std::{fmt::Display, io::Write, process::ExitCode};

use jeongsan::{
    app,
    config::Config,
    flow::Ctx,
    store::{Clock, Store, admin, database_in},
};

/// Prints a line; a reader that has gone away (`| head`) is not an error.
pub fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// One sentence on standard error, and exit code 2.
pub fn fail(why: &dyn Display) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "jeongsan: {why}");
    ExitCode::from(2)
}

/// Everything a flow needs, on the books of the settings' directory, beside a server that may run.
pub fn beside(config: &Config) -> Result<Ctx, ExitCode> {
    let at = database_in(&config.data_dir);
    if !at.exists() {
        let at = at.display();
        return Err(fail(&format!(
            "there is no database at `{at}`: is data.dir right?"
        )));
    }
    let clock = Clock::default();
    let store = Store::open_beside(&config.data_dir, clock.clone()).map_err(|e| fail(&e))?;
    // Beside the demo the time is the demo's.
    let ahead = store
        .read(|conn| admin::setting(conn, admin::CLOCK_AHEAD))
        .map_err(|e| fail(&e))?;
    if let Some(ms) = ahead.and_then(|ms| ms.parse().ok()) {
        clock.set_ahead(ms);
    }
    app::context(config, store).map_err(|e| fail(&e))
}
