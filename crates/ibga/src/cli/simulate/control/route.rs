//! What a request to the control port means, and what is said to one that cannot be met: values alone.

use std::net::IpAddr;

use hyper::StatusCode;
use ibga_sim::{NextError, Scenario, Scene, SceneError};
use serde_json::{Value, json};

/// What is asked for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Order {
    /// What gateways are doing.
    Show(Whom),
    /// All scenarios.
    Scenarios,
    /// Another scene.
    Switch(Whom, Scene),
    /// The next step of the timeline.
    Next(Whom),
}

/// Whom it concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whom {
    /// All gateways.
    All,
    /// The one with this number.
    One(usize),
}

/// Why a request is not met.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refusal {
    #[error("requests of web pages and for other names of this machine are refused; ask localhost or 127.0.0.1")]
    Foreign,
    #[error(
        "there is nothing here; try GET /, GET /scenarios, POST /scenario/NAME, POST /next, or the same below /gateways/NUMBER"
    )]
    NothingHere,
    #[error("this takes {0}; with curl write `curl -X {0} …`")]
    Method(&'static str),
    #[error(transparent)]
    Scene(#[from] SceneError),
    #[error("there is no gateway {number}; they are numbered from 1 to {count}")]
    NoSuchGateway { number: usize, count: usize },
    #[error("no step follows in the timeline; switch to a scenario instead")]
    NothingFollows,
    #[error("{0}")]
    Failed(String),
}

impl From<NextError> for Refusal {
    fn from(fault: NextError) -> Self {
        match fault {
            NextError::NothingFollows => Self::NothingFollows,
            NextError::Switch(fault) => Self::Failed(fault.to_string()),
        }
    }
}

impl Refusal {
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::Foreign => StatusCode::FORBIDDEN,
            Self::NothingHere | Self::NoSuchGateway { .. } | Self::Scene(SceneError::Scenario(_)) => {
                StatusCode::NOT_FOUND
            }
            Self::Scene(_) => StatusCode::BAD_REQUEST,
            Self::Method(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::NothingFollows => StatusCode::CONFLICT,
            Self::Failed(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// What is said, and for a name that does not exist, those that do.
    pub(super) fn document(&self) -> Value {
        let mut document = json!({ "error": self.to_string() });
        if let (Self::Scene(SceneError::Scenario(fault)), Some(document)) = (self, document.as_object_mut()) {
            document.insert("nearest".into(), fault.nearest.map(Scenario::name).into());
            document.insert("scenarios".into(), Scenario::ALL.iter().map(|scenario| scenario.name()).collect());
        }
        document
    }

    /// The method that would do.
    pub(super) fn allow(&self) -> Option<&'static str> {
        match self {
            Self::Method(method) => Some(method),
            _ => None,
        }
    }
}

/// Understands a request.
pub(super) fn order(method: &str, path: &str, query: Option<&str>) -> Result<Order, Refusal> {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let (whom, what) = match parts.as_slice() {
        ["gateways", number, what @ ..] => (Whom::One(number.parse().map_err(|_| Refusal::NothingHere)?), what),
        what => (Whom::All, what),
    };
    match (what, whom) {
        ([], _) => only("GET", method, || Ok(Order::Show(whom))),
        (["scenarios"], Whom::All) => only("GET", method, || Ok(Order::Scenarios)),
        (["next"], _) => only("POST", method, || Ok(Order::Next(whom))),
        (["scenario", name], _) => only("POST", method, || Ok(Order::Switch(whom, scene(name, query)?))),
        _ => Err(Refusal::NothingHere),
    }
}

fn only(wanted: &'static str, method: &str, order: impl FnOnce() -> Result<Order, Refusal>) -> Result<Order, Refusal> {
    if method == wanted { order() } else { Err(Refusal::Method(wanted)) }
}

/// `/scenario/ready?as=U7654321`, with a `+` between several accounts.
fn scene(name: &str, query: Option<&str>) -> Result<Scene, Refusal> {
    let scenario: Scenario = name.parse().map_err(SceneError::from)?;
    match query.map(|query| query.split_once('=')) {
        None => Ok(scenario.into()),
        Some(Some(("as", accounts))) => {
            Ok(Scene::under(scenario, &accounts.replace("%2B", "+")).map_err(SceneError::from)?)
        }
        Some(_) => Err(Refusal::NothingHere),
    }
}

/// Whether a Host header names this machine by an address or name that no foreign page can have.
pub(super) fn is_this_machine(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        // Within brackets the colon belongs to the address.
        Some((name, port)) if port.chars().all(|c| c.is_ascii_digit()) && !name.is_empty() => name,
        _ => host,
    };
    let address = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    name.eq_ignore_ascii_case("localhost") || address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_requests_mean() {
        let scene = |text: &str| text.parse::<Scene>().expect(text);
        for (method, path, query, order) in [
            ("GET", "/", None, Order::Show(Whom::All)),
            ("GET", "/gateways/2", None, Order::Show(Whom::One(2))),
            ("GET", "/scenarios", None, Order::Scenarios),
            ("POST", "/next", None, Order::Next(Whom::All)),
            ("POST", "/gateways/7/next/", None, Order::Next(Whom::One(7))),
            ("POST", "/scenario/broker-link-down", None, Order::Switch(Whom::All, scene("broker_link_down"))),
            (
                "POST",
                "/gateways/1/scenario/ready",
                Some("as=U1%2BU2"),
                Order::Switch(Whom::One(1), scene("ready as U1+U2")),
            ),
        ] {
            assert_eq!(self::order(method, path, query), Ok(order), "{method} {path}");
        }
    }

    #[test]
    fn what_requests_do_not_mean() {
        for (method, path, query, status, text) in [
            ("GET", "/next", None, 405, "this takes POST"),
            ("GET", "/scenario/ready", None, 405, "this takes POST"),
            ("POST", "/", None, 405, "this takes GET"),
            ("POST", "/scenario/redy", None, 404, "did you mean `ready`?"),
            ("POST", "/scenario/ready", Some("as=DU-1"), 400, "not an account id"),
            ("POST", "/scenario/ready", Some("for=3s"), 404, "there is nothing here"),
            ("POST", "/scenario", None, 404, "there is nothing here"),
            ("GET", "/gateways/two", None, 404, "there is nothing here"),
            ("GET", "/gateways/2/scenarios", None, 404, "there is nothing here"),
            ("GET", "/favicon.ico", None, 404, "there is nothing here"),
        ] {
            let refusal = order(method, path, query).expect_err(path);
            assert_eq!(refusal.status(), status, "{method} {path}");
            assert!(refusal.to_string().contains(text), "{method} {path}: {refusal}");
        }
        let document = order("POST", "/scenario/redy", None).expect_err("no scenario").document();
        assert_eq!((&document["nearest"], document["scenarios"][0].as_str()), (&"ready".into(), Some("ready")));
        let document = order("POST", "/scenario/help", None).expect_err("no scenario").document();
        assert_eq!((&document["nearest"], document["scenarios"][0].as_str()), (&Value::Null, Some("ready")));
    }

    #[test]
    fn whose_requests_are_met() {
        for host in [
            "localhost",
            "LOCALHOST:4900",
            "localhost:",
            "127.0.0.1",
            "127.0.0.1:4900",
            "127.9.9.9:1",
            "[::1]:4900",
            "[::1]",
        ] {
            assert!(is_this_machine(host), "{host}");
        }
        for host in [
            "",
            ":4900",
            "evil.example",
            "evil.example:4900",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "0.0.0.0",
            "192.168.0.1",
            "[::]:1",
            "localhost:4900:x",
        ] {
            assert!(!is_this_machine(host), "{host}");
        }
    }
}
