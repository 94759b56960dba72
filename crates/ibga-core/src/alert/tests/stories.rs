//! Each sentence of the policy as a story.

use super::*;

/// A state that changes each minute, in turn.
fn changing(from: &str, count: i64, causes: [&str; 2]) -> String {
    let line = |at: i64| {
        let now = instant(from) + minutes(at);
        let day = now.duration_since(midnight()).as_hours().div_euclid(24);
        format!("+{day} {} {}\n", now.strftime("%H:%M"), if at % 2 == 0 { causes[0] } else { causes[1] })
    };
    (0..count).map(line).collect()
}

#[test]
fn the_first_report_tells_only_what_is_wrong() {
    tells(&one_shot(), "11:00-12:00 ready", &[]);
    tells(&one_shot(), "11:00-11:10 api_silent", &["11:00 problem api_silent"]);
    tells(&watcher(), "01:00-01:10 api_silent", &["01:03 problem api_silent"]);
}

#[test]
fn a_problem_and_its_recovery_are_told_once() {
    let story = "11:00 ready\n11:05-11:30 api_silent\n11:30-12:30 ready";
    tells(&one_shot(), story, &["11:05 problem api_silent", "11:30 recovery ready"]);
}

#[test]
fn another_cause_is_another_verdict() {
    let story = "11:00 ready\n11:05 api_silent\n11:10 startup_silent\n11:15 container_stopped\n11:20 ready";
    let heard = [
        "11:05 problem api_silent",
        "11:10 problem startup_silent",
        "11:15 problem container_stopped",
        "11:20 recovery ready",
    ];
    tells(&one_shot(), story, &heard);
}

#[test]
fn a_nightly_restart_is_no_news_to_a_watcher() {
    let restart = "03:00 ready\n03:05 port_refused\n03:06 api_silent\n03:07-03:30 ready";
    tells(&watcher(), restart, &[]);
    let seen = ["03:05 problem port_refused", "03:06 problem api_silent", "03:07 recovery ready"];
    tells(&one_shot(), restart, &seen);
}

#[test]
fn a_watcher_tells_at_once_while_trading_is_near() {
    for (story, heard) in [
        ("08:50 ready\n08:59-09:10 port_refused", "09:00 problem port_refused"),
        ("08:50 ready\n09:00-09:10 port_refused", "09:00 problem port_refused"),
        ("08:50 ready\n08:55-09:10 port_refused", "08:58 problem port_refused"),
        ("15:50 ready\n15:59-16:10 port_refused", "15:59 problem port_refused"),
        ("15:50 ready\n16:00-16:10 port_refused", "16:03 problem port_refused"),
    ] {
        tells(&watcher(), story, &[heard]);
    }
}

#[test]
fn changing_causes_hide_no_outage() {
    let story = "03:00 ready\n03:01-03:03 port_refused\n03:03-03:05 api_silent\n03:05-03:07 port_refused\n03:07-03:09 api_silent";
    tells(&watcher(), story, &["03:07 problem api_silent"]);
}

/// People know that something is wrong; what exactly may wait like everything else.
#[test]
fn a_new_cause_has_to_hold_like_the_first() {
    let told = "03:00 ready\n03:01-03:30 api_silent\n";
    let restart = "03:30 port_refused\n03:31 startup_silent\n03:32-03:40 api_silent";
    tells(&watcher(), &format!("{told}{restart}"), &["03:04 problem api_silent"]);
    let heard = ["03:04 problem api_silent", "03:33 problem port_refused"];
    tells(&watcher(), &format!("{told}03:30-03:40 port_refused"), &heard);
    let others =
        "03:30-03:32 port_refused\n03:32-03:34 broker_silent\n03:34-03:36 port_refused\n03:36-03:38 broker_silent";
    let heard = ["03:04 problem api_silent", "03:36 problem broker_silent"];
    tells(&watcher(), &format!("{told}{others}"), &heard);
}

