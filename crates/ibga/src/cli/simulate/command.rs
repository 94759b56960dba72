//! The command that runs against the simulated gateways: what it finds in its environment, and its end.

use std::ffi::OsString;
use std::io;
use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt;
use std::pin::Pin;
use std::process::{Child, Command, ExitCode};
use std::time::Duration;

use ibga_sim::Remotes;
use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, setrlimit};
use tokio::sync::oneshot;
use tokio::time::{Sleep, sleep};

use crate::cli::Exit;

/// How long a command may take to end once it was told to. Container engines wait for twice as long.
const GRACE: Duration = Duration::from_secs(5);

/// The command that runs against the gateways.
pub(super) struct Running {
    pid: Pid,
    code: oneshot::Receiver<ExitCode>,
    /// How long it may still take, once it was told to end.
    grace: Option<Pin<Box<Sleep>>>,
}

impl Running {
    /// Starts the command, if there is one. Waiting for it takes a thread.
    pub(super) fn start(
        command: &[OsString],
        gateways: &Remotes,
        control: Option<SocketAddr>,
        files: Rlimit,
    ) -> Result<Option<Self>, Exit> {
        let Some((program, arguments)) = command.split_first() else { return Ok(None) };
        let mut command = Command::new(program);
        command.args(arguments);
        let addresses: Vec<SocketAddr> = gateways.iter().map(ibga_sim::Remote::address).collect();
        if let Some(first) = addresses.first() {
            command.env("IBKR_HOST", first.ip().to_string()).env("IBKR_PORT", first.port().to_string());
        }
        let addresses: Vec<String> = addresses.iter().map(SocketAddr::to_string).collect();
        command.env("SIMULATED_GATEWAYS", addresses.join(" ")).env_remove("SIMULATED_CONTROL");
        if let Some(control) = control {
            command.env("SIMULATED_CONTROL", control.to_string());
        }
        // What a simulated gateway is found to be must never stand where a real agent's gate looks.
        let status_file = std::env::temp_dir().join(format!("ibga-simulate-{}.json", std::process::id()));
        command.env("IBGA_STATUS_FILE", &status_file).env("IBGA_CONTAINER", "none");
        let mut child = spawn(&mut command, files).map_err(|fault| Exit::cannot_start(program, &fault))?;
        let pid = Pid::from_child(&child);
        let (sender, code) = oneshot::channel();
        std::thread::spawn(move || {
            // A command that was killed ends as a shell says it: 128 and the signal.
            let code = child.wait().ok().and_then(|status| status.code().or_else(|| Some(128 + status.signal()?)));
            let _ = std::fs::remove_file(status_file);
            let _ = sender.send(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1).into());
        });
        Ok(Some(Self { pid, code, grace: None }))
    }

    /// Passes a signal on that is to end the command; the second one kills it.
    pub(super) fn tell(&mut self, signal: Signal) {
        if self.grace.is_some() {
            return self.kill();
        }
        let _ = kill_process(self.pid, signal);
        self.grace = Some(Box::pin(sleep(GRACE)));
    }

    fn kill(&self) {
        let _ = kill_process(self.pid, Signal::KILL);
    }

    /// The end of the command, whose grace may end before. May be abandoned and called again.
    async fn ended(&mut self) -> ExitCode {
        if let Some(grace) = &mut self.grace {
            tokio::select! {
                code = &mut self.code => return or_no(code),
                () = grace => self.kill(),
            }
        }
        or_no((&mut self.code).await)
    }
}

fn or_no(code: Result<ExitCode, oneshot::error::RecvError>) -> ExitCode {
    code.unwrap_or_else(|_| Exit::No.into())
}

/// The end of the command; never, if there is none.
pub(super) async fn ended(command: &mut Option<Running>) -> ExitCode {
    match command {
        Some(command) => command.ended().await,
        None => std::future::pending().await,
    }
}

/// Starts the command under the limit of open files that this process was given; many gateways raised it for themselves.
fn spawn(command: &mut Command, files: Rlimit) -> io::Result<Child> {
    let raised = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, files)?;
    let child = command.spawn();
    setrlimit(Resource::Nofile, raised)?;
    child
}
