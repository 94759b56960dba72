//! One connection to the gateway, from the greeting to the end: interprets a [`Behaviour`] and names no scenario.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use ibga_tws::ServerVersion;
use ibga_tws::frame::{Frame, FrameDecoder};
use ibga_tws::hello::{ClientHello, ServerHello};
use ibga_tws::request::{Request, split_message};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::broadcast::{self, error::RecvError};
use tokio::time::{sleep, timeout};

use crate::behaviour::{Admission, Answering, Behaviour, Ending, Greeting, OpenSessions, Step, Version, Writes, Zone};
use crate::config::Config;
use crate::desk::{self, Context, Desk};
use crate::event::{Answer, How, Party, What};
use crate::message::{self, Message};
use crate::proxy::close;
use crate::requests;
use crate::scenario::Scenario;
use crate::shared::{Refusal, Seat, Shared};

const READ_BYTES: usize = 8 * 1024;

/// The most bytes that are kept of a client whose hello is not answered.
const UNANSWERED_BYTES_MAX: usize = 4 * 1024;

/// How long a client may leave a write unread before it is given up.
const WRITE_LIMIT: Duration = Duration::from_secs(30);

const IN_USE: &str = "Unable to connect as the client id is already in use. Retry with a unique client id.";

/// The size of the small and the huge messages of a flood, how many small ones come between two huge ones, and a pause that
/// leaves others on this machine some time.
const FLOOD_SMALL: usize = 200;
const FLOOD_HUGE: usize = 256 * 1024;
const FLOOD_ROUND: usize = 100;
const FLOOD_PAUSE: Duration = Duration::from_millis(5);

/// What a gateway changes to.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    pub(crate) scenario: Scenario,
    /// With the accounts of the login.
    pub(crate) config: Arc<Config>,
}

/// How a connection ended.
#[derive(Clone, Copy, Debug)]
struct Ended {
    by: Party,
    how: How,
}

impl From<io::Error> for Ended {
    /// Whatever fails on a connected socket, the peer has gone.
    fn from(_: io::Error) -> Self {
        Self { by: Party::Client, how: How::Reset }
    }
}

impl From<Ending> for Ended {
    fn from(ending: Ending) -> Self {
        let how = match ending {
            Ending::Close => How::Closed,
            Ending::Reset => How::Reset,
        };
        Self { by: Party::Gateway, how }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The client's hello is not answered yet.
    Hello,
    /// The client's startApi is awaited.
    Start,
    /// The client named its id and was left without an answer.
    Stuck,
    /// The session is open.
    Open,
    /// The peer plays dead.
    Vanished,
}

/// One connection.
pub(crate) struct Session {
    shared: Arc<Shared>,
    config: Arc<Config>,
    connection: u64,
    stream: TcpStream,
    changes: broadcast::Receiver<Change>,
    behaviour: Behaviour,
    stage: Stage,
    spoke: bool,
    version: ServerVersion,
    /// What came before the hello was answered.
    early: Vec<u8>,
    decoder: FrameDecoder,
    script: VecDeque<Step>,
    /// When the script goes on.
    resume_at: Option<Duration>,
    desk: Desk,
    seat: Option<Seat>,
    /// What waits to be written.
    outgoing: Vec<Vec<u8>>,
    /// Whether the client asked for what is written next, so that the configured delay is due.
    asked: bool,
}

impl Session {
    pub(crate) fn new(
        shared: Arc<Shared>,
        connection: u64,
        stream: TcpStream,
        current: Change,
        changes: broadcast::Receiver<Change>,
    ) -> Self {
        let Change { scenario, config } = current;
        Self {
            shared,
            config,
            connection,
            stream,
            changes,
            behaviour: scenario.behaviour(),
            stage: Stage::Hello,
            spoke: false,
            version: ServerVersion::FLOOR,
            early: Vec::new(),
            decoder: FrameDecoder::default(),
            script: VecDeque::new(),
            resume_at: None,
            desk: Desk::new(),
            seat: None,
            outgoing: Vec::new(),
            asked: false,
        }
    }