/// A start goes through several causes; an approval that is waited for cannot wait itself.
#[test]
fn what_a_start_goes_through_is_no_news_near_trading_either() {
    let hurried = Policy { settles: SignedDuration::from_secs(5), ..watcher() };
    for (then, heard) in [
        ("09:32 port_refused\n09:33 ready", &["09:31 problem container_stopped", "09:33 recovery ready"][..]),
        ("09:32-09:34 port_refused", &["09:31 problem container_stopped", "09:33 problem port_refused"]),
        ("09:32-09:33 api_silent\n09:33 ready", &["09:31 problem container_stopped", "09:33 recovery ready"]),
    ] {
        tells(&hurried, &format!("09:00 ready\n09:30-09:32 container_stopped\n{then}"), heard);
    }
    let first = SignedDuration::from_secs(5);
    let pending = SignedDuration::from_secs(10);
    let mut desk = Desk::new(&hurried);
    desk.look(Cause::ContainerStopped, instant("09:30"));
    desk.look(Cause::ContainerStopped, instant("09:30") + first);
    desk.look(Cause::TwoFactorPending, instant("09:31"));
    desk.look(Cause::TwoFactorPending, instant("09:31") + pending);
    let heard: Vec<Option<Cause>> = desk.heard.iter().map(|alert| alert.cause).collect();
    assert_eq!(heard, [Some(Cause::ContainerStopped), Some(Cause::TwoFactorPending)]);
}

/// IBKR's maintenance from Friday 23:00 to Saturday 03:00 in New York.
#[test]
fn a_link_that_the_weekend_takes_is_told_when_it_stays_away() {
    let zone = TimeZone::get("Asia/Hong_Kong").expect("a zone");
    let local = |clock: &str| {
        let at: jiff::civil::DateTime = format!("2026-11-28T{clock}:00").parse().expect("a time");
        zone.to_timestamp(at).expect("an instant")
    };
    let market =
        crate::calendar::Market::of_one(crate::calendar::Calendar::for_exchange("XHKG".parse().expect("known")));
    let heard = |cause: Cause, from: &str, at: &str| {
        let (since, now) = (local(from), local(at));
        let mut seen = report(cause, since, now);
        if let Some(more) = &mut seen.more {
            more.forecast = Forecast::new(&market, &[], now);
        }
        let known = Memory::known(&report(Cause::Ready, local("00:00"), local("00:00")), local("00:00"));
        let hours = Hours::of(&market.at(now));
        observe(Some(&known), &seen, &watcher(), &hours, now).alerts.len()
    };
    for (cause, from, at, expected) in [
        (Cause::BrokerLinkDown, "12:01", "12:30", 0),
        (Cause::BrokerSilent, "12:01", "15:59", 0),
        (Cause::BrokerLinkDown, "12:01", "16:00", 1),
        (Cause::BrokerLinkDown, "11:00", "11:59", 1),
        (Cause::ContainerStopped, "12:01", "12:30", 1),
        (Cause::ApiSilent, "12:01", "12:30", 1),
    ] {
        assert_eq!(heard(cause, from, at), expected, "{cause} from {from} at {at}");
    }
}

#[test]
fn flapping_is_told_once_and_once_when_it_settles() {
    // Off hours nothing holds long enough to be told before.
    for (changes, last) in [(20, "ready"), (21, "broker_silent")] {
        let flapping = changing("01:00", changes, ["broker_silent", "ready"]);
        let desk = play(&watcher(), &format!("00:59 ready\n{flapping}01:{changes}-02:00 {last}"));
        let lines: Vec<String> = desk.heard.iter().map(Desk::line).collect();
        let settled = format!("01:{} settled {last}", changes + 9);
        assert_eq!(lines, ["01:06 flapping broker_silent", settled.as_str()]);
        assert_eq!((desk.heard[0].subject, desk.heard[0].changes), (Subject::ConnectionError, Some(7)));
        assert_eq!(desk.memory.expect("a memory").is_settled(), last == "ready");
    }
}

