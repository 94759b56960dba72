//! The gateway itself. A port that accepts connections proves nothing, so this is a whole probe, as `ibga check` makes it.

use ibga_core::cause::{Cause, Status};
use ibga_core::report::Report;
use ibga_core::transition::State;

use super::{Finding, Subject};
use crate::output::untrusted;

pub(super) fn examine(report: &Report) -> Finding {
    let subject = Subject::Gateway;
    let state = State::of(report).to_string();
    let more = report.more.as_ref();
    if report.status == Status::Ready {
        let accounts: Vec<String> = report.accounts.iter().map(ToString::to_string).collect();
        let text = format!("{state}, logged in with {}", accounts.join(", "));
        let warnings = more.map(|more| more.warnings.join("; ")).filter(|warnings| !warnings.is_empty());
        return match warnings {
            None => Finding::good(subject, text),
            Some(warnings) => Finding::doubtful(
                subject,
                format!("{text}; {}", untrusted(&warnings)),
                "agents may start all the same; check again, since most of it passes by itself",
            ),
        };
    }
    let text = format!("{state}: {}", untrusted(report.error.as_deref().unwrap_or_default()));
    match more {
        Some(more) if more.cause == Cause::DockerUnavailable => {
            Finding::not_tested(subject, "its container has to be checked first, and that cannot be asked for")
        }
        _ => {
            // The remedies are this program's own words; masking would take some of them for names.
            let repair = more.and_then(|more| more.remedy.clone());
            Finding::faulty(subject, text, repair.unwrap_or_default())
        }
    }
}