    /// Serves the connection to its end.
    pub(crate) async fn run(mut self) {
        let _ = self.stream.set_nodelay(true);
        let Err(ended) = self.talk().await;
        // The id is free before the client can see the end.
        self.seat = None;
        let Ended { by, how } = ended;
        self.shared.teller.tell(What::Closed { connection: self.connection, by, how });
        match ended {
            Ended { by: Party::Gateway, how: How::Reset } => {
                let _ = self.stream.set_zero_linger();
            }
            Ended { by: Party::Gateway, how: How::Closed } => close(self.stream).await,
            _ => {}
        }
    }

    async fn talk(&mut self) -> Result<std::convert::Infallible, Ended> {
        self.greet().await?;
        let mut buffer = vec![0; READ_BYTES];
        loop {
            self.play().await?;
            let reading = self.stage != Stage::Vanished;
            let pause = self.resume_at.map(|at| at.saturating_sub(self.shared.teller.elapsed()));
            tokio::select! {
                read = self.stream.read(&mut buffer), if reading => match read? {
                    0 => return Err(Ended { by: Party::Client, how: How::Closed }),
                    count => self.received(buffer.get(..count).unwrap_or_default()).await?,
                },
                () = sleep(pause.unwrap_or_default()), if pause.is_some() => self.resume_at = None,
                change = self.changes.recv() => self.changed(change).await?,
            }
        }
    }

    async fn received(&mut self, bytes: &[u8]) -> Result<(), Ended> {
        if self.stage == Stage::Hello {
            let room = UNANSWERED_BYTES_MAX.saturating_sub(self.early.len()).min(bytes.len());
            self.early.extend_from_slice(bytes.get(..room).unwrap_or_default());
            return self.greet().await;
        }
        self.decoder.push(bytes);
        self.frames().await
    }

    /// Does what the connection meets first, as far as that is due.
    async fn greet(&mut self) -> Result<(), Ended> {
        if self.stage != Stage::Hello {
            return Ok(());
        }
        match self.behaviour.greeting {
            Greeting::Silence => Ok(()),
            Greeting::End(ending) => Err(ending.into()),
            Greeting::EndInTurn if self.connection.is_multiple_of(2) => Err(Ending::Reset.into()),
            Greeting::EndInTurn => Err(Ending::Close.into()),
            Greeting::Speaks(bytes) => {
                if self.spoke {
                    return Ok(());
                }
                self.spoke = true;
                self.outgoing.push(bytes.to_vec());
                self.flush().await
            }
            Greeting::Answers(_) if self.early.is_empty() => Ok(()),
            Greeting::Answers(bytes) => {
                self.outgoing.push(bytes.to_vec());
                self.flush().await?;
                Err(Ending::Close.into())
            }
            Greeting::Hello | Greeting::HalfHello | Greeting::Redirect(_) => self.hello().await,
        }
    }

    async fn hello(&mut self) -> Result<(), Ended> {
        let (hello, taken) = match ClientHello::parse(&self.early) {
            Ok(Some(parsed)) => parsed,
            Ok(None) => return Ok(()),
            // A gateway resets a client whose first bytes are not its protocol.
            Err(_) => return Err(Ending::Reset.into()),
        };
        let (min, max) = (hello.min.0, hello.max.0);
        self.shared.teller.tell(What::Hello { connection: self.connection, min, max });
        self.version = match self.behaviour.version {
            Version::Negotiated => hello.max.min(ServerVersion(self.config.server_version)),
            Version::Fixed(version) => ServerVersion(version),
        };
        let answer = match self.behaviour.greeting {
            Greeting::Redirect(address) => ServerHello::Redirect(address.to_owned()),
            _ => ServerHello::Session { version: self.version, time: self.hello_time() },
        };
        let mut bytes = answer.encode();
        if self.behaviour.greeting == Greeting::HalfHello {
            bytes.truncate(bytes.len() / 2);
        }
        self.outgoing.push(bytes);
        self.asked = true;
        self.flush().await?;
        if self.behaviour.greeting != Greeting::Hello {
            return Err(Ending::Close.into());
        }
        self.stage = Stage::Start;
        let early = std::mem::take(&mut self.early);
        self.decoder.push(early.get(taken..).unwrap_or_default());
        self.frames().await
    }

    fn hello_time(&self) -> Vec<u8> {
        let name = &self.config.time_zone;
        let zone = TimeZone::get(name).unwrap_or(TimeZone::UTC);
        let mut time = self.now().to_zoned(zone).strftime("%Y%m%d %H:%M:%S").to_string().into_bytes();
        let zone = match self.behaviour.zone {
            Zone::Configured => name.as_bytes(),
            Zone::Bytes(bytes) => bytes,
            Zone::Missing => return time,
        };
        time.push(b' ');
        time.extend_from_slice(zone);
        time
    }

