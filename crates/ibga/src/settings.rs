//! The settings of a run: flag, then environment, then `.env`, then `ibga.toml`, then default.
//!
//! Responsible for reading every source once, at the edge, and for handing on typed values or the complete list of
//! what is wrong, before anything is done. It asks for files, variables, users, host name and zone only through `Sources`.
//! Must never change the process environment, look at a clock, or print the value of a secret.
//!
//! | file | does |
//! |---|---|
//! | `names.rs` | the table of settings, nearest names |
//! | `values.rs`, `probe_contract.rs` | the type and the one reading of each value |
//! | `env_file.rs`, `toml_file.rs` | the two files |
//! | `layers.rs` | the sources in one form |
//! | `fault.rs` | places and messages |
//! | `recovery.rs`, `values/recovery.rs` | what is done to recover a gateway |
//! | `alerts.rs`, `alerts/`, `names/alerts.rs`, `values/alerts.rs` | who is told, how and when: types, channels, names, values |

mod alerts;
mod env_file;
mod fault;
mod layers;
mod names;
mod probe_contract;
mod recovery;
mod toml_file;
mod values;

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ibga_core::account::AccountId;
use ibga_core::calendar::{Combination, Exchange};
use ibga_core::gate::Chosen;
use ibga_core::nearest::nearest;
use ibga_core::recovery::Plan;
use ibga_core::reset_windows::{DailyReset, published};
use ibga_core::schedule::Wishes;
use ibga_core::supervision::{StopOn, Terms};
use ibga_core::verdict::ExpectedMode;
use jiff::tz::TimeZone;

pub use alerts::{AlertSettings, ChannelSettings, Secret, Smtp, SmtpSecurity};
pub use fault::{Fault, Origin, Place, Problem, SettingsError};
pub use names::{SETTINGS, Scope, Setting, reference_table};
pub use probe_contract::ProbeContract;
pub use values::{
    BrokerProbe, CLIENT_IDS, ClientId, ContainerChoice, GatewayName, Host, MarketChoice, STOCK_CONNECT,
    check_exchanges, check_wait,
};

use crate::users::{self, USERS};
use layers::{Entry, Layer, pick};
use toml_file::ConfigFile;
use values::{ExchangeWord, Owner, Parse};

/// A commented `ibga.toml` that changes nothing: what it sets are the defaults.
pub const EXAMPLE: &str = include_str!("settings/example.toml");

/// Most gateways that one message names.
const NAMES_SHOWN_MAX: usize = 20;

/// The flags as they were given, `None` where they were not. Texts are read here, so that a flag and a variable
/// take the same values and fail with the same words.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Flags {
    /// `--config FILE`
    pub config: Option<String>,
    /// `--gateway NAME`
    pub gateway: Option<String>,
    /// `--host HOST`
    pub host: Option<String>,
    /// `--port PORT`
    pub port: Option<String>,
    /// `--client-id ID`
    pub client_id: Option<String>,
    /// `--container NAME|auto|none`
    pub container: Option<String>,
    /// `--timeout 15s`
    pub timeout: Option<String>,
    /// `--settle 50ms`
    pub settle: Option<String>,
    /// `--heartbeat 20s`
    pub heartbeat: Option<String>,
    /// `--status-file PATH`
    pub status_file: Option<String>,
    /// `--max-age 10m`
    pub max_age: Option<String>,
    /// `--expect-account ID`, as often as it was given; each may be a comma list.
    pub expect_accounts: Vec<String>,
    /// `--expect-mode paper|live`
    pub expect_mode: Option<String>,
    /// `--allow-read-only`
    pub allow_read_only: Option<bool>,
    /// `--broker-probe contract|off`
    pub broker_probe: Option<String>,
    /// `--exchange MIC`, as often as it was given; each may be a comma list.
    pub exchanges: Vec<String>,
    /// `--exchange-rule any|all`
    pub exchange_rule: Option<String>,
    /// `--stop-on not_ready|session_end|halt`, as often as it was given; each may be a comma list.
    pub stop_on: Vec<String>,
    /// `--grace 10s`
    pub grace: Option<String>,
    /// `--tolerance 0s`
    pub tolerance: Option<String>,
}

/// Reads a file that may decide what is trusted: not through a symlink, a regular file of bounded size, owned by
/// this user, root or one of the user ids given, and writable by nobody else. `Ok(None)` if there is none; the error
/// is a fragment that says what is wrong with the file.
pub type ReadFile<'a> = dyn Fn(&Path, &[u32]) -> Result<Option<String>, String> + 'a;

