//! A Discord webhook.

use serde_json::json;

use super::bounds::{Unit, within};
use super::http::Request;
use super::{Channel, ChannelName, Receipt, SendError, Sending, Surroundings, chat_text};
use crate::alert::message::Message;
use crate::settings::Secret;

/// The longest message.
const TEXT_CHARS_MAX: usize = 2000;

/// The flag by which links are not shown as pictures.
const SUPPRESS_EMBEDS: u32 = 1 << 2;

/// A Discord webhook.
pub(super) struct Discord {
    url: Secret,
    surroundings: Surroundings,
}

impl Discord {
    pub(super) fn new(url: Secret, surroundings: Surroundings) -> Self {
        Self { url, surroundings }
    }

    async fn post(&self, message: &Message) -> Result<Receipt, SendError> {
        let url = self.surroundings.reveal(&self.url)?;
        let mut request = Request::post(&url)?;
        // Without it Discord accepts what it then does not keep.
        request.url_mut().query_pairs_mut().append_pair("wait", "true");
        let body = json!({
            "content": within(&chat_text(message), TEXT_CHARS_MAX, Unit::Characters),
            "allowed_mentions": { "parse": [] },
            "flags": SUPPRESS_EMBEDS,
        });
        let answer = request.json(&body).send(&self.surroundings).await?;
        answer.accepted_with("Discord", |answer| answer["id"].is_string())
    }
}

impl Channel for Discord {
    fn name(&self) -> ChannelName {
        ChannelName::Discord
    }

    fn send<'a>(&'a self, message: &'a Message) -> Sending<'a> {
        Box::pin(self.post(message))
    }
}
