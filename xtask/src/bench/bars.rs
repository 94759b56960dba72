//! What a measurement is held to, a row each: a peer in the same run, a limit, or both.

use super::page::{Measured, Peak};

/// A comparison, with its limit where there is one.
#[derive(Debug)]
pub(super) struct Bar {
    /// The name of what is judged.
    pub(super) of: &'static str,
    /// What is compared.
    pub(super) what: What,
    /// The most that is allowed, in the unit of the comparison; none where the figure is only told.
    pub(super) limit: Option<f64>,
}

/// What is compared. Medians, except for memory.
#[derive(Clone, Copy, Debug)]
pub(super) enum What {
    /// How many times as long as this peer.
    TimesAsLong(&'static str),
    /// Milliseconds more than this peer.
    MillisMore(&'static str),
    /// Microseconds.
    Micros,
    /// Peak memory in MiB.
    PeakMib,
}

/// How a comparison came out.
#[derive(Debug, PartialEq)]
pub(super) struct Judged {
    /// The figure, in the unit of the comparison.
    pub(super) figure: f64,
    /// Whether it is within the limit, if there is one.
    pub(super) is_met: bool,
}

const fn bar(of: &'static str, what: What, limit: f64) -> Bar {
    Bar { of, what, limit: Some(limit) }
}

const fn told(of: &'static str, what: What) -> Bar {
    Bar { of, what, limit: None }
}

pub(super) const BARS: &[Bar] = &[
    bar("check", What::TimesAsLong("bare"), 2.0),
    bar("settled", What::TimesAsLong("bare"), 2.0),
    told("settled", What::MillisMore("check")),
    told("opening", What::MillisMore("check")),
    told("telling", What::MillisMore("check")),
    told("ib_async", What::TimesAsLong("check")),
    told("ib_async_connect", What::TimesAsLong("check")),
    bar("preflight", What::MillisMore("true"), 3.0),
    bar("run", What::MillisMore("true"), 10.0),
    bar("version", What::MillisMore("true"), 2.0),
    bar("call_preflight", What::Micros, 50.0),
    bar("call_lookup", What::Micros, 5.0),
    bar("check", What::PeakMib, 12.0),
    bar("preflight", What::PeakMib, 8.0),
];

impl Bar {
    /// The name of what it is compared with.
    pub(super) fn peer(&self) -> Option<&'static str> {
        match self.what {
            What::TimesAsLong(peer) | What::MillisMore(peer) => Some(peer),
            What::Micros | What::PeakMib => None,
        }
    }

    /// The figure, if everything that it takes was measured.
    pub(super) fn judge(&self, measured: &[Measured<'_>]) -> Option<Judged> {
        let find = |name| measured.iter().find(|one| one.series.name == name);
        let median = |name| find(name).and_then(|one| one.summary.as_ref()).map(|summary| summary.median);
        let figure = match self.what {
            What::TimesAsLong(peer) => median(self.of)? / median(peer)?,
            What::MillisMore(peer) => median(self.of)? - median(peer)?,
            What::Micros => median(self.of)? * 1e3,
            What::PeakMib => match find(self.of)?.peak {
                Peak::Kib(kib) => f64::from(kib) / 1_024.0,
                Peak::NotAProcess | Peak::NotMeasured => return None,
            },
        };
        Some(Judged { figure, is_met: self.limit.is_none_or(|limit| figure <= limit) })
    }
}
