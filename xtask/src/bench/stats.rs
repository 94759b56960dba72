//! What many samples come to.

/// Smallest, middle, and the value that 95 of 100 samples do not exceed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Summary {
    pub(super) min: f64,
    pub(super) median: f64,
    pub(super) p95: f64,
}

impl Summary {
    /// None without samples.
    pub(super) fn of(samples: &[f64]) -> Option<Self> {
        let mut sorted = samples.to_vec();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        let upper = *sorted.get(middle)?;
        let median = if sorted.len() % 2 == 1 { upper } else { f64::midpoint(*sorted.get(middle - 1)?, upper) };
        // The nearest rank: a value that was measured, never one between two.
        let rank = (sorted.len() * 95).div_ceil(100);
        Some(Self { min: *sorted.first()?, median, p95: *sorted.get(rank - 1)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summaries() {
        let summary = |min, median, p95| Some(Summary { min, median, p95 });
        let counted = |last: u32| (1..=last).rev().map(f64::from).collect::<Vec<_>>();
        assert_eq!(Summary::of(&[]), None);
        assert_eq!(Summary::of(&[7.0]), summary(7.0, 7.0, 7.0));
        assert_eq!(Summary::of(&[2.0, 1.0]), summary(1.0, 1.5, 2.0));
        assert_eq!(Summary::of(&[9.0, 1.0, 5.0]), summary(1.0, 5.0, 9.0));
        // One outlier in twenty does not show in the p95, two do.
        assert_eq!(Summary::of(&counted(20)), summary(1.0, 10.5, 19.0));
        assert_eq!(Summary::of(&counted(100)), summary(1.0, 50.5, 95.0));
        assert_eq!(Summary::of(&counted(101)), summary(1.0, 51.0, 96.0));
    }
}
