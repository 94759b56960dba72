//! What somebody types while gateways are simulated. Standard input is read only if it is a terminal, only while this process is
//! in its foreground, and only when a whole line is there: nothing else ever waits for it.

use std::ffi::OsString;
use std::io::{self, IsTerminal, Stdin};
use std::os::fd::AsFd;

use ibga_sim::{Remotes, Scene};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::getpgrp;
use rustix::termios::tcgetpgrp;
use tokio::sync::mpsc;

use super::Hands;
use crate::output;

const HINT: &str = "Enter goes on to the next step, a scenario's name and Enter switches to it, Ctrl-C ends";

/// A terminal hands over at most this much of a line.
const LINE_BYTES_MAX: usize = 4_096;

/// The most lines that wait to be obeyed.
const LINES_MAX: usize = 16;

/// How long to leave the terminal alone while it is another program's.
const BACKGROUND_PAUSE: Timespec = Timespec { tv_sec: 0, tv_nsec: 200_000_000 };

/// Whether somebody sits at the terminal. A command has it for itself.
pub(super) fn hands(command: &[OsString]) -> Hands {
    if command.is_empty() && io::stdin().is_terminal() { Hands::AtTheTerminal } else { Hands::None }
}

/// The lines that are typed.
pub(super) struct Keys {
    lines: mpsc::Receiver<String>,
}

impl Keys {
    /// Begins to read, and tells a person how. A thread waits for lines; it ends with the process.
    pub(super) fn new(hands: Hands) -> Self {
        let (sender, lines) = mpsc::channel(LINES_MAX);
        if hands == Hands::AtTheTerminal {
            if in_foreground(io::stdin()) == Ok(true) {
                output::fault(HINT);
            }
            std::thread::spawn(move || {
                while let Some(line) = next_line(&io::stdin()) {
                    if sender.blocking_send(line).is_err() {
                        break;
                    }
                }
            });
        }
        Self { lines }
    }

    /// The next line; never, if there is no terminal or it is gone. May be abandoned and called again.
    pub(super) async fn next(&mut self) -> String {
        match self.lines.recv().await {
            Some(line) => line,
            None => std::future::pending().await,
        }
    }
}

/// Whether what is typed at the terminal is meant for this process.
pub(super) fn in_foreground(terminal: impl AsFd) -> rustix::io::Result<bool> {
    Ok(tcgetpgrp(terminal)? == getpgrp())
}

/// Waits for a line. `None` at the end of what is typed (Ctrl-D), or of the terminal.
fn next_line(terminal: &Stdin) -> Option<String> {
    loop {
        match poll(&mut [PollFd::new(terminal, PollFlags::IN)], None) {
            Ok(_) => {}
            Err(Errno::INTR) => continue,
            Err(_) => return None,
        }
        if in_foreground(terminal).ok()? {
            let mut line = [0; LINE_BYTES_MAX];
            let count = rustix::io::read(terminal, &mut line).ok().filter(|count| *count > 0)?;
            return Some(String::from_utf8_lossy(line.get(..count)?).into_owned());
        }
        // What is typed is for the program in the foreground; reading it here would stop this process.
        let _ = poll(&mut [], Some(&BACKGROUND_PAUSE));
    }
}

/// Does what was typed, or says what is wrong with it.
pub(super) async fn obey(line: &str, gateways: &Remotes) {
    let line = line.trim();
    let done = if line.is_empty() {
        gateways.next_step_all().await.map_err(|fault| fault.to_string())
    } else {
        match line.parse::<Scene>() {
            Ok(scene) => gateways.switch_all(scene).await.map_err(|fault| fault.to_string()),
            Err(fault) => Err(format!("{fault}\n{HINT}")),
        }
    };
    if let Err(fault) = done {
        output::fault(&fault);
    }
}
