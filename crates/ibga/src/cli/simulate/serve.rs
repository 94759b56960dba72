//! Simulates until told to end: brings together the gateways, their events, the control port, the terminal and the command.

use std::process::ExitCode;

use ibga_sim::{Event, Fleet, StartError, What};
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::command::{Running, ended};
use super::control::Control;
use super::keys::{self, Keys};
use super::sink::{Lost, Sink};
use super::{Hands, Plan};
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
    let fleet = Fleet::start(plan.config, plan.gateways).await.map_err(|cause| {
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
    let control = control.as_ref().map(Control::address);
    let command = Running::start(&plan.command, fleet.remotes(), control)?;
    if plan.hands == Hands::AtTheTerminal {
        output::fault(keys::HINT);
    }
    let desk = Desk { fleet, sink, signals, command, keys: Keys::new(plan.hands), listening: plan.gateways, control };
    Ok(desk.work().await)
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
    sink: Sink,
    signals: Signals,
    command: Option<Running>,
    keys: Keys,
    /// How many gateways have not told yet that they listen.
    listening: usize,
    control: Option<std::net::SocketAddr>,
}

impl Desk {
    async fn work(mut self) -> ExitCode {
        let code = loop {
            tokio::select! {
                event = self.fleet.events().next() => {
                    let Some(event) = event else { break Exit::No.into() };
                    match self.write(&event) {
                        Ok(()) => {}
                        Err(Lost::ReaderGone) => break Exit::Yes.into(),
                        Err(Lost::Failed(fault)) => {
                            // A command goes on; what it is tested against must not vanish under it.
                            output::fault(&format!("events are not written any more: {fault}"));
                            if self.command.is_none() {
                                break Exit::No.into();
                            }
                            self.sink = Sink::Nowhere;
                        }
                    }
                }
                line = self.keys.next() => keys::obey(&line, self.fleet.remotes()).await,
                code = ended(&mut self.command) => break code,
                // The terminal tells the command too; its end is awaited.
                _ = self.signals.interrupt.recv() => if self.command.is_none() { break Exit::Yes.into() },
                _ = self.signals.terminate.recv() => match &self.command {
                    Some(command) => command.terminate(),
                    None => break Exit::Yes.into(),
                },
            }
        };
        self.last_events();
        self.fleet.stop().await;
        code
    }

    fn write(&mut self, event: &Event) -> Result<(), Lost> {
        self.sink.event(event)?;
        if matches!(event.what, What::Listening { .. }) {
            self.listening = self.listening.saturating_sub(1);
            if let (0, Some(address)) = (self.listening, self.control.take()) {
                self.sink.control(address)?;
            }
        }
        Ok(())
    }

    /// Writes what happened before the command's end.
    fn last_events(&mut self) {
        while let Some(event) = self.fleet.events().try_next() {
            if self.write(&event).is_err() {
                break;
            }
        }
    }
}
