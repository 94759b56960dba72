//! Mail through the trait of channels: to a real mail server (Postfix), to one with faults (aiosmtpd, from `mail/server.py`), and
//! through programs like `sendmail`. What arrived is read by Python's email package.

#![expect(clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "helpers of tests fail their test")]

#[path = "common/certificates.rs"]
mod certificates;
mod common;
#[path = "common/port.rs"]
mod port;
#[path = "common/postfix.rs"]
mod postfix;

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

use certificates::Certificates;
use common::{Desk, Gateway, Ran, set_mode, tools};
use ibga::alert::channel::email::Email;
use ibga::alert::channel::sendmail::Sendmail;
use ibga::alert::channel::{Blame, Channel, ChannelName, Receipt, SEND_LIMIT, SendError, Surroundings};
use ibga::alert::message::{Message, Templates};
use ibga::settings::{Secret, Smtp, SmtpSecurity};
use ibga_core::alert::{Alert, Audience, Hours, Kind, Subject, Trading};
use ibga_core::cause::Cause;
use ibga_core::clock::Stopwatch;
use ibga_core::secure_file::Trust;
use ibga_sim::Config;
use jiff::tz::TimeZone;
use postfix::{PASSWORD, Postfix, USER};
use serde_json::{Value, json};

const FROM: &str = "IBGA <ibga@example.org>";
const JO: &str = "Jo Müller <jo@example.org>";
const AL: &str = "al@example.org";

fn alert() -> Alert {
    let at = "2026-11-25T00:48:00Z".parse().expect("an instant");
    let hours = Hours {
        exchange: "XHKG".into(),
        trading: Trading::Off,
        next_open: "2026-11-25T01:30:00Z".parse().ok(),
        next_close: None,
    };
    let cause = Cause::ApiSilent;
    Alert {
        key: "default.problem.api_silent.1795566600000000".into(),
        kind: Kind::Problem,
        subject: Subject::of(cause),
        audience: Audience::First,
        status: Some(cause.status()),
        cause: Some(cause),
        text: Some("connected to 127.0.0.1:4000, then no byte within 15 s".into()),
        remedies: vec![
            "1) nobody is logged in: approve the IB Key request on your phone, or see what the login waits for: \
             `docker logs --tail 30 ibga`; 2) its screen shows a finished login, so its API hangs, which only a restart \
             cures: `docker restart ibga`"
                .into(),
        ],
        since: "2026-11-25T00:30:00Z".parse().expect("an instant"),
        ..ibga_core::alert::test("default", "127.0.0.1:4000", "trader", &hours, at)
    }
}

fn message() -> Message {
    rendered(&alert())
}

fn rendered(alert: &Alert) -> Message {
    let zone = TimeZone::get("Asia/Hong_Kong").expect("a zone");
    Templates::default().render(alert, alert.at, &zone).message
}

/// What came of it within the time; nothing if the time was over.
fn send(channel: &dyn Channel, message: &Message, limit: Duration) -> Option<Result<Receipt, SendError>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async { tokio::time::timeout(limit, channel.send(message)).await.ok() })
}

fn sent(channel: &dyn Channel) -> Receipt {
    send(channel, &message(), SEND_LIMIT).expect("in time").expect("sent")
}

fn refused(channel: &dyn Channel) -> SendError {
    send(channel, &message(), SEND_LIMIT).expect("in time").expect_err("not sent")
}

/// A mail as Python's email package reads it.
fn decoded(mail: &[u8]) -> Value {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/mail/decode.py");
    let mut command = Command::new("python3");
    let mut child =
        command.arg("-I").arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("python3");
    child.stdin.take().expect("a pipe").write_all(mail).expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|fault| panic!("{fault}: {}", String::from_utf8_lossy(mail)))
}

/// The whole of the message has to come out of the mail again.
fn assert_whole(mail: &[u8]) -> Value {
    let seen = decoded(mail);
    let message = message();
    let lines = |text: &str| text.trim_end().replace("\r\n", "\n");
    assert_eq!(seen["type"], "multipart/alternative", "{seen}");
    assert_eq!(seen["defects"], json!([]), "{seen}");
    assert_eq!(lines(seen["text"].as_str().expect("text")), message.text);
    assert_eq!(lines(seen["html"].as_str().expect("text")), message.html.trim_end());
    let headers = &seen["headers"];
    assert_eq!(headers["Subject"], message.subject, "{seen}");
    assert_eq!(headers["Message-ID"], "<default.problem.api_silent.1795566600000000@trader.ibga>", "{seen}");
    assert_eq!(headers["References"], "<default.outage.1795566600000000@trader.ibga>", "{seen}");
    assert_eq!(headers["Auto-Submitted"], "auto-generated", "{seen}");
    assert_eq!((&headers["X-Priority"], &headers["Importance"]), (&json!("1"), &json!("high")), "{seen}");
    assert_eq!(headers["From"], FROM, "{seen}");
    seen
}

