//! The settings as an operator meets them: every source in its order, every fault in its words.

mod alerts;
mod recovery;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt::Debug;

use super::names::Kind;
use super::*;
use crate::alert::channel::ChannelName;

const USERS_TEXT: &str = "root:x:0:0::/root:/bin/sh\nann:x:1000:1000::/home/ann:/bin/sh\nops:x:1001:1001:::\n";

fn revealed(settings: &Settings) -> Vec<&str> {
    settings.expect_accounts.iter().map(AccountId::reveal).collect()
}

/// A machine with nothing on it but what a test puts there.
struct World {
    flags: Flags,
    environment: BTreeMap<String, OsString>,
    files: BTreeMap<PathBuf, Result<String, String>>,
    user_id: u32,
    /// Each file that was asked for, with the owners that were trusted then.
    asked: RefCell<Vec<(String, Vec<u32>)>>,
}

impl World {
    fn new() -> Self {
        Self {
            flags: Flags::default(),
            environment: BTreeMap::from([("HOME".into(), "/home/ann".into())]),
            files: BTreeMap::from([(USERS.into(), Ok(USERS_TEXT.into()))]),
            user_id: 1000,
            asked: RefCell::default(),
        }
    }

    fn with_flags(mut self, set: impl FnOnce(&mut Flags)) -> Self {
        set(&mut self.flags);
        self
    }

    fn with_variable(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.environment.insert(name.into(), value.into());
        self
    }

    fn with_file(mut self, path: &str, text: &str) -> Self {
        self.files.insert(path.into(), Ok(text.into()));
        self
    }

    fn with_refused_file(mut self, path: &str, reason: &str) -> Self {
        self.files.insert(path.into(), Err(reason.into()));
        self
    }

    fn load(&self) -> Result<Settings, SettingsError> {
        self.with_sources(|sources| Settings::load(&self.flags, sources))
    }

    fn load_for_all(&self) -> Result<Settings, SettingsError> {
        self.with_sources(|sources| Settings::load_for_all(&self.flags, sources))
    }

    /// The names of the gateways that a watch is for, or what is wrong.
    fn watched(&self) -> Result<Vec<String>, String> {
        let all = self.with_sources(|sources| Settings::load_all(&self.flags, sources));
        all.map(|all| all.iter().map(|one| format!("{} {}:{}", one.gateway, one.host, one.port)).collect())
            .map_err(|fault| fault.to_string())
    }