/// Nobody looked for a while, and then it had changed once: that is calm enough to say what is.
#[test]
fn flapping_settles_while_nobody_looks() {
    let flapping = changing("01:00", 10, ["broker_silent", "ready"]);
    let story = format!("00:59 ready\n{flapping}03:00 api_silent");
    tells(&watcher(), &story, &["01:06 flapping broker_silent", "03:00 settled api_silent"]);
}

#[test]
fn six_changes_are_no_flapping() {
    let six = format!("10:59 ready\n{}11:06-12:00 ready", changing("11:00", 6, ["broker_silent", "ready"]));
    let desk = play(&one_shot(), &six);
    assert!(desk.heard.iter().all(|alert| matches!(alert.kind, Kind::Problem | Kind::Recovery)), "{:?}", desk.heard);
    assert_eq!(desk.heard.len(), 6);
}

#[test]
fn flapping_that_is_not_collapsed() {
    let policy = Policy { collapses_flapping: false, ..one_shot() };
    let desk = play(&policy, &format!("10:59 ready\n{}", changing("11:00", 20, ["broker_silent", "ready"])));
    assert_eq!(desk.heard.len(), 20);
}

/// Turned off while people still believe it: the next report says what is.
#[test]
fn collapsing_is_turned_off_meanwhile() {
    let mut desk = play(&one_shot(), &format!("10:59 ready\n{}", changing("11:00", 10, ["broker_silent", "ready"])));
    desk.policy.collapses_flapping = false;
    desk.look(Cause::Ready, instant("11:10"));
    assert_eq!(Desk::line(desk.heard.last().expect("an alert")), "11:10 settled ready");
}

#[test]
fn flapping_ends_up_settled_after_quiet_hours_too() {
    let flapping = format!("21:40 ready\n{}", changing("21:41", 12, ["broker_silent", "ready"]));
    // The last change is at 21:52, so that it is calm from 22:02, which is told in the morning.
    for (night, heard) in [
        ("21:53-+1 08:05 ready", "+1 08:00 settled ready"),
        ("21:53-+1 08:05 api_silent", "+1 08:00 settled api_silent"),
        ("21:53-+1 07:30 ready\n+1 07:30-08:05 api_silent", "+1 08:00 settled api_silent"),
    ] {
        let story = format!("{flapping}{night}");
        tells(&sleeper(), &story, &["21:47 flapping broker_silent", heard]);
    }
}

/// What settled in the night must not keep the morning waiting for calm.
#[test]
fn a_problem_near_trading_is_told_at_once_although_flapping_was_told_last() {
    let policy = Policy { quiet: Some(quiet(time(22, 0, 0, 0), time(9, 30, 0, 0), "UTC")), ..watcher() };
    let flapping = format!("21:40 ready\n{}", changing("21:41", 12, ["broker_silent", "ready"]));
    let story = format!("{flapping}21:53-+1 08:59 ready\n+1 08:59-09:05 api_silent");
    tells(&policy, &story, &["21:47 flapping broker_silent", "+1 09:00 settled api_silent"]);
}

#[test]
fn flapping_within_quiet_hours_is_no_news_afterwards() {
    let story = format!("22:30 ready\n{}23:00-+1 08:30 ready", changing("22:40", 20, ["broker_silent", "ready"]));
    tells(&sleeper(), &story, &[]);
    let story = format!("22:30 ready\n{}23:00-+1 08:30 api_silent", changing("22:40", 20, ["broker_silent", "ready"]));
    tells(&sleeper(), &story, &["+1 08:00 problem api_silent"]);
    // Nearly calm at their end: too late to speak of changes.
    let story =
        format!("22:30 ready\n{}+1 07:55-08:30 api_silent", changing("+1 07:40", 15, ["broker_silent", "ready"]));
    tells(&sleeper(), &story, &["+1 08:00 problem api_silent"]);
}

