//! Agents that were not started.

use proptest::prelude::*;

use super::*;
use crate::gate::{Check, Decision, Outcome, Rule};

fn decision(rules: &[Rule]) -> Decision {
    let failed = |rule: &Rule| Check { rule: *rule, outcome: Outcome::Failed, text: "account DU1234567".into() };
    let passed = Check { rule: Rule::StatusFile, outcome: Outcome::Passed, text: String::new() };
    Decision { checks: std::iter::once(passed).chain(rules.iter().map(failed)).collect(), broker_hours: None }
}

/// What is remembered of one user's agent.
struct Agent {
    policy: Policy,
    told: Option<NoGoTold>,
    keys: Vec<String>,
}

impl Agent {
    fn new(policy: &Policy) -> Self {
        Self { policy: policy.clone(), told: None, keys: Vec::new() }
    }

    fn start(&mut self, rules: &[Rule], cause: Option<Cause>, hours: &Hours, now: Timestamp) -> Option<Alert> {
        let decision = decision(rules);
        let report = cause.map(|cause| report(cause, now, now));
        let question = NoGo {
            gateway: "default",
            endpoint: "127.0.0.1:4000",
            host: "desk",
            decision: &decision,
            report: report.as_ref(),
            remedies: &["look at DU1234567".to_owned()],
        };
        let (told, alert) = no_go(self.told.as_ref(), &question, &self.policy, hours, now)?;
        assert!(!self.keys.contains(&alert.key), "{} twice", alert.key);
        assert_eq!(no_go(Some(&told), &question, &self.policy, hours, now), None);
        assert!(!format!("{alert:?}").contains("DU1234567"));
        self.keys.push(alert.key.clone());
        self.told = Some(stored(&told));
        Some(stored(&alert))
    }

    /// The part of the key that names what was new; none if nothing was told.
    fn news(&mut self, rules: &[Rule], cause: Option<Cause>, now: &str) -> Option<String> {
        let now = instant(now);
        let alert = self.start(rules, cause, &hours(now), now)?;
        assert_eq!((alert.subject, alert.kind), (Subject::PreflightFailed, Kind::NoGo));
        alert.key.rsplit_once('.').map(|(_, news)| news.to_owned())
    }
}

