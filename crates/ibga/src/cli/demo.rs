//! `ibga demo`: the whole story in a few seconds, without an account. Only the gateway is simulated: every command below runs as
//! it would for an operator, in a process of its own.

use std::fmt;
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
    /// A command is typed.
    Type(Typed),
}

/// A command as it is typed.
#[derive(Clone, Copy)]
struct Typed {
    arguments: &'static [&'static str],
    /// The exit code that it ends with.
    code: i32,
    /// How many of its lines are shown, so that the story fits a screen; the others are counted.
    lines_max: usize,
}

const fn types(arguments: &'static [&'static str], code: i32, lines_max: usize) -> Step {
    Step::Type(Typed { arguments, code, lines_max })
}

const AGENT: &[&str] = &["run", "--force", "-q", "--", "echo", "(the agent) trading ..."];

const STORY: &[Step] = &[
    Step::Tell("A gateway is logged in. `ibga check` asks it for everything that an agent relies on."),
    types(&["check"], 0, 2),
    types(&["status", "--exchange", "XHKG"], 0, 11),
    Step::Tell(
        "The gate judges what the check has left in a file. (--force passes over market hours, for which this\nstory \
         does not wait.) On a go, `ibga run` becomes the agent.",
    ),
    types(&["preflight", "--force"], 0, 1),
    types(AGENT, 0, 1),
    Step::Tell(
        "The login lapses, as IBKR's does each week. The proxy before the gateway still accepts connections, so the\n\
         port looks open; `ibga check` is not taken in, and says what to do.",
    ),
    Step::Switch(Scenario::LoggedOut),
    types(&["check"], 1, 3),
    Step::Tell("The gate holds: the agent is not started, and spends nothing."),
    types(&["preflight", "--force"], 1, 2),
    types(AGENT, 1, 1),
    Step::Tell("Somebody approves the login on a phone."),
    Step::Switch(Scenario::Ready),
    types(&["check"], 0, 2),
    types(AGENT, 0, 1),
];

const END: &str = "That is all there is to it. With a gateway of your own: `ibga init`, `ibga doctor`, `ibga check`; then put\n\
    `ibga run -- AGENT` where your scheduler starts the agent today.";

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
    for (number, step) in STORY.iter().enumerate() {
        let space = if number == 0 { "" } else { "\n" };
        told = match step {
            Step::Tell(text) => say(&format!("{space}# {}", text.replace('\n', "\n# "))),
            Step::Switch(scenario) => simulator.switch(*scenario).await.map_err(|fault| fault.to_string()),
            Step::Type(typed) => typed.run(desk.command(&port)?).await,
        };
        if told.is_err() {
            break;
        }
    }
    simulator.stop().await;
    told?;
    say(&format!("\n# {}", END.replace('\n', "\n# ")))
}

impl Typed {
    async fn run(self, mut command: Command) -> Result<(), String> {
        say(&format!("$ ibga {self}"))?;
        command.args(self.arguments);
        // The gateway lives in this thread, so the command is waited for in another.
        let ended = tokio::task::spawn_blocking(move || output_of(command)).await;
        let (text, code) = ended.map_err(|fault| fault.to_string())?.map_err(|fault| fault.to_string())?;
        let lines: Vec<&str> = text.lines().collect();
        for line in lines.iter().take(self.lines_max) {
            say(line)?;
        }
        match lines.len().saturating_sub(self.lines_max) {
            0 => {}
            1 => say("  ... (1 more line)")?,
            more => say(&format!("  ... ({more} more lines)"))?,
        }
        if code == Some(self.code) {
            return Ok(());
        }
        Err(format!("this ended with {code:?}, not with exit code {}", self.code))
    }
}

impl fmt::Display for Typed {
    /// The arguments as a person would have typed them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quoted =
            self.arguments.iter().map(|word| if word.contains(' ') { format!("'{word}'") } else { (*word).to_owned() });
        f.write_str(&quoted.collect::<Vec<_>>().join(" "))
    }
}

/// Runs a command to its end: messages and data in the order in which a terminal would show them, and the exit code.
fn output_of(mut command: Command) -> io::Result<(String, Option<i32>)> {
    let (output, writer) = io::pipe()?;
    let mut child = command.stderr(writer.try_clone()?).stdout(writer).spawn()?;
    // The command holds the pipe's writing end, too, and the end of the output is the end of all of them.
    drop(command);
    let text = io::read_to_string(output)?;
    Ok((text, child.wait()?.code()))
}

fn say(text: &str) -> Result<(), String> {
    writeln!(io::stdout(), "{text}").and_then(|()| io::stdout().flush()).map_err(|fault| fault.to_string())
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