/// Where settings come from, besides the flags.
pub struct Sources<'a> {
    /// The value of a variable in the process environment.
    pub environment: &'a dyn Fn(&str) -> Option<OsString>,
    /// The names of the variables in the process environment, to find misspelt ones.
    pub environment_names: Vec<String>,
    /// Reads `.env`, the configuration file, and `/etc/passwd` where a user is given by name.
    pub read: &'a ReadFile<'a>,
    /// The effective user id of this process.
    pub user_id: u32,
    /// The name of this machine, by which it signs its mails.
    pub host_name: &'a dyn Fn() -> String,
    /// The time zone of this machine.
    pub zone: &'a dyn Fn() -> TimeZone,
}

impl<'a> Sources<'a> {
    /// The sources of the running process, with the given reader of files.
    #[must_use]
    pub fn from_process(read: &'a ReadFile<'a>) -> Self {
        Self {
            environment: &|name| std::env::var_os(name),
            environment_names: std::env::vars_os().filter_map(|(name, _)| name.into_string().ok()).collect(),
            read,
            user_id: rustix::process::geteuid().as_raw(),
            host_name: &|| rustix::system::uname().nodename().to_string_lossy().into_owned(),
            zone: &TimeZone::system,
        }
    }

    /// A directory named by a variable; relative ones do not count, as the XDG base directory rules have it.
    fn directory(&self, variable: &str) -> Option<PathBuf> {
        (self.environment)(variable).map(PathBuf::from).filter(|path| path.is_absolute())
    }
}

/// A value with the place that it came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sourced<T> {
    /// The value.
    pub value: T,
    /// Where it stands; a default has [`Place::Default`].
    pub place: Place,
}

impl<T> Sourced<T> {
    /// Who set it.
    pub fn origin(&self) -> Origin {
        self.place.origin()
    }
}

/// Whether a `.env` was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EnvFileRead {
    /// There is one in the current directory.
    Read,
    /// There is none.
    Absent,
}

/// Every setting of a run for one gateway, valid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The gateway that is meant.
    pub gateway: GatewayName,
    /// The configuration file that was read.
    pub config: Option<PathBuf>,
    /// Whether there was a `.env`, which was read then.
    pub env_file: EnvFileRead,
    /// Where the gateway's API socket listens.
    pub host: Host,
    /// Its port, 1 to 65535.
    pub port: u16,
    /// Whether anyone set host or port; if not, a report may speak of another endpoint.
    pub endpoint_chosen: Chosen,
    /// The client ids that a probe may use.
    pub client_id: ClientId,
    /// The gateway's container.
    pub container: ContainerChoice,
    /// Longest time for all stages of a probe together.
    pub timeout: Duration,
    /// How long a probe waits for late notices.
    pub settle: Duration,
    /// How often a watched gateway is asked for the time.
    pub heartbeat: Duration,
    /// The status file.
    pub status_file: PathBuf,
    /// Its mode bits; never writable by group or others.
    pub status_file_mode: u32,
    /// Age at which a status is stale.
    pub max_status_age: Duration,
    /// The accounts that the gateway must hold, in capitals; empty if none are expected.
    pub expect_accounts: Vec<AccountId>,
    /// The kind of login that is expected.
    pub expect_mode: Option<ExpectedMode>,
    /// Whether a gateway that refuses orders counts as ready.
    pub allow_read_only: bool,
    /// The question that proves the broker.
    pub broker_probe: BrokerProbe,
    /// The contract that the broker is asked about and whose hours are compared; none for EUR.USD and no comparison.
    pub probe_contract: Option<ProbeContract>,
    /// Data farms without which the gateway is not ready.
    pub required_farms: Vec<String>,
    /// Largest difference between the gateway's clock and the local one.
    pub max_clock_skew: Duration,
    /// The exchanges whose hours the gate keeps, and whether anyone chose them.
    pub market: Sourced<MarketChoice>,
    /// The file that corrects the calendars, if anyone set one.
    pub calendar_overrides: Option<Sourced<PathBuf>>,
    /// When the schedule runs agent and checks, by the exchange's wall clock, as far as the exchange's hours do not say it.
    pub schedule: Wishes,
    /// When IBKR resets servers each day, where that was set; [`Settings::resets`] tells the windows that count.
    pub reset_windows: Vec<DailyReset>,
    /// What is done to recover the gateway; none unless causes are named.
    pub recovery: Option<Plan>,
    /// Highest API version to announce, 100 to 300.
    pub api_version_max: u16,
    /// Users, besides this one and root, whose files are believed.
    pub trusted_owners: Vec<u32>,
    /// Directory of the store, absolute; none for a user without a home who set none.
    pub state_dir: Option<PathBuf>,
    /// The file that halts the agents of all gateways, absolute; [`Settings::halt_file_of`] is that of one.
    pub halt_file: PathBuf,
    /// When a supervised agent is stopped, and how.
    pub supervision: SuperviseSettings,
    /// Who is told of changes, how and when.
    pub alerts: AlertSettings,
}

