//! The verdict: what an observation means under given expectations. A pure function; the order of its rules is the order in
//! which a person would have to repair things.

use std::time::Duration;

use crate::account::{AccountId, Mode};
use crate::cause::Cause;
use crate::log_hints::LogHintKind;
use crate::notice::{Link, Meaning, Notice};
use crate::observation::{
    ApiSeen, Broker, ClockReading, Connect, ConnectFailure, ContainerSeen, ContainerState, End, Foreign, Hello,
    Observation, Orders, Stage,
};

/// A clock difference from which on a warning is given.
const SKEW_WARNING: Duration = Duration::from_secs(2);

/// What the operator wants the gateway to be.
#[derive(Clone, Debug)]
pub struct Expectations {
    /// Accounts that the login must hold, all of them.
    pub accounts: Vec<AccountId>,
    /// Paper or live.
    pub mode: Option<ExpectedMode>,
    /// What a read-only API means.
    pub read_only: ReadOnlyPolicy,
    /// Data farms that must not be down.
    pub required_farms: Vec<String>,
    /// The clock difference from which on the gateway is not ready.
    pub clock_skew_max: Duration,
}

impl Default for Expectations {
    fn default() -> Self {
        Self {
            accounts: Vec::new(),
            mode: None,
            read_only: ReadOnlyPolicy::NotReady,
            required_farms: Vec::new(),
            clock_skew_max: Duration::from_secs(30),
        }
    }
}

impl Expectations {
    /// Whether these accounts are the ones that are expected; otherwise why not.
    pub fn judge_accounts(&self, accounts: &[AccountId]) -> Result<(), (Cause, String)> {
        let missing: Vec<String> =
            self.accounts.iter().filter(|id| !accounts.contains(id)).map(ToString::to_string).collect();
        if !missing.is_empty() {
            let held = masked(accounts);
            return Err((Cause::WrongAccount, format!("expected account {}, logged in: {held}", missing.join(", "))));
        }
        match (self.mode, Mode::of(accounts)) {
            (Some(expected), Some(mode)) if !expected.allows(mode) => {
                let held = masked(accounts);
                Err((Cause::WrongMode, format!("expected {}, logged in: {mode} ({held})", expected.as_str())))
            }
            (Some(expected), None) => {
                Err((Cause::WrongMode, format!("expected {}, no account is logged in", expected.as_str())))
            }
            _ => Ok(()),
        }
    }
}

fn masked(accounts: &[AccountId]) -> String {
    let list: Vec<String> = accounts.iter().take(8).map(ToString::to_string).collect();
    let more = if accounts.len() > 8 { format!(" and {} more", accounts.len() - 8) } else { String::new() };
    format!("{}{more}", list.join(", "))
}

/// The kind of account that is expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExpectedMode {
    /// Paper accounts only.
    Paper,
    /// Live accounts only.
    Live,
}

impl ExpectedMode {
    /// The word of the setting.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Paper => "paper",
            Self::Live => "live",
        }
    }

    fn allows(self, mode: Mode) -> bool {
        matches!((self, mode), (Self::Paper, Mode::Paper) | (Self::Live, Mode::Live))
    }
}

/// What a read-only API means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadOnlyPolicy {
    /// Not ready: ready means able to trade.
    NotReady,
    /// A warning, for agents that only read.
    Warn,
}

/// The verdict.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The cause; its status follows from it.
    pub cause: Cause,
    /// What was seen, as a short fragment; empty only for a ready gateway.
    pub detail: String,
    /// What else is worth knowing.
    pub warnings: Vec<String>,
}

/// One thing that is wrong.
type Finding = (Cause, String);

/// Judges an observation.
pub fn judge(seen: &Observation, expected: &Expectations) -> Verdict {
    let mut warnings = Vec::new();
    let mut findings = Vec::new();
    if let Some(fault) = &seen.fault {
        return Verdict { cause: Cause::ProbeFailed, detail: fault.clone(), warnings };
    }
    match judge_container(&seen.container) {
        Some((_, detail)) if seen.is_another_gateway() => {
            warnings.push(format!("{detail}, yet the port is served: by something else than this container"));
        }
        finding => findings.extend(finding),
    }
    if findings.is_empty() {
        match judge_session(&seen.api) {
            Some(finding) => findings.push(refine(finding, seen)),
            None => judge_readiness(seen, expected, &mut findings, &mut warnings),
        }
    }
    let mut findings = findings.into_iter();
    let (cause, detail) = findings.next().unwrap_or((Cause::Ready, String::new()));
    warnings.splice(0..0, findings.map(|(cause, detail)| format!("also {cause}: {detail}")));
    Verdict { cause, detail, warnings }
}

