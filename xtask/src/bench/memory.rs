//! The peak memory of a process, as the kernel counted it for the program itself.
//!
//! What `wait4` and GNU time tell begins with the memory of whoever forked, which can be more than a small program ever has. So
//! the program is held at its very end (`PTRACE_O_TRACEEXIT`) and its high-water mark read from `/proc`: that mark begins anew
//! with `exec`.

use std::process::Command;

/// Runs the program and returns its peak in KiB; none where the system cannot tell.
#[cfg(target_os = "linux")]
pub(super) fn peak(command: &Command) -> Result<Option<u32>, String> {
    use std::process::Stdio;

    use nix::sys::ptrace::{self, Options};
    use nix::sys::signal::{Signal, kill};
    use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
    use nix::unistd::Pid;

    let failed = |what: &str| format!("the memory of {} was not measured: {what}", super::stage::name_of(command));
    // The shell stops itself, so that nothing of the program has run by the time it is watched.
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", "kill -STOP $$; exec \"$0\" \"$@\""]).arg(command.get_program()).args(command.get_args());
    super::stage::like(&mut shell, command).stdout(Stdio::null());
    let child = shell.spawn().map_err(|fault| failed(&fault.to_string()))?;
    let pid = i32::try_from(child.id()).map(Pid::from_raw).map_err(|fault| failed(&fault.to_string()))?;
    let os = |fault: nix::Error| failed(fault.desc());
    waitpid(pid, Some(WaitPidFlag::WUNTRACED)).map_err(os)?;
    ptrace::seize(pid, Options::PTRACE_O_TRACEEXIT | Options::PTRACE_O_EXITKILL).map_err(os)?;
    kill(pid, Signal::SIGCONT).map_err(os)?;
    let mut peak = None;
    loop {
        match waitpid(pid, None).map_err(os)? {
            WaitStatus::PtraceEvent(_, _, event) => {
                if event == ptrace::Event::PTRACE_EVENT_EXIT as i32 {
                    peak = high_water(pid.as_raw());
                }
                ptrace::cont(pid, None).map_err(os)?;
            }
            WaitStatus::Stopped(_, signal) => ptrace::cont(pid, signal).map_err(os)?,
            WaitStatus::Exited(_, 0) => return Ok(peak),
            WaitStatus::Exited(_, code) => return Err(failed(&format!("it ended with exit code {code}"))),
            WaitStatus::Signaled(_, signal, _) => return Err(failed(&format!("it was ended by {signal}"))),
            _ => {}
        }
    }
}

/// Other systems count otherwise.
#[cfg(not(target_os = "linux"))]
pub(super) fn peak(_: &Command) -> Result<Option<u32>, String> {
    Ok(None)
}

#[cfg(target_os = "linux")]
fn high_water(pid: i32) -> Option<u32> {
    let status = std::fs::File::open(format!("/proc/{pid}/status")).and_then(std::io::read_to_string).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse().ok()
}

#[cfg(all(test, target_os = "linux"))]
#[expect(clippy::expect_used, reason = "helpers of tests fail their test")]
mod tests {
    use super::*;

    const MIB: u32 = 1_024;

    fn peak_of_filling(megabytes: u32) -> u32 {
        let mut command = Command::new("/bin/sh");
        // `dd` holds one block of this size.
        let script = format!("exec dd if=/dev/zero of=/dev/null bs={megabytes}M count=1 status=none");
        command.args(["-c", &script]);
        peak(&command).expect("measured").expect("told by this system")
    }

    #[test]
    fn what_a_program_fills_is_seen_and_nothing_else() {
        let (small, large) = (peak_of_filling(1), peak_of_filling(65));
        assert!((small..small + 68 * MIB).contains(&large) && large >= small + 63 * MIB, "{small} {large}");
        assert!(small < 6 * MIB, "{small}: the memory of whoever started it must not count");
    }

    #[test]
    fn a_program_that_fails_is_no_measurement() {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "exit 3"]);
        assert!(peak(&command).expect_err("failed").contains("exit code 3"));
    }
}
