//! The one HTTP client. A channel says what goes where; what became of it, and who is to blame if it was not accepted, is judged
//! here, for all channels alike.
//!
//! Must never follow a redirect, since what is sent holds secrets, and never say more of a URL than its host and port.

use std::error::Error;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use ibga_core::clock;
use jiff::Timestamp;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, Method, Response, StatusCode, Url};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{CertificateError, ClientConfig, RootCertStore};
use serde_json::Value;

use super::veil::Veil;
use super::{Receipt, SendError, Surroundings};

/// The longest that a connection may take to open, proxy and TLS included. Shorter than the caller's limit, so that the error says
/// where it came to a halt.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// How long the rest of an answer is waited for once its status is there.
const ANSWER_LIMIT: Duration = Duration::from_secs(3);

/// Most bytes of an answer that are read. Some services repeat the whole message in it.
const ANSWER_BYTES_MAX: usize = 16 * 1024;

/// The longest that a server is left alone because it asks for it.
const RETRY_AFTER_MAX: Duration = Duration::from_hours(1);

/// One request on its way to one server.
pub(crate) struct Request {
    method: Method,
    url: Url,
    headers: HeaderMap,
    body: Vec<u8>,
    veil: Veil,
}

impl Request {
    /// A POST to a URL, all of whose parts are secret but the host.
    pub(crate) fn post(url: &str) -> Result<Self, SendError> {
        let url = Url::parse(url.trim()).map_err(|fault| {
            SendError::channel(&format!("the URL cannot be read ({fault}); it looks like https://host/path"))
        })?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(SendError::channel("the URL begins neither with https:// nor with http://"));
        }
        let mut veil = Veil::default();
        veil.hide_url(&url);
        Ok(Self { method: Method::POST, url, headers: HeaderMap::new(), body: Vec::new(), veil })
    }

    /// The same as a GET.
    pub(crate) fn get(self) -> Self {
        Self { method: Method::GET, ..self }
    }

    /// Goes deeper into the URL's path.
    pub(crate) fn under(mut self, segments: &[&str]) -> Self {
        if let Ok(mut path) = self.url.path_segments_mut() {
            path.pop_if_empty().extend(segments);
        }
        self
    }

    /// The URL, to be completed.
    pub(crate) fn url_mut(&mut self) -> &mut Url {
        &mut self.url
    }

    /// Hides a secret that is no part of the URL.
    pub(crate) fn hiding(mut self, secret: &str) -> Self {
        self.veil.hide(secret);
        self
    }

    /// Adds a header.
    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Result<Self, SendError> {
        let value = HeaderValue::from_bytes(value.as_bytes()).map_err(|_| {
            SendError::channel(&format!("the header {name} would hold a line break or another control character"))
        })?;
        self.headers.insert(HeaderName::from_static(name), value);
        Ok(self)
    }

    /// Adds the token by which the server knows who writes.
    pub(crate) fn bearer(self, token: &str) -> Result<Self, SendError> {
        self.hiding(token).header("authorization", &format!("Bearer {token}"))
    }

    /// The body and what it is.
    pub(crate) fn body(mut self, kind: &'static str, body: Vec<u8>) -> Self {
        self.headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        self.body = body;
        self
    }

    /// A JSON document as the body.
    pub(crate) fn json(self, document: &Value) -> Self {
        self.body("application/json", document.to_string().into_bytes())
    }

    /// Sends it and reads the answer, whatever its status.
    pub(crate) async fn send(self, surroundings: &Surroundings) -> Result<Answer, SendError> {
        let server = server(&self.url);
        let client = client(&self.url, surroundings)?;
        let request = client.request(self.method, self.url).headers(self.headers).body(self.body);
        let mut response = match request.send().await {
            Ok(response) => response,
            Err(fault) => return Err(SendError::channel(&self.veil.draw(&unreachable(&server, &fault)))),
        };
        let body = body(&mut response).await;
        let header = |name| response.headers().get(name).and_then(|value| value.to_str().ok());
        Ok(Answer {
            status: response.status(),
            retry_after: header(RETRY_AFTER).and_then(|text| retry_after(text, clock::now())),
            leads_to: header(LOCATION).and_then(|to| response.url().join(to).ok()).map(|url| self::server(&url)),
            server,
            body,
            veil: self.veil,
        })
    }
}

/// What a server answered.
pub(crate) struct Answer {
    server: String,
    status: StatusCode,
    retry_after: Option<Duration>,
    /// The server that a redirect leads to.
    leads_to: Option<String>,
    body: String,
    veil: Veil,
}

impl Answer {
    /// The body as it came.
    pub(crate) fn body(&self) -> &str {
        &self.body
    }

