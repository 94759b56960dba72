//! Staying beside an agent: starts it, watches what it needs, passes signals on, and ends it with all its processes when it has to
//! stop. What is a reason is [`ibga_core::supervision`]'s.
//!
//! The agent's processes are a group of their own. The agent itself is started by way of this program, which first asks the kernel to
//! kill it should its supervisor die (`become_agent`): an agent never outlives its supervisor.

use std::ffi::{OsStr, OsString};
use std::future::poll_fn;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::task::Poll;
use std::time::Duration;

use ibga_core::clock::Stopwatch;
use ibga_core::gate::Decision;
use ibga_core::secure_file::{self, Trust};
use ibga_core::supervision::{Step, Stop, Supervision};
use rustix::process::{
    Pid, Signal, WaitId, WaitIdOptions, getppid, kill_process_group, set_parent_process_death_signal,
    test_kill_process_group, waitid,
};
use tokio::process::Child;
use tokio::signal::unix::{Signal as SignalStream, SignalKind, signal};

use crate::file_watch::{FileWatch, wait_in_runtime};
use crate::terminal::Terminal;

/// The first argument by which this program is told to become an agent under a supervisor. No person types it.
pub(crate) const BECOME_AGENT: &str = "__agent";

/// How often is looked at the least, whatever the kernel notes: a halt has to be seen within a second.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);

/// How often is looked whether all processes of a stopped agent have ended, once the agent itself has.
const GROUP_INTERVAL: Duration = Duration::from_millis(50);

/// How long processes that were killed may take to end. Those that the kernel itself holds up are left to it.
const KILL_LIMIT: Duration = Duration::from_secs(5);

/// What is passed on to the agent.
const PASSED_ON: [Signal; 7] =
    [Signal::HUP, Signal::INT, Signal::QUIT, Signal::TERM, Signal::USR1, Signal::USR2, Signal::WINCH];

/// How to supervise one agent.
pub(crate) struct Plan<'a> {
    /// The files whose change is a reason to look.
    pub(crate) paths: &'a [PathBuf],
    /// How long the agent has to end by itself once it has to stop.
    pub(crate) grace: Duration,
    /// What the gate says now.
    pub(crate) look: &'a dyn Fn() -> Decision,
    /// Hears of the stop before the agent does, and must not wait for anybody.
    pub(crate) tell: &'a dyn Fn(&Stop),
}

/// How an agent ended.
#[derive(Debug)]
pub(crate) enum Ended {
    /// By itself, or by somebody else's signal.
    ByItself(ExitStatus),
    /// It was stopped.
    Stopped(Manner),
}

/// How a stopped agent ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// With all its processes in time, after this long.
    InTime(Duration),
    /// Killed, itself or some of its processes.
    Killed,
    /// Not even so: the kernel holds it.
    NotYet,
}

/// The command that becomes the agent in a process of its own.
pub(crate) fn command_of(program: &OsStr, arguments: &[OsString]) -> Command {
    // Also where the file was replaced meanwhile, this is the program that runs.
    let mut command = Command::new("/proc/self/exe");
    command.arg(BECOME_AGENT).arg(std::process::id().to_string()).arg(program).args(arguments);
    command.process_group(0);
    command
}

/// Becomes the agent, in the process that was started for it. Returns why not; `None` if there is nobody left to tell.
pub(crate) fn become_agent(arguments: &[OsString]) -> Option<(OsString, io::Error)> {
    let (parent, command) = arguments.split_first()?;
    let (program, rest) = command.split_first()?;
    if let Err(fault) = set_parent_process_death_signal(Some(Signal::KILL)) {
        return Some((program.clone(), fault.into()));
    }
    // Had it died before, nobody would be told any more.
    let parent = parent.to_str()?.parse().ok().and_then(Pid::from_raw)?;
    if getppid() != Some(parent) {
        return None;
    }
    let fault = Command::new(program).args(rest).exec();
    Some((program.clone(), fault))
}

/// Runs the agent to its end.
pub(crate) async fn run(command: Command, mut supervision: Supervision, plan: &Plan<'_>) -> io::Result<Ended> {
    let mut signals = Signals::listen()?;
    let mut child = tokio::process::Command::from(command).spawn()?;
    let mut agent = Agent::new(&child)?;
    let watch = FileWatch::on(plan.paths).and_then(FileWatch::in_runtime);
    let since = Stopwatch::start();
    let stop = loop {
        let look_at = match supervision.step(&(plan.look)(), since.elapsed()) {
            Step::Stop(stop) => break stop,
            Step::Keep { look_at } => look_at,
        };
        let pause = look_at.map_or(LOOK_INTERVAL, |at| at.saturating_sub(since.elapsed()).min(LOOK_INTERVAL));
        tokio::select! {
            status = child.wait() => return status.map(Ended::ByItself),
            signal = signals.next() => agent.hear(signal),
            () = wait_in_runtime(watch.as_ref(), pause) => {}
        }
    };
    // It may have ended in this very moment; then nobody stopped it.
    if let Some(status) = child.try_wait()? {
        return Ok(Ended::ByItself(status));
    }
    (plan.tell)(&stop);
    agent.end(&mut child, &mut signals, plan.grace).await.map(Ended::Stopped)
}

