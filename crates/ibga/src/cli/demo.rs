//! `ibga demo`: the whole story in a few seconds, without an account. Only the gateway is simulated: every command below runs as
//! it would for an operator, in a process of its own.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::Args;
use ibga_sim::{Config, Proxy, Scenario, Simulator};

use super::Exit;
use crate::check::block_on;
use crate::output;

const AFTER_HELP: &str = "\
Examples:
  ibga demo      a gateway that is ready, loses its login and gets it back

It takes a few seconds, listens on a free port of this machine, and leaves nothing behind.

Exit codes: 0 as told, 1 something came out otherwise than told, 2 wrong usage.";

/// Show the whole story against a simulated gateway, without an account
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct DemoArgs {}

/// One thing that happens.
enum Step {
    /// The story goes on.
    Tell(&'static str),
    /// The gateway changes.
    Switch(Scenario),
    /// A command is typed, and ends with this exit code.
    Type(&'static [&'static str], i32),
}

const AGENT: &[&str] = &["run", "--force", "--", "echo", "(the agent) trading ..."];

const STORY: &[Step] = &[
    Step::Tell("A gateway is logged in. Is it ready? `ibga check` asks it everything an agent relies on."),
    Step::Type(&["check"], 0),
    Step::Tell("A person sees the same in full:"),
    Step::Type(&["status", "--exchange", "XHKG"], 0),
    Step::Tell(
        "An agent behind the gate starts (--force passes over market hours, which this story does not wait for).",
    ),
    Step::Type(AGENT, 0),
    Step::Tell(
        "Now the login lapses, as IBKR's does each week. The container's proxy still accepts connections, so that the\nport looks open; `ibga check` is not taken in.",
    ),
    Step::Switch(Scenario::LoggedOut),
    Step::Type(&["check"], 1),
    Step::Tell("The gate holds, and says why. The agent is not started and spends nothing."),
    Step::Type(AGENT, 1),
    Step::Tell("Somebody approves the login on a phone."),
    Step::Switch(Scenario::Ready),
    Step::Type(&["check"], 0),
    Step::Type(AGENT, 0),
];

const END: &str = "That is all there is to it. With a gateway of your own: `ibga init`, then `ibga check`; then put `ibga run -- AGENT`\nwhere your scheduler starts the agent today.";

pub(super) fn run(_: &DemoArgs) -> Exit {
    let desk = match Desk::new() {
        Ok(desk) => desk,
        Err(fault) => {
            output::fault(&format!("cannot make a folder for the demo: {fault}"));
            return Exit::No;
        }
    };
    match block_on(play(&desk)) {
        Ok(Ok(())) => Exit::Yes,
        Ok(Err(fault)) => {
            output::fault(&fault);
            Exit::No
        }
        Err(fault) => {
            output::fault(&format!("cannot start: {fault}"));
            Exit::No
        }
    }
}

async fn play(desk: &Desk) -> Result<(), String> {
    let config = Config { proxy: Proxy::IbgaSocat, ..Config::default() };
    let simulator = Simulator::start(config).await.map_err(|fault| fault.to_string())?;
    let port = simulator.address().port().to_string();
    let mut told = Ok(());
    for step in STORY {
        told = match step {
            Step::Tell(text) => say(&format!("\n# {}", text.replace('\n', "\n# "))),
            Step::Switch(scenario) => simulator.switch(*scenario).await.map_err(|fault| fault.to_string()),
            Step::Type(arguments, expected) => {
                say(&format!("$ ibga {}", typed(arguments)))?;
                let mut command = desk.command(&port)?;
                // Messages and data in the order in which a terminal would show them.
                command.args(*arguments).stderr(io::stdout());
                // The gateway lives in this thread, so the command is waited for in another.
                let ended = tokio::task::spawn_blocking(move || command.status()).await;
                let status = ended.map_err(|fault| fault.to_string())?.map_err(|fault| fault.to_string())?;
                (status.code() == Some(*expected))
                    .then_some(())
                    .ok_or_else(|| format!("this ended with {status}, not with exit code {expected}"))
            }
        };
        if told.is_err() {
            break;
        }
    }
    simulator.stop().await;
    told?;
    say(&format!("\n# {}", END.replace('\n', "\n# ")))
}

fn say(text: &str) -> Result<(), String> {
    writeln!(io::stdout(), "{text}").and_then(|()| io::stdout().flush()).map_err(|fault| fault.to_string())
}

/// The command as a person would have typed it.
fn typed(arguments: &[&str]) -> String {
    let quoted = arguments.iter().map(|word| if word.contains(' ') { format!("'{word}'") } else { (*word).to_owned() });
    quoted.collect::<Vec<_>>().join(" ")
}

/// A folder of the demo's own, so that it neither reads the settings of this machine nor leaves a verdict where a gate looks.
struct Desk {
    folder: PathBuf,
}

impl Desk {
    fn new() -> io::Result<Self> {
        let folder = std::env::temp_dir().join(format!("ibga-demo-{}", std::process::id()));
        std::fs::create_dir(&folder)?;
        Ok(Self { folder })
    }

    fn command(&self, port: &str) -> Result<Command, String> {
        let program = std::env::current_exe().map_err(|fault| format!("cannot find this program: {fault}"))?;
        let mut command = Command::new(program);
        command.current_dir(&self.folder).env_clear();
        for name in ["PATH", "TERM", "NO_COLOR", "TZ", "LANG"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        let folder: &Path = &self.folder;
        command.env("HOME", folder).env("IBGA_STATUS_FILE", folder.join("ibga-status.json")).env("IBKR_PORT", port);
        command.env("IBGA_CONTAINER", "none").env("IBGA_TIMEOUT", "3s");
        Ok(command)
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