    /// The body as JSON; null if it is none.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_default()
    }

    /// Accepted, if the status says so.
    pub(crate) fn accepted(&self) -> Result<Receipt, SendError> {
        if self.status.is_success() {
            return Ok(Receipt::new(&self.veil.draw(&format!("{}{}", self.status_line(), self.words()))));
        }
        let text = format!("{} answers {}{}{}", self.server, self.status_line(), self.advice(), self.words());
        let text = self.veil.draw(&text);
        let error = match self.status {
            StatusCode::BAD_REQUEST | StatusCode::PAYLOAD_TOO_LARGE | StatusCode::UNPROCESSABLE_ENTITY => {
                SendError::message(&text)
            }
            _ => SendError::channel(&text),
        };
        Err(error.after(self.retry_after))
    }

    /// Accepted, if the body proves it, too: a proxy's page or another service would also say 200.
    pub(crate) fn accepted_with(
        &self,
        service: &str,
        is_proven: impl Fn(&Value) -> bool,
    ) -> Result<Receipt, SendError> {
        let receipt = self.accepted()?;
        if is_proven(&self.json()) { Ok(receipt) } else { Err(self.strange(service)) }
    }

    /// Accepted, unless it answers with a page, which none of those does that speak as this service.
    pub(crate) fn accepted_without_page(&self, service: &str) -> Result<Receipt, SendError> {
        let receipt = self.accepted()?;
        if self.body.trim_start().starts_with('<') { Err(self.strange(service)) } else { Ok(receipt) }
    }

    /// The status is good and the answer is not the service's.
    pub(crate) fn strange(&self, service: &str) -> SendError {
        let (status, words) = (self.status_line(), self.words());
        let text = format!("{} answers {status}, but not as {service} does (check the URL){words}", self.server);
        SendError::channel(&self.veil.draw(&text))
    }

    fn status_line(&self) -> String {
        format!("{} {}", self.status.as_u16(), self.status.canonical_reason().unwrap_or_default()).trim_end().to_owned()
    }

    fn words(&self) -> String {
        if self.body.trim().is_empty() { String::new() } else { format!(": {}", self.body) }
    }

    /// What to correct.
    fn advice(&self) -> String {
        let advice = match self.status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => "check the token or password, and the URL",
            StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED | StatusCode::GONE => {
                "check the URL, and the token if it is a part of it"
            }
            StatusCode::PROXY_AUTHENTICATION_REQUIRED => "the proxy wants a user and password in HTTPS_PROXY",
            status if status.is_redirection() => {
                let to = self.leads_to.as_deref().unwrap_or("another place");
                return format!(", which leads to {to} and is not followed (check the URL)");
            }
            _ => return String::new(),
        };
        format!(" ({advice})")
    }
}

/// Host and port.
fn server(url: &Url) -> String {
    let port = url.port_or_known_default().map(|port| format!(":{port}"));
    format!("{}{}", url.host_str().unwrap_or_default(), port.unwrap_or_default())
}

/// A client for one message. The next is sent minutes or days later; a connection kept until then would be found dead.
fn client(url: &Url, surroundings: &Surroundings) -> Result<Client, SendError> {
    let builder = Client::builder()
        .tls_backend_preconfigured(tls(url, surroundings)?)
        .user_agent(concat!("ibga/", env!("CARGO_PKG_VERSION")))
        .redirect(Policy::none())
        .connect_timeout(CONNECT_LIMIT)
        .pool_max_idle_per_host(0)
        .referer(false);
    let builder = if is_loopback(url) { builder.no_proxy() } else { builder };
    builder.build().map_err(|fault| SendError::channel(&format!("no HTTP client: {}", deepest(&fault))))
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Believes the system's authorities and those of the operator's file. Without TLS nobody has to be believed.
fn tls(url: &Url, surroundings: &Surroundings) -> Result<ClientConfig, SendError> {
    let mut authorities = RootCertStore::empty();
    if url.scheme() == "https" {
        authorities.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        for certificate in surroundings.authorities()? {
            authorities.add(certificate).map_err(|fault| SendError::channel(&format!("alert_ca_file: {fault}")))?;
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let versions = versions.map_err(|fault| SendError::channel(&format!("no TLS: {fault}")))?;
    Ok(versions.with_root_certificates(authorities).with_no_client_auth())
}

impl Surroundings {
    /// The certificates of the operator's file; none without one.
    ///
    /// # Errors
    /// The file is not there, not to be believed, or holds no certificate.
    pub(crate) fn authorities(&self) -> Result<Vec<CertificateDer<'static>>, SendError> {
        let Some(path) = &self.ca_file else { return Ok(Vec::new()) };
        let fail = |fault: &str| SendError::channel(&format!("alert_ca_file {}: {fault}", path.display()));
        // Followed, since such files are often mounted as links; what they lead to has to be believed all the same.
        let file = path.canonicalize().map_err(|fault| fail(&fault.to_string()))?;
        let text = ibga_core::secure_file::read(&file, &self.trust).map_err(|fault| fail(&fault.to_string()))?;
        let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text.as_bytes()).collect();
        match certificates {
            Ok(certificates) if !certificates.is_empty() => Ok(certificates),
            _ => Err(fail("it holds no certificates in PEM form")),
        }
    }
}

/// Why there is no answer.
fn unreachable(server: &str, fault: &reqwest::Error) -> String {
    // The signature is bad if the authority was made anew under its old name.
    let is_unknown =
        |fault: &CertificateError| matches!(fault, CertificateError::UnknownIssuer | CertificateError::BadSignature);
    let unknown_issuer = causes(fault).any(|cause| match cause.downcast_ref::<rustls::Error>() {
        Some(rustls::Error::InvalidCertificate(fault)) => is_unknown(fault),
        _ => false,
    });
    match (unknown_issuer, fault.is_timeout(), fault.is_connect()) {
        (true, ..) => {
            format!("{server} shows a certificate of an unknown authority; give the authority's as alert_ca_file")
        }
        (_, true, _) => format!("{server} opened no connection within {} s", CONNECT_LIMIT.as_secs()),
        (.., true) => format!("cannot connect to {server}: {}", deepest(fault)),
        _ => format!("{server} gave no answer: {}", deepest(fault)),
    }
}

/// The cause behind all others, which says what happened. The first would repeat the URL.
fn deepest(fault: &reqwest::Error) -> String {
    causes(fault).last().map(ToString::to_string).unwrap_or_default()
}

fn causes(fault: &reqwest::Error) -> impl Iterator<Item = &(dyn Error + 'static)> {
    std::iter::successors(fault.source(), |cause| within(*cause))
}

/// What stands behind an error. What the system's errors wrap is no source of theirs.
fn within<'a>(cause: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    match cause.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        Some(inner) => Some(inner),
        None => cause.source(),
    }
}

