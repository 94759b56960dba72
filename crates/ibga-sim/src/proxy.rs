//! What stands between clients and the gateway's port in a container, and what it makes of a port that is closed.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::config::Proxy;
use crate::event::{How, Party};

/// How often `socat`'s `forever` tries a closed port again.
const RETRY: Duration = Duration::from_secs(1);

/// How long `socat` lets the second direction live after the first has ended.
const HALF_CLOSED: Duration = Duration::from_millis(500);

/// How long Docker's proxy takes to find the port closed; by then the client's first bytes are there, and unread.
const FIRST_BYTES: Duration = Duration::from_millis(20);

/// How long a client gets to take in that it was closed.
const LINGER: Duration = Duration::from_millis(500);

/// Serves one client until either side ends.
pub(crate) async fn serve(proxy: Proxy, client: TcpStream, gateway: SocketAddr) -> (Party, How) {
    let _ = client.set_nodelay(true);
    match connect(proxy, gateway).await {
        Some(gateway) => relay(client, gateway).await,
        None if proxy == Proxy::Docker => {
            let _ = timeout(FIRST_BYTES, client.readable()).await;
            let _ = client.set_zero_linger();
            (Party::Proxy, How::Reset)
        }
        None => {
            close(client).await;
            (Party::Proxy, How::Closed)
        }
    }
}

/// Connects to the gateway as often as this proxy does. `forever` does not look at its client meanwhile, so a client that
/// has given up is still delivered.
async fn connect(proxy: Proxy, gateway: SocketAddr) -> Option<TcpStream> {
    loop {
        match TcpStream::connect(gateway).await {
            Ok(stream) => {
                let _ = stream.set_nodelay(true);
                return Some(stream);
            }
            Err(_) if proxy == Proxy::IbgaSocat => sleep(RETRY).await,
            Err(_) => return None,
        }
    }
}

async fn relay(mut client: TcpStream, mut gateway: TcpStream) -> (Party, How) {
    let (mut from_client, mut to_client) = client.split();
    let (mut from_gateway, mut to_gateway) = gateway.split();
    let up = async {
        let copied = copy(&mut from_client, &mut to_gateway).await;
        let _ = to_gateway.shutdown().await;
        copied
    };
    let down = async {
        let copied = copy(&mut from_gateway, &mut to_client).await;
        let _ = to_client.shutdown().await;
        copied
    };
    tokio::pin!(up, down);
    let (party, copied) = tokio::select! {
        copied = &mut up => (Party::Client, copied),
        copied = &mut down => (Party::Gateway, copied),
    };
    let Ok(_) = copied else { return (party, How::Reset) };
    let _ = match party {
        Party::Client => timeout(HALF_CLOSED, down).await,
        _ => timeout(HALF_CLOSED, up).await,
    };
    (party, How::Closed)
}

/// Ends a connection with FIN: bytes that were left unread would make a reset of it.
pub(crate) async fn close(mut stream: TcpStream) {
    if stream.shutdown().await.is_ok() {
        let mut buffer = [0; 1024];
        let drain = async { while matches!(stream.read(&mut buffer).await, Ok(count) if count > 0) {} };
        let _ = timeout(LINGER, drain).await;
    }
}
