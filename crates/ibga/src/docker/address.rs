//! Where the container engine is: what a setting names, or the first socket that exists. Opens nothing.

use std::env;
use std::fmt;
use std::path::PathBuf;

use super::{EngineError, bounded};

/// The port of an engine whose address names none, as the `docker` command has it.
const ENGINE_PORT: u16 = 2375;

/// Where to look for an engine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EngineSettings {
    /// `DOCKER_HOST`.
    pub docker_host: Option<String>,
    /// `DOCKER_TLS_VERIFY`.
    pub tls_verify: Option<String>,
    /// `XDG_RUNTIME_DIR`.
    pub runtime_dir: Option<PathBuf>,
}

impl EngineSettings {
    /// The settings in this process's environment.
    pub fn from_environment() -> Self {
        Self {
            docker_host: env::var("DOCKER_HOST").ok(),
            tls_verify: env::var("DOCKER_TLS_VERIFY").ok(),
            runtime_dir: env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from),
        }
    }

    /// The sockets of the engines that run without being told otherwise, in order of preference.
    fn sockets(&self) -> Vec<PathBuf> {
        let in_runtime_dir = |name: &str| self.runtime_dir.as_ref().map(|directory| directory.join(name));
        [
            Some(PathBuf::from("/var/run/docker.sock")),
            in_runtime_dir("docker.sock"),
            Some(PathBuf::from("/run/podman/podman.sock")),
            in_runtime_dir("podman/podman.sock"),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

/// The address of an engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EngineAddress {
    /// A Unix socket, as an absolute path.
    Socket(String),
    /// `HOST:PORT`, spoken to without encryption.
    Network(String),
}

impl fmt::Display for EngineAddress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(path) => write!(formatter, "unix://{path}"),
            Self::Network(authority) => write!(formatter, "tcp://{authority}"),
        }
    }
}

impl EngineAddress {
    /// The engine that the settings name; if they name none, the first whose socket exists.
    pub fn find(settings: &EngineSettings) -> Result<Self, EngineError> {
        match settings.docker_host.as_deref().map(str::trim) {
            Some(host) if !host.is_empty() => Self::parse(host, settings.tls_verify.as_deref()),
            _ => first_existing(&settings.sockets()),
        }
    }

    fn parse(host: &str, tls_verify: Option<&str>) -> Result<Self, EngineError> {
        let unsupported = |next_step| EngineError::Unsupported { address: shown_address(host), next_step };
        match host.split_once("://") {
            Some(("unix", path)) if path.starts_with('/') => Ok(Self::Socket(path.to_owned())),
            Some(("unix", _)) => Err(unsupported("write the whole path: unix:///PATH")),
            Some(("tcp" | "http", _)) if tls_verify.is_some_and(|verify| !verify.is_empty()) => {
                Err(unsupported(NO_TLS))
            }
            Some(("tcp" | "http", authority)) => network(authority).ok_or_else(|| unsupported("write tcp://HOST:PORT")),
            Some(("https", _)) => Err(unsupported(NO_TLS)),
            Some(("ssh", _)) => Err(unsupported(NO_SSH)),
            _ => Err(unsupported("write unix:///PATH or tcp://HOST:PORT")),
        }
    }
}

const NO_TLS: &str = "TLS to an engine is not spoken here; run on the engine's own host, or forward its socket: \
    `ssh -nNT -L /tmp/engine.sock:/var/run/docker.sock HOST` and DOCKER_HOST=unix:///tmp/engine.sock";
pub(super) const NO_SSH: &str = "forward the socket yourself: `ssh -nNT -L /tmp/engine.sock:/var/run/docker.sock HOST` \
    and DOCKER_HOST=unix:///tmp/engine.sock";

fn network(authority: &str) -> Option<EngineAddress> {
    let authority = authority.trim_end_matches('/');
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '[' | ']' | '%');
    if authority.is_empty() || !authority.chars().all(is_plain) {
        return None;
    }
    let after_host = authority.rsplit_once(']').map_or(authority, |(_, after)| after);
    match after_host.split_once(':') {
        Some((_, port)) => port.parse::<u16>().ok().map(|_| EngineAddress::Network(authority.to_owned())),
        None => Some(EngineAddress::Network(format!("{authority}:{ENGINE_PORT}"))),
    }
}

