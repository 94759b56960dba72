//! `ibga history` through the real binary.

mod common;

use common::{Desk, Gateway, Ran};
use ibga::store::Store;
use ibga_core::act::{Act, ActKind};
use ibga_core::clock;
use ibga_sim::Scenario;
use jiff::SignedDuration;

#[test]
fn nothing_is_kept_at_first() {
    let desk = Desk::new();
    let ran = desk.run(&["history"]);
    assert_eq!((ran.code, ran.out.starts_with("default: nothing is kept since ")), (Some(0), true), "{ran:?}");
    let ran = desk.run(&["history", "--json"]);
    assert_eq!(ran.json()["entries"], serde_json::json!([]), "{ran:?}");
    assert!(!desk.path(".local/state/ibga").exists(), "looking makes no store");
}

#[test]
fn changes_and_acts_are_told_of_one_gateway() {
    let desk = Desk::new();
    desk.write(
        "ibga.toml",
        "state_dir = \"STATE\"\nalert_command = \"true\"\n[gateway.live]\n[gateway.paper]\n"
            .replace("STATE", &desk.path("state").display().to_string())
            .as_str(),
    );
    for scenario in [Scenario::ApiSilent, Scenario::Ready] {
        let gateway = Gateway::playing(scenario);
        desk.check(gateway.address, &["--gateway", "live", "--timeout", "2s", "--container", "none"]);
    }
    let mut store = Store::open(Some(&desk.path("state"))).expect("a store");
    let (now, act) = (clock::now(), |gateway: Option<&str>, kind, at| Act {
        gateway: gateway.map(Into::into),
        at,
        kind,
        by: "ibga".into(),
        text: "docker start ibga, for U1234567".into(),
    });
    let days_ago = now.saturating_sub(SignedDuration::from_hours(24 * 9)).expect("an instant");
    for act in [
        act(Some("live"), ActKind::Recovery, now),
        act(Some("paper"), ActKind::Recovery, now),
        act(None, ActKind::Halted, now),
        act(Some("live"), ActKind::RecoveryGivenUp, days_ago),
    ] {
        store.note_act(&act).expect("kept");
    }
    let told = |arguments: &[&str]| -> Vec<(String, String)> {
        let ran = desk.run(&[&["history", "--json", "--gateway"], arguments].concat());
        assert_eq!(ran.code, Some(0), "{ran:?}");
        assert!(!ran.out.contains("U1234567"), "{ran:?}");
        let document = ran.json();
        let entries = document["entries"].as_array().expect("entries");
        let word = |entry: &serde_json::Value, key: &str| entry[key].as_str().unwrap_or_default().to_owned();
        entries.iter().map(|entry| (word(entry, "kind"), word(entry, "to"))).collect()
    };
    let pair = |kind: &str, to: &str| (kind.to_owned(), to.to_owned());
    let (silent, ready) = (pair("change", "api_silent"), pair("change", "ready"));
    let (recovery, halted) = (pair("recovery", ""), pair("halted", ""));
    assert_eq!(told(&["live"]), [silent.clone(), ready.clone(), recovery.clone(), halted.clone()]);
    assert_eq!(told(&["paper"]), [recovery.clone(), halted.clone()]);
    let all = told(&["live", "--since", "2w"]);
    assert_eq!(all, [pair("recovery_given_up", ""), silent, ready, recovery, halted]);
    let page = desk.run(&["history", "--gateway", "live"]);
    assert!(page.out.contains("ready                  for 0 s so far\n"), "{page:?}");
}

#[test]
fn what_cannot_be_read_is_said() {
    let desk = Desk::new();
    let ran = desk.run(&["history", "--since", "1 week"]);
    assert_eq!((ran.code, ran.err.contains("write a number with m, h, d or w")), (Some(2), true), "{ran:?}");
    let state = desk.path("state");
    std::fs::create_dir(&state).expect("a folder");
    desk.write("state/ibga.sqlite", "no database, but a text of more than a hundred bytes, so that it cannot be taken for one that was just begun: no.");
    let ran = Ran::from(desk.command(&["history"]).env("IBGA_STATE_DIR", &state).output().expect("starts"));
    assert_eq!((ran.code, ran.err.starts_with("the store: ")), (Some(1), true), "{ran:?}");
}
