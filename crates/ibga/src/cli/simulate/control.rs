//! The control port: HTTP that switches scenarios. Every connection has a time limit, requests and their number a bound.

mod route;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::header::{ALLOW, CONTENT_TYPE, HOST, ORIGIN};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use ibga_sim::{Remote, Remotes, Scenario};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};

use route::{Order, Refusal, Whom};

/// The most requests at once; further ones wait.
const CONNECTIONS_MAX: usize = 32;

/// How long one connection may take, its request and the answer together.
const CONNECTION_LIMIT: Duration = Duration::from_secs(5);

/// The longest head of a request. Bodies are not read.
const HEAD_BYTES_MAX: usize = 8 * 1024;

/// How long to wait after a connection could not be accepted.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// The control port. Closed when this is dropped.
pub(super) struct Control {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Control {
    pub(super) fn start(address: SocketAddr, gateways: Remotes) -> std::io::Result<Self> {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        let listener = socket.listen(128)?;
        let address = listener.local_addr()?;
        Ok(Self { address, task: tokio::spawn(serve(listener, gateways)) })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(listener: TcpListener, gateways: Remotes) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept(), if connections.len() < CONNECTIONS_MAX => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(timeout(CONNECTION_LIMIT, converse(stream, gateways.clone())));
                }
                Err(_) => sleep(ACCEPT_AGAIN).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

/// One request and its answer.
async fn converse(stream: TcpStream, gateways: Remotes) {
    let answer = service_fn(|request: Request<Incoming>| {
        let gateways = gateways.clone();
        async move { Ok::<_, Infallible>(respond(&request, &gateways).await) }
    });
    let mut server = http1::Builder::new();
    server.keep_alive(false).max_buf_size(HEAD_BYTES_MAX);
    let _ = server.serve_connection(TokioIo::new(stream), answer).await;
}

async fn respond(request: &Request<Incoming>, gateways: &Remotes) -> Response<String> {
    let answer = match understand(request) {
        Ok(order) => obey(order, gateways).await,
        Err(refusal) => Err(refusal),
    };
    let (status, document, allow) = match answer {
        Ok(document) => (StatusCode::OK, document, None),
        Err(refusal) => (refusal.status(), refusal.document(), refusal.allow()),
    };
    let mut response = Response::new(format!("{document}\n"));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static("application/json"));
    if let Some(allow) = allow {
        response.headers_mut().insert(ALLOW, hyper::header::HeaderValue::from_static(allow));
    }
    response
}

/// What is asked for, unless somebody asks who should not: a page in a browser names itself, or a foreign name for this machine.
fn understand(request: &Request<Incoming>) -> Result<Order, Refusal> {
    let mut hosts = request.headers().get_all(HOST).iter();
    let host = hosts.next().and_then(|host| host.to_str().ok()).unwrap_or_default();
    if request.headers().contains_key(ORIGIN) || hosts.next().is_some() || !route::is_this_machine(host) {
        return Err(Refusal::Foreign);
    }
    route::order(request.method().as_str(), request.uri().path(), request.uri().query())
}

async fn obey(order: Order, gateways: &Remotes) -> Result<Value, Refusal> {
    let whom = match order {
        Order::Scenarios => return Ok(scenarios()),
        Order::Show(whom) => whom,
        Order::Switch(whom, scene) => {
            let switched = match whom {
                Whom::All => gateways.switch_all(scene).await,
                Whom::One(number) => one(gateways, number)?.switch(scene).await,
            };
            switched.map_err(|fault| Refusal::Failed(fault.to_string()))?;
            whom
        }
        Order::Next(whom) => {
            match whom {
                Whom::All => gateways.next_step_all().await?,
                Whom::One(number) => one(gateways, number)?.next_step().await?,
            }
            whom
        }
    };
    Ok(match whom {
        Whom::All => json!({ "gateways": gateways.iter().map(state).collect::<Vec<_>>() }),
        Whom::One(number) => state(one(gateways, number)?),
    })
}

fn one(gateways: &Remotes, number: usize) -> Result<&Remote, Refusal> {
    gateways.get(number).ok_or_else(|| Refusal::NoSuchGateway { number, count: gateways.iter().count() })
}

/// Account ids are masked, as everywhere but in a status file.
fn state(gateway: &Remote) -> Value {
    let state = gateway.state();
    let position = state.position;
    json!({
        "gateway": gateway.number(),
        "address": gateway.address(),
        "scenario": state.scenario.name(),
        "accounts": state.accounts.iter().map(ToString::to_string).collect::<Vec<_>>(),
        "step": position.map(|at| at.step),
        "steps": position.map(|at| at.steps),
        "round": position.map(|at| at.round),
        "next_in_ms": state.next_in.and_then(|next| u64::try_from(next.as_millis()).ok()),
    })
}

fn scenarios() -> Value {
    Scenario::ALL.iter().map(|scenario| (scenario.name().to_owned(), Value::from(scenario.describe()))).collect()
}