/// The address for a message, without the credentials that some write into it.
fn shown_address(host: &str) -> String {
    let (scheme, rest) = host.split_once("://").unwrap_or(("", host));
    let rest = rest.rsplit_once('@').map_or(rest, |(_, after)| after);
    let separator = if scheme.is_empty() { "" } else { "://" };
    bounded(&format!("{scheme}{separator}{rest}"))
}

fn first_existing(sockets: &[PathBuf]) -> Result<EngineAddress, EngineError> {
    let existing = sockets.iter().find(|socket| socket.exists());
    let existing = existing.and_then(|socket| socket.to_str());
    existing.map(|socket| EngineAddress::Socket(socket.to_owned())).ok_or_else(|| {
        let looked_at: Vec<_> = sockets.iter().map(|socket| socket.display().to_string()).collect();
        EngineError::NoEngine { address: looked_at.join(", ") }
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn an_engine_is_found_by_its_setting() {
        let socket = |path: &str| Ok(EngineAddress::Socket(path.into()));
        let network = |authority: &str| Ok(EngineAddress::Network(authority.into()));
        let cases = [
            ("unix:///run/user/1000/docker.sock", None, socket("/run/user/1000/docker.sock")),
            (" unix:///a.sock\n", Some("1"), socket("/a.sock")),
            ("unix://", None, Err("unix://")),
            ("unix://docker.sock", None, Err("unix://docker.sock")),
            ("tcp://10.0.0.5:2375", None, network("10.0.0.5:2375")),
            ("tcp://engine", Some(""), network("engine:2375")),
            ("http://engine:80/", None, network("engine:80")),
            ("tcp://[fd00::2]:2375", None, network("[fd00::2]:2375")),
            ("tcp://[fd00::2]", None, network("[fd00::2]:2375")),
            ("tcp://", None, Err("tcp://")),
            ("tcp://engine:port", None, Err("tcp://engine:port")),
            ("tcp://engine/path", None, Err("tcp://engine/path")),
            ("tcp://10.0.0.5:2376", Some("1"), Err("tcp://10.0.0.5:2376")),
            ("https://engine:2376", None, Err("https://engine:2376")),
            ("ssh://me:secret@engine", None, Err("ssh://engine")),
            ("npipe:////./pipe/docker_engine", None, Err("npipe:////./pipe/docker_engine")),
            ("/var/run/docker.sock", None, Err("/var/run/docker.sock")),
        ];
        for (docker_host, tls_verify, expected) in cases {
            let settings = EngineSettings {
                docker_host: Some(docker_host.into()),
                tls_verify: tls_verify.map(Into::into),
                runtime_dir: None,
            };
            let found = EngineAddress::find(&settings).map_err(|error| match error {
                EngineError::Unsupported { address, .. } => address,
                other => other.to_string(),
            });
            assert_eq!(found, expected.map_err(str::to_owned), "{docker_host}");
        }
    }

    #[test]
    fn without_a_setting_the_first_socket_that_exists_is_taken() {
        let settings = EngineSettings {
            runtime_dir: Some("/run/user/1000".into()),
            docker_host: Some("  ".into()),
            tls_verify: None,
        };
        let shown: Vec<_> = settings.sockets().iter().map(|socket| socket.display().to_string()).collect();
        let expected = [
            "/var/run/docker.sock",
            "/run/user/1000/docker.sock",
            "/run/podman/podman.sock",
            "/run/user/1000/podman/podman.sock",
        ];
        assert_eq!(shown, expected);
        assert_eq!(EngineSettings::default().sockets().len(), 2);

        let directory = env::temp_dir().join(format!("ibga-docker-address-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let sockets = ["one", "two", "three"].map(|name| directory.join(name));
        let Err(EngineError::NoEngine { address }) = first_existing(&sockets) else { panic!("found one") };
        assert!(sockets.iter().all(|socket| address.contains(socket.to_str().unwrap())), "{address}");
        fs::write(&sockets[2], "").unwrap();
        fs::write(&sockets[1], "").unwrap();
        assert_eq!(first_existing(&sockets), Ok(EngineAddress::Socket(sockets[1].to_str().unwrap().into())));
        fs::remove_dir_all(&directory).unwrap();
    }
}
