//! The moments of the day, in Hong Kong, as an operator lives them. The hours are those of IBKR's windows and of a gateway that
//! restarts at 23:45; the weekly login token ends on Sunday at 14:00 (01:00 in New York).

use std::time::Duration;

use ibga_sim::{Proxy, Scenario, Timeline};
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use super::{CLIENT_IDS, Fault, head};

/// One look at the gateway.
#[derive(Clone, Copy)]
pub(super) struct Moment {
    pub(super) name: &'static str,
    pub(super) at: &'static str,
    about: &'static str,
    pub(super) scenario: Scenario,
    pub(super) proxy: Proxy,
    /// What the gateway can speak, and what the probe announces.
    pub(super) version: u32,
    pub(super) announced: u32,
    pub(super) timeout: Duration,
    pub(super) ready_after: Option<Duration>,
    pub(super) accounts: &'static str,
    /// What the operator expects of the login, as the replay reads it.
    expects: &'static str,
    pub(super) clock_off_seconds: i64,
}

const ZONE: &str = "Asia/Hong_Kong";

impl Moment {
    pub(super) fn instant(&self) -> Result<Timestamp, Fault> {
        Ok(self.at.parse::<DateTime>()?.to_zoned(TimeZone::get(ZONE)?)?.timestamp())
    }

    /// What the gateway does while it is recorded.
    pub(super) fn timeline(&self) -> Timeline {
        let timeline = Timeline::from(self.scenario);
        match self.ready_after {
            Some(lasts) => timeline.after(lasts, Scenario::Ready),
            None => timeline,
        }
    }

    /// In the order of the day.
    pub(super) fn file_name(&self) -> Result<String, Fault> {
        let at = self.at.parse::<DateTime>()?;
        Ok(format!("{}-{}.session", at.strftime("%m%d-%H%M"), self.name))
    }

    pub(super) fn head(&self) -> Result<String, Fault> {
        let moment = self.instant()?.to_zoned(TimeZone::get(ZONE)?);
        let client_ids = format!("{}-{}", CLIENT_IDS.start(), CLIENT_IDS.end());
        Ok(head(&[
            ("moment", &moment.to_string()),
            ("about", self.about),
            ("client", "the probe of ibga"),
            ("gateway", &format!("simulated: {}, proxy {}", self.scenario, self.proxy)),
            ("announced", &self.announced.to_string()),
            ("client-ids", &client_ids),
            ("timeout", &format!("{} ms", self.timeout.as_millis())),
            ("expects", self.expects),
        ]))
    }
}

/// A healthy paper gateway, looked at with a probe whose silences are cut to three seconds.
const fn at(at: &'static str, name: &'static str, scenario: Scenario, about: &'static str) -> Moment {
    Moment {
        name,
        at,
        about,
        scenario,
        proxy: Proxy::None,
        version: 200,
        announced: 200,
        timeout: Duration::from_secs(3),
        ready_after: None,
        accounts: "DU1234567",
        expects: "paper",
        clock_off_seconds: 0,
    }
}

const fn behind(proxy: Proxy, moment: Moment) -> Moment {
    Moment { proxy, ..moment }
}

const fn speaking(version: u32, moment: Moment) -> Moment {
    let announced = if version > 200 { version } else { 200 };
    Moment { version, announced, ..moment }
}

