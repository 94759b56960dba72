use std::path::PathBuf;

use ibga_core::alert::{Audience, Hours, Kind, Reason, Subject, Trading};
use ibga_core::calendar::{Calendar, Exchange, Market};
use ibga_core::cause::Cause;
use ibga_core::forecast::Forecast;
use ibga_core::remedy::{Circumstances, remedy};
use ibga_core::reset_windows::published;
use jiff::SignedDuration;

use super::*;

const AT: &str = "2026-11-25T00:48:00Z";

fn zone() -> TimeZone {
    TimeZone::get("Asia/Hong_Kong").expect("a zone")
}

fn at(text: &str) -> Timestamp {
    text.parse().expect("an instant")
}

fn hours(trading: Trading) -> Hours {
    Hours {
        exchange: "XHKG".into(),
        trading,
        next_open: Some(at("2026-11-25T01:30:00Z")).filter(|_| trading == Trading::Off),
        next_close: Some(at("2026-11-25T04:00:00Z")).filter(|_| trading == Trading::On),
    }
}

fn alert(kind: Kind, cause: Cause, trading: Trading) -> Alert {
    let circumstances = Circumstances {
        host: "127.0.0.1",
        port: 4000,
        container: Some("ibga"),
        client_ids: (99, 103),
        now: at(AT),
        zone: &zone(),
        resets: &[],
    };
    let is_ready = cause == Cause::Ready;
    Alert {
        key: format!("default.{}.{cause}.1795651200000000", kind.code()),
        kind,
        subject: Subject::of(cause),
        audience: Audience::First,
        gateway: "default".into(),
        endpoint: "127.0.0.1:4000".into(),
        host: "trader".into(),
        status: Some(cause.status()),
        cause: Some(cause),
        text: (!is_ready).then(|| "connected, then no answer within 15 s".into()),
        reasons: Vec::new(),
        remedies: remedy(cause, &circumstances).into_iter().collect(),
        since: at("2026-11-25T00:30:00Z"),
        at: at(AT),
        down_since: None,
        changes: None,
        hours: hours(trading),
        forecast: forecast(AT, cause).filter(|_| trading == Trading::Off),
    }
}

/// What is ahead in Hong Kong, whose accounts are served from Asia.
fn forecast(now: &str, cause: Cause) -> Option<Forecast> {
    let market = Market::of_one(Calendar::for_exchange(Exchange::XHKG));
    let asia = published().into_iter().filter(|daily| daily.to_string().ends_with(" Asia")).collect::<Vec<_>>();
    let since = at("2026-11-25T00:30:00Z");
    Forecast::new(&market, &asia, at(now)).map(|ahead| ahead.about(cause, since, at(now)))
}

fn no_go() -> Alert {
    let reason = |code: &str, text: &str| Reason { code: code.into(), text: text.into() };
    Alert {
        subject: Subject::PreflightFailed,
        text: None,
        reasons: vec![
            reason("stale", "Status is 27 min old (max 15 minutes); is `ibga check` still scheduled?"),
            reason("not_ready:api_silent", "Gateway is not_authenticated (api_silent)"),
        ],
        remedies: vec![
            "`ibga check`, then see that it runs before each trading session: `ibga schedule crontab`".into(),
        ],
        since: at(AT),
        ..alert(Kind::NoGo, Cause::ApiSilent, Trading::On)
    }
}

fn test_alert() -> Alert {
    Alert {
        subject: Subject::Test,
        status: None,
        cause: None,
        text: None,
        remedies: Vec::new(),
        forecast: None,
        ..alert(Kind::Test, Cause::Ready, Trading::Off)
    }
}

/// An alert of each kind, with representative causes.
fn all() -> Vec<(&'static str, Alert)> {
    use Trading::{Off, On, Unknown};
    let flapping =
        Alert { subject: Subject::ConnectionError, changes: Some(7), ..alert(Kind::Flapping, Cause::PortRefused, Off) };
    vec![
        ("problem_api_silent", alert(Kind::Problem, Cause::ApiSilent, Off)),
        ("problem_two_factor", alert(Kind::Problem, Cause::TwoFactorPending, On)),
        ("problem_container", alert(Kind::Problem, Cause::ContainerStopped, Off)),
        ("problem_broker", alert(Kind::Problem, Cause::BrokerLinkDown, Unknown)),
        (
            "recovery",
            Alert { down_since: Some(at("2026-11-24T23:18:00Z")), ..alert(Kind::Recovery, Cause::Ready, Off) },
        ),
        ("reminder", alert(Kind::Reminder, Cause::LoginFailed, Off)),
        ("escalation", alert(Kind::Escalation, Cause::ApiSilent, Off)),
        ("flapping", flapping),
        ("settled_ready", alert(Kind::Settled, Cause::Ready, On)),
        ("settled_not_ready", alert(Kind::Settled, Cause::PortRefused, Off)),
        ("no_go", no_go()),
        ("test", test_alert()),
    ]
}

