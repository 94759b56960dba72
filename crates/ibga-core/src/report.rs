//! The report: a verdict with accounts, timings, time and writer, as the status file holds it. Making and reading the document;
//! no file is touched here.

mod broker_hours;
mod forecast;

use std::time::Duration;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::account::{AccountId, Mode};
use crate::cause::{Cause, Status};
use crate::forecast::Forecast;
use crate::observation::{Broker, Connect, ContainerSeen, ContainerState, Hello, Observation, Orders};
use crate::verdict::{Verdict, clock_skew};

pub use broker_hours::{BrokerHours, HoursQuestion};
pub use forecast::document as forecast_document;

/// The schema that is written, and the only one that is read.
pub const SCHEMA_VERSION: u64 = 1;

/// How the gateway was looked at; existing readers know the field.
const CHECK_TYPE: &str = "socket";

/// What this program's own reports say of a container. Older writers have words of their own.
const CONTAINER_WORDS: [&str; 7] = ["running", "stopped", "paused", "restarting", "missing", "unknown", NOT_CHECKED];

/// The word for a container that nobody looked at.
const NOT_CHECKED: &str = "not_checked";

/// What the status file says. Fields that are not known are `None`.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// The status.
    pub status: Status,
    /// The writer's own flag; believed only together with the status.
    pub ready_to_trade: bool,
    /// The container's state in a word, or `not_checked`.
    pub container: String,
    /// Whether TCP connected.
    pub port: PortState,
    /// Whether the hello was answered.
    pub connected: bool,
    /// Whether a non-empty account list arrived.
    pub authenticated: bool,
    /// The accounts of the login.
    pub accounts: Vec<AccountId>,
    /// What is wrong.
    pub error: Option<String>,
    /// When the report was made.
    pub timestamp: Timestamp,
    /// What older writers do not tell.
    pub more: Option<Details>,
}

/// What this program's own reports tell beyond the ten fields of older writers.
#[derive(Clone, Debug, PartialEq)]
pub struct Details {
    /// The gateway's name.
    pub gateway: String,
    /// Host and port.
    pub endpoint: String,
    /// The cause.
    pub cause: Cause,
    /// What to do.
    pub remedy: Option<String>,
    /// Paper or live.
    pub mode: Option<Mode>,
    /// Whether the broker answered.
    pub broker: Broker,
    /// Whether orders are allowed; not every writer tells.
    pub orders: Option<Orders>,
    /// The trading hours that the broker told; none if it was not asked about a contract with a calendar, or did not answer.
    pub broker_hours: Option<BrokerHours>,
    /// What is ahead of the session, if anybody reckoned it.
    pub forecast: Option<Forecast>,
    /// What else is worth knowing.
    pub warnings: Vec<String>,
    /// The version that the session spoke.
    pub server_version: Option<u32>,
    /// How far the gateway's clock is ahead of this machine's.
    pub clock_skew_seconds: Option<f64>,
    /// How long each stage took, in milliseconds.
    pub timings_ms: Vec<(String, f64)>,
    /// When this cause began.
    pub since: Timestamp,
    /// Counts the reports of this file.
    pub sequence: u64,
    /// Until when the writer lets the report be believed.
    pub expires_at: Timestamp,
    /// Who wrote it.
    pub writer: Writer,
}

/// Whether TCP connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PortState {
    /// It did.
    Open,
    /// It did not.
    Closed,
    /// It was not tried.
    Unknown,
}

impl PortState {
    /// The word of the status file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Closed => "closed",
            Self::Unknown => "unknown",
        }
    }
}

/// Who wrote a report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Writer {
    /// The program.
    pub program: String,
    /// Its version.
    pub version: String,
    /// Its process.
    pub pid: u32,
    /// Its host.
    pub host: String,
    /// The boot of that host, where the system tells it.
    pub boot_id: Option<String>,
}

