//! ntfy. Published as JSON, since header values are ASCII to most of what stands between, and titles are not.

use serde_json::{Value, json};

use super::bounds::{Unit, within};
use super::http::Request;
use super::{Channel, ChannelName, Receipt, SendError, Sending, Surroundings, Urgency};
use crate::alert::message::Message;
use crate::settings::Secret;

/// A longer message becomes an attachment, or is refused.
const MESSAGE_BYTES_MAX: usize = 4096;

/// Far more than a phone shows.
const TITLE_BYTES_MAX: usize = 250;

/// ntfy.
pub(super) struct Ntfy {
    url: Secret,
    token: Option<Secret>,
    surroundings: Surroundings,
}

impl Ntfy {
    pub(super) fn new(url: Secret, token: Option<Secret>, surroundings: Surroundings) -> Self {
        Self { url, token, surroundings }
    }

    async fn post(&self, message: &Message) -> Result<Receipt, SendError> {
        let url = self.surroundings.reveal(&self.url)?;
        let mut request = Request::post(&url)?;
        let topic = topic(&mut request)?;
        if let Some(token) = &self.token {
            request = request.bearer(&self.surroundings.reveal(token)?)?;
        }
        let answer = request.json(&publication(message, &topic)).send(&self.surroundings).await?;
        answer.accepted_with("ntfy", |answer| answer["id"].is_string())
    }
}

impl Channel for Ntfy {
    fn name(&self) -> ChannelName {
        ChannelName::Ntfy
    }

    fn send<'a>(&'a self, message: &'a Message) -> Sending<'a> {
        Box::pin(self.post(message))
    }
}

/// Takes the topic from the URL, whose rest is where JSON is published.
fn topic(request: &mut Request) -> Result<String, SendError> {
    let url = request.url_mut();
    let topic = url.path().trim_end_matches('/').rsplit('/').next().unwrap_or_default().to_owned();
    if topic.is_empty() {
        return Err(SendError::channel("the URL of ntfy names no topic; it looks like https://ntfy.sh/topic"));
    }
    if let Ok(mut path) = url.path_segments_mut() {
        path.pop_if_empty().pop().push("");
    }
    Ok(topic)
}

fn publication(message: &Message, topic: &str) -> Value {
    let (priority, tag) = match Urgency::of(&message.alert) {
        Urgency::Alarm => (5, "rotating_light"),
        Urgency::AllClear => (3, "white_check_mark"),
        Urgency::Notice => (3, "information_source"),
    };
    json!({
        "topic": topic,
        "title": within(&message.subject, TITLE_BYTES_MAX, Unit::Bytes),
        "message": within(&message.brief, MESSAGE_BYTES_MAX, Unit::Bytes),
        "priority": priority,
        "tags": [tag],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_topic_is_the_end_of_the_url() {
        for (url, topic_and_place) in [
            ("https://ntfy.sh/alerts", Some(("alerts", "https://ntfy.sh/"))),
            ("https://host/sub/alerts/?auth=abc", Some(("alerts", "https://host/sub/?auth=abc"))),
            ("https://ntfy.sh/", None),
        ] {
            let mut request = Request::post(url).expect("a URL");
            let topic = topic(&mut request).ok();
            let place = request.url_mut().as_str();
            assert_eq!(topic.as_deref().map(|topic| (topic, place)), topic_and_place, "{url}");
        }
    }
}
