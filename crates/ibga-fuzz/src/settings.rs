//! The two files of settings: whatever stands in them, reading ends, messages stay short and printable, and what is taken can be used.

use std::path::Path;

use ibga::settings::{Flags, Settings, Sources};

/// The most that the faults of one run say, in characters.
const MESSAGE_CHARS_MAX: usize = 64 * 1024;

/// A `.env` and an `ibga.toml`, with a line of `---` between them.
pub fn settings(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let (env_file, config) = text.split_once("\n---\n").unwrap_or((text, ""));
    let read = |path: &Path, _: &[u32]| {
        let name = path.file_name().and_then(|name| name.to_str());
        Ok(match name {
            Some(".env") => Some(env_file.to_owned()),
            Some("ibga.toml") => Some(config.to_owned()),
            _ => None,
        })
    };
    let nothing = |_: &str| None;
    let sources = Sources {
        environment: &nothing,
        environment_names: Vec::new(),
        read: &read,
        user_id: 1_000,
        host_name: &|| "machine".into(),
        zone: &|| jiff::tz::TimeZone::UTC,
    };
    let flags = Flags { config: Some("ibga.toml".into()), ..Flags::default() };
    match Settings::load(&flags, &sources) {
        Ok(settings) => {
            assert!(!settings.timeout.is_zero() && !settings.max_status_age.is_zero(), "{settings:?}");
            assert!(settings.port > 0 && !settings.host.as_str().is_empty(), "{settings:?}");
            assert!(settings.client_id.range().count() <= 5, "{settings:?}");
            let channels = settings.alerts.names();
            assert!(settings.alerts.escalate_to.iter().all(|name| channels.contains(name)), "{settings:?}");
        }
        Err(fault) => {
            let message = fault.to_string();
            assert!(!fault.problems().is_empty(), "an error without a problem");
            assert!(message.chars().count() <= MESSAGE_CHARS_MAX, "{} characters", message.chars().count());
            assert!(!message.chars().any(|c| c.is_control() && c != '\n'), "{message:?}");
        }
    }
}
