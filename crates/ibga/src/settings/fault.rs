//! What can be wrong with a setting, and where it stands.
//!
//! Responsible for the words of every fault and for the place each one names.
//! Must never hold the value of a secret, nor more than a short excerpt of any other value.

use std::collections::HashSet;
use std::fmt;
use std::path::PathBuf;

use super::names::Setting;

/// Most characters of a value that a message repeats.
const SHOWN_CHARS_MAX: usize = 64;

/// Most problems that [`SettingsError`] prints; the rest is counted.
const PROBLEMS_SHOWN_MAX: usize = 50;

/// Which of the five sources a value came from, strongest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Origin {
    /// A flag on the command line.
    Flag,
    /// A variable in the process environment.
    Environment,
    /// A line of `.env`.
    EnvFile,
    /// A key of `ibga.toml`.
    Config,
    /// Nobody set it.
    Default,
}

/// The exact place a value came from. Lines and columns count from 1, columns in characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// A flag, with its dashes.
    Flag(&'static str),
    /// The name of a variable in the process environment.
    Environment(String),
    /// A line of the `.env` file.
    EnvFile {
        /// The file as it was named.
        path: PathBuf,
        /// Where the assignment begins.
        line: usize,
    },
    /// A position in the configuration file.
    Config {
        /// The file as it was named.
        path: PathBuf,
        /// Line of the key or value.
        line: usize,
        /// Column of the key or value.
        column: usize,
    },
    /// A file as a whole.
    File(PathBuf),
    /// The default of the setting with this name.
    Default(&'static str),
}

impl Place {
    /// The source that a value at this place came from. A file as a whole counts as configuration.
    #[must_use]
    pub fn origin(&self) -> Origin {
        match self {
            Self::Flag(_) => Origin::Flag,
            Self::Environment(_) => Origin::Environment,
            Self::EnvFile { .. } => Origin::EnvFile,
            Self::Config { .. } | Self::File(_) => Origin::Config,
            Self::Default(_) => Origin::Default,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Flag(flag) => formatter.write_str(flag),
            Self::Environment(name) => write!(formatter, "{} in the environment", shown(name)),
            Self::EnvFile { path, line } => write!(formatter, "{}:{line}", path.display()),
            Self::Config { path, line, column } => {
                write!(formatter, "{}:{line}:{column}", path.display())
            }
            Self::File(path) => write!(formatter, "{}", path.display()),
            Self::Default(name) => write!(formatter, "default of {name}"),
        }
    }
}

/// One thing that is wrong, without its place.
#[derive(Debug, Clone, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Fault {
    /// The configuration file has a key that no setting has.
    #[error("unknown key; {hint}")]
    UnknownKey {
        /// The nearest right key, or all of them.
        hint: String,
    },
    /// A key of the whole program stands inside one gateway's table.
    #[error("belongs to all gateways; move it to the top of the file, before the first table")]
    GlobalKey,
    /// A setting that a configuration file cannot hold.
    #[error("cannot be set here; set `{environment}` in the environment or in `.env`")]
    NotInConfig {
        /// The name to set instead.
        environment: &'static str,
    },
    /// A secret in the configuration file.
    #[error(
        "is a secret and cannot be set here; set `{environment}` in the environment or in `.env`, or `{file}` here to the file that \
         holds it"
    )]
    SecretInConfig {
        /// The name to set instead.
        environment: &'static str,
        /// The key that can name a file.
        file: &'static str,
    },
    /// A variable that looks like a misspelt name of ours.
    #[error("unknown name; did you mean `{nearest}`?")]
    UnknownName {
        /// The right name.
        nearest: &'static str,
    },
    /// The configuration file is not TOML.
    #[error("not valid TOML: {0}")]
    Syntax(String),
    /// A TOML value of another type than the setting takes.
    #[error("{found} where {expected} belongs")]
    WrongType {
        /// What the setting takes.
        expected: &'static str,
        /// What stands there.
        found: &'static str,
    },
    /// A line of `.env` that is no assignment. The line may hold a secret, so it is not repeated.
    #[error("not an assignment; write NAME=value, or begin a comment with #")]
    NotAnAssignment,
    /// A quote in `.env` that is never closed.
    #[error("the quote that opens here is never closed")]
    QuoteOpen,
    /// Something follows a closing quote in `.env`.
    #[error("text after the closing quote; quote the whole value")]
    TextAfterQuote,
    /// A quoted value in `.env` runs over the line of another setting.
    #[error("the quote that opens here runs over the line that sets `{swallowed}`; close it before")]
    QuoteSwallows {
        /// The setting that would be lost.
        swallowed: &'static str,
    },
    /// A variable that is not UTF-8.
    #[error("not valid UTF-8; write it in UTF-8")]
    NotText,
    /// An empty value where emptiness means nothing.
    #[error("empty; write a value or leave it out")]
    Empty,
    /// A value with a control character.
    #[error("holds a control character; remove it")]
    ControlCharacter,
    /// A value that is not of the kind that the setting takes.
    #[error("`{shown}` is not {what}; {expected}")]
    NotA {
        /// An excerpt of the value.
        shown: String,
        /// The kind, with its article.
        what: &'static str,
        /// What to write.
        expected: &'static str,
    },
    /// A value that is not among the few that are possible.
    #[error("`{shown}` is not one of {}{}", choices.join(", "), did_you_mean(nearest.as_ref()))]
    NotAChoice {
        /// An excerpt of the value.
        shown: String,
        /// The possible values.
        choices: &'static [&'static str],
        /// The one that was likely meant.
        nearest: Option<&'static str>,
    },
    /// An exchange without a calendar.
    #[error("unknown exchange `{shown}`; {hint}")]
    UnknownExchange {
        /// An excerpt of the value.
        shown: String,
        /// The nearest one, or all of them.
        hint: String,
    },
    /// A contract whose hours no calendar can be compared with.
    #[error("`{shown}` cannot be asked about; {hint}")]
    ProbeContract {
        /// An excerpt of the value.
        shown: String,
        /// Why, and what to write.
        hint: String,
    },
    /// A contract to ask about, and no question.
    #[error("`off` asks the broker nothing, also not about the probe_contract ({contract}); remove one of the two")]
    NothingAsked {
        /// Where the contract stands.
        contract: String,
    },
    /// Stock Connect beside other exchanges.
    #[error("stock_connect is XSHG and XHKG together and stands alone; write the exchanges one by one")]
    StockConnectAlone,
    /// Stock Connect with the rule that one exchange is enough.
    #[error("stock_connect takes all of XSHG and XHKG; remove exchange_rule, or name the exchanges themselves")]
    StockConnectRule,
    /// Two gateways that would be told of by each other.
    #[error("gateways {one} and {other} share {what}; give each its own")]
    Shared {
        /// The one.
        one: String,
        /// The other.
        other: String,
        /// What they share.
        what: String,
    },
    /// Client id 0.
    #[error("client id 0 binds the orders that were placed by hand; choose 1 or more, such as 99")]
    ClientIdZero,
    /// A duration without a unit.
    #[error("`{shown}` has no unit; write a number with its unit, such as {shown}s or {shown}m")]
    NoUnit {
        /// The number.
        shown: String,
    },
    /// A duration out of its limits.
    #[error("`{shown}` is out of range; write {min} to {max}")]
    DurationRange {
        /// An excerpt of the value.
        shown: String,
        /// Shortest possible.
        min: &'static str,
        /// Longest possible.
        max: &'static str,
    },
    /// A host with a port or scheme in it.
    #[error("`{shown}` is more than a host; write the host alone and the port as `port`")]
    MoreThanHost {
        /// An excerpt of the value.
        shown: String,
    },
    /// A path with something that only a shell expands.
    #[error("`{shown}` is taken as it stands, `~` and `$` are not expanded; write the whole path")]
    PathNotExpanded {
        /// An excerpt of the value.
        shown: String,
    },
    /// A relative path where every process has to mean the same place.
    #[error("`{shown}` is relative to wherever a process starts; write a path that begins with /")]
    PathRelative {
        /// An excerpt of the value.
        shown: String,
    },
    /// A file mode that lets others write.
    #[error("`{shown}` lets group or others write, and no reader would trust such a file; write 0600, 0640 or 0644")]
    ModeWritable {
        /// An excerpt of the value.
        shown: String,
    },
    /// A file mode that shuts the owner out.
    #[error("`{shown}` keeps the owner from reading or writing; write 0600, 0640 or 0644")]
    ModeShut {
        /// An excerpt of the value.
        shown: String,
    },
    /// Not the shape of an account id. Only its first two characters are repeated.
    #[error("`{start}…` is not an account id; write 1 to 4 letters and 3 to 12 digits, as in DU1234567")]
    AccountShape {
        /// The first two characters.
        start: String,
    },
    /// A user name that the system does not know.
    #[error("no user `{name}` in /etc/passwd; write a name that is there, or the numeric user id")]
    UnknownUser {
        /// The name.
        name: String,
    },
    /// The file of users cannot be read or must not be trusted, in the reader's words.
    #[error("{0}; write trusted owners as numeric user ids")]
    UsersUnreadable(String),
    /// A gateway that is not configured.
    #[error("no gateway `{name}` is configured; {hint}")]
    UnknownGateway {
        /// The name asked for.
        name: String,
        /// The nearest one, or all of them.
        hint: String,
    },
    /// Several gateways and none chosen.
    #[error("several gateways are configured; choose one with --gateway or IBGA_GATEWAY: {names}")]
    GatewayNotChosen {
        /// Their names.
        names: String,
    },
    /// Two gateways with one status file, so that one would vouch for the other.
    #[error("gateways `{first}` and `{second}` would share the status file `{shown}`; give each its own")]
    SharedStatusFile {
        /// One of them.
        first: String,
        /// The other.
        second: String,
        /// An excerpt of the path.
        shown: String,
    },
    /// A configuration file that was named and is not there.
    #[error("configuration file `{shown}` does not exist; correct the path")]
    ConfigMissing {
        /// An excerpt of the path.
        shown: String,
    },
    /// A file that cannot be read or must not be trusted, in the reader's words.
    #[error("{0}")]
    Unreadable(String),
    /// A text that is no URL that can be used. It may be a secret, so nothing of it is repeated.
    #[error("not a URL that can be used: {0}")]
    Url(&'static str),
    /// A text that is no token. Nothing of it is repeated.
    #[error("not a token: it holds a blank, or letters that none has; copy it once more")]
    Token,
    /// Two settings of which only one can count.
    #[error("`{other}` is set as well ({place}); remove one of the two")]
    SetTwice {
        /// The name of the other one.
        other: &'static str,
        /// Where that stands.
        place: String,
    },
    /// A setting that is of no use without another.
    #[error("{lacks}; set {needed}")]
    Incomplete {
        /// What is missing, in words.
        lacks: &'static str,
        /// The settings of which one would do, as the place names them.
        needed: String,
    },
    /// More recipients than anybody means.
    #[error("more than {max} addresses; write the address of a mailing list")]
    TooManyRecipients {
        /// How many are taken.
        max: usize,
    },
    /// A password in the clear.
    #[error("a password would be sent readable; write starttls or tls, or remove user and password")]
    PasswordReadable,
    /// A span of time without length.
    #[error("`{shown}` ends where it begins; write two times of day, as in 22:00-07:00")]
    EmptySpan {
        /// An excerpt of the value.
        shown: String,
    },
    /// A channel that is to be called and is not there.
    #[error("`{name}` is not configured; {hint}")]
    ChannelNotConfigured {
        /// The channel.
        name: &'static str,
        /// The channels that are.
        hint: String,
    },
    /// A second audience without a first.
    #[error("names every channel that is configured, so that nobody would be told before; leave one out")]
    NobodyFirst,
    /// A word that is no cause.
    #[error("unknown cause `{shown}`; {hint}")]
    UnknownCause {
        /// An excerpt of the value.
        shown: String,
        /// The nearest one, or all that could be named.
        hint: String,
    },
    /// A cause that must not be acted upon.
    #[error("{cause} is never acted upon: {why}; remove it")]
    NeverRecovered {
        /// The cause.
        cause: &'static str,
        /// Why.
        why: &'static str,
    },
    /// A cause against which the recipe does nothing.
    #[error("`{recipe}` does nothing about {cause}; {next_step}")]
    RecipeInVain {
        /// The word of the recipe.
        recipe: &'static str,
        /// The cause.
        cause: &'static str,
        /// What to write.
        next_step: &'static str,
    },
    /// A container that is to be started, where no engine is asked for one.
    #[error("nobody looks for the gateway's container ({why}), so {cause} is never seen; set container to its name")]
    ContainerUnseen {
        /// Why.
        why: &'static str,
        /// The cause.
        cause: &'static str,
    },
    /// A fault in a secret: nothing of it is told.
    #[error("not usable; its value is a secret and is not shown")]
    Secret,
}