/// When a supervised agent is stopped, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SuperviseSettings {
    /// What stops it, beside a halt, and how long a loss of readiness is borne.
    pub terms: Terms,
    /// How long it has to end by itself.
    pub grace: Duration,
}

/// What stops a supervised agent where nobody says otherwise.
const STOPPED_ON: [StopOn; 2] = [StopOn::NotReady, StopOn::SessionEnd];

/// Which gateway is meant where no flag, variable or file says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unnamed {
    /// The one that is called `default`, or the only one; otherwise it is a fault.
    TheDefault,
    /// Whichever: the settings are for what concerns all of them.
    Any,
}

impl Settings {
    /// When IBKR resets servers each day: as it was set, else as IBKR publishes it. Read only when it is asked for, since their
    /// zones take longer than all other settings.
    #[must_use]
    pub fn resets(&self) -> Vec<DailyReset> {
        if self.reset_windows.is_empty() { published() } else { self.reset_windows.clone() }
    }

    /// Reads all sources.
    ///
    /// # Errors
    /// Everything that is wrong in the flags, in the variables that count, and in the two files, which are checked
    /// whole: also values that a stronger source replaces, and gateways that are not chosen.
    pub fn load(flags: &Flags, sources: &Sources<'_>) -> Result<Self, SettingsError> {
        Self::load_with(flags, sources, Unnamed::TheDefault)
    }

    /// The same for what concerns all gateways unless a flag names one: of several, none has to be chosen.
    ///
    /// # Errors
    /// As for one gateway.
    pub fn load_for_all(flags: &Flags, sources: &Sources<'_>) -> Result<Self, SettingsError> {
        Self::load_with(flags, sources, Unnamed::Any)
    }

    /// The file that halts the agents of this gateway alone: beside that of all, with the gateway's name in its own.
    #[must_use]
    pub fn halt_file_of(&self, gateway: &GatewayName) -> PathBuf {
        let name = |part: Option<&OsStr>| part.unwrap_or_default().to_string_lossy().into_owned();
        let (stem, extension) = (name(self.halt_file.file_stem()), name(self.halt_file.extension()));
        let dot = if extension.is_empty() { "" } else { "." };
        self.halt_file.with_file_name(format!("{stem}-{gateway}{dot}{extension}"))
    }

    fn load_with(flags: &Flags, sources: &Sources<'_>, unnamed: Unnamed) -> Result<Self, SettingsError> {
        let mut problems = Vec::new();
        let read = ReadLayers::collect(flags, sources, &mut problems);
        let gateway = read.choose_gateway(unnamed, &mut problems);
        let settings = read.resolve(gateway, sources, &mut problems);
        match settings {
            Ok(settings) if problems.is_empty() => Ok(settings),
            _ => Err(SettingsError::new(problems)),
        }
    }

    /// Reads all sources for the gateway that is named, or else for every one of the configuration file.
    ///
    /// # Errors
    /// As [`Settings::load`]; and two gateways with the same socket or the same status file.
    pub fn load_all(flags: &Flags, sources: &Sources<'_>) -> Result<Vec<Self>, SettingsError> {
        let mut problems = Vec::new();
        let read = ReadLayers::collect(flags, sources, &mut problems);
        let mut all = Vec::new();
        for gateway in read.choose_gateways(&mut problems).unwrap_or_default() {
            let known = problems.len();
            match read.resolve(Ok(gateway), sources, &mut problems) {
                Ok(settings) => all.push(settings),
                // What is wrong at the top is so for every gateway, and is told once.
                Err(Reported) if problems.len() > known => break,
                Err(Reported) => {}
            }
        }
        find_shared(&all, &mut problems);
        if problems.is_empty() { Ok(all) } else { Err(SettingsError::new(problems)) }
    }
}

