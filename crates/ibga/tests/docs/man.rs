//! The man pages: one for the program, one for each command, one for the configuration file.

use clap::builder::StyledStr;
use clap::{Arg, Command};
use ibga::settings::{EXAMPLE, SETTINGS, Scope, Setting};
use roff::{Inline, Roff, bold, italic, roman};

use crate::help::Help;

/// The page of the configuration file.
const CONFIG_PAGE: &str = "ibga.toml";

/// Longest line of a page's source; the rest is for what marks the text.
const LINE_CHARS_MAX: usize = 60;

/// Every page with the name of its file.
pub(crate) fn pages(commands: &[Command]) -> Vec<(String, String)> {
    let names: Vec<String> = commands.iter().map(page_name).collect();
    let mut pages: Vec<(String, String)> =
        commands.iter().map(|command| (format!("{}.1", page_name(command)), page(command, commands, &names))).collect();
    pages.push((format!("{CONFIG_PAGE}.5"), config_page(&names)));
    pages
}

/// `ibga`, `ibga-check` or `ibga-schedule-next`.
fn page_name(command: &Command) -> String {
    typed(command).replace(' ', "-")
}

/// The command as it is typed.
fn typed(command: &Command) -> &str {
    command.get_bin_name().unwrap_or(command.get_name())
}

fn is_directly_below(other: &Command, command: &Command) -> bool {
    let rest = typed(other).strip_prefix(typed(command)).and_then(|rest| rest.strip_prefix(' '));
    rest.is_some_and(|rest| !rest.contains(' '))
}

fn page(command: &Command, commands: &[Command], names: &[String]) -> String {
    let (name, help) = (page_name(command), Help::of(command));
    let about = command.get_about().map(StyledStr::to_string).unwrap_or_default();
    let mut roff = head(&name, &about);
    synopsis(&mut roff, command);
    section(&mut roff, "DESCRIPTION");
    let whole = format!("{about}{}", if about.ends_with('?') { "" } else { "." });
    paragraphs(&mut roff, std::iter::once(&whole).chain(&help.paragraphs));
    if command.has_subcommands() {
        section(&mut roff, "COMMANDS");
        let own: Vec<&Command> = commands.iter().filter(|other| is_directly_below(other, command)).collect();
        for other in &own {
            let about = other.get_about().map(StyledStr::to_string).unwrap_or_default();
            entry(&mut roff, vec![bold(other.get_name())], &about);
        }
        let first = own.first().map(|other| page_name(other)).unwrap_or_default();
        roff.control("PP", []);
        filled(&mut roff, &format!("Each has a page of its own, such as `{first}`(1)."));
    }
    options(&mut roff, command);
    exit_status(&mut roff, &help);
    environment(&mut roff, command);
    files(&mut roff, command);
    section(&mut roff, "EXAMPLES");
    verbatim(&mut roff, help.examples.iter().map(String::as_str));
    see_also(&mut roff, &name, names);
    finish(&name, "1", &roff)
}

fn config_page(names: &[String]) -> String {
    let mut roff = head(CONFIG_PAGE, "configuration of ibga");
    section(&mut roff, "DESCRIPTION");
    paragraphs(
        &mut roff,
        [
            "A flag wins over the environment, that over `.env` in the working folder, that over this file, that over the default. \
             The first of ./ibga.toml, ~/.config/ibga/ibga.toml and /etc/ibga/ibga.toml is read, or the one that --config or \
             IBGA_CONFIG names.",
            "A setting at the top holds for all gateways, one in `[gateway.NAME]` for that gateway alone. An unknown key or an \
             impossible value is told with its line before anything is done. The file has to belong to this user, root or a \
             user in IBGA_TRUSTED_OWNERS, and nobody else may write it. `ibga init` writes the file of the section EXAMPLES.",
        ],
    );
    section(&mut roff, "SETTINGS");
    for setting in SETTINGS.iter().filter(|setting| setting.toml_key().is_some()) {
        entry(&mut roff, vec![bold(setting.name)], &meaning(setting));
    }
    section(&mut roff, "ENVIRONMENT");
    paragraphs(&mut roff, ["Each of these can stand in the environment or in `.env`."]);
    for setting in SETTINGS {
        entry(&mut roff, vec![bold(setting.environment)], setting.help);
    }
    section(&mut roff, "EXAMPLES");
    verbatim(&mut roff, EXAMPLE.lines());
    see_also(&mut roff, CONFIG_PAGE, names);
    finish(CONFIG_PAGE, "5", &roff)
}

