//! What the gateway's container says about its login in the last lines of its own log.
//!
//! Responsible for one question: does the log end in one of four known troubles, and in which line?
//! The words are those of heshiming/ibga, IBC, `IBAutomater` and ibg-controller.
//! Log lines are untrusted text, anyone who can write to the container's output writes them:
//! what comes out is a hint that may refine a verdict, and must never make one.
//! A returned line carries no account id, user name or password that could be recognised.
//!
//! A log into which two gateways write (live and paper in one container) cannot be told apart:
//! the progress of one hides the trouble of the other.

/// What the log says is wrong with the login.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogHintKind {
    /// The login waits for, or has missed, the second factor.
    TwoFactorPending,
    /// The login was refused: credentials, password expired, account task open.
    LoginFailed,
    /// Logins are refused for a time, or silently dropped.
    LoginLockedOut,
    /// Another session of the same user holds the login.
    SessionElsewhere,
}

/// A trouble and the line that told it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogHint {
    /// What is wrong.
    pub kind: LogHintKind,
    /// The line, masked, without control characters, at most [`HINT_CHARS_MAX`] characters.
    pub line: String,
}

/// The longest line a hint carries, in characters.
pub const HINT_CHARS_MAX: usize = 200;

/// How much of a line is read, in characters; no known message is near as long.
const LINE_CHARS_MAX: usize = 1_000;

/// Stands where something was taken out of a line.
const MASK: &str = "***";

/// What a line means for the question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    Trouble(LogHintKind),
    /// The login got past whatever was said before, or begins anew.
    Progress,
    /// Looks like one of the others, says nothing.
    Nothing,
}

use LogHintKind::{LoginFailed, LoginLockedOut, SessionElsewhere, TwoFactorPending};
use Meaning::{Nothing, Progress, Trouble};

/// Phrases in lower case; a line means what the first one says of which it holds every part.
const PHRASES: &[(&[&str], Meaning)] = &[
    // Lines that hold the words of a trouble and report another thing.
    (&["server disconnected"], Nothing),
    (&["connection to server failed"], Nothing),
    (&["alert_password_expired", "status=warning"], Nothing),
    (&["alert_auto_restart", "status=failed"], Nothing),
    // IBC prints this right behind the failure that makes it restart, which shall stay visible.
    (&["cold restart in progress"], Nothing),
    // ibga prints this for the login that it is about to repeat.
    (&["because login is needed again"], Progress),
    (&["second factor authentication", "event=clos"], Progress),
    (&["second factor authentication", "event: clos"], Progress),
    (&["second factor authentication dialog closed"], Progress),
    (&["second factor authentication", "[window_clos"], Progress),
    // The lock-out comes before the failure: some robots print it as «login failed: too many …».
    (&["too many failed login attempts"], Trouble(LoginLockedOut)),
    (&["alert_ccp_persistent"], Trouble(LoginLockedOut)),
    (&["alert_jvm_restart_exhausted"], Trouble(LoginLockedOut)),
    (&["authtimeoutmonitor-ccp: timeout"], Trouble(LoginLockedOut)),
    (&["alert_login_failed"], Trouble(LoginFailed)),
    (&["alert_password_expired", "status=expired"], Trouble(LoginFailed)),
    (&["login failed"], Trouble(LoginFailed)),
    (&["due to fatal error"], Trouble(LoginFailed)),
    (&["invalid username or password"], Trouble(LoginFailed)),
    (&["unrecognized username or password"], Trouble(LoginFailed)),
    (&["existing session detected"], Trouble(SessionElsewhere)),
    (&["let the other session proceed"], Trouble(SessionElsewhere)),
    (&["user must choose whether to continue with this session"], Trouble(SessionElsewhere)),
    (&["alert_2fa_failed"], Trouble(TwoFactorPending)),
    (&["alert_2fa_manual_window"], Trouble(TwoFactorPending)),
    (&["[state: two_fa]"], Trouble(TwoFactorPending)),
    (&["is waiting for two-factor authentication"], Trouble(TwoFactorPending)),
    (&["waiting for 2fa confirmation"], Trouble(TwoFactorPending)),
    (&["2fa confirmation timeout"], Trouble(TwoFactorPending)),
    (&["2fa maximum attempts reached"], Trouble(TwoFactorPending)),
    (&["second factor authentication"], Trouble(TwoFactorPending)),
    // A token that expired makes the next login a full one, which asks for the second factor.
    (&["token expired"], Trouble(TwoFactorPending)),
    (&["security tokens", "expired"], Trouble(TwoFactorPending)),
    // The login is through.
    (&["login has completed"], Progress),
    (&["login has already completed"], Progress),
    (&["configuration tasks completed"], Progress),
    (&["2fa confirmation success"], Progress),
    (&["configuration settings updated"], Progress),
    (&["option check"], Progress),
    (&["starting application..."], Progress),
    (&["api server listening on port"], Progress),
    (&["alert_auto_restart", "status=adopted"], Progress),
    // A login or a process begins anew.
    (&["- welcome: "], Progress),
    (&["login attempt: "], Progress),
    (&["click button: log in"], Progress),
    (&["click button: paper log in"], Progress),
    (&["click button: [log in]"], Progress),
    (&["click button: [paper log in]"], Progress),
    (&["filling in login form"], Progress),
    (&["handle relogin warning"], Progress),
    (&["entered maintenance cycle"], Progress),
    (&["is no longer running, will restart"], Progress),
    (&["starting ib gateway"], Progress),
    (&["starting ibc"], Progress),
    (&["starting gateway"], Progress),
    (&["starting session: "], Progress),
    (&["restart in progress"], Progress),
    (&["alert_shutdown"], Progress),
    (&["alert_ibkr_maintenance_recovery"], Progress),
    // ibg-controller stops in this state because of a trouble told before.
    (&["[state: halted]"], Nothing),
    (&["[state: "], Progress),
];

