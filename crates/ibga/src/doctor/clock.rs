//! This machine's clock: market hours and the age of a status go by it. A gateway in a container shares it, so its clock can prove
//! little; whether the clock is kept right by NTP is asked of the system.

use std::io;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use ibga_core::cause::Cause;
use ibga_core::report::Report;

use super::{Finding, Subject};
use crate::container::is_local;
use crate::settings::Settings;

/// The longest that the system may take to say it.
const ANSWER_LIMIT: Duration = Duration::from_secs(2);

/// What the system says of its clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kept {
    /// NTP keeps it.
    ByNtp,
    /// Nobody keeps it.
    ByNobody,
    /// The system does not say, as in a container.
    Untold,
}

pub(super) fn examine(settings: &Settings, report: &Report) -> Finding {
    let more = report.more.as_ref();
    let is_beyond_limit = more.is_some_and(|more| more.cause == Cause::ClockSkewed);
    let whose = if is_local(settings.host.as_str()) { GatewayClock::LikelyThisOne } else { GatewayClock::AnotherOne };
    judge(asked(), whose, more.and_then(|more| more.clock_skew_seconds), is_beyond_limit)
}

/// Which clock the gateway goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum GatewayClock {
    /// It runs on this machine, so that its clock proves nothing.
    LikelyThisOne,
    /// It runs elsewhere: a second witness.
    AnotherOne,
}

fn judge(kept: Kept, whose: GatewayClock, skew_seconds: Option<f64>, is_beyond_limit: bool) -> Finding {
    let subject = Subject::Clock;
    let by = match kept {
        Kept::ByNtp => "kept by NTP",
        Kept::ByNobody => "not synchronised",
        Kept::Untold => "whether NTP keeps it is not told here",
    };
    let apart = match skew_seconds {
        Some(seconds) if seconds.abs() < 1.0 => "the gateway's is the same".to_owned(),
        Some(seconds) => format!("the gateway's differs by {seconds:+.1} s"),
        None => "the gateway's was not told".into(),
    };
    let text = format!("{by}; {apart}");
    let repair = "let NTP keep it: `timedatectl set-ntp true`, or install chrony";
    match (kept, is_beyond_limit) {
        (_, true) => Finding::faulty(subject, text, repair),
        (Kept::ByNobody, false) => Finding::doubtful(subject, text, repair),
        (Kept::ByNtp, false) => Finding::good(subject, text),
        (Kept::Untold, false) if whose == GatewayClock::AnotherOne && skew_seconds.is_some() => {
            Finding::good(subject, text)
        }
        (Kept::Untold, false) => Finding::not_tested(subject, text),
    }
}

/// Asks systemd, which knows it for every NTP client.
fn asked() -> Kept {
    let mut command = Command::new("timedatectl");
    command.args(["show", "--property=NTPSynchronized", "--value"]).stdin(Stdio::null()).stderr(Stdio::null());
    match output_within(command, ANSWER_LIMIT).as_deref().map(str::trim) {
        Some("yes") => Kept::ByNtp,
        Some("no") => Kept::ByNobody,
        _ => Kept::Untold,
    }
}

/// What a command prints, if it ends well and in time. One that does not is left to end by itself.
fn output_within(mut command: Command, limit: Duration) -> Option<String> {
    let (sender, output) = mpsc::channel::<io::Result<_>>();
    std::thread::spawn(move || sender.send(command.output()));
    let output = output.recv_timeout(limit).ok()?.ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_of_the_clock() {
        let (here, elsewhere) = (GatewayClock::LikelyThisOne, GatewayClock::AnotherOne);
        for (kept, whose, skew, is_beyond_limit, outcome, word) in [
            (Kept::ByNtp, here, Some(0.2), false, "ok", "kept by NTP; the gateway's is the same"),
            (Kept::ByNtp, here, None, false, "ok", "the gateway's was not told"),
            (Kept::ByNobody, here, Some(0.0), false, "doubtful", "not synchronised"),
            (Kept::ByNobody, elsewhere, Some(-61.5), true, "faulty", "differs by -61.5 s"),
            (Kept::ByNtp, elsewhere, Some(40.0), true, "faulty", "differs by +40.0 s"),
            (Kept::Untold, elsewhere, Some(0.0), false, "ok", "not told here"),
            (Kept::Untold, here, Some(0.0), false, "not_tested", "not told here"),
            (Kept::Untold, elsewhere, None, false, "not_tested", "not told here"),
        ] {
            let finding = judge(kept, whose, skew, is_beyond_limit);
            assert_eq!(finding.outcome.code(), outcome, "{finding:?}");
            assert!(finding.text.contains(word), "{finding:?}");
        }
    }

    #[test]
    fn a_command_that_hangs_or_fails_says_nothing() {
        let shell = |script: &str| {
            let mut command = Command::new("sh");
            command.args(["-c", script]);
            command
        };
        assert_eq!(output_within(shell("echo yes"), Duration::from_mins(1)).as_deref(), Some("yes\n"));
        assert_eq!(output_within(shell("echo yes; exit 1"), Duration::from_mins(1)), None);
        assert_eq!(output_within(Command::new("/nonexistent"), Duration::from_mins(1)), None);
        assert_eq!(output_within(shell("sleep 5"), Duration::from_millis(50)), None);
    }
}