#[test]
fn reminders_come_often_while_trading_is_near_and_twice_a_day_otherwise() {
    let heard = [
        "00:00 problem api_silent",
        "07:00 reminder api_silent",
        "08:00 reminder api_silent",
        "09:00 reminder api_silent",
    ];
    tells(&one_shot(), "00:00-09:30 api_silent", &heard);
    let heard = ["15:30 problem api_silent", "+1 03:30 reminder api_silent"];
    tells(&one_shot(), "15:30-+1 06:00 api_silent", &heard);
    let heard = ["14:30 problem api_silent", "15:30 reminder api_silent"];
    tells(&one_shot(), "14:30-+1 03:00 api_silent", &heard);
    let silent = Policy { reminds: false, ..one_shot() };
    tells(&silent, "00:00-09:30 api_silent", &["00:00 problem api_silent"]);
}

#[test]
fn nobody_is_reminded_of_what_is_acknowledged() {
    let story = "11:00-11:30 api_silent\n11:30 ack\n11:31-15:00 api_silent\n15:00 ready";
    tells(&one_shot(), story, &["11:00 problem api_silent", "15:00 recovery ready"]);
    // A cause that needs the same keeps it acknowledged, although the change is told; one that needs something else does not.
    let same = "11:00-11:30 api_silent\n11:30 ack\n11:31-13:00 startup_silent";
    tells(&one_shot(), same, &["11:00 problem api_silent", "11:31 problem startup_silent"]);
    let other = "11:00-11:30 api_silent\n11:30 ack\n11:31-12:35 container_stopped";
    let heard = ["11:00 problem api_silent", "11:31 problem container_stopped", "12:31 reminder container_stopped"];
    tells(&one_shot(), other, &heard);
}

#[test]
fn only_a_problem_can_be_acknowledged() {
    let mut desk = play(&one_shot(), "11:00 ready");
    assert!(!desk.acknowledge(instant("11:01")));
    let mut desk = play(&one_shot(), &format!("10:59 ready\n{}", changing("11:00", 10, ["broker_silent", "ready"])));
    assert!(desk.acknowledge(instant("11:10")), "one that is ready for a moment");
    let by = desk.memory.as_ref().and_then(Memory::acknowledged).map(|known| known.by.as_str());
    assert_eq!(by, Some("ann"));
}

/// Whoever sees to a flapping gateway need not say so again at each change, but what it settles in is news.
#[test]
fn flapping_stays_acknowledged_until_it_settles() {
    let escalating = Policy { escalates_after: Some(minutes(15)), ..one_shot() };
    let flapping = format!("10:59 ready\n{}11:10 ack\n", changing("11:00", 10, ["ready", "broker_silent"]));
    let mut story = format!("{flapping}{}", changing("11:11", 60, ["broker_silent", "ready"]));
    story.push_str("12:11-12:50 broker_silent");
    let desk = play(&escalating, &story);
    let lines: Vec<String> = desk.heard.iter().map(Desk::line).collect();
    let flapping = lines.iter().position(|line| line.contains("flapping")).expect("flapping");
    let heard =
        ["11:07 flapping broker_silent", "12:21 settled broker_silent", "12:36 escalation broker_silent to the second"];
    assert_eq!(lines[flapping..], heard);
}

fn escalating() -> Policy {
    Policy { escalates_after: Some(minutes(30)), ..one_shot() }
}

#[test]
fn what_nobody_acknowledges_is_escalated_once() {
    let heard = [
        "11:00 problem api_silent",
        "11:30 escalation api_silent to the second",
        "12:30 reminder api_silent to everybody",
        "12:40 problem container_stopped to everybody",
        "13:20 recovery ready to everybody",
        "14:00 problem api_silent",
    ];
    let story = "11:00-12:40 api_silent\n12:40-13:20 container_stopped\n13:20 ready\n14:00 api_silent";
    tells(&escalating(), story, &heard);
}