/// What a report needs beyond observation and verdict.
#[derive(Clone, Debug)]
pub struct Circumstances<'a> {
    /// The gateway's name.
    pub gateway: &'a str,
    /// Host and port.
    pub endpoint: String,
    /// When the report is made.
    pub now: Timestamp,
    /// How long it may be believed.
    pub valid_for: Duration,
    /// The report before it, if there is one.
    pub previous: Option<&'a Report>,
    /// What to do, as [`crate::remedy`] has it.
    pub remedy: Option<String>,
    /// Whose hours the broker was asked for.
    pub hours_of: Option<HoursQuestion>,
    /// What is ahead, whatever it says of the login.
    pub forecast: Option<Forecast>,
    /// The weekly end because of which the gateway's next restart asked for an approval when that was last told.
    pub asks_at_restart: Option<Timestamp>,
    /// Who writes it.
    pub writer: Writer,
}

impl Report {
    /// Makes the report.
    pub fn new(verdict: &Verdict, seen: &Observation, at: Circumstances<'_>) -> Self {
        let accounts = seen.api.accounts.clone().unwrap_or_default();
        let ready = verdict.cause.status() == Status::Ready;
        let before = at.previous.and_then(|report| report.more.as_ref()).filter(|more| more.gateway == at.gateway);
        let since =
            before.filter(|more| more.cause == verdict.cause && more.since <= at.now).map_or(at.now, |more| more.since);
        let valid_for = SignedDuration::try_from(at.valid_for).unwrap_or(SignedDuration::ZERO);
        Self {
            status: verdict.cause.status(),
            ready_to_trade: ready,
            container: if seen.is_another_gateway() { NOT_CHECKED } else { container_word(&seen.container) }.into(),
            port: match seen.api.connect {
                Connect::NotTried => PortState::Unknown,
                Connect::Connected => PortState::Open,
                Connect::Failed(_) => PortState::Closed,
            },
            connected: seen.api.hello.is_some(),
            authenticated: !accounts.is_empty(),
            error: (!ready).then(|| verdict.detail.clone()),
            timestamp: at.now,
            more: Some(Details {
                gateway: at.gateway.to_owned(),
                endpoint: at.endpoint,
                cause: verdict.cause,
                remedy: at.remedy,
                mode: Mode::of(&accounts),
                broker: seen.api.broker,
                orders: Some(seen.api.orders),
                broker_hours: at.hours_of.and_then(|question| BrokerHours::of(question, &seen.api)),
                forecast: at.forecast.map(|forecast| {
                    let forecast = forecast.about(verdict.cause, since, at.now);
                    let stayed = !accounts.is_empty() && at.previous.is_some_and(|before| before.authenticated);
                    match at.asks_at_restart.filter(|_| stayed) {
                        Some(because_of) => forecast.still_asking(because_of, at.now),
                        None => forecast,
                    }
                }),
                warnings: verdict.warnings.clone(),
                server_version: match seen.api.hello {
                    Some(Hello::Version(version) | Hello::TooOld(version)) => Some(version),
                    _ => None,
                },
                clock_skew_seconds: clock_skew(seen).map(|skew| (skew.as_secs_f64() * 1e3).round() / 1e3),
                timings_ms: seen
                    .api
                    .timings
                    .iter()
                    .map(|(stage, took)| (stage.as_str().into(), milliseconds(*took)))
                    .collect(),
                since,
                sequence: before.map_or(1, |more| more.sequence.saturating_add(1)),
                expires_at: at.now.checked_add(valid_for).unwrap_or(at.now),
                writer: at.writer,
            }),
            accounts,
        }
    }

    /// The cause, where the report tells it.
    pub fn cause(&self) -> Option<Cause> {
        self.more.as_ref().map(|more| more.cause)
    }

