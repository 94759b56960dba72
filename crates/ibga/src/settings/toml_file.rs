//! The configuration file.
//!
//! Responsible for reading `ibga.toml` against the table of settings, and for finding everything that is wrong in it,
//! with line and column. It walks the parsed document instead of deserializing it, since a deserializer stops at
//! the first fault. Must never take a key that the table does not have.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};

use super::fault::{Fault, Place, Problem, shown};
use super::layers::{Entry, Given, Layer};
use super::names::{self, Kind, STATUS_FILE, Scope, Setting};
use super::values::{self, GatewayName};

/// Most syntax errors that are reported of one file; those after them are mostly their consequences.
const SYNTAX_ERRORS_MAX: usize = 10;

/// A configuration file that could be read, whether or not its values are right.
pub(super) struct ConfigFile {
    pub(super) path: PathBuf,
    /// What stands at the top: for every gateway and for the whole program.
    pub(super) top: Layer,
    /// The gateways by name.
    pub(super) gateways: BTreeMap<GatewayName, Layer>,
}

/// Reads the text and adds every fault in it to `problems`. `None` if it is not TOML at all.
pub(super) fn parse(text: &str, path: &Path, problems: &mut Vec<Problem>) -> Option<ConfigFile> {
    let document = Document { path, lines: line_starts(text), text };
    let (root, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        for error in errors.iter().take(SYNTAX_ERRORS_MAX) {
            let span = error.span().unwrap_or_default();
            let mut message = error.message().to_owned();
            if message == "duplicate key" {
                let key = text.get(span.clone()).unwrap_or_default();
                message = format!("`{}` stands here a second time", shown(key));
            }
            problems.push(Problem::new(document.place(&span), Fault::Syntax(message)));
        }
        return None;
    }
    let mut file = ConfigFile { path: path.to_owned(), top: Layer::new(), gateways: BTreeMap::new() };
    for (key, value) in root.get_ref() {
        if key.get_ref() == "gateway" {
            document.gateways(value, &mut file, problems);
        } else {
            file.top.extend(document.entry(key, value, &[Scope::Gateway, Scope::Global], problems));
        }
    }
    let layers = std::iter::once(&file.top).chain(file.gateways.values());
    problems.extend(layers.flatten().flat_map(Entry::problems));
    problems.extend(shared_status_files(&file));
    Some(file)
}

/// The text with what is needed to name places in it.
struct Document<'a> {
    path: &'a Path,
    text: &'a str,
    lines: Vec<usize>,
}