    async fn frames(&mut self) -> Result<(), Ended> {
        loop {
            match self.decoder.next_frame() {
                Ok(None) => break,
                Ok(Some(Frame::Skipped { .. })) => {}
                Ok(Some(Frame::Payload(payload))) => {
                    self.request(&payload);
                    if self.behaviour.writes != Writes::Together {
                        self.flush().await?;
                    }
                    // What a session opens with goes out before its next request is looked at.
                    self.play().await?;
                }
                Err(_) => return Err(Ending::Close.into()),
            }
        }
        self.flush().await
    }

    fn request(&mut self, payload: &[u8]) {
        self.asked = true;
        match Request::decode(self.version, payload) {
            Ok(Request::StartApi { client_id }) if self.stage == Stage::Start => self.start(client_id),
            Ok(request) if self.stage == Stage::Open => {
                let context = Context {
                    behaviour: &self.behaviour,
                    config: &self.config,
                    port: self.shared.port,
                    version: self.version,
                    elapsed: self.shared.teller.elapsed(),
                    now: self.now(),
                };
                let (answer, messages) = self.desk.answer(&request, payload, &context);
                self.tell_request(payload, answer);
                self.queue(&messages);
            }
            Err(_) if self.stage == Stage::Open && self.behaviour.gateway != Answering::Never => {
                self.tell_request(payload, Answer::Refused);
                self.queue(&[desk::error(-1, 320, "Error reading request.")]);
            }
            // Before the session is open nothing else is answered.
            Ok(_) | Err(_) => self.tell_request(payload, Answer::Withheld),
        }
    }

    fn tell_request(&self, payload: &[u8], answer: Answer) {
        let id = split_message(self.version, payload).map_or(0, |raw| raw.id);
        self.shared.teller.tell(What::Request { connection: self.connection, id, name: requests::name(id), answer });
    }

    /// Lets the session in, or does not.
    fn start(&mut self, client_id: i32) {
        self.shared.teller.tell(What::StartApi { connection: self.connection, client_id });
        let admitted = match self.behaviour.admission {
            Admission::Stuck => Err(Refusal::Full),
            Admission::InUse => Err(Refusal::InUse),
            Admission::FirstInUse if self.shared.is_first(client_id) => Err(Refusal::InUse),
            Admission::FirstInUse | Admission::Normal => self.shared.take_seat(client_id),
        };
        match admitted {
            Ok(seat) => {
                self.seat = Some(seat);
                self.stage = Stage::Open;
                self.script.extend(self.behaviour.bootstrap);
                self.script.extend(self.behaviour.farms);
                self.script.extend(self.behaviour.news);
            }
            Err(Refusal::Full) => self.stage = Stage::Stuck,
            Err(Refusal::InUse) => {
                self.stage = Stage::Stuck;
                self.script.extend([Step::Tell(326, IN_USE), Step::End(Ending::Close)]);
            }
        }
    }

    /// Takes over another scenario.
    async fn changed(&mut self, change: Result<Change, RecvError>) -> Result<(), Ended> {
        let Change { scenario, config } = match change {
            Ok(change) => change,
            Err(RecvError::Lagged(_)) => return Ok(()),
            Err(RecvError::Closed) => return Err(Ending::Close.into()),
        };
        let old = std::mem::replace(&mut self.behaviour, scenario.behaviour());
        if self.stage == Stage::Vanished {
            return Err(Ending::Reset.into());
        }
        let other_login = config.accounts != self.config.accounts;
        self.config = config;
        if self.stage == Stage::Hello {
            return self.greet().await;
        }
        if other_login {
            return Err(Ending::Close.into());
        }
        if let OpenSessions::End(ending) = self.behaviour.open_sessions {
            return Err(ending.into());
        }
        if self.stage == Stage::Open {
            // What the old scenario still had to say comes at once; what it still had to break is spared.
            self.resume_at = None;
            self.script.retain(|step| !matches!(step, Step::Pause(_) | Step::Flood | Step::Vanish | Step::End(_)));
            self.script.extend(old.recovery);
            self.script.extend(self.behaviour.news);
        }
        Ok(())
    }

