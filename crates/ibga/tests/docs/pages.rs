//! The reference pages in Markdown.

use std::fmt::Write as _;

use clap::Command;
use ibga_core::cause::{Cause, Status};
use ibga_core::remedy::{Circumstances, remedy};
use jiff::tz::TimeZone;

use crate::UPDATE;

/// The line under every title.
fn made_by() -> String {
    format!("<!-- made from the code: {UPDATE} -->\n\n")
}

pub(crate) fn settings() -> String {
    format!(
        "# Settings\n\n{}\
         A flag wins over the environment, that over `.env` in the working folder, that over `ibga.toml`, that over the default. \
         `ibga init` writes an `ibga.toml` with every setting in it, and `-v` tells which file was read.\n\n\
         * **Durations** carry their unit: `500ms`, `15s`, `10m`, `24h`, in quotes in `ibga.toml`. Ports, ids and versions are whole \
         numbers.\n\
         * **Lists** are arrays in `ibga.toml`, and have commas between their items elsewhere; `--expect-account` can be repeated.\n\
         * **Where**: `top` is the top of the file and holds for all gateways; `[gateway.NAME]` holds for one. `no` means that the \
         setting cannot stand in the file.\n\
         * **Secrets** stand in the environment, in `.env`, or in a file of their own that a setting ending in `_file` names, which \
         can be in `ibga.toml`; one source cannot say both. They themselves cannot stand in `ibga.toml`, and are never printed.\n\
         * **Files that decide** (`.env`, `ibga.toml`) are believed only if they belong to this user, root or one of \
         `trusted_owners` (for `ibga.toml` itself as the environment names them), and nobody else may write them: `chmod go-w`. What `.env` holds is not handed to the agent.\n\
         * **Mistakes** are told all at once, with file, line and the nearest right name, and end the command with exit code 2 before \
         anything is done.\n\n{}",
        made_by(),
        ibga::settings::reference_table()
    )
}

/// The templates of alerts, as they are built in, and what they may say.
pub(crate) fn templates() -> String {
    let mut page = format!(
        "# Templates of alerts\n\n{}\
         `alert_templates` names a directory. A file in it that is called as one of these takes its place. The language is \
         [minijinja](https://docs.rs/minijinja)'s, which is that of Jinja2; values in `body.html` are escaped. A subject is one line \
         of at most 200 characters, `brief.txt` has at most 500. `ibga alert test` tries them.\n\n\
         | variable | what it holds; `none` where there is nothing |\n|---|---|\n",
        made_by()
    );
    for (name, help) in ibga::alert::message::VARIABLES {
        let _ = writeln!(page, "| `{name}` | {help} |");
    }
    for (name, text) in ibga::alert::message::built_in() {
        let language = if name.ends_with("html") { "html" } else { "text" };
        let _ = write!(page, "\n## {name}\n\n```{language}\n{}\n```\n", text.trim_end());
    }
    page
}

/// A table for each status, since what to do depends on where in the chain it broke.
pub(crate) fn causes() -> String {
    let mut page = format!(
        "# Causes and remedies\n\n{}\
         Every verdict has one cause; its code stands in the status file, in `--json` and in brackets behind the status. The remedies \
         are those of a Wednesday morning for a gateway at 127.0.0.1:4000 in a container called `ibga`; port, container and hour \
         change their order. For messages see [troubleshooting.md](troubleshooting.md).\n",
        made_by()
    );
    let circumstances = Circumstances {
        host: "127.0.0.1",
        port: 4000,
        container: Some("ibga"),
        client_ids: (99, 103),
        now: "2026-11-25T01:20:00Z".parse().expect("an instant"),
        zone: &TimeZone::get("Asia/Hong_Kong").expect("a zone"),
        resets: &ibga_core::reset_windows::published(),
    };
    let mut shown: Vec<Status> = Vec::new();
    for status in Cause::ALL.iter().map(|cause| cause.status()) {
        if shown.contains(&status) {
            continue;
        }
        shown.push(status);
        let _ = write!(page, "\n## {status}\n\n| cause | seen | what to do |\n|---|---|---|\n");
        for cause in Cause::ALL.iter().filter(|cause| cause.status() == status) {
            let remedy = remedy(*cause, &circumstances).unwrap_or_else(|| "nothing".into());
            let _ = writeln!(page, "| `{cause}` | {} | {} |", cause.seen(), steps(&remedy));
        }
    }
    page
}

