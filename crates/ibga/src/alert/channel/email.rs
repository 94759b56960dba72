//! Mail over SMTP: one connection for each message, from the greeting to the answer to its content. Must never send a password or
//! a message in the clear where TLS was asked for, nor wait for anything once the server has taken the message.

use std::error::Error as _;
use std::net::Ipv4Addr;
use std::time::Duration;

use ibga_core::clock;
use lettre::Address;
use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection, Certificate, TlsParameters};
use lettre::transport::smtp::commands::{Data, Mail, Rcpt};
use lettre::transport::smtp::extension::{ClientId, Extension, MailParameter};
use lettre::transport::smtp::response::Response;

use super::guarded::Guarded;
use super::mail::{self, Letter, Veil};
use super::{Blame, Channel, ChannelName, Receipt, SendError, Sending, Surroundings};
use crate::alert::message::Message;
use crate::settings::{Smtp, SmtpSecurity};

/// How long one address of the server may take to accept a connection, so that a second one still gets its turn.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);

/// How long a server may keep silent at first. One that expects TLS does so for ever where none is begun, and that deserves a
/// sentence of its own before the caller's limit.
const GREETING_LIMIT: Duration = Duration::from_secs(10);

/// How long the end of a session may take, when the message has been accepted already.
const QUIT_LIMIT: Duration = Duration::from_secs(1);

/// Mail over SMTP.
#[derive(Debug)]
pub struct Email {
    smtp: Smtp,
    surroundings: Surroundings,
    greeting_limit: Duration,
}

/// How far a session had come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Connection, TLS, greeting and hello, where TLS comes first.
    Opening,
    /// Greeting and hello, where it does not.
    Greeting,
    StartTls,
    Login,
    Sender,
    Recipient,
    /// The question whether the message may come.
    Data,
    /// The message itself.
    Content,
}

impl Channel for Email {
    fn name(&self) -> ChannelName {
        ChannelName::Email
    }

    fn send<'a>(&'a self, message: &'a Message) -> Sending<'a> {
        Box::pin(self.deliver(message))
    }
}

impl Email {
    /// A channel through this server. Its secrets and certificates are read when something is sent.
    pub fn new(smtp: Smtp, surroundings: Surroundings) -> Self {
        Self { smtp, surroundings, greeting_limit: GREETING_LIMIT }
    }

    async fn deliver(&self, message: &Message) -> Result<Receipt, SendError> {
        let letter = mail::letter(message, &self.smtp.from, &self.smtp.to, clock::now())?;
        let mut session = Session { email: self, veil: Veil::over(&letter) };
        let login = self.login()?;
        if let Some((user, password)) = &login {
            // The longer one first, or a part of it would be left where one holds the other.
            let (first, second) = if user.len() < password.len() { (user, password) } else { (password, user) };
            session.veil.hide(first);
            session.veil.hide(second);
        }
        let mut connection = session.open().await?;
        if let Some((user, password)) = login {
            session.log_in(&mut connection, Credentials::new(user, password)).await?;
        }
        session.hand_over(&mut connection, &letter).await
    }

    fn login(&self) -> Result<Option<(String, String)>, SendError> {
        let Some((user, password)) = &self.smtp.login else { return Ok(None) };
        Ok(Some((self.surroundings.reveal(user)?, self.surroundings.reveal(password)?)))
    }

    fn tls(&self) -> Result<TlsParameters, SendError> {
        let mut builder = TlsParameters::builder(self.smtp.host.clone());
        for authority in self.surroundings.authorities()? {
            let certificate = Certificate::from_der(authority.to_vec());
            let certificate =
                certificate.map_err(|fault| SendError::channel(&format!("alert_ca_file: {}", causes(&fault))))?;
            builder = builder.add_root_certificate(certificate);
        }
        builder.build().map_err(|fault| SendError::channel(&format!("TLS cannot be prepared: {}", causes(&fault))))
    }
}

/// One attempt to send one message.
struct Session<'a> {
    email: &'a Email,
    /// What no text may hold.
    veil: Veil,
}