/// Two gateways cannot share a socket or a status file: each would be told of by the other.
fn find_shared(all: &[Settings], problems: &mut Vec<Problem>) {
    let (mut sockets, mut files) = (HashMap::new(), HashMap::new());
    for settings in all {
        let name = settings.gateway.as_str();
        let path = settings.config.clone().unwrap_or_default();
        if let Some(other) = sockets.insert((settings.host.as_str(), settings.port), name) {
            let what = format!("{}:{}", settings.host, settings.port);
            let fault = Fault::Shared { one: other.into(), other: name.into(), what };
            problems.push(Problem::new(Place::File(path.clone()), fault));
        }
        if let Some(other) = files.insert(settings.status_file.as_path(), name) {
            let what = format!("the status file {}", fault::shown(&settings.status_file.to_string_lossy()));
            let fault = Fault::Shared { one: other.into(), other: name.into(), what };
            problems.push(Problem::new(Place::File(path), fault));
        }
    }
}

/// What was found of the configuration file.
enum Config {
    /// There is none.
    Absent,
    /// There is one, and its faults are reported. What depends on its content stays unjudged.
    Unusable,
    /// It was read.
    Read(ConfigFile),
}

/// Every source, read.
struct ReadLayers {
    flags: Layer,
    environment: Layer,
    env_file: Layer,
    env_file_read: EnvFileRead,
    config: Config,
}

impl ReadLayers {
    /// The configuration file comes before `.env`, because it says whose `.env` is believed. Only if neither a flag
    /// nor the environment names one can `.env` name another, which is then taken in its place.
    fn collect(flags: &Flags, sources: &Sources<'_>, problems: &mut Vec<Problem>) -> Self {
        let flags = layers::from_flags(flags);
        let environment = layers::from_environment(sources, problems);
        let owners = believed_owners(&[&environment], sources);

        let mut config_problems = Vec::new();
        let named = pick(&[&flags, &environment], &names::CONFIG);
        let mut config = read_config(named, &owners, sources, &mut config_problems);

        let trusted = match &config {
            Config::Read(file) => believed_owners(&[&environment, &file.top], sources),
            Config::Absent | Config::Unusable => owners.clone(),
        };
        let (env_file, env_file_read) = read_env_file(&trusted, sources, problems);
        if let (None, Some(entry)) = (named, pick(&[&env_file], &names::CONFIG)) {
            config_problems.clear();
            config = read_config(Some(entry), &owners, sources, &mut config_problems);
        }
        problems.append(&mut config_problems);
        Self { flags, environment, env_file, env_file_read, config }
    }

    /// The gateways that there are.
    fn configured(&self) -> Result<(Vec<GatewayName>, &Path), Reported> {
        let (mut configured, path) = match &self.config {
            Config::Read(file) => (file.gateways.keys().cloned().collect(), file.path.as_path()),
            Config::Absent => (Vec::new(), Path::new("")),
            Config::Unusable => return Err(Reported),
        };
        if configured.is_empty() {
            configured.push(GatewayName::unnamed());
        }
        Ok((configured, path))
    }

    /// The gateway that somebody named, if anyone did.
    fn named_gateway(
        &self,
        configured: &[GatewayName],
        problems: &mut Vec<Problem>,
    ) -> Result<Option<GatewayName>, Reported> {
        let sources = [&self.flags, &self.environment, &self.env_file];
        let mut reader = Reader { layers: &sources, problems };
        let Some(Sourced { value, place }) = reader.set(&names::GATEWAY, values::gateway_name)? else {
            return Ok(None);
        };
        if configured.contains(&value) {
            return Ok(Some(value));
        }
        let fault = unknown_gateway(&value, configured);
        problems.push(Problem::of_value(&names::GATEWAY, place, fault));
        Err(Reported)
    }

    /// The gateways that a watch is for: the named one, or all of them.
    fn choose_gateways(&self, problems: &mut Vec<Problem>) -> Result<Vec<GatewayName>, Reported> {
        let (configured, _) = self.configured()?;
        Ok(self.named_gateway(&configured, problems)?.map_or(configured, |name| vec![name]))
    }

