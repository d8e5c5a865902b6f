//! Measurements that take turns: A B C A B C, so that all share the machine's mood.

use anyhow::{Context as _, Result, ensure};

use super::super::timer::{median, quartiles};
use super::counters::Fate;
use super::frames::Frame;
use super::generator::{BATCH, Generator};
use super::rig::Rig;

/// How long one measurement takes, in nanoseconds of CPU time.
const SLICE: f64 = 60e6;
/// The fewest frames of a measurement.
const FEWEST: u32 = 16 * BATCH;
/// How often a measurement is tried, when frames were lost because something else ran.
const TRIES: u32 = 3;

/// One candidate with frames of one kind, and what it took them, a value a round.
pub(super) struct Series<'a> {
    rig: &'a Rig,
    frame: &'a Frame,
    fate: Fate,
    count: u32,
    pub(super) samples: Vec<f64>,
}

impl<'a> Series<'a> {
    pub(super) fn new(rig: &'a Rig, frame: &'a Frame, fate: Fate) -> Self {
        Self {
            rig,
            frame,
            fate,
            count: FEWEST,
            samples: Vec::new(),
        }
    }

    pub(super) fn name(&self) -> &str {
        &self.rig.name
    }

    /// Sends frames until nothing is new to the candidate, and finds out how many make a measurement.
    pub(super) fn warm_up(
        &mut self,
        generator: &mut Generator,
        frames: u32,
        most: u32,
    ) -> Result<()> {
        self.measure(generator, FEWEST)?;
        let frames = frames.max(FEWEST);
        let cost = self.measure(generator, frames)?;
        self.count = frames_for(cost, most);
        Ok(())
    }

    fn measure(&self, generator: &mut Generator, count: u32) -> Result<f64> {
        let mut tried = 1;
        loop {
            match self.rig.send(generator, self.frame, self.fate, count) {
                Err(_) if tried < TRIES => tried += 1,
                measured => return measured,
            }
        }
    }

    pub(super) fn median(&self) -> f64 {
        median(&self.samples)
    }

    /// What it takes over another one, round by round.
    pub(super) fn over(&self, floor: &Self) -> Vec<f64> {
        self.with(floor, |own, floor| own - floor)
    }

    /// How many times as dear as another one it is, round by round.
    pub(super) fn times(&self, other: &Self) -> Vec<f64> {
        self.with(other, |own, other| own / other)
    }

    fn with(&self, other: &Self, of: impl Fn(f64, f64) -> f64) -> Vec<f64> {
        let pairs = self.samples.iter().zip(&other.samples);
        pairs.map(|(own, other)| of(*own, *other)).collect()
    }
}

/// How often, and how many frames at most.
#[derive(Clone, Copy)]
pub(super) struct Effort {
    pub(super) rounds: u32,
    pub(super) most: u32,
}

/// Measures all, in turns; then an error if our own counters say otherwise. `warm` is how many frames
/// come first.
pub(super) fn take_turns(
    series: &mut [Series<'_>],
    generator: &mut Generator,
    effort: Effort,
    warm: u32,
) -> Result<()> {
    for one in series.iter_mut() {
        one.warm_up(generator, warm, effort.most)?;
    }
    for _ in 0..effort.rounds {
        for one in series.iter_mut() {
            let sample = one.measure(generator, one.count)?;
            one.samples.push(sample);
        }
    }
    for one in series.iter() {
        one.rig.audit()?;
        ensure!(!one.samples.is_empty(), "{} was not measured", one.name());
    }
    Ok(())
}

/// The series of a name.
pub(super) fn find<'s, 'a>(series: &'s [Series<'a>], name: &str) -> Result<&'s Series<'a>> {
    let found = series.iter().find(|one| one.name() == name);
    found.with_context(|| format!("`{name}` was not measured"))
}

/// The middle, and the quartiles around it.
pub(super) fn middle(values: &[f64]) -> [Option<f64>; 3] {
    let [low, high] = quartiles(values);
    [Some(median(values)), Some(low), Some(high)]
}

/// How many frames take about a [`SLICE`].
fn frames_for(cost: f64, most: u32) -> u32 {
    let mut frames = FEWEST;
    while frames < most && f64::from(frames) * cost < SLICE {
        frames = frames.saturating_add(FEWEST);
    }
    frames.min(most.max(FEWEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dear_frames_are_few_and_cheap_ones_no_more_than_was_asked_for() {
        assert_eq!(frames_for(1.0, 500_000), 500_000);
        assert_eq!(frames_for(1e9, 500_000), FEWEST);
        let some = frames_for(600.0, 500_000);
        assert!((100_000..=101_024).contains(&some), "{some}");
    }

    #[test]
    fn a_middle_has_its_quartiles() {
        let values = [5.0, 1.0, 3.0, 2.0, 4.0];
        assert_eq!(middle(&values), [Some(3.0), Some(2.0), Some(4.0)]);
    }
}