/// The trouble in which a log ends, if it ends in one; `lines` are its last ones, oldest first.
///
/// The last line that says anything decides: a trouble is the answer, progress is none.
pub fn last_hint<L: AsRef<str>>(lines: &[L]) -> Option<LogHint> {
    let (kind, line) = lines.iter().rev().find_map(|line| {
        let line = readable(line.as_ref());
        match meaning(&line) {
            Nothing => None,
            Progress => Some((None, line)),
            Trouble(kind) => Some((Some(kind), line)),
        }
    })?;
    Some(LogHint { kind: kind?, line: masked(&line).chars().take(HINT_CHARS_MAX).collect() })
}

/// The line without what a person could not see, cut to what is read of it.
fn readable(line: &str) -> String {
    let visible: String = line
        .chars()
        .take(LINE_CHARS_MAX)
        .map(|character| if character == '\t' { ' ' } else { character })
        .filter(|&character| !character.is_control() && !is_hidden(character))
        .collect();
    visible.trim().to_owned()
}

/// Characters that show nothing or turn the direction of text: they serve to deceive a reader.
fn is_hidden(character: char) -> bool {
    matches!(
        character,
        '\u{ad}'
            | '\u{61c}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{e0000}'..='\u{e007f}'
    )
}

fn meaning(line: &str) -> Meaning {
    let line = line.to_ascii_lowercase();
    PHRASES
        .iter()
        .find(|(parts, _)| parts.iter().all(|part| line.contains(part)))
        .map_or(Nothing, |&(_, meaning)| meaning)
}

/// What may follow a word of the line that names a credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Credential {
    UserName,
    Password,
}

/// Words that follow «user» or «password» in messages and are neither.
const ORDINARY_WORDS: &[&str] = &[
    "and", "before", "by", "dialog", "expired", "expires", "field", "for", "has", "in", "must", "name", "not",
    "notice", "of", "on", "or", "soon", "that", "to", "variants", "who", "whose", "will", "within",
];