fn judge_container(container: &ContainerSeen) -> Option<Finding> {
    match container {
        ContainerSeen::NotChecked | ContainerSeen::Unknown => None,
        ContainerSeen::Unavailable(text) => Some((Cause::DockerUnavailable, text.clone())),
        ContainerSeen::Missing { name: Some(name) } => {
            Some((Cause::ContainerMissing, format!("no container is named {name}")))
        }
        ContainerSeen::Missing { name: None } => {
            Some((Cause::ContainerMissing, "the container that published the port is gone".into()))
        }
        ContainerSeen::Found { name, state, .. } => {
            let (cause, word) = match state {
                ContainerState::Running => return None,
                ContainerState::Paused => (Cause::ContainerPaused, "paused"),
                ContainerState::Restarting => (Cause::ContainerRestarting, "restarting"),
                ContainerState::Stopped => (Cause::ContainerStopped, "stopped"),
            };
            Some((cause, format!("container {name} is {word}")))
        }
    }
}

/// What kept a session from coming up; `None` once accounts and an order id are there and nothing ended it.
fn judge_session(api: &ApiSeen) -> Option<Finding> {
    judge_connect(&api.connect)
        .or_else(|| judge_hello(api))
        .or_else(|| judge_ending(api))
        .or_else(|| judge_startup(api))
}

fn judge_connect(connect: &Connect) -> Option<Finding> {
    let finding = match connect {
        Connect::Connected => return None,
        Connect::NotTried => (Cause::ProbeFailed, "the port was not tried".into()),
        Connect::Failed(failure) => match failure {
            ConnectFailure::NameNotResolved(text) => (Cause::NameNotResolved, text.clone()),
            ConnectFailure::Refused => (Cause::PortRefused, "connection refused".into()),
            ConnectFailure::TimedOut => (Cause::PortTimeout, "connecting got no answer in time".into()),
            ConnectFailure::Unreachable(text) => (Cause::HostUnreachable, text.clone()),
            ConnectFailure::Reset => (Cause::ApiClosed, "the connection was reset as it opened".into()),
            ConnectFailure::Local(text) => (Cause::ProbeFailed, format!("could not connect from here: {text}")),
        },
    };
    Some(finding)
}

fn judge_hello(api: &ApiSeen) -> Option<Finding> {
    let seconds = api.elapsed.as_secs_f64();
    match (&api.hello, &api.end) {
        (Some(Hello::Version(_)), _) => None,
        (Some(Hello::TooOld(version)), _) => {
            Some((Cause::ServerTooOld, format!("the gateway speaks API version {version}, at least 100 is needed")))
        }
        (Some(Hello::Redirect(address)), _) => {
            Some((Cause::Redirected, format!("the gateway points to {address} instead")))
        }
        (None, _) if !api.client_ids_in_use.is_empty() => Some(client_ids_in_use(api)),
        (None, End::Foreign(kind)) => Some((Cause::NotAGateway, foreign(*kind).into())),
        (None, End::Broken(text)) => Some((Cause::ProtocolError, text.clone())),
        (None, End::Closed) => Some((Cause::ApiClosed, "connected, but closed before a byte came back".into())),
        (None, End::Reset) => Some((Cause::ApiClosed, "connected, but reset before a byte came back".into())),
        (None, _) => Some((Cause::ApiSilent, format!("connected, but no byte came back within {seconds:.1} s"))),
    }
}

fn foreign(kind: Foreign) -> &'static str {
    match kind {
        Foreign::Http => "a web server answers on this port",
        Foreign::Ssh => "an SSH server answers on this port",
        Foreign::Vnc => "a VNC server answers on this port",
        Foreign::Tls => "a TLS listener answers on this port",
        Foreign::Other => "what answers on this port does not speak the TWS API",
    }
}