fn message(alert: &Alert, now: &str) -> Message {
    let rendered = Templates::default().render(alert, at(now), &zone());
    assert_eq!(rendered.faults, [""; 0]);
    rendered.message
}

#[test]
fn every_kind_in_words() {
    for (name, alert) in all() {
        let Message { subject, text, html, brief, .. } = message(&alert, AT);
        assert!(!brief.contains(&subject), "{name}");
        let ruler = "-".repeat(40);
        insta::assert_snapshot!(name, format!("{subject}\n{ruler}\n{brief}\n{ruler}\n{text}\n{ruler}\n{html}"));
    }
}

#[test]
fn the_countdown_is_that_of_the_moment_of_sending() {
    let (off, on) =
        (alert(Kind::Problem, Cause::ApiSilent, Trading::Off), alert(Kind::Problem, Cause::ApiSilent, Trading::On));
    let head = "IBGA NEEDS IB KEY APPROVAL - api_silent, default - ";
    for (alert, now, countdown) in [
        (&off, AT, "opens in 42 min"),
        (&off, "2026-11-25T01:29:30Z", "opens in 30 s"),
        (&off, "2026-11-25T01:30:00Z", "opened 0 s ago"),
        (&off, "2026-11-25T02:45:00Z", "opened 1 h 15 min ago"),
        (&on, "2026-11-25T02:00:00Z", "the market is open"),
        (&on, "2026-11-25T04:00:00Z", "the market has closed"),
    ] {
        assert_eq!(message(alert, now).subject, format!("{head}{countdown}"), "{now}");
    }
    let mut weekend = off;
    weekend.hours.next_open = Some(at(AT) + SignedDuration::from_hours(52));
    assert_eq!(message(&weekend, AT).subject, format!("{head}opens in 2 d 4 h"));
    weekend.hours.next_open = None;
    assert_eq!(message(&weekend, AT).subject, format!("{head}next open not known"));
}

#[test]
fn what_comes_late_says_so() {
    let alert = alert(Kind::Problem, Cause::ApiSilent, Trading::Off);
    for (now, late) in [("2026-11-25T00:50:00Z", None), ("2026-11-25T01:02:30Z", Some("14 min"))] {
        let message = message(&alert, now);
        for text in [&message.text, &message.html] {
            assert_eq!(text.contains(" late"), late.is_some(), "{text}");
            assert!(late.is_none_or(|late| text.contains(late)), "{text}");
        }
        assert_eq!(message.brief.contains("Late by 14 min."), late.is_some());
    }
}

#[test]
fn a_hostile_alert_stays_text_of_one_line_each() {
    let hostile = "x\r\nBcc: all@example.org\u{0}\u{1b}[31m\u{202e}</td><script>alert(1)</script>\"'&{{ 7*7 }}";
    let mut alert = no_go();
    alert.gateway = hostile.into();
    alert.host = hostile.into();
    alert.endpoint = hostile.into();
    alert.text = Some(hostile.into());
    alert.remedies = vec!["<b>".repeat(2_000), format!("`{hostile}`")];
    alert.reasons = vec![Reason { code: hostile.into(), text: hostile.into() }; 40];
    alert.hours.exchange = hostile.into();
    alert.forecast = forecast(AT, Cause::ApiSilent);
    alert.forecast.as_mut().expect("a forecast").nightly[0].region = hostile.into();
    let Message { subject, text, html, brief, .. } = message(&alert, AT);
    assert!(subject.starts_with("AGENT PRE-FLIGHT FAILED - x Bcc: all@example.org [31m </td>"), "{subject}");
    assert!(subject.chars().all(is_seen) && subject.chars().count() <= 200, "{subject}");
    assert!(!html.contains("<script") && html.contains("&lt;script&gt;"), "{html}");
    assert!(!html.contains("<b>") && html.contains("\">x Bcc"), "{html}");
    assert!(html.contains("{{ 7*7 }}") && html.contains("and 28 more"), "{html}");
    for text in [&text, &html, &brief] {
        assert!(text.chars().all(|c| is_seen(c) || c == '\n'), "{text:?}");
        assert!(!text.lines().any(|line| line.starts_with("Bcc")), "{text}");
        assert!(text.len() < OUTPUT_BYTES_MAX / 4);
    }
    assert!(brief.chars().count() <= 500 && brief.chars().count() > 490);
    alert.gateway = "ü".repeat(3_000);
    assert_eq!(message(&alert, AT).subject.chars().count(), 200);
}