/// The line with everything masked that looks like an account id, a user name or a password.
///
/// It rather takes out too much: the words that say what is wrong stand before these.
pub fn masked(line: &str) -> String {
    let mut masked = String::with_capacity(line.len());
    let mut rest = line;
    while !rest.is_empty() {
        let (between, from_word) = split_where(rest, is_word_character);
        masked.push_str(between);
        let (word, after) = split_where(from_word, |character| !is_word_character(character));
        masked.push_str(if looks_like_account(word) { MASK } else { word });
        rest = after;
        if let Some((gap, after_secret)) = names(word).and_then(|kind| split_secret(kind, after)) {
            masked.push_str(gap);
            masked.push_str(MASK);
            rest = after_secret;
        }
    }
    masked
}

fn is_word_character(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

/// The text before and from the first character that fits.
fn split_where(text: &str, fits: impl Fn(char) -> bool) -> (&str, &str) {
    text.find(fits).and_then(|at| text.split_at_checked(at)).unwrap_or((text, ""))
}

/// Account ids are letters and digits in one word: `U1234567`, `DU1234567`, `DUP770846`, `F123456`.
/// Other words of this shape are masked too; numbers alone (times, ports) stay.
fn looks_like_account(word: &str) -> bool {
    let has_letter = word.chars().any(char::is_alphabetic);
    has_letter && word.split(|character: char| !character.is_numeric()).any(|digits| digits.chars().count() >= 5)
}

/// The credential that a word names: `user`, `TWS_USERID`, `IbPassword`, `TWS_PASSWORD`.
fn names(word: &str) -> Option<Credential> {
    let word = word.to_ascii_lowercase();
    let is_password = ["password", "passwd", "pwd"].iter().any(|name| word.contains(name));
    let is_user =
        ["username", "user_name", "userid", "user_id"].iter().any(|name| word.contains(name)) || word.ends_with("user");
    if is_password { Some(Credential::Password) } else { is_user.then_some(Credential::UserName) }
}

/// What stands between a credential's name and its value, and what follows the value;
/// nothing if an ordinary sentence goes on there.
fn split_secret(kind: Credential, after: &str) -> Option<(&str, &str)> {
    let (gap, value) = split_where(after, |character| !is_gap(character));
    let (word, after_word) = split_where(value, ends_user_name);
    let word = word.trim_matches(|character: char| !character.is_alphanumeric());
    let is_assigned = gap.contains(['=', ':']) && !value.is_empty();
    if gap.is_empty() || !is_assigned && (word.is_empty() || is_ordinary(word)) {
        return None;
    }
    // A password may hold any character, so nothing behind it is safe to show.
    let shows_rest = kind == Credential::UserName && word != "is";
    Some((gap, if shows_rest { after_word } else { "" }))
}

/// What may stand between the name of a credential and its value.
fn is_gap(character: char) -> bool {
    character.is_whitespace() || matches!(character, '=' | ':' | '"' | '\'' | '(' | '[' | '<' | '>')
}

fn ends_user_name(character: char) -> bool {
    character.is_whitespace() || matches!(character, ',' | ';' | '&' | '"' | '\'')
}

fn is_ordinary(word: &str) -> bool {
    ORDINARY_WORDS.iter().any(|ordinary| word.eq_ignore_ascii_case(ordinary))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind_of(lines: &[&str]) -> Option<LogHintKind> {
        last_hint(lines).map(|hint| hint.kind)
    }

    const TROUBLES: &[(LogHintKind, &str)] = &[
        // heshiming/ibga
        (TwoFactorPending, "!!! IB Gateway is waiting for two-factor authentication !!!"),
        (TwoFactorPending, "  - token expired detected: Your security tokens have expired."),
        (LoginFailed, "  - login failed: Invalid username or password."),
        (LoginFailed, "• cannot continue due to fatal error: Invalid username or password."),
        (LoginLockedOut, "  - login failed: Too many failed login attempts. Please wait 53 seconds"),
        (SessionElsewhere, "  - existing session detected, will kick it out"),
        // IBC
        (TwoFactorPending, "2026-11-22 13:28:47:413 IBC: Second Factor Authentication initiated"),
        (
            TwoFactorPending,
            "2026-11-22 13:28:47:412 IBC: detected dialog entitled: Second Factor Authentication; event=Opened",
        ),
        (
            TwoFactorPending,
            "2026-11-22 13:31:48:001 IBC: Re-login after second factor authentication timeout in 5 second",
        ),
        (
            TwoFactorPending,
            "2026-11-22 13:31:48:001 IBC: Re-login after second factor authentication timeout not required",
        ),
        (
            TwoFactorPending,
            "2026-11-22 13:31:48:001 IBC: IBC closing because login has not completed after Second Factor Authentication",
        ),
        (LoginFailed, "2026-11-22 13:28:47:412 IBC: detected dialog entitled: Login failed; event=Opened"),
        (LoginFailed, "2026-11-22 13:28:47:412 IBC: Unrecognized Username or Password"),
        (
            LoginLockedOut,
            "2026-11-22 13:28:47:412 IBC: Too many failed login attempts. Please wait 4 minutes & 47 seconds before attempting to re-login again.",
        ),
        (
            SessionElsewhere,
            "2026-11-22 13:28:47:412 IBC: detected dialog entitled: Existing session detected; event=Opened",
        ),
        (SessionElsewhere, "2026-11-22 13:28:47:412 IBC: End this session and let the other session proceed"),
        (SessionElsewhere, "2026-11-22 13:28:47:412 IBC: User must choose whether to continue with this session"),
        // IBAutomater
        (TwoFactorPending, "Waiting for 2FA confirmation on IBKR mobile app (to be confirmed within 3 minutes)."),
        (
            TwoFactorPending,
            "Window event: [WINDOW_OPENED] - Window title: [Second Factor Authentication] - Window name: [dialog3]",
        ),
        (TwoFactorPending, "2FA confirmation timeout"),
        (TwoFactorPending, "2FA maximum attempts reached"),
        (TwoFactorPending, "Auto-restart token expired, closing IBGateway"),
        (LoginFailed, "Login failed: invalid characters in credentials"),
        (LoginLockedOut, "Too many failed login attempts, closing IBGateway."),
        (
            SessionElsewhere,
            "Window event: [WINDOW_OPENED] - Window title: [Existing session detected] - Window name: [dialog1]",
        ),
        // ibg-controller
        (TwoFactorPending, "13:28:47 [INFO] [live] [STATE: TWO_FA]"),
        (TwoFactorPending, "13:28:47 [ERROR] [live] ALERT_2FA_FAILED mode=live reason=\"timeout\""),
        (LoginFailed, "13:28:47 [ERROR] [live] ALERT_LOGIN_FAILED mode=live reason=\"bad-credentials\""),
        (LoginFailed, "13:28:47 [ERROR] [live] ALERT_PASSWORD_EXPIRED status=expired mode=live"),
        (LoginLockedOut, "13:28:47 [ERROR] [live] ALERT_CCP_PERSISTENT consecutive_lockouts=3 mode=live"),
        (LoginLockedOut, "13:28:47 [ERROR] [live] ALERT_CCP_PERSISTENT_HALT mode=live"),
        (LoginLockedOut, "2026-11-22 13:28:47 AuthTimeoutMonitor-CCP: Timeout!"),
    ];

    #[test]
    fn one_line_tells_the_trouble() {
        for &(kind, line) in TROUBLES {
            assert_eq!(kind_of(&[line]), Some(kind), "{line}");
        }
    }

    #[test]
    fn lines_without_meaning_give_no_hint() {
        let cases: [&[&str]; 9] = [
            &[],
            &[""],
            &["2026/11/22 13:28:47 socat[77] E connect(5, AF=2 127.0.0.1:4001, 16): Connection refused"],
            &["2026-11-22 13:28:40:001 IBC: ExitAfterSecondFactorAuthenticationTimeout is set to 'no'"],
            &["SecondFactorAuthenticationTimeout=180"],
            &["Connection to server failed: Server disconnected, please try again"],
            &["Login failed - Server disconnected, please try again"],
            &["13:28:47 [WARNING] [live] ALERT_PASSWORD_EXPIRED status=warning mode=live days_remaining=7"],
            &["2026-11-22 13:28:42:857 IBC: detected frame entitled: Authenticating...; event=Opened"],
        ];
        for lines in cases {
            assert_eq!(kind_of(lines), None, "{lines:?}");
        }
    }

    #[test]
    fn progress_after_a_trouble_cancels_it() {
        let cases = [
            "2026-11-22 13:28:47:413 IBC: Login has completed",
            "2026-11-22 13:28:47:413 IBC: Configuration tasks completed",
            "2026-11-22 13:28:47:413 IBC: Login attempt: 2",
            "2026-11-22 13:28:47:413 IBC: Click button: Paper Log In",
            "2026-11-22 13:28:47:413 IBC: detected dialog entitled: Second Factor Authentication; event=Closed",
            "2026-11-22 13:28:47:413 IBC: Second Factor Authentication dialog event: Closed",
            "2026-11-22 13:28:47:413 IBC: detected frame entitled: Starting application...; event=Opened",
            "Starting IBC version 3.24.2 on Sun 22 Nov 2026 at 13:28:40",
            "2FA confirmation success",
            "Click button: [Log In]",
            "Configuration settings updated.",
            "Window event: [WINDOW_CLOSED] - Window title: [Second Factor Authentication] - Window name: [dialog3]",
            "  - welcome: 28% Connecting to server...",
            "• breaking out of maintenance cycle because login is needed again",
            "• filling in login form ...",
            "• entered maintenance cycle",
            "• IB Gateway is no longer running, will restart ...",
            "  - option check, no settings change necessary.",
            "13:28:47 [INFO] [live] [STATE: MONITORING]",
            "13:28:47 [INFO] [live] [STATE: LAUNCHING]",
            "13:28:47 [INFO] [live] ALERT_AUTO_RESTART mode=live status=adopted",
            "2026-11-22 13:28:47 API server listening on port 4001",
        ];
        let troubles = [
            "!!! IB Gateway is waiting for two-factor authentication !!!",
            "2026-11-22 13:00:00:000 IBC: Login failed",
            "Too many failed login attempts, closing IBGateway.",
            "  - existing session detected, will kick it out",
        ];
        for progress in cases {
            for trouble in troubles {
                assert_eq!(kind_of(&[trouble, progress]), None, "{trouble} / {progress}");
                assert!(kind_of(&[progress, trouble]).is_some(), "{progress} / {trouble}");
            }
        }
    }

    #[test]
    fn the_last_line_that_says_anything_decides() {
        let cases: [(&str, &[&str], Option<LogHintKind>); 6] = [
            (
                "ibga asks for the second factor after a failed login",
                &[
                    "  - login failed: Connection timed out",
                    "• filling in login form ...",
                    "• logging in ...",
                    "• entered maintenance cycle",
                    "  - welcome: 0% Authenticating...",
                    "!!! IB Gateway is waiting for two-factor authentication !!!",
                    "!!! IB Gateway is waiting for two-factor authentication !!!",
                ],
                Some(TwoFactorPending),
            ),
            (
                "IBC restarts because of the password",
                &[
                    "2026-11-22 13:00:00:000 IBC: Login attempt: 1",
                    "2026-11-22 13:00:05:000 IBC: Unrecognized Username or Password",
                    "2026-11-22 13:00:05:001 IBC: Cold restart in progress",
                ],
                Some(LoginFailed),
            ),
            (
                "the second factor was approved and another session shows",
                &[
                    "2026-11-22 13:00:00:000 IBC: Second Factor Authentication initiated",
                    "2026-11-22 13:00:20:000 IBC: detected dialog entitled: Second Factor Authentication; event=Closed",
                    "2026-11-22 13:00:21:000 IBC: detected dialog entitled: Existing session detected; event=Opened",
                ],
                Some(SessionElsewhere),
            ),
            (
                "the second factor was missed, nobody repeats it",
                &[
                    "2026-11-22 13:00:00:000 IBC: Second Factor Authentication initiated",
                    "2026-11-22 13:03:00:000 IBC: detected dialog entitled: Second Factor Authentication; event=Closed",
                    "2026-11-22 13:03:00:001 IBC: Duration since login: 180 seconds",
                    "2026-11-22 13:03:00:002 IBC: Re-login after second factor authentication timeout not required",
                    "socat[77] E connect(5, AF=2 127.0.0.1:4001, 16): Connection refused",
                ],
                Some(TwoFactorPending),
            ),
            (
                "ibg-controller halts and keeps the reason",
                &["13:00:00 [ERROR] [live] ALERT_2FA_FAILED mode=live", "13:05:00 [INFO] [live] [STATE: HALTED]"],
                Some(TwoFactorPending),
            ),
            (
                "a whole successful login",
                &[
                    "2026-11-22 13:00:00:000 IBC: Login attempt: 1",
                    "2026-11-22 13:00:05:000 IBC: Second Factor Authentication initiated",
                    "2026-11-22 13:00:25:000 IBC: Login has completed",
                    "2026-11-22 13:00:26:000 IBC: detected frame entitled: IBKR Gateway; event=Opened",
                    "2026-11-22 13:00:30:000 IBC: Configuration tasks completed",
                ],
                None,
            ),
        ];
        for (story, lines, expected) in cases {
            assert_eq!(kind_of(lines), expected, "{story}");
        }
    }

    #[test]
    fn the_line_tells_no_account_user_or_password() {
        let cases = [
            ("account", "Login failed for U1234567", "Login failed for ***"),
            ("paper account", "Login failed (DU1234567, DF7654321)", "Login failed (***, ***)"),
            ("account with more letters", "login failed: DUP770846.", "login failed: ***."),
            ("small letters", "login failed: du1234567", "login failed: ***"),
            ("inside a word", "login failed acct_U1234567_x", "login failed ***"),
            ("invisible characters inside", "login failed U12\u{200b}34\u{202e}567", "login failed ***"),
            (
                "time, port and code stay",
                "20261122 13:00 login failed 4001 10141",
                "20261122 13:00 login failed 4001 10141",
            ),
            ("user", "login failed for user jdoe today", "login failed for user *** today"),
            ("user name", "login failed: username=jdoe, retry", "login failed: username=***, retry"),
            ("user in a sentence", "login failed: user is jdoe", "login failed: user ***"),
            ("environment", "login failed TWS_USERID=jdoe x", "login failed TWS_USERID=*** x"),
            ("password", "login failed: password=Hun,ter 2!", "login failed: password=***"),
            ("password setting", "login failed IbPassword: Hunter2", "login failed IbPassword: ***"),
            ("password in quotes", "login failed, password 'correct horse'", "login failed, password '***"),
            (
                "json",
                "login failed {\"user\":\"jdoe\",\"password\":\"a b\"}",
                "login failed {\"user\":\"***\",\"password\":\"***",
            ),
            (
                "the message itself stays",
                "login failed: Invalid username or password.",
                "login failed: Invalid username or password.",
            ),
            (
                "a sentence goes on",
                "login failed: the password has expired, the user must renew it",
                "login failed: the password has expired, the user must renew it",
            ),
        ];
        for (what, line, shown) in cases {
            assert_eq!(last_hint(&[line]).unwrap().line, shown, "{what}");
        }
    }

    #[test]
    fn hostile_text_stays_one_short_printable_line() {
        let long = format!("login failed {}", "ä".repeat(100_000));
        let hidden = format!("{}login failed", "x".repeat(LINE_CHARS_MAX));
        let cases = [
            ("escape sequences", "\u{1b}[2J\u{7}login failed\r\n\u{0}", Some("[2Jlogin failed")),
            ("turned text", "\u{202e}login failed\u{2066}", Some("login failed")),
            ("line breaks", "login failed\nSubject: READY\r\nBcc: x", Some("login failedSubject: READYBcc: x")),
            ("behind what is read", &hidden, None),
            ("one word of many digits", "login failed A\u{661}\u{662}\u{663}\u{664}\u{665}", Some("login failed ***")),
        ];
        for (what, line, shown) in cases {
            assert_eq!(last_hint(&[line]).map(|hint| hint.line).as_deref(), shown, "{what}");
        }
        let line = last_hint(&[long]).unwrap().line;
        assert_eq!(line.chars().count(), HINT_CHARS_MAX);
    }
}
