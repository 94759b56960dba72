//! The store by itself: what is kept, who gets it, in which order, and when again.

use std::sync::atomic::{AtomicU32, Ordering};

use ibga_core::act::ActKind;
use ibga_core::alert::{Hours, Trading};
use ibga_core::cause::{Cause, Status};

use super::*;

/// A state directory that is removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("ibga-store-{}-{number}", std::process::id()));
        Self(folder)
    }

    fn open(&self) -> Store {
        Store::open(Some(&self.0)).unwrap()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_795_000_000 + second).unwrap()
}

fn alert(key: &str) -> Alert {
    let hours = Hours { exchange: "XHKG".into(), trading: Trading::Off, next_open: None, next_close: None };
    Alert { key: key.into(), ..ibga_core::alert::test("default", "127.0.0.1:4000", "desk", &hours, at(0)) }
}

fn told(store: &mut Store, key: &str, channels: &[ChannelName], now: Timestamp) -> usize {
    let outcome = Outcome { alerts: vec![(alert(key), channels.to_vec())], ..Outcome::default() };
    store.record("default", now, None, MAIL, |_| outcome).unwrap()
}

fn holder(name: &str) -> Holder {
    Holder { name: name.into(), boot: "boot".into() }
}

/// The key of the next message that `name` gets, those after the given one.
fn next(store: &mut Store, name: &str, after: i64, now: Timestamp) -> Option<Delivery> {
    store.claim("default", ChannelName::Email, after, Patience::Kept, &holder(name), now).unwrap()
}

fn key(delivery: Option<&Delivery>) -> Option<&str> {
    delivery.map(|delivery| delivery.alert.key.as_str())
}

const MAIL: &[ChannelName] = &[ChannelName::Email];

#[test]
fn it_makes_itself_and_keeps_what_it_is_told() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new();
    assert!(Store::open_existing(Some(&folder.0)).unwrap().is_none());
    told(&mut folder.open(), "one", MAIL, at(0));
    let mut store = Store::open_existing(Some(&folder.0)).unwrap().unwrap();
    assert_eq!(key(next(&mut store, "a", 0, at(0)).as_ref()), Some("one"));
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&folder.0), mode(&folder.0.join(FILE))), (0o700, 0o600));
}

#[test]
fn an_alert_that_is_made_again_is_the_same_one() {
    let folder = Folder::new();
    let mut store = folder.open();
    told(&mut store, "one", MAIL, at(0));
    let first = next(&mut store, "a", 0, at(0)).unwrap();
    store.mark_sent(&first, "250 ok", at(1)).unwrap();
    told(&mut store, "one", &[ChannelName::Email, ChannelName::Ntfy], at(2));
    assert_eq!(next(&mut store, "a", 0, at(9)), None);
    let listed = store.list(None, 10).unwrap();
    assert_eq!(listed.len(), 1);
    let states: Vec<_> = listed[0].deliveries.iter().map(|one| (one.channel.as_str(), one.state)).collect();
    assert_eq!(states, [("email", DeliveryState::Sent), ("ntfy", DeliveryState::Waiting)]);
}

#[test]
fn a_channel_belongs_to_one_process_until_its_lease_ends_or_nothing_is_left() {
    let folder = Folder::new();
    let (mut one, mut other) = (folder.open(), folder.open());
    told(&mut one, "1", MAIL, at(0));
    let first = next(&mut one, "one", 0, at(0)).unwrap();
    assert_eq!(next(&mut other, "other", 0, at(0)), None, "claimed");
    // What comes meanwhile is the holder's to send, since it holds the channel until it finds nothing more.
    told(&mut other, "2", MAIL, at(1));
    assert_eq!(next(&mut other, "other", 0, at(1)), None, "claimed");
    one.mark_sent(&first, "ok", at(2)).unwrap();
    let second = next(&mut one, "one", first.id, at(2)).unwrap();
    assert_eq!(second.alert.key, "2");
    one.mark_sent(&second, "ok", at(2)).unwrap();
    assert_eq!(next(&mut one, "one", second.id, at(2)), None);
    told(&mut other, "3", MAIL, at(3));
    assert_eq!(key(next(&mut other, "other", 0, at(3)).as_ref()), Some("3"), "free again");
}

