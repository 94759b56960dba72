//! The thin part that owns a socket: does what [`crate::probe`] or [`crate::session`] says, tells it what happened, and decides
//! nothing.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::time::Duration;

use ibga_core::clock::Stopwatch;
use ibga_core::observation::{ApiSeen, ConnectFailure};
use rustix::net::sockopt::{set_socket_keepalive, set_tcp_keepcnt, set_tcp_keepidle, set_tcp_keepintvl};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::probe::{Action, Event, Probe, ProbePlan};
use crate::session::{self, News, Session};

/// How much is read at once.
const READ_BYTES: usize = 16 * 1024;

/// How much is read at once of a session that stays; heartbeats have some tens of bytes.
const STAY_READ_BYTES: usize = 4 * 1024;

/// After so long without a byte the system asks whether the peer is still there, and so often.
const KEEPALIVE: Duration = Duration::from_secs(30);
/// So often without an answer, and it is not.
const KEEPALIVE_PROBES: u32 = 3;

/// The longest single wait; what comes later is asked for again.
const WAIT_MAX: Duration = Duration::from_hours(1);

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

/// The socket of a session that stays: one at most.
pub struct Line {
    host: String,
    port: u16,
    stream: Option<TcpStream>,
    /// What has been begun and is not interrupted by whoever abandons [`Line::run`].
    work: Option<Pin<Box<dyn Future<Output = Done> + Send>>>,
}

/// What work on the socket came to.
enum Done {
    Connected(Result<TcpStream, ConnectFailure>),
    Closed,
}

impl Line {
    /// A line to this host that is not open yet.
    pub fn new(host: &str, port: u16) -> Self {
        Self { host: host.to_owned(), port, stream: None, work: None }
    }

    /// Drives the session until it has news. May be abandoned at any time and called again. The watch counts from the session's
    /// beginning.
    pub async fn run(&mut self, session: &mut Session, watch: Stopwatch) -> News {
        loop {
            if let Some(work) = &mut self.work {
                let done = work.await;
                self.work = None;
                self.take_in(done, session, watch.elapsed());
            }
            let action = session.next_action(watch.elapsed());
            if let Some(news) = session.take_news() {
                // What else it wants now, it wants again; but bytes that are given out are given out once.
                self.begin(action, session, watch);
                return news;
            }
            match action {
                session::Action::Wait(until) => self.wait(session, until, watch).await,
                action => self.begin(action, session, watch),
            }
            if let Some(news) = session.take_news() {
                return news;
            }
        }
    }

    /// Ends the connection, if there is one, in good order.
    pub async fn close(mut self) {
        // A connection that is being opened is not waited for: it would be closed without a word.
        self.work = None;
        if let Some(stream) = self.stream.take() {
            close(stream, CLOSE_LIMIT).await;
        }
    }

    fn begin(&mut self, action: session::Action, session: &mut Session, watch: Stopwatch) {
        match action {
            session::Action::Wait(_) => {}
            session::Action::Send(bytes) => {
                // A few bytes that the system takes at once, or the peer has not read for long. One that has gone may still have said
                // why: reading finds out, and how it went.
                let written = self.stream.as_ref().map_or(Ok(0), |stream| stream.try_write(&bytes));
                if written.as_ref().is_ok_and(|count| *count < bytes.len()) || is_full(&written) {
                    session.handle(&Event::Reset, watch.elapsed());
                }
            }
            session::Action::Connect(until) => {
                let (host, port, old) = (self.host.clone(), self.port, self.stream.take());
                let limit = left(watch, until);
                self.work = Some(Box::pin(async move {
                    if let Some(old) = old {
                        close(old, limit).await;
                    }
                    Done::Connected(connect(&host, port, left(watch, until)).await)
                }));
            }
            session::Action::Close => {
                if let Some(stream) = self.stream.take() {
                    self.work = Some(Box::pin(async move {
                        close(stream, CLOSE_LIMIT).await;
                        Done::Closed
                    }));
                }
            }
        }
    }

    fn take_in(&mut self, done: Done, session: &mut Session, now: Duration) {
        match done {
            Done::Closed => {}
            Done::Connected(Ok(stream)) => {
                // Else a peer that vanished is not noticed while nobody speaks.
                let _ = set_socket_keepalive(&stream, true);
                let _ = set_tcp_keepidle(&stream, KEEPALIVE);
                let _ = set_tcp_keepintvl(&stream, KEEPALIVE);
                let _ = set_tcp_keepcnt(&stream, KEEPALIVE_PROBES);
                self.stream = Some(stream);
                session.handle(&Event::Connected, now);
            }
            Done::Connected(Err(failure)) => session.handle(&Event::ConnectFailed(failure), now),
        }
    }

    async fn wait(&mut self, session: &mut Session, until: Duration, watch: Stopwatch) {
        let rest = left(watch, until).min(WAIT_MAX);
        let Some(stream) = &self.stream else {
            tokio::time::sleep(rest).await;
            return;
        };
        if !matches!(timeout(rest, stream.readable()).await, Ok(Ok(()))) {
            return;
        }
        // Not held while anything is awaited, so that many sessions share the memory.
        let mut buffer = [0; STAY_READ_BYTES];
        let event = match stream.try_read(&mut buffer) {
            Err(fault) if fault.kind() == io::ErrorKind::WouldBlock => return,
            Ok(0) => Event::Closed,
            Ok(count) => Event::Bytes(buffer.get(..count).unwrap_or_default()),
            Err(_) => Event::Reset,
        };
        session.handle(&event, watch.elapsed());
        // A peer that never stops sending must not keep the thread from the other sessions.
        tokio::task::yield_now().await;
    }
}

fn is_full(written: &io::Result<usize>) -> bool {
    written.as_ref().is_err_and(|fault| fault.kind() == io::ErrorKind::WouldBlock)
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
