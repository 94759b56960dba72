//! What the end-to-end tests share: the real binary in a folder of its own, and a simulated gateway in this process.

#![allow(dead_code, unreachable_pub, reason = "each test file uses a part of it")]
#![allow(clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "helpers of tests fail their test")]

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use ibga_sim::{Config, Scenario, What, blocking};
use serde_json::Value;

/// A folder that is removed at the end of the test, and the binary run in it with an environment of its own.
pub struct Desk {
    pub folder: PathBuf,
}

const BINARY: &str = env!("CARGO_BIN_EXE_ibga");

static NUMBER: AtomicU32 = AtomicU32::new(0);

impl Desk {
    pub fn new() -> Self {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("ibga-test-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        Self { folder }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    pub fn status_file(&self) -> PathBuf {
        self.path("status.json")
    }

    pub fn halt_file(&self) -> PathBuf {
        self.path("halt.json")
    }

    /// The binary with nothing of the surrounding environment but the way to programs.
    pub fn command(&self, arguments: &[&str]) -> Command {
        self.prepared(Command::new(BINARY), arguments)
    }

    /// The same under another program.
    pub fn command_under(&self, program: &str, options: &[&str], arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(options).arg(BINARY);
        self.prepared(command, arguments)
    }

    fn prepared(&self, mut command: Command, arguments: &[&str]) -> Command {
        command
            .args(arguments)
            .current_dir(&self.folder)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", &self.folder)
            .env("TZ", "Asia/Hong_Kong")
            .env("DOCKER_HOST", "unix:///nonexistent/docker.sock")
            .env("IBGA_STATUS_FILE", self.status_file())
            .env("IBGA_STATE_DIR", self.path("state"))
            // What is halted on this machine is no matter of the tests.
            .env("IBGA_HALT_FILE", self.halt_file());
        command
    }

    pub fn run(&self, arguments: &[&str]) -> Ran {
        Ran::from(self.command(arguments).output().expect("the binary starts"))
    }

    /// `ibga check` against a simulated gateway.
    pub fn check(&self, gateway: SocketAddr, arguments: &[&str]) -> Ran {
        let (host, port) = (gateway.ip().to_string(), gateway.port().to_string());
        let mut all = vec!["check", "--host", &host, "--port", &port];
        all.extend_from_slice(arguments);
        self.run(&all)
    }

    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, text).expect("written");
        set_mode(&path, 0o600);
        path
    }

    pub fn status(&self) -> Value {
        let text = std::fs::File::open(self.status_file()).map(|file| std::io::read_to_string(file).expect("text"));
        serde_json::from_str(&text.expect("a status file")).expect("JSON")
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

pub fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("a mode");
}

/// Where `./test` installs what tests need.
pub fn tools() -> PathBuf {
    let beside_the_build = || Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("test-tools");
    std::env::var_os("IBGA_TEST_TOOLS").map_or_else(beside_the_build, PathBuf::from)
}

/// What a run of the binary came to.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Ran {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|fault| panic!("{fault}: {self:?}"))
    }
}

/// A simulated gateway that runs until it is dropped.
pub struct Gateway {
    pub address: SocketAddr,
    gateway: blocking::Gateway,
}

impl Gateway {
    pub fn start(config: Config) -> Self {
        let gateway = blocking::Gateway::start(config).expect("a simulated gateway");
        Self { address: gateway.address(), gateway }
    }

    /// What moves it.
    pub fn remote(&self) -> &blocking::Gateway {
        &self.gateway
    }

    /// Where the lock of this gateway lies.
    pub fn lock_file(&self) -> PathBuf {
        format!("/tmp/ibga-{}-{}.lock", self.address.ip(), self.address.port()).into()
    }

    /// What happened so far.
    pub fn events(&self) -> Vec<Value> {
        self.gateway.events().iter().map(|event| serde_json::to_value(event).expect("JSON")).collect()
    }

    /// How many events of this name there were so far.
    pub fn count(&self, name: &str) -> usize {
        self.events().iter().filter(|event| event["event"] == name).count()
    }

    /// Waits until somebody has connected.
    pub fn wait_for_client(&self) {
        let came = self.gateway.wait_for(Duration::from_mins(1), |what| matches!(what, What::Connected { .. }));
        assert!(came.is_some(), "nobody came");
    }

    pub fn playing(scenario: Scenario) -> Self {
        Self::start(Config { timeline: scenario.into(), ..Config::default() })
    }
}