    fn with_sources<T>(&self, load: impl FnOnce(&Sources<'_>) -> T) -> T {
        let read = |path: &Path, trusted: &[u32]| {
            self.asked.borrow_mut().push((path.display().to_string(), trusted.to_vec()));
            self.files.get(path).cloned().map_or(Ok(None), |file| file.map(Some))
        };
        let sources = Sources {
            environment: &|name| self.environment.get(name).cloned(),
            environment_names: self.environment.keys().cloned().collect(),
            read: &read,
            user_id: self.user_id,
            host_name: &|| "trader".into(),
            zone: &|| TimeZone::get("Asia/Tokyo").unwrap(),
        };
        load(&sources)
    }

    #[track_caller]
    fn settings(&self) -> Settings {
        self.load().unwrap_or_else(|error| panic!("{error}"))
    }

    /// The lines of the error; none if there is no error.
    fn problems(&self) -> Vec<String> {
        self.load().err().map(|error| error.to_string().lines().map(str::to_owned).collect()).unwrap_or_default()
    }
}

/// How one setting is given by each source, and how it shows in the result.
struct Row {
    name: &'static str,
    /// Texts for the top of the file, the gateway's table, `.env`, the environment and the flag, no two neighbours alike.
    texts: [&'static str; 5],
    flag: Option<fn(&mut Flags, String)>,
    show: fn(&Settings) -> String,
}

fn debug(value: &impl Debug) -> String {
    format!("{value:?}")
}

/// `09:30,13:00`.
fn walls(times: Option<&Vec<jiff::civil::Time>>) -> String {
    let shown = |times: &Vec<_>| times.iter().map(|time| ibga_core::window::wall(*time)).collect::<Vec<_>>().join(",");
    times.map_or_else(String::new, shown)
}

const ROWS: &[Row] = &[
    Row {
        name: "host",
        texts: ["a.top", "a.section", "a.file", "a.variable", "a.flag"],
        flag: Some(|flags, text| flags.host = Some(text)),
        show: |settings| settings.host.to_string(),
    },
    Row {
        name: "port",
        texts: ["1", "2", "3", "4", "5"],
        flag: Some(|flags, text| flags.port = Some(text)),
        show: |settings| settings.port.to_string(),
    },
    Row {
        name: "client_id",
        texts: ["1", "2", "3", "4", "5"],
        flag: Some(|flags, text| flags.client_id = Some(text)),
        show: |settings| settings.client_id.first().to_string(),
    },
    Row {
        name: "container",
        texts: ["top", "none", "file", "auto", "flag"],
        flag: Some(|flags, text| flags.container = Some(text)),
        show: |settings| match &settings.container {
            ContainerChoice::Auto => "auto".into(),
            ContainerChoice::None => "none".into(),
            ContainerChoice::Named(name) => name.to_string(),
        },
    },
    Row {
        name: "timeout",
        texts: ["1s", "2s", "3s", "4s", "5s"],
        flag: Some(|flags, text| flags.timeout = Some(text)),
        show: |settings| debug(&settings.timeout),
    },
    Row {
        name: "settle",
        texts: ["1ms", "2ms", "3ms", "4ms", "5ms"],
        flag: Some(|flags, text| flags.settle = Some(text)),
        show: |settings| debug(&settings.settle),
    },
    Row {
        name: "heartbeat",
        texts: ["2s", "3s", "4s", "5s", "6s"],
        flag: Some(|flags, text| flags.heartbeat = Some(text)),
        show: |settings| debug(&settings.heartbeat),
    },
    Row {
        name: "status_file",
        texts: ["/1", "/2", "/3", "/4", "/5"],
        flag: Some(|flags, text| flags.status_file = Some(text)),
        show: |settings| settings.status_file.display().to_string(),
    },
    Row {
        name: "status_file_mode",
        texts: ["0640", "0644", "0604", "0600", ""],
        flag: None,
        show: |settings| format!("{:04o}", settings.status_file_mode),
    },
    Row {
        name: "max_status_age",
        texts: ["1s", "2s", "3s", "4s", "5s"],
        flag: Some(|flags, text| flags.max_age = Some(text)),
        show: |settings| debug(&settings.max_status_age),
    },
    Row {
        name: "expect_accounts",
        texts: ["DU001,DU002", "DU003", "DU004,DU005", "DU006", "DU007,DU008"],
        flag: Some(|flags, text| {
            flags.expect_accounts = text.split(',').map(str::to_owned).collect();
        }),
        show: |settings| revealed(settings).join(","),
    },
    Row {
        name: "expect_mode",
        texts: ["paper", "live", "paper", "live", "paper"],
        flag: Some(|flags, text| flags.expect_mode = Some(text)),
        show: |settings| settings.expect_mode.map(|mode| debug(&mode).to_lowercase()).unwrap_or_default(),
    },
    Row {
        name: "allow_read_only",
        texts: ["true", "false", "true", "false", "true"],
        flag: Some(|flags, text| flags.allow_read_only = Some(text == "true")),
        show: |settings| settings.allow_read_only.to_string(),
    },
    Row {
        name: "broker_probe",
        texts: ["off", "contract", "off", "contract", "off"],
        flag: Some(|flags, text| flags.broker_probe = Some(text)),
        show: |settings| debug(&settings.broker_probe).to_lowercase(),
    },
    Row {
        name: "probe_contract",
        texts: ["700 SEHK STK HKD", "IBM NYSE STK USD", "SAP IBIS STK EUR", "BHP ASX STK AUD", ""],
        flag: None,
        show: |settings| settings.probe_contract.as_ref().map(ToString::to_string).unwrap_or_default(),
    },
    Row {
        name: "required_farms",
        texts: ["hfarm", "usfarm,jfarm", "eufarm", "usopt", ""],
        flag: None,
        show: |settings| settings.required_farms.join(","),
    },
    Row {
        name: "max_clock_skew",
        texts: ["1s", "2s", "3s", "4s", ""],
        flag: None,
        show: |settings| debug(&settings.max_clock_skew),
    },
    Row {
        name: "exchange",
        texts: ["XNYS", "XNAS,XLON", "XLON", "XTKS,XHKG", "XASX,XNYS"],
        flag: Some(|flags, text| flags.exchanges = text.split(',').map(str::to_owned).collect()),
        show: |settings| settings.market.value.exchanges.iter().map(ToString::to_string).collect::<Vec<_>>().join(","),
    },
    Row {
        name: "exchange_rule",
        texts: ["any", "all", "any", "all", "any"],
        flag: Some(|flags, text| flags.exchange_rule = Some(text)),
        show: |settings| settings.market.value.combination.code().into(),
    },
    Row {
        name: "calendar_overrides",
        texts: ["/1", "", "/3", "/4", ""],
        flag: None,
        show: |settings| {
            settings.calendar_overrides.as_ref().map(|file| file.value.display().to_string()).unwrap_or_default()
        },
    },
    Row {
        name: "api_version_max",
        texts: ["101", "102", "103", "104", ""],
        flag: None,
        show: |settings| settings.api_version_max.to_string(),
    },
    Row {
        name: "agent_times",
        texts: ["01:00", "02:00", "03:00,04:00", "05:00", ""],
        flag: None,
        show: |settings| walls(settings.schedule.agent.as_ref()),
    },
    Row {
        name: "check_times",
        texts: ["01:00", "02:00", "03:00,04:00", "05:00", ""],
        flag: None,
        show: |settings| walls(settings.schedule.checks.as_ref()),
    },
    Row {
        name: "sunday_check_times",
        texts: ["01:00", "02:00", "03:00,04:00", "05:00", ""],
        flag: None,
        show: |settings| walls(settings.schedule.sunday_checks.as_ref()),
    },
    Row {
        name: "reset_windows",
        texts: [
            "01:00-02:00 UTC Top",
            "02:00-03:00 UTC Section",
            "03:00-04:00 UTC File,04:00-05:00 UTC Other",
            "05:00-06:00 UTC Variable",
            "",
        ],
        flag: None,
        show: |settings| settings.resets().iter().map(ToString::to_string).collect::<Vec<_>>().join(","),
    },
    Row {
        name: "trusted_owners",
        texts: ["1", "", "3", "4", ""],
        flag: None,
        show: |settings| settings.trusted_owners.iter().map(u32::to_string).collect::<Vec<_>>().join(","),
    },
    Row {
        name: "state_dir",
        texts: ["/1", "", "/3", "/4", ""],
        flag: None,
        show: |settings| settings.state_dir.as_ref().map(|path| path.display().to_string()).unwrap_or_default(),
    },
    Row {
        name: "halt_file",
        texts: ["/1", "", "/3", "/4", ""],
        flag: None,
        show: |settings| settings.halt_file.display().to_string(),
    },
    Row {
        name: "supervise_stop",
        texts: ["not_ready", "session_end", "halt", "not_ready,halt", "session_end,not_ready"],
        flag: Some(|flags, text| flags.stop_on = text.split(',').map(str::to_owned).collect()),
        show: |settings| settings.supervision.terms.stop_on.iter().map(|one| one.code()).collect::<Vec<_>>().join(","),
    },
    Row {
        name: "supervise_grace",
        texts: ["1s", "2s", "3s", "4s", "5s"],
        flag: Some(|flags, text| flags.grace = Some(text)),
        show: |settings| debug(&settings.supervision.grace),
    },
    Row {
        name: "supervise_tolerance",
        texts: ["1s", "2s", "3s", "4s", "5s"],
        flag: Some(|flags, text| flags.tolerance = Some(text)),
        show: |settings| debug(&settings.supervision.terms.tolerance),
    },
];

fn rows() -> impl Iterator<Item = &'static Row> {
    ROWS.iter().chain(recovery::ROWS).chain(alerts::ROWS)
}

/// A machine on which a setting of this name makes a difference.
fn beside(name: &str) -> World {
    if name.starts_with("recover") { recovery::beside(name) } else { alerts::beside(name) }
}

fn setting(name: &str) -> &'static Setting {
    SETTINGS.iter().find(|setting| setting.name == name).unwrap()
}

