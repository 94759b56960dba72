//! The settings of recovery: off unless causes are named, and a plan that can never do anything is refused.

use super::*;

/// A machine on which a setting of this name makes a difference.
pub(super) fn beside(name: &str) -> World {
    match name {
        "recover" => World::new().with_variable("IBGA_RECOVER_WITH", "run /x"),
        _ => World::new().with_variable("IBGA_RECOVER", "container_stopped"),
    }
}

fn plan(settings: &Settings) -> Plan {
    settings.recovery.clone().unwrap()
}

const fn row(name: &'static str, texts: [&'static str; 5], show: fn(&Settings) -> String) -> Row {
    Row { name, texts, flag: None, show }
}

pub(super) const ROWS: &[Row] = &[
    row("recover", ["api_silent", "container_stopped,api_silent", "port_refused", "api_closed", ""], |settings| {
        plan(settings).causes.iter().map(|cause| cause.code()).collect::<Vec<_>>().join(",")
    }),
    row("recover_with", ["run /1", "compose /2", "start", "run /4", ""], |settings| match plan(settings).recipe {
        ibga_core::recovery::Recipe::Start => "start".into(),
        ibga_core::recovery::Recipe::ComposeUp { directory } => format!("compose {}", directory.display()),
        ibga_core::recovery::Recipe::Run { program, .. } => format!("run {}", program.display()),
    }),
    row("recover_budget", ["1", "2", "4", "5", ""], |settings| plan(settings).budget_per_day.to_string()),
    row("recover_pause", ["11s", "12s", "13s", "14s", ""], |settings| format!("{}s", plan(settings).pause.as_secs())),
];

#[test]
fn it_is_off_unless_causes_are_named() {
    assert_eq!(World::new().settings().recovery, None);
    assert_eq!(World::new().with_variable("IBGA_RECOVER_WITH", "run /x").settings().recovery, None);
    let text = "recover = [\"container_stopped\"]\n[gateway.default]\nrecover = []\n";
    assert_eq!(World::new().with_file("ibga.toml", text).settings().recovery, None);
    for row in &ROWS[1..] {
        assert_eq!((row.show)(&beside(row.name).settings()), setting(row.name).default, "{}", row.name);
    }
}

#[test]
fn a_plan_that_can_do_nothing_is_refused() {
    let cases = [
        ("recover = [\"container_stopped\"]", &[][..]),
        ("recover = [\"container_stopped\"]\ncontainer = \"ibga\"\nhost = \"10.0.0.2\"", &[]),
        ("recover = [\"api_silent\"]\ncontainer = \"none\"\nrecover_with = \"run /usr/local/bin/again\"", &[]),
        (
            "recover = [\"container_stopped\"]\ncontainer = \"none\"",
            &[
                "nobody looks for the gateway's container (container is none), so container_stopped is never seen; set container to its name",
            ],
        ),
        (
            "recover = [\"container_stopped\"]\nhost = \"10.0.0.2\"",
            &[
                "nobody looks for the gateway's container (host is another machine, and container is auto), so container_stopped is never seen; set container to its name",
            ],
        ),
        (
            "recover = [\"container_missing\", \"api_silent\"]",
            &[
                "`start` does nothing about container_missing; set recover_with to `compose DIR`",
                "`start` does nothing about api_silent; set recover_with to a program that restarts the gateway, `run PROGRAM ARGUMENTS`",
            ],
        ),
        ("recover = [\"container_missing\", \"container_stopped\"]\nrecover_with = \"compose /srv/ib\"", &[]),
        (
            "recover = [\"port_refused\"]\nrecover_with = \"compose /srv/ib\"",
            &[
                "`compose` does nothing about port_refused; it leaves a container that runs as it is; set recover_with to `run PROGRAM ARGUMENTS`",
            ],
        ),
    ];
    for (text, expected) in cases {
        let expected: Vec<String> = expected.iter().map(|words| format!("ibga.toml:1:12: recover: {words}")).collect();
        assert_eq!(World::new().with_file("ibga.toml", text).problems(), expected, "{text}");
    }
}