#[test]
fn an_approval_is_for_the_lock_screen_only_before_the_next_open() {
    let (saturday, wednesday) = ("2026-11-28T10:00:00Z", AT);
    let weekly = "The weekly login ends Sun 29 Nov 14:00 HKT";
    let due = "The weekly login ends Sun 29 Nov 14:00 HKT, before the next trading session: \
               approve the next login between then and Mon 30 Nov 09:30";
    for (made, cause, sent, in_text, in_brief) in [
        (saturday, Cause::Ready, saturday, Some(due), true),
        (wednesday, Cause::Ready, wednesday, Some(weekly), false),
        (wednesday, Cause::ApiSilent, wednesday, Some("approve the login now, before trading begins 09:30 HKT"), true),
        // Sent after the weekly end, or after the open.
        (saturday, Cause::Ready, "2026-11-29T06:00:00Z", None, false),
        (wednesday, Cause::ApiSilent, "2026-11-25T01:30:00Z", None, false),
    ] {
        let mut alert = alert(Kind::Recovery, Cause::Ready, Trading::Off);
        alert.at = at(made);
        alert.forecast = forecast(made, cause);
        let Message { text, html, brief, .. } = message(&alert, sent);
        assert_eq!(text.contains("Approval: "), in_text.is_some(), "{text}");
        for told in [Some(&text), Some(&html), in_brief.then_some(&brief)].into_iter().flatten() {
            assert!(in_text.is_none_or(|words| told.contains(words)), "{told}");
        }
        assert!(in_brief || !brief.contains("login"), "{brief}");
    }
}

#[test]
fn an_alert_of_before_there_were_forecasts_reads() {
    let old = Alert { forecast: None, ..alert(Kind::Problem, Cause::ApiSilent, Trading::Off) };
    let mut json = serde_json::to_value(&old).expect("JSON");
    assert_eq!(json.as_object_mut().expect("an object").remove("forecast"), Some(serde_json::Value::Null));
    assert_eq!(serde_json::from_value::<Alert>(json).expect("an alert"), old);
    let new = alert(Kind::Problem, Cause::ApiSilent, Trading::Off);
    let json = serde_json::to_value(&new).expect("JSON");
    assert_eq!(json["forecast"]["approval"]["when"], "now");
    assert_eq!(serde_json::from_value::<Alert>(json).expect("an alert"), new);
}

#[test]
fn code_is_marked_only_where_backticks_come_in_pairs() {
    for (text, html) in
        [("`a` < `b`", "<code>a</code> &lt; <code>b</code>"), ("one ` alone & so", "one ` alone &amp; so"), ("", "")]
    {
        assert_eq!(code(text).to_string().replace(&format!(" style=\"{CODE_STYLE}\""), ""), html);
    }
}

