//! A server that writes down what it is sent and answers, byte for byte, what it is told to, with or without TLS.

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::pki_types::PrivateKeyDer;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufStream};
use tokio::net::TcpListener;
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Received {
    /// The lines of its head.
    pub head: Vec<String>,
    pub body: String,
}

impl Received {
    /// Path and query.
    pub fn target(&self) -> &str {
        self.head[0].split(' ').nth(1).expect("a target")
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let named = |line: &'_ String| line.split_once(": ").is_some_and(|(found, _)| found.eq_ignore_ascii_case(name));
        self.head.iter().find(|line| named(line)).and_then(|line| line.split_once(": ")).map(|(_, value)| value)
    }
}

impl fmt::Display for Received {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\n\n{}", self.head.join("\n"), self.body)
    }
}

/// What the server says to a request.
pub type Says = Arc<dyn Fn(&Received) -> String + Send + Sync>;

/// What it does then.
#[derive(Clone, Copy, Debug)]
pub enum Then {
    /// Closes the connection.
    Closes,
    /// Says nothing more until the other side closes.
    Holds,
    /// Says this again and again until the other side closes.
    Repeats(&'static str),
}

/// A whole answer.
pub fn answer(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
}

/// Stops when it is dropped.
pub struct Server {
    pub address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    received: Mutex<Vec<Received>>,
    answered: Notify,
    left: Notify,
}

impl Server {
    pub async fn start(tls: Option<Arc<ServerConfig>>, says: Says, then: Then) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let shared = Arc::new(Shared::default());
        let task = tokio::spawn(serve(listener, tls.map(TlsAcceptor::from), says, then, Arc::clone(&shared)));
        Self { address, shared, task }
    }

    pub fn received(&self) -> Vec<Received> {
        self.shared.received.lock().expect("no panic").clone()
    }

    /// Returns once a request has come and all has been said that there is to say.
    pub async fn wait_until_answered(&self) {
        self.shared.answered.notified().await;
    }

    /// Returns once the other side has closed a connection that the server held.
    pub async fn wait_until_left(&self) {
        self.shared.left.notified().await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, tls: Option<TlsAcceptor>, says: Says, then: Then, shared: Arc<Shared>) {
    loop {
        let (stream, _) = listener.accept().await.expect("a connection");
        match &tls {
            None => converse(stream, &says, then, &shared).await,
            Some(acceptor) => {
                if let Ok(stream) = acceptor.accept(stream).await {
                    converse(stream, &says, then, &shared).await;
                }
            }
        }
    }
}

async fn converse(stream: impl AsyncRead + AsyncWrite + Unpin, says: &Says, then: Then, shared: &Shared) {
    let mut stream = BufStream::new(stream);
    let Some(request) = read(&mut stream).await else { return };
    shared.received.lock().expect("no panic").push(request.clone());
    let _ = stream.write_all(says(&request).as_bytes()).await;
    let _ = stream.flush().await;
    shared.answered.notify_one();
    match then {
        Then::Closes => {
            let _ = stream.shutdown().await;
        }
        Then::Holds => while stream.read(&mut [0; 64]).await.is_ok_and(|count| count > 0) {},
        Then::Repeats(text) => while stream.write_all(text.as_bytes()).await.is_ok() {},
    }
    shared.left.notify_one();
}

async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Option<Received> {
    let mut bytes = Vec::new();
    while !bytes.ends_with(b"\r\n\r\n") {
        bytes.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(bytes).expect("UTF-8").trim_end().split("\r\n").map(str::to_owned).collect();
    let mut request = Received { head, body: String::new() };
    let length = request.header("content-length").map_or(0, |length| length.parse().expect("a length"));
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    request.body = String::from_utf8(body).expect("UTF-8");
    Some(request)
}

/// An authority, and a server that it vouches for.
pub struct Authority {
    /// Its certificate.
    pub pem: String,
    pub server: Arc<ServerConfig>,
}

impl Authority {
    /// Vouches for a server of this name.
    pub fn of(name: &str) -> Self {
        let mut params = CertificateParams::new([]).expect("parameters");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("an authority");
        let key = KeyPair::generate().expect("a key");
        let params = CertificateParams::new([name.to_owned()]).expect("parameters");
        let certificate = params.signed_by(&key, &issuer).expect("a certificate");
        let key = PrivateKeyDer::try_from(key.serialize_der()).expect("a key");
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key);
        Self { pem: issuer.pem(), server: Arc::new(config.expect("a configuration")) }
    }
}