fn smtp(port: u16, security: SmtpSecurity) -> Smtp {
    Smtp { host: "localhost".into(), port, security, login: None, from: FROM.into(), to: vec![JO.into(), AL.into()] }
}

fn login(user: &str, password: &str) -> (Secret, Secret) {
    (Secret::Text(user.into()), Secret::Text(password.into()))
}

fn believing(certificates: &Certificates) -> Surroundings {
    Surroundings { trust: Trust::default(), ca_file: Some(certificates.authority.clone()) }
}

// --- A real mail server -----------------------------------------------------------------------------------------------

#[test]
fn real_mta_takes_mail_over_both_kinds_of_tls() {
    let desk = Desk::new();
    let certificates = Certificates::new(&desk, "mail");
    let mut postfix = Postfix::start(&desk, &certificates);
    let password = desk.write("password", &format!("{PASSWORD}\n"));
    let by_file = Some((Secret::Text(USER.into()), Secret::File(password)));
    for (count, port, security, login) in [
        (1, postfix.starttls, SmtpSecurity::StartTls, Some(login(USER, PASSWORD))),
        (2, postfix.tls, SmtpSecurity::Tls, by_file),
    ] {
        let email = Email::new(Smtp { login, ..smtp(port, security) }, believing(&certificates));
        assert_eq!(email.name(), ChannelName::Email);
        let receipt = sent(&email);
        assert!(receipt.as_str().starts_with("250 2.0.0 Ok: queued as "), "{receipt:?}");
        for user in ["jo", "al"] {
            let mails = postfix.mails(user, count);
            assert_eq!(mails.len(), count);
            let seen = assert_whole(&mails[count - 1]);
            assert_eq!(seen["to"], json!(["jo@example.org", "al@example.org"]));
            assert!(seen["headers"]["To"].as_str().expect("text").starts_with("Jo Müller <jo@example.org>"), "{seen}");
        }
    }
    let log = postfix.log();
    assert_eq!(log.matches("sasl_username=alice@localhost").count(), 2, "{log}");
    assert!(postfix.queue().contains("Mail queue is empty"), "{}", postfix.queue());
    keep_for_a_picture(&postfix.mails("jo", 1)[0]);
}

/// Whoever works on the template wants to see the mail that arrived: `IBGA_TEST_MAIL` names the file that it is put into.
fn keep_for_a_picture(mail: &[u8]) {
    if let Some(path) = std::env::var_os("IBGA_TEST_MAIL") {
        std::fs::write(path, mail).expect("written");
    }
}