impl Document<'_> {
    fn place(&self, span: &Range<usize>) -> Place {
        // The first line starts at 0, so there is always one at or before the span.
        let line = self.lines.partition_point(|start| *start <= span.start).max(1);
        let start = self.lines.get(line - 1).copied().unwrap_or_default();
        let before = self.text.get(start..span.start).unwrap_or_default();
        Place::Config { path: self.path.to_owned(), line, column: before.chars().count() + 1 }
    }

    fn gateways(&self, value: &Spanned<DeValue<'_>>, file: &mut ConfigFile, problems: &mut Vec<Problem>) {
        let wrong = |span: Range<usize>, subject: &str, found: &DeValue<'_>| {
            let expected = "a table `[gateway.NAME]`";
            let fault = Fault::WrongType { expected, found: type_name(found) };
            Problem::about(self.place(&span), subject, fault)
        };
        let DeValue::Table(gateways) = value.get_ref() else {
            problems.push(wrong(value.span(), "gateway", value.get_ref()));
            return;
        };
        for (key, value) in gateways {
            let DeValue::Table(table) = value.get_ref() else {
                problems.push(wrong(key.span(), &format!("gateway.{}", key.get_ref()), value.get_ref()));
                continue;
            };
            let mut layer = Layer::new();
            for (key, value) in table {
                layer.extend(self.entry(key, value, &[Scope::Gateway], problems));
            }
            match values::read(key.get_ref(), values::gateway_name) {
                Ok(name) => {
                    file.gateways.insert(name, layer);
                }
                Err(fault) => {
                    problems.push(Problem::about(self.place(&key.span()), "gateway", fault));
                }
            }
        }
    }

    fn entry(
        &self,
        key: &Spanned<DeString<'_>>,
        value: &Spanned<DeValue<'_>>,
        scopes: &[Scope],
        problems: &mut Vec<Problem>,
    ) -> Option<Entry> {
        let name = key.get_ref();
        let known = names::by_toml_key(name).filter(|setting| scopes.contains(&setting.scope));
        let Some(setting) = known else {
            let fault = names::fault_of_key(name, scopes);
            problems.push(Problem::about(self.place(&key.span()), name, fault));
            return None;
        };
        let items = if let (Kind::Words, DeValue::String(text)) = (setting.kind, value.get_ref()) {
            return Some(Entry::from_text(setting, text, &self.place(&value.span())));
        } else if setting.kind.is_list() {
            let DeValue::Array(array) = value.get_ref() else {
                let place = self.place(&value.span());
                problems.push(wrong_type(setting, place, value.get_ref()));
                return None;
            };
            array.iter().filter_map(|item| self.item(setting, item, problems)).collect()
        } else {
            vec![self.item(setting, value, problems)?]
        };
        Some(Entry { setting, items })
    }

    /// One value as text, if it has the type that the setting takes.
    fn item(
        &self,
        setting: &'static Setting,
        value: &Spanned<DeValue<'_>>,
        problems: &mut Vec<Problem>,
    ) -> Option<Given> {
        let place = self.place(&value.span());
        let text = match (setting.kind, value.get_ref()) {
            (
                Kind::Text | Kind::Verbatim | Kind::Id | Kind::Duration | Kind::Texts | Kind::Words | Kind::Owners,
                DeValue::String(text),
            ) => text.to_string(),
            (Kind::Whole | Kind::Id | Kind::Duration | Kind::Owners, DeValue::Integer(number)) => {
                i64::from_str_radix(number.as_str(), number.radix())
                    .map_or_else(|_| number.to_string(), |number| number.to_string())
            }
            (Kind::Duration, DeValue::Float(number)) => number.as_str().to_owned(),
            (Kind::Switch, DeValue::Boolean(switch)) => switch.to_string(),
            (_, other) => {
                problems.push(wrong_type(setting, place, other));
                return None;
            }
        };
        Some(Given { text, place })
    }
}

fn wrong_type(setting: &Setting, place: Place, found: &DeValue<'_>) -> Problem {
    let fault = Fault::WrongType { expected: setting.kind.expected(), found: type_name(found) };
    Problem::of_value(setting, place, fault)
}

