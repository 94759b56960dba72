//! One remedy for each cause: what a tired person does now, most likely reason first. Where the socket cannot tell reasons apart,
//! their order comes from how the gateway is deployed and from the hour. Pure text; decides nothing.

use std::fmt::Write as _;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::cause::Cause;
use crate::reset_windows::{DailyReset, Length, last_token_end, resets_at};

/// How long after the weekly end of the login token it is the first suspect.
const TOKEN_SUSPECT: SignedDuration = SignedDuration::from_hours(48);

/// What the remedy may lean on.
#[derive(Clone, Debug)]
pub struct Circumstances<'a> {
    /// The gateway's host.
    pub host: &'a str,
    /// The gateway's port.
    pub port: u16,
    /// The container, if one is known.
    pub container: Option<&'a str>,
    /// The client ids that were tried.
    pub client_ids: (i32, i32),
    /// The hour.
    pub now: Timestamp,
    /// The zone in which times are told.
    pub zone: &'a TimeZone,
    /// When IBKR resets servers.
    pub resets: &'a [DailyReset],
}

/// How the gateway is reached, as its port tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deployment {
    /// heshiming/ibga and others whose proxy accepts and keeps silent while nobody is logged in.
    PatientProxy,
    /// A proxy that accepts and hangs up while nobody is logged in (gnzsnz, extrange).
    HangingUpProxy,
    /// IB Gateway itself, or Docker's own proxy before it.
    Gateway,
    /// Trader Workstation.
    Workstation,
    /// The port tells nothing.
    Unknown,
}

impl Deployment {
    fn of(port: u16) -> Self {
        match port {
            4000 => Self::PatientProxy,
            4003 | 4004 | 8888 => Self::HangingUpProxy,
            4001 | 4002 => Self::Gateway,
            7496 | 7497 => Self::Workstation,
            _ => Self::Unknown,
        }
    }
}