fn judge_ending(api: &ApiSeen) -> Option<Finding> {
    let told = |meaning: Meaning| api.notices.iter().find(|notice| notice.meaning() == meaning);
    if let Some(notice) = told(Meaning::PaperDisclaimer) {
        return Some((Cause::PaperDisclaimer, quote(notice)));
    }
    if let Some(notice) = told(Meaning::PortMoved) {
        return Some((Cause::PortMoved, quote(notice)));
    }
    match &api.end {
        End::ClientIdsInUse => Some(client_ids_in_use(api)),
        End::Broken(text) => Some((Cause::ProtocolError, text.clone())),
        End::Lost if api.connectivity.link == Link::Down => {
            Some((Cause::SessionLost, format!("the session ended after {}", link_down(api).1)))
        }
        End::Lost => Some((Cause::SessionLost, "the session that was watched has ended".into())),
        // The link's loss is the better news: it is why the session ended.
        End::Closed | End::Reset if api.connectivity.link == Link::Down => Some(link_down(api)),
        End::Closed | End::Reset => {
            let how = if api.end == End::Closed { "closed" } else { "reset" };
            let last = api.notices.last().map(|notice| format!("; last notice: {}", quote(notice)));
            Some((Cause::ClientRejected, format!("the session was {how} after the hello{}", last.unwrap_or_default())))
        }
        End::Finished | End::Deadline | End::Foreign(_) => None,
    }
}

fn client_ids_in_use(api: &ApiSeen) -> Finding {
    let ids: Vec<String> = api.client_ids_in_use.iter().map(ToString::to_string).collect();
    (Cause::ClientIdInUse, format!("refused as in use: client id {}", ids.join(", ")))
}

fn quote(notice: &Notice) -> String {
    format!("{} {}", notice.code, notice.text).trim_end().to_owned()
}

fn judge_startup(api: &ApiSeen) -> Option<Finding> {
    match (&api.accounts, api.order_id) {
        (Some(accounts), Some(_)) if !accounts.is_empty() => None,
        _ if api.connectivity.link == Link::Down => Some(link_down(api)),
        (None, None) => {
            let hello = api.timings.iter().find(|(stage, _)| *stage == Stage::Hello).map(|(_, took)| *took);
            let late = hello.filter(|took| *took > api.elapsed / 2);
            let late =
                late.map(|took| format!(" in the time that was left: the hello took {:.1} s", took.as_secs_f64()));
            let detail = "the hello was answered, but neither accounts nor an order id came";
            Some((Cause::StartupSilent, format!("{detail}{}", late.unwrap_or_default())))
        }
        (None, Some(_)) => Some((Cause::AccountsMissing, "an order id came, but no account list".into())),
        (Some(accounts), _) if accounts.is_empty() => Some((Cause::AccountsEmpty, "the account list is empty".into())),
        (Some(_), _) => Some((Cause::OrderIdMissing, "the accounts came, but no order id".into())),
    }
}

fn link_down(api: &ApiSeen) -> Finding {
    let notice = api.notices.iter().rev().find(|notice| notice.meaning() == Meaning::LinkDown);
    (Cause::BrokerLinkDown, notice.map_or_else(|| "the link to the broker is down".into(), quote))
}

/// With the API closed, the container's log may say why. A hint, so it changes the cause and never makes anything ready.
fn refine((cause, detail): Finding, seen: &Observation) -> Finding {
    if !matches!(cause, Cause::ApiSilent | Cause::ApiClosed | Cause::PortRefused) {
        return (cause, detail);
    }
    let Some(hint) = &seen.hint else { return (cause, detail) };
    let refined = match hint.kind {
        LogHintKind::TwoFactorPending => Cause::TwoFactorPending,
        LogHintKind::LoginFailed => Cause::LoginFailed,
        LogHintKind::LoginLockedOut => Cause::LoginLockedOut,
        LogHintKind::SessionElsewhere => Cause::SessionElsewhere,
    };
    (refined, format!("{detail}; the container's log: {}", hint.line))
}