fn meaning(setting: &Setting) -> String {
    let mut text = setting.help.to_owned();
    if setting.scope == Scope::Global {
        text.push_str("; at the top alone");
    }
    if !setting.default.is_empty() {
        text = format!("{text} [default: {}]", setting.default);
    }
    text
}

fn head(name: &str, about: &str) -> Roff {
    let mut roff = Roff::new();
    section(&mut roff, "NAME");
    let mut about = about.to_owned();
    if let Some(first) = about.get_mut(..1) {
        first.make_ascii_lowercase();
    }
    filled(&mut roff, &format!("{name} - {about}"));
    roff
}

/// The page whole. Its date is empty, since it belongs to a version and not to a day.
fn finish(name: &str, number: &str, roff: &Roff) -> String {
    let (title, version) = (name.to_ascii_uppercase(), env!("CARGO_PKG_VERSION"));
    let manual = if number == "5" { "File Formats" } else { "User Commands" };
    format!(".TH \"{title}\" \"{number}\" \"\" \"ibga {version}\" \"{manual}\"\n{}", roff.to_roff())
}

fn synopsis(roff: &mut Roff, command: &Command) {
    section(roff, "SYNOPSIS");
    let usage = command.clone().render_usage().to_string();
    let mut words: Vec<Inline> = Vec::new();
    for word in usage.trim_start_matches("Usage: ").split_whitespace() {
        if !words.is_empty() {
            words.push(roman(" "));
        }
        let plain = word.trim_matches(|c| "[]<>.".contains(c));
        let is_name = !plain.is_empty() && plain.chars().all(|c| c.is_ascii_uppercase());
        let word = word.replace(['<', '>'], "");
        words.push(if is_name { italic(word) } else { bold(word) });
    }
    roff.text(words);
}

fn options(roff: &mut Roff, command: &Command) {
    let mut headings: Vec<Option<&str>> = Vec::new();
    for argument in command.get_arguments() {
        if !headings.contains(&argument.get_help_heading()) {
            headings.push(argument.get_help_heading());
        }
    }
    section(roff, "OPTIONS");
    headings.sort_by_key(Option::is_some);
    for heading in headings {
        if let Some(heading) = heading {
            roff.control("SS", [heading]);
        }
        let those = |argument: &&Arg| argument.get_help_heading() == heading && !argument.is_hide_set();
        // What is typed by its place comes first, whatever stands around it in the code.
        let (places, flags): (Vec<&Arg>, Vec<&Arg>) =
            command.get_arguments().filter(those).partition(|argument| argument.is_positional());
        for argument in places.into_iter().chain(flags) {
            let help = argument.get_help().map(StyledStr::to_string).unwrap_or_default();
            entry(roff, term(argument), &format!("{help}{}", default(argument)));
        }
    }
}

/// `-q, --quiet` or `--port PORT`.
fn term(argument: &Arg) -> Vec<Inline> {
    let value = argument.get_value_names().unwrap_or_default().join(" ");
    let short = argument.get_short().map(|short| format!("-{short}"));
    let long = argument.get_long().map(|long| format!("--{long}"));
    let flags: Vec<String> = [short, long].into_iter().flatten().collect();
    let mut term = vec![bold(flags.join(", "))];
    if argument.get_action().takes_values() {
        let space = if flags.is_empty() { "" } else { " " };
        term.push(italic(format!("{space}{value}")));
    }
    term
}

fn default(argument: &Arg) -> String {
    let values: Vec<String> =
        argument.get_default_values().iter().map(|value| value.to_string_lossy().into_owned()).collect();
    if values.is_empty() || !argument.get_action().takes_values() {
        return String::new();
    }
    format!(" [default: {}]", values.join(" "))
}

