//! A Telegram bot. The text goes as it is, without markup that anything in it could break.

use std::time::Duration;

use serde_json::{Value, json};

use super::bounds::{Unit, within};
use super::http::{Request, bounded};
use super::{Blame, Channel, ChannelName, Receipt, SendError, Sending, Surroundings, chat_text};
use crate::alert::message::Message;
use crate::settings::Secret;

/// The longest message.
const TEXT_CHARS_MAX: usize = 4096;

/// A Telegram bot.
pub(super) struct Telegram {
    api: String,
    token: Secret,
    chat: String,
    surroundings: Surroundings,
}

impl Telegram {
    pub(super) fn new(api: String, token: Secret, chat: String, surroundings: Surroundings) -> Self {
        Self { api, token, chat, surroundings }
    }

    async fn post(&self, message: &Message) -> Result<Receipt, SendError> {
        let token = self.surroundings.reveal(&self.token)?;
        // The number of the bot before the colon is no secret, what follows is one by itself.
        let (_, key) = token.split_once(':').unwrap_or_default();
        let request =
            Request::post(&self.api)?.hiding(&token).hiding(key).under(&[&format!("bot{token}"), "sendMessage"]);
        let body = json!({
            "chat_id": self.chat,
            "text": within(&chat_text(message), TEXT_CHARS_MAX, Unit::Characters),
            "link_preview_options": { "is_disabled": true },
        });
        let answer = request.json(&body).send(&self.surroundings).await?;
        let wait = answer.json().pointer("/parameters/retry_after").and_then(Value::as_u64);
        let wait = wait.map(Duration::from_secs).map(bounded);
        answer.accepted_with("Telegram", |answer| answer["ok"] == true).map_err(|error| SendError {
            // What is refused is the chat: a text without markup, within the bounds, is not.
            blame: Blame::Channel,
            retry_after: wait.or(error.retry_after),
            ..error
        })
    }
}

impl Channel for Telegram {
    fn name(&self) -> ChannelName {
        ChannelName::Telegram
    }

    fn send<'a>(&'a self, message: &'a Message) -> Sending<'a> {
        Box::pin(self.post(message))
    }
}