impl Fault {
    /// Whether its words hold nothing of the value, so that it can be told of a secret.
    fn hides_the_value(&self) -> bool {
        matches!(
            self,
            Self::Empty
                | Self::ControlCharacter
                | Self::NotText
                | Self::Url(_)
                | Self::Token
                | Self::SetTwice { .. }
                | Self::Incomplete { .. }
        )
    }
}

/// One fault with its place. Prints as one line.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Problem {
    /// Where the value stands.
    pub place: Place,
    /// The name or key at that place, where the place alone does not tell it.
    pub subject: Option<String>,
    /// What is wrong.
    pub fault: Fault,
}

impl Problem {
    /// A fault of a place that names itself.
    pub(super) fn new(place: Place, fault: Fault) -> Self {
        Self { place, subject: None, fault }
    }

    /// A fault of a named thing within a file.
    pub(super) fn about(place: Place, subject: &str, fault: Fault) -> Self {
        Self { place, subject: Some(shown(subject)), fault }
    }

    /// A fault in the value of a setting, named as its source names it.
    pub(super) fn of_value(setting: &Setting, place: Place, fault: Fault) -> Self {
        let fault = if setting.is_secret() && !fault.hides_the_value() { Fault::Secret } else { fault };
        match place.origin() {
            Origin::EnvFile => Self::about(place, setting.environment, fault),
            Origin::Config => Self::about(place, setting.name, fault),
            Origin::Flag | Origin::Environment | Origin::Default => Self::new(place, fault),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: ", self.place)?;
        if let Some(subject) = &self.subject {
            write!(formatter, "{subject}: ")?;
        }
        write!(formatter, "{}", self.fault)
    }
}

/// Everything that is wrong with the settings of one run, in the order of the sources.
///
/// Prints one line per problem, without a newline at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingsError {
    problems: Vec<Problem>,
}

