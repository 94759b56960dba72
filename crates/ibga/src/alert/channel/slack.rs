//! A Slack incoming webhook, or one of those that speak alike.

use serde_json::json;

use super::bounds::{Unit, within};
use super::http::Request;
use super::{Channel, ChannelName, Receipt, SendError, Sending, Surroundings, chat_text};
use crate::alert::message::Message;
use crate::settings::Secret;

/// The longest text that Slack shows in one piece.
const TEXT_CHARS_MAX: usize = 4000;

/// A Slack incoming webhook.
pub(super) struct Slack {
    url: Secret,
    surroundings: Surroundings,
}

impl Slack {
    pub(super) fn new(url: Secret, surroundings: Surroundings) -> Self {
        Self { url, surroundings }
    }

    async fn post(&self, message: &Message) -> Result<Receipt, SendError> {
        let url = self.surroundings.reveal(&self.url)?;
        // Cut before it is escaped: no cut falls into an escape.
        let text = escaped(&within(&chat_text(message), TEXT_CHARS_MAX, Unit::Characters));
        let body = json!({ "text": text, "mrkdwn": false, "unfurl_links": false });
        // Others that take Slack's messages answer in their own words.
        Request::post(&url)?.json(&body).send(&self.surroundings).await?.accepted_without_page("Slack")
    }
}

impl Channel for Slack {
    fn name(&self) -> ChannelName {
        ChannelName::Slack
    }

    fn send<'a>(&'a self, message: &'a Message) -> Sending<'a> {
        Box::pin(self.post(message))
    }
}

/// Without what Slack reads as links and as calls to everybody.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_called_by_a_text() {
        assert_eq!(escaped("<!channel> & <@U1> &lt;"), "&lt;!channel&gt; &amp; &lt;@U1&gt; &amp;lt;");
    }
}
