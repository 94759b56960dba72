//! `ibga demo`: the whole story in a few seconds, without an account. Only the gateway is simulated: every command below runs as
//! it would for an operator, in a process of its own.

use std::fmt;
use std::fs::{DirBuilder, OpenOptions};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use clap::Args;
use ibga_sim::{Config, Proxy, Scenario, Simulator, StartError};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::timeout;

use super::Exit;
use crate::check::block_on;
use crate::output::{self, wrapped};

/// The width of the story, in characters.
const WIDTH: usize = 80;

const AFTER_HELP: &str = "\
Examples:
  ibga demo      a gateway that is ready, loses its login and gets it back

It takes a few seconds, listens on a free port of this machine, and leaves nothing behind.

Exit codes: 0 as told, 1 something came out otherwise than told, 2 wrong usage, 130 interrupted.";

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
    types(&["check"], 0, 1),
    types(&["status", "--exchange", "XHKG"], 0, 3),
    Step::Tell(
        "The gate judges what the check has left in a file (--force passes over market hours). On a go, `ibga run` becomes \
         the agent.",
    ),
    types(&["preflight", "--force"], 0, 1),
    types(AGENT, 0, 1),
    Step::Tell(
        "The login lapses, as IBKR's does each week. The proxy before the gateway still accepts connections, so the port \
         looks open; `ibga check` is not taken in, and says what to do.",
    ),
    Step::Switch(Scenario::LoggedOut),
    types(&["check"], 1, 2),
    Step::Tell("The gate holds: the agent is not started, and spends nothing."),
    types(&["preflight", "--force"], 1, 2),
    types(AGENT, 1, 1),
    Step::Tell("Somebody approves the login on a phone."),
    Step::Switch(Scenario::Ready),
    types(&["check"], 0, 1),
    types(AGENT, 0, 1),
    Step::Tell(
        "With a gateway of your own: `ibga init`, `ibga doctor`, `ibga check`; then put `ibga run -- AGENT` where your \
         scheduler starts the agent today.",
    ),
];

/// How the story ended early.
enum Stopped {
    /// Nobody reads on: no fault.
    Unread,
    /// A signal of this number came.
    Signalled(u8),
    /// Something came out otherwise than told.
    Fault(String),
}

pub(super) fn run(_: &DemoArgs) -> Exit {
    let desk = match Desk::new() {
        Ok(desk) => desk,
        Err(fault) => {
            let folder = std::env::temp_dir();
            let folder = folder.display();
            output::fault(&format!("cannot make a folder in {folder}: {fault}; set TMPDIR to one that can be written"));
            return Exit::No;
        }
    };
    match block_on(play(&desk)) {
        Ok(Ok(()) | Err(Stopped::Unread)) => Exit::Yes,
        Ok(Err(Stopped::Signalled(number))) => Exit::Signalled(number),
        Ok(Err(Stopped::Fault(fault))) => {
            output::fault(&fault);
            Exit::No
        }
        Err(fault) => {
            output::fault(&format!("cannot start: {fault}"));
            Exit::No
        }
    }
}

/// The signals that end the story; between two commands, so that none leaves anything behind.
struct Signals(Vec<(u8, Signal)>);

impl Signals {
    fn listen() -> io::Result<Self> {
        let kinds = [(1, SignalKind::hangup()), (2, SignalKind::interrupt()), (15, SignalKind::terminate())];
        kinds.into_iter().map(|(number, kind)| Ok((number, signal(kind)?))).collect::<io::Result<_>>().map(Self)
    }

    /// Whether one has come.
    async fn came(&mut self) -> Option<u8> {
        for (number, signal) in &mut self.0 {
            if timeout(Duration::ZERO, signal.recv()).await.is_ok() {
                return Some(*number);
            }
        }
        None
    }
}