impl Session<'_> {
    /// Connects, greets and protects the way as the settings ask.
    async fn open(&self) -> Result<AsyncSmtpConnection, SendError> {
        let Email { smtp, greeting_limit, .. } = self.email;
        let own_name = own_name();
        let opening = async {
            match smtp.security {
                SmtpSecurity::Tls => self.under_tls(&own_name).await,
                SmtpSecurity::StartTls | SmtpSecurity::None => self.in_the_clear(&own_name).await,
            }
        };
        let opened = tokio::time::timeout(*greeting_limit, opening).await;
        let mut connection = opened.unwrap_or_else(|_| Err(self.silent()))?;
        if smtp.security == SmtpSecurity::StartTls {
            if !connection.can_starttls() {
                let advice = "set SMTP_SECURITY=tls if the port begins with TLS";
                return Err(self.channel(&format!("offers no STARTTLS, and nothing was sent; {advice}")));
            }
            let tls = self.email.tls()?;
            connection.starttls(tls, &own_name).await.map_err(|fault| self.fault(Stage::StartTls, &fault))?;
        }
        Ok(connection)
    }

    /// Whatever speaks here has proven by its certificate that it is the server.
    async fn under_tls(&self, own_name: &ClientId) -> Result<AsyncSmtpConnection, SendError> {
        let Smtp { host, port, .. } = &self.email.smtp;
        let tls = Some(self.email.tls()?);
        let opened =
            AsyncSmtpConnection::connect_tokio1((host.as_str(), *port), Some(CONNECT_LIMIT), own_name, tls, None).await;
        opened.map_err(|fault| self.fault(Stage::Opening, &fault))
    }

    async fn in_the_clear(&self, own_name: &ClientId) -> Result<AsyncSmtpConnection, SendError> {
        let Smtp { host, port, .. } = &self.email.smtp;
        let stream = Guarded::connect(host, *port, CONNECT_LIMIT).await;
        let stream = stream.map_err(|fault| self.channel(&format!("cannot be reached: {fault}")))?;
        let opened = AsyncSmtpConnection::connect_with_transport(Box::new(stream), own_name).await;
        opened.map_err(|fault| self.fault(Stage::Greeting, &fault))
    }

    async fn log_in(&self, connection: &mut AsyncSmtpConnection, login: Credentials) -> Result<(), SendError> {
        if connection.server_info().get_auth_mechanism(DEFAULT_MECHANISMS).is_none() {
            let advice = if connection.is_encrypted() {
                "leave SMTP_USER and SMTP_PASS out if it wants none"
            } else {
                "many do so only under TLS: set SMTP_SECURITY=starttls or tls"
            };
            return Err(self.channel(&format!("offers no login with a password, and nothing was sent; {advice}")));
        }
        connection.auth(DEFAULT_MECHANISMS, &login).await.map(drop).map_err(|fault| self.fault(Stage::Login, &fault))
    }

    /// Hands the message over to every recipient that the server accepts: one whose mailbox is gone must not keep the others from
    /// it. Who was refused stands in the receipt.
    async fn hand_over(&self, connection: &mut AsyncSmtpConnection, letter: &Letter) -> Result<Receipt, SendError> {
        let parameters = self.parameters(connection, letter)?;
        let answer = connection.command(Mail::new(Some(letter.from.clone()), parameters)).await;
        answer.map_err(|fault| self.fault(Stage::Sender, &fault))?;
        let mut refused: Vec<SendError> = Vec::new();
        for recipient in &letter.to {
            if let Err(fault) = connection.command(Rcpt::new(recipient.clone(), Vec::new())).await {
                let refusal = self.fault(Stage::Recipient, &fault);
                // The server ends the session with this code, and any other fault is one of the way to it.
                if fault.status().is_none_or(|code| u16::from(code) == 421) {
                    return Err(refusal);
                }
                refused.push(SendError { text: refusal_text(recipient, &fault, &self.veil), ..refusal });
            }
        }
        if refused.len() == letter.to.len() {
            return Err(self.refused_by_all(&refused));
        }
        connection.command(Data).await.map_err(|fault| self.fault(Stage::Data, &fault))?;
        let answer = connection.message(&letter.bytes).await.map_err(|fault| self.fault(Stage::Content, &fault))?;
        // From here on it is sent, whatever becomes of the session.
        let _ = tokio::time::timeout(QUIT_LIMIT, connection.quit()).await;
        let refused = refused.into_iter().map(|refusal| refusal.text);
        let unreadable = letter.unreadable.iter().map(|address| format!("{address} (no mail address)"));
        Ok(self.receipt(&answer, &refused.chain(unreadable).collect::<Vec<_>>()))
    }

    /// Addresses beyond ASCII need a server that takes them.
    fn parameters(&self, connection: &AsyncSmtpConnection, letter: &Letter) -> Result<Vec<MailParameter>, SendError> {
        let is_ascii = |address: &Address| AsRef::<str>::as_ref(address).is_ascii();
        if is_ascii(&letter.from) && letter.to.iter().all(is_ascii) {
            return Ok(Vec::new());
        }
        if connection.server_info().supports_feature(Extension::SmtpUtfEight) {
            return Ok(vec![MailParameter::SmtpUtfEight]);
        }
        Err(self.channel("takes no addresses beyond ASCII (SMTPUTF8): write them in ASCII"))
    }

    fn receipt(&self, answer: &Response, refused: &[String]) -> Receipt {
        let words = answer.message().collect::<Vec<_>>().join(" ");
        let mut text = format!("{} {}", answer.code(), self.veil.draw(&words));
        if !refused.is_empty() {
            // What the server said may be long, and this must not be cut off.
            text = format!("refused {}; accepted the rest: {text}", refused.join(", "));
        }
        Receipt::new(&text)
    }

    /// Nobody takes it. A refusal for now may pass, so it outweighs those for ever.
    fn refused_by_all(&self, refused: &[SendError]) -> SendError {
        let who: Vec<&str> = refused.iter().map(|refusal| refusal.text.as_str()).collect();
        let text = format!("{} refused every recipient: {}", self.server(), who.join(", "));
        if refused.iter().all(|refusal| refusal.blame == Blame::Message) {
            SendError::message(&text)
        } else {
            SendError::channel(&text)
        }
    }

    fn server(&self) -> String {
        format!("{}:{}", self.email.smtp.host, self.email.smtp.port)
    }

    fn channel(&self, what: &str) -> SendError {
        SendError::channel(&format!("{} {what}", self.server()))
    }

    fn silent(&self) -> SendError {
        let seconds = self.email.greeting_limit.as_secs();
        let advice = match self.email.smtp.security {
            SmtpSecurity::Tls => "",
            SmtpSecurity::StartTls | SmtpSecurity::None => {
                "; set SMTP_SECURITY=tls if the port begins with TLS, as 465 does"
            }
        };
        self.channel(&format!("gave no greeting within {seconds} s{advice}"))
    }

    /// A fault of a session in words, and who is to blame.
    fn fault(&self, stage: Stage, fault: &Error) -> SendError {
        let Some(code) = fault.status().map(u16::from) else {
            return self.channel(&self.veil.draw(&broken(stage, fault)));
        };
        let mut answer = self.veil.draw(&words(fault));
        if stage == Stage::Login {
            answer = mail::without_base64(&answer);
        }
        let text = format!("{} {} ({code}): {answer}{}", self.server(), refused_what(stage), advice(stage, code));
        match blame(stage, code) {
            Blame::Channel => SendError::channel(&text),
            Blame::Message => SendError::message(&text),
        }
    }
}

