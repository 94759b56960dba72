//! Apprise, which knows a hundred services more, as the command of the documentation runs it. `./test` installs it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use ibga::alert::channel::{Surroundings, open};
use ibga::settings::ChannelSettings;
use ibga_core::alert::Kind;
use serde_json::Value;

use crate::server::{Says, Server, Then, answer};
use crate::{LONG, ways};

/// Where `./test` installs it.
fn programs() -> PathBuf {
    let beside_the_build = || Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("test-tools");
    let tools = std::env::var_os("IBGA_TEST_TOOLS").map_or_else(beside_the_build, PathBuf::from);
    tools.join("apprise/bin")
}

#[tokio::test]
async fn real_apprise_sends_what_it_is_told() {
    let programs = programs();
    assert!(programs.exists(), "{} is missing: run ./test, which installs it", programs.display());
    let (ok, refused): (Says, Says) =
        (Arc::new(|_| answer("200 OK", "", "")), Arc::new(|_| answer("500 Internal Server Error", "", "")));
    for (says, is_accepted) in [(ok, true), (refused, false)] {
        let server = Server::start(None, says, Then::Closes).await;
        let line = format!(
            "cd '{}' && ./python -c 'import json, sys; print(json.load(sys.stdin)[\"brief\"])' | \
             ./apprise --title \"$IBGA_ALERT_SUBJECT\" 'json://{}/first-secret'",
            programs.display(),
            server.address
        );
        let (channel, message) =
            (open(&ChannelSettings::Command { line }, &Surroundings::default()), ways::message(Kind::Problem));
        let sent = tokio::time::timeout(LONG, channel.send(&message)).await.expect("an end");
        assert_eq!(sent.is_ok(), is_accepted, "{sent:?}");
        assert!(!format!("{sent:?}").contains("first-secret"), "{sent:?}");
        let received = server.received();
        let [request] = received.as_slice() else { panic!("{received:?}") };
        let body: Value = serde_json::from_str(&request.body).expect("JSON");
        assert_eq!(
            (body["title"].as_str(), body["message"].as_str()),
            (Some(&*message.subject), Some(&*message.brief))
        );
    }
}
