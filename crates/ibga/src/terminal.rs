//! The terminal of a supervised agent. Its processes are a group of their own, so that all of them can be ended, and a terminal listens
//! to one group alone: where the supervisor has the terminal, the agent gets it, and gives it back when it ends.

use std::io::{self, IsTerminal};

use nix::sys::signal::{SigSet, Signal as NixSignal};
use rustix::process::{Pid, Signal, getpgrp, kill_current_process_group};
use rustix::termios::{tcgetpgrp, tcsetpgrp};

/// The terminal on standard input.
#[derive(Debug)]
pub(crate) struct Terminal {
    /// This process's group.
    own: Pid,
    /// The agent's.
    agent: Pid,
}

impl Terminal {
    /// The terminal on standard input, if that is one, for an agent of this group.
    pub(crate) fn of_stdin(agent: Pid) -> Option<Self> {
        if !io::stdin().is_terminal() {
            return None;
        }
        // Taking it back from behind would stop this process. Blocked, the signal lets the call through. Commands start unblocked.
        let mut from_behind = SigSet::empty();
        from_behind.add(NixSignal::SIGTTOU);
        from_behind.thread_block().ok()?;
        Some(Self { own: getpgrp(), agent })
    }

    /// Gives it to the agent, if it is this process's. Whether the agent has it then.
    pub(crate) fn give(&self) -> bool {
        let before = tcgetpgrp(io::stdin()).ok();
        before == Some(self.agent) || (before == Some(self.own) && tcsetpgrp(io::stdin(), self.agent).is_ok())
    }

    /// Takes it back, if the agent has it.
    pub(crate) fn take_back(&self) {
        if tcgetpgrp(io::stdin()).ok() == Some(self.agent) {
            let _ = tcsetpgrp(io::stdin(), self.own);
        }
    }

    /// The agent was stopped, by Ctrl-Z or by wanting a terminal that it does not have: this process stops with it, so that the shell
    /// knows, and returns when the shell lets it go on.
    pub(crate) fn stop_with_the_agent(&self) {
        self.take_back();
        let _ = kill_current_process_group(Signal::TSTP);
        self.give();
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.take_back();
    }
}