/// Numbered steps on lines of their own.
fn steps(remedy: &str) -> String {
    let mut text = remedy.to_owned();
    for number in 2..10 {
        text = text.replace(&format!("; {number}) "), &format!("<br>{number}) "));
    }
    text
}

/// What the binary prints for `--help` to a terminal of a hundred columns.
pub(crate) fn help_of(command: &Command) -> String {
    let mut process = std::process::Command::new(env!("CARGO_BIN_EXE_ibga"));
    let names = command.get_bin_name().unwrap_or_default().split(' ').skip(1);
    let output = process.args(names).arg("--help").env("COLUMNS", "100").output().expect("starts");
    String::from_utf8(output.stdout).expect("UTF-8")
}

pub(crate) fn commands(commands: &[Command]) -> String {
    let mut page = format!(
        "# Commands\n\n{}\
         What `--help` prints. The same as man pages stands in [man/](man), for shells in [completions/](completions).\n",
        made_by()
    );
    for command in commands {
        let name = command.get_bin_name().unwrap_or(command.get_name());
        let _ = write!(page, "\n## {name}\n\n```text\n{}\n```\n", help_of(command).trim_end());
    }
    page
}

/// The week that the watch is played through, as its snapshot has it.
pub(crate) fn week() -> String {
    let snapshot =
        include_str!("../../src/watch/machine/tests/snapshots/ibga__watch__machine__tests__week__hong_kong.snap");
    let (_, chronicle) = snapshot.split_once("\n---\n").unwrap_or(("", snapshot));
    format!(
        "# One week\n\n{}\
         What `ibga watch` makes of one week of a gateway in Hong Kong, whose account is served by the Asian servers: nightly resets, the \
         daily restart, a container that stops at noon and another time within a reset, a gateway that answers nobody in the middle of \
         trading, a wedged listener, the weekend's maintenance, and the end of the weekly login with an approval that comes late.\n\n\
         A test plays it in simulated time against the code that runs in reality: session, verdict, forecast, recovery and the policy of \
         alerts. It holds the status file against what is so at every moment: after a loss that anybody tells it never says ready, after a \
         silent one for 25 seconds at most; an API that opens is ready within 1.5 seconds. Nothing is done within 8 minutes of a reset or \
         while an approval is pending.\n\n\
         ```toml\n\
         container = \"ibga\"\n\
         recover = [\"container_stopped\", \"api_silent\"]\n\
         recover_with = \"run /usr/bin/docker restart ibga\"\n\
         reset_windows = [\"04:45-06:05 Asia/Hong_Kong Asia\", \"20:15-21:15 Asia/Hong_Kong Asia\"]\n\
         ```\n\n\
         Everything else is as it comes; trading is that of the Hong Kong exchange, 09:30 to 12:00 and 13:00 to 16:00. All times are those of \
         Hong Kong. `gateway` and `container` are what happened, `status` is what the status file said from then on, `forecast` what it said of \
         the next approval, `recovery` and `left alone` what was done and why not, `told` the subject of what people were sent.\n\n\
         ```text\n{}```\n\n\
         ## The timeline\n\n\
         `crates/ibga/tests/week/hong-kong.timeline`. Play it yourself, a thousand times as fast: \
         `ibga simulate --timeline hong-kong.timeline --speed 1000` ([simulator.md](simulator.md)).\n\n\
         ```text\n{}```\n\n\
         Beside it `crates/ibga/tests/week/hong-kong.container`:\n\n\
         ```text\n{}```\n",
        made_by(),
        chronicle,
        include_str!("../week/hong-kong.timeline"),
        include_str!("../week/hong-kong.container"),
    )
}