pub(super) const MOMENTS: &[Moment] = &[
    at("2026-11-22T13:50", "weekend", Scenario::Ready, "Sunday, before the weekly login token ends"),
    at("2026-11-22T14:05", "token-ended", Scenario::Ready, "the token has ended, which shows only at the next restart"),
    at("2026-11-22T23:44", "before-restart", Scenario::FarmsInactive, "the last minute before the nightly restart"),
    at("2026-11-22T23:45", "session-cut", Scenario::ClientRejected, "the restart cuts a session short"),
    behind(
        Proxy::Docker,
        at("2026-11-22T23:46", "port-reset", Scenario::LoggedOut, "the port is closed behind Docker's proxy"),
    ),
    behind(
        Proxy::Socat,
        at("2026-11-22T23:47", "port-closed", Scenario::LoggedOut, "the port is closed behind plain socat"),
    ),
    at("2026-11-22T23:48", "nobody-listens", Scenario::PortRefused, "no proxy, and no gateway either"),
    behind(
        Proxy::IbgaSocat,
        at(
            "2026-11-22T23:52",
            "approval-needed",
            Scenario::LoggedOut,
            "the login waits for the IB Key, the proxy keeps silent",
        ),
    ),
    behind(
        Proxy::IbgaSocat,
        at("2026-11-23T07:00", "still-waiting", Scenario::LoggedOut, "nobody approved over night"),
    ),
    Moment {
        ready_after: Some(Duration::from_millis(1_200)),
        timeout: Duration::from_secs(6),
        ..behind(
            Proxy::IbgaSocat,
            at(
                "2026-11-23T08:50",
                "late-approval",
                Scenario::LoggedOut,
                "approved while the probe waits: the same connection is answered",
            ),
        )
    },
    at("2026-11-23T08:51", "starting", Scenario::StartupSilent, "the hello comes, the rest is still starting"),
    at(
        "2026-11-23T08:53",
        "disclaimer",
        Scenario::PaperDisclaimer,
        "the paper disclaimer waits for a click after the restart",
    ),
    at("2026-11-23T08:55", "accounts-late", Scenario::AccountsLate, "clicked; the account list takes a second"),
    at("2026-11-23T09:00", "id-held", Scenario::ClientIdHeld, "a dead session holds the first client id"),
    at("2026-11-23T09:02", "all-ids-held", Scenario::ClientIdInUse, "every client id is held"),
    Moment {
        accounts: "U7654321",
        ..at("2026-11-23T09:05", "live-login", Scenario::Ready, "somebody logged in with the live user")
    },
    Moment {
        expects: "DU7654321",
        ..at("2026-11-23T09:06", "wrong-account", Scenario::Ready, "paper, but another account than the agent's")
    },
    at("2026-11-23T09:10", "read-only", Scenario::ReadOnlyApi, "the API is set to read-only"),
    Moment {
        clock_off_seconds: 120,
        ..at("2026-11-23T09:15", "clock-ahead", Scenario::Ready, "the gateway's clock is two minutes ahead")
    },
    at("2026-11-23T09:25", "pre-market", Scenario::Ready, "the check before the market opens"),
    at("2026-11-23T09:31", "open", Scenario::Ready, "the market is open, the agent's first run"),
    speaking(151, at("2026-11-23T09:36", "open-old-gateway", Scenario::Ready, "the same from an old gateway")),
    speaking(203, at("2026-11-23T09:41", "open-mixed", Scenario::Ready, "the same in the mixed dialect")),
    speaking(222, at("2026-11-23T09:46", "open-protobuf", Scenario::Ready, "the same in protobuf")),
    at("2026-11-23T10:05", "farm-flap", Scenario::FarmFlap, "a farm breaks and comes back"),
    at(
        "2026-11-23T10:20",
        "farm-down",
        Scenario::DataFarmDown,
        "the farm for Hong Kong stays down, which nobody required",
    ),
    at("2026-11-23T10:35", "link-lost", Scenario::BrokerLinkDown, "1100: the link to the broker is lost"),
    at(
        "2026-11-23T10:36",
        "link-lost-farms",
        Scenario::BrokerLinkDownFarmsOk,
        "farms claim to be up, the link is still down",
    ),
    at("2026-11-23T10:37", "link-back", Scenario::BrokerLinkRestored, "1102: the link is back, data kept"),
    speaking(
        213,
        at(
            "2026-11-23T10:52",
            "link-back-data-lost",
            Scenario::BrokerLinkRestoredDataLost,
            "1101: lost again and back, in protobuf",
        ),
    ),
    at(
        "2026-11-23T11:10",
        "broker-silent",
        Scenario::BrokerSilent,
        "a new session is not told of the loss; the broker's silence shows it",
    ),
    at("2026-11-23T11:30", "other-login", Scenario::CompetingSession, "the operator opened TWS with the same user"),
    at("2026-11-23T12:10", "lunch", Scenario::Ready, "healthy, and the exchange is at lunch"),
    at("2026-11-23T13:20", "reset", Scenario::ServerReset, "the servers in North America reset"),
    speaking(
        205,
        at(
            "2026-11-23T13:40",
            "reset-2110",
            Scenario::BrokerLinkDown2110,
            "the same window, told as 2110, mixed dialect",
        ),
    ),
    at(
        "2026-11-23T13:50",
        "farms-late",
        Scenario::FarmsLate,
        "just back: farms come late, the question is asked again",
    ),
    at("2026-11-23T14:10", "wedged", Scenario::Wedged, "the listener hangs: connected, no byte"),
    at("2026-11-23T14:20", "half-open", Scenario::ApiUnresponsive, "the session opens, then no request is answered"),
    at("2026-11-23T14:40", "no-order-id", Scenario::OrderIdMissing, "accounts, but no order id"),
    at(
        "2026-11-23T15:10",
        "wrong-port",
        Scenario::Http,
        "the agent's new configuration names the port of a web server",
    ),
    at("2026-11-23T15:30", "port-moved", Scenario::PortMoved, "1300: somebody changed the API port"),
    at("2026-11-23T15:50", "bytewise", Scenario::Bytewise, "healthy over a bad line: every byte for itself"),
    at("2026-11-23T16:15", "after-close", Scenario::OneWrite, "healthy, and the market has closed"),
    at("2026-11-23T20:20", "asian-reset", Scenario::BrokerLinkDown, "the servers in Asia reset"),
    at("2026-11-24T00:05", "restarted", Scenario::Ready, "restarted within the week: the token logs in alone"),
];
