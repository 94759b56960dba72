//! Simulates until told to end: brings together the gateways, their events, the control port, the terminal and the command.

use std::fs::File;
use std::io;
use std::process::ExitCode;

use ibga_sim::{Fleet, StartError};
use rustix::process::{Resource, Signal, getrlimit};
use tokio::signal::unix::{self, SignalKind, signal};

use super::Plan;
use super::command::{Running, ended};
use super::control::Control;
use super::keys::{self, Keys};
use super::sink::{About, Sink, Writer, Written};
use crate::cli::Exit;
use crate::output;

/// Simulates until told to end.
pub(super) async fn serve(plan: Plan) -> Result<ExitCode, Exit> {
    let fault = |text: String| {
        output::fault(&text);
        Exit::No
    };
    let signals = Signals::new().map_err(|cause| fault(format!("cannot listen for signals: {cause}")))?;
    let sink = Sink::open(plan.events.as_deref(), !plan.command.is_empty());
    let name = plan.events.as_deref().unwrap_or_else(|| "-".as_ref()).display();
    let sink = sink.map_err(|cause| fault(format!("cannot write the events to {name}: {cause}")))?;
    let files = getrlimit(Resource::Nofile);
    let (fleet, events) = Fleet::start(plan.config, plan.gateways).await.map_err(|cause| {
        output::fault(&cause.to_string());
        if matches!(cause, StartError::NotLoopback(_)) { Exit::Usage } else { Exit::No }
    })?;
    let control = match plan.control {
        Some(address) => {
            let control = Control::start(address, fleet.remotes().clone());
            Some(control.map_err(|cause| fault(StartError::listening(address, cause).to_string()))?)
        }
        None => None,
    };
    let address = control.as_ref().map(Control::address);
    let command = Running::start(&plan.command, fleet.remotes(), address, files)?;
    // What a person is told stands above the first event.
    let keys = Keys::new(plan.hands);
    let writer = Writer::start(sink, events, About { gateways: plan.gateways, control: address });
    let mut desk = Desk { fleet, writer, signals, command, keys };
    let code = desk.work().await;
    drop(control);
    desk.fleet.stop().await;
    desk.writer.finish().await;
    Ok(code)
}

/// The signals that end it.
struct Signals {
    interrupt: unix::Signal,
    terminate: unix::Signal,
    /// None under `nohup`.
    hang_up: Option<unix::Signal>,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: if ignores(Signal::HUP) { None } else { Some(signal(SignalKind::hangup())?) },
        })
    }

    /// The next one. May be abandoned and called again.
    async fn next(&mut self) -> Signal {
        let Self { interrupt, terminate, hang_up } = self;
        let hung_up = async {
            match hang_up {
                Some(hang_up) => hang_up.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = interrupt.recv() => Signal::INT,
            _ = terminate.recv() => Signal::TERM,
            _ = hung_up => Signal::HUP,
        }
    }
}

/// Whether this process was started to ignore a signal, as Linux tells.
fn ignores(signal: Signal) -> bool {
    let status = File::open("/proc/self/status").and_then(io::read_to_string).unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default();
    mask >> (signal.as_raw() - 1) & 1 == 1
}

/// Whether Ctrl-C at the terminal reaches this process, and with it the command.
fn has_the_terminal() -> bool {
    File::open("/dev/tty").is_ok_and(|terminal| keys::in_foreground(&terminal) == Ok(true))
}

/// Everything that can happen, in one place.
struct Desk {
    fleet: Fleet,
    writer: Writer,
    signals: Signals,
    command: Option<Running>,
    keys: Keys,
}

impl Desk {
    async fn work(&mut self) -> ExitCode {
        loop {
            tokio::select! {
                // Clients go on without events, and whoever reads no more of them; who wanted a file is told by the end.
                written = self.writer.ended() => if self.command.is_none() && written == Written::Failed {
                    return Exit::No.into();
                },
                line = self.keys.next() => keys::obey(&line, self.fleet.remotes()).await,
                code = ended(&mut self.command) => return code,
                signal = self.signals.next() => match &mut self.command {
                    None => return Exit::Yes.into(),
                    // The terminal tells the command too, and what it makes of that is its own affair.
                    Some(_) if signal == Signal::INT && has_the_terminal() => {}
                    Some(command) => command.tell(signal),
                },
            }
        }
    }
}
