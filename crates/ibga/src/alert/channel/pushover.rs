//! Pushover.

use reqwest::Url;
use serde_json::Value;

use super::bounds::{Unit, within};
use super::http::Request;
use super::{Blame, Channel, ChannelName, Receipt, SendError, Sending, Surroundings, Urgency};
use crate::alert::message::Message;
use crate::settings::Secret;

/// The longest message.
const MESSAGE_CHARS_MAX: usize = 1024;

/// The longest title.
const TITLE_CHARS_MAX: usize = 250;

/// Pushover.
pub(super) struct Pushover {
    api: String,
    token: Secret,
    user: Secret,
    surroundings: Surroundings,
}

impl Pushover {
    pub(super) fn new(api: String, token: Secret, user: Secret, surroundings: Surroundings) -> Self {
        Self { api, token, user, surroundings }
    }

    async fn post(&self, message: &Message) -> Result<Receipt, SendError> {
        let token = self.surroundings.reveal(&self.token)?;
        let user = self.surroundings.reveal(&self.user)?;
        let mut request = Request::post(&self.api)?.hiding(&token).hiding(&user).under(&["1", "messages.json"]);
        let body = form(request.url_mut(), message, &token, &user);
        let answer = request.body("application/x-www-form-urlencoded", body).send(&self.surroundings).await?;
        answer.accepted_with("Pushover", |answer: &Value| answer["status"] == 1).map_err(|error| SendError {
            // What is refused is the token or the user: a message within the bounds is not.
            blame: Blame::Channel,
            ..error
        })
    }
}

impl Channel for Pushover {
    fn name(&self) -> ChannelName {
        ChannelName::Pushover
    }

    fn send<'a>(&'a self, message: &'a Message) -> Sending<'a> {
        Box::pin(self.post(message))
    }
}

/// The fields of a form, written as the query of a URL is.
fn form(url: &Url, message: &Message, token: &str, user: &str) -> Vec<u8> {
    let mut form = url.clone();
    form.query_pairs_mut()
        .clear()
        .append_pair("token", token)
        .append_pair("user", user)
        .append_pair("title", &within(&message.subject, TITLE_CHARS_MAX, Unit::Characters))
        .append_pair("message", &within(&message.brief, MESSAGE_CHARS_MAX, Unit::Characters))
        // More would ask for a confirmation that nobody reads here.
        .append_pair("priority", if Urgency::of(&message.alert) == Urgency::Alarm { "1" } else { "0" })
        .append_pair("timestamp", &message.alert.at.as_second().to_string());
    form.query().unwrap_or_default().as_bytes().to_vec()
}