#[test]
fn a_lease_ends_by_the_machines_uptime_or_with_its_boot() {
    let folder = Folder::new();
    let mut store = folder.open();
    told(&mut store, "1", MAIL, at(0));
    assert!(next(&mut store, "killed", 0, at(0)).is_some());
    // However far the wall clock steps.
    for second in [0, 31, 86_400, -86_400] {
        assert_eq!(next(&mut store, "other", 0, at(second)), None, "{second}");
    }
    let ended = uptime_ms();
    store.connection.execute("UPDATE lease SET until_ms = ?1", params![ended]).unwrap();
    assert!(next(&mut store, "other", 0, at(0)).is_some());
    store.connection.execute("UPDATE lease SET boot = 'before', until_ms = ?1", params![i64::MAX]).unwrap();
    assert!(next(&mut store, "third", 0, at(0)).is_some());
}

#[test]
fn the_lease_is_given_back_at_once_where_the_channel_is_to_blame_and_at_the_end() {
    let folder = Folder::new();
    let mut store = folder.open();
    told(&mut store, "1", MAIL, at(0));
    let first = next(&mut store, "one", 0, at(0)).unwrap();
    store.mark_failed(&first, &SendError::channel("refused"), &holder("one"), at(0)).unwrap();
    assert!(next(&mut store, "other", 0, at(60)).is_some());
    store.release_all(&holder("other")).unwrap();
    assert!(next(&mut store, "third", 0, at(60)).is_some());
}

#[test]
fn each_failure_waits_longer_and_the_server_is_heard() {
    let minutes = |delivery: &Delivery, store: &mut Store, fault: &SendError| {
        store.mark_failed(delivery, fault, &holder("a"), at(0)).unwrap();
        let listed = store.list(None, 1).unwrap();
        listed[0].deliveries[0].due_at.duration_since(at(0)).as_secs() / 60
    };
    let folder = Folder::new();
    let mut store = folder.open();
    told(&mut store, "1", MAIL, at(0));
    let mut waits = Vec::new();
    for attempts in [0, 1, 2, 5, 6, 40] {
        let delivery = Delivery { id: 1, channel: ChannelName::Email, alert: alert("1"), attempts };
        waits.push(minutes(&delivery, &mut store, &SendError::channel("refused")));
    }
    assert_eq!(waits, [1, 2, 4, 32, 60, 60]);
    let delivery = Delivery { id: 1, channel: ChannelName::Email, alert: alert("1"), attempts: 0 };
    let asked = |seconds| SendError::channel("429").after(Some(Duration::from_secs(seconds)));
    assert_eq!(minutes(&delivery, &mut store, &asked(600)), 10);
    assert_eq!(minutes(&delivery, &mut store, &asked(864_000)), 60);
}

#[test]
fn what_is_older_goes_first_and_what_has_time_waits() {
    let folder = Folder::new();
    let mut store = folder.open();
    told(&mut store, "problem", MAIL, at(0));
    let problem = next(&mut store, "a", 0, at(0)).unwrap();
    store.mark_failed(&problem, &SendError::channel("refused"), &holder("a"), at(0)).unwrap();
    assert_eq!(next(&mut store, "a", 0, at(59)), None, "not yet");
    // A newer one that is due takes the older one with it, before it.
    told(&mut store, "recovery", MAIL, at(10));
    let first = next(&mut store, "a", 0, at(10)).unwrap();
    assert_eq!(first.alert.key, "problem");
    store.mark_failed(&first, &SendError::message("too long"), &holder("a"), at(10)).unwrap();
    assert_eq!(
        key(next(&mut store, "a", first.id, at(10)).as_ref()),
        Some("recovery"),
        "one bad message holds nobody up"
    );
}

#[test]
fn a_channel_that_failed_is_left_alone_until_its_time_or_something_new() {
    let folder = Folder::new();
    let mut store = folder.open();
    told(&mut store, "1", MAIL, at(0));
    told(&mut store, "2", MAIL, at(0));
    let first = next(&mut store, "a", 0, at(0)).unwrap();
    store.mark_failed(&first, &SendError::channel("refused"), &holder("a"), at(0)).unwrap();
    assert_eq!(next(&mut store, "a", 0, at(59)), None);
    told(&mut store, "3", MAIL, at(59));
    assert_eq!(key(next(&mut store, "a", 0, at(59)).as_ref()), Some("1"));
}

#[test]
fn impatience_takes_everything() {
    let folder = Folder::new();
    let mut store = folder.open();
    told(&mut store, "1", MAIL, at(0));
    let first = next(&mut store, "a", 0, at(0)).unwrap();
    store.mark_failed(&first, &SendError::channel("refused"), &holder("a"), at(0)).unwrap();
    let claimed = store.claim("default", ChannelName::Email, 0, Patience::PassedOver, &holder("a"), at(1)).unwrap();
    assert!(claimed.is_some());
}

