//! Simulates until told to end: brings together the gateways, their events, the control port, the terminal and the command.

use std::process::ExitCode;

use ibga_sim::{Fleet, StartError};
use tokio::signal::unix::{Signal, SignalKind, signal};

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
    let command = Running::start(&plan.command, fleet.remotes(), address)?;
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
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }
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
                // A command goes on without; what it is tested against must not vanish under it.
                written = self.writer.ended() => if self.command.is_none() {
                    return if written == Written::ToTheEnd { Exit::Yes.into() } else { Exit::No.into() };
                },
                line = self.keys.next() => keys::obey(&line, self.fleet.remotes()).await,
                code = ended(&mut self.command) => return code,
                // The terminal tells the command too; its end is awaited.
                _ = self.signals.interrupt.recv() => if self.command.is_none() { return Exit::Yes.into() },
                _ = self.signals.terminate.recv() => match &self.command {
                    Some(command) => command.terminate(),
                    None => return Exit::Yes.into(),
                },
            }
        }
    }
}
