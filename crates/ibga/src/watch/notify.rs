//! What systemd is told: that the watch is ready, what it does, and that it lives (`sd_notify(3)`). Without `NOTIFY_SOCKET` nobody is.

use std::env;
use std::ffi::OsString;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use ibga_core::clock;

/// The longest status line.
const STATUS_CHARS_MAX: usize = 300;

/// The way to systemd, if it started this process and wants to be told.
pub(super) struct Notifier {
    socket: Option<(UnixDatagram, SocketAddr)>,
    /// How often it has to be told that this process lives.
    watchdog: Option<Duration>,
}

impl Notifier {
    /// What the environment of this process says.
    pub(super) fn from_environment() -> Self {
        let socket = env::var_os("NOTIFY_SOCKET").and_then(|path| open(&path).ok());
        let number = |name: &str| env::var(name).ok().and_then(|text| text.trim().parse::<u64>().ok());
        let is_meant = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
        let watchdog = number("WATCHDOG_USEC").filter(|usec| *usec > 0 && is_meant).map(Duration::from_micros);
        Self { watchdog: watchdog.filter(|_| socket.is_some()), socket }
    }

    /// How often [`Notifier::alive`] is to be called: twice as often as systemd expects it.
    pub(super) fn watchdog_interval(&self) -> Option<Duration> {
        self.watchdog.map(|limit| limit / 2)
    }

    /// It serves.
    pub(super) fn ready(&self) {
        self.send("READY=1");
    }

    /// It lives.
    pub(super) fn alive(&self) {
        self.send("WATCHDOG=1");
    }

    /// It reads its configuration anew; [`Notifier::ready`] ends that.
    pub(super) fn reloading(&self) {
        self.send(&format!("RELOADING=1\nMONOTONIC_USEC={}", clock::monotonic().as_micros()));
    }

    /// It ends.
    pub(super) fn stopping(&self) {
        self.send("STOPPING=1");
    }

    /// What it does, for `systemctl status`.
    pub(super) fn status(&self, text: &str) {
        let line: String = text.chars().filter(|c| !c.is_control()).take(STATUS_CHARS_MAX).collect();
        self.send(&format!("STATUS={line}"));
    }

    fn send(&self, message: &str) {
        if let Some((socket, address)) = &self.socket {
            // Whoever does not listen is not told.
            let _ = socket.send_to_addr(message.as_bytes(), address);
        }
    }
}

/// A path, or a name in the abstract namespace after an `@`.
fn open(path: &OsString) -> io::Result<(UnixDatagram, SocketAddr)> {
    let bytes = path.as_bytes();
    let address = match bytes.strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(path)?,
    };
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    Ok((socket, address))
}