/// `j***@example.org (550 5.1.1 no such user)`.
fn refusal_text(recipient: &Address, fault: &Error, veil: &Veil) -> String {
    let code = fault.status().map(u16::from).unwrap_or_default();
    format!("{} ({code} {})", mail::hidden(recipient.as_ref()), veil.draw(&words(fault)))
}

/// Whether another message may fare better: one with other recipients, of other size or with other words.
fn blame(stage: Stage, code: u16) -> Blame {
    match (stage, code) {
        (Stage::Recipient, 550..=553 | 556) | (Stage::Sender, 552) | (Stage::Data | Stage::Content, 550..=559) => {
            Blame::Message
        }
        _ => Blame::Channel,
    }
}

fn refused_what(stage: Stage) -> &'static str {
    match stage {
        Stage::Opening | Stage::Greeting => "refused the session",
        Stage::StartTls => "refused to begin TLS",
        Stage::Login => "refused the login",
        Stage::Sender => "refused the sender",
        Stage::Recipient => "refused a recipient",
        Stage::Data | Stage::Content => "refused the message",
    }
}

/// What to correct, where the code tells.
fn advice(stage: Stage, code: u16) -> &'static str {
    match (stage, code) {
        (_, ..500) | (Stage::Opening | Stage::Greeting | Stage::Recipient, _) => "",
        (Stage::Login, _) => "; correct SMTP_USER and SMTP_PASS",
        (_, 530) => "; set SMTP_USER and SMTP_PASS, or SMTP_SECURITY",
        (Stage::Sender, 550 | 551 | 553 | 554) => "; correct the sender in the settings",
        _ => "",
    }
}

/// What broke on the way, in words.
fn broken(stage: Stage, fault: &Error) -> String {
    if let Some(tls) = tls_fault(fault) {
        return tls_text(tls);
    }
    let causes = causes(fault);
    if fault.is_response() {
        return match stage {
            Stage::Content => format!("ended the session before it said whether it takes the message: {causes}"),
            _ => format!("ended the session or speaks no SMTP while it was {}: {causes}", asked_for(stage)),
        };
    }
    match stage {
        Stage::Opening => format!("cannot be reached: {causes}"),
        Stage::Content => format!("broke the connection before it said whether it takes the message: {causes}"),
        _ => format!("broke the connection while it was {}: {causes}", asked_for(stage)),
    }
}

