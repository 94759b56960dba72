//! Responsible for the calendars as this machine has them: the compiled-in ones with the operator's overrides, which are read
//! anew at each use. The file is believed under the same conditions as the status file.

use ibga_core::calendar::{Calendars, Combination, Market};
use ibga_core::secure_file::{self, ReadError};

use crate::check::trust;
use crate::settings::Settings;

/// The calendars. A file of overrides that is set and cannot be used is a fault, in words that name the line and the repair.
pub(crate) fn calendars(settings: &Settings) -> Result<Calendars, String> {
    let Some(overrides) = &settings.calendar_overrides else { return Ok(Calendars::default()) };
    let path = overrides.value.display();
    let text = secure_file::read(&overrides.value, &trust(settings)).map_err(|fault| match fault {
        ReadError::NotFound => {
            format!(
                "{}: calendar overrides {path}: there is no such file; write it or remove the setting",
                overrides.place
            )
        }
        fault => format!("{}: calendar overrides {path}: {fault}", overrides.place),
    })?;
    Calendars::with_overrides(&text, &path.to_string()).map_err(|fault| format!("calendar overrides {fault}"))
}

/// The exchanges by which scheduled jobs go. Where any of them is enough, that is the first alone: its wall clock is the plan's,
/// and another one's hours are another plan's.
pub(crate) fn market_of_schedule(settings: &Settings, calendars: &Calendars) -> Market {
    let choice = &settings.market.value;
    match (choice.combination, choice.exchanges.first()) {
        (Combination::Any, Some(first)) => Market::of_one(calendars.of(*first)),
        _ => market(settings, calendars),
    }
}

/// The exchanges that are set, judged together.
pub(crate) fn market(settings: &Settings, calendars: &Calendars) -> Market {
    let choice = &settings.market.value;
    Market::new(choice.exchanges.iter().map(|exchange| calendars.of(*exchange)).collect(), choice.combination)
}