/// The whole way, from a changed verdict to a person's box, with checks that are killed at any moment of it.
#[test]
fn real_mta_hears_of_every_change_although_checks_are_killed() {
    let desk = Desk::new();
    let certificates = Certificates::new(&desk, "mail");
    let mut postfix = Postfix::start(&desk, &certificates);
    let (port, gateway) = (postfix.starttls, Gateway::start(Config::default()));
    let command = |arguments: &[&str]| {
        let mut command = desk.command(arguments);
        let (gateway, mail) = (gateway.address.port().to_string(), port.to_string());
        command.envs([("IBKR_PORT", gateway.as_str()), ("IBGA_SETTLE", "0ms"), ("IBGA_ALERT_FLAPPING", "off")]);
        command.env("IBGA_STATE_DIR", desk.path("state")).env("IBGA_ALERT_CA_FILE", &certificates.authority);
        command.envs([("ALERT_EMAIL", "jo@example.org"), ("SMTP_HOST", "localhost"), ("SMTP_PORT", mail.as_str())]);
        command.envs([("SMTP_USER", USER), ("SMTP_PASS", PASSWORD), ("SMTP_FROM", "ibga@example.org")]);
        command
    };
    let verdict = |round: u32| if round % 2 == 1 { "live" } else { "paper" };
    let check = |round: u32| {
        let ran = Ran::from(command(&["check", "--expect-mode", verdict(round)]).output().expect("the binary starts"));
        assert_eq!(
            (ran.code, ran.err.contains("could not be told")),
            (Some((round % 2).cast_signed()), false),
            "{ran:?}"
        );
    };
    check(0);
    let watch = Stopwatch::start();
    check(1);
    let whole = watch.elapsed();
    check(2);
    let store = rusqlite::Connection::open(desk.path("state/ibga.sqlite")).expect("opens");
    let rounds: u32 = 60;
    for round in 1..=rounds {
        let mut child = command(&["check", "--expect-mode", verdict(round)]);
        let mut child = child.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("the binary starts");
        let (at, until) = (Stopwatch::start(), whole * ((round * 37) % rounds) / rounds);
        while at.elapsed() < until {
            std::thread::yield_now();
        }
        child.kill().expect("killed or ended");
        child.wait().expect("ended");
        // What the killed process had claimed is free when its lease is over. Nobody has to wait for that here.
        store.execute("UPDATE lease SET until_ms = 0", []).expect("over");
        check(round);
    }
    let expected = usize::try_from(rounds).expect("a number") + 2;
    let mails = postfix.mails("jo", expected);
    let id = |mail: &Vec<u8>| {
        let text = String::from_utf8_lossy(mail).into_owned();
        text.lines().find(|line| line.starts_with("Message-ID: ")).expect("an id").to_owned()
    };
    let ids: BTreeSet<String> = mails.iter().map(id).collect();
    assert_eq!(ids.len(), expected);
    // Undisturbed, from the verdict to the server's acceptance.
    let mut took = Vec::new();
    for round in 1..=20 {
        check(round);
        let row =
            "SELECT ended_at - at FROM delivery JOIN alert ON alert.id = delivery.alert ORDER BY alert.id DESC LIMIT 1";
        took.push(store.query_row(row, [], |row| row.get::<_, i64>(0)).expect("sent"));
    }
    took.sort_unstable();
    println!(
        "{rounds} changes with a killed check each: {} mails, {} of them again under the same id; \
         undisturbed {} ms from the verdict to the server's acceptance (median of 20, TLS and login included), {} ms at most",
        mails.len() - 2,
        mails.len() - expected,
        took[took.len() / 2] / 1_000,
        took[took.len() - 1] / 1_000,
    );
}

#[test]
fn real_mta_refuses() {
    let desk = Desk::new();
    let certificates = Certificates::new(&desk, "mail");
    let postfix = Postfix::start(&desk, &certificates);
    let ports = [(postfix.starttls, SmtpSecurity::StartTls), (postfix.tls, SmtpSecurity::Tls)];
    let stranger = Certificates::new(&desk, "stranger");
    for (port, security) in ports {
        let with = |login, surroundings| Email::new(Smtp { login, ..smtp(port, security) }, surroundings);
        let wrong = refused(&with(Some(login(USER, "hunter2")), believing(&certificates)));
        assert_eq!(wrong.blame, Blame::Channel);
        assert!(wrong.text.starts_with(&format!("localhost:{port} refused the login (535): 5.7.8 ")), "{wrong}");
        assert!(wrong.text.ends_with("; correct SMTP_USER and SMTP_PASS"), "{wrong}");
        assert!(!wrong.text.contains("alice") && !wrong.text.contains("hunter2"), "{wrong}");
        for surroundings in [Surroundings::default(), believing(&stranger)] {
            let unknown = refused(&with(Some(login(USER, PASSWORD)), surroundings));
            assert_eq!(unknown.blame, Blame::Channel);
            assert!(
                unknown.text.contains("shows a certificate of an unknown authority, and nothing was sent"),
                "{unknown}"
            );
        }
        let nobody = refused(&with(None, believing(&certificates)));
        assert_eq!(nobody.blame, Blame::Channel, "{nobody}");
        assert!(nobody.text.contains("refused every recipient: j***@example.org (554 5.7.1 "), "{nobody}");
        let smtp =
            Smtp { to: vec!["no@example.org".into()], login: Some(login(USER, PASSWORD)), ..smtp(port, security) };
        let gone = refused(&Email::new(smtp, believing(&certificates)));
        assert_eq!(gone.blame, Blame::Message);
        assert!(
            gone.text.contains("n***@example.org (550 5.1.1 <n***@example.org>: Recipient address rejected"),
            "{gone}"
        );
    }
    assert!(postfix.queue().contains("Mail queue is empty"), "{}", postfix.queue());
}

#[test]
fn real_mta_takes_mail_for_those_it_knows_and_refuses_what_is_too_long() {
    let desk = Desk::new();
    let certificates = Certificates::new(&desk, "mail");
    let mut postfix = Postfix::start(&desk, &certificates);
    let to = vec!["no@example.org".into(), AL.into()];
    let smtp = Smtp { to, login: Some(login(USER, PASSWORD)), ..smtp(postfix.tls, SmtpSecurity::Tls) };
    let email = Email::new(smtp, believing(&certificates));
    let receipt = sent(&email);
    assert!(receipt.as_str().starts_with("refused n***@example.org (550 5.1.1 <n***@example.org>: "), "{receipt:?}");
    assert_whole(&postfix.mails("al", 1)[0]);
    let long = Message { text: "x".repeat(300_000), ..message() };
    let fault = send(&email, &long, SEND_LIMIT).expect("in time").expect_err("too long");
    assert_eq!(fault.blame, Blame::Message);
    assert!(fault.text.contains("refused the message (552): 5.3.4 "), "{fault}");
}