fn asked_for(stage: Stage) -> &'static str {
    match stage {
        Stage::Opening | Stage::Greeting => "greeted",
        Stage::StartTls => "asked for TLS",
        Stage::Login => "told the login",
        Stage::Sender => "told the sender",
        Stage::Recipient => "told a recipient",
        Stage::Data | Stage::Content => "handed the message",
    }
}

/// The server's own words, or those of what lies beneath.
fn words(fault: &Error) -> String {
    fault.source().map(ToString::to_string).unwrap_or_default()
}

/// What lies beneath a fault, the innermost alone: the outer ones only repeat it.
fn causes(fault: &Error) -> String {
    let mut innermost: &dyn std::error::Error = fault;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    innermost.to_string()
}

/// The fault of TLS beneath, if there is one.
fn tls_fault(fault: &Error) -> Option<&rustls::Error> {
    let mut next: Option<&(dyn std::error::Error + 'static)> = Some(fault);
    while let Some(fault) = next {
        let within = fault.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        let tls = within.and_then(|within| within.downcast_ref()).or_else(|| fault.downcast_ref());
        if tls.is_some() {
            return tls;
        }
        next = fault.source();
    }
    None
}

fn tls_text(fault: &rustls::Error) -> String {
    use rustls::CertificateError::{Expired, ExpiredContext, NotValidForName, NotValidForNameContext, UnknownIssuer};
    match fault {
        rustls::Error::InvalidCertificate(UnknownIssuer) => {
            "shows a certificate of an unknown authority, and nothing was sent; name the authority's file as alert_ca_file if it is yours".into()
        }
        rustls::Error::InvalidCertificate(NotValidForName | NotValidForNameContext { .. }) => {
            "shows a certificate of another name, and nothing was sent; correct SMTP_HOST".into()
        }
        rustls::Error::InvalidCertificate(Expired | ExpiredContext { .. }) => {
            "shows a certificate that has expired, and nothing was sent; have it renewed, or set this clock".into()
        }
        rustls::Error::InvalidMessage(_) => {
            "does not speak TLS, and nothing was sent; set SMTP_SECURITY=starttls if the port is 587 or 25".into()
        }
        other => format!("and this machine do not agree on TLS, and nothing was sent: {other}"),
    }
}

/// How this machine greets. A name that is none by the rules of mail would be refused by some servers.
fn own_name() -> ClientId {
    match ClientId::default() {
        ClientId::Domain(name) if is_domain(&name) => ClientId::Domain(name),
        _ => ClientId::Ipv4(Ipv4Addr::LOCALHOST),
    }
}

fn is_domain(name: &str) -> bool {
    let is_label = |label: &str| {
        let is_edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
        label.len() <= 63
            && is_edge(label.chars().next())
            && is_edge(label.chars().last())
            && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
    };
    name.len() <= 253 && name.split('.').all(is_label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_to_blame() {
        use Blame::{Channel, Message};
        for (stage, code, who) in [
            (Stage::Greeting, 554, Channel),
            (Stage::Greeting, 421, Channel),
            (Stage::Login, 535, Channel),
            (Stage::Login, 454, Channel),
            (Stage::Sender, 550, Channel),
            (Stage::Sender, 552, Message),
            (Stage::Recipient, 450, Channel),
            (Stage::Recipient, 550, Message),
            (Stage::Recipient, 554, Channel),
            (Stage::Data, 451, Channel),
            (Stage::Data, 554, Message),
            (Stage::Content, 452, Channel),
            (Stage::Content, 552, Message),
            (Stage::Content, 503, Channel),
        ] {
            assert_eq!(blame(stage, code), who, "{stage:?} {code}");
        }
    }

    #[test]
    fn names_that_mail_servers_take() {
        for (name, is) in [
            ("trader", true),
            ("trader-1.example.org", true),
            ("my_host", false),
            ("-x", false),
            ("", false),
            ("a..b", false),
            ("x\r\nQUIT", false),
        ] {
            assert_eq!(is_domain(name), is, "{name}");
        }
    }

    /// A server that waits for TLS says nothing to a client that waits for its greeting.
    #[tokio::test]
    async fn a_port_that_waits_for_tls_is_told_as_such() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        let smtp = Smtp {
            host: "127.0.0.1".into(),
            port: listener.local_addr().expect("an address").port(),
            security: SmtpSecurity::StartTls,
            login: None,
            from: "ibga@example.org".into(),
            to: vec!["jo@example.org".into()],
        };
        let email = Email { greeting_limit: Duration::from_millis(50), ..Email::new(smtp, Surroundings::default()) };
        let session = Session { email: &email, veil: Veil::default() };
        let fault = session.open().await.err().expect("silence");
        assert_eq!(fault.blame, Blame::Channel);
        assert!(fault.text.contains("gave no greeting within 0 s; set SMTP_SECURITY=tls"), "{fault}");
    }
}
