//! The thin part that owns a socket: does what [`crate::probe`] says, tells it what happened, and decides nothing.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use ibga_core::clock::Stopwatch;
use ibga_core::observation::{ApiSeen, ConnectFailure};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::probe::{Action, Event, Probe, ProbePlan};

/// How much is read at once.
const READ_BYTES: usize = 16 * 1024;

/// How many addresses of a name are tried.
const ADDRESSES_MAX: usize = 8;

/// How much of what is still coming is read when closing, before the peer is left to its flood.
const CLOSE_BYTES_MAX: usize = 256 * 1024;

/// How long the peer gets to close its side, so that closing ours does not reset a connection with bytes in flight.
const CLOSE_LIMIT: Duration = Duration::from_millis(100);

/// Probes the gateway at `host` and `port`. Returns within the plan's timeout (and the short close), whatever the peer does.
pub async fn probe(plan: ProbePlan, host: &str, port: u16) -> ApiSeen {
    let watch = Stopwatch::start();
    let overall = plan.timeout;
    let mut probe = Probe::new(plan);
    let mut stream = None;
    let mut buffer = vec![0; READ_BYTES];
    loop {
        match probe.next_action(watch.elapsed()) {
            Action::Connect(until) => {
                if let Some(old) = stream.take() {
                    close(old, left(watch, overall)).await;
                }
                match connect(host, port, left(watch, until)).await {
                    Ok(new) => {
                        stream = Some(new);
                        probe.handle(&Event::Connected, watch.elapsed());
                    }
                    Err(failure) => probe.handle(&Event::ConnectFailed(failure), watch.elapsed()),
                }
            }
            Action::Send(bytes) => {
                if let Some(stream) = &mut stream {
                    // A peer that has gone may still have said why: reading finds out, and how it went.
                    let _ = timeout(left(watch, overall), stream.write_all(&bytes)).await;
                }
            }
            Action::Wait(until) => {
                let Some(stream) = &stream else { break };
                let Ok(read) = timeout(left(watch, until), read(stream, &mut buffer)).await else {
                    continue;
                };
                let event = match read {
                    Ok(0) => Event::Closed,
                    Ok(count) => Event::Bytes(buffer.get(..count).unwrap_or_default()),
                    Err(_) => Event::Reset,
                };
                probe.handle(&event, watch.elapsed());
            }
            Action::Finish => break,
        }
    }
    let elapsed = watch.elapsed();
    if let Some(stream) = stream {
        close(stream, left(watch, overall)).await;
    }
    probe.into_observation(elapsed)
}

fn left(watch: Stopwatch, until: Duration) -> Duration {
    until.saturating_sub(watch.elapsed())
}

/// Tries the addresses of a name in turn, each with its share of the time; the last failure is told. An address needs no
/// look-up, which would cost a thread.
async fn connect(host: &str, port: u16, limit: Duration) -> Result<TcpStream, ConnectFailure> {
    let watch = Stopwatch::start();
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let addresses: Vec<SocketAddr> = match bare.parse::<IpAddr>() {
        Ok(address) => vec![SocketAddr::new(address, port)],
        Err(_) => match timeout(limit, tokio::net::lookup_host((host, port))).await {
            Ok(Ok(found)) => found.take(ADDRESSES_MAX).collect(),
            Ok(Err(fault)) => return Err(ConnectFailure::NameNotResolved(fault.to_string())),
            Err(_) => return Err(ConnectFailure::NameNotResolved(format!("looking up {host} got no answer in time"))),
        },
    };
    let mut failure = ConnectFailure::NameNotResolved(format!("{host} has no address"));
    for (number, address) in addresses.iter().enumerate() {
        let shares = u32::try_from(addresses.len() - number).unwrap_or(1);
        match timeout(left(watch, limit) / shares, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                // Without this the questions wait for the acknowledgement of the hello.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Ok(Err(fault)) => failure = connect_failure(&fault),
            Err(_) => failure = ConnectFailure::TimedOut,
        }
    }
    Err(failure)
}

fn connect_failure(fault: &io::Error) -> ConnectFailure {
    match fault.kind() {
        io::ErrorKind::ConnectionRefused => ConnectFailure::Refused,
        io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted => ConnectFailure::Reset,
        io::ErrorKind::TimedOut => ConnectFailure::TimedOut,
        io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable => {
            ConnectFailure::Unreachable(fault.to_string())
        }
        _ => ConnectFailure::Local(fault.to_string()),
    }
}

async fn read(stream: &TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        stream.readable().await?;
        match stream.try_read(buffer) {
            Err(fault) if fault.kind() == io::ErrorKind::WouldBlock => {}
            result => return result,
        }
    }
}

/// Ends our side, reads what is pending, and lets the peer end its side.
async fn close(mut stream: TcpStream, limit: Duration) {
    if stream.shutdown().await.is_err() {
        return;
    }
    let watch = Stopwatch::start();
    let limit = limit.min(CLOSE_LIMIT);
    let mut buffer = [0; 1024];
    let mut bytes = 0;
    while bytes < CLOSE_BYTES_MAX
        && let Ok(Ok(count @ 1..)) = timeout(left(watch, limit), read(&stream, &mut buffer)).await
    {
        bytes += count;
    }
}
