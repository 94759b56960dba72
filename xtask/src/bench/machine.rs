//! The machine and the build, as the head of the table tells them.

use std::fs::File;
use std::io;
use std::process::Command;

use ibga_core::clock;

/// One line of Markdown for each fact.
pub(super) fn facts(rounds: usize) -> Vec<String> {
    let unknown = || "unknown".to_owned();
    let cores = cores().map_or_else(unknown, |count| count.to_string());
    vec![
        format!("- date: {}", clock::now().strftime("%Y-%m-%d")),
        format!("- processor: {}, {cores} cores to run on", processor().unwrap_or_else(unknown)),
        format!("- kernel: {}", kernel().unwrap_or_else(unknown)),
        format!("- compiler: {}, release build", compiler().unwrap_or_else(unknown)),
        format!("- load of the machine as it began: {}", load().unwrap_or_else(unknown)),
        format!("- rounds: {rounds}"),
    ]
}

/// A table that is written down is one of a machine that does nothing else; a fault if this one does.
pub(super) fn is_quiet() -> Result<(), String> {
    let load = load().and_then(|load| load.parse().ok());
    load.zip(cores()).map_or(Ok(()), |(load, cores)| judge(load, cores))
}

fn judge(load: f64, cores: usize) -> Result<(), String> {
    let limit = LOAD_EACH_MAX * f64::from(u32::try_from(cores).unwrap_or(u32::MAX));
    if load <= limit {
        return Ok(());
    }
    Err(format!(
        "nothing is measured: the load of this machine is {load:.2}, and for a table to be written at most {limit:.2}; wait until \
         it does nothing else, or leave out --write"
    ))
}

/// The most load for each core.
const LOAD_EACH_MAX: f64 = 0.5;

/// Of the last minute.
fn load() -> Option<String> {
    Some(read("/proc/loadavg")?.split(' ').next()?.to_owned())
}

fn cores() -> Option<usize> {
    std::thread::available_parallelism().ok().map(usize::from)
}

fn processor() -> Option<String> {
    let text = read("/proc/cpuinfo")?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn kernel() -> Option<String> {
    let release = read("/proc/sys/kernel/osrelease")?;
    Some(format!("{} {}", std::env::consts::OS, release.trim()))
}

fn compiler() -> Option<String> {
    let output = Command::new("rustc").arg("--version").output().ok()?;
    Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
}

fn read(path: &str) -> Option<String> {
    File::open(path).and_then(io::read_to_string).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_busy_machine_is_told() {
        for (load, cores) in [(0.0, 1), (0.5, 1), (1.0, 2), (3.9, 8)] {
            assert_eq!(judge(load, cores), Ok(()), "{load} on {cores}");
        }
        for (load, cores) in [(0.51, 1), (1.2, 2), (40.0, 8)] {
            assert!(judge(load, cores).is_err(), "{load} on {cores}");
        }
        let fault = judge(2.15, 2).expect_err("busy");
        assert!(fault.starts_with("nothing is measured: the load of this machine is 2.15, and for a table"), "{fault}");
    }
}
