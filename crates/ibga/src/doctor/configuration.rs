//! Where settings come from, whether all of them can be read, and whether they say what matters most.

use super::{Finding, Subject};
use crate::check::endpoint;
use crate::settings::{EnvFileRead, Settings, SettingsError};

pub(super) fn examine(settings: Result<&Settings, &SettingsError>) -> Vec<Finding> {
    let subject = Subject::Configuration;
    let settings = match settings {
        Err(faults) => return vec![Finding::faulty(subject, faults.to_string(), "correct what is named there")],
        Ok(settings) => settings,
    };
    let text = format!("{}; gateway {} at {}", sources(settings), settings.gateway, endpoint(settings));
    let mut findings = vec![Finding::good(subject, text)];
    if settings.expect_accounts.is_empty() && settings.expect_mode.is_none() {
        findings.push(Finding::doubtful(
            subject,
            "nothing says which login is expected, so an agent would trade in whatever account is logged in",
            "set expect_mode (paper or live), better expect_accounts",
        ));
    }
    findings
}

fn sources(settings: &Settings) -> String {
    match (&settings.config, settings.env_file) {
        (Some(path), EnvFileRead::Read) => format!("{} and .env", path.display()),
        (Some(path), EnvFileRead::Absent) => path.display().to_string(),
        (None, EnvFileRead::Read) => ".env alone".into(),
        (None, EnvFileRead::Absent) => "no ibga.toml and no .env, so the defaults".into(),
    }
}