#[test]
fn real_mta_takes_mail_from_its_own_sendmail() {
    let desk = Desk::new();
    let mut postfix = Postfix::start(&desk, &Certificates::new(&desk, "mail"));
    let sendmail = Sendmail::new(postfix.sendmail(), FROM.into(), vec![JO.into(), AL.into()]);
    assert_eq!(sendmail.name(), ChannelName::Sendmail);
    let receipt = sent(&sendmail);
    assert!(receipt.as_str().ends_with("sendmail took it"), "{receipt:?}");
    for user in ["jo", "al"] {
        assert_whole(&postfix.mails(user, 1)[0]);
    }
}

// --- A server with faults ---------------------------------------------------------------------------------------------

/// A server that does as it is told, until it is dropped.
struct Server {
    child: Child,
    lines: std::io::Lines<BufReader<ChildStdout>>,
    port: u16,
}

impl Server {
    fn start(orders: &Value) -> Self {
        let python = tools().join("aiosmtpd/bin/python");
        assert!(python.exists(), "{} is missing: run ./test, which installs it", python.display());
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/mail/server.py");
        let mut command = Command::new(python);
        command.arg("-I").arg(script).arg(orders.to_string()).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("it starts");
        let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        let port = lines.next().expect("a line").expect("text").parse().expect("a port");
        Self { child, lines, port }
    }

    /// What it has taken: for each message its recipients. Every connection has to be closed by then.
    fn taken(mut self) -> Vec<Value> {
        drop(self.child.stdin.take());
        let line = self.lines.next().expect("a line").expect("text");
        let end: Value = serde_json::from_str(&line).expect("JSON");
        assert_eq!(end["open"], 0, "a connection was left open");
        end["taken"].as_array().expect("a list").clone()
    }