/// The remedy; none for a ready gateway.
pub fn remedy(cause: Cause, at: &Circumstances<'_>) -> Option<String> {
    let container = at.container.unwrap_or("CONTAINER");
    let endpoint = format!("{}:{}", at.host, at.port);
    let restart = match (at.container, Deployment::of(at.port)) {
        (Some(name), _) => format!("`docker restart {name}`"),
        (None, Deployment::Workstation) => "restart TWS".into(),
        (None, _) => "restart the gateway".into(),
    };
    let text = match cause {
        Cause::Ready => return None,
        Cause::ContainerMissing => "create it again (`docker compose up -d`), or correct the name (`docker ps -a` lists them)".into(),
        Cause::ContainerStopped => format!("`docker start {container}`, then approve the login on your phone if IB Key asks"),
        Cause::ContainerRestarting => {
            format!("wait a minute and check again; if it goes on, see why it ends: `docker logs --tail 50 {container}`")
        }
        Cause::ContainerPaused => format!("`docker unpause {container}`"),
        Cause::NameNotResolved => format!("correct the host ({}) in the settings, or repair name resolution", at.host),
        Cause::PortRefused => port_refused(at, &endpoint, &restart),
        Cause::PortTimeout => format!(
            "in this order: is the host up and is {endpoint} let through by the firewall? A gateway whose connection queue is full looks the same: {restart}"
        ),
        Cause::HostUnreachable => format!("check the network, VPN or container network that leads to {}", at.host),
        Cause::SessionLost => {
            format!("`ibga watch` comes back by itself within seconds, and then tells what is wrong; if not, see to {endpoint}")
        }
        Cause::ApiSilent | Cause::ApiClosed => api_not_open(cause, at, &restart),
        Cause::StartupSilent => format!("wait one minute if it has just started; otherwise {restart}"),
        Cause::AccountsEmpty | Cause::AccountsMissing => {
            format!("the login is not complete: look at the gateway's screen (VNC) for a question, finish the login, else {restart}")
        }
        Cause::TwoFactorPending => {
            "approve the IB Key request on your phone now; it lapses after three minutes and the login starts over".into()
        }
        Cause::LoginFailed => format!(
            "correct user name or password of the gateway, then {restart}; do not retry blindly, IBKR locks the login after some failures"
        ),
        Cause::LoginLockedOut => "stop all automatic logins, wait for the time that the log names, log in once on IBKR Mobile, then start the gateway again".into(),
        Cause::SessionElsewhere => format!("log out where else this login is in use (TWS, IBKR Mobile, Client Portal), then {restart}"),
        Cause::OrderIdMissing => format!("the session did not come up whole: {restart}"),
        Cause::PaperDisclaimer => {
            "open the gateway's screen (VNC) and accept the paper trading disclaimer; it comes back at each restart unless the container clicks it".into()
        }
        Cause::ClientIdInUse => format!(
            "end the other program that uses client ids {} to {}, or choose a free one with --client-id; ids held by dead sessions are freed when you {restart}",
            at.client_ids.0, at.client_ids.1
        ),
        Cause::ClientRejected => format!("wait one minute if it is just restarting; otherwise look for a question on its screen (VNC), then {restart}"),
        Cause::ApiUnresponsive => format!("it hangs: {restart}"),
        Cause::BrokerSilent | Cause::BrokerLinkDown => broker_lost(at, &restart),
        Cause::PortMoved => "put the new port into the settings, or set the old one again in the gateway's API settings".into(),
        Cause::CompetingSession => "log out where else this login is in use (TWS, IBKR Mobile, Client Portal); sessions of the same login take the data from each other".into(),
        Cause::DataFarmDown => {
            let wait = "IBKR reconnects data farms by itself, mostly within minutes; check again";
            reset_hint(at).map_or_else(|| wait.into(), |hint| format!("{hint}; {wait}"))
        }
        Cause::ReadOnlyApi => {
            "untick \"Read-Only API\" in the gateway's API settings (READ_ONLY_API=no in most containers) and restart it; for an agent that only reads: --allow-read-only".into()
        }
        Cause::WrongAccount | Cause::WrongMode => {
            "leave the agent stopped, and log the gateway in with the user that was expected; only if the expectation itself is wrong, correct it in the settings".into()
        }
        Cause::ClockSkewed => "set both clocks by NTP (`timedatectl status` shows this machine's); a container shares its host's clock".into(),
        Cause::NotAGateway => format!("{endpoint} is some other service: correct the port (ibga 4000, gateway 4001 live and 4002 paper, TWS 7496 and 7497)"),
        Cause::ProtocolError => format!("check again, with a longer --timeout if the way to the gateway is slow; if it stays: {restart}"),
        Cause::ServerTooOld => "update IB Gateway or TWS".into(),
        Cause::Redirected => "put the address that it points to into the settings, if you trust it".into(),
        Cause::DockerUnavailable => "repair what the error names; --container none leaves the container out of the check".into(),
        Cause::ProbeFailed => "repair what the error names; `ibga check -v` tells more".into(),
    };
    Some(text)
}

fn port_refused(at: &Circumstances<'_>, endpoint: &str, restart: &str) -> String {
    let mut reasons = Reasons::default();
    reasons.extend(weekend_hint(at));
    match (Deployment::of(at.port), at.container) {
        (Deployment::Workstation, _) => {
            reasons.add("start TWS and log in");
            reasons.add("tick \"Enable ActiveX and Socket Clients\" in its API settings");
        }
        (_, Some(name)) => {
            reasons.add(format!("it is still starting or waits for a login: `docker logs --tail 30 {name}`, approve IB Key on your phone"));
            reasons.add(restart);
        }
        _ => reasons.add("start the gateway and log in"),
    }
    reasons.add(format!("correct the port, if the gateway does not listen on {endpoint}"));
    reasons.extend(reset_hint(at));
    reasons.finish()
}