/// A line of `ibga.toml` that gives the setting this text.
fn toml_line(setting: &Setting, text: &str) -> String {
    let value = match setting.kind {
        Kind::Text | Kind::Verbatim | Kind::Duration => format!("{text:?}"),
        Kind::Whole | Kind::Switch | Kind::Id => text.to_owned(),
        Kind::Texts | Kind::Words => format!("{:?}", text.split(',').collect::<Vec<_>>()),
        Kind::Owners => format!("[{text}]"),
    };
    format!("{} = {value}\n", setting.name)
}

#[test]
fn the_rows_cover_every_setting_that_the_file_can_hold() {
    let names: Vec<_> = rows().map(|row| row.name).collect();
    let table: Vec<_> = SETTINGS.iter().filter_map(Setting::toml_key).collect();
    assert_eq!(names, table);
    for row in rows() {
        assert_eq!(row.flag.is_some(), setting(row.name).flag.is_some(), "{}", row.name);
    }
}

#[test]
fn an_emptied_list_of_times_is_not_an_unset_one() {
    let world = World::new().with_file("ibga.toml", "sunday_check_times = []\n");
    assert_eq!(world.settings().schedule.sunday_checks, Some(vec![]));
    assert_eq!(World::new().settings().schedule.sunday_checks, None);
}

#[test]
fn what_stops_an_agent_where_nobody_says_and_where_nothing_shall() {
    let stops = |world: World| world.settings().supervision.terms.stop_on;
    assert_eq!(stops(World::new()), [StopOn::NotReady, StopOn::SessionEnd]);
    assert_eq!(stops(World::new().with_file("ibga.toml", "supervise_stop = []\n")), []);
}

#[test]
fn each_gateway_has_a_halt_file_beside_that_of_all() {
    for (all, name, one) in [
        ("/var/tmp/ibga-halt.json", "paper", "/var/tmp/ibga-halt-paper.json"),
        ("/var/tmp/ibga-halt.json", "default", "/var/tmp/ibga-halt-default.json"),
        ("/run/halt", "live", "/run/halt-live"),
        ("/run/a.b.json", "live", "/run/a.b-live.json"),
    ] {
        let settings = World::new().with_variable("IBGA_HALT_FILE", all).settings();
        let gateway = GatewayName::read(name).unwrap();
        assert_eq!(settings.halt_file_of(&gateway), Path::new(one));
    }
}

#[test]
fn what_concerns_all_gateways_needs_none_chosen() {
    let several = "halt_file = \"/halt\"\n[gateway.paper]\nport = 1\n[gateway.live]\nport = 2\n";
    let world = World::new().with_file("ibga.toml", several);
    assert!(world.load().is_err());
    assert_eq!(world.load_for_all().map(|settings| settings.halt_file), Ok("/halt".into()));
    let misspelt = world.with_flags(|flags| flags.gateway = Some("pape".into()));
    let fault = misspelt.load_for_all().expect_err("no such gateway").to_string();
    assert!(fault.contains("did you mean `paper`?"), "{fault}");
}

#[test]
fn each_source_is_stronger_than_the_one_before() {
    for row in rows() {
        let setting = setting(row.name);
        let [top, section, file, variable, flag] = row.texts;
        let mut world = beside(row.name).with_file("ibga.toml", &toml_line(setting, top));
        assert_eq!((row.show)(&world.settings()), top, "{} at the top", row.name);
        if setting.scope == Scope::Gateway {
            let text = format!("{}[gateway.default]\n{}", toml_line(setting, top), toml_line(setting, section));
            world = world.with_file("ibga.toml", &text);
            assert_eq!((row.show)(&world.settings()), section, "{} of the gateway", row.name);
        }
        world = world.with_file(".env", &format!("{}={file}", setting.environment));
        assert_eq!((row.show)(&world.settings()), file, "{} in .env", row.name);
        world = world.with_variable(setting.environment, variable);
        assert_eq!((row.show)(&world.settings()), variable, "{} in the environment", row.name);
        if let Some(set) = row.flag {
            world = world.with_flags(|flags| set(flags, flag.to_owned()));
            assert_eq!((row.show)(&world.settings()), flag, "{} as a flag", row.name);
        }
    }
}

#[test]
fn the_defaults_are_those_of_the_table() {
    let settings = World::new().settings();
    for row in ROWS {
        let expected = match (row.name, setting(row.name).default) {
            ("state_dir", _) => "/home/ann/.local/state/ibga",
            ("max_status_age", "10m") => "600s",
            ("supervise_stop", _) => "not_ready,session_end",
            ("supervise_tolerance", "0s") => "0ns",
            (_, default) => default,
        };
        assert_eq!((row.show)(&settings), expected, "{}", row.name);
    }
    assert_eq!(settings.gateway.as_str(), "default");
    assert_eq!(settings.config, None);
    assert_eq!(settings.market.origin(), Origin::Default);
    assert_eq!(settings.alerts, AlertSettings::default());
}

#[test]
fn an_empty_variable_is_an_unset_one() {
    for empty in ["", "  "] {
        let world = World::new()
            .with_variable("IBKR_PORT", empty)
            .with_variable("IBGA_EXPECT_ACCOUNTS", empty)
            .with_variable("IBGA_GATEWAY", empty)
            .with_variable("IBGA_CONFIG", empty)
            .with_file(".env", "IBKR_PORT=4001\nIBGA_EXPECT_ACCOUNTS=DU001\nIBKR_HOST=\"\"")
            .with_file("ibga.toml", "host = \"gateway\"");
        let settings = world.settings();
        assert_eq!(settings.port, 4001);
        assert_eq!(revealed(&settings), ["DU001"]);
        assert_eq!(settings.host.as_str(), "gateway");
    }
}