    /// The gateway that is meant.
    fn choose_gateway(&self, unnamed: Unnamed, problems: &mut Vec<Problem>) -> Result<GatewayName, Reported> {
        let (configured, path) = self.configured()?;
        if let Some(name) = self.named_gateway(&configured, problems)? {
            return Ok(name);
        }
        let default = configured.iter().find(|name| name.as_str() == GatewayName::DEFAULT);
        match (default, configured.as_slice()) {
            (Some(name), _) | (None, [name]) => Ok(name.clone()),
            (None, [name, ..]) if unnamed == Unnamed::Any => Ok(name.clone()),
            (None, names) => {
                let fault = Fault::GatewayNotChosen { names: list(names) };
                problems.push(Problem::new(Place::File(path.to_owned()), fault));
                Err(Reported)
            }
        }
    }

    /// Reads the value of every setting. Goes on past faults, so that all are found.
    fn resolve(
        &self,
        gateway: Result<GatewayName, Reported>,
        sources: &Sources<'_>,
        problems: &mut Vec<Problem>,
    ) -> Result<Settings, Reported> {
        let none = Layer::new();
        let (section, top, path) = match &self.config {
            Config::Read(file) => {
                let section = gateway.as_ref().ok().and_then(|name| file.gateways.get(name));
                (section.unwrap_or(&none), &file.top, Some(file.path.clone()))
            }
            Config::Absent | Config::Unusable => (&none, &none, None),
        };
        let layers = [&self.flags, &self.environment, &self.env_file, section, top];
        Reader { layers: &layers, problems }.settings(gateway, path, self.env_file_read, sources)
    }
}

/// A fault was found and stands among the problems already.
#[derive(Debug, Clone, Copy)]
struct Reported;

/// Takes the strongest word on each setting, and reports it if it is faulty.
struct Reader<'a> {
    layers: &'a [&'a Layer],
    problems: &'a mut Vec<Problem>,
}