#[test]
fn an_acknowledged_problem_is_not_escalated_but_another_one_is() {
    let story = "11:00-11:10 api_silent\n11:10 ack\n11:11-13:00 api_silent\n13:00-13:40 container_stopped";
    let heard = [
        "11:00 problem api_silent",
        "13:00 problem container_stopped",
        "13:30 escalation container_stopped to the second",
    ];
    tells(&escalating(), story, &heard);
}

#[test]
fn another_problem_right_after_the_acknowledgement_gets_its_own_time() {
    let heard = [
        "11:00 problem api_silent",
        "11:10 problem container_stopped",
        "11:40 escalation container_stopped to the second",
    ];
    tells(&escalating(), "11:00-11:10 api_silent\n11:10 ack\n11:10-11:50 container_stopped", &heard);
}

#[test]
fn an_outage_that_changes_its_cause_is_escalated_all_the_same() {
    let each_20_minutes =
        "11:00-11:20 api_silent\n11:20-11:40 port_refused\n11:40-12:00 api_silent\n12:00-12:20 port_refused";
    let heard = [
        "11:00 problem api_silent",
        "11:20 problem port_refused",
        "11:30 escalation port_refused to the second",
        "11:40 problem api_silent to everybody",
        "12:00 problem port_refused to everybody",
    ];
    tells(&escalating(), each_20_minutes, &heard);
    // Each look sees another cause: the escalation tells it to everybody.
    let at_each_look = "11:00 api_silent\n11:20 port_refused\n11:40 broker_silent\n12:00 port_refused";
    let heard = [
        "11:00 problem api_silent",
        "11:20 problem port_refused",
        "11:40 escalation broker_silent to everybody",
        "12:00 problem port_refused to everybody",
    ];
    tells(&escalating(), at_each_look, &heard);
}

#[test]
fn flapping_is_escalated_and_everybody_hears_how_it_ends() {
    let story = format!("00:59 ready\n{}01:51-02:05 ready", changing("01:00", 51, ["broker_silent", "ready"]));
    let desk = play(&Policy { after: minutes(3), ..escalating() }, &story);
    let lines: Vec<String> = desk.heard.iter().map(Desk::line).collect();
    let heard = [
        "01:06 flapping broker_silent",
        "01:36 escalation broker_silent to the second",
        "02:01 settled ready to everybody",
    ];
    assert_eq!(lines, heard);
}

/// Both reminders are of the same cause since the same minute, and are two.
#[test]
fn a_reminder_while_flapping_and_one_after_it_settled() {
    let story = format!("10:59 ready\n{}12:05-13:20 broker_silent", changing("11:00", 65, ["ready", "broker_silent"]));
    let desk = play(&one_shot(), &story);
    let lines: Vec<String> = desk.heard.iter().map(Desk::line).collect();
    let flapping = lines.iter().position(|line| line.contains("flapping")).expect("flapping");
    let heard = [
        "11:07 flapping broker_silent",
        "12:07 reminder broker_silent",
        "12:15 settled broker_silent",
        "13:15 reminder broker_silent",
    ];
    assert_eq!(lines[flapping..], heard);
}

/// That it no longer changes is no answer to it.
#[test]
fn settling_does_not_put_off_an_escalation() {
    let story = format!("00:59 ready\n{}01:21-01:50 broker_silent", changing("01:00", 21, ["broker_silent", "ready"]));
    let heard =
        ["01:06 flapping broker_silent", "01:30 settled broker_silent", "01:36 escalation broker_silent to the second"];
    tells(&Policy { after: minutes(3), ..escalating() }, &story, &heard);
}