#[test]
fn the_last_of_several_lines_in_the_env_file_counts() {
    let world = World::new().with_file(".env", "IBKR_PORT=99999\nIBKR_PORT=4001");
    assert_eq!(world.settings().port, 4001);
    let world = World::new().with_file(".env", "IBKR_PORT=4001\nIBKR_PORT=");
    assert_eq!(world.settings().port, 4000);
}

#[test]
fn the_origin_of_the_exchange_is_kept() {
    let file = || World::new().with_file("ibga.toml", "exchange = \"XHKG\"");
    let env_file = || file().with_file(".env", "IBGA_EXCHANGE=XHKG");
    let variable = || env_file().with_variable("IBGA_EXCHANGE", "XHKG");
    let cases = [
        (World::new(), Origin::Default),
        (file(), Origin::Config),
        (env_file(), Origin::EnvFile),
        (variable(), Origin::Environment),
        (variable().with_flags(|flags| flags.exchanges = vec!["XHKG".into()]), Origin::Flag),
    ];
    for (world, origin) in cases {
        assert_eq!(world.settings().market.origin(), origin);
    }
}

#[test]
fn markets_of_several_exchanges() {
    let market = |toml: &str| {
        let world = World::new().with_file("ibga.toml", toml);
        let market = world.settings().market.value;
        let mics: Vec<&str> = market.exchanges.iter().map(|exchange| exchange.mic()).collect();
        format!("{} of {}", market.combination.code(), mics.join(", "))
    };
    for (toml, expected) in [
        ("", "all of XHKG"),
        ("exchange = \"XHKG, XNYS\"", "all of XHKG, XNYS"),
        ("exchange = [\"XHKG\", \"xnys\", \"SEHK\"]\nexchange_rule = \"any\"", "any of XHKG, XNYS"),
        ("exchange = \"stock_connect\"", "all of XSHG, XHKG"),
        ("exchange = [\"stock_connect\"]\nexchange_rule = \"all\"", "all of XSHG, XHKG"),
    ] {
        assert_eq!(market(toml), expected, "{toml}");
    }
    // The rule of the file is meant for the exchanges of the file.
    let world = World::new().with_file("ibga.toml", "exchange = \"XHKG,XNYS\"\nexchange_rule = \"any\"");
    let world = world.with_variable("IBGA_EXCHANGE", "stock_connect");
    assert_eq!(world.settings().market.value.combination, Combination::All);
    for (toml, expected) in [
        (
            "exchange = [\"stock_connect\", \"XNYS\"]",
            "ibga.toml:1:13: exchange: stock_connect is XSHG and XHKG together and stands alone; \
             write the exchanges one by one",
        ),
        (
            "exchange = \"stock_connect\"\nexchange_rule = \"any\"",
            "ibga.toml:2:17: exchange_rule: stock_connect takes all of XSHG and XHKG; \
             remove exchange_rule, or name the exchanges themselves",
        ),
        (
            "exchange = 5",
            "ibga.toml:1:12: exchange: a whole number where text in quotes or a list of texts, \
             as in [\"one\", \"two\"], belongs",
        ),
    ] {
        assert_eq!(World::new().with_file("ibga.toml", toml).problems(), [expected], "{toml}");
    }
}

#[test]
fn a_contract_that_nobody_asks_about_is_refused_with_both_places() {
    let toml = "probe_contract = \"700 SEHK\"\nbroker_probe = \"off\"";
    let told = |contract: &str| {
        format!("`off` asks the broker nothing, also not about the probe_contract ({contract}); remove one of the two")
    };
    let in_file = World::new().with_file("ibga.toml", toml);
    assert_eq!(in_file.problems(), [format!("ibga.toml:2:16: broker_probe: {}", told("ibga.toml:1:18"))]);
    let world = World::new().with_variable("IBGA_PROBE_CONTRACT", "700 SEHK");
    let world = world.with_flags(|flags| flags.broker_probe = Some("off".into()));
    assert_eq!(world.problems(), [format!("--broker-probe: {}", told("IBGA_PROBE_CONTRACT in the environment"))]);
    // A stronger source can ask again.
    let world = World::new().with_file("ibga.toml", toml).with_variable("IBGA_BROKER_PROBE", "contract");
    assert!(world.settings().probe_contract.is_some());
}

#[test]
fn lists_lose_repetitions_and_can_be_emptied_for_one_gateway() {
    let world = World::new().with_variable("IBGA_EXPECT_ACCOUNTS", "DU001, du001 ,DU002");
    assert_eq!(revealed(&world.settings()), ["DU001", "DU002"]);
    let text = "expect_accounts = [\"DU001\"]\n[gateway.default]\nexpect_accounts = []";
    assert_eq!(World::new().with_file("ibga.toml", text).settings().expect_accounts, []);
}

#[test]
fn a_wrong_value_has_the_same_words_in_every_source() {
    let wrong = [
        ("host", "a b"),
        ("port", "99999"),
        ("client_id", "0"),
        ("container", "/x"),
        ("timeout", "1ms"),
        ("settle", "1d"),
        ("status_file", "~/x"),
        ("status_file_mode", "0666"),
        ("max_status_age", "1000h"),
        ("expect_accounts", "DU001,hunter2"),
        ("expect_mode", "papr"),
        ("broker_probe", "on"),
        ("required_farms", "us farm"),
        ("max_clock_skew", "0s"),
        ("exchange", "HK"),
        ("agent_times", "9:30"),
        ("check_times", "25:00"),
        ("sunday_check_times", "noon"),
        ("reset_windows", "at night"),
        ("exchange_rule", "both"),
        ("calendar_overrides", "calendar.txt"),
        ("api_version_max", "99"),
        ("state_dir", "here"),
        ("recover", "container_stopped,login_failed"),
        ("recover_with", "restart"),
        ("recover_budget", "0"),
        ("recover_pause", "5s"),
    ];
    for (name, text) in wrong {
        wrong_everywhere(name, text);
    }
}

