//! The types of the settings of recovery, and the one reading of each.

use std::path::Path;
use std::time::Duration;

use ibga_core::cause::Cause;
use ibga_core::nearest::nearest;
use ibga_core::recovery::{BUDGET_MAX, Recipe, Treatment, treatment};

use super::{absolute_path, duration, not_a, whole};
use crate::settings::fault::{Fault, shown};

/// Most words behind a program.
const ARGUMENTS_MAX: usize = 64;

/// A cause that may be acted upon.
pub(in crate::settings) fn recoverable(text: &str) -> Result<Cause, Fault> {
    let lower = text.to_ascii_lowercase();
    let Ok(cause) = lower.parse::<Cause>() else {
        return Err(Fault::UnknownCause { shown: shown(text), hint: hint(&lower) });
    };
    match treatment(cause) {
        Treatment::After(_) => Ok(cause),
        Treatment::Never(why) => Err(Fault::NeverRecovered { cause: cause.code(), why }),
    }
}

fn hint(text: &str) -> String {
    let codes = || Cause::ALL.iter().map(|cause| cause.code());
    if let Some(meant) = nearest(text, codes(), 3) {
        return format!("did you mean {meant}?");
    }
    let can_be = |cause: &&Cause| matches!(treatment(**cause), Treatment::After(_));
    let all: Vec<&str> = Cause::ALL.iter().filter(can_be).map(|cause| cause.code()).collect();
    format!("use one of {}", all.join(", "))
}

/// What is done, as one line: a word, and what belongs to it.
pub(in crate::settings) fn recipe(text: &str) -> Result<Recipe, Fault> {
    let not_a_recipe = |what| not_a(text, "a recipe", what);
    let (word, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
    let rest = rest.trim();
    match (word, rest) {
        ("start", "") => Ok(Recipe::Start),
        ("start", _) => Err(not_a_recipe("write start alone; the container is that of the gateway")),
        ("compose" | "run", "") => Err(not_a_recipe("write `compose DIR` or `run PROGRAM ARGUMENTS`")),
        ("compose", directory) => Ok(Recipe::ComposeUp { directory: absolute_path(directory)? }),
        ("run", line) => program(line).map_err(|fault| match fault {
            Fault::NotA { expected, .. } => not_a_recipe(expected),
            other => other,
        }),
        _ => Err(not_a_recipe("write start, `compose DIR` or `run PROGRAM ARGUMENTS`")),
    }
}

fn program(line: &str) -> Result<Recipe, Fault> {
    let mut words = line.split_whitespace();
    let program = words.next().unwrap_or_default();
    let arguments: Vec<String> = words.map(str::to_owned).collect();
    if !Path::new(program).is_absolute() {
        return Err(Fault::PathRelative { shown: shown(program) });
    }
    let is_shell = |word: &str| word.starts_with(['\'', '"', '|', '>', '<', '&', ';', '`']) || word.contains("$(");
    if arguments.iter().any(|word| is_shell(word)) || arguments.len() > ARGUMENTS_MAX {
        return Err(not_a(
            line,
            "a command",
            "no shell reads the words; write what takes one into a script, and name that",
        ));
    }
    Ok(Recipe::Run { program: program.into(), arguments })
}

pub(in crate::settings) fn recover_budget(text: &str) -> Result<u32, Fault> {
    whole(text, 1, BUDGET_MAX).ok_or_else(|| not_a(text, "a budget", "write a whole number from 1 to 20"))
}

pub(in crate::settings) fn recover_pause(text: &str) -> Result<Duration, Fault> {
    duration(text, "10s", "1h")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes() {
        for &cause in Cause::ALL {
            let may_be = matches!(treatment(cause), Treatment::After(_));
            assert_eq!(recoverable(cause.code()).is_ok(), may_be, "{cause}");
        }
        let words = |text: &str| recoverable(text).expect_err("no cause").to_string();
        assert_eq!(words("container_stoped"), "unknown cause `container_stoped`; did you mean container_stopped?");
        assert_eq!(
            words("two_factor_pending"),
            "two_factor_pending is never acted upon: a restart would end the approval that a person is about to give; remove it"
        );
        assert!(words("everything").contains("use one of container_missing, container_stopped, port_refused,"));
    }

    #[test]
    fn recipes() {
        let run = |program: &str, arguments: &[&str]| Recipe::Run {
            program: program.into(),
            arguments: arguments.iter().map(ToString::to_string).collect(),
        };
        for (text, expected) in [
            ("start", Recipe::Start),
            ("compose /srv/my gateway/", Recipe::ComposeUp { directory: "/srv/my gateway".into() }),
            ("run /usr/bin/true", run("/usr/bin/true", &[])),
            ("run  /usr/bin/docker restart  ibga", run("/usr/bin/docker", &["restart", "ibga"])),
        ] {
            assert_eq!(recipe(text), Ok(expected), "{text}");
        }
        for (text, words) in [
            ("start ibga", "`start ibga` is not a recipe; write start alone; the container is that of the gateway"),
            ("restart", "`restart` is not a recipe; write start, `compose DIR` or `run PROGRAM ARGUMENTS`"),
            ("compose", "`compose` is not a recipe; write `compose DIR` or `run PROGRAM ARGUMENTS`"),
            ("compose gateway", "`gateway` is relative to wherever a process starts; write a path that begins with /"),
            (
                "compose ~/gateway",
                "`~/gateway` is taken as it stands, `~` and `$` are not expanded; write the whole path",
            ),
            ("run docker", "`docker` is relative to wherever a process starts; write a path that begins with /"),
            (
                "run /bin/sh -c 'one; two'",
                "`run /bin/sh -c 'one; two'` is not a recipe; no shell reads the words; write what takes one into a script, and name that",
            ),
        ] {
            assert_eq!(recipe(text).expect_err(text).to_string(), words, "{text}");
        }
    }

    #[test]
    fn bounds() {
        assert_eq!((recover_budget("1"), recover_budget("20")), (Ok(1), Ok(20)));
        assert!(recover_budget("0").is_err() && recover_budget("21").is_err());
        assert!(recover_pause("10s").is_ok() && recover_pause("9s").is_err() && recover_pause("61m").is_err());
    }
}
