//! The command, against programs that fail, hang, do not listen and do not stop talking.

use std::path::PathBuf;

use ibga::alert::channel::{Blame, Channel, Receipt, SendError, Surroundings, open};
use ibga::settings::ChannelSettings;
use ibga_core::alert::Kind;
use rustix::fs::{CWD, Mode, mkfifoat};
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;
use tokio::net::unix::pipe::{OpenOptions, Receiver};

use crate::common::Desk;
use crate::{LONG, ways};

fn channel(line: &str) -> Box<dyn Channel> {
    open(&ChannelSettings::Command { line: line.to_owned() }, &Surroundings::default())
}

async fn run(line: &str) -> Result<Receipt, SendError> {
    let (channel, message) = (channel(line), ways::message(Kind::Problem));
    tokio::time::timeout(LONG, channel.send(&message)).await.expect("an end")
}

fn text(path: PathBuf) -> String {
    std::io::read_to_string(std::fs::File::open(path).expect("a file")).expect("text")
}

/// A pipe with a name, and its end for reading: it ends when no process is left that writes.
fn pipe(desk: &Desk, name: &str) -> Receiver {
    let path = desk.path(name);
    mkfifoat(CWD, &path, Mode::RUSR | Mode::WUSR).expect("a pipe");
    OpenOptions::new().open_receiver(path).expect("its end")
}

/// Returns when none of the writers is left.
async fn wait_for_end(mut pipe: Receiver) {
    let ended = tokio::time::timeout(LONG, pipe.read_to_end(&mut Vec::new())).await;
    ended.expect("a process is left").expect("read");
}

#[tokio::test]
async fn it_gets_the_alert_and_may_accept_it() {
    let desk = Desk::new();
    let folder = desk.folder.display();
    let receipt = run(&format!("cd '{folder}' && cat >document && env | grep ^IBGA_ALERT | sort >environment")).await;
    assert_eq!(receipt.expect("accepted").as_str(), "the command ended with exit code 0");
    insta::assert_snapshot!(text(desk.path("environment")), @r"
    IBGA_ALERT_KEY=börse.problem.api_silent.1795528800000000
    IBGA_ALERT_KIND=problem
    IBGA_ALERT_SUBJECT=IBGA NEEDS IB KEY APPROVAL – api_silent, börse
    ");
    let (document, message) = (text(desk.path("document")), ways::message(Kind::Problem));
    assert_eq!(
        serde_json::from_str::<Value>(&document).expect("JSON"),
        json!({ "alert": message.alert, "subject": message.subject, "text": message.text, "brief": message.brief })
    );
}

#[tokio::test]
async fn it_may_fail() {
    for (line, error) in [
        ("echo one; echo two >&2; echo 'last words' >&2; echo >&2; exit 3", "failed with exit code 3: last words"),
        ("exit 1", "failed with exit code 1"),
        ("cat >/dev/null; kill -TERM $$", "was ended by signal: 15 (SIGTERM)"),
        ("exec no/such/program 2>/dev/null", "failed with exit code 127"),
        ("echo 'order of U1234567 as user jane' >&2; exit 1", "failed with exit code 1: order of *** as user ***"),
        ("printf 'a\\033[31m\\tb\\377' >&2; exit 1", "failed with exit code 1: a [31m b\u{fffd}"),
        (
            "KEY=first-secret; echo \"no tgram://second-secret/x with $KEY\" >&2; exit 1 # tgram://second-secret/x",
            "failed with exit code 1: no tgram://***/x with ***",
        ),
        ("head -c 3000000 /dev/zero | tr '\\0' x >&2; exit 1", "failed with exit code 1"),
    ] {
        let found = run(line).await.expect_err("a failure");
        let expected = SendError { blame: Blame::Channel, text: format!("the command {error}"), retry_after: None };
        assert_eq!(found, expected, "{line}");
    }
}

#[tokio::test]
async fn it_need_neither_listen_nor_be_brief() {
    for line in [
        "exec true",
        "exec <&-; exit 0",
        "exec >&- 2>&-; exit 0",
        "head -c 3000000 /dev/zero; head -c 3000000 /dev/zero >&2",
        "cat; cat >&2",
    ] {
        let mut message = ways::message(Kind::Problem);
        message.text = "more than a pipe holds ".repeat(100_000);
        let channel = channel(line);
        let sent = tokio::time::timeout(LONG, channel.send(&message)).await.expect("an end");
        assert!(sent.is_ok(), "{line}: {sent:?}");
    }
}

#[tokio::test]
async fn nothing_of_it_outlives_the_callers_patience() {
    let desk = Desk::new();
    let mut alive = pipe(&desk, "alive");
    let line = format!("exec 3>'{}'; trap '' TERM; sleep 1000 & echo >&3; sleep 1000", desk.path("alive").display());
    let (channel, message) = (channel(&line), ways::message(Kind::Problem));
    tokio::select! {
        sent = channel.send(&message) => panic!("{sent:?}"),
        byte = alive.read_u8() => assert_eq!(byte.expect("a sign of life"), b'\n'),
    }
    wait_for_end(alive).await;
}

#[tokio::test]
async fn nothing_of_it_outlives_its_end() {
    let desk = Desk::new();
    let mut alive = pipe(&desk, "alive");
    let line = format!("exec 3>'{}'; sleep 1000 & echo >&3; exit 0", desk.path("alive").display());
    assert!(run(&line).await.is_ok());
    assert_eq!(alive.read_u8().await.expect("a sign of life"), b'\n');
    wait_for_end(alive).await;
}

#[tokio::test]
async fn whoever_escapes_holds_nothing_up() {
    let desk = Desk::new();
    let (here, gone) = (pipe(&desk, "here"), pipe(&desk, "gone"));
    let line = format!(
        "cd '{}' && mkfifo end && {{ setsid sh -c 'exec 3>gone; echo >here; read -r line <end' & read -r line <here; exit 1; }}",
        desk.folder.display()
    );
    drop(here);
    let error = run(&line).await.expect_err("a failure");
    assert_eq!(error.text, "the command failed with exit code 1");
    // It is still there, and ends when it is told to.
    let told = OpenOptions::new().open_sender(desk.path("end"));
    drop(told.expect("the one who escaped"));
    wait_for_end(gone).await;
}