/// Gives a wrong value by each source in turn. Returns the message without its place, which is the same for all.
fn wrong_everywhere(name: &str, text: &str) -> String {
    let setting = setting(name);
    let world = || beside(name);
    let message = |world: World, prefix: &str| {
        let problems = world.problems();
        assert_eq!(problems.len(), 1, "{name}: {problems:?}");
        let message = problems[0].strip_prefix(prefix);
        message.unwrap_or_else(|| panic!("{} does not begin with {prefix}", problems[0])).to_owned()
    };
    let variable = setting.environment;
    let expected = message(world().with_variable(variable, text), &format!("{variable} in the environment: "));
    let line = format!("# first\n{variable}={text}");
    assert_eq!(message(world().with_file(".env", &line), &format!(".env:2: {variable}: ")), expected);
    if setting.toml_key().is_some() {
        let line = toml_line(setting, text);
        // The last item of a list is the wrong one.
        let column = line.rfind(", ").map_or(name.len() + 4, |comma| comma + 3);
        let list = usize::from(setting.kind.is_list() && !line.contains(", "));
        let place = format!("ibga.toml:1:{}: {name}: ", column + list);
        assert_eq!(message(world().with_file("ibga.toml", &line), &place), expected);
    }
    if let Some(set) = rows().find(|row| row.name == name).and_then(|row| row.flag) {
        let world = world().with_flags(|flags| set(flags, text.to_owned()));
        assert_eq!(message(world, &format!("{}: ", setting.flag.unwrap())), expected);
    }
    expected
}

#[test]
fn an_overridden_value_counts_in_files_but_not_in_the_environment() {
    let port = |flags: &mut Flags| flags.port = Some("4001".into());
    let link = World::new().with_variable("IBKR_PORT", "tcp://10.0.0.1:4000").with_flags(port);
    assert_eq!(link.settings().port, 4001);
    let file = World::new().with_file(".env", "IBKR_PORT=0").with_flags(port);
    assert_eq!(file.problems(), [".env:1: IBKR_PORT: `0` is not a port; write a whole number from 1 to 65535"]);
    let other_gateway = World::new().with_file("ibga.toml", "[gateway.default]\n[gateway.b]\nport = 0");
    assert_eq!(
        other_gateway.problems(),
        ["ibga.toml:3:8: port: `0` is not a port; write a whole number from 1 to 65535"]
    );
}

#[test]
fn everything_wrong_is_told_at_once_and_in_order() {
    let world = World::new()
        .with_flags(|flags| {
            flags.port = Some("99999".into());
            flags.expect_accounts = vec![String::new()];
        })
        .with_variable("IBKR_PROT", "4001")
        .with_variable("IBGA_CLIENT_ID", "0")
        .with_file(".env", "what is this\n\nIBGA_TIMEOUT=15\nIBGA_CONTAINR=x")
        .with_file(
            "ibga.toml",
            "hots = \"x\"\nexpect_mode = \"papr\"\n[gateway.live]\nport = \"4001\"\n[gateway.paper]\n",
        );
    let expected = "\
--expect-account: empty; write a value or leave it out
--port: `99999` is not a port; write a whole number from 1 to 65535
IBGA_CLIENT_ID in the environment: client id 0 binds the orders that were placed by hand; choose 1 or more, such as 99
IBKR_PROT in the environment: unknown name; did you mean `IBKR_PORT`?
.env:1: not an assignment; write NAME=value, or begin a comment with #
.env:3: IBGA_TIMEOUT: `15` has no unit; write a number with its unit, such as 15s or 15m
.env:4: IBGA_CONTAINR: unknown name; did you mean `IBGA_CONTAINER`?
ibga.toml:1:1: hots: unknown key; did you mean `host`?
ibga.toml:2:15: expect_mode: `papr` is not one of paper, live; did you mean `paper`?
ibga.toml:4:8: port: text where a whole number belongs
ibga.toml: several gateways are configured; choose one with --gateway or IBGA_GATEWAY: live, paper";
    assert_eq!(world.problems().join("\n"), expected);
}

#[test]
fn several_faults_of_one_line_are_each_told_once() {
    let world = World::new().with_file(".env", "IBGA_EXPECT_ACCOUNTS=x,DU001,yy");
    let fault = |start| {
        format!(
            ".env:1: IBGA_EXPECT_ACCOUNTS: `{start}…` is not an account id; write 1 to 4 letters and 3 to 12 \
             digits, as in DU1234567"
        )
    };
    assert_eq!(world.problems(), [fault("x"), fault("yy")]);
}

#[test]
fn names_of_others_are_let_be() {
    let world = World::new()
        .with_variable("IBGA_RECONNECT_INTERVAL", "30")
        .with_variable("IBGA_VNC_PASSWORD", "hunter2")
        .with_variable("IBGA_PORT", "tcp://10.0.0.1:4000")
        .with_variable("IBGA_PORT_4000_TCP", "tcp://10.0.0.1:4000")
        .with_variable("IBGA_SERVICE_HOST", "10.0.0.1")
        .with_variable("IBKR_PROT", "")
        .with_variable("IBKR_CLIENT_ID", "1")
        .with_file(".env", "OPENAI_API_KEY=x\nIBKR_ACCOUNT=DU001\nIBGA_HOST=\nIBKR_TIMEOUT=30");
    assert_eq!(world.problems(), [""; 0]);
}

#[test]
fn a_variable_has_to_be_text() {
    use std::os::unix::ffi::OsStringExt;
    let world = World::new().with_variable("IBGA_STATUS_FILE", OsString::from_vec(vec![b'/', 0xff]));
    assert_eq!(world.problems(), ["IBGA_STATUS_FILE in the environment: not valid UTF-8; write it in UTF-8"]);
}