fn type_name(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date or time",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// Where each line begins, in bytes.
fn line_starts(text: &str) -> Vec<usize> {
    let after_ends = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
    std::iter::once(0).chain(after_ends.map(|(index, _)| index + 1)).collect()
}

/// Gateways whose reports would overwrite each other, so that the gate of one would read the other's.
fn shared_status_files(file: &ConfigFile) -> Vec<Problem> {
    let mut first_users: BTreeMap<PathBuf, &GatewayName> = BTreeMap::new();
    let mut problems = Vec::new();
    for (name, layer) in &file.gateways {
        let entry = super::layers::pick(&[layer, &file.top], &STATUS_FILE);
        let given = entry.and_then(|entry| entry.items.first());
        let path = given.map_or_else(|| name.default_status_file(), |given| PathBuf::from(given.text.trim()));
        let Some(first) = first_users.get(&path) else {
            first_users.insert(path, name);
            continue;
        };
        let fault = Fault::SharedStatusFile {
            first: first.to_string(),
            second: name.to_string(),
            shown: shown(&path.to_string_lossy()),
        };
        let place = given.map_or_else(|| Place::File(file.path.clone()), |given| given.place.clone());
        problems.push(Problem::about(place, STATUS_FILE.name, fault));
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::names::SETTINGS;

    fn read(text: &str) -> (Option<ConfigFile>, Vec<String>) {
        let mut problems = Vec::new();
        let file = parse(text, Path::new("ibga.toml"), &mut problems);
        problems.sort_by(|one, other| one.place.cmp(&other.place));
        (file, problems.iter().map(ToString::to_string).collect())
    }

    /// A value of the setting's type in TOML, made from its default or a fitting text.
    fn example_value(setting: &Setting) -> String {
        match (setting.kind, setting.name) {
            (Kind::Texts, "expect_accounts") => "[\"DU1234567\"]".into(),
            (Kind::Texts, name) if name.ends_with("_times") => "[\"09:30\"]".into(),
            (Kind::Texts, "reset_windows") => "[\"20:15-21:15 Asia/Hong_Kong Asia\"]".into(),
            (Kind::Texts, "recover") => "[\"container_stopped\"]".into(),
            (Kind::Texts, "supervise_stop") => "[\"not_ready\"]".into(),
            (Kind::Texts, _) => "[\"hfarm\"]".into(),
            (_, "alert_email" | "smtp_from") => "\"me@example.org\"".into(),
            (_, "escalate_to") => "[\"ntfy\", \"email\"]".into(),
            (_, "smtp_port") => "25".into(),
            (_, "quiet_hours") => "\"22:00-07:00 Europe/Zurich\"".into(),
            (_, "sendmail" | "alert_templates") => "\"/usr/sbin/sendmail\"".into(),
            (_, name) if name.ends_with("_file") && name != "status_file" => "\"/run/secrets/one\"".into(),
            (Kind::Duration, name) if setting.default.is_empty() => format!("\"{}m\"", name.len()),
            (Kind::Id, _) => "-100123".into(),
            (Kind::Verbatim, _) => "\"hunter2\"".into(),
            (Kind::Text, "smtp_host" | "smtp_user" | "alert_command") => "\"mail\"".into(),
            (Kind::Owners, _) => "[\"ops\", 1001]".into(),
            (Kind::Whole | Kind::Switch, _) => setting.default.into(),
            (_, "expect_mode") => "\"paper\"".into(),
            (_, "probe_contract") => "\"700 SEHK\"".into(),
            (_, "state_dir" | "calendar_overrides") => "\"/var/lib/ibga\"".into(),
            _ => format!("{:?}", setting.default),
        }
    }

    #[test]
    fn the_keys_are_those_of_the_table_and_no_others() {
        for setting in SETTINGS {
            let line = format!("{} = {}\n", setting.name, example_value(setting));
            let (file, problems) = read(&line);
            let (in_gateway, gateway_problems) = read(&format!("[gateway.one]\n{line}"));
            let top_takes_it = setting.toml_key().is_some();
            let gateway_takes_it = setting.scope == Scope::Gateway;
            assert_eq!(problems.is_empty(), top_takes_it, "{line}{problems:?}");
            assert_eq!(gateway_problems.is_empty(), gateway_takes_it, "{line}{gateway_problems:?}");
            let top = file.unwrap().top;
            assert_eq!(top.iter().any(|entry| entry.setting.name == setting.name), top_takes_it);
            let layer = in_gateway.unwrap().gateways.into_values().next().unwrap();
            assert_eq!(layer.len(), usize::from(gateway_takes_it));
        }
    }

    fn assert_faults(cases: &[(&str, &[&str])]) {
        for (text, expected) in cases {
            assert_eq!(read(text).1, *expected, "{text:?}");
        }
    }

    #[test]
    fn unknown_keys_with_the_nearest_right_one() {
        assert_faults(&[
            ("prot = 1", &["ibga.toml:1:1: prot: unknown key; did you mean `port`?"]),
            ("\n  Port = 1", &["ibga.toml:2:3: Port: unknown key; did you mean `port`?"]),
            ("IBKR_PORT = 1", &["ibga.toml:1:1: IBKR_PORT: unknown key; did you mean `port`?"]),
            ("max-age = 1", &["ibga.toml:1:1: max-age: unknown key; did you mean `max_status_age`?"]),
            ("[gateways.a]", &["ibga.toml:1:2: gateways: unknown key; did you mean `gateway`?"]),
            ("colour = 1", &["ibga.toml:1:1: colour: unknown key; `ibga init example.toml` writes every key there is"]),
            (
                "smtp_pass = \"hunter2\"",
                &["ibga.toml:1:1: smtp_pass: is a secret and cannot be set here; set `SMTP_PASS` in the environment \
                   or in `.env`, or `smtp_pass_file` here to the file that holds it"],
            ),
            (
                "config = \"x\"",
                &["ibga.toml:1:1: config: cannot be set here; set `IBGA_CONFIG` in the environment or in \
                   `.env`"],
            ),
            (
                "[gateway.a]\nstate_dir = \"/x\"",
                &["ibga.toml:2:1: state_dir: belongs to all gateways; move it to the top of the file, before \
                   the first table"],
            ),
        ]);
    }

    #[test]
    fn gateways_are_tables_with_a_name() {
        let table = "where a table `[gateway.NAME]` belongs";
        assert_faults(&[
            ("gateway = \"a\"", &[&format!("ibga.toml:1:11: gateway: text {table}")]),
            ("[[gateway]]", &[&format!("ibga.toml:1:1: gateway: a list {table}")]),
            ("[gateway]\nport = 1", &[&format!("ibga.toml:2:1: gateway.port: a whole number {table}")]),
            (
                "[gateway.\"a b\"]",
                &["ibga.toml:1:10: gateway: `a b` is not a gateway name; write 1 to 32 letters, digits, - \
                   and _"],
            ),
        ]);
    }

    #[test]
    fn each_setting_has_one_type() {
        let fault =
            |place: &str, found: &str, expected: &str| format!("ibga.toml:{place}: {found} where {expected} belongs");
        let text = "text in quotes";
        let texts = "a list of texts, as in [\"one\", \"two\"],";
        let cases = [
            ("port = \"4000\"", fault("1:8: port", "text", "a whole number")),
            ("port = 1.5", fault("1:8: port", "a fraction", "a whole number")),
            ("host = 1", fault("1:8: host", "a whole number", text)),
            ("host = true", fault("1:8: host", "true or false", text)),
            ("host = 2026-01-01", fault("1:8: host", "a date or time", text)),
            ("host = {}", fault("1:8: host", "a table", text)),
            ("status_file_mode = 600", fault("1:20: status_file_mode", "a whole number", text)),
            ("allow_read_only = \"true\"", fault("1:19: allow_read_only", "text", "true or false")),
            ("timeout = true", fault("1:11: timeout", "true or false", "a duration in quotes, such as \"15s\",")),
            ("expect_accounts = \"DU123\"", fault("1:19: expect_accounts", "text", texts)),
            ("expect_accounts = [\n  \"DU123\",\n  7,\n]", fault("3:3: expect_accounts", "a whole number", texts)),
            (
                "trusted_owners = [\"ops\", true]",
                fault("1:26: trusted_owners", "true or false", "a list of user names and ids, as in [\"name\", 1001],"),
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(read(text).1, [expected], "{text:?}");
        }
    }

    #[test]
    fn each_value_is_judged_in_its_place() {
        let unit = "has no unit; write a number with its unit, such as";
        let port = "is not a port; write a whole number from 1 to 65535";
        assert_faults(&[
            ("timeout = 15", &[&format!("ibga.toml:1:11: timeout: `15` {unit} 15s or 15m")]),
            ("timeout = 1.5", &[&format!("ibga.toml:1:11: timeout: `1.5` {unit} 1.5s or 1.5m")]),
            ("port = 99999", &[&format!("ibga.toml:1:8: port: `99999` {port}")]),
            ("port = 0xFFFFF", &[&format!("ibga.toml:1:8: port: `1048575` {port}")]),
            ("host = \"\"", &["ibga.toml:1:8: host: empty; write a value or leave it out"]),
            (
                "# größe\nhost = \"größe\" ",
                &["ibga.toml:2:8: host: `größe` is not a host; write a host name or an IP address"],
            ),
            (
                "expect_accounts = [\n  \"DU123\",\n  \"x\",\n]",
                &["ibga.toml:3:3: expect_accounts: `x…` is not an account id; write 1 to 4 letters and 3 to \
                   12 digits, as in DU1234567"],
            ),
            (
                "trusted_owners = [\"ops\", -1]",
                &["ibga.toml:1:26: trusted_owners: `-1` is not a user; write a user name or a numeric user id"],
            ),
        ]);
    }

    #[test]
    fn what_is_not_toml_is_named_without_repeating_it() {
        assert_faults(&[
            (
                "[gateway.größe]",
                &["ibga.toml:1:12: not valid TOML: invalid unquoted key, expected letters, numbers, `-`, `_`"],
            ),
            ("port = 1\nport = 2", &["ibga.toml:2:1: not valid TOML: `port` stands here a second time"]),
            ("port = ", &["ibga.toml:1:8: not valid TOML: string values must be quoted, expected literal string"]),
            (
                "host = hunter2",
                &["ibga.toml:1:8: not valid TOML: string values must be quoted, expected literal string"],
            ),
        ]);
    }

    #[test]
    fn numbers_may_be_written_as_toml_allows() {
        for text in ["port = 4_001", "port = +4001", "port = 0xfa1"] {
            let (file, problems) = read(text);
            assert_eq!(problems, Vec::<String>::new(), "{text}");
            assert_eq!(file.unwrap().top[0].items[0].text, "4001", "{text}");
        }
    }

    #[test]
    fn gateways_may_be_written_as_toml_allows() {
        let forms = [
            "[gateway.a]\nport = 1\n[gateway.b]\nport = 2",
            "gateway.a.port = 1\ngateway.b.port = 2",
            "gateway = { a = { port = 1 }, b = { port = 2 } }",
            "[gateway]\na = { port = 1 }\nb.port = 2",
        ];
        for text in forms {
            let (file, problems) = read(text);
            assert_eq!(problems, Vec::<String>::new(), "{text}");
            let gateways = file.unwrap().gateways;
            let ports: Vec<_> =
                gateways.iter().map(|(name, layer)| (name.as_str(), layer[0].items[0].text.as_str())).collect();
            assert_eq!(ports, [("a", "1"), ("b", "2")], "{text}");
        }
    }

    #[test]
    fn two_gateways_never_share_a_status_file() {
        let fault = |place: &str, first: &str, second: &str, path: &str| {
            format!(
                "{place}: status_file: gateways `{first}` and `{second}` would share the status file \
                 `{path}`; give each its own"
            )
        };
        let cases: &[(&str, &[String])] = &[
            ("status_file = \"/x\"\n[gateway.a]", &[]),
            ("[gateway.a]\n[gateway.b]", &[]),
            ("status_file = \"/x\"\n[gateway.a]\n[gateway.b]\nstatus_file = \"/y\"", &[]),
            ("status_file = \"/x\"\n[gateway.a]\n[gateway.b]", &[fault("ibga.toml:1:15", "a", "b", "/x")]),
            (
                "[gateway.a]\nstatus_file = \"/x\"\n[gateway.b]\nstatus_file = \" /x \"",
                &[fault("ibga.toml:4:15", "a", "b", "/x")],
            ),
            (
                "[gateway.default]\n[gateway.a]\nstatus_file = \"/tmp/ibga-status.json\"",
                &[fault("ibga.toml", "a", "default", "/tmp/ibga-status.json")],
            ),
        ];
        for (text, expected) in cases {
            assert_eq!(read(text).1, *expected, "{text:?}");
        }
    }

    #[test]
    fn a_broken_file_reports_a_bounded_number_of_errors() {
        let (file, problems) = read(&format!("a = {}", "[".repeat(60_000)));
        assert!(file.is_none());
        assert_eq!(problems.len(), SYNTAX_ERRORS_MAX);
    }
}