/// A session is up: is it one to trade on?
fn judge_readiness(
    seen: &Observation,
    expected: &Expectations,
    findings: &mut Vec<Finding>,
    warnings: &mut Vec<String>,
) {
    let api = &seen.api;
    findings.extend(expected.judge_accounts(api.accounts.as_deref().unwrap_or_default()).err());
    if api.connectivity.link == Link::Down {
        findings.push(link_down(api));
    }
    if api.clock.is_none() {
        findings.push((Cause::ApiUnresponsive, "the session is up, but the gateway did not tell its time".into()));
    } else if api.orders == Orders::Unproven {
        findings.push((Cause::ApiUnresponsive, "the session is up, but the order id question was not answered".into()));
    } else if api.broker == Broker::Silent && api.connectivity.link != Link::Down {
        let told = api.notices.last().map(|notice| format!("; last notice: {}", quote(notice))).unwrap_or_default();
        findings.push((
            Cause::BrokerSilent,
            format!("the gateway answers, but the broker did not answer a contract question{told}"),
        ));
    }
    if api.connectivity.competing_session {
        let notice = api.notices.iter().find(|notice| notice.meaning() == Meaning::CompetingSession);
        findings.push((Cause::CompetingSession, notice.map_or_else(|| "another session of this login".into(), quote)));
    }
    judge_orders(api, expected, findings, warnings);
    judge_farms(api, expected, findings, warnings);
    judge_clock(seen, expected, findings, warnings);
    if api.broker == Broker::Unproven {
        warnings.push("the broker was not asked; a dead link behind the gateway would not show".into());
    }
    if let Some(last) = api.client_ids_in_use.last() {
        warnings.push(format!("client id {last} was in use, the next one was taken"));
    }
}

fn judge_orders(api: &ApiSeen, expected: &Expectations, findings: &mut Vec<Finding>, warnings: &mut Vec<String>) {
    if api.orders != Orders::ReadOnly {
        return;
    }
    let detail = "the API is read-only, orders would be refused";
    match expected.read_only {
        ReadOnlyPolicy::NotReady => findings.push((Cause::ReadOnlyApi, detail.into())),
        ReadOnlyPolicy::Warn => warnings.push(detail.into()),
    }
}

fn judge_farms(api: &ApiSeen, expected: &Expectations, findings: &mut Vec<Finding>, warnings: &mut Vec<String>) {
    for farm in api.connectivity.farms_down() {
        let detail = format!("data farm {farm} is down");
        if expected.required_farms.iter().any(|required| required == farm) {
            findings.push((Cause::DataFarmDown, detail));
        } else {
            warnings.push(detail);
        }
    }
}

fn judge_clock(seen: &Observation, expected: &Expectations, findings: &mut Vec<Finding>, warnings: &mut Vec<String>) {
    let Some(skew) = clock_skew(seen) else { return };
    let size = skew.unsigned_abs();
    let which = if skew.is_negative() { "behind" } else { "ahead of" };
    let detail = format!("the gateway's clock is {:.1} s {which} this machine's", size.as_secs_f64());
    if size > expected.clock_skew_max {
        findings.push((Cause::ClockSkewed, detail));
    } else if size > SKEW_WARNING {
        warnings.push(detail);
    }
}