    /// Does the steps of the script up to the next pause.
    async fn play(&mut self) -> Result<(), Ended> {
        if self.script.is_empty() {
            return Ok(());
        }
        while self.resume_at.is_none()
            && let Some(step) = self.script.pop_front()
        {
            self.step(step).await?;
            if self.behaviour.writes != Writes::Together {
                self.flush().await?;
            }
        }
        self.flush().await
    }

    async fn step(&mut self, step: Step) -> Result<(), Ended> {
        match step {
            Step::Accounts(_) => {
                let accounts = desk::accounts(&step, &self.config);
                self.queue(accounts.as_slice());
            }
            Step::OrderId | Step::BrokenOrderId => {
                let order_id = desk::next_order_id(&step, self.desk.order_id());
                self.queue(order_id.as_slice());
            }
            Step::Tell(code, text) => {
                self.desk.farms_told |= code == 2158;
                self.queue(&[desk::error(-1, code, text)]);
            }
            Step::Replays => {
                let ready = self.behaviour.account_ready;
                self.queue(&desk::replays(self.version, &self.config, ready));
            }
            Step::Raw(bytes) => self.queue(&[Message::Raw(bytes.to_vec())]),
            Step::Flood => return self.flood().await,
            Step::Pause(ms) => self.resume_at = Some(self.shared.teller.elapsed() + Duration::from_millis(ms)),
            Step::Vanish => self.stage = Stage::Vanished,
            Step::End(ending) => {
                self.flush().await?;
                return Err(ending.into());
            }
        }
        Ok(())
    }

    async fn flood(&mut self) -> Result<(), Ended> {
        let version = self.version;
        let small = message::of_no_kind(FLOOD_SMALL).encode(version, 0).repeat(FLOOD_ROUND);
        let huge = message::of_no_kind(FLOOD_HUGE).encode(version, 0);
        let pour = async {
            loop {
                self.stream.write_all(&small).await?;
                self.stream.write_all(&huge).await?;
                sleep(FLOOD_PAUSE).await;
            }
        };
        // In the middle of a message there is nothing else to say when the scenario changes.
        tokio::select! {
            ended = pour => ended,
            _ = self.changes.recv() => Err(Ending::Reset.into()),
        }
    }

    fn queue(&mut self, messages: &[Message]) {
        let error_time_ms = self.now().as_millisecond();
        self.outgoing.extend(messages.iter().map(|message| message.encode(self.version, error_time_ms)));
    }

    /// Writes what waits, in the configured manner.
    async fn flush(&mut self) -> Result<(), Ended> {
        if self.outgoing.is_empty() {
            return Ok(());
        }
        let mut messages = std::mem::take(&mut self.outgoing);
        if self.behaviour.writes == Writes::Together {
            messages = vec![messages.concat()];
        }
        if std::mem::take(&mut self.asked) && !self.config.delay.is_zero() {
            sleep(self.config.delay).await;
        }
        for bytes in messages {
            let pause = match (self.config.dribble, self.behaviour.writes) {
                (Some(pause), _) => Some(pause),
                (None, Writes::Byte) => Some(Duration::ZERO),
                (None, _) => None,
            };
            match pause {
                Some(pause) => self.dribble(&bytes, pause).await?,
                None => self.write(&bytes).await?,
            }
        }
        Ok(())
    }

    async fn dribble(&mut self, bytes: &[u8], pause: Duration) -> Result<(), Ended> {
        for byte in bytes {
            self.write(&[*byte]).await?;
            if pause.is_zero() {
                tokio::task::yield_now().await;
            } else {
                sleep(pause).await;
            }
        }
        Ok(())
    }

    async fn write(&mut self, bytes: &[u8]) -> Result<(), Ended> {
        match timeout(WRITE_LIMIT, self.stream.write_all(bytes)).await {
            Ok(written) => Ok(written?),
            Err(_) => Err(Ending::Reset.into()),
        }
    }

    /// The time by the gateway's clock.
    fn now(&self) -> Timestamp {
        let configured = self.config.clock_offset;
        let scripted = SignedDuration::from_secs(self.behaviour.clock_ahead_seconds);
        let ahead = if configured.is_zero() { scripted } else { configured };
        let now = ibga_core::clock::now();
        now.checked_add(ahead).unwrap_or(now)
    }
}