impl SettingsError {
    /// Sorts the problems by place and drops repetitions.
    pub(super) fn new(mut problems: Vec<Problem>) -> Self {
        // A file is checked whole and its values are checked again where they count.
        let mut seen = HashSet::new();
        problems.retain(|problem| seen.insert(problem.clone()));
        problems.sort_by(|one, other| one.place.cmp(&other.place));
        Self { problems }
    }

    /// Every problem, in the order of the sources and of the lines within a file.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

impl fmt::Display for SettingsError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().take(PROBLEMS_SHOWN_MAX).enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(formatter, "{separator}{problem}")?;
        }
        match self.problems.len().saturating_sub(PROBLEMS_SHOWN_MAX) {
            0 => Ok(()),
            more => write!(formatter, "\nand {more} more"),
        }
    }
}

impl std::error::Error for SettingsError {}

/// A value as a message repeats it: short, on one line, without control characters.
pub(super) fn shown(text: &str) -> String {
    let mut short: String = text.chars().take(SHOWN_CHARS_MAX).flat_map(char::escape_debug).collect();
    // Quotes are harmless in a message, and escaped ones would not be what the person wrote.
    short = short.replace("\\\"", "\"").replace("\\'", "'");
    if text.chars().nth(SHOWN_CHARS_MAX).is_some() {
        short.push('…');
    }
    short
}

