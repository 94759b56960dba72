//! A container engine with one container, which can be stopped and started: as much of Docker Engine's interface as a watch asks for.

use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// The only container's name.
pub(super) const CONTAINER: &str = "gateways";

const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

/// The engine. Its socket goes with it; its threads end with the connections.
#[derive(Debug)]
pub(super) struct Engine {
    path: PathBuf,
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug)]
struct Inner {
    state: &'static str,
    listeners: Vec<UnixStream>,
}

impl Engine {
    /// Listens at this path; the container runs.
    pub(super) fn listen(path: &Path) -> Result<Self, String> {
        let _ = std::fs::remove_file(path);
        let listener = UnixListener::bind(path).map_err(|fault| format!("no container engine: {fault}"))?;
        let inner = Arc::new(Mutex::new(Inner { state: "running", listeners: Vec::new() }));
        let shared = Arc::clone(&inner);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || serve(stream, &shared));
            }
        });
        Ok(Self { path: path.to_owned(), inner })
    }

    /// Where it listens.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The container ends, or starts again, and whoever listens hears of it.
    pub(super) fn become_state(&self, state: &'static str, action: &str) {
        let mut inner = lock(&self.inner);
        inner.state = state;
        let event = format!(
            r#"{{"Type":"container","Action":"{action}","Actor":{{"ID":"{ID}","Attributes":{{"name":"{CONTAINER}"}}}}}}"#
        );
        inner.listeners.retain_mut(|stream| chunk(stream, &format!("{event}\n")).is_ok());
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

fn lock(inner: &Mutex<Inner>) -> MutexGuard<'_, Inner> {
    inner.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Answers one request after the other on one connection.
fn serve(stream: UnixStream, inner: &Mutex<Inner>) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut stream = stream;
    loop {
        let target = request(&mut reader)?;
        let what = target.split('?').next().unwrap_or_default();
        if what.ends_with("/events") {
            let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
            stream.write_all(head.as_bytes()).ok()?;
            lock(inner).listeners.push(stream);
            return Some(());
        }
        let state = lock(inner).state;
        let body = if what.ends_with("/containers/json") {
            format!(r#"[{{"Id":"{ID}","Names":["/{CONTAINER}"],"State":"{state}","Ports":[]}}]"#)
        } else {
            // An empty log.
            String::new()
        };
        let length = body.len();
        let head = format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n");
        stream.write_all((head + &body).as_bytes()).ok()?;
    }
}

/// The target of the next request. None of them has a body.
fn request(reader: &mut impl BufRead) -> Option<String> {
    let mut first = String::new();
    reader.read_line(&mut first).ok()?;
    let target = first.split(' ').nth(1)?.to_owned();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if line.trim().is_empty() {
            return Some(target);
        }
    }
}

fn chunk(stream: &mut UnixStream, text: &str) -> io::Result<()> {
    stream.write_all(format!("{:x}\r\n{text}\r\n", text.len()).as_bytes())
}
