//! A receiver of webhooks and pings that keeps what it accepts, and can be told to refuse webhooks, or to keep silent.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::Value;

/// What it does with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Manner {
    /// 200, once the whole message is there.
    Accepts,
    /// 503.
    Refuses,
    /// Reads, and never answers.
    Stalls,
}

pub(crate) struct Inbox {
    pub(crate) address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
}

struct State {
    manner: Manner,
    /// Path and body of each.
    accepted: Vec<(String, Vec<u8>)>,
}

impl Inbox {
    pub(crate) fn open() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        let state = State { manner: Manner::Accepts, accepted: Vec::new() };
        let shared = Arc::new(Shared { state: Mutex::new(state) });
        let serving = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&serving);
                std::thread::spawn(move || shared.serve(&stream));
            }
        });
        Self { address, shared }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}/alerts", self.address)
    }

    /// The URL of a dead man's switch that never refuses.
    pub(crate) fn ping_url(&self) -> String {
        format!("http://{}/ping", self.address)
    }

    pub(crate) fn set(&self, manner: Manner) {
        self.shared.state.lock().expect("the state").manner = manner;
    }

    /// The keys of the alerts that were accepted, in order.
    pub(crate) fn keys(&self) -> Vec<String> {
        self.alerts().iter().map(|alert| alert["id"].as_str().expect("an id").to_owned()).collect()
    }

    /// Their subjects, in order.
    pub(crate) fn subjects(&self) -> Vec<String> {
        let subject = |alert: &Value| alert["data"]["subject"].as_str().expect("a subject").to_owned();
        self.alerts().iter().map(subject).collect()
    }

    /// The alerts that were accepted, in order.
    pub(crate) fn alerts(&self) -> Vec<Value> {
        self.at("/alerts").iter().map(|(_, body)| serde_json::from_slice(body).expect("JSON")).collect()
    }

    /// The pings: what follows the URL, without its query, and the body.
    pub(crate) fn pings(&self) -> Vec<(String, String)> {
        let text = |(path, body): (String, Vec<u8>)| {
            let path = path.split('?').next().unwrap_or_default().replace("/ping", "");
            (path, String::from_utf8(body).expect("UTF-8"))
        };
        self.at("/ping").into_iter().map(text).collect()
    }

    fn at(&self, path: &str) -> Vec<(String, Vec<u8>)> {
        let state = self.shared.state.lock().expect("the state");
        state.accepted.iter().filter(|(at, _)| at.starts_with(path)).cloned().collect()
    }
}

impl Shared {
    fn serve(&self, stream: &TcpStream) {
        let mut reader = BufReader::new(stream.try_clone().expect("a second handle"));
        // Several messages may come on one connection.
        while let Some((path, body)) = request(&mut reader) {
            let mut state = self.state.lock().expect("the state");
            let manner = if path.starts_with("/ping") { Manner::Accepts } else { state.manner };
            if manner == Manner::Accepts {
                state.accepted.push((path, body));
            }
            drop(state);
            let answer = match manner {
                Manner::Accepts => "200 OK",
                Manner::Refuses => "503 Service Unavailable",
                Manner::Stalls => {
                    // Until the other side gives up.
                    let _ = reader.read(&mut [0]);
                    return;
                }
            };
            let mut stream = stream;
            if write!(stream, "HTTP/1.1 {answer}\r\ncontent-length: 2\r\n\r\nok").is_err() {
                return;
            }
        }
    }
}

/// Path and body of the next request; none at the end of the connection, also in the middle of one.
fn request(reader: &mut impl BufRead) -> Option<(String, Vec<u8>)> {
    let (mut length, mut path) = (0, None);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim();
        if line.is_empty() {
            break;
        }
        path = path.or_else(|| line.split(' ').nth(1).map(str::to_owned));
        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((path?, body))
}
