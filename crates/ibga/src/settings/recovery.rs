//! From what the sources say to a plan of recovery that can work: each cause can be seen, and the recipe does something about it.

use ibga_core::cause::{Cause, Status};
use ibga_core::recovery::{Plan, Recipe};
use jiff::SignedDuration;

use super::fault::{Fault, Place, Problem};
use super::layers::pick;
use super::values::{self, ContainerChoice, Host};
use super::{Reader, Reported, names};
use crate::container::is_local;

impl Reader<'_> {
    /// What is done to recover the gateway; none if no cause is named.
    pub(super) fn recovery(
        &mut self,
        container: Option<&ContainerChoice>,
        host: Option<&Host>,
    ) -> Result<Option<Plan>, Reported> {
        let causes = self.many(&names::RECOVER, values::recoverable);
        let recipe = self.one(&names::RECOVER_WITH, values::recipe);
        let budget_per_day = self.one(&names::RECOVER_BUDGET, values::recover_budget);
        let pause = self.one(&names::RECOVER_PAUSE, values::recover_pause);
        let (causes, recipe, budget_per_day, pause) = (causes?, recipe?, budget_per_day?, pause?);
        let unseen = container.zip(host).and_then(|(container, host)| unseen(container, host));
        let mut faults = causes.iter().filter_map(|cause| fault(*cause, &recipe, unseen)).peekable();
        if faults.peek().is_some() {
            let given = pick(self.layers, &names::RECOVER).and_then(|entry| entry.items.first());
            let place = given.map_or(Place::Default(names::RECOVER.name), |given| given.place.clone());
            self.problems.extend(faults.map(|fault| Problem::of_value(&names::RECOVER, place.clone(), fault)));
            return Err(Reported);
        }
        let pause = SignedDuration::try_from(pause).unwrap_or(ibga_core::recovery::PAUSE);
        Ok((!causes.is_empty()).then_some(Plan { causes, recipe, budget_per_day, pause }))
    }
}

/// Why no container is ever looked for.
fn unseen(container: &ContainerChoice, host: &Host) -> Option<&'static str> {
    match container {
        ContainerChoice::None => Some("container is none"),
        ContainerChoice::Auto if !is_local(host.as_str()) => Some("host is another machine, and container is auto"),
        ContainerChoice::Auto | ContainerChoice::Named(_) => None,
    }
}

/// What keeps the plan from doing anything about a cause.
fn fault(cause: Cause, recipe: &Recipe, unseen: Option<&'static str>) -> Option<Fault> {
    if let Some(why) = unseen
        && cause.status() == Status::ContainerDown
    {
        return Some(Fault::ContainerUnseen { why, cause: cause.code() });
    }
    let (word, next_step) = match recipe {
        Recipe::Start if cause == Cause::ContainerMissing => ("start", "set recover_with to `compose DIR`"),
        Recipe::Start => ("start", "set recover_with to a program that restarts the gateway, `run PROGRAM ARGUMENTS`"),
        Recipe::ComposeUp { .. } => {
            ("compose", "it leaves a container that runs as it is; set recover_with to `run PROGRAM ARGUMENTS`")
        }
        Recipe::Run { .. } => return None,
    };
    (!recipe.suits(cause)).then_some(Fault::RecipeInVain { recipe: word, cause: cause.code(), next_step })
}