    /// The document. Every field is always there; times carry the offset of `zone` and microseconds, since readers in the field
    /// parse exactly that.
    pub fn to_json(&self, zone: &TimeZone) -> String {
        let time = |instant: Timestamp| Value::from(local(instant, zone));
        let mut json = Map::new();
        let mut put = |key: &str, value: Value| json.insert(key.to_owned(), value);
        put("status", self.status.as_str().into());
        put("ready_to_trade", self.ready_to_trade.into());
        put("container", self.container.clone().into());
        put("port", self.port.as_str().into());
        put("connected", self.connected.into());
        put("authenticated", self.authenticated.into());
        put("accounts", self.accounts.iter().map(AccountId::reveal).collect::<Vec<_>>().into());
        put("error", self.error.clone().into());
        put("timestamp", time(self.timestamp));
        put("check_type", CHECK_TYPE.into());
        if let Some(more) = &self.more {
            put("schema_version", SCHEMA_VERSION.into());
            put("gateway", more.gateway.clone().into());
            put("endpoint", more.endpoint.clone().into());
            put("cause", more.cause.code().into());
            put("remedy", more.remedy.clone().into());
            put("mode", more.mode.map(Mode::as_str).into());
            put("broker", more.broker.as_str().into());
            put("orders", more.orders.map(Orders::as_str).into());
            put("broker_hours", more.broker_hours.as_ref().map(BrokerHours::to_json).into());
            put("forecast", forecast_document(more.forecast.as_ref(), zone));
            put("warnings", more.warnings.clone().into());
            put("server_version", more.server_version.into());
            put("clock_skew_seconds", more.clock_skew_seconds.into());
            let timings: Map<String, Value> =
                more.timings_ms.iter().map(|(stage, ms)| (stage.clone(), (*ms).into())).collect();
            put("timings_ms", timings.into());
            put("since", time(more.since));
            put("sequence", more.sequence.into());
            put("expires_at", time(more.expires_at));
            put("writer", serde_json::to_value(&more.writer).unwrap_or(Value::Null));
        }
        let mut text = serde_json::to_string_pretty(&json).unwrap_or_default();
        text.push('\n');
        text
    }

    /// Reads a document: this program's own, or one with the ten fields of older writers alone, whose time is local to `zone`.
    pub fn from_json(text: &str, zone: &TimeZone) -> Result<Self, ReportError> {
        let value: Value = serde_json::from_str(text).map_err(|fault| ReportError::NotJson(fault.to_string()))?;
        let Value::Object(json) = value else { return Err(ReportError::NotAnObject) };
        let fields = Fields { json: &json, zone };
        let more = match json.get("schema_version") {
            // The ten old fields alone make a report; this program's own without its version would not be judged whole.
            None if ["cause", "sequence", "writer"].iter().any(|key| json.contains_key(*key)) => {
                return Err(ReportError::Missing("schema_version"));
            }
            None => None,
            Some(version) if version.as_u64() == Some(SCHEMA_VERSION) => Some(fields.details()?),
            Some(version) => return Err(ReportError::UnknownSchema(version.to_string().chars().take(20).collect())),
        };
        let status = fields.text("status")?;
        fields.text("check_type")?;
        Ok(Self {
            status: status
                .parse()
                .map_err(|_| ReportError::Field { field: "status", wanted: "one of the five statuses" })?,
            ready_to_trade: fields.flag("ready_to_trade")?,
            container: fields.text("container")?.to_owned(),
            port: match fields.text("port")? {
                "open" => PortState::Open,
                "closed" => PortState::Closed,
                "unknown" => PortState::Unknown,
                _ => return Err(ReportError::Field { field: "port", wanted: "open, closed or unknown" }),
            },
            connected: fields.flag("connected")?,
            authenticated: fields.flag("authenticated")?,
            accounts: fields.texts("accounts")?.iter().filter_map(|id| AccountId::new(id)).collect(),
            error: fields.optional_text("error")?,
            timestamp: fields.time("timestamp")?,
            more,
        })
    }
}