impl Reader<'_> {
    fn settings(
        &mut self,
        gateway: Result<GatewayName, Reported>,
        config: Option<PathBuf>,
        env_file: EnvFileRead,
        sources: &Sources<'_>,
    ) -> Result<Settings, Reported> {
        // Every value is read before the first fault ends the function.
        let host = self.sourced(&names::HOST, values::host);
        let port = self.sourced(&names::PORT, values::port);
        let client_id = self.one(&names::CLIENT_ID, values::client_id);
        let container = self.one(&names::CONTAINER, values::container);
        let timeout = self.one(&names::TIMEOUT, values::timeout);
        let settle = self.one(&names::SETTLE, values::settle);
        let heartbeat = self.one(&names::HEARTBEAT, values::heartbeat);
        let status_file = self.set(&names::STATUS_FILE, values::path);
        let status_file_mode = self.one(&names::STATUS_FILE_MODE, values::file_mode);
        let max_status_age = self.one(&names::MAX_STATUS_AGE, values::max_status_age);
        let expect_accounts = self.many(&names::EXPECT_ACCOUNTS, values::account);
        let expect_mode = self.set(&names::EXPECT_MODE, values::expected_mode);
        let allow_read_only = self.one(&names::ALLOW_READ_ONLY, values::switch);
        let broker_question = self.broker_question();
        let required_farms = self.many(&names::REQUIRED_FARMS, values::farm);
        let max_clock_skew = self.one(&names::MAX_CLOCK_SKEW, values::max_clock_skew);
        let market = self.market();
        let calendar_overrides = self.set(&names::CALENDAR_OVERRIDES, values::absolute_path);
        let agent = self.many_if_set(&names::AGENT_TIMES, values::wall_time);
        let checks = self.many_if_set(&names::CHECK_TIMES, values::wall_time);
        let sunday_checks = self.many_if_set(&names::SUNDAY_CHECK_TIMES, values::wall_time);
        let reset_windows = self.many(&names::RESET_WINDOWS, values::reset_window);
        let api_version_max = self.one(&names::API_VERSION_MAX, values::api_version);
        let trusted_owners = self.trusted_owners(sources);
        let state_dir = self.state_dir(sources);
        let halt_file = self.one(&names::HALT_FILE, values::absolute_path);
        let supervision = self.supervision();
        let alerts = self.alerts(sources);
        let recovery = self.recovery(container.as_ref().ok(), host.as_ref().ok().map(|host| &host.value));
        let gateway = gateway?;
        let (host, port) = (host?, port?);
        let (broker_probe, probe_contract) = broker_question?;
        let is_default = host.origin() == Origin::Default && port.origin() == Origin::Default;
        let set_status_file = status_file?.map(|path| path.value);
        Ok(Settings {
            config,
            env_file,
            endpoint_chosen: if is_default { Chosen::ByDefault } else { Chosen::BySetting },
            host: host.value,
            port: port.value,
            client_id: client_id?,
            container: container?,
            timeout: timeout?,
            settle: settle?,
            heartbeat: heartbeat?,
            status_file: set_status_file.unwrap_or_else(|| gateway.default_status_file()),
            status_file_mode: status_file_mode?,
            max_status_age: max_status_age?,
            expect_accounts: expect_accounts?,
            expect_mode: expect_mode?.map(|mode| mode.value),
            allow_read_only: allow_read_only?,
            broker_probe,
            probe_contract,
            required_farms: required_farms?,
            max_clock_skew: max_clock_skew?,
            market: market?,
            calendar_overrides: calendar_overrides?,
            schedule: Wishes { agent: agent?, checks: checks?, sunday_checks: sunday_checks? },
            reset_windows: reset_windows?,
            recovery: recovery?,
            api_version_max: api_version_max?,
            trusted_owners: trusted_owners?,
            state_dir: state_dir?,
            halt_file: halt_file?,
            supervision: supervision?,
            gateway,
            alerts: alerts?,
        })
    }

    fn supervision(&mut self) -> Result<SuperviseSettings, Reported> {
        let stop_on = self.many_if_set(&names::SUPERVISE_STOP, values::stop_on);
        let grace = self.one(&names::SUPERVISE_GRACE, values::grace);
        let tolerance = self.one(&names::SUPERVISE_TOLERANCE, values::tolerance);
        let stop_on = stop_on?.unwrap_or_else(|| STOPPED_ON.to_vec());
        Ok(SuperviseSettings { terms: Terms { stop_on, tolerance: tolerance? }, grace: grace? })
    }

    /// The value, or the default.
    fn one<T>(&mut self, setting: &'static Setting, parse: Parse<T>) -> Result<T, Reported> {
        self.sourced(setting, parse).map(|sourced| sourced.value)
    }

    /// The value, or the default, with its place.
    fn sourced<T>(&mut self, setting: &'static Setting, parse: Parse<T>) -> Result<Sourced<T>, Reported> {
        if let Some(sourced) = self.set(setting, parse)? {
            return Ok(sourced);
        }
        let place = Place::Default(setting.name);
        self.parsed(setting, setting.default, place, parse)
    }

    /// The value with its place, if anyone set one.
    fn set<T>(&mut self, setting: &'static Setting, parse: Parse<T>) -> Result<Option<Sourced<T>>, Reported> {
        match pick(self.layers, setting).and_then(|entry| entry.items.first()) {
            Some(given) => self.parsed(setting, &given.text, given.place.clone(), parse).map(Some),
            None => Ok(None),
        }
    }

    fn parsed<T>(
        &mut self,
        setting: &'static Setting,
        text: &str,
        place: Place,
        parse: Parse<T>,
    ) -> Result<Sourced<T>, Reported> {
        match values::read(text, parse) {
            Ok(value) => Ok(Sourced { value, place }),
            Err(fault) => {
                self.problems.push(Problem::of_value(setting, place, fault));
                Err(Reported)
            }
        }
    }

    /// The items of a list without repetitions; empty if nobody set it.
    fn many<T: PartialEq>(&mut self, setting: &'static Setting, parse: Parse<T>) -> Result<Vec<T>, Reported> {
        let mut items = Ok(Vec::new());
        for given in pick(self.layers, setting).into_iter().flat_map(|entry| &entry.items) {
            match (self.parsed(setting, &given.text, given.place.clone(), parse), &mut items) {
                (Ok(item), Ok(items)) if !items.contains(&item.value) => items.push(item.value),
                (Ok(_), _) => {}
                (Err(Reported), _) => items = Err(Reported),
            }
        }
        items
    }

    /// The exchanges, and how they are judged together.
    fn market(&mut self) -> Result<Sourced<MarketChoice>, Reported> {
        let words = self.many(&names::EXCHANGE, values::exchange);
        let rule = self.sourced(&names::EXCHANGE_RULE, values::exchange_rule);
        let (words, rule) = (words?, rule?);
        let given = pick(self.layers, &names::EXCHANGE).and_then(|entry| entry.items.first());
        let place = given.map_or(Place::Default(names::EXCHANGE.name), |given| given.place.clone());
        let has_stock_connect = words.contains(&ExchangeWord::StockConnect);
        if has_stock_connect && words.len() > 1 {
            self.problems.push(Problem::of_value(&names::EXCHANGE, place, Fault::StockConnectAlone));
            return Err(Reported);
        }
        // A rule for other exchanges may stand in a weaker source.
        let is_meant = rule.place.origin() <= place.origin();
        if has_stock_connect && is_meant && rule.value == Combination::Any {
            self.problems.push(Problem::of_value(&names::EXCHANGE_RULE, rule.place, Fault::StockConnectRule));
            return Err(Reported);
        }
        let value = if has_stock_connect {
            MarketChoice { exchanges: vec![Exchange::XSHG, Exchange::XHKG], combination: Combination::All }
        } else {
            let mut exchanges: Vec<Exchange> = words.into_iter().filter_map(ExchangeWord::exchange).collect();
            if exchanges.is_empty() {
                exchanges.push(Exchange::XHKG);
            }
            MarketChoice { exchanges, combination: rule.value }
        };
        Ok(Sourced { value, place })
    }

    /// What the broker is asked. A contract that nobody asks about would be missed by the gate at every start.
    fn broker_question(&mut self) -> Result<(BrokerProbe, Option<ProbeContract>), Reported> {
        let probe = self.sourced(&names::BROKER_PROBE, values::broker_probe);
        let contract = self.set(&names::PROBE_CONTRACT, probe_contract::probe_contract);
        match (probe?, contract?) {
            (Sourced { value: BrokerProbe::Off, place }, Some(contract)) => {
                let fault = Fault::NothingAsked { contract: contract.place.to_string() };
                self.problems.push(Problem::of_value(&names::BROKER_PROBE, place, fault));
                Err(Reported)
            }
            (probe, contract) => Ok((probe.value, contract.map(|contract| contract.value))),
        }
    }

    /// The items of a list, which may be none; `None` if nobody set it.
    fn many_if_set<T: PartialEq>(
        &mut self,
        setting: &'static Setting,
        parse: Parse<T>,
    ) -> Result<Option<Vec<T>>, Reported> {
        let is_set = pick(self.layers, setting).is_some();
        self.many(setting, parse).map(|items| is_set.then_some(items))
    }

    /// The user ids of the trusted owners. Names are looked up among the users of this machine.
    fn trusted_owners(&mut self, sources: &Sources<'_>) -> Result<Vec<u32>, Reported> {
        let owners = self.many(&names::TRUSTED_OWNERS, values::owner)?;
        let has_names = owners.iter().any(|owner| matches!(owner, Owner::Name(_)));
        let users = if has_names { self.users(sources)? } else { String::new() };
        let mut ids = Vec::new();
        let mut unknown = Vec::new();
        for owner in owners {
            let id = match &owner {
                Owner::Id(id) => Some(*id),
                Owner::Name(name) => users::named(name, &users).map(|user| user.id),
            };
            match id {
                Some(id) if ids.contains(&id) => {}
                Some(id) => ids.push(id),
                None => unknown.push(owner),
            }
        }
        let entry = pick(self.layers, &names::TRUSTED_OWNERS);
        for given in entry.into_iter().flat_map(|entry| &entry.items) {
            if values::read(&given.text, values::owner).is_ok_and(|owner| unknown.contains(&owner)) {
                let fault = Fault::UnknownUser { name: fault::shown(given.text.trim()) };
                let place = given.place.clone();
                self.problems.push(Problem::of_value(&names::TRUSTED_OWNERS, place, fault));
            }
        }
        if unknown.is_empty() { Ok(ids) } else { Err(Reported) }
    }

    fn users(&mut self, sources: &Sources<'_>) -> Result<String, Reported> {
        (sources.read)(Path::new(USERS), &[]).map(Option::unwrap_or_default).map_err(|reason| {
            let fault = Fault::UsersUnreadable(reason);
            self.problems.push(Problem::new(Place::File(USERS.into()), fault));
            Reported
        })
    }

    fn state_dir(&mut self, sources: &Sources<'_>) -> Result<Option<PathBuf>, Reported> {
        if let Some(set) = self.set(&names::STATE_DIR, values::absolute_path)? {
            return Ok(Some(set.value));
        }
        // Root's store is the machine's, also where root was entered with the variables of a person.
        if sources.user_id == 0 {
            return Ok(Some(PathBuf::from("/var/lib/ibga")));
        }
        let base = sources
            .directory("XDG_STATE_HOME")
            .or_else(|| sources.directory("HOME").map(|home| home.join(".local/state")));
        Ok(base.map(|base| base.join("ibga")))
    }
}