#[test]
fn the_gateway_is_chosen() {
    let file = |text: &str| World::new().with_file("ibga.toml", text);
    let named = |name: &str| {
        let name = name.to_owned();
        move |flags: &mut Flags| flags.gateway = Some(name)
    };
    let two = "[gateway.paper]\nport = 4002\n[gateway.live]\nport = 4001";
    let with_default = "port = 1\n[gateway.default]\n[gateway.live]\nport = 4001";
    let chosen = [
        (World::new(), "default", 4000, "/tmp/ibga-status.json"),
        (World::new().with_flags(named("default")), "default", 4000, "/tmp/ibga-status.json"),
        (file("port = 1"), "default", 1, "/tmp/ibga-status.json"),
        (file("[gateway]"), "default", 4000, "/tmp/ibga-status.json"),
        (file("[gateway.paper]\nport = 4002"), "paper", 4002, "/tmp/ibga-status-paper.json"),
        (file(with_default), "default", 1, "/tmp/ibga-status.json"),
        (file(with_default).with_flags(named("live")), "live", 4001, "/tmp/ibga-status-live.json"),
        (file(two).with_variable("IBGA_GATEWAY", "live"), "live", 4001, "/tmp/ibga-status-live.json"),
        (file(two).with_file(".env", "IBGA_GATEWAY=live"), "live", 4001, "/tmp/ibga-status-live.json"),
        (
            file(two).with_variable("IBGA_GATEWAY", "live").with_flags(named("paper")),
            "paper",
            4002,
            "/tmp/ibga-status-paper.json",
        ),
    ];
    for (world, name, port, status_file) in chosen {
        let settings = world.settings();
        assert_eq!(settings.gateway.as_str(), name);
        assert_eq!((settings.port, settings.status_file.as_path()), (port, Path::new(status_file)), "{name}");
    }
    let refused = [
        (
            file(two),
            "ibga.toml: several gateways are configured; choose one with --gateway or IBGA_GATEWAY: live, paper",
        ),
        (file(two).with_flags(named("papr")), "--gateway: no gateway `papr` is configured; did you mean `paper`?"),
        (
            file(two).with_flags(named("default")),
            "--gateway: no gateway `default` is configured; configured: live, paper",
        ),
        (
            file(two).with_variable("IBGA_GATEWAY", "demo-one"),
            "IBGA_GATEWAY in the environment: no gateway `demo-one` is configured; configured: live, paper",
        ),
        (
            World::new().with_file(".env", "IBGA_GATEWAY=live"),
            ".env:1: IBGA_GATEWAY: no gateway `live` is configured; configured: default",
        ),
        (
            file(two).with_flags(named("a b")),
            "--gateway: `a b` is not a gateway name; write 1 to 32 letters, digits, - and _",
        ),
    ];
    for (world, message) in refused {
        assert_eq!(world.problems(), [message]);
    }
}

#[test]
fn a_long_list_of_gateways_is_cut() {
    let tables: Vec<_> = (10..40).map(|number| format!("[gateway.g{number}]\n")).collect();
    let text = tables.concat();
    let problems = World::new().with_file("ibga.toml", &text).problems();
    assert!(problems[0].ends_with("g28, g29 and 10 more"), "{problems:?}");
}

#[test]
fn nothing_is_said_of_the_gateway_while_the_file_cannot_be_read() {
    let world = World::new()
        .with_flags(|flags| flags.gateway = Some("paper".into()))
        .with_refused_file("ibga.toml", "group or others can write it; chmod go-w");
    assert_eq!(world.problems(), ["ibga.toml: group or others can write it; chmod go-w"]);
}

#[test]
fn the_configuration_file_is_found() {
    let user = "/home/ann/.config/ibga/ibga.toml";
    let machine = "/etc/ibga/ibga.toml";
    let all = || {
        World::new()
            .with_file("ibga.toml", "port = 1")
            .with_file("/xdg/ibga/ibga.toml", "port = 2")
            .with_file(user, "port = 3")
            .with_file(machine, "port = 4")
            .with_file("/other.toml", "port = 5")
            .with_file("/named.toml", "port = 6")
            .with_file("/flagged.toml", "port = 7")
    };
    let without = |mut world: World, paths: &[&str]| {
        for path in paths {
            world.files.remove(Path::new(path));
        }
        world
    };
    let xdg = |world: World| world.with_variable("XDG_CONFIG_HOME", "/xdg");
    let env_file = |world: World| world.with_file(".env", "IBGA_CONFIG=/other.toml");
    let variable = |world: World| env_file(world).with_variable("IBGA_CONFIG", "/named.toml");
    let flag = |flags: &mut Flags| flags.config = Some("/flagged.toml".into());
    let cases = [
        (variable(all()).with_flags(flag), "/flagged.toml", 7),
        (variable(all()), "/named.toml", 6),
        (env_file(all()), "/other.toml", 5),
        (all(), "ibga.toml", 1),
        (xdg(without(all(), &["ibga.toml"])), "/xdg/ibga/ibga.toml", 2),
        (without(all(), &["ibga.toml"]), user, 3),
        (without(all(), &["ibga.toml"]).with_variable("XDG_CONFIG_HOME", "xdg"), user, 3),
        (without(all(), &["ibga.toml", user]), machine, 4),
    ];
    for (world, path, port) in cases {
        let settings = world.settings();
        assert_eq!((settings.config.as_deref(), settings.port), (Some(Path::new(path)), port));
    }
}

#[test]
fn a_named_configuration_file_has_to_be_there() {
    let missing = "configuration file `/no.toml` does not exist; correct the path";
    let flag = World::new().with_flags(|flags| flags.config = Some("/no.toml".into()));
    assert_eq!(flag.problems(), [format!("--config: {missing}")]);
    let variable = World::new().with_variable("IBGA_CONFIG", "/no.toml");
    assert_eq!(variable.problems(), [format!("IBGA_CONFIG in the environment: {missing}")]);
    let env_file = World::new().with_file(".env", "IBGA_CONFIG=/no.toml");
    assert_eq!(env_file.problems(), [format!(".env:1: IBGA_CONFIG: {missing}")]);
    let home = World::new().with_variable("IBGA_CONFIG", "~/ibga.toml");
    assert_eq!(
        home.problems(),
        ["IBGA_CONFIG in the environment: `~/ibga.toml` is taken as it stands, `~` and `$` are not expanded; \
          write the whole path"]
    );
}

