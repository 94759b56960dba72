//! A scene: a scenario, and whose accounts are logged in while it lasts.

use std::fmt;
use std::str::FromStr;

use ibga_core::account::AccountId;
use ibga_core::log_hints::masked;

use crate::scenario::{Scenario, UnknownScenario};

/// What a gateway does and for whom. A [`Scenario`] alone is a scene with the configured accounts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scene {
    /// What it does.
    pub scenario: Scenario,
    /// The accounts of the login; `None` stands for those of the configuration. Other accounts are another login, which ends
    /// open sessions.
    pub accounts: Option<Vec<AccountId>>,
}

impl From<Scenario> for Scene {
    fn from(scenario: Scenario) -> Self {
        Self { scenario, accounts: None }
    }
}

impl Scene {
    /// This scenario under the login of the accounts in the text, which are joined by `+`.
    pub fn under(scenario: Scenario, accounts: &str) -> Result<Self, NotAnAccount> {
        let accounts: Option<Vec<AccountId>> = accounts.split('+').map(AccountId::typed).collect();
        Ok(Self { scenario, accounts: Some(accounts.ok_or(NotAnAccount)?) })
    }
}

/// An account id has other characters, or there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not an account id; write letters and digits, as in DU1234567, and a + between two")]
pub struct NotAnAccount;

/// What is wrong with a scene.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SceneError {
    /// No scenario has this name.
    #[error(transparent)]
    Scenario(#[from] UnknownScenario),
    /// No account id.
    #[error(transparent)]
    Account(#[from] NotAnAccount),
    /// Something else stands behind it.
    #[error("`{0}` is too much; write SCENARIO or SCENARIO as ACCOUNT")]
    TooMuch(String),
}

impl FromStr for Scene {
    type Err = SceneError;

    /// Takes `SCENARIO` or `SCENARIO as ACCOUNT+ACCOUNT`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut words = text.split_whitespace();
        let scenario: Scenario = words.next().unwrap_or_default().parse()?;
        let scene = match (words.next(), words.next()) {
            (None, _) => scenario.into(),
            (Some("as"), Some(accounts)) => Self::under(scenario, accounts)?,
            (Some("as"), None) => return Err(NotAnAccount.into()),
            (Some(other), _) => return Err(SceneError::TooMuch(shown(other))),
        };
        match words.next() {
            None => Ok(scene),
            Some(more) => Err(SceneError::TooMuch(shown(more))),
        }
    }
}

/// As much of a wrong text as a message repeats: no account id, and not much of anything.
pub(crate) fn shown(text: &str) -> String {
    let text: String = text.chars().filter(|c| !c.is_control()).take(SHOWN_CHARS_MAX).collect();
    masked(&text)
}

const SHOWN_CHARS_MAX: usize = 60;

impl fmt::Display for Scene {
    /// Account ids are masked, so that this is for reading only.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.scenario.fmt(f)?;
        for (index, account) in self.accounts.iter().flatten().enumerate() {
            write!(f, "{}{account}", if index == 0 { " as " } else { "+" })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_it_is_typed() {
        let ids = |text| Some(AccountId::parse_list(text));
        for (text, scenario, accounts) in [
            ("ready", Scenario::Ready, None),
            ("  Broker-Link-Down ", Scenario::BrokerLinkDown, None),
            ("ready as U7654321", Scenario::Ready, ids("U7654321")),
            ("ready  as DU1+DU2", Scenario::Ready, ids("DU1,DU2")),
        ] {
            assert_eq!(text.parse(), Ok(Scene { scenario, accounts }), "{text}");
        }
        for (text, fault) in [
            ("redy", "did you mean `ready`?"),
            ("", "no scenario is called ``"),
            ("ready as", "not an account id"),
            ("ready as DU1,DU2", "not an account id"),
            ("ready as DU1+", "not an account id"),
            ("ready for 3s", "`for` is too much"),
            ("ready as DU1 now", "`now` is too much"),
            ("ready U7654321", "`***` is too much"),
            ("U7654321", "no scenario is called `***`"),
        ] {
            let said = text.parse::<Scene>().expect_err(text).to_string();
            assert!(said.contains(fault), "{text}: {said}");
        }
    }

    #[test]
    fn account_ids_print_masked() {
        let scene: Scene = "ready as U7654321+DU1234567".parse().expect("a scene");
        assert_eq!(scene.to_string(), "ready as U7***21+DU***67");
    }
}