fn exit_status(roff: &mut Roff, help: &Help) {
    section(roff, "EXIT STATUS");
    let (others, codes): (Vec<_>, Vec<_>) = help.exit_codes.iter().partition(|(code, _)| code.is_empty());
    for (code, meaning) in codes {
        entry(roff, vec![bold(code.as_str())], meaning);
    }
    for (_, meaning) in others {
        entry(roff, vec![roman("else")], meaning);
    }
}

/// The settings that the command has a flag for.
fn settings_of(command: &Command) -> Vec<&'static Setting> {
    let flags: Vec<String> =
        command.get_arguments().filter_map(|argument| Some(format!("--{}", argument.get_long()?))).collect();
    let has = |setting: &&Setting| setting.flag.is_some_and(|flag| flags.iter().any(|known| known == flag));
    if flags.iter().any(|flag| flag == "--config") { SETTINGS.iter().filter(has).collect() } else { Vec::new() }
}

fn environment(roff: &mut Roff, command: &Command) {
    let settings = settings_of(command);
    if settings.is_empty() {
        return;
    }
    section(roff, "ENVIRONMENT");
    paragraphs(
        roff,
        ["A flag wins over these, and they win over `.env` and `ibga.toml`. All settings stand in `ibga.toml`(5)."],
    );
    for setting in settings {
        entry(roff, vec![bold(setting.environment)], setting.help);
    }
}

fn files(roff: &mut Roff, command: &Command) {
    let settings = settings_of(command);
    if settings.is_empty() {
        return;
    }
    section(roff, "FILES");
    entry(
        roff,
        vec![bold("./ibga.toml, ~/.config/ibga/ibga.toml, /etc/ibga/ibga.toml")],
        "the configuration; the first that is there",
    );
    entry(roff, vec![bold("./.env")], "variables for ibga that are not handed to the agent");
    for setting in settings.iter().filter(|setting| setting.default.starts_with('/')) {
        entry(roff, vec![bold(setting.default)], setting.help);
    }
    if settings.iter().any(|setting| setting.flag == Some("--settle")) {
        entry(roff, vec![bold("/tmp/ibga-HOST-PORT.lock")], "held while a gateway is probed");
    }
}

fn see_also(roff: &mut Roff, own: &str, names: &[String]) {
    section(roff, "SEE ALSO");
    let numbered = names.iter().map(|name| (name.as_str(), 1)).chain([(CONFIG_PAGE, 5)]);
    let others: Vec<(&str, u32)> = numbered.filter(|(name, _)| *name != own).collect();
    let others: Vec<String> = others.iter().map(|(name, number)| format!("`{name}`({number})")).collect();
    filled(roff, &others.join(", "));
}

fn section(roff: &mut Roff, name: &str) {
    roff.control("SH", [name]);
}

fn entry(roff: &mut Roff, term: Vec<Inline>, text: &str) {
    roff.control("TP", []);
    roff.text(term);
    filled(roff, text);
}

fn paragraphs(roff: &mut Roff, texts: impl IntoIterator<Item = impl AsRef<str>>) {
    for (index, text) in texts.into_iter().enumerate() {
        // Behind a heading a paragraph begins by itself.
        if index > 0 {
            roff.control("PP", []);
        }
        filled(roff, text.as_ref());
    }
}

fn verbatim<'a>(roff: &mut Roff, lines: impl IntoIterator<Item = &'a str>) {
    roff.control("nf", []);
    for line in lines {
        roff.text([roman(line)]);
    }
    roff.control("fi", []);
}

/// Text in lines as `man` wants them; what stands in backticks is bold.
fn filled(roff: &mut Roff, text: &str) {
    let (mut line, mut length, mut is_bold) = (Vec::new(), 0, false);
    for word in text.split_whitespace() {
        if length > 0 && length + word.len() > LINE_CHARS_MAX {
            roff.text(std::mem::take(&mut line));
            length = 0;
        }
        if length > 0 {
            line.push(roman(" "));
        }
        for (index, part) in word.split('`').enumerate() {
            is_bold ^= index > 0;
            if !part.is_empty() {
                line.push(if is_bold { bold(part) } else { roman(part) });
            }
        }
        length += word.len() + 1;
    }
    roff.text(line);
}