/// A folder of templates that is removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str, files: &[(&str, &str)]) -> Self {
        let folder = std::env::temp_dir().join(format!("ibga-templates-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let folder = Self(folder);
        for (file, text) in files {
            std::fs::write(folder.0.join(file), text).expect("a file");
        }
        folder
    }

    /// What the templates make, the faults with the folder's path left out.
    fn render(&self, alert: &Alert) -> (Message, Vec<String>) {
        let (templates, mut faults) = Templates::load(&self.0, &Trust::default());
        let rendered = templates.render(alert, at(AT), &zone());
        faults.extend(rendered.faults);
        let folder = format!("{}/", self.0.display());
        (rendered.message, faults.iter().map(|fault| fault.replace(&folder, "")).collect())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn the_operators_templates_replace_the_built_in_ones() {
    let folder = Folder::new(
        "own",
        &[
            ("subject.txt", "{{ gateway|upper }}:\n{{ opens_in_minutes }} min\n"),
            ("body.html", "<b>{{ subject }} {{ text }}</b>{% for step in remedies %}<i>{{ step }}</i>{% endfor %}"),
        ],
    );
    let mut alert = alert(Kind::Problem, Cause::ContainerStopped, Trading::Off);
    alert.text = Some("<gone>".into());
    let (own, faults) = folder.render(&alert);
    assert_eq!(faults, [""; 0]);
    assert_eq!(own.subject, "DEFAULT: 42 min");
    assert!(own.html.starts_with("<b>DEFAULT: 42 min &lt;gone&gt;</b><i>`docker start ibga`, then"), "{}", own.html);
    assert_eq!(own.text, message(&alert, AT).text);
    assert_eq!(own.brief.lines().next(), message(&alert, AT).brief.lines().next());
}

#[test]
fn a_broken_template_never_loses_the_alert() {
    let (alert, taken) = (alert(Kind::Problem, Cause::ApiSilent, Trading::Off), "; the built-in template is taken");
    let built_in = message(&alert, AT);
    for (text, fault) in [
        ("{{ gateway }}\n{% if %}", "body.txt:2)"),
        ("one\ntwo {{ gatewai }}", "body.txt:2)"),
        ("{{ gateway.port }}", "body.txt:1)"),
        ("{{ gateway|no_such_filter }}", "body.txt:1)"),
        ("{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}", "ran out of fuel"),
        ("{{ 'x' * 1000000 }}", "body.txt: it writes more than 512 KiB"),
        ("{{ '' }}\n", "body.txt: it writes nothing"),
        ("{% include 'body.html' %}", "body.txt:1)"),
    ] {
        let folder = Folder::new("broken", &[("body.txt", text)]);
        let (message, faults) = folder.render(&alert);
        assert_eq!(message, built_in, "{text}");
        let [only] = faults.as_slice() else { panic!("{text}: {faults:?}") };
        assert!(only.contains(fault) && only.ends_with(taken), "{text}: {only}");
    }
}

#[test]
fn a_file_that_may_not_be_believed_is_not_taken() {
    let folder = Folder::new("untrusted", &[("secret", "hunter2"), ("brief.txt", "mine")]);
    std::os::unix::fs::symlink("secret", folder.0.join("body.txt")).expect("a link");
    std::fs::create_dir(folder.0.join("subject.txt")).expect("a folder");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o666);
    std::fs::set_permissions(folder.0.join("brief.txt"), mode).expect("a mode");
    let alert = test_alert();
    let (message, faults) = folder.render(&alert);
    assert_eq!(message, self::message(&alert, AT));
    assert_eq!(
        faults,
        [
            "subject.txt: it is not a regular file; the built-in template is taken",
            "body.txt: it is a symbolic link; name the file itself; the built-in template is taken",
            "brief.txt: its mode 0666 lets others write it; `chmod go-w` it; the built-in template is taken",
        ]
    );
    let (_, faults) = Templates::load(&folder.0.join("nowhere"), &Trust::default());
    assert_eq!(faults.len(), 1);
    assert!(faults[0].ends_with("nowhere: no such directory; the built-in templates are taken"), "{faults:?}");
}

#[test]
fn every_variable_is_listed_and_there_for_every_kind() {
    let lines: Vec<String> = VARIABLES.iter().map(|(name, _)| format!("{name}={{{{ {name} }}}}")).collect();
    let template = lines.join("\n");
    let folder = Folder::new("variables", &[("body.txt", &template)]);
    for (name, alert) in all() {
        let (message, faults) = folder.render(&alert);
        assert_eq!(faults, [""; 0], "{name}");
        if name == "recovery" {
            insta::assert_snapshot!("variables", message.text);
        }
    }
}

#[test]
fn a_clock_that_was_set_back_makes_no_negative_age() {
    let text = message(&alert(Kind::Problem, Cause::ApiSilent, Trading::Off), "2026-11-24T00:00:00Z").text;
    assert!(text.contains("(Asia/Hong_Kong), 0 s\n"), "{text}");
}

#[test]
fn a_zone_without_a_name_still_has_an_offset() {
    let zone = TimeZone::fixed(jiff::tz::offset(-5));
    let rendered = Templates::default().render(&test_alert(), at(AT), &zone);
    assert!(rendered.message.text.contains("Tue 24 Nov 2026 19:48 -05:00"), "{}", rendered.message.text);
}