#[test]
fn a_file_that_is_found_first_but_refused_is_not_passed_over() {
    let world = World::new()
        .with_refused_file("ibga.toml", "is a symlink")
        .with_file("/etc/ibga/ibga.toml", "port = 1")
        .with_refused_file(".env", "belongs to another user");
    assert_eq!(world.problems(), [".env: belongs to another user", "ibga.toml: is a symlink"]);
}

#[test]
fn faults_of_a_file_that_another_replaces_are_not_told() {
    let world = World::new()
        .with_file("ibga.toml", "nonsense = 1")
        .with_file(".env", "IBGA_CONFIG=/other.toml")
        .with_file("/other.toml", "port = 5");
    assert_eq!(world.settings().port, 5);
}

#[test]
fn owners_are_trusted_only_on_the_word_of_what_is_trusted_already() {
    let asked = |world: World| {
        let trusted = world.settings().trusted_owners;
        let asked = world.asked.take().into_iter().filter(|(path, _)| path != USERS);
        (asked.collect::<Vec<_>>(), trusted)
    };
    let ask = |path: &str, ids: &[u32]| (path.to_owned(), ids.to_vec());

    let by_file = World::new().with_file("ibga.toml", "trusted_owners = [\"ops\", 7]");
    assert_eq!(asked(by_file), (vec![ask("ibga.toml", &[]), ask(".env", &[1001, 7])], vec![1001, 7]));

    let by_variable =
        World::new().with_file("ibga.toml", "trusted_owners = [7]").with_variable("IBGA_TRUSTED_OWNERS", "ops");
    assert_eq!(asked(by_variable), (vec![ask("ibga.toml", &[1001]), ask(".env", &[1001])], vec![1001]));

    // What `.env` says of owners is not yet believed for the file that it names.
    let by_env_file = World::new()
        .with_file("ibga.toml", "")
        .with_file(".env", "IBGA_TRUSTED_OWNERS=8\nIBGA_CONFIG=/other.toml")
        .with_file("/other.toml", "");
    let expected = vec![ask("ibga.toml", &[]), ask(".env", &[]), ask("/other.toml", &[])];
    assert_eq!(asked(by_env_file), (expected, vec![8]));
}

#[test]
fn owners_have_to_be_users() {
    let unknown = "no user `nobdy` in /etc/passwd; write a name that is there, or the numeric user id";
    let file = World::new().with_file("ibga.toml", "trusted_owners = [\"ops\", \"nobdy\"]");
    assert_eq!(file.problems(), [format!("ibga.toml:1:26: trusted_owners: {unknown}")]);
    let variable = World::new().with_variable("IBGA_TRUSTED_OWNERS", "nobdy,ops");
    assert_eq!(variable.problems(), [format!("IBGA_TRUSTED_OWNERS in the environment: {unknown}")]);
    for users in ["", "nobdy", "nobdy:x", "nobdy:x:many:1", "nobdyelse:x:5:5"] {
        let world = World::new().with_variable("IBGA_TRUSTED_OWNERS", "nobdy").with_file(USERS, users);
        assert_eq!(world.problems().len(), 1, "{users}");
    }
    let refused = |owners| {
        World::new().with_variable("IBGA_TRUSTED_OWNERS", owners).with_refused_file(USERS, "others can write it")
    };
    assert_eq!(
        refused("ops").problems(),
        ["/etc/passwd: others can write it; write trusted owners as numeric user ids"]
    );
    assert_eq!(refused("1001").settings().trusted_owners, [1001]);
}

#[test]
fn the_state_directory_depends_on_the_user() {
    let mut homeless = World::new();
    homeless.environment.remove("HOME");
    assert_eq!(homeless.settings().state_dir, None);
    homeless.user_id = 0;
    let cases = [
        (World::new(), "/home/ann/.local/state/ibga"),
        (World::new().with_variable("XDG_STATE_HOME", "/xdg"), "/xdg/ibga"),
        (World::new().with_variable("XDG_STATE_HOME", "xdg"), "/home/ann/.local/state/ibga"),
        (World::new().with_variable("XDG_STATE_HOME", ""), "/home/ann/.local/state/ibga"),
        (World { user_id: 0, ..World::new() }, "/var/lib/ibga"),
        (homeless, "/var/lib/ibga"),
        (World { user_id: 0, ..World::new() }.with_variable("IBGA_STATE_DIR", "/srv/ibga/"), "/srv/ibga"),
    ];
    for (world, expected) in cases {
        assert_eq!(world.settings().state_dir.as_deref(), Some(Path::new(expected)));
    }
}

#[test]
fn the_process_itself_can_be_a_source() {
    let sources = Sources::from_process(&|_, _| Ok(None));
    assert!(sources.environment_names.iter().any(|name| name == "PATH"));
    assert!((sources.environment)("PATH").is_some());
}

#[test]
fn the_example_changes_nothing() {
    let plain = World::new().settings();
    let settings = World::new().with_file("ibga.toml", EXAMPLE).settings();
    assert_eq!(settings, Settings { config: Some("ibga.toml".into()), market: settings.market.clone(), ..plain });
}

#[test]
fn the_example_shows_every_key_with_its_default() {
    let lines: Vec<&str> = EXAMPLE.lines().map(|line| line.trim_start_matches('#')).collect();
    for setting in SETTINGS.iter().filter(|setting| setting.toml_key().is_some()) {
        let start = format!("{} = ", setting.name);
        let shown: Vec<&str> = lines.iter().filter_map(|line| line.strip_prefix(&start)).collect();
        assert!(!shown.is_empty(), "{}", setting.name);
        let has_fixed_default = !setting.default.is_empty() && !["state_dir", "reset_windows"].contains(&setting.name);
        if has_fixed_default {
            assert_eq!(shown[0].trim_matches('"'), setting.default, "{}", setting.name);
        }
    }
}

