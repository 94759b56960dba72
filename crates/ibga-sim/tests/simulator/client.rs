//! A client that speaks the protocol by hand, each wait with a limit.

use std::io;
use std::time::Duration;

use ibga_core::notice::Notice;
use ibga_sim::{Config, Event, Scenario, Simulator, What};
use ibga_tws::ServerVersion;
use ibga_tws::frame::{Frame, FrameDecoder};
use ibga_tws::hello::{ClientHello, ServerHello};
use ibga_tws::reply::Reply;
use ibga_tws::request::{Request, split_message};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// More than anything here takes, on a slow machine too.
pub(crate) const LIMIT: Duration = Duration::from_secs(20);

/// Long enough to call a peer silent that would otherwise answer in microseconds.
pub(crate) const SILENCE: Duration = Duration::from_millis(150);

pub(crate) async fn start(scenario: Scenario) -> Simulator {
    start_with(Config { timeline: scenario.into(), ..Config::default() }).await
}

pub(crate) async fn start_with(config: Config) -> Simulator {
    Simulator::start(config).await.expect("a free port")
}

pub(crate) async fn next_event(simulator: &mut Simulator) -> Event {
    timeout(LIMIT, simulator.events().next()).await.expect("an event in time").expect("not stopped")
}

/// Takes events until one fits.
pub(crate) async fn event(simulator: &mut Simulator, fits: impl Fn(&What) -> bool) -> Event {
    loop {
        let event = next_event(simulator).await;
        if fits(&event.what) {
            return event;
        }
    }
}

pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    pub(crate) version: ServerVersion,
    decoder: FrameDecoder,
}

impl Client {
    pub(crate) async fn connect(simulator: &Simulator) -> Self {
        let stream = timeout(LIMIT, TcpStream::connect(simulator.address())).await.expect("in time").expect("connects");
        Self { stream, version: ServerVersion::FLOOR, decoder: FrameDecoder::default() }
    }

    /// Connects, says hello and opens a session.
    pub(crate) async fn open(simulator: &Simulator, max: u32, client_id: i32) -> Self {
        let mut client = Self::connect(simulator).await;
        client.say_hello(max).await;
        client.hear_hello().await;
        client.send(&Request::StartApi { client_id }).await;
        client
    }

    /// The same, and takes in what a healthy session opens with.
    pub(crate) async fn opened(simulator: &Simulator, max: u32, client_id: i32) -> Self {
        let mut client = Self::open(simulator, max, client_id).await;
        assert!(matches!(client.reply().await, Reply::ManagedAccounts(accounts) if !accounts.is_empty()));
        assert_eq!(client.reply().await, Reply::NextValidId(1));
        for code in [2104, 2104, 2106, 2158] {
            assert_eq!(client.notice().await.code, code);
        }
        client
    }

    pub(crate) async fn say_hello(&mut self, max: u32) {
        self.write(&ClientHello { min: ServerVersion(100), max: ServerVersion(max) }.encode()).await;
    }

    /// Takes in the hello and says its time.
    pub(crate) async fn hear_hello(&mut self) -> Vec<u8> {
        let payload = self.payload().await.expect("no end").expect("a hello");
        let Some(ServerHello::Session { version, time }) = ServerHello::parse(&payload) else {
            panic!("no hello: {payload:?}")
        };
        self.version = version;
        time
    }

    pub(crate) async fn send(&mut self, request: &Request) {
        let bytes = request.encode(self.version);
        self.write(&bytes).await;
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        timeout(LIMIT, self.stream.write_all(bytes)).await.expect("in time").expect("written");
    }

    pub(crate) async fn reply(&mut self) -> Reply {
        let payload = self.payload().await.expect("no fault").expect("no end");
        Reply::decode(self.version, &payload).expect("a message")
    }

    pub(crate) async fn notice(&mut self) -> Notice {
        match self.reply().await {
            Reply::Notice(notice) => notice,
            other => panic!("no notice: {other:?}"),
        }
    }

    /// The message id of the next message.
    pub(crate) async fn reply_id(&mut self) -> u32 {
        let payload = self.payload().await.expect("no fault").expect("no end");
        split_message(self.version, &payload).expect("an id").id
    }

    /// The next frame's payload; `None` at the end.
    pub(crate) async fn payload(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            match self.decoder.next_frame().expect("a frame") {
                Some(Frame::Payload(payload)) => return Ok(Some(payload)),
                Some(Frame::Skipped { .. }) => {}
                None => match self.read().await? {
                    Some(bytes) => self.decoder.push(&bytes),
                    None => return Ok(None),
                },
            }
        }
    }

    /// The next bytes as they come; `None` at the end.
    pub(crate) async fn read(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut buffer = vec![0; 64 * 1024];
        let count = timeout(LIMIT, self.stream.read(&mut buffer)).await.expect("something in time")?;
        buffer.truncate(count);
        Ok((count > 0).then_some(buffer))
    }

    pub(crate) async fn assert_silent(&mut self) {
        let mut byte = [0];
        let read = timeout(SILENCE, self.stream.read(&mut byte)).await;
        assert!(read.is_err(), "not silent: {read:?} {byte:?}");
        assert!(self.decoder.pending().is_empty());
    }

    /// Reads to the end: true if it is a clean one.
    pub(crate) async fn ends_cleanly(&mut self) -> bool {
        loop {
            match self.read().await {
                Ok(Some(_)) => {}
                Ok(None) => return true,
                Err(_) => return false,
            }
        }
    }
}
