//! JSON to a URL: a `CloudEvents` 1.0 event, signed as Standard Webhooks (standardwebhooks.com) says, so that receivers find
//! libraries for both.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use ibga_core::clock;
use jiff::Timestamp;
use ring::hmac;
use serde_json::{Value, json};

use super::http::Request;
use super::{Channel, ChannelName, Receipt, SendError, Sending, Surroundings, document};
use crate::alert::message::Message;
use crate::settings::Secret;

/// What the secrets of Standard Webhooks begin with; the rest is the key in Base64. Any other secret is the key itself.
const KEY_PREFIX: &str = "whsec_";

/// JSON to a URL.
pub(super) struct Webhook {
    url: Secret,
    secret: Option<Secret>,
    surroundings: Surroundings,
}

impl Webhook {
    pub(super) fn new(url: Secret, secret: Option<Secret>, surroundings: Surroundings) -> Self {
        Self { url, secret, surroundings }
    }

    async fn post(&self, message: &Message) -> Result<Receipt, SendError> {
        let url = self.surroundings.reveal(&self.url)?;
        let body = event(message).to_string().into_bytes();
        let mut request = Request::post(&url)?.header("idempotency-key", &message.alert.key)?;
        if let Some(secret) = &self.secret {
            let secret = self.surroundings.reveal(secret)?;
            let key = key(&secret)?;
            let (id, at) = (webhook_id(message), clock::now());
            request = request
                .hiding(&secret)
                .header("webhook-id", &id)?
                .header("webhook-timestamp", &at.as_second().to_string())?
                .header("webhook-signature", &signature(&key, &id, at, &body))?;
        }
        request.body("application/cloudevents+json; charset=UTF-8", body).send(&self.surroundings).await?.accepted()
    }
}

impl Channel for Webhook {
    fn name(&self) -> ChannelName {
        ChannelName::Webhook
    }

    fn send<'a>(&'a self, message: &'a Message) -> Sending<'a> {
        Box::pin(self.post(message))
    }
}

fn event(message: &Message) -> Value {
    let alert = &message.alert;
    json!({
        "specversion": "1.0",
        "id": alert.key,
        "source": format!("/ibga/{}/{}", reference(&alert.host), reference(&alert.gateway)),
        "type": format!("ibga.alert.{}", alert.kind.code()),
        "subject": alert.subject.as_str(),
        "time": alert.at,
        "datacontenttype": "application/json",
        "data": document(message),
    })
}

/// A name as a part of a URI reference.
fn reference(name: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
    name.bytes()
        .map(|byte| if is_plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

/// The alert's key without dots, which divide what is signed: nobody may take a part of the id for the time.
fn webhook_id(message: &Message) -> String {
    message.alert.key.replace('.', "_")
}

/// The key that a secret stands for. Receivers read Base64 with and without its padding.
fn key(secret: &str) -> Result<Vec<u8>, SendError> {
    let Some(encoded) = secret.strip_prefix(KEY_PREFIX) else { return Ok(secret.as_bytes().to_vec()) };
    STANDARD_NO_PAD.decode(encoded.trim_end_matches('=')).map_err(|_| {
        SendError::channel("the webhook's secret begins with whsec_, but does not go on in Base64; copy it anew")
    })
}

/// The signature over id, time and body. It is of the attempt, so that a receiver can refuse what somebody sends again later.
fn signature(key: &[u8], id: &str, at: Timestamp, body: &[u8]) -> String {
    let signed = [format!("{id}.{}.", at.as_second()).as_bytes(), body].concat();
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), &signed);
    format!("v1,{}", STANDARD.encode(tag))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification, which the libraries of receivers are tested with.
    #[test]
    fn the_signature_is_that_of_standard_webhooks() {
        let at = Timestamp::from_second(1_614_265_330).expect("a time");
        let key = key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").expect("a key");
        let signature = signature(&key, "msg_p5jXN8AQM9LWM0D4loKWxJek", at, br#"{"test": 2432232314}"#);
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn a_secret_is_a_key_itself_or_in_base64() {
        for (secret, expected) in [
            ("plain words", Ok(&b"plain words"[..])),
            ("whsec_AAEC", Ok(&[0, 1, 2][..])),
            ("whsec_AAE=", Ok(&[0, 1][..])),
            ("whsec_AAE", Ok(&[0, 1][..])),
            (
                "whsec_s3cret!",
                Err("the webhook's secret begins with whsec_, but does not go on in Base64; copy it anew"),
            ),
        ] {
            assert_eq!(key(secret).map_err(|error| error.text), expected.map(<[u8]>::to_vec).map_err(str::to_owned));
        }
    }

    #[test]
    fn names_in_a_uri() {
        assert_eq!(reference("börse-1.lan"), "b%C3%B6rse-1.lan");
        assert_eq!(reference("a/b c"), "a%2Fb%20c");
    }
}