#[test]
fn the_second_audience_hears_of_flapping_after_an_escalation_and_of_its_end() {
    // When flapping is told, the gateway is ready for a moment, which ends nothing.
    let mut story = String::from("11:00-11:40 api_silent\n");
    story.push_str(&changing("11:40", 9, ["port_refused", "ready"]));
    story.push_str("11:49-12:05 ready");
    let desk = play(&escalating(), &story);
    let lines: Vec<String> = desk.heard.iter().map(Desk::line).collect();
    assert_eq!(lines[1], "11:30 escalation api_silent to the second");
    assert_eq!(lines[lines.len() - 2], "11:46 flapping port_refused");
    assert_eq!(lines[lines.len() - 1], "11:59 settled ready");
    // Between them lay recoveries, of which everybody heard the first.
    assert_eq!(lines[3], "11:41 recovery ready to everybody");

    let two = ["port_refused", "broker_silent"];
    let story = format!("11:00-11:40 api_silent\n{}11:49-12:05 ready", changing("11:40", 9, two));
    let desk = play(&escalating(), &story);
    let last: Vec<String> = desk.heard.iter().rev().take(2).map(Desk::line).collect();
    assert_eq!(last, ["11:59 settled ready to everybody", "11:46 flapping port_refused to everybody"]);
    assert_eq!(desk.heard.last().expect("an alert").down_since, Some(instant("11:00")));
}

#[test]
fn quiet_hours_put_off_what_still_holds_at_their_end() {
    for (story, heard) in [
        ("21:50 ready\n23:00-+1 08:05 api_silent", &["+1 08:00 problem api_silent"][..]),
        ("21:50 ready\n23:00-+1 03:00 api_silent\n+1 03:00-08:05 ready", &[]),
        ("21:00-22:30 api_silent\n22:30-+1 08:05 ready", &["21:03 problem api_silent", "+1 08:00 recovery ready"]),
        ("21:00-22:30 api_silent\n22:30-23:30 port_refused\n23:30-+1 07:00 api_silent", &["21:03 problem api_silent"]),
        (
            "21:00-23:00 api_silent\n23:00-+1 08:05 port_refused",
            &["21:03 problem api_silent", "+1 08:00 problem port_refused"],
        ),
    ] {
        tells(&sleeper(), story, heard);
    }
}

#[test]
fn quiet_hours_end_an_hour_before_trading_and_do_not_cover_it() {
    let policy = Policy { quiet: Some(quiet(time(0, 0, 0, 0), time(23, 59, 0, 0), "UTC")), ..watcher() };
    tells(&policy, "01:00-09:30 api_silent", &["09:00 problem api_silent"]);
    tells(&policy, "14:00 ready\n14:10 api_silent\n15:59 ready", &["14:10 problem api_silent", "15:59 recovery ready"]);
    tells(&policy, "14:00 ready\n15:30 api_silent\n16:00-23:00 ready", &["15:30 problem api_silent"]);
}

#[test]
fn quiet_hours_hold_back_reminders_and_escalations() {
    let policy = Policy { escalates_after: Some(minutes(90)), ..sleeper() };
    let heard = [
        "21:00 problem api_silent",
        "+1 08:00 escalation api_silent to the second",
        "+1 09:00 reminder api_silent to everybody",
    ];
    tells(&policy, "20:57-+1 09:30 api_silent", &heard);
}

/// What came in the night, after somebody saw to the problem before it, has been nobody's so far: they get their time to answer.
#[test]
fn an_escalation_waits_from_when_the_problem_is_told() {
    let policy = Policy { escalates_after: Some(minutes(30)), ..sleeper() };
    let heard = [
        "20:03 problem api_silent",
        "+1 08:00 problem container_stopped",
        "+1 08:30 escalation container_stopped to the second",
    ];
    tells(
        &policy,
        "20:00-20:10 api_silent\n20:10 ack\n20:11-23:00 api_silent\n23:00-+1 08:45 container_stopped",
        &heard,
    );
}

