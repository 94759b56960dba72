//! What the measurements stand on: release builds, a simulated gateway, a folder of its own, and the Python client.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};

use ibga_core::clock::Stopwatch;

/// The version that `./test` installs too.
const IB_ASYNC: &str = "ib_async==2.1.0";

/// Everything that the measured programs need. Goes away with it.
#[derive(Debug)]
pub(super) struct Stage {
    binaries: PathBuf,
    /// The only folder that the programs write to.
    folder: PathBuf,
    python: Option<PathBuf>,
    gateway: Gateway,
    receiver: SocketAddr,
}

impl Stage {
    /// Builds the programs and starts the gateway. The first check leaves a status file for those that read one.
    pub(super) fn set(needs_python: bool) -> Result<Self, String> {
        let target = target();
        super::say("building the programs (release)");
        build()?;
        let python = if needs_python { find_python(&target) } else { None };
        let folder = target.join("bench");
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).map_err(|fault| format!("cannot make {}: {fault}", folder.display()))?;
        // The first place that is looked at, so that no settings of this machine's count.
        let settings = File::options().write(true).create_new(true).mode(0o600).open(folder.join("ibga.toml"));
        settings.map_err(|fault| format!("cannot write into {}: {fault}", folder.display()))?;
        let binaries = target.join("release");
        let gateway = Gateway::start(&binaries.join("ibga"))?;
        let receiver = receive().map_err(|fault| format!("cannot receive alerts: {fault}"))?;
        let stage = Self { binaries, folder, python, gateway, receiver };
        run(&mut stage.probing(&["check"], &[])).map_err(|fault| format!("the gateway is not ready: {fault}"))?;
        Ok(stage)
    }

    /// A program with nothing of the surrounding environment but the way to programs and the zone.
    fn prepared(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(program.as_ref());
        command.current_dir(&self.folder).env_clear();
        for name in ["PATH", "TZ"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        command.env("HOME", &self.folder).env("IBKR_HOST", "127.0.0.1").env("IBKR_PORT", &self.gateway.port);
        command.env("IBGA_STATUS_FILE", self.folder.join("status.json"));
        command
    }

    /// A program of the system. By its whole path, since a search of the path would count.
    pub(super) fn command(&self, name: &str, arguments: &[&str]) -> Command {
        let mut command = self.prepared(Self::path_of(name));
        command.args(arguments);
        command
    }

    pub(super) fn path_of(name: &str) -> String {
        let places = ["/usr/bin", "/bin"].map(|folder| format!("{folder}/{name}"));
        places.into_iter().find(|path| Path::new(path).exists()).unwrap_or_else(|| name.to_owned())
    }

    pub(super) fn ibga(&self, arguments: &[&str]) -> Command {
        let mut command = self.prepared(self.binaries.join("ibga"));
        command.args(arguments);
        command
    }

    /// `ibga` with what every probe here takes, before what comes last.
    pub(super) fn probing(&self, first: &[&str], last: &[&str]) -> Command {
        let mut command = self.ibga(first);
        command.args(["--port", &self.gateway.port, "--settle", "0ms", "--container", "none"]).args(last);
        command
    }

    /// A check with a person to be told by webhook, and a store of its own in the folder of this name.
    fn telling(&self, store: &str, last: &[&str]) -> Command {
        let mut command = self.probing(&["check"], last);
        command.env("IBGA_STATE_DIR", self.folder.join(store));
        command.env("IBGA_WEBHOOK_URL", format!("http://{}/", self.receiver));
        command
    }

    /// A check that has nothing to tell, and knows it.
    pub(super) fn settled_check(&self) -> Command {
        self.telling("settled", &[])
    }

    /// The same, but it has to look into the outbox.
    pub(super) fn opening_check(&self) -> Command {
        // Without the mark of a check that knew.
        let _ = std::fs::remove_file(self.folder.join("opened/settled-default"));
        self.telling("opened", &[])
    }

    /// A check that finds the gateway ready again, and tells it.
    pub(super) fn telling_check(&self) -> Command {
        // That it was not is told before.
        let _ = self.telling("told", &["--expect-mode", "live"]).output();
        self.telling("told", &["--expect-mode", "paper"])
    }

    /// The program itself.
    pub(super) fn program(&self) -> PathBuf {
        self.binaries.join("ibga")
    }

    /// The folder that goes away with the stage.
    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// None where there is no Python client.
    pub(super) fn python_path(&self) -> Option<&Path> {
        self.python.as_deref()
    }

    pub(super) fn bare_client(&self) -> Command {
        let mut command = self.prepared(self.binaries.join("examples/bare_client"));
        command.args(["127.0.0.1", &self.gateway.port]);
        command
    }

    /// None where there is no Python client.
    pub(super) fn python(&self, script: &str) -> Option<Command> {
        let mut command = self.prepared(self.python.as_ref()?);
        command.args(["-I", "-c", script, "127.0.0.1", &self.gateway.port]);
        Some(command)
    }

    /// How many milliseconds a process took.
    pub(super) fn time(&self, name: &str, command: fn(&Self) -> Command) -> Result<f64, String> {
        timed(&mut command(self)).map_err(|fault| format!("{name}: {fault}"))
    }

    pub(super) fn time_python(&self, name: &str, script: &str) -> Result<Option<f64>, String> {
        self.python(script)
            .map(|mut command| timed(&mut command).map_err(|fault| format!("{name}: {fault}")))
            .transpose()
    }

    /// What a script printed about itself.
    pub(super) fn told_by_python(&self, name: &str, script: &str) -> Result<Option<f64>, String> {
        let Some(mut command) = self.python(script) else { return Ok(None) };
        let output = command.stderr(Stdio::null()).output().map_err(|fault| format!("{name}: {fault}"))?;
        let text = String::from_utf8_lossy(&output.stdout);
        text.trim().parse().map(Some).map_err(|_| format!("{name}: it printed no time but `{}`", text.trim()))
    }

    /// Times the library calls, and hands on the name and the milliseconds of each.
    pub(super) fn library_calls(
        &self,
        batches: usize,
        found: &mut dyn FnMut(&'static str, Vec<f64>),
    ) -> Result<(), String> {
        let mut command = self.prepared(self.binaries.join("examples/library_calls"));
        let output = command.arg(self.folder.join("status.json")).arg(batches.to_string()).output();
        let output = output.map_err(|fault| format!("library_calls: {fault}"))?;
        let text = String::from_utf8_lossy(&output.stdout);
        for name in ["preflight", "lookup"] {
            let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('\t'));
            let line = line.ok_or_else(|| {
                format!("library_calls told nothing of {name}: {}", String::from_utf8_lossy(&output.stderr))
            })?;
            found(name, line.split(' ').filter_map(|micros| micros.parse::<f64>().ok()).map(|us| us / 1e3).collect());
        }
        Ok(())
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        self.gateway.stop();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// Gives a command the folder and the environment of another one.
pub(super) fn like<'a>(command: &'a mut Command, model: &Command) -> &'a mut Command {
    if let Some(folder) = model.get_current_dir() {
        command.current_dir(folder).env_clear();
    }
    command.envs(model.get_envs().filter_map(|(name, value)| Some((name, value?))))
}