/// The agent's processes.
struct Agent {
    group: Pid,
    terminal: Option<Terminal>,
    /// How often somebody asked it to end.
    asked: u32,
}

impl Agent {
    fn new(child: &Child) -> io::Result<Self> {
        let id = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        let group = id.ok_or_else(|| io::Error::other("it has no process id"))?;
        let terminal = Terminal::of_stdin(group);
        let agent = Self { group, terminal, asked: 0 };
        agent.terminal.as_ref().map(Terminal::give);
        Ok(agent)
    }

    fn signal(&self, signal: Signal) {
        // Whoever has ended meanwhile needs no signal.
        let _ = kill_process_group(self.group, signal);
    }

    fn hear(&mut self, signal: Signal) {
        match signal {
            Signal::CHILD => self.follow_a_stop(),
            Signal::CONT => {
                self.terminal.as_ref().map(Terminal::give);
                self.signal(Signal::CONT);
            }
            other => {
                if matches!(other, Signal::INT | Signal::TERM) {
                    self.asked += 1;
                }
                self.signal(other);
            }
        }
    }

    /// Whether the agent was stopped at a terminal; then the shell there has to know.
    fn follow_a_stop(&self) {
        let Some(terminal) = &self.terminal else { return };
        let stopped = waitid(WaitId::Pid(self.group), WaitIdOptions::STOPPED | WaitIdOptions::NOHANG);
        let Some(by) = stopped.ok().flatten().and_then(|status| status.stopping_signal()) else { return };
        let wanted_the_terminal = by == Signal::TTIN.as_raw() || by == Signal::TTOU.as_raw();
        if !(wanted_the_terminal && terminal.give()) {
            terminal.stop_with_the_agent();
        }
        self.signal(Signal::CONT);
    }

    fn has_processes(&self) -> bool {
        !matches!(test_kill_process_group(self.group), Err(rustix::io::Errno::SRCH))
    }

    /// Asks all processes to end, and kills them when the grace is over or somebody asks twice.
    async fn end(&mut self, child: &mut Child, signals: &mut Signals, grace: Duration) -> io::Result<Manner> {
        let since = Stopwatch::start();
        self.asked = 0;
        self.signal(Signal::TERM);
        // Those that stand still could not hear it.
        self.signal(Signal::CONT);
        let mut has_ended = false;
        while since.elapsed() < grace && self.asked < 2 {
            let left = grace.saturating_sub(since.elapsed());
            if has_ended && !self.has_processes() {
                return Ok(Manner::InTime(since.elapsed()));
            }
            tokio::select! {
                status = child.wait(), if !has_ended => {
                    status?;
                    has_ended = true;
                }
                signal = signals.next() => if signal != Signal::CHILD { self.hear(signal) },
                () = tokio::time::sleep(if has_ended { left.min(GROUP_INTERVAL) } else { left }) => {}
            }
        }
        self.signal(Signal::KILL);
        if has_ended {
            return Ok(Manner::Killed);
        }
        Ok(match tokio::time::timeout(KILL_LIMIT, child.wait()).await {
            Ok(status) => status.map(|_| Manner::Killed)?,
            Err(_) => Manner::NotYet,
        })
    }
}

/// The signals that somebody sends to this process.
struct Signals(Vec<(Signal, SignalStream)>);

impl Signals {
    /// Listens for those that this process does not ignore: what whoever started it wanted ignored, as `nohup` does, stays so.
    fn listen() -> io::Result<Self> {
        let status = secure_file::read(Path::new("/proc/self/status"), &Trust::default()).unwrap_or_default();
        let ignored = ignored(&status);
        let wanted = PASSED_ON.into_iter().filter(|signal| !is_among(*signal, ignored));
        let all = wanted.chain([Signal::CHILD, Signal::CONT]);
        let listen = |one: Signal| Ok((one, signal(SignalKind::from_raw(one.as_raw()))?));
        all.map(listen).collect::<io::Result<_>>().map(Self)
    }

    async fn next(&mut self) -> Signal {
        poll_fn(|context| {
            let ready =
                |(signal, stream): &mut (Signal, SignalStream)| stream.poll_recv(context).is_ready().then_some(*signal);
            self.0.iter_mut().find_map(ready).map_or(Poll::Pending, Poll::Ready)
        })
        .await
    }
}

/// The mask of ignored signals in the text of `/proc/self/status`; none where it does not say.
fn ignored(status: &str) -> u64 {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default()
}

fn is_among(signal: Signal, mask: u64) -> bool {
    let bit = u32::try_from(signal.as_raw() - 1).ok().and_then(|bit| 1_u64.checked_shl(bit));
    bit.is_some_and(|bit| mask & bit != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ignored_signals() {
        let status = "Name:\tibga\nSigBlk:\t0000000000000000\nSigIgn:\t0000000000001003\nSigCgt:\t0000000000000000\n";
        let mask = ignored(status);
        let among: Vec<Signal> = PASSED_ON.into_iter().filter(|signal| is_among(*signal, mask)).collect();
        assert_eq!(among, [Signal::HUP, Signal::INT]);
        assert_eq!((ignored(""), ignored("SigIgn:\twhat\n")), (0, 0));
    }
}