fn api_not_open(cause: Cause, at: &Circumstances<'_>, restart: &str) -> String {
    let deployment = Deployment::of(at.port);
    let token = token_hint(at);
    let why = token.clone().unwrap_or_else(|| "nobody is logged in".into());
    let approve = match at.container {
        Some(name) => format!(
            "{why}: approve the IB Key request on your phone, or see what the login waits for: `docker logs --tail 30 {name}`"
        ),
        None => format!("{why}: approve the IB Key request on your phone, or finish the login on its screen (VNC)"),
    };
    let restarting = "it is just restarting: check again in a minute";
    let trusted = "it does not let this machine in: \"Allow connections from localhost only\" off, its address trusted";
    let question = "a question waits on its screen (\"Accept incoming connection?\"): answer it";
    // A restart ends an approval that is pending, so it comes last and with its condition.
    let wedged = format!("its screen shows a finished login, so its API hangs, which only a restart cures: {restart}");
    // Without a container engine behind it a port of the gateway's own may still be one that a container publishes.
    let bare = deployment == Deployment::Workstation || (deployment == Deployment::Gateway && at.container.is_none());
    let mut reasons = Reasons::default();
    reasons.extend(weekend_hint(at));
    if cause == Cause::ApiSilent {
        let first = bare && token.is_none();
        if first {
            reasons.add(question);
        }
        reasons.add(approve);
        if bare && !first {
            reasons.add(question);
        }
        reasons.add(wedged);
    } else if deployment == Deployment::Workstation {
        reasons.add(restarting);
        reasons.add(trusted);
        reasons.add(approve);
    } else {
        reasons.add(approve);
        reasons.add(restarting);
        if bare || deployment == Deployment::Unknown {
            reasons.add(trusted);
        }
    }
    reasons.extend(reset_hint(at));
    reasons.finish()
}

fn broker_lost(at: &Circumstances<'_>, restart: &str) -> String {
    let mut reasons = Reasons::default();
    reasons.extend(weekend_hint(at));
    reasons.extend(reset_hint(at));
    reasons.add("IBKR reconnects by itself, mostly within minutes: check again");
    reasons.add("check this host's way to the internet");
    reasons.add("log out where else this login is in use");
    reasons.add(format!("if it lasts for ten minutes: {restart}"));
    reasons.finish()
}

/// Possible reasons in their order of likelihood.
#[derive(Default)]
struct Reasons(Vec<String>);

impl Reasons {
    fn add(&mut self, reason: impl Into<String>) {
        self.0.push(reason.into());
    }

    fn extend(&mut self, reasons: impl IntoIterator<Item = String>) {
        self.0.extend(reasons);
    }

    fn finish(self) -> String {
        if let [only] = self.0.as_slice() {
            return only.clone();
        }
        let mut text = String::new();
        for (at, reason) in self.0.iter().enumerate() {
            let separator = if at == 0 { "" } else { "; " };
            let _ = write!(text, "{separator}{}) {reason}", at + 1);
        }
        text
    }
}

/// The reasons of a remedy, each for itself, in their order. A remedy of one reason is that reason.
pub fn steps(remedy: &str) -> Vec<&str> {
    let Some(mut rest) = remedy.strip_prefix("1) ") else { return vec![remedy] };
    let mut steps = Vec::new();
    while let Some((step, after)) = rest.split_once(&format!("; {}) ", steps.len() + 2)) {
        steps.push(step);
        rest = after;
    }
    steps.push(rest);
    steps
}

/// A daily reset passes within moments and concerns the accounts of one region, so it explains little.
fn reset_hint(at: &Circumstances<'_>) -> Option<String> {
    let windows: Vec<_> =
        resets_at(at.resets, at.now).into_iter().filter(|window| window.length == Length::Moments).collect();
    let ends = windows.iter().map(|window| window.ends).max()?;
    let regions: Vec<&str> = windows.iter().map(|window| window.region.as_str()).collect();
    let until = ends.to_zoned(at.zone.clone()).strftime("%H:%M").to_string();
    let regions = regions.join(", ");
    Some(format!(
        "IBKR resets servers until {until} ({regions}): if the account is served from there, it passes by itself"
    ))
}

/// At the weekend everything may be down for hours.
fn weekend_hint(at: &Circumstances<'_>) -> Option<String> {
    let window = resets_at(at.resets, at.now).into_iter().find(|window| window.length == Length::Hours)?;
    let until = window.ends.to_zoned(at.zone.clone()).strftime("%a %H:%M").to_string();
    Some(format!("IBKR may be down for its weekend maintenance until {until}: check again after it"))
}

