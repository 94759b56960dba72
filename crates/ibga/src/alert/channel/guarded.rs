//! A connection to a mail server that begins in the clear, where anybody on the way may have spoken. Guards lettre against two
//! things. It keeps an answer until its line ends, so one without an end would fill the memory: no more is read than a mail server
//! has to say. And it keeps what came behind the answer to STARTTLS, and would take that for answers under TLS, such as that a
//! message was accepted: a line is handed out at a time, so what follows goes to TLS, which refuses it.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use lettre::transport::smtp::client::AsyncTokioStream;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, lookup_host};

/// Most bytes that are read in one session, certificates included.
const SESSION_BYTES_MAX: usize = 256 * 1024;

/// Most bytes that are read at once.
const READ_BYTES_MAX: usize = 4 * 1024;

/// Such a connection.
#[derive(Debug)]
pub(super) struct Guarded {
    stream: TcpStream,
    /// What was read and not handed out yet.
    ahead: Vec<u8>,
    /// How much more may be read.
    left: usize,
}

impl Guarded {
    /// Connects to the first address of the host that accepts within the limit.
    pub(super) async fn connect(host: &str, port: u16, limit: Duration) -> io::Result<Self> {
        let mut fault = io::Error::new(io::ErrorKind::NotFound, "its name has no address");
        for address in lookup_host((host, port)).await? {
            fault = match tokio::time::timeout(limit, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => return Ok(Self { stream, ahead: Vec::new(), left: SESSION_BYTES_MAX }),
                Ok(Err(fault)) => fault,
                Err(_) => io::Error::new(io::ErrorKind::TimedOut, format!("no answer within {} s", limit.as_secs())),
            };
        }
        Err(fault)
    }

    /// Reads ahead; nothing more at the end of the stream.
    fn poll_ahead(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.left == 0 {
            let text = format!("it says more than {} KiB", SESSION_BYTES_MAX / 1024);
            return Poll::Ready(Err(io::Error::other(text)));
        }
        let mut bytes = [0; READ_BYTES_MAX];
        let mut buffer = ReadBuf::new(&mut bytes);
        ready!(Pin::new(&mut self.stream).poll_read(context, &mut buffer))?;
        self.ahead.extend_from_slice(buffer.filled());
        self.left = self.left.saturating_sub(buffer.filled().len());
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Guarded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.ahead.is_empty() {
            ready!(self.poll_ahead(context))?;
        }
        let line = self.ahead.iter().position(|byte| *byte == b'\n').map_or(self.ahead.len(), |end| end + 1);
        let rest = self.ahead.split_off(line.min(buffer.remaining()));
        buffer.put_slice(&std::mem::replace(&mut self.ahead, rest));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Guarded {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

impl AsyncTokioStream for Guarded {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.stream.peer_addr()
    }
}
