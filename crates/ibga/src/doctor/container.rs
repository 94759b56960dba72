//! The container engine, and what it says of the gateway's container.

use ibga_core::observation::ContainerState;

use super::{Finding, Subject};
use crate::container::look_at_container;
use crate::docker::{Answer, EngineAddress, EngineError};
use crate::settings::{ContainerChoice, Settings};

pub(super) fn examine(settings: &Settings) -> Finding {
    judge(&settings.container, settings.port, look_at_container(settings))
}

type Asked = Option<Result<(EngineAddress, Answer), EngineError>>;

fn judge(choice: &ContainerChoice, port: u16, asked: Asked) -> Finding {
    let subject = Subject::Container;
    match asked {
        None => Finding::not_tested(subject, "no container engine is to be asked (container none)"),
        Some(Ok((address, Answer::Found(container)))) => {
            let text = format!("{} is {} (engine at {address})", container.name, container.engine_word);
            match container.state {
                ContainerState::Running => Finding::good(subject, text),
                ContainerState::Paused => {
                    Finding::faulty(subject, text, format!("`docker unpause {}`", container.name))
                }
                ContainerState::Restarting => Finding::faulty(
                    subject,
                    text,
                    format!("see why it ends: `docker logs --tail 50 {}`", container.name),
                ),
                ContainerState::Stopped => Finding::faulty(subject, text, format!("`docker start {}`", container.name)),
            }
        }
        Some(Ok((address, Answer::Absent))) => match choice {
            ContainerChoice::Named(name) => Finding::faulty(
                subject,
                format!("the engine at {address} knows no container {name}"),
                "create it (`docker compose up -d`), or correct the name (`docker ps -a` lists them)",
            ),
            _ => Finding::not_tested(
                subject,
                format!(
                    "no container of the engine at {address} publishes port {port}; fine if the gateway runs in none"
                ),
            ),
        },
        // Only somebody who named a container needs an engine.
        Some(Err(fault)) => match (choice, &fault) {
            (ContainerChoice::Named(_), _) => {
                let (text, repair) = parts(&fault);
                Finding::faulty(subject, text, repair)
            }
            (_, EngineError::NoEngine { .. }) => {
                Finding::not_tested(subject, "no container engine on this machine; fine if the gateway runs in none")
            }
            _ => {
                let (text, repair) = parts(&fault);
                Finding::doubtful(subject, format!("{text}; a stopped container will look like a closed port"), repair)
            }
        },
    }
}

/// What is wrong, and what to do: these messages have the second behind a semicolon.
fn parts(fault: &EngineError) -> (String, String) {
    let text = fault.to_string();
    match text.split_once("; ") {
        Some((text, repair)) => (text.to_owned(), repair.to_owned()),
        None => (text, "see what `docker ps` says".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::docker::Container;

    #[test]
    fn what_an_engine_can_say() {
        let address = || EngineAddress::Socket("/run/engine.sock".into());
        let found = |state, word: &str| {
            let (name, id) = ("ibga".to_owned(), "0123456789ab".to_owned());
            Some(Ok((address(), Answer::Found(Container { name, id, state, engine_word: word.into() }))))
        };
        let absent = || Some(Ok((address(), Answer::Absent)));
        let refused = || Some(Err(EngineError::PermissionDenied { address: "unix:///run/engine.sock".into() }));
        let no_engine = || Some(Err(EngineError::NoEngine { address: "/run/engine.sock".into() }));
        let named = || ContainerChoice::Named("ibga".parse().expect("a name"));
        for (choice, asked, outcome, word) in [
            (ContainerChoice::Auto, found(ContainerState::Running, "running"), "ok", "ibga is running"),
            (named(), found(ContainerState::Running, "running"), "ok", "ibga is running"),
            (named(), found(ContainerState::Stopped, "exited"), "faulty", "`docker start ibga`"),
            (ContainerChoice::Auto, found(ContainerState::Paused, "paused"), "faulty", "`docker unpause ibga`"),
            (named(), found(ContainerState::Restarting, "restarting"), "faulty", "`docker logs --tail 50 ibga`"),
            (named(), absent(), "faulty", "knows no container ibga"),
            (ContainerChoice::Auto, absent(), "not_tested", "publishes port 4000"),
            (named(), no_engine(), "faulty", "start it, set DOCKER_HOST"),
            (ContainerChoice::Auto, no_engine(), "not_tested", "no container engine on this machine"),
            (ContainerChoice::Auto, refused(), "doubtful", "usermod -aG docker"),
            (ContainerChoice::None, None, "not_tested", "container none"),
        ] {
            let finding = judge(&choice, 4000, asked);
            let told = format!("{} {}", finding.text, finding.outcome.repair().unwrap_or_default());
            assert_eq!(finding.outcome.code(), outcome, "{finding:?}");
            assert!(told.contains(word), "{told}");
        }
    }
}