/// The answer's body as far as it comes in time and is needed.
async fn body(response: &mut Response) -> String {
    let mut bytes = Vec::new();
    let is_whole = tokio::time::timeout(ANSWER_LIMIT, collect(response, &mut bytes)).await.unwrap_or(false);
    let mut text = String::from_utf8_lossy(&bytes).into_owned();
    if !is_whole {
        // The last word may be the half of a secret, which nobody would know for one.
        text.truncate(text.trim_end_matches(|c: char| !c.is_whitespace()).len());
    }
    text
}

/// Whether it came to its end.
async fn collect(response: &mut Response, bytes: &mut Vec<u8>) -> bool {
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) => bytes.extend(chunk.iter().take(ANSWER_BYTES_MAX.saturating_sub(bytes.len()))),
            Ok(None) => return true,
            Err(_) => return false,
        }
        if bytes.len() >= ANSWER_BYTES_MAX {
            return false;
        }
    }
}

/// How long a server wants to be left alone: seconds, or a date.
fn retry_after(text: &str, now: Timestamp) -> Option<Duration> {
    let text = text.trim();
    let wait = if let Ok(seconds) = text.parse() {
        Duration::from_secs(seconds)
    } else {
        let at = jiff::fmt::rfc2822::parse(text).ok()?.timestamp();
        Duration::try_from(at.duration_since(now)).unwrap_or_default()
    };
    Some(bounded(wait))
}

/// No server can silence a channel for long.
pub(super) fn bounded(wait: Duration) -> Duration {
    wait.min(RETRY_AFTER_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_long_a_server_wants_to_be_left_alone() {
        let now: Timestamp = "2026-11-24T22:00:00Z".parse().expect("a time");
        for (text, wait) in [
            ("0", Some(0)),
            (" 120 ", Some(120)),
            ("3600", Some(3600)),
            ("3601", Some(3600)),
            ("18446744073709551615", Some(3600)),
            ("18446744073709551616", None),
            ("Tue, 24 Nov 2026 22:00:30 GMT", Some(30)),
            ("Tue, 24 Nov 2026 21:00:00 GMT", Some(0)),
            ("Wed, 24 Nov 2027 22:00:00 GMT", Some(3600)),
            ("-1", None),
            ("1.5", None),
            ("soon", None),
            ("", None),
        ] {
            assert_eq!(retry_after(text, now), wait.map(Duration::from_secs), "{text}");
        }
    }

    #[test]
    fn an_error_names_host_and_port_alone() {
        for (url, name) in [
            ("https://user:word@host.example/path?query", "host.example:443"),
            ("http://[::1]:8080/", "[::1]:8080"),
            ("http://münchen.example", "xn--mnchen-3ya.example:80"),
        ] {
            assert_eq!(server(&Url::parse(url).expect("a URL")), name);
        }
    }

    #[test]
    fn loopback_takes_no_proxy() {
        for (url, is) in [
            ("http://localhost:1/", true),
            ("http://127.1.2.3/", true),
            ("http://[::1]/", true),
            ("http://10.0.0.1/", false),
            ("https://localhost.example/", false),
        ] {
            assert_eq!(is_loopback(&Url::parse(url).expect("a URL")), is, "{url}");
        }
    }

    #[test]
    fn what_is_no_url_is_not_repeated() {
        for (url, text) in [
            (
                "hooks.example/s3cret",
                "the URL cannot be read (relative URL without a base); it looks like https://host/path",
            ),
            ("ftp://host/s3cret", "the URL begins neither with https:// nor with http://"),
            ("", "the URL cannot be read (relative URL without a base); it looks like https://host/path"),
        ] {
            assert_eq!(Request::post(url).err().map(|error| error.text).as_deref(), Some(text));
        }
    }
}