pub(super) fn name_of(command: &Command) -> String {
    Path::new(command.get_program()).file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn timed(command: &mut Command) -> Result<f64, String> {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let watch = Stopwatch::start();
    let status = command.status().map_err(|fault| fault.to_string())?;
    let took = watch.elapsed();
    if status.success() { Ok(took.as_secs_f64() * 1e3) } else { Err(format!("it ended with {status}")) }
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command.stdin(Stdio::null()).output().map_err(|fault| fault.to_string())?;
    let told = [output.stdout, output.stderr].concat();
    output.status.success().then_some(()).ok_or_else(|| String::from_utf8_lossy(&told).trim().to_owned())
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap_or(Path::new(".")).to_owned()
}

fn target() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |folder| root().join(folder))
}

fn build() -> Result<(), String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    for arguments in [&["-p", "ibga"][..], &["-p", "ibga-core", "-p", "ibga-tws", "--examples"]] {
        let mut command = Command::new(&cargo);
        command.args(["build", "--release", "--locked", "--quiet"]).args(arguments).current_dir(root());
        let status = command.status().map_err(|fault| format!("cargo does not start: {fault}"))?;
        if !status.success() {
            return Err("the programs do not build".into());
        }
    }
    Ok(())
}

/// A webhook's receiver that accepts everything at once, for as long as this process lives.
fn receive() -> io::Result<SocketAddr> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let address = listener.local_addr()?;
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let _ = accept(&stream);
        }
    });
    Ok(address)
}

fn accept(stream: &TcpStream) -> io::Result<()> {
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        let line = line.trim().to_ascii_lowercase();
        match line.strip_prefix("content-length:") {
            Some(value) => length = value.trim().parse().unwrap_or_default(),
            None if line.is_empty() => break,
            None => {}
        }
    }
    io::copy(&mut reader.take(length), &mut io::sink())?;
    let mut stream = stream;
    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok")
}

/// The client where `./test` puts it, or one installed for this purpose.
fn find_python(target: &Path) -> Option<PathBuf> {
    let tools = std::env::var_os("IBGA_TEST_TOOLS").map_or_else(|| target.join("test-tools"), PathBuf::from);
    let folder = tools.join("ib_async");
    let python = folder.join("bin/python");
    let installed = File::open(folder.join("installed")).and_then(io::read_to_string);
    if installed.is_ok_and(|name| name.trim() == IB_ASYNC) {
        return Some(python);
    }
    super::say(&format!("installing {IB_ASYNC}"));
    let made = run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder)).and_then(|()| {
        run(Command::new(&python).args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", IB_ASYNC]))
    });
    match made.and_then(|()| std::fs::write(folder.join("installed"), IB_ASYNC).map_err(|fault| fault.to_string())) {
        Ok(()) => Some(python),
        Err(fault) => {
            super::say(&format!("{IB_ASYNC} is not measured: {fault}"));
            None
        }
    }
}

/// A simulated gateway in a process of its own. With a command it prints no events, which would cost it time; the command here
/// ends with its standard input.
#[derive(Debug)]
struct Gateway {
    process: Child,
    input: Option<ChildStdin>,
    port: String,
}

impl Gateway {
    fn start(ibga: &Path) -> Result<Self, String> {
        let mut command = Command::new(ibga);
        command.args(["simulate", "--port", "0", "--", "sh", "-c", "echo $IBKR_PORT; exec cat"]);
        let started = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut process = started.map_err(|fault| format!("cannot start the simulated gateway: {fault}"))?;
        let mut port = String::new();
        if let Some(output) = process.stdout.take() {
            BufReader::new(output).read_line(&mut port).map_err(|fault| fault.to_string())?;
        }
        let input = process.stdin.take();
        let mut gateway = Self { process, input, port: port.trim().to_owned() };
        if gateway.port.is_empty() {
            gateway.stop();
            return Err("the simulated gateway told no port".into());
        }
        Ok(gateway)
    }

    fn stop(&mut self) {
        drop(self.input.take());
        let _ = self.process.wait();
    }
}