fn token_hint(at: &Circumstances<'_>) -> Option<String> {
    let ended = last_token_end(at.now)?;
    if at.now.duration_since(ended) > TOKEN_SUSPECT {
        return None;
    }
    let when = ended.to_zoned(at.zone.clone()).strftime("%a %H:%M").to_string();
    Some(format!("the weekly login ended on {when}"))
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use super::*;
    use crate::gate::Rule;
    use crate::reset_windows::published;

    static RESETS: LazyLock<Vec<DailyReset>> = LazyLock::new(published);

    fn at(port: u16, container: Option<&'static str>, now: &str, zone: &'static TimeZone) -> Circumstances<'static> {
        Circumstances {
            host: "127.0.0.1",
            port,
            container,
            client_ids: (99, 103),
            now: now.parse().expect("an instant"),
            zone,
            resets: RESETS.as_slice(),
        }
    }

    /// Alerts are masked as a whole; the words that say what to do have to come through.
    #[test]
    fn masking_takes_nothing_out_of_a_remedy() {
        for cause in Cause::ALL {
            let zone = Box::leak(Box::new(TimeZone::UTC));
            let circumstances = at(4000, Some("ibga"), "2026-11-25T01:20:00Z", zone);
            let text = remedy(*cause, &circumstances).unwrap_or_default();
            assert_eq!(crate::log_hints::masked(&text), text);
        }
        for rule in [Rule::StatusFile, Rule::Secure, Rule::Readable, Rule::Gateway, Rule::NotFromFuture, Rule::Account]
        {
            let text = rule.remedy().unwrap_or_default();
            assert_eq!(crate::log_hints::masked(text), text);
        }
    }

    #[test]
    fn every_cause_has_one() {
        let zone = TimeZone::UTC;
        let zone = Box::leak(Box::new(zone));
        for cause in Cause::ALL {
            let text = remedy(*cause, &at(4000, None, "2026-11-25T01:20:00Z", zone));
            assert_eq!(text.is_none(), *cause == Cause::Ready, "{cause}");
            let text = text.unwrap_or_default();
            assert!(text.len() < 500 && !text.contains('\n') && !text.ends_with('.'), "{cause}: {text}");
        }
    }

    #[test]
    fn steps_are_the_reasons_that_were_given() {
        for reasons in [&["restart it"][..], &["is it up; is it let in (2) ?", "then: 2) is no second"], &["a"; 12]] {
            let text = Reasons(reasons.iter().map(ToString::to_string).collect()).finish();
            assert_eq!(steps(&text), reasons, "{text}");
        }
        assert_eq!(steps(""), [""]);
    }

    #[test]
    fn the_likely_reason_comes_first() {
        let hong_kong = Box::leak(Box::new(TimeZone::get("Asia/Hong_Kong").expect("a zone")));
        let wednesday = "2026-11-25T01:20:00Z";
        for (cause, port, container, now, first) in [
            (Cause::ApiSilent, 4000, Some("ibga"), wednesday, "1) nobody is logged in: approve the IB Key request"),
            (Cause::ApiSilent, 4001, None, wednesday, "1) a question waits on its screen"),
            (Cause::ApiClosed, 4001, None, wednesday, "1) nobody is logged in"),
            (Cause::ApiClosed, 7497, None, wednesday, "1) it is just restarting"),
            (Cause::BrokerLinkDown, 4000, None, "2026-11-24T20:50:00Z", "1) IBKR resets servers until 06:05 (Asia)"),
            (
                Cause::ApiSilent,
                4000,
                Some("ibga"),
                "2026-11-28T05:00:00Z",
                "1) IBKR may be down for its weekend maintenance until Sat 16:00",
            ),
            (Cause::ApiClosed, 4004, None, wednesday, "1) nobody is logged in"),
            (Cause::ApiSilent, 4000, None, "2026-11-23T01:20:00Z", "1) the weekly login ended on Sun 14:00"),
            (Cause::PortRefused, 7496, None, wednesday, "1) start TWS and log in"),
            (Cause::ContainerStopped, 4000, Some("ibga"), wednesday, "`docker start ibga`"),
        ] {
            let text = remedy(cause, &at(port, container, now, hong_kong)).expect("a remedy");
            assert!(text.starts_with(first), "{cause} {port} {now}: {text}");
        }
    }
}
