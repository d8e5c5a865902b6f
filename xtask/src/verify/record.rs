//! The figures on record, and what is wrong with those of today.

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result};

use crate::workspace::root;

/// 40 % of what the verifier is ready to do: the rest is for what comes, and for other kernels.
const STEPS_MAX: u32 = 400_000;
/// What the verifier allows a chain of calls, in bytes.
const STACK_MAX: u32 = 512;
/// The same for kernels before 6.9.
const COARSE_STACK_MAX: u32 = 512;
/// Growth over the figure on record that somebody should look at, in percent.
const GROWTH_PERCENT: u32 = 10;

/// What is put on record of a program, by name.
pub(super) type Figures = BTreeMap<String, u32>;
/// Figures by program.
pub(super) type Record = BTreeMap<String, Figures>;
/// Those of each kernel release (`6.18`): every verifier counts in its own way.
pub(super) type Records = BTreeMap<String, Record>;

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

/// The first two numbers of the running kernel's version.
pub(crate) fn kernel_release() -> Result<String> {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let numbers: Vec<&str> = release.split(['.', '-']).take(2).collect();
    Ok(numbers.join("."))
}

pub(super) fn read() -> Result<Records> {
    let path = path();
    match fs::read_to_string(&path) {
        Ok(text) => serde_json::from_str(&text)
            .with_context(|| format!("{} is not what `--record` writes", path.display())),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Records::new()),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

pub(super) fn write(records: &Records) -> Result<()> {
    let path = path();
    fs::write(&path, serde_json::to_string_pretty(records)? + "\n")
        .with_context(|| format!("cannot write {}", path.display()))
}

fn path() -> PathBuf {
    root().join("xtask/verifier.json")
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