#[test]
fn a_clock_that_was_set_back_holds_nothing_up() {
    let folder = Folder::new();
    let mut store = folder.open();
    told(&mut store, "1", MAIL, at(864_000));
    let first = next(&mut store, "a", 0, at(864_000)).unwrap();
    store.mark_failed(&first, &SendError::channel("refused"), &holder("a"), at(864_000)).unwrap();
    assert!(next(&mut store, "a", 0, at(0)).is_some());
}

#[test]
fn only_what_is_old_and_was_tried_often_is_given_up() {
    let days = |days: i64| at(days * 86_400);
    let folder = Folder::new();
    let mut store = folder.open();
    told(&mut store, "1", MAIL, at(0));
    assert_eq!(told(&mut store, "2", MAIL, days(400)), 0, "the clock may be wrong");
    store.connection.execute("UPDATE delivery SET attempts = 20 WHERE alert = 1", []).unwrap();
    assert_eq!(told(&mut store, "3", MAIL, days(6)), 0);
    assert_eq!(told(&mut store, "4", MAIL, days(8)), 1);
    let listed = store.list(None, 10).unwrap();
    let first = &listed[0].deliveries[0];
    assert_eq!((first.state, first.answer.as_deref()), (DeliveryState::Dropped, Some("given up after 7 days")));
}

#[test]
fn what_waits_on_a_channel_that_is_no_longer_set_is_given_up_by_its_age() {
    let days = |days: i64| at(days * 86_400);
    let folder = Folder::new();
    let mut store = folder.open();
    told(&mut store, "1", &[ChannelName::Email, ChannelName::Ntfy], at(0));
    assert_eq!(told(&mut store, "2", MAIL, days(6)), 0);
    assert_eq!(told(&mut store, "3", MAIL, days(8)), 1);
    let states: Vec<_> = store.list(None, 3).unwrap()[0].deliveries.iter().map(|one| one.state).collect();
    assert_eq!(states, [DeliveryState::Waiting, DeliveryState::Dropped]);
}

#[test]
fn the_outbox_is_bounded_in_rows_and_gives_up_the_oldest() {
    let folder = Folder::new();
    let mut store = folder.open();
    let many = |from: i64, to: i64| Outcome {
        alerts: (from..to).map(|number| (alert(&number.to_string()), MAIL.to_vec())).collect(),
        ..Outcome::default()
    };
    assert_eq!(store.record("default", at(0), None, MAIL, |_| many(0, UNSENT_ROWS_MAX)).unwrap(), 0);
    assert_eq!(store.record("default", at(0), None, MAIL, |_| many(UNSENT_ROWS_MAX, UNSENT_ROWS_MAX + 3)).unwrap(), 3);
    assert_eq!(store.waiting("default").unwrap().0, usize::try_from(UNSENT_ROWS_MAX).unwrap());
    assert_eq!(key(next(&mut store, "a", 0, at(0)).as_ref()), Some("3"));
}

#[test]
fn transitions_and_memory_are_kept_with_the_alerts() {
    let folder = Folder::new();
    let mut store = folder.open();
    let state = |cause: Cause| State { status: cause.status(), cause: Some(cause) };
    let seen = |cause| Some((state(cause), None));
    let kept = store.record("default", at(0), seen(Cause::Ready), MAIL, |before| {
        assert!(before.memory.is_none());
        Outcome::default()
    });
    assert_eq!(kept.unwrap(), 0);
    store.record("default", at(1), seen(Cause::ApiSilent), MAIL, |_| Outcome::default()).unwrap();
    let rows: Vec<(Option<String>, String)> = store
        .connection
        .prepare("SELECT from_state, to_state FROM transition ORDER BY id")
        .unwrap()
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert_eq!(rows, [(None, "ready".into()), (None, "api_silent".into())]);
    assert_eq!(state(Cause::ApiSilent).status, Status::NotAuthenticated);
}

#[test]
fn a_later_schema_and_a_broken_file_are_refused_in_words() {
    let folder = Folder::new();
    let store = folder.open();
    store.connection.pragma_update(None, "user_version", 7).unwrap();
    drop(store);
    let fault = Store::open(Some(&folder.0)).unwrap_err().to_string();
    assert!(fault.contains("made by a later version (schema 7)"), "{fault}");
    fs::write(
        folder.0.join(FILE),
        "no database, but some text that is long enough to have a header of one hundred bytes, as they all have it.",
    )
    .unwrap();
    let _ = fs::remove_file(folder.0.join(format!("{FILE}-wal")));
    let fault = Store::open(Some(&folder.0)).unwrap_err().to_string();
    assert!(fault.contains("move it away, a new one is made"), "{fault}");
    assert!(Store::open(None).unwrap_err().to_string().contains("state_dir"));
}