fn container_word(container: &ContainerSeen) -> &'static str {
    match container {
        ContainerSeen::NotChecked => NOT_CHECKED,
        ContainerSeen::Unknown | ContainerSeen::Unavailable(_) => "unknown",
        ContainerSeen::Missing { .. } => "missing",
        ContainerSeen::Found { state, .. } => match state {
            ContainerState::Running => "running",
            ContainerState::Paused => "paused",
            ContainerState::Restarting => "restarting",
            ContainerState::Stopped => "stopped",
        },
    }
}

fn milliseconds(took: Duration) -> f64 {
    (took.as_secs_f64() * 1e6).round() / 1e3
}

/// `2026-11-23T09:25:04.123456+08:00`.
fn local(instant: Timestamp, zone: &TimeZone) -> String {
    instant.to_zoned(zone.clone()).strftime("%Y-%m-%dT%H:%M:%S.%6f%:z").to_string()
}

/// Why a document is no report.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReportError {
    /// Not JSON at all.
    #[error("not JSON: {0}")]
    NotJson(String),
    /// JSON, but a list or a single value.
    #[error("not a JSON object")]
    NotAnObject,
    /// Written by another generation of this program.
    #[error("schema version {0} is not known, only {SCHEMA_VERSION}")]
    UnknownSchema(String),
    /// A field that is not there.
    #[error("field {0} is missing")]
    Missing(&'static str),
    /// A field that holds something else.
    #[error("field {field} is not {wanted}")]
    Field {
        /// The field.
        field: &'static str,
        /// What it should hold.
        wanted: &'static str,
    },
}

struct Fields<'a> {
    json: &'a Map<String, Value>,
    zone: &'a TimeZone,
}