    fn email(&self, security: SmtpSecurity, login: Option<(Secret, Secret)>, surroundings: Surroundings) -> Email {
        Email::new(Smtp { login, ..smtp(self.port, security) }, surroundings)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A server without TLS: the orders, then what comes out of sending to it, and to whom it took the message.
fn plainly(orders: &Value, login: Option<(Secret, Secret)>) -> (Result<Receipt, SendError>, Vec<Value>) {
    let server = Server::start(orders);
    let email = server.email(SmtpSecurity::None, login, Surroundings::default());
    let result = send(&email, &message(), SEND_LIMIT).expect("in time");
    let text = match &result {
        Ok(receipt) => receipt.as_str(),
        Err(fault) => &fault.text,
    };
    assert!(!["jo@", "al@", "alice", "hunter2"].iter().any(|secret| text.contains(secret)), "{text}");
    (result, server.taken())
}

#[test]
fn real_aiosmtpd_takes_a_message() {
    let (result, taken) = plainly(&json!({}), None);
    assert_eq!(result.map(|receipt| receipt.as_str().to_owned()), Ok("250 2.0.0 taken as 4711".into()));
    assert_eq!(taken.len(), 1);
    assert_eq!((&taken[0]["from"], &taken[0]["to"]), (&json!("ibga@example.org"), &json!(["jo@example.org", AL])));
    assert_whole(taken[0]["data"].as_str().expect("text").as_bytes());
}

#[test]
fn real_aiosmtpd_refuses_at_each_stage() {
    use Blame::{Channel, Message};
    let users = json!({"auth": true, "refuse": {"AUTH": "535 5.7.8 no AGFsaWNlAGh1bnRlcjI="}});
    for (orders, blame, text) in [
        (json!({"refuse": {"CONNECT": "421 4.3.2 too busy"}}), Channel, "refused the session (421): 4.3.2 too busy"),
        (json!({"refuse": {"CONNECT": "554 5.3.2 go away"}}), Channel, "refused the session (554): 5.3.2 go away"),
        (json!({"refuse": {"EHLO": "550 5.7.1 who are you"}}), Channel, "refused the session (550): 5.7.1 who are you"),
        (json!({"refuse": {"MAIL": "451 4.3.0 later"}}), Channel, "refused the sender (451): 4.3.0 later"),
        (
            json!({"refuse": {"MAIL": "550 5.7.1 ibga@example.org is not yours"}}),
            Channel,
            "refused the sender (550): 5.7.1 i***@example.org is not yours; correct the sender in the settings",
        ),
        (
            json!({"refuse": {"MAIL": "530 5.7.0 log in"}}),
            Channel,
            "refused the sender (530): 5.7.0 log in; set SMTP_USER and SMTP_PASS, or SMTP_SECURITY",
        ),
        (json!({"refuse": {"MAIL": "552 5.3.4 too long"}}), Message, "refused the sender (552): 5.3.4 too long"),
        (
            json!({"refuse": {"RCPT": "550 5.1.1 no such user"}}),
            Message,
            "refused every recipient: j***@example.org (550 5.1.1 no such user), a***@example.org (550 5.1.1 no such user)",
        ),
        (
            json!({"refuse": {"RCPT jo@example.org": "550 5.1.1 no", "RCPT al@example.org": "450 4.2.0 greylisted"}}),
            Channel,
            "refused every recipient: j***@example.org (550 5.1.1 no), a***@example.org (450 4.2.0 greylisted)",
        ),
        (
            json!({"refuse": {"RCPT": "554 5.7.1 relay access denied"}}),
            Channel,
            "refused every recipient: j***@example.org (554 5.7.1 relay access denied), \
             a***@example.org (554 5.7.1 relay access denied)",
        ),
        (
            json!({"refuse": {"RCPT al@example.org": "421 4.7.0 too many"}}),
            Channel,
            "refused a recipient (421): 4.7.0 too many",
        ),
        (json!({"refuse": {"DATA": "451 4.3.0 later"}}), Channel, "refused the message (451): 4.3.0 later"),
        (json!({"refuse": {"DATA": "554 5.5.1 no"}}), Message, "refused the message (554): 5.5.1 no"),
        (json!({"refuse": {"CONTENT": "452 4.3.1 disk full"}}), Channel, "refused the message (452): 4.3.1 disk full"),
        (json!({"refuse": {"CONTENT": "552 5.3.4 too long"}}), Message, "refused the message (552): 5.3.4 too long"),
        (
            json!({"refuse": {"CONTENT": "554 5.7.1 spam\u{1b}[2J"}}),
            Message,
            "refused the message (554): 5.7.1 spam [2J",
        ),
        (users, Channel, "refused the login (535): 5.7.8 no •••; correct SMTP_USER and SMTP_PASS"),
    ] {
        let login = orders["auth"].as_bool().map(|_| login("alice", "hunter2"));
        let (result, taken) = plainly(&orders, login);
        let fault = result.expect_err("refused");
        assert_eq!((fault.blame, fault.retry_after), (blame, None), "{orders}: {fault}");
        assert_eq!(fault.text.split_once(' ').map(|(_, text)| text), Some(text), "{orders}");
        assert_eq!(taken, [Value::Null; 0], "{orders}");
    }
}

/// Whoever is known gets the message, and the receipt says who does not.
#[test]
fn real_aiosmtpd_refuses_one_of_two_recipients() {
    for (answer, to) in
        [("550 5.1.1 no such user", "RCPT al@example.org"), ("450 4.2.0 greylisted", "RCPT al@example.org")]
    {
        let (result, taken) = plainly(&json!({"refuse": {to: answer}}), None);
        let receipt = result.expect("sent");
        let text = format!("refused a***@example.org ({answer}); accepted the rest: 250 2.0.0 taken as 4711");
        assert_eq!(receipt.as_str(), text);
        assert_eq!(taken.len(), 1);
        assert_eq!(taken[0]["to"], json!(["jo@example.org"]));
    }
}

#[test]
fn real_aiosmtpd_stalls_at_each_stage() {
    let desk = Desk::new();
    let certificates = Certificates::new(&desk, "mail");
    let files = |orders: Value| with_certificates(orders, &certificates);
    for (orders, security) in [
        (json!({"stall": "CONNECT"}), SmtpSecurity::None),
        (json!({"stall": "EHLO"}), SmtpSecurity::None),
        (json!({"drip": 0.01}), SmtpSecurity::None),
        (files(json!({"stall": "CONNECT", "tls": "first"})), SmtpSecurity::Tls),
        (files(json!({"stall": "STARTTLS", "tls": "offered"})), SmtpSecurity::StartTls),
        (json!({"stall": "AUTH", "auth": true}), SmtpSecurity::None),
        (json!({"stall": "MAIL"}), SmtpSecurity::None),
        (json!({"stall": "RCPT"}), SmtpSecurity::None),
        (json!({"stall": "DATA"}), SmtpSecurity::None),
    ] {
        let server = Server::start(&orders);
        let login = orders["auth"].as_bool().map(|_| login("alice", "hunter2"));
        let email = server.email(security, login, believing(&certificates));
        let watch = Stopwatch::start();
        assert_eq!(send(&email, &message(), Duration::from_millis(700)), None, "{orders}");
        assert!(watch.elapsed() < Duration::from_secs(5), "{orders}");
        assert_eq!(server.taken(), [Value::Null; 0], "{orders}");
    }
    // The message is there, but nobody can know: it is sent again, under the same id.
    let server = Server::start(&json!({"stall": "CONTENT"}));
    let email = server.email(SmtpSecurity::None, None, Surroundings::default());
    assert_eq!(send(&email, &message(), Duration::from_secs(4)), None);
    assert_eq!(server.taken().len(), 1);
}

/// An accepted message is sent, whatever becomes of the farewell.
#[test]
fn real_aiosmtpd_does_not_say_goodbye() {
    for orders in [json!({"stall": "QUIT"}), json!({"drop": "QUIT"}), json!({"refuse": {"QUIT": "421 4.3.2 bye"}})] {
        let (result, taken) = plainly(&orders, None);
        assert_eq!(result.expect("sent").as_str(), "250 2.0.0 taken as 4711", "{orders}");
        assert_eq!(taken.len(), 1);
    }
}

#[test]
fn real_aiosmtpd_drops_the_connection() {
    for (stage, count, text) in [
        ("CONNECT", 0, "ended the session or speaks no SMTP while it was greeted: incomplete response"),
        ("MAIL", 0, "ended the session or speaks no SMTP while it was told the sender: incomplete response"),
        ("CONTENT", 1, "ended the session before it said whether it takes the message: incomplete response"),
    ] {
        let (result, taken) = plainly(&json!({"drop": stage}), None);
        let fault = result.expect_err("cut off");
        assert_eq!(fault.blame, Blame::Channel);
        let (_, told) = fault.text.split_once(' ').expect("words");
        // Which of the two the system reports is a matter of moments.
        assert!(told == text || told.contains("broke the connection"), "{stage}: {told}");
        assert_eq!(taken.len(), count, "{stage}");
    }
}

/// A line without an end is not kept in memory until the caller's limit.
#[test]
fn real_aiosmtpd_answers_without_end() {
    let watch = Stopwatch::start();
    let (result, taken) = plainly(&json!({"flood": true}), None);
    let fault = result.expect_err("too much");
    assert_eq!(fault.blame, Blame::Channel);
    assert!(fault.text.ends_with(" broke the connection while it was greeted: it says more than 256 KiB"), "{fault}");
    assert!(watch.elapsed() < SEND_LIMIT);
    assert_eq!(taken, [Value::Null; 0]);
}

fn with_certificates(mut orders: Value, certificates: &Certificates) -> Value {
    orders["cert"] = json!(certificates.certificate);
    orders["key"] = json!(certificates.key);
    orders
}

#[test]
fn real_aiosmtpd_without_the_tls_or_the_login_that_is_wanted() {
    use SmtpSecurity::{None as Plain, StartTls, Tls};
    let desk = Desk::new();
    let certificates = Certificates::new(&desk, "mail");
    for (orders, security, text) in [
        (
            json!({}),
            StartTls,
            "offers no STARTTLS, and nothing was sent; set SMTP_SECURITY=tls if the port begins with TLS",
        ),
        (
            json!({"tls": "offered", "refuse": {"STARTTLS": "454 4.7.0 no TLS now"}}),
            StartTls,
            "refused to begin TLS (454): 4.7.0 no TLS now",
        ),
        (json!({"tls": "broken"}), StartTls, "does not speak TLS, and nothing was sent"),
        (json!({}), Tls, "does not speak TLS, and nothing was sent"),
        (
            json!({}),
            Plain,
            "offers no login with a password, and nothing was sent; many do so only under TLS: set SMTP_SECURITY=starttls or tls",
        ),
        (
            json!({"tls": "offered"}),
            StartTls,
            "offers no login with a password, and nothing was sent; leave SMTP_USER and SMTP_PASS out if it wants none",
        ),
    ] {
        let server = Server::start(&with_certificates(orders.clone(), &certificates));
        let email = server.email(security, Some(login("alice", "hunter2")), believing(&certificates));
        let fault = refused(&email);
        assert_eq!(fault.blame, Blame::Channel);
        assert!(fault.text.starts_with(&format!("localhost:{} {text}", server.port)), "{orders}: {fault}");
        assert_eq!(server.taken(), [Value::Null; 0], "{orders}");
    }
}

/// What comes in the clear behind the answer to STARTTLS is of anybody on the way, and must not pass for an answer under TLS.
#[test]
fn real_aiosmtpd_with_answers_injected_before_tls() {
    let desk = Desk::new();
    let certificates = Certificates::new(&desk, "mail");
    let server = Server::start(&with_certificates(json!({"tls": "injected"}), &certificates));
    let fault = refused(&server.email(SmtpSecurity::StartTls, None, believing(&certificates)));
    assert_eq!(fault.blame, Blame::Channel);
    assert!(fault.text.contains("does not speak TLS, and nothing was sent"), "{fault}");
    assert_eq!(server.taken(), [Value::Null; 0]);
}

#[test]
fn real_aiosmtpd_logs_in_with_and_without_tls() {
    use SmtpSecurity::{None as Plain, StartTls, Tls};
    let desk = Desk::new();
    let certificates = Certificates::new(&desk, "mail");
    for (tls, security) in [("no", Plain), ("offered", StartTls), ("first", Tls)] {
        let orders = json!({"tls": tls, "auth": true, "users": {"alice": "hunter2"}});
        let server = Server::start(&with_certificates(orders.clone(), &certificates));
        sent(&server.email(security, Some(login("alice", "hunter2")), believing(&certificates)));
        let wrong = refused(&server.email(security, Some(login("alice", "hunter3")), believing(&certificates)));
        assert!(
            wrong.text.ends_with("refused the login (535): 5.7.8 no: ••• •••; correct SMTP_USER and SMTP_PASS"),
            "{wrong}"
        );
        let taken = server.taken();
        assert_eq!(taken.len(), 1);
        assert_eq!(taken[0]["user"], "alice");
        assert_eq!(
            taken[0]["tls"],
            json!(security == StartTls),
            "aiosmtpd knows of the TLS that it began itself: {tls}"
        );
    }
}

#[test]
fn real_aiosmtpd_shows_a_certificate_of_another_name() {
    let desk = Desk::new();
    let certificates = Certificates::new(&desk, "mail");
    let server = Server::start(&with_certificates(json!({"tls": "first"}), &certificates));
    let smtp = Smtp { host: "127.0.0.1".into(), ..smtp(server.port, SmtpSecurity::Tls) };
    let fault = refused(&Email::new(smtp, believing(&certificates)));
    assert!(
        fault.text.contains("shows a certificate of another name, and nothing was sent; correct SMTP_HOST"),
        "{fault}"
    );
}

// --- No server --------------------------------------------------------------------------------------------------------

#[test]
fn what_is_wrong_on_this_side_is_named() {
    let desk = Desk::new();
    let closed = smtp(port::free_port(), SmtpSecurity::None);
    let no_ca = Surroundings { ca_file: Some(desk.write("ca.pem", "no certificate")), ..Surroundings::default() };
    let absent = Surroundings { ca_file: Some("/nonexistent/ca.pem".into()), ..Surroundings::default() };
    let open_to_all = desk.write("password", "hunter2");
    set_mode(&open_to_all, 0o666);
    let by_file = |path: PathBuf| Some((Secret::Text("alice".into()), Secret::File(path)));
    for (smtp, surroundings, text) in [
        (closed.clone(), Surroundings::default(), "cannot be reached: Connection refused"),
        (Smtp { host: "nowhere.invalid".into(), ..closed.clone() }, Surroundings::default(), "cannot be reached: "),
        (Smtp { security: SmtpSecurity::Tls, ..closed.clone() }, no_ca, "ca.pem: it holds no certificates in PEM form"),
        (Smtp { security: SmtpSecurity::Tls, ..closed.clone() }, absent, "/nonexistent/ca.pem: No such file"),
        (
            Smtp { login: by_file("/nonexistent/x".into()), ..closed.clone() },
            Surroundings::default(),
            "/nonexistent/x - No such file",
        ),
        (
            Smtp { login: by_file(open_to_all), ..closed.clone() },
            Surroundings::default(),
            "/password - its mode 0666 lets others write it",
        ),
        (Smtp { from: "ibga".into(), ..closed.clone() }, Surroundings::default(), "the sender i*** is no mail address"),
    ] {
        let fault = refused(&Email::new(smtp, surroundings));
        assert_eq!(fault.blame, Blame::Channel, "{fault}");
        assert!(fault.text.contains(text), "{fault}");
    }
}

// --- Programs like sendmail -------------------------------------------------------------------------------------------

/// A program that notes its arguments and what it reads, and then does this.
fn program(desk: &Desk, then: &str) -> PathBuf {
    let folder = desk.folder.display();
    let script = format!(
        "#!/bin/sh\nprintf '%s\\n' \"$@\" >{folder}/arguments\nenv >{folder}/environment\ncat >{folder}/mail\n{then}\n"
    );
    let path = desk.write("sendmail", &script);
    set_mode(&path, 0o755);
    path
}

fn through(program: PathBuf) -> Sendmail {
    Sendmail::new(program, FROM.into(), vec![JO.into(), AL.into()])
}

fn text_of(path: &Path) -> String {
    let mut text = String::new();
    let _ = std::fs::File::open(path).and_then(|mut file| file.read_to_string(&mut text));
    text
}

#[test]
fn a_program_gets_the_mail_the_recipients_and_no_secrets() {
    let desk = Desk::new();
    sent(&through(program(&desk, "")));
    assert_eq!(text_of(&desk.path("arguments")), "-i\n-f\nibga@example.org\n--\njo@example.org\nal@example.org\n");
    let mail = text_of(&desk.path("mail"));
    assert!(!mail.contains('\r') && mail.ends_with('\n'), "lines end as this system ends them");
    let environment = text_of(&desk.path("environment"));
    assert!(environment.contains("PATH=") && !environment.contains("CARGO"), "{environment}");
}

#[test]
fn python_reader_reads_what_a_program_gets() {
    let desk = Desk::new();
    sent(&through(program(&desk, "")));
    assert_whole(text_of(&desk.path("mail")).as_bytes());
}

#[test]
fn the_code_of_a_program_says_who_is_to_blame() {
    use Blame::{Channel, Message};
    let desk = Desk::new();
    for (then, blame, text) in [
        ("exit 65", Message, "refused the message (65)"),
        ("echo jo@example.org unknown >&2; exit 67", Message, "knows no such recipient (67): j***@example.org unknown"),
        ("exit 69", Channel, "has no mail service (69)"),
        ("exit 75", Channel, "could not take it for now (75)"),
        ("exit 77", Channel, "may not send mail for whoever runs ibga (77)"),
        ("exit 78", Channel, "is not configured (78)"),
        ("exit 1", Channel, "failed (1)"),
        ("kill -9 $$", Channel, "ended by a signal"),
    ] {
        let fault = refused(&through(program(&desk, then)));
        assert_eq!(fault.blame, blame, "{then}");
        assert!(fault.text.contains(text), "{then}: {fault}");
    }
    let fault = refused(&through("/nonexistent/sendmail".into()));
    assert_eq!(fault.blame, Channel);
    assert!(fault.text.starts_with("/nonexistent/sendmail cannot be started: No such file"), "{fault}");
}

#[test]
fn a_program_may_ignore_the_mail_talk_without_end_or_leave_a_child_behind() {
    let desk = Desk::new();
    let deaf = desk.write("deaf", "#!/bin/sh\nexec <&-\nexit 75\n");
    set_mode(&deaf, 0o755);
    assert_eq!(refused(&through(deaf)).blame, Blame::Channel);
    let fault = refused(&through(program(&desk, "yes no mail today | head -c 5000000 >&2; exit 75")));
    assert!(fault.text.contains("(75): no mail today no mail today") && fault.text.chars().count() <= 301, "{fault}");
    // A child that holds the pipe must not hold us up.
    let watch = Stopwatch::start();
    sent(&through(program(&desk, &format!("sleep 30 & echo $! >{}/child", desk.folder.display()))));
    assert!(watch.elapsed() < Duration::from_secs(10));
    let child = text_of(&desk.path("child"));
    assert!(Command::new("kill").arg(child.trim()).status().expect("kill").success(), "it was let live");
}

/// When the time is over, the program ends, and so do its children.
#[test]
fn a_program_that_hangs_is_killed_with_its_children() {
    let desk = Desk::new();
    let folder = desk.folder.display();
    let hanging = program(&desk, &format!("sleep 300 & echo $! >{folder}/child\necho there >{folder}/there; wait"));
    let sendmail = through(hanging);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let message = message();
    let there = desk.path("there");
    runtime.block_on(async {
        let mut sending = sendmail.send(&message);
        let is_there = async {
            while text_of(&there).is_empty() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::select! {
            result = &mut sending => panic!("it ended: {result:?}"),
            () = is_there => {}
        }
    });
    let child = text_of(&desk.path("child"));
    let process = Path::new("/proc").join(child.trim()).join("stat");
    let watch = Stopwatch::start();
    // Killed is killed, even if nobody has looked after it yet.
    while !text_of(&process).is_empty() && !text_of(&process).contains(") Z ") {
        assert!(watch.elapsed() < Duration::from_secs(10), "the child lives on");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}