#[test]
fn one_that_is_locked_is_waited_for_only_so_long() {
    let folder = Folder::new();
    let (mut one, other) = (folder.open(), folder.open());
    other.connection.execute_batch("BEGIN IMMEDIATE").unwrap();
    one.connection.busy_timeout(Duration::from_millis(1)).unwrap();
    let fault = one.record("default", at(0), None, MAIL, |_| Outcome::default()).unwrap_err().to_string();
    assert!(fault.contains("another process holds it for too long"), "{fault}");
}

#[test]
fn an_alert_that_cannot_be_read_keeps_nothing_back() {
    let folder = Folder::new();
    let mut store = folder.open();
    told(&mut store, "1", MAIL, at(0));
    store.connection.execute("UPDATE alert SET document = '{}'", []).unwrap();
    told(&mut store, "2", MAIL, at(0));
    assert_eq!(key(next(&mut store, "a", 0, at(0)).as_ref()), Some("2"));
}

#[test]
fn many_processes_make_it_at_once() {
    let folder = Folder::new();
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|number| {
                let folder = &folder;
                scope.spawn(move || told(&mut folder.open(), &number.to_string(), MAIL, at(0)))
            })
            .collect();
        for thread in threads {
            assert_eq!(thread.join().unwrap(), 0);
        }
    });
    assert_eq!(folder.open().waiting("default").unwrap().0, 8);
}

fn act(kind: ActKind, second: i64) -> Act {
    Act { gateway: Some("default".into()), at: at(second), kind, by: "ibga".into(), text: "begun".into() }
}

#[test]
fn an_act_is_kept_within_its_budget_and_its_end_replaces_its_text() {
    let folder = Folder::new();
    let (mut one, mut other) = (folder.open(), folder.open());
    let day_ago = at(0);
    // Of another kind or gateway, and of an earlier day.
    other.note_act(&act(ActKind::Rehearsal, 5)).unwrap();
    other.note_act(&Act { gateway: Some("paper".into()), ..act(ActKind::Recovery, 6) }).unwrap();
    other.note_act(&act(ActKind::Recovery, 0)).unwrap();
    // Before the clock was set back.
    other.note_act(&act(ActKind::Recovery, 90_000)).unwrap();
    assert!(one.note_act_within(&act(ActKind::Recovery, 10), day_ago, 2).unwrap());
    assert!(other.note_act_within(&act(ActKind::Recovery, 31), day_ago, 2).unwrap());
    assert!(!one.note_act_within(&act(ActKind::Recovery, 30), day_ago, 2).unwrap());
    one.end_act(&Act { text: "ended".into(), ..act(ActKind::Recovery, 10) }).unwrap();
    let acts = other.acts(Some("default"), 10).unwrap();
    let texts: Vec<_> = acts.iter().map(|act| (act.at.as_second() - at(0).as_second(), act.text.as_str())).collect();
    assert_eq!(texts, [(5, "begun"), (0, "begun"), (90_000, "begun"), (10, "ended"), (31, "begun")]);
}

#[test]
fn transitions_are_told_with_the_state_before_them() {
    let folder = Folder::new();
    let store = folder.open();
    assert_eq!(
        (store.last_ready("default").unwrap(), store.transitions("default", at(0), 10).unwrap()),
        (None, vec![])
    );
    let note = |gateway: &str, second: i64, from: Option<Cause>, to: Cause| {
        let row = "INSERT INTO transition (gateway, at, from_state, to_state, text) VALUES (?1, ?2, ?3, ?4, NULL)";
        let values = params![gateway, at(second).as_microsecond(), from.map(Cause::code), to.code()];
        store.connection.execute(row, values).unwrap();
    };
    note("default", 10, None, Cause::Ready);
    note("default", 20, Some(Cause::Ready), Cause::ApiSilent);
    note("paper", 25, Some(Cause::ApiSilent), Cause::Ready);
    note("default", 30, Some(Cause::ApiSilent), Cause::PortRefused);
    assert_eq!(store.last_ready("default").unwrap(), Some(at(20)));
    let seconds = |since: i64, rows: usize| -> Vec<i64> {
        let changes = store.transitions("default", at(since), rows).unwrap();
        changes.iter().map(|change| change.at.as_second() - at(0).as_second()).collect()
    };
    assert_eq!(seconds(0, 10), [10, 20, 30]);
    assert_eq!(seconds(25, 10), [20, 30]);
    assert_eq!(seconds(99, 10), [30]);
    assert_eq!(seconds(0, 2), [20, 30]);
}
