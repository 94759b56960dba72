//! The command that runs against the simulated gateways: what it finds in its environment, and its end.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitCode};

use ibga_sim::Remotes;
use rustix::process::{Pid, Signal, kill_process};
use tokio::sync::oneshot;

use crate::cli::Exit;

/// The command that runs against the gateways.
pub(super) struct Running {
    pid: Pid,
    code: oneshot::Receiver<ExitCode>,
}

impl Running {
    /// Starts the command, if there is one. Waiting for it takes a thread.
    pub(super) fn start(
        command: &[OsString],
        gateways: &Remotes,
        control: Option<SocketAddr>,
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
        let mut child = command.spawn().map_err(|fault| Exit::cannot_start(program, &fault))?;
        let pid = Pid::from_child(&child);
        let (sender, code) = oneshot::channel();
        std::thread::spawn(move || {
            // A command that was killed ends as a shell says it: 128 and the signal.
            let code = child.wait().ok().and_then(|status| status.code().or_else(|| Some(128 + status.signal()?)));
            let _ = std::fs::remove_file(status_file);
            let _ = sender.send(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1).into());
        });
        Ok(Some(Self { pid, code }))
    }

    pub(super) fn terminate(&self) {
        let _ = kill_process(self.pid, Signal::TERM);
    }
}

/// The end of the command; never, if there is none.
pub(super) async fn ended(command: &mut Option<Running>) -> ExitCode {
    match command {
        Some(command) => (&mut command.code).await.unwrap_or_else(|_| Exit::No.into()),
        None => std::future::pending().await,
    }
}
