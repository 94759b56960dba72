//! The dead man's switch: a service that is told regularly that this program lives, and tells people when it is not.
//!
//! Speaks as healthchecks.io wants it, which others follow, and as Uptime Kuma's push monitors want it.

use ibga_core::log_hints::masked;
use ring::rand::{SecureRandom, SystemRandom};

use super::channel::http::Request;
use super::channel::{SendError, Surroundings};
use crate::settings::Secret;

/// The longest body; healthchecks.io keeps no more of it.
const BODY_BYTES_MAX: usize = 10_000;

/// The longest message of a push monitor, which travels in its URL.
const PUSH_BYTES_MAX: usize = 200;

/// What the path of a push monitor contains.
const PUSH_PATH: &str = "/api/push/";

/// How healthchecks.io begins, with a good status, when it took nothing: `OK (not found)`, `OK (rate limited)`.
const NOT_TAKEN: &str = "OK (";

/// What is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// A run begins.
    Start,
    /// It ended well.
    Success,
    /// It ended badly.
    Failure,
}

/// Tells the switch. The caller limits the time.
///
/// # Errors
/// The switch was not told; what happened and what to correct.
pub async fn ping(
    url: &Secret,
    surroundings: &Surroundings,
    signal: Signal,
    body: &str,
    run: &str,
) -> Result<(), SendError> {
    let mut request = Request::post(&surroundings.reveal(url)?)?;
    let body = masked(body);
    let request = if request.url_mut().path().contains(PUSH_PATH) {
        match push(request, signal, &body) {
            Some(request) => request,
            None => return Ok(()),
        }
    } else {
        check(request, signal, run).body("text/plain; charset=utf-8", start_of(&body, BODY_BYTES_MAX).into())
    };
    let answer = request.send(surroundings).await?;
    answer.accepted()?;
    if answer.body().starts_with(NOT_TAKEN) { Err(answer.strange("a check that takes signals")) } else { Ok(()) }
}

/// Names a run, so that its beginning finds its end; empty if this machine has no random numbers, and the run then stays unnamed.
pub fn run_id() -> String {
    let mut bytes = [0_u8; 16];
    if SystemRandom::new().fill(&mut bytes).is_err() {
        return String::new();
    }
    // Version and variant of a random UUID.
    let number = u128::from_be_bytes(bytes) & !(0xf << 76) & !(0x3 << 62) | (0x4 << 76) | (0x2 << 62);
    let digits = format!("{number:032x}");
    let (mut rest, mut groups) = (digits.as_str(), Vec::new());
    for length in UUID_GROUPS {
        let (group, after) = rest.split_at_checked(length).unwrap_or((rest, ""));
        groups.push(group);
        rest = after;
    }
    groups.join("-")
}

/// How many digits there are between the hyphens of a UUID.
const UUID_GROUPS: [usize; 5] = [8, 4, 4, 4, 12];

fn is_uuid(text: &str) -> bool {
    let groups: Vec<&str> = text.split('-').collect();
    groups.iter().map(|group| group.len()).eq(UUID_GROUPS)
        && groups.iter().all(|group| group.bytes().all(|digit| digit.is_ascii_hexdigit()))
}

/// The check's URL with the signal at the end of its path, and the run in its query.
fn check(request: Request, signal: Signal, run: &str) -> Request {
    let mut request = match signal {
        Signal::Start => request.under(&["start"]),
        Signal::Success => request,
        Signal::Failure => request.under(&["fail"]),
    };
    // Anything else would be refused, and the signal with it.
    if is_uuid(run) {
        request.url_mut().query_pairs_mut().append_pair("rid", run);
    }
    request
}

/// The push monitor's URL with the signal in its query. It knows no beginning.
fn push(mut request: Request, signal: Signal, body: &str) -> Option<Request> {
    let status = match signal {
        Signal::Start => return None,
        Signal::Success => "up",
        Signal::Failure => "down",
    };
    let url = request.url_mut();
    let is_ours = |name: &str| matches!(name, "status" | "msg");
    let others: Vec<(String, String)> = url.query_pairs().filter(|(name, _)| !is_ours(name)).map(owned).collect();
    let line = body.split_whitespace().collect::<Vec<_>>().join(" ");
    url.query_pairs_mut()
        .clear()
        .extend_pairs(others)
        .append_pair("status", status)
        .append_pair("msg", start_of(&line, PUSH_BYTES_MAX));
    Some(request.get())
}

fn owned((name, value): (std::borrow::Cow<'_, str>, std::borrow::Cow<'_, str>)) -> (String, String) {
    (name.into_owned(), value.into_owned())
}

fn start_of(text: &str, bytes: usize) -> &str {
    text.split_at(text.floor_char_boundary(bytes)).0
}

#[cfg(test)]
mod tests {
    use super::*;

    const RUN: &str = "9f1c6d0e-3c1b-4a55-8b7e-0123456789ab";

    fn url(of: &str, make: impl Fn(Request) -> Option<Request>) -> Option<String> {
        make(Request::post(of).expect("a URL")).map(|mut request| request.url_mut().to_string())
    }

    #[test]
    fn the_urls_of_a_check() {
        for (of, signal, run, made) in [
            ("https://hc.example/uuid", Signal::Start, RUN, format!("https://hc.example/uuid/start?rid={RUN}")),
            ("https://hc.example/uuid/", Signal::Failure, RUN, format!("https://hc.example/uuid/fail?rid={RUN}")),
            ("https://hc.example/uuid", Signal::Success, RUN, format!("https://hc.example/uuid?rid={RUN}")),
            (
                "https://hc.example/key/slug?create=1",
                Signal::Success,
                "",
                "https://hc.example/key/slug?create=1".into(),
            ),
            ("https://hc.example/uuid", Signal::Success, "run 1", "https://hc.example/uuid".into()),
        ] {
            assert_eq!(url(of, |request| Some(check(request, signal, run))), Some(made));
        }
    }

    #[test]
    fn the_urls_of_a_push_monitor() {
        let kuma = "https://kuma.example/api/push/t0ken?status=up&msg=OK&ping=";
        for (of, signal, made) in [
            (kuma, Signal::Success, Some("https://kuma.example/api/push/t0ken?ping=&status=up&msg=ready+%E2%80%93+2")),
            (
                kuma,
                Signal::Failure,
                Some("https://kuma.example/api/push/t0ken?ping=&status=down&msg=ready+%E2%80%93+2"),
            ),
            (
                "https://kuma.example/api/push/t0ken",
                Signal::Success,
                Some("https://kuma.example/api/push/t0ken?status=up&msg=ready+%E2%80%93+2"),
            ),
            (kuma, Signal::Start, None),
        ] {
            assert_eq!(url(of, |request| push(request, signal, "ready –\n2")).as_deref(), made);
        }
    }

    #[test]
    fn a_run_is_named_by_a_uuid() {
        let (one, other) = (run_id(), run_id());
        assert!(is_uuid(&one) && is_uuid(&other) && one != other, "{one} {other}");
        assert_eq!(
            (one.as_bytes()[14], is_uuid("9f1c6d0e-3c1b-4a55-8b7e"), is_uuid(&one.replace('-', "+"))),
            (b'4', false, false)
        );
    }

    #[test]
    fn no_character_is_cut_in_half() {
        assert_eq!((start_of("größer", 3), start_of("größer", 4), start_of("x", 9)), ("gr", "grö", "x"));
    }
}