/// How far the gateway's clock is ahead of this machine's. It tells whole seconds, so any local instant within the second it
/// told is no difference at all.
pub fn clock_skew(seen: &Observation) -> Option<jiff::SignedDuration> {
    let ClockReading { epoch_seconds, received_after } = seen.api.clock?;
    let local = seen.started_at.checked_add(received_after).ok()?;
    let told = jiff::Timestamp::from_second(epoch_seconds).unwrap_or(jiff::Timestamp::MIN);
    let behind = local.duration_since(told);
    let second = jiff::SignedDuration::from_secs(1);
    Some(if behind.is_negative() {
        -behind
    } else if behind < second {
        jiff::SignedDuration::ZERO
    } else {
        second - behind
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log_hints::LogHint;
    use crate::observation::{ConnectFailure, FoundBy};

    fn ready() -> Observation {
        let started_at: jiff::Timestamp = "2026-11-23T01:30:00Z".parse().expect("an instant");
        Observation {
            started_at,
            container: ContainerSeen::NotChecked,
            api: ApiSeen {
                connect: Connect::Connected,
                bytes_received: 300,
                hello: Some(Hello::Version(178)),
                accounts: Some(AccountId::parse_list("DU1234567")),
                order_id: Some(1),
                clock: Some(ClockReading {
                    epoch_seconds: started_at.as_second(),
                    received_after: Duration::from_millis(3),
                }),
                orders: Orders::Allowed,
                broker: Broker::Answered,
                ..ApiSeen::default()
            },
            hint: None,
            fault: None,
        }
    }

    fn api(change: impl FnOnce(&mut ApiSeen)) -> Observation {
        let mut seen = ready();
        change(&mut seen.api);
        seen
    }

    fn before_hello(end: End) -> Observation {
        api(|api| {
            *api = ApiSeen { connect: Connect::Connected, end, elapsed: Duration::from_secs(15), ..ApiSeen::default() }
        })
    }

    fn startup(change: impl FnOnce(&mut ApiSeen)) -> Observation {
        let mut seen = before_hello(End::Deadline);
        seen.api.hello = Some(Hello::Version(178));
        change(&mut seen.api);
        seen
    }

    fn connect(failure: ConnectFailure) -> Observation {
        api(|api| *api = ApiSeen { connect: Connect::Failed(failure), ..ApiSeen::default() })
    }

    fn told(api: &mut ApiSeen, code: i32, text: &str) {
        let notice = Notice::new(-1, code, text);
        api.connectivity.apply(&notice);
        api.notices.push(notice);
    }

    fn container(container: ContainerSeen) -> Observation {
        Observation { container, ..api(|api| *api = ApiSeen::default()) }
    }

    fn found(state: ContainerState, found_by: FoundBy) -> ContainerSeen {
        ContainerSeen::Found { name: "ibga".into(), state, found_by }
    }

    fn hinted(kind: LogHintKind) -> Observation {
        Observation { hint: Some(LogHint { kind, line: "line".into() }), ..before_hello(End::Deadline) }
    }

    #[test]
    #[expect(clippy::too_many_lines, reason = "one table")]
    fn every_cause_from_the_observation_that_shows_it() {
        let cases = vec![
            (Cause::Ready, ready()),
            (Cause::ContainerMissing, container(ContainerSeen::Missing { name: Some("ibga".into()) })),
            (Cause::ContainerMissing, container(ContainerSeen::Missing { name: None })),
            (Cause::ContainerStopped, container(found(ContainerState::Stopped, FoundBy::Name))),
            (Cause::ContainerRestarting, container(found(ContainerState::Restarting, FoundBy::Name))),
            (Cause::ContainerPaused, container(found(ContainerState::Paused, FoundBy::Port))),
            (Cause::DockerUnavailable, container(ContainerSeen::Unavailable("no engine".into()))),
            (Cause::NameNotResolved, connect(ConnectFailure::NameNotResolved("x".into()))),
            (Cause::PortRefused, connect(ConnectFailure::Refused)),
            (Cause::PortTimeout, connect(ConnectFailure::TimedOut)),
            (Cause::HostUnreachable, connect(ConnectFailure::Unreachable("x".into()))),
            (Cause::ApiClosed, connect(ConnectFailure::Reset)),
            (Cause::ProbeFailed, connect(ConnectFailure::Local("too many open files".into()))),
            (Cause::ApiSilent, before_hello(End::Deadline)),
            (Cause::ApiClosed, before_hello(End::Closed)),
            (Cause::ApiClosed, before_hello(End::Reset)),
            (Cause::NotAGateway, before_hello(End::Foreign(Foreign::Http))),
            (Cause::ProtocolError, before_hello(End::Broken("cut".into()))),
            (Cause::ServerTooOld, startup(|api| api.hello = Some(Hello::TooOld(76)))),
            (Cause::Redirected, startup(|api| api.hello = Some(Hello::Redirect("x:1".into())))),
            (Cause::TwoFactorPending, hinted(LogHintKind::TwoFactorPending)),
            (Cause::LoginFailed, hinted(LogHintKind::LoginFailed)),
            (Cause::LoginLockedOut, hinted(LogHintKind::LoginLockedOut)),
            (Cause::SessionElsewhere, hinted(LogHintKind::SessionElsewhere)),
            (Cause::StartupSilent, startup(|_| {})),
            (Cause::AccountsMissing, startup(|api| api.order_id = Some(1))),
            (Cause::OrderIdMissing, startup(|api| api.accounts = Some(AccountId::parse_list("DU1")))),
            (Cause::AccountsEmpty, startup(|api| api.accounts = Some(vec![]))),
            (Cause::AccountsEmpty, api(|api| api.accounts = Some(vec![]))),
            (
                Cause::PaperDisclaimer,
                startup(|api| {
                    told(api, 10141, "Paper trading disclaimer");
                    api.end = End::Closed;
                }),
            ),
            (
                Cause::ClientIdInUse,
                startup(|api| {
                    api.client_ids_in_use = vec![99, 100];
                    api.end = End::ClientIdsInUse;
                }),
            ),
            (Cause::ClientIdInUse, {
                let mut seen = before_hello(End::Deadline);
                seen.api.client_ids_in_use = vec![99];
                seen
            }),
            (
                Cause::BrokerLinkDown,
                startup(|api| {
                    told(api, 1100, "lost");
                    api.accounts = Some(vec![]);
                }),
            ),
            (Cause::ProbeFailed, Observation { fault: Some("no lock".into()), ..ready() }),
            (Cause::ClientRejected, startup(|api| api.end = End::Closed)),
            (Cause::ClientRejected, api(|api| api.end = End::Reset)),
            (Cause::SessionLost, api(|api| api.end = End::Lost)),
            (
                Cause::SessionLost,
                api(|api| {
                    told(api, 1100, "lost");
                    api.end = End::Lost;
                }),
            ),
            (Cause::ProtocolError, startup(|api| api.end = End::Broken("x".into()))),
            (
                Cause::PortMoved,
                api(|api| {
                    told(api, 1300, "new port");
                    api.end = End::Closed;
                }),
            ),
            (Cause::ApiUnresponsive, api(|api| api.clock = None)),
            (Cause::ApiUnresponsive, api(|api| api.orders = Orders::Unproven)),
            (Cause::BrokerSilent, api(|api| api.broker = Broker::Silent)),
            (Cause::BrokerLinkDown, api(|api| told(api, 1100, "lost"))),
            (
                Cause::BrokerLinkDown,
                api(|api| {
                    told(api, 2110, "lost");
                    told(api, 2104, "OK:usfarm");
                    api.broker = Broker::Silent;
                }),
            ),
            (
                Cause::BrokerLinkDown,
                startup(|api| {
                    told(api, 1100, "lost");
                    api.end = End::Closed;
                }),
            ),
            (
                Cause::Ready,
                api(|api| {
                    told(api, 1100, "lost");
                    told(api, 1102, "restored");
                }),
            ),
            (Cause::CompetingSession, api(|api| told(api, 10197, "competing live session"))),
            (Cause::CompetingSession, api(|api| told(api, 420, "connected from a different IP address"))),
            (Cause::Ready, api(|api| told(api, 2103, "broken:hfarm"))),
            (Cause::Ready, api(|api| told(api, 165, "HMDS server connection was successful"))),
            (Cause::ReadOnlyApi, api(|api| api.orders = Orders::ReadOnly)),
            (
                Cause::ClockSkewed,
                api(|api| api.clock = Some(ClockReading { epoch_seconds: 0, received_after: Duration::ZERO })),
            ),
        ];
        for (cause, seen) in &cases {
            let verdict = judge(seen, &Expectations::default());
            assert_eq!(verdict.cause, *cause, "{seen:?}");
            assert_eq!(verdict.detail.is_empty(), *cause == Cause::Ready, "{cause}");
        }
        let needs_expectations = [Cause::DataFarmDown, Cause::WrongAccount, Cause::WrongMode];
        for cause in Cause::ALL {
            assert!(
                needs_expectations.contains(cause) || cases.iter().any(|(shown, _)| shown == cause),
                "{cause} is not shown"
            );
        }
    }

    #[test]
    fn expectations() {
        let ids = AccountId::parse_list;
        let plain = Expectations::default();
        let cases = [
            (Cause::WrongAccount, Expectations { accounts: ids("U1"), ..plain.clone() }, ready()),
            (Cause::WrongAccount, Expectations { accounts: ids("DU1234567,DU2"), ..plain.clone() }, ready()),
            (
                Cause::Ready,
                Expectations { accounts: ids("DU1234567"), mode: Some(ExpectedMode::Paper), ..plain.clone() },
                ready(),
            ),
            (Cause::WrongMode, Expectations { mode: Some(ExpectedMode::Live), ..plain.clone() }, ready()),
            (
                Cause::WrongMode,
                Expectations { mode: Some(ExpectedMode::Paper), ..plain.clone() },
                api(|api| api.accounts = Some(ids("DU1,U2"))),
            ),
            (
                Cause::DataFarmDown,
                Expectations { required_farms: vec!["hfarm".into()], ..plain.clone() },
                api(|api| told(api, 2103, "Market data farm connection is broken:hfarm")),
            ),
            (
                Cause::Ready,
                Expectations { read_only: ReadOnlyPolicy::Warn, ..plain.clone() },
                api(|api| api.orders = Orders::ReadOnly),
            ),
            (
                Cause::Ready,
                Expectations { clock_skew_max: Duration::MAX, ..plain.clone() },
                api(|api| api.clock = Some(ClockReading { epoch_seconds: i64::MIN, received_after: Duration::ZERO })),
            ),
        ];
        for (cause, expected, seen) in cases {
            assert_eq!(judge(&seen, &expected).cause, cause, "{expected:?}");
        }
    }

    #[test]
    fn hints_refine_a_closed_api_and_nothing_else() {
        let hint = Some(LogHint { kind: LogHintKind::TwoFactorPending, line: "waiting".into() });
        for (seen, cause) in [
            (before_hello(End::Closed), Cause::TwoFactorPending),
            (connect(ConnectFailure::Refused), Cause::TwoFactorPending),
            (connect(ConnectFailure::TimedOut), Cause::PortTimeout),
            (startup(|_| {}), Cause::StartupSilent),
            (ready(), Cause::Ready),
        ] {
            assert_eq!(judge(&Observation { hint: hint.clone(), ..seen }, &Expectations::default()).cause, cause);
        }
    }

    #[test]
    fn a_container_found_by_its_port_alone_does_not_outweigh_an_answer() {
        let seen = |found_by| Observation { container: found(ContainerState::Stopped, found_by), ..ready() };
        let by_port = judge(&seen(FoundBy::Port), &Expectations::default());
        assert_eq!(by_port.cause, Cause::Ready);
        assert!(by_port.warnings[0].starts_with("container ibga is stopped, yet the port is served"));
        assert_eq!(judge(&seen(FoundBy::Name), &Expectations::default()).cause, Cause::ContainerStopped);
    }

    #[test]
    fn the_first_finding_is_the_cause_and_the_others_are_warnings() {
        let seen = api(|api| {
            api.orders = Orders::ReadOnly;
            api.broker = Broker::Unproven;
            api.client_ids_in_use = vec![99];
            told(api, 1100, "lost");
        });
        let verdict = judge(&seen, &Expectations { mode: Some(ExpectedMode::Live), ..Expectations::default() });
        insta::assert_debug_snapshot!(verdict);
    }

    #[test]
    fn the_clock_is_told_in_whole_seconds() {
        for (epoch_offset, received_ms, skew_ms) in
            [(0, 3, 0), (0, 999, 0), (0, 1_000, 0), (0, 1_500, -500), (1, 3, 997), (-30, 0, -29_000), (31, 0, 31_000)]
        {
            let seen = api(|api| {
                let reading = api.clock.expect("a reading");
                let received_after = Duration::from_millis(received_ms);
                api.clock = Some(ClockReading { epoch_seconds: reading.epoch_seconds + epoch_offset, received_after });
            });
            assert_eq!(clock_skew(&seen).map(|skew| skew.as_millis()), Some(skew_ms), "{epoch_offset} {received_ms}");
        }
    }
}