/// When, what fails, the report's cause, and what is told.
type Start = (&'static str, &'static [Rule], Option<Cause>, Option<&'static str>);

#[test]
fn each_reason_is_told_once_for_each_trading_session() {
    use Rule::{Authenticated, Fresh, Market, Ready};
    let mut agent = Agent::new(&one_shot());
    let silent = Some(Cause::ApiSilent);
    let table: [Start; 13] = [
        ("09:20", &[], silent, None),
        ("09:20", &[Market], silent, None),
        ("09:21", &[Ready, Authenticated, Market], silent, Some("not_ready:api_silent+not_authenticated")),
        ("09:40", &[Ready, Authenticated, Market], silent, None),
        ("09:41", &[Ready, Authenticated, Market], Some(Cause::AccountsEmpty), Some("not_ready:accounts_empty")),
        // The session that was told of is the one that begins.
        ("10:05", &[Ready, Authenticated], silent, None),
        ("10:10", &[Fresh], silent, Some("status_stale")),
        ("15:55", &[Ready, Fresh], silent, None),
        // The next one.
        ("16:05", &[Ready, Fresh, Market], silent, Some("not_ready:api_silent+status_stale")),
        ("+1 09:30", &[Ready, Fresh, Market], silent, None),
        ("+1 10:30", &[Ready, Fresh], silent, None),
        ("+2 10:30", &[Fresh], silent, Some("status_stale")),
        ("+2 10:40", &[Rule::StatusFile], None, Some("status_missing")),
    ];
    for (now, rules, cause, news) in table {
        assert_eq!(agent.news(rules, cause, now).as_deref(), news, "{now} {rules:?}");
    }
}

#[test]
fn a_session_that_was_told_of_while_it_was_on() {
    let mut agent = Agent::new(&one_shot());
    for (now, news) in [("10:30", true), ("15:59", false), ("+1 10:30", true), ("+1 15:59", false)] {
        assert_eq!(agent.news(&[Rule::Fresh], None, now).is_some(), news, "{now}");
    }
}

#[test]
fn what_stops_an_agent_is_told_with_every_reason_but_the_closed_market() {
    let mut agent = Agent::new(&one_shot());
    let now = instant("09:21");
    let rules = [Rule::Ready, Rule::Fresh, Rule::Market];
    let alert = agent.start(&rules, Some(Cause::ApiSilent), &hours(now), now).expect("an alert");
    let codes: Vec<&str> = alert.reasons.iter().map(|reason| reason.code.as_str()).collect();
    assert_eq!(codes, ["not_ready:api_silent", "status_stale"]);
    assert_eq!((alert.status, alert.cause), (Some(Status::NotAuthenticated), Some(Cause::ApiSilent)));
    assert_eq!(alert.key, "default.no_go.1795514400.not_ready:api_silent+status_stale");
    let alert = agent.start(&[Rule::Fresh, Rule::Secure], None, &hours(now), now).expect("an alert");
    let codes: Vec<&str> = alert.reasons.iter().map(|reason| reason.code.as_str()).collect();
    assert_eq!(codes, ["status_stale", "status_untrusted"], "also the one that was told before");
}

#[test]
fn nobody_is_woken_by_an_agent_far_from_trading() {
    let mut agent = Agent::new(&sleeper());
    for (now, news) in [("23:00", None), ("+1 07:59", None), ("+1 08:00", Some("status_stale"))] {
        assert_eq!(agent.news(&[Rule::Fresh], None, now).as_deref(), news, "{now}");
    }
    let policy = Policy { quiet: Some(quiet(time(0, 0, 0, 0), time(23, 59, 0, 0), "UTC")), ..one_shot() };
    let mut agent = Agent::new(&policy);
    for (now, news) in [("08:59", None), ("09:00", Some("status_stale"))] {
        assert_eq!(agent.news(&[Rule::Fresh], None, now).as_deref(), news, "{now}");
    }
}

/// Hong Kong trades twice a day, and each half is a trading session of its own.
#[test]
fn the_two_halves_of_a_day_with_a_lunch_break() {
    let market =
        crate::calendar::Market::of_one(crate::calendar::Calendar::for_exchange(crate::calendar::Exchange::XHKG));
    let mut agent = Agent::new(&one_shot());
    let mut start = |utc: &str| {
        let now = instant(utc);
        agent.start(&[Rule::Fresh], None, &Hours::of(&market.at(now)), now).is_some()
    };
    // 09:20 in Hong Kong is 01:20 UTC; lunch is from 04:00 to 05:00, the close at 08:00.
    let told = ["01:20", "01:40", "03:59", "04:30", "05:01", "07:59", "08:30", "+1 01:40"].map(&mut start);
    assert_eq!(told, [true, false, false, true, false, false, true, false]);
    // An agent that had no reason to complain all morning has a new one in the afternoon.
    let mut agent = Agent::new(&one_shot());
    let mut start = |utc: &str| {
        let now = instant(utc);
        agent.start(&[Rule::Fresh], None, &Hours::of(&market.at(now)), now).is_some()
    };
    assert_eq!(["01:20", "05:01"].map(&mut start), [true, true]);
}

/// Past the calendar's end the day stands for the session: nothing is silenced for ever, and no key comes twice.
#[test]
fn where_no_session_is_known() {
    let unknown = Hours { exchange: "XTST".into(), trading: Trading::Unknown, next_open: None, next_close: None };
    let mut agent = Agent::new(&one_shot());
    let mut start = |now: &str, hours: &Hours| agent.start(&[Rule::Fresh], None, hours, instant(now)).is_some();
    assert!(start("03:00", &unknown));
    assert!(!start("23:00", &unknown));
    assert!(start("+1 03:00", &unknown));
    assert!(start("+1 09:00", &hours(instant("+1 09:00"))));
    assert!(start("+2 03:00", &unknown));
    assert!(!start("+2 04:00", &unknown));
}

proptest! {
    /// Each reason is heard in the trading session in which it stops an agent, however often it does; more than once only where the
    /// session had been told of before it began, and was three hours old when it was told of again.
    #[test]
    fn no_reason_is_lost(starts in proptest::collection::vec((0..400_i64, 1..16_usize), 0..60)) {
        let rules = [Rule::Fresh, Rule::Ready, Rule::Gateway, Rule::Secure];
        let mut agent = Agent::new(&one_shot());
        let mut heard: Vec<(Timestamp, String)> = Vec::new();
        let mut now = midnight();
        for (after, chosen) in starts {
            now += minutes(after);
            let hours = hours(now);
            let open = hours.next_open.or(hours.next_close.map(|close| close - minutes(360))).expect("a session");
            let failed: Vec<Rule> = (0..4).filter(|at| chosen >> at & 1 == 1).map(|at| rules[at]).collect();
            if let Some(alert) = agent.start(&failed, None, &hours, now) {
                heard.extend(alert.reasons.into_iter().map(|reason| (open, reason.code)));
            }
            for rule in failed {
                prop_assert!(heard.contains(&(open, rule.fault_code().to_owned())), "{:?} at {}", rule, now);
            }
        }
        for key in &agent.keys {
            let (session, codes) = key.rsplit_once('.').expect("a key");
            for code in codes.split('+') {
                let others = agent.keys.iter().filter(|key| {
                    key.strip_prefix(session).is_some_and(|codes| codes[1..].split('+').any(|other| other == code))
                });
                prop_assert_eq!(others.count(), 1, "{} in {:?}", code, agent.keys);
            }
        }
    }
}
