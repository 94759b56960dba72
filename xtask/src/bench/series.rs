//! Everything that is measured, a row each. To measure another program, add a row here, and one in `bars.rs` if it has a bar.

use std::process::Command;

use super::stage::Stage;

/// One thing that is measured.
#[derive(Debug)]
pub(super) struct Series {
    /// How `--only` and the bars name it.
    pub(super) name: &'static str,
    /// How the table names it.
    pub(super) title: &'static str,
    /// Where its times come from.
    pub(super) source: Source,
}

/// Where times come from.
#[derive(Clone, Copy, Debug)]
pub(super) enum Source {
    /// A process, from its start until it is waited for.
    Process(fn(&Stage) -> Command),
    /// The same for a script of the Python client.
    Python(&'static str),
    /// What such a script says that a part of it took.
    PythonTold(&'static str),
    /// A library call of this name, timed in its own process.
    Call(&'static str),
}

impl Series {
    pub(super) fn is_process(&self) -> bool {
        !matches!(self.source, Source::Call(_))
    }

    pub(super) fn needs_python(&self) -> bool {
        matches!(self.source, Source::Python(_) | Source::PythonTold(_))
    }
}

/// Connects and disconnects, and prints how many milliseconds the connecting took.
const IB_ASYNC: &str = include_str!("ib_async_connect.py");

pub(super) const SERIES: &[Series] = &[
    Series { name: "true", title: "`true`", source: Source::Process(|stage| stage.command("true", &[])) },
    Series { name: "version", title: "`ibga --version`", source: Source::Process(|stage| stage.ibga(&["--version"])) },
    Series {
        name: "preflight",
        title: "`ibga preflight --force`",
        source: Source::Process(|stage| stage.ibga(&["preflight", "--force", "--max-age", "24h"])),
    },
    Series {
        name: "status",
        title: "`ibga status`",
        source: Source::Process(|stage| stage.ibga(&["status", "--max-age", "24h"])),
    },
    Series {
        name: "run",
        title: "`ibga run --refresh-status -- true`",
        source: Source::Process(|stage| {
            stage.probing(&["run", "--refresh-status", "--force"], &["--", &Stage::path_of("true")])
        }),
    },
    Series { name: "check", title: "`ibga check`", source: Source::Process(|stage| stage.probing(&["check"], &[])) },
    Series {
        name: "settled",
        title: "`ibga check`, with a channel and nothing to tell",
        source: Source::Process(Stage::settled_check),
    },
    Series {
        name: "opening",
        title: "`ibga check`, with the outbox opened",
        source: Source::Process(Stage::opening_check),
    },
    Series {
        name: "telling",
        title: "`ibga check`, ready again and accepted by a webhook",
        source: Source::Process(Stage::telling_check),
    },
    Series { name: "bare", title: "bare socket client", source: Source::Process(Stage::bare_client) },
    Series { name: "ib_async", title: "ib_async, whole process", source: Source::Python(IB_ASYNC) },
    Series { name: "ib_async_connect", title: "ib_async, its connect alone", source: Source::PythonTold(IB_ASYNC) },
    Series { name: "call_preflight", title: "library: read and judge", source: Source::Call("preflight") },
    Series { name: "call_lookup", title: "library: calendar lookup", source: Source::Call("lookup") },
];