async fn play(desk: &Desk) -> Result<(), Stopped> {
    let config = Config { proxy: Proxy::IbgaSocat, ..Config::default() };
    let failed = |fault: StartError| Stopped::Fault(format!("the simulated gateway failed: {fault}"));
    let simulator = Simulator::start(config).await.map_err(failed)?;
    let port = simulator.address().port().to_string();
    let signals = Signals::listen();
    let mut signals = signals.map_err(|fault| Stopped::Fault(format!("cannot listen for signals: {fault}")))?;
    for (number, step) in STORY.iter().enumerate() {
        if let Some(number) = signals.came().await {
            return Err(Stopped::Signalled(number));
        }
        let space = if number == 0 { "" } else { "\n" };
        match step {
            Step::Tell(text) => say(&format!("{space}# {}", wrapped(text, WIDTH - 2, 0).replace('\n', "\n# ")))?,
            Step::Switch(scenario) => simulator.switch(*scenario).await.map_err(failed)?,
            Step::Type(typed) => typed.run(desk.command(&port)?).await?,
        }
    }
    simulator.stop().await;
    Ok(())
}

impl Typed {
    async fn run(self, mut command: Command) -> Result<(), Stopped> {
        say(&format!("$ ibga {self}"))?;
        command.args(self.arguments);
        // The gateway lives in this thread, so the command is waited for in another.
        let ended = tokio::task::spawn_blocking(move || output_of(command)).await;
        let failed = |fault: &dyn fmt::Display| Stopped::Fault(format!("`ibga {self}` could not be run: {fault}"));
        let (text, code) = ended.map_err(|fault| failed(&fault))?.map_err(|fault| failed(&fault))?;
        let lines: Vec<&str> = text.lines().collect();
        for line in lines.iter().take(self.lines_max) {
            // Only what is too long is broken; tables keep their columns.
            say(&if line.chars().count() > WIDTH { wrapped(line, WIDTH, 2) } else { (*line).to_owned() })?;
        }
        match lines.len().saturating_sub(self.lines_max) {
            0 => {}
            1 => say("  ... (1 more line)")?,
            more => say(&format!("  ... ({more} more lines)"))?,
        }
        if code == Some(self.code) {
            return Ok(());
        }
        let code = code.map_or_else(|| "by a signal".into(), |code| format!("with exit code {code}"));
        Err(Stopped::Fault(format!("`ibga {self}` ended {code}, not with {}:\n{text}", self.code)))
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
    // In a group of its own a terminal's Ctrl-C does not reach it: it ends by itself, in seconds, and tidies up.
    let mut child = command.stderr(writer.try_clone()?).stdout(writer).process_group(0).spawn()?;
    // The command holds the pipe's writing end, too, and the end of the output is the end of all of them.
    drop(command);
    let text = io::read_to_string(output)?;
    Ok((text, child.wait()?.code()))
}

fn say(text: &str) -> Result<(), Stopped> {
    let written = writeln!(io::stdout(), "{text}").and_then(|()| io::stdout().flush());
    written.map_err(|fault| match fault.kind() {
        io::ErrorKind::BrokenPipe => Stopped::Unread,
        _ => Stopped::Fault(format!("cannot print: {fault}")),
    })
}

/// A folder of the demo's own, so that it neither reads the settings of this machine nor leaves a verdict where a gate looks.
struct Desk {
    folder: PathBuf,
}

impl Desk {
    fn new() -> io::Result<Self> {
        // A name that nobody can have taken before, and a folder that nobody else can look into.
        let number = RandomState::new().build_hasher().finish();
        let folder = std::env::temp_dir().join(format!("ibga-demo-{number:016x}"));
        DirBuilder::new().mode(0o700).create(&folder)?;
        let desk = Self { folder };
        // The first place where settings are looked for, so that no other is.
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(desk.folder.join("ibga.toml"))?;
        Ok(desk)
    }

    fn command(&self, port: &str) -> Result<Command, Stopped> {
        let program = std::env::current_exe();
        let program = program.map_err(|fault| Stopped::Fault(format!("cannot find this program: {fault}")))?;
        let mut command = Command::new(program);
        command.current_dir(&self.folder).env_clear();
        for name in ["PATH", "TERM", "NO_COLOR", "TZ", "LANG"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        let folder: &Path = &self.folder;
        command.env("HOME", folder).env("IBGA_STATUS_FILE", folder.join("ibga-status.json"));
        command.env("IBGA_HALT_FILE", folder.join("ibga-halt.json"));
        command.env("IBKR_HOST", "127.0.0.1").env("IBKR_PORT", port);
        command.env("IBGA_CONTAINER", "none").env("IBGA_TIMEOUT", "3s");
        Ok(command)
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
