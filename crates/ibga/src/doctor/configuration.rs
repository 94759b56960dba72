//! Where settings come from, and whether all of them can be read.

use super::{Finding, Subject};
use crate::check::endpoint;
use crate::settings::{EnvFileRead, Settings, SettingsError};

pub(super) fn examine(settings: Result<&Settings, &SettingsError>) -> Finding {
    match settings {
        Err(faults) => Finding::faulty(
            Subject::Configuration,
            faults.to_string(),
            "correct what is named there; `ibga init` writes a file that has every setting",
        ),
        Ok(settings) => {
            let gateway = format!("gateway {} at {}", settings.gateway, endpoint(settings));
            let text = format!("{}; {gateway}", sources(settings));
            match settings.uninterpreted("ALERT_EMAIL") {
                Some(set) => Finding::doubtful(
                    Subject::Configuration,
                    text,
                    format!("{} is set, but this version sends no alerts yet; do not rely on it", set.name),
                ),
                None if settings.expect_accounts.is_empty() && settings.expect_mode.is_none() => Finding::doubtful(
                    Subject::Configuration,
                    text,
                    "nothing says which login is expected, so an agent would trade in whatever account is logged in: \
                     set expect_mode (paper or live), better expect_accounts",
                ),
                None => Finding::good(Subject::Configuration, text),
            }
        }
    }
}

fn sources(settings: &Settings) -> String {
    match (&settings.config, settings.env_file) {
        (Some(path), EnvFileRead::Read) => format!("{} and .env", path.display()),
        (Some(path), EnvFileRead::Absent) => path.display().to_string(),
        (None, EnvFileRead::Read) => ".env alone".into(),
        (None, EnvFileRead::Absent) => "no ibga.toml and no .env, so the defaults".into(),
    }
}
