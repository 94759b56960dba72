//! The completion scripts in the shells that they are for: what each makes of a line and the tabulator key.
//!
//! Every test has `real_` and the shell's name in its own.

#![expect(clippy::expect_used, reason = "helpers of tests fail their test")]

mod common;

use std::path::Path;
use std::process::{Command, Stdio};

use common::{Desk, Ran};

/// A line as far as it was typed, and words that have to be among those offered for its end.
const TYPED: &[(&str, &[&str])] = &[
    ("ibga ch", &["check"]),
    ("ibga p", &["preflight"]),
    ("ibga check --expect-m", &["--expect-mode"]),
    ("ibga check --expect-mode ", &["paper", "live"]),
    ("ibga run --container ", &["auto", "none"]),
    ("ibga preflight --exchange ", &["XHKG"]),
    ("ibga check --config ./other.t", &["./other.toml"]),
    ("ibga simulate --scenario logged", &["logged_out"]),
    ("ibga simulate --scenario api_", &["api_silent", "api_closed", "api_reset", "api_unresponsive"]),
    ("ibga simulate --proxy ", &["none", "ibga_socat", "socat", "docker"]),
    ("ibga completions ", &["bash", "zsh", "fish"]),
];

/// A folder with the program's script and a file to complete.
fn desk(shell: &str, file: &str) -> Desk {
    let desk = Desk::new();
    let script = desk.run(&["completions", shell]);
    assert_eq!((script.code, script.err.as_str()), (Some(0), ""));
    desk.write(file, &script.out);
    desk.write("other.toml", "");
    desk
}

/// What the shell prints for each line, one after the other.
fn ask(desk: &Desk, shell: &str, options: &[&str], script: &str, typed: &str) -> String {
    let mut command = Command::new(shell);
    command.args(options).args(["-c", script, shell, typed]).current_dir(&desk.folder).env("HOME", &desk.folder);
    // The shell looks for the program, or it would not complete it.
    let program = Path::new(env!("CARGO_BIN_EXE_ibga")).parent().expect("a folder");
    let path = std::env::join_paths(
        std::iter::once(program.to_owned()).chain(std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())),
    );
    command.env("PATH", path.expect("a path")).env("TERM", "dumb").stdin(Stdio::null());
    let ran = Ran::from(command.output().expect("the shell starts: run ./test, which installs it"));
    assert_eq!(ran.code, Some(0), "{shell}, `{typed}`: {ran:?}");
    ran.out
}

fn offered(desk: &Desk, shell: &str, options: &[&str], script: &str) {
    for (typed, expected) in TYPED {
        let out = ask(desk, shell, options, script, typed);
        let words: Vec<&str> = out.lines().filter_map(|line| line.split('\t').next()).map(str::trim).collect();
        for word in *expected {
            assert!(words.contains(word), "{shell}, `{typed}`: {word} is not in {words:?}");
        }
    }
}

/// Readline is not there, so its part is done by hand: the words, and a call of the function that was registered.
const BASH: &str = r#"
source ./ibga.bash
COMP_LINE=$1 COMP_POINT=${#1}
read -ra COMP_WORDS <<<"$1"
[[ $1 == *" " ]] && COMP_WORDS+=("")
COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
registered=$(complete -p ibga)
function=${registered#*-F }
${function%% *} ibga "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}" 2>/dev/null
printf '%s\n' "${COMPREPLY[@]}"
"#;

#[test]
fn real_bash_completes() {
    offered(&desk("bash", "ibga.bash"), "bash", &["--norc"], BASH);
}

#[test]
fn real_fish_completes() {
    offered(
        &desk("fish", "ibga.fish"),
        "fish",
        &["--no-config"],
        "source ./ibga.fish; complete --do-complete $argv[2]",
    );
}

/// An interactive zsh at a terminal of its own, in which keys are pressed. `ibga` is replaced by a function that tells the words
/// of the line that came of it.
const ZSH: &str = r#"
zmodload zsh/zpty
zpty shell zsh -f -i
press() { zpty -w -n shell "$1" }
press $'stty -echo columns 200; PS1= ; unsetopt zle_bracketed_paste prompt_cr prompt_sp\n'
press $'fpath=($PWD $fpath); autoload -Uz compinit; compinit -u -D; ibga() { print -r -- "words:" "$@" ":end" }; print rea""dy\n'
zpty -r -m shell told '*ready*' || exit 2
press "$1"$'\t\n'
zpty -r -m shell told '*words:*:end*' || exit 3
told=${told##*words: }
print -r -- ${told%% :end*}
"#;

#[test]
fn real_zsh_completes() {
    let desk = desk("zsh", "_ibga");
    for (typed, completed) in [
        ("ibga ch", "check"),
        ("ibga check --expect-m", "check --expect-mode"),
        ("ibga check --expect-mode pa", "check --expect-mode paper"),
        ("ibga preflight --exchange XHK", "preflight --exchange XHKG"),
        ("ibga check --config ./other.t", "check --config ./other.toml"),
        ("ibga init ./other.t", "init ./other.toml"),
        ("ibga simulate --scenario logged", "simulate --scenario logged_out"),
        ("ibga simulate --proxy ibga", "simulate --proxy ibga_socat"),
        ("ibga completions z", "completions zsh"),
    ] {
        assert_eq!(ask(&desk, "zsh", &["-f"], ZSH, typed).trim(), completed, "`{typed}`");
    }
}
