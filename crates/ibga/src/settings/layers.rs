//! The sources as layers of raw values, each with its place.
//!
//! Responsible for what flags, the environment and `.env` hold, and for the order in which they count.
//! Must never judge a value beyond what its setting's own check says.

use std::path::Path;

use super::env_file;
use super::fault::{Fault, Place, Problem};
use super::names::{self, SETTINGS, Setting};
use super::{Flags, Sources, values};

/// One text with its place.
pub(super) struct Given {
    pub(super) text: String,
    pub(super) place: Place,
}

/// What one source says about one setting: one text, or one for each item of a list.
pub(super) struct Entry {
    pub(super) setting: &'static Setting,
    pub(super) items: Vec<Given>,
}

impl Entry {
    /// A value as flags and variables hold it, where a list is written with commas.
    pub(super) fn from_text(setting: &'static Setting, text: &str, place: &Place) -> Self {
        let given = |text: &str| Given { text: text.to_owned(), place: place.clone() };
        let items = if setting.kind.is_list() { text.split(',').map(given).collect() } else { vec![given(text)] };
        Self { setting, items }
    }

    /// What its setting's check finds in it.
    pub(super) fn problems(&self) -> impl Iterator<Item = Problem> {
        self.items.iter().filter_map(|given| {
            let fault = values::read(&given.text, self.setting.check).err()?;
            Some(Problem::of_value(self.setting, given.place.clone(), fault))
        })
    }
}

/// What one source says.
pub(super) type Layer = Vec<Entry>;

/// The strongest layer's word on a setting.
pub(super) fn pick<'a>(layers: &[&'a Layer], setting: &Setting) -> Option<&'a Entry> {
    layers.iter().find_map(|layer| layer.iter().find(|entry| entry.setting.name == setting.name))
}

/// The flags as a layer.
pub(super) fn from_flags(flags: &Flags) -> Layer {
    let one = |setting: &'static Setting, text: &Option<String>| {
        text.as_ref().map(|text| Entry::from_text(setting, text, &flag_of(setting)))
    };
    let switch = flags.allow_read_only.map(|allowed| allowed.to_string());
    let joined = |texts: &[String]| (!texts.is_empty()).then(|| texts.join(","));
    let (accounts, exchanges) = (joined(&flags.expect_accounts), joined(&flags.exchanges));
    let stop_on = joined(&flags.stop_on);
    [
        one(&names::CONFIG, &flags.config),
        one(&names::GATEWAY, &flags.gateway),
        one(&names::HOST, &flags.host),
        one(&names::PORT, &flags.port),
        one(&names::CLIENT_ID, &flags.client_id),
        one(&names::CONTAINER, &flags.container),
        one(&names::TIMEOUT, &flags.timeout),
        one(&names::SETTLE, &flags.settle),
        one(&names::HEARTBEAT, &flags.heartbeat),
        one(&names::STATUS_FILE, &flags.status_file),
        one(&names::MAX_STATUS_AGE, &flags.max_age),
        one(&names::EXPECT_ACCOUNTS, &accounts),
        one(&names::EXPECT_MODE, &flags.expect_mode),
        one(&names::ALLOW_READ_ONLY, &switch),
        one(&names::BROKER_PROBE, &flags.broker_probe),
        one(&names::EXCHANGE, &exchanges),
        one(&names::EXCHANGE_RULE, &flags.exchange_rule),
        one(&names::SUPERVISE_STOP, &stop_on),
        one(&names::SUPERVISE_GRACE, &flags.grace),
        one(&names::SUPERVISE_TOLERANCE, &flags.tolerance),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn flag_of(setting: &'static Setting) -> Place {
    Place::Flag(setting.flag.unwrap_or(setting.name))
}

/// The process environment as a layer. An empty variable is an unset one.
pub(super) fn from_environment(sources: &Sources<'_>, problems: &mut Vec<Problem>) -> Layer {
    let mut layer = Layer::new();
    for setting in SETTINGS {
        let Some(value) = (sources.environment)(setting.environment) else {
            continue;
        };
        let place = Place::Environment(setting.environment.to_owned());
        match value.into_string() {
            Ok(text) if text.trim().is_empty() => {}
            Ok(text) => layer.push(Entry::from_text(setting, &text, &place)),
            Err(_) => problems.push(Problem::of_value(setting, place, Fault::NotText)),
        }
    }
    for name in &sources.environment_names {
        let Some(nearest) = names::misspelt_variable(name) else {
            continue;
        };
        let value = (sources.environment)(name).unwrap_or_default();
        if counts_as_misspelt(&value.to_string_lossy()) {
            let place = Place::Environment(name.clone());
            problems.push(Problem::new(place, Fault::UnknownName { nearest }));
        }
    }
    layer
}

/// The text of `.env` as a layer, with every fault in it: the file is checked whole, also where another source
/// is stronger. An empty value is an unset one.
pub(super) fn from_env_file(text: &str, path: &Path, problems: &mut Vec<Problem>) -> Layer {
    let file = env_file::parse(text);
    let place = |line| Place::EnvFile { path: path.to_owned(), line };
    problems.extend(file.faults.into_iter().map(|(line, fault)| Problem::new(place(line), fault)));
    let mut layer = Layer::new();
    for one in &file.assignments {
        if let Some(setting) = names::by_environment(&one.name) {
            layer.retain(|entry| entry.setting.name != setting.name);
            if !one.value.trim().is_empty() {
                layer.push(Entry::from_text(setting, &one.value, &place(one.line)));
            }
        } else if let Some(nearest) = names::misspelt_variable(&one.name)
            && counts_as_misspelt(&one.value)
        {
            let fault = Fault::UnknownName { nearest };
            problems.push(Problem::about(place(one.line), &one.name, fault));
        }
    }
    problems.extend(layer.iter().flat_map(Entry::problems));
    layer
}

/// An empty variable sets nothing, and Kubernetes and Docker links make `IBGA_PORT=tcp://…` out of a service's name.
fn counts_as_misspelt(value: &str) -> bool {
    let is_service_link = value.starts_with("tcp://") || value.starts_with("udp://");
    !value.trim().is_empty() && !is_service_link
}
