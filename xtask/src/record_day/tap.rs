//! A relay between a client and the gateway that notes every byte with its time, and how each side ended.

use std::fmt::Write as _;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ibga_core::clock::Stopwatch;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// How long the relay may go on once the client has ended.
const END_LIMIT: Duration = Duration::from_secs(2);

/// A relay in a task of its own.
pub(crate) struct Tap {
    pub(crate) address: SocketAddr,
    notes: Notes,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

#[derive(Clone)]
struct Notes {
    watch: Stopwatch,
    lines: Arc<Mutex<String>>,
}

impl Notes {
    fn note(&self, what: &str) {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let _ = writeln!(lines, "{} {what}", time(self.watch.elapsed()));
    }
}

/// Milliseconds, to the right.
pub(crate) fn time(elapsed: Duration) -> String {
    format!("{:>9.3}", elapsed.as_secs_f64() * 1e3)
}

/// Bytes as a person can read and compare them.
fn escaped(bytes: &[u8]) -> String {
    let mut text = bytes.iter().fold(String::new(), |mut text, byte| {
        match byte {
            0 => text.push_str("\\0"),
            b'\\' => text.push_str("\\\\"),
            b' '..=b'~' => text.push(char::from(*byte)),
            _ => {
                let _ = write!(text, "\\x{byte:02x}");
            }
        }
        text
    });
    // A blank at the end of a line gets lost on the way through editors.
    if text.ends_with(' ') {
        text.truncate(text.len() - 1);
        text.push_str("\\x20");
    }
    text
}

impl Tap {
    pub(crate) async fn start(gateway: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let notes = Notes { watch: Stopwatch::start(), lines: Arc::default() };
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(serve(listener, gateway, notes.clone(), stopped));
        Ok(Self { address, notes, stop, task })
    }

    /// Everything that was noted, once the last session is over.
    pub(crate) async fn finish(self) -> io::Result<String> {
        let _ = self.stop.send(());
        timeout(END_LIMIT, self.task).await??;
        let lines = self.notes.lines.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(lines.clone())
    }
}

/// One session after the other, until it is stopped and none is left.
async fn serve(listener: TcpListener, gateway: SocketAddr, notes: Notes, mut stopped: oneshot::Receiver<()>) {
    loop {
        let client = tokio::select! {
            biased;
            accepted = listener.accept() => accepted,
            _ = &mut stopped => return,
        };
        let (Ok((client, _)), Ok(gateway)) = (client, TcpStream::connect(gateway).await) else { return };
        let _ = (client.set_nodelay(true), gateway.set_nodelay(true));
        notes.note("connect");
        relay(client, gateway, &notes).await;
    }
}

async fn relay(mut client: TcpStream, mut gateway: TcpStream, notes: &Notes) {
    let (mut up, mut down) = (vec![0; 16 * 1024], vec![0; 16 * 1024]);
    loop {
        tokio::select! {
            biased;
            read = client.read(&mut up) => {
                let Ok(count @ 1..) = read else {
                    notes.note("finish");
                    let _ = gateway.shutdown().await;
                    let rest = async { while matches!(gateway.read(&mut down).await, Ok(1..)) {} };
                    let _ = timeout(Duration::from_millis(50), rest).await;
                    return;
                };
                let bytes = up.get(..count).unwrap_or_default();
                notes.note(&format!("> {}", escaped(bytes)));
                let _ = gateway.write_all(bytes).await;
            }
            read = gateway.read(&mut down) => match read {
                Ok(0) => {
                    notes.note("closed");
                    let _ = client.shutdown().await;
                    return;
                }
                Ok(count) => {
                    let bytes = down.get(..count).unwrap_or_default();
                    notes.note(&format!("< {}", escaped(bytes)));
                    let _ = client.write_all(bytes).await;
                }
                Err(_) => {
                    notes.note("reset");
                    let _ = client.set_zero_linger();
                    return;
                }
            },
        }
    }
}
