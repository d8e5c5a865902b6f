//! What is put on record of a program, and what is wrong with the figures of today.

use std::collections::BTreeMap;

use crate::records::GROWTH_PERCENT;

/// 40 % of what the verifier is ready to do: the rest is for what comes, and for other kernels.
const STEPS_MAX: u32 = 400_000;
/// What the verifier allows a chain of calls, in bytes.
const STACK_MAX: u32 = 512;
/// The same for kernels before 6.9.
const COARSE_STACK_MAX: u32 = 512;

/// What is put on record of a program, by name.
pub(super) type Figures = BTreeMap<String, u32>;
/// Figures by program.
pub(super) type Record = BTreeMap<String, Figures>;

/// Instructions walked, on all paths together.
pub(super) const STEPS: Figure = Figure("steps", Some(STEPS_MAX));
/// Bytes of the deepest chain of calls.
pub(super) const STACK: Figure = Figure("stack", Some(STACK_MAX));
/// The same, as kernels before 6.9 count.
pub(super) const COARSE_STACK: Figure = Figure("stack_before_6_9", Some(COARSE_STACK_MAX));
/// States that were kept.
pub(super) const STATES: Figure = Figure("states", None);
/// The most states at the same time.
pub(super) const PEAK_STATES: Figure = Figure("peak_states", None);

/// The name of a figure, and what it may be at most.
pub(super) struct Figure(&'static str, Option<u32>);

impl Figure {
    pub(super) const fn name(&self) -> &'static str {
        self.0
    }
}

/// Something about a program that should not be.
pub(super) struct Complaint {
    pub(super) text: String,
    /// It is about growth alone, which a new record settles.
    pub(super) growth: bool,
}

/// What is wrong with a program's figures.
pub(super) fn complaints(program: &str, now: &Figures, before: Option<&Figures>) -> Vec<Complaint> {
    let figures = [STEPS, STACK, COARSE_STACK, STATES, PEAK_STATES];
    let complaint = |Figure(name, most): Figure| {
        let now = *now.get(name)?;
        if let Some(most) = most.filter(|most| now > *most) {
            return Some(Complaint {
                text: format!("{program}: {now} {name}, more than the {most} we allow ourselves"),
                growth: false,
            });
        }
        let before = *before?.get(name)?;
        let limit = u64::from(before) * u64::from(100 + GROWTH_PERCENT) / 100;
        (u64::from(now) > limit).then(|| Complaint {
            text: format!(
                "{program} grew from {before} to {now} {name}, by more than {GROWTH_PERCENT} %; \
                 `cargo xtask verify --record` if that is meant"
            ),
            growth: true,
        })
    };
    figures.into_iter().filter_map(complaint).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(values: &[(Figure, u32)]) -> Figures {
        let named = values.iter();
        named
            .map(|(name, value)| (name.0.to_owned(), *value))
            .collect()
    }

    /// Whether each complaint is about growth alone.
    fn found(now: (Figure, u32), before: Option<(Figure, u32)>) -> Vec<bool> {
        let before = before.map(|before| figures(&[before]));
        let complaints = complaints("p", &figures(&[now]), before.as_ref());
        complaints
            .iter()
            .map(|complaint| complaint.growth)
            .collect()
    }

    #[test]
    fn within_bounds_and_record_nobody_complains() {
        assert_eq!(found((STEPS, 11_000), Some((STEPS, 10_000))), [false; 0]);
        assert_eq!(found((STEPS, STEPS_MAX), None), [false; 0]);
        assert_eq!(found((STACK, STACK_MAX), None), [false; 0]);
        // What was never put on record is held against nothing.
        assert_eq!(found((STATES, 1000), Some((STEPS, 10))), [false; 0]);
    }

    #[test]
    fn growth_of_each_figure_is_noticed() {
        for figure in [
            || STEPS,
            || STACK,
            || COARSE_STACK,
            || STATES,
            || PEAK_STATES,
        ] {
            assert_eq!(found((figure(), 111), Some((figure(), 100))), [true]);
        }
    }

    #[test]
    fn the_bounds_hold_whatever_is_on_record() {
        let (steps, stack) = (STEPS_MAX + 1, STACK_MAX + 32);
        assert_eq!(found((STEPS, steps), Some((STEPS, steps))), [false]);
        assert_eq!(found((STACK, stack), Some((STACK, stack))), [false]);
    }
}