impl<'a> Fields<'a> {
    fn get(&self, field: &'static str) -> Result<&'a Value, ReportError> {
        self.json.get(field).ok_or(ReportError::Missing(field))
    }

    fn text(&self, field: &'static str) -> Result<&'a str, ReportError> {
        self.get(field)?.as_str().ok_or(ReportError::Field { field, wanted: "a text" })
    }

    fn optional_text(&self, field: &'static str) -> Result<Option<String>, ReportError> {
        match self.get(field)? {
            Value::Null => Ok(None),
            Value::String(text) => Ok(Some(text.clone())),
            _ => Err(ReportError::Field { field, wanted: "a text or null" }),
        }
    }

    fn flag(&self, field: &'static str) -> Result<bool, ReportError> {
        self.get(field)?.as_bool().ok_or(ReportError::Field { field, wanted: "true or false" })
    }

    fn texts(&self, field: &'static str) -> Result<Vec<&'a str>, ReportError> {
        let wanted = ReportError::Field { field, wanted: "a list of texts" };
        let list = self.get(field)?.as_array().ok_or_else(|| wanted.clone())?;
        list.iter().map(|item| item.as_str().ok_or_else(|| wanted.clone())).collect()
    }

    fn number(&self, field: &'static str) -> Result<u64, ReportError> {
        self.get(field)?.as_u64().ok_or(ReportError::Field { field, wanted: "a whole number" })
    }

    /// With an offset it is an instant; without one it is local, and of two readings the earlier counts: older is safer.
    fn time(&self, field: &'static str) -> Result<Timestamp, ReportError> {
        let text = self.text(field)?;
        if let Ok(instant) = text.parse::<Timestamp>() {
            return Ok(instant);
        }
        let naive: Option<DateTime> = text.parse().ok();
        let instant = naive.and_then(|naive| self.zone.to_ambiguous_timestamp(naive).earlier().ok());
        instant.ok_or(ReportError::Field { field, wanted: "an ISO 8601 time" })
    }

    fn details(&self) -> Result<Details, ReportError> {
        let not = |field, wanted| ReportError::Field { field, wanted };
        let mode = self.optional_text("mode")?.map(|word| Mode::from_word(&word).ok_or(not("mode", "a mode")));
        let cause = self.text("cause")?.parse();
        let version = match self.get("server_version")? {
            Value::Null => None,
            version => Some(
                version
                    .as_u64()
                    .and_then(|version| u32::try_from(version).ok())
                    .ok_or(not("server_version", "a version or null"))?,
            ),
        };
        let skew = match self.get("clock_skew_seconds")? {
            Value::Null => None,
            skew => Some(skew.as_f64().ok_or(not("clock_skew_seconds", "a number or null"))?),
        };
        let timings = self.get("timings_ms")?.as_object().ok_or(not("timings_ms", "an object"))?;
        let timings = timings.iter().map(|(stage, ms)| Some((stage.clone(), ms.as_f64()?))).collect::<Option<_>>();
        let orders = if self.json.contains_key("orders") { self.optional_text("orders")? } else { None };
        let orders = orders.map(|word| Orders::from_word(&word).ok_or(not("orders", "allowed, refused or unproven")));
        let broker = Broker::from_word(self.text("broker")?).ok_or(not("broker", "answered, silent or unproven"))?;
        let broker_hours = match self.json.get("broker_hours") {
            // Earlier writers did not ask.
            None | Some(Value::Null) => None,
            Some(hours) => Some(BrokerHours::from_json(hours).ok_or(not("broker_hours", broker_hours::WANTED))?),
        };
        let forecast = match self.json.get("forecast") {
            // Earlier writers did not look ahead.
            None | Some(Value::Null) => None,
            Some(ahead) => Some(forecast::from_json(ahead).ok_or(not("forecast", forecast::WANTED))?),
        };
        if !CONTAINER_WORDS.contains(&self.text("container")?) {
            return Err(not("container", "a state of a container"));
        }
        Ok(Details {
            gateway: self.text("gateway")?.to_owned(),
            endpoint: self.text("endpoint")?.to_owned(),
            cause: cause.map_err(|_| ReportError::Field { field: "cause", wanted: "a known cause" })?,
            remedy: self.optional_text("remedy")?,
            mode: mode.transpose()?,
            orders: orders.transpose()?,
            broker_hours,
            forecast,
            broker,
            warnings: self.texts("warnings")?.into_iter().map(str::to_owned).collect(),
            server_version: version,
            clock_skew_seconds: skew,
            timings_ms: timings.ok_or(not("timings_ms", "an object of numbers"))?,
            since: self.time("since")?,
            sequence: self.number("sequence")?,
            expires_at: self.time("expires_at")?,
            writer: self.writer()?,
        })
    }

    fn writer(&self) -> Result<Writer, ReportError> {
        let wanted =
            ReportError::Field { field: "writer", wanted: "an object with program, version, pid, host and boot_id" };
        let writer = self.get("writer")?;
        let text = |key: &str| writer.get(key).and_then(Value::as_str).map(str::to_owned);
        let pid = writer.get("pid").and_then(Value::as_u64).and_then(|pid| u32::try_from(pid).ok());
        match (text("program"), text("version"), pid, text("host"), writer.get("boot_id")) {
            (Some(program), Some(version), Some(pid), Some(host), Some(_)) => {
                Ok(Writer { program, version, pid, host, boot_id: text("boot_id") })
            }
            _ => Err(wanted),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::calendar::{Calendar, Exchange, Market};
    use crate::observation::{ApiSeen, ClockReading, FoundBy, HoursSeen, Stage};
    use crate::reset_windows::published;
    use crate::verdict::{Expectations, judge};

    fn hong_kong() -> TimeZone {
        TimeZone::get("Asia/Hong_Kong").expect("a zone")
    }

    fn observation() -> Observation {
        let started_at: Timestamp = "2026-11-23T01:30:00Z".parse().expect("an instant");
        Observation {
            started_at,
            container: ContainerSeen::Found {
                name: "ibga".into(),
                state: ContainerState::Running,
                found_by: FoundBy::Port,
            },
            api: ApiSeen {
                connect: Connect::Connected,
                bytes_received: 300,
                hello: Some(Hello::Version(178)),
                accounts: Some(AccountId::parse_list("DU1234567")),
                order_id: Some(1),
                clock: Some(ClockReading {
                    epoch_seconds: started_at.as_second() + 5,
                    received_after: Duration::from_millis(250),
                }),
                orders: Orders::Allowed,
                broker: Broker::Answered,
                hours: Some(HoursSeen::read(
                    "SEHK",
                    "Hongkong",
                    "20261123:0930-20261123:1200;20261123:1300-20261123:1610;\
                     20261124:0930-20261124:1200;20261124:1300-20261124:1610;20261128:CLOSED",
                )),
                timings: vec![
                    (Stage::Connect, Duration::from_micros(85)),
                    (Stage::Hello, Duration::from_micros(1_250)),
                ],
                ..ApiSeen::default()
            },
            hint: None,
            fault: None,
        }
    }

    fn forecast_then() -> Option<Forecast> {
        let market = Market::of_one(Calendar::ending_with(Exchange::XHKG, 2027));
        Forecast::new(&market, &published(), "2026-11-23T01:30:04Z".parse().expect("an instant"))
    }

    fn report(previous: Option<&Report>) -> Report {
        let seen = observation();
        let verdict = judge(&seen, &Expectations::default());
        let writer =
            Writer { program: "ibga".into(), version: "0.1.0".into(), pid: 7, host: "desk".into(), boot_id: None };
        Report::new(
            &verdict,
            &seen,
            Circumstances {
                gateway: "default",
                endpoint: "127.0.0.1:4000".into(),
                now: "2026-11-23T01:30:04.123456789Z".parse().expect("an instant"),
                valid_for: Duration::from_mins(10),
                previous,
                remedy: None,
                hours_of: Some(HoursQuestion { contract: "700 SEHK STK HKD".into(), exchange: Exchange::XHKG }),
                forecast: forecast_then(),
                asks_at_restart: None,
                writer,
            },
        )
    }

    /// The document of a ready gateway.
    pub(crate) fn full() -> String {
        report(None).to_json(&hong_kong())
    }

    #[test]
    fn the_document() {
        insta::assert_snapshot!(full());
    }

    #[test]
    fn a_document_reads_back() {
        let text = full();
        let read = Report::from_json(&text, &TimeZone::UTC).expect("a report");
        assert_eq!(read.to_json(&hong_kong()), text);
        assert_eq!(read.cause(), Some(Cause::Ready));
    }

    #[test]
    fn since_and_sequence_follow_the_report_before() {
        let first = report(None);
        let mut before = Report::from_json(&first.to_json(&hong_kong()), &hong_kong()).expect("a report");
        let earlier: Timestamp = "2026-11-23T01:00:00Z".parse().expect("an instant");
        let set = |report: &mut Report, cause, gateway: &str| {
            let more = report.more.as_mut().expect("details");
            (more.since, more.sequence, more.cause, more.gateway) = (earlier, 41, cause, gateway.into());
        };
        let told = |before: &Report| {
            let more = report(Some(before)).more.expect("details");
            (more.since == earlier, more.sequence)
        };
        set(&mut before, Cause::Ready, "default");
        assert_eq!(told(&before), (true, 42));
        set(&mut before, Cause::ApiSilent, "default");
        assert_eq!(told(&before), (false, 42));
        set(&mut before, Cause::Ready, "other");
        assert_eq!(told(&before), (false, 1));
        before.more = None;
        assert_eq!(told(&before), (false, 1));
    }

    const OLD: &str = r#"{"status": "ready", "ready_to_trade": true, "container": "running", "port": "open", "connected": true,
        "authenticated": true, "accounts": ["DU1234567"], "error": null, "timestamp": "2026-11-23T09:30:04.123456", "check_type": "ib_insync"}"#;

    #[test]
    fn the_ten_fields_of_older_writers_with_a_local_time() {
        let report = Report::from_json(OLD, &hong_kong()).expect("a report");
        assert_eq!(report.timestamp, "2026-11-23T01:30:04.123456Z".parse().expect("an instant"));
        assert_eq!((report.status, report.more), (Status::Ready, None));
        let berlin = TimeZone::get("Europe/Berlin").expect("a zone");
        let fold = OLD.replace("2026-11-23T09:30:04", "2026-10-25T02:30:00");
        let report = Report::from_json(&fold, &berlin).expect("a report");
        assert_eq!(
            report.timestamp,
            "2026-10-25T00:30:00.123456Z".parse().expect("an instant"),
            "of two readings the older"
        );
    }

    #[test]
    fn what_is_no_report() {
        let full = full();
        let field = |field, wanted| Err(ReportError::Field { field, wanted });
        for (text, fault) in [
            ("[]".to_owned(), Err(ReportError::NotAnObject)),
            ("null".into(), Err(ReportError::NotAnObject)),
            ("{}".into(), Err(ReportError::Missing("status"))),
            (OLD.replace("\"port\": \"open\", ", ""), Err(ReportError::Missing("port"))),
            (OLD.replace("\"ready\"", "\"great\""), field("status", "one of the five statuses")),
            (OLD.replace("true, \"container\"", "\"yes\", \"container\""), field("ready_to_trade", "true or false")),
            (OLD.replace("2026-11-23T09:30:04.123456", "NaN"), field("timestamp", "an ISO 8601 time")),
            (OLD.replace("\"2026-11-23T09:30:04.123456\"", "1700000000"), field("timestamp", "a text")),
            (OLD.replace("[\"DU1234567\"]", "[1]"), field("accounts", "a list of texts")),
            (
                full.replace("\"schema_version\": 1", "\"schema_version\": 2"),
                Err(ReportError::UnknownSchema("2".into())),
            ),
            (
                full.replace("\"schema_version\": 1", "\"schema_version\": \"1\""),
                Err(ReportError::UnknownSchema("\"1\"".into())),
            ),
            (full.replace("\"sequence\": 1", "\"sequence\": -1"), field("sequence", "a whole number")),
            (full.replace("\"cause\": \"ready\"", "\"cause\": \"fine\""), field("cause", "a known cause")),
            (full.replace("\"answered\"", "\"perhaps\""), field("broker", "answered, silent or unproven")),
            (full.replace("\"allowed\"", "\"perhaps\""), field("orders", "allowed, refused or unproven")),
            (full.replace("\"zone\": \"Hongkong\"", "\"zone\": 8"), field("broker_hours", broker_hours::WANTED)),
            (full.replace("\"in_trading\"", "\"some day\""), field("forecast", forecast::WANTED)),
            (full.replace("\"running\"", "\"on fire\""), field("container", "a state of a container")),
            (full.replace("\"open\"", "\"ajar\""), field("port", "open, closed or unknown")),
        ] {
            assert_eq!(Report::from_json(&text, &TimeZone::UTC).map(|_| ()), fault, "{text}");
        }
        for text in ["", "{", "{\"status\":", "\u{0}"] {
            assert!(matches!(Report::from_json(text, &TimeZone::UTC), Err(ReportError::NotJson(_))), "{text:?}");
        }
        let whole: serde_json::Value = serde_json::from_str(&full).expect("JSON");
        for key in whole
            .as_object()
            .expect("an object")
            .keys()
            .filter(|key| !["orders", "broker_hours", "forecast"].contains(&key.as_str()))
        {
            let mut cut = whole.clone();
            cut.as_object_mut().expect("an object").remove(key);
            assert!(Report::from_json(&cut.to_string(), &TimeZone::UTC).is_err(), "without {key}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,200}", at in 0_usize..900) {
            let _ = Report::from_json(&text, &TimeZone::UTC);
            let mut broken = full();
            let at = (0..=at.min(broken.len())).rev().find(|at| broken.is_char_boundary(*at)).unwrap_or(0);
            broken.insert_str(at, &text);
            let _ = Report::from_json(&broken, &TimeZone::UTC);
        }
    }
}