#[test]
fn quiet_hours_by_the_clock_of_their_zone() {
    let night = quiet(time(22, 0, 0, 0), time(2, 30, 0, 0), "Europe/Berlin");
    let noon = quiet(time(12, 0, 0, 0), time(13, 0, 0, 0), "Asia/Hong_Kong");
    let never = quiet(time(12, 0, 0, 0), time(12, 0, 0, 0), "UTC");
    for (quiet, now, is_covered) in [
        (&night, "2026-11-24T20:59:59Z", false),
        (&night, "2026-11-24T21:00:00Z", true),
        (&night, "2026-11-24T23:00:00Z", true),
        (&night, "2026-11-25T01:29:59Z", true),
        (&night, "2026-11-25T01:30:00Z", false),
        // In summer the zone is an hour further.
        (&night, "2026-07-01T20:00:00Z", true),
        (&night, "2026-07-01T19:59:59Z", false),
        // On the night in which 02:00 becomes 03:00 there is no 02:30; they end with the hour that is missing.
        (&night, "2026-03-29T00:59:59Z", true),
        (&night, "2026-03-29T01:00:00Z", false),
        // On the night in which 03:00 becomes 02:00 they end twice.
        (&night, "2026-10-25T00:29:59Z", true),
        (&night, "2026-10-25T00:30:00Z", false),
        (&night, "2026-10-25T01:00:00Z", true),
        (&night, "2026-10-25T01:30:00Z", false),
        (&noon, "2026-11-24T03:59:59Z", false),
        (&noon, "2026-11-24T04:00:00Z", true),
        (&noon, "2026-11-24T05:00:00Z", false),
        (&never, "2026-11-24T12:00:00Z", false),
    ] {
        assert_eq!(quiet.cover(now.parse().expect("an instant")), is_covered, "{now}: {quiet:?}");
    }
}

#[test]
fn unknown_hours_count_as_near() {
    let at = |trading, next_open| Hours { exchange: "XTST".into(), trading, next_open, next_close: None };
    let now = instant("03:00");
    for (hours, is_near) in [
        (at(Trading::Unknown, Some(instant("10:00"))), true),
        (at(Trading::Off, None), true),
        (at(Trading::Off, Some(now + minutes(60))), true),
        (at(Trading::Off, Some(now + minutes(61))), false),
        (at(Trading::On, None), true),
    ] {
        assert_eq!(hours.is_near(now, minutes(60)), is_near, "{hours:?}");
    }
}

#[test]
fn a_clock_that_is_set_back_or_forth() {
    for (story, heard) in [
        // Held, but the clock says otherwise: the wait begins anew and ends.
        ("05:00 ready\n05:01-05:03 api_silent\n01:00-01:10 api_silent", &["01:03 problem api_silent"][..]),
        ("05:00-05:10 api_silent\n01:00 ready", &["05:03 problem api_silent", "01:00 recovery ready"]),
        ("12:00-12:10 api_silent\n11:00-12:05 api_silent", &["12:00 problem api_silent", "12:00 reminder api_silent"]),
        (
            "11:00 api_silent\n+30 11:00-11:10 api_silent\n11:01-12:05 api_silent",
            &["11:00 problem api_silent", "+30 11:00 reminder api_silent", "12:01 reminder api_silent"],
        ),
        (
            "05:00 ready\n05:01 port_refused\n01:00-01:02 api_silent\n01:02-01:04 port_refused\n01:04-01:06 api_silent\n01:06-01:08 port_refused",
            &["01:06 problem port_refused"],
        ),
        ("11:00 api_silent\n+30 11:00 ready", &["11:00 problem api_silent", "+30 11:00 recovery ready"]),
    ] {
        tells(&watcher(), story, heard);
    }
}

#[test]
fn an_escalation_is_not_lost_with_a_clock_that_is_set_back() {
    let heard = ["14:00 problem api_silent", "11:30 escalation api_silent to the second"];
    tells(&escalating(), "14:00-14:10 api_silent\n11:00-11:40 api_silent", &heard);
}

/// The clock is set back, and the process dies before the store has the alert: the report names a beginning that both looks share.
#[test]
fn the_key_of_a_clock_that_was_set_back() {
    let mut desk = play(&watcher(), "05:00 ready\n05:01-05:02 api_silent");
    desk.write(Cause::ApiSilent, instant("01:00"));
    let keys = ["01:03", "01:04"].map(|now| desk.judge(instant(now)).alerts.remove(0).key);
    assert_eq!(keys[0], keys[1]);
}
