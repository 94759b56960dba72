//! The gateway itself. A port that accepts connections proves nothing, so this is a whole probe, as `ibga check` makes it.

use ibga_core::cause::Status;
use ibga_core::report::Report;
use ibga_core::transition::State;

use super::{Finding, Subject};
use crate::output::untrusted;

pub(super) fn examine(report: &Report) -> Finding {
    let state = State::of(report).to_string();
    let more = report.more.as_ref();
    if report.status == Status::Ready {
        let accounts: Vec<String> = report.accounts.iter().map(ToString::to_string).collect();
        let text = format!("{state}, logged in with {}", accounts.join(", "));
        let warnings = more.map(|more| more.warnings.join("; ")).filter(|warnings| !warnings.is_empty());
        return match warnings {
            None => Finding::good(Subject::Gateway, text),
            Some(warnings) => Finding::doubtful(Subject::Gateway, text, untrusted(&warnings)),
        };
    }
    let error = report.error.clone().unwrap_or_default();
    let repair = more.and_then(|more| more.remedy.clone()).unwrap_or_default();
    Finding::faulty(Subject::Gateway, format!("{state}: {}", untrusted(&error)), untrusted(&repair))
}