#[test]
fn the_example_holds_when_its_comments_are_taken_away() {
    // Comments in prose have a space after the sign, settings have none.
    let is_setting = |line: &&str| line.starts_with('#') && !line.starts_with("# ") && line.len() > 1;
    let text: String = EXAMPLE
        .lines()
        .map(|line| if is_setting(&line) { &line[1..] } else { line })
        .flat_map(|line| [line, "\n"])
        // One status file for all would be refused where there are two gateways, and so are two ways of saying the same.
        .filter(|line| {
            !["status_file = ", "sendmail = ", "smtp_user_file = "].iter().any(|start| line.starts_with(start))
        })
        .collect();
    let world = World::new().with_file("ibga.toml", &text);
    let live = world.with_flags(|flags| flags.gateway = Some("live".into())).settings();
    assert_eq!((live.port, live.expect_mode), (4001, Some(ExpectedMode::Live)));
    assert_eq!(revealed(&live), ["DU1234567"]);
    assert_eq!(live.trusted_owners, [1001]);
    let channels = live.alerts.names();
    assert_eq!(
        channels,
        ChannelName::ALL.into_iter().filter(|name| *name != ChannelName::Sendmail).collect::<Vec<_>>()
    );
}

/// A stream of numbers that is the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % limit.max(1)
    }
}

#[test]
fn no_text_makes_it_panic() {
    let env_file = "export IBKR_PORT=4001 # x\r\nALERT_EMAIL=me@example.org\nSMTP_HOST=a\nIBGA_NTFY_URL=https://ntfy.sh/a\nSMTP_PASS=\"a\\\"b\nc\"\nIBGA_EXPECT_ACCOUNTS='DU001,ü'\nA\n";
    let pieces = [
        "ALERT_EMAIL=",
        "IBGA_QUIET_HOURS=",
        "22:00-",
        "https://",
        "\"",
        "'",
        "\\",
        "\n",
        "\r",
        "\0",
        "=",
        "#",
        ",",
        "[",
        "]",
        "{",
        "}",
        ".",
        "ü",
        "\u{feff}",
        "🦀",
        "gateway",
        "port",
        "IBKR_PORT=",
        "-1",
        "1e999",
        "0x",
        "99999999999999999999",
        "\u{202e}",
        "'''",
        "\"\"\"",
        "[gateway.a]",
        "IBGA_",
        "$",
        "~",
        " ",
        "\t",
        "nan",
        "1h-30m",
        "2026-01-01T00:00:00Z",
    ];
    let mut numbers = Numbers(0x9e37_79b9_7f4a_7c15);
    for (path, seed) in [("ibga.toml", EXAMPLE), (".env", env_file)] {
        for _ in 0..1500 {
            let mut text: Vec<char> = seed.chars().filter(|_| numbers.below(40) != 0).collect();
            for _ in 0..numbers.below(12) {
                let at = numbers.below(text.len() + 1);
                let piece = pieces[numbers.below(pieces.len())];
                text.splice(at..at, piece.chars());
            }
            let text: String = text.into_iter().collect();
            let outcome = World::new().with_file(path, &text).load();
            let lines = outcome.as_ref().err().map(ToString::to_string).unwrap_or_default();
            assert_eq!(outcome.is_err(), !lines.is_empty(), "{text}");
            assert!(!lines.chars().any(|one| one.is_control() && one != '\n'), "{lines:?}");
        }
    }
}

#[test]
fn large_hostile_texts_get_a_bounded_answer() {
    let limit = 64 * 1024;
    let big = |unit: &str| unit.repeat(limit / unit.len());
    let keys: Vec<_> = (0..6000).map(|number| format!("k{number}=1\n")).collect();
    let texts = [
        big("a='"),
        big("a=\"\n"),
        big("IBKR_PROT=1\n"),
        big("#"),
        big("["),
        big("{"),
        big("a."),
        big("[[a]]\n"),
        big("\n"),
        big("x"),
        big("\\"),
        big("🦀"),
        big("IBGA_EXPECT_ACCOUNTS=x,"),
        keys.concat(),
        format!("expect_accounts = [{}]", big("\"x\",")),
        format!("a=\"{}", big("\\\"")),
    ];
    for text in texts {
        for path in ["ibga.toml", ".env"] {
            let problems = World::new().with_file(path, &text).problems();
            assert!(problems.len() <= 51, "{path}");
        }
    }
}

#[test]
fn a_watch_is_for_all_gateways_unless_one_is_named() {
    let two = "[gateway.live]\nport = 4001\n[gateway.paper]\nport = 4002\n";
    let world = || World::new().with_file("ibga.toml", two);
    assert_eq!(World::new().watched(), Ok(vec!["default 127.0.0.1:4000".into()]));
    assert_eq!(world().watched(), Ok(vec!["live 127.0.0.1:4001".into(), "paper 127.0.0.1:4002".into()]));
    let named = world().with_variable("IBGA_GATEWAY", "paper");
    assert_eq!(named.watched(), Ok(vec!["paper 127.0.0.1:4002".into()]));
    let misspelt = world().with_flags(|flags| flags.gateway = Some("papper".into()));
    assert_eq!(misspelt.watched(), Err("--gateway: no gateway `papper` is configured; did you mean `paper`?".into()));
}

#[test]
fn watched_gateways_share_nothing() {
    let shared = |text: &str, variable: Option<(&str, &str)>| {
        let mut world = World::new().with_file("ibga.toml", text);
        if let Some((name, value)) = variable {
            world = world.with_variable(name, value);
        }
        world.watched().unwrap_err()
    };
    assert_eq!(
        shared("[gateway.a]\n[gateway.b]\nport = 4002\n", Some(("IBKR_PORT", "4002"))),
        "ibga.toml: gateways a and b share 127.0.0.1:4002; give each its own"
    );
    assert_eq!(
        shared("[gateway.a]\n[gateway.b]\nport = 4002\n", Some(("IBGA_STATUS_FILE", "/s"))),
        "ibga.toml: gateways a and b share the status file /s; give each its own"
    );
    assert_eq!(shared("heartbeat = \"1s\"\n[gateway.a]\n[gateway.b]\nport = 1\n", None).lines().count(), 1);
}
