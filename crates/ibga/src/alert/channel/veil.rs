//! What must not be read in any answer: servers repeat what they were sent, and programs what they were started with.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::Url;

/// What stands in a secret's place.
const MASK: &str = "***";

/// The shortest part of a URL that counts as a secret. Topics and tokens are longer; masking `v1` would hide nothing.
const PART_CHARS_MIN: usize = 4;

/// The secrets of one message's way.
#[derive(Default)]
pub(crate) struct Veil(Vec<String>);

impl Veil {
    /// Hides a secret.
    pub(crate) fn hide(&mut self, secret: &str) {
        for form in [secret.to_owned(), decoded(secret)] {
            if !form.is_empty() && !self.0.contains(&form) {
                self.0.push(form);
            }
        }
        // The longest first: what is part of another must not leave its rest to be read.
        self.0.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
    }

    /// Hides what a URL says beyond its host: any part may be the one that lets a stranger in.
    pub(crate) fn hide_url(&mut self, url: &Url) {
        let (user, password) = (url.username(), url.password().unwrap_or_default());
        if !user.is_empty() || !password.is_empty() {
            self.hide(user);
            self.hide(password);
            self.hide(&STANDARD.encode(format!("{}:{}", decoded(user), decoded(password))));
        }
        let query = url.query().unwrap_or_default();
        let fragment = url.fragment().unwrap_or_default();
        let parts = [url.path(), query, fragment].into_iter().flat_map(|text| text.split(['/', '&', '=', ';']));
        for part in parts.filter(|part| part.chars().count() >= PART_CHARS_MIN) {
            self.hide(part);
        }
    }

    /// Hides what a line for the shell may hold: the parts of its URLs, and what its variables are set to.
    pub(crate) fn hide_line(&mut self, line: &str) {
        for word in line.split(|c: char| c.is_whitespace() || matches!(c, '\'' | '"' | ';' | '(' | ')' | '|')) {
            if let Some(at) = word.find("://") {
                let scheme = word.get(..at).unwrap_or_default();
                let begins = scheme.rfind('=').map_or(0, |at| at + 1);
                if let Ok(url) = Url::parse(word.get(begins..).unwrap_or_default()) {
                    self.hide_url(&url);
                    // Where the scheme is not one of the web, the host is often a token.
                    if !url.scheme().starts_with("http") {
                        self.hide(url.host_str().unwrap_or_default());
                    }
                }
            } else if let Some((_, value)) = word.split_once(['=', ':'])
                && value.chars().count() >= PART_CHARS_MIN
            {
                self.hide(value);
            }
        }
    }

    /// The text without them.
    pub(crate) fn draw(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, secret| text.replace(secret.as_str(), MASK))
    }
}

/// A part of a URL as its server reads it.
fn decoded(part: &str) -> String {
    let mut rest = part.as_bytes();
    let mut plain = Vec::with_capacity(rest.len());
    while let Some((first, after)) = rest.split_first() {
        let escape = after.split_at_checked(2).filter(|_| *first == b'%');
        let (byte, after) = escape.and_then(|(digits, after)| Some((hex(digits)?, after))).unwrap_or((*first, after));
        plain.push(byte);
        rest = after;
    }
    String::from_utf8(plain).unwrap_or_else(|_| part.to_owned())
}

fn hex(digits: &[u8]) -> Option<u8> {
    u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_part_of_a_url_is_read_again() {
        let mut veil = Veil::default();
        let url = "https://jane:p%40ss@host.example/v1/services/T%2F0AB/key%20one?auth=s3cret&x=1#frag";
        veil.hide_url(&Url::parse(url).expect("a URL"));
        for (said, read) in [
            ("no hook T%2F0AB here", "no hook *** here"),
            ("no hook T/0AB here", "no hook *** here"),
            ("/v1/services/T%2F0AB/key%20one?auth=s3cret&x=1", "/v1/***/***/***?***=***&x=1"),
            ("key one, jane, p@ss, frag", "***, ***, ***, ***"),
            ("Basic amFuZTpwQHNz", "Basic ***"),
            ("host.example", "host.example"),
        ] {
            assert_eq!(veil.draw(said), read);
        }
    }

    #[test]
    fn the_longest_secret_goes_first() {
        let mut veil = Veil::default();
        veil.hide("abcd");
        veil.hide("abcd-efgh");
        veil.hide("");
        assert_eq!(veil.draw("abcd-efgh abcd"), "*** ***");
    }

    #[test]
    fn a_line_for_the_shell_keeps_its_secrets() {
        let mut veil = Veil::default();
        veil.hide_line(
            "TOKEN=tok-1234 URL='https://h.example/hook/9999' apprise -b x tgram://5678token/chat && echo 'Key: abc'",
        );
        for (said, read) in [
            ("bad tok-1234", "bad ***"),
            ("no /hook/9999 at h.example", "no /***/*** at h.example"),
            ("tgram://5678token/chat is down", "tgram://***/*** is down"),
            ("apprise: not found", "apprise: not found"),
        ] {
            assert_eq!(veil.draw(said), read);
        }
    }
}
