//! The machine and the build, as the head of the table tells them.

use std::fs::File;
use std::io;
use std::process::Command;

use ibga_core::clock;

/// One line of Markdown for each fact.
pub(super) fn facts(rounds: usize) -> Vec<String> {
    let unknown = || "unknown".to_owned();
    let cores = std::thread::available_parallelism().map_or_else(|_| unknown(), |count| count.to_string());
    let load = read("/proc/loadavg").and_then(|text| Some(text.split(' ').next()?.to_owned()));
    vec![
        format!("- date: {}", clock::now().strftime("%Y-%m-%d")),
        format!("- processor: {}, {cores} cores to run on", processor().unwrap_or_else(unknown)),
        format!("- kernel: {}", kernel().unwrap_or_else(unknown)),
        format!("- compiler: {}, release build", compiler().unwrap_or_else(unknown)),
        format!("- load of the machine as it began: {}", load.unwrap_or_else(unknown)),
        format!("- rounds: {rounds}"),
    ]
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