fn did_you_mean(nearest: Option<&&'static str>) -> String {
    nearest.map(|name| format!("; did you mean `{name}`?")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::names::PORT;
    use crate::settings::names::alerts::SMTP_PASS;

    #[test]
    fn places_read_as_an_operator_names_them() {
        let cases = [
            (Place::Flag("--port"), "--port"),
            (Place::Environment("IBKR_PORT".into()), "IBKR_PORT in the environment"),
            (Place::EnvFile { path: ".env".into(), line: 3 }, ".env:3"),
            (Place::Config { path: "ibga.toml".into(), line: 12, column: 8 }, "ibga.toml:12:8"),
            (Place::File("/etc/ibga/ibga.toml".into()), "/etc/ibga/ibga.toml"),
            (Place::Default("port"), "default of port"),
        ];
        for (place, expected) in cases {
            assert_eq!(place.to_string(), expected);
        }
    }

    #[test]
    fn a_secret_is_never_repeated() {
        let fault = || Fault::UnknownUser { name: "hunter2".into() };
        let place = || Place::EnvFile { path: ".env".into(), line: 3 };
        let secret = Problem::of_value(&SMTP_PASS, place(), fault());
        assert!(!format!("{secret} {secret:?}").contains("hunter2"));
        let open = Problem::of_value(&PORT, place(), fault());
        assert!(open.to_string().contains("hunter2"), "{open}");
    }

    #[test]
    fn values_are_cut_and_escaped() {
        assert_eq!(shown("plain"), "plain");
        assert_eq!(shown("it's \"so\""), "it's \"so\"");
        assert_eq!(shown("a\nb\u{1b}[31m"), "a\\nb\\u{1b}[31m");
        assert_eq!(shown(&"x".repeat(64)), "x".repeat(64));
        assert_eq!(shown(&"x".repeat(65)), format!("{}…", "x".repeat(64)));
    }

    #[test]
    fn many_problems_are_counted_beyond_the_limit() {
        let problem = |line| Problem::new(Place::EnvFile { path: ".env".into(), line }, Fault::NotAnAssignment);
        let error = SettingsError::new((1..=53).rev().map(problem).collect());
        let text = error.to_string();
        assert_eq!(text.lines().count(), 51);
        assert!(text.starts_with(".env:1: "), "{text}");
        assert!(text.ends_with("\nand 3 more"), "{text}");
        assert_eq!(error.problems().len(), 53);
    }
}