/// Reads the named configuration file, or else the first that is there.
fn read_config(named: Option<&Entry>, trusted: &[u32], sources: &Sources<'_>, problems: &mut Vec<Problem>) -> Config {
    let (paths, named) = match named.and_then(|entry| entry.items.first()) {
        Some(given) => match values::read(&given.text, values::path) {
            Ok(path) => (vec![path], Some(&given.place)),
            Err(fault) => {
                problems.push(Problem::of_value(&names::CONFIG, given.place.clone(), fault));
                return Config::Unusable;
            }
        },
        None => (config_places(sources), None),
    };
    for path in paths {
        match (sources.read)(&path, trusted) {
            Ok(Some(text)) => {
                return toml_file::parse(&text, &path, problems).map_or(Config::Unusable, Config::Read);
            }
            Ok(None) => {
                let Some(place) = named else { continue };
                let shown = fault::shown(&path.to_string_lossy());
                let fault = Fault::ConfigMissing { shown };
                problems.push(Problem::of_value(&names::CONFIG, place.clone(), fault));
                return Config::Unusable;
            }
            Err(text) => {
                problems.push(Problem::new(Place::File(path), Fault::Unreadable(text)));
                return Config::Unusable;
            }
        }
    }
    Config::Absent
}

/// Where a configuration file is looked for, in this order.
fn config_places(sources: &Sources<'_>) -> Vec<PathBuf> {
    let user =
        sources.directory("XDG_CONFIG_HOME").or_else(|| sources.directory("HOME").map(|home| home.join(".config")));
    [
        Some(PathBuf::from("ibga.toml")),
        user.map(|directory| directory.join("ibga/ibga.toml")),
        Some(PathBuf::from("/etc/ibga/ibga.toml")),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn read_env_file(trusted: &[u32], sources: &Sources<'_>, problems: &mut Vec<Problem>) -> (Layer, EnvFileRead) {
    let path = Path::new(".env");
    match (sources.read)(path, trusted) {
        Ok(Some(text)) => (layers::from_env_file(&text, path, problems), EnvFileRead::Read),
        Ok(None) => (Layer::new(), EnvFileRead::Absent),
        Err(text) => {
            problems.push(Problem::new(Place::File(path.to_owned()), Fault::Unreadable(text)));
            (Layer::new(), EnvFileRead::Absent)
        }
    }
}

/// The owners that these layers name, or nobody where they are faulty, which is reported at the end.
fn believed_owners(layers: &[&Layer], sources: &Sources<'_>) -> Vec<u32> {
    Reader { layers, problems: &mut Vec::new() }.trusted_owners(sources).unwrap_or_default()
}

fn unknown_gateway(name: &GatewayName, configured: &[GatewayName]) -> Fault {
    let edits_max = (name.as_str().len() / 3).max(2);
    let nearest = nearest(name.as_str(), configured.iter().map(GatewayName::as_str), edits_max);
    let hint = nearest
        .map_or_else(|| format!("configured: {}", list(configured)), |nearest| format!("did you mean `{nearest}`?"));
    Fault::UnknownGateway { name: name.to_string(), hint }
}

fn list(names: &[GatewayName]) -> String {
    let shown: Vec<&str> = names.iter().take(NAMES_SHOWN_MAX).map(GatewayName::as_str).collect();
    let more = match names.len().saturating_sub(NAMES_SHOWN_MAX) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("{}{more}", shown.join(", "))
}

#[cfg(test)]
impl Settings {
    /// The settings that these variables make, for tests of what goes by settings.
    pub(crate) fn of_variables(variables: &[(&str, &str)]) -> Self {
        let value = |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.into());
        let sources = Sources {
            environment: &value,
            environment_names: vec![],
            read: &|_: &Path, _: &[u32]| Ok(None),
            user_id: 0,
            host_name: &String::new,
            zone: &|| TimeZone::UTC,
        };
        Self::load(&Flags::default(), &sources).unwrap_or_else(|fault| panic!("{fault}"))
    }
}

#[cfg(test)]
mod tests;
