//! Where inputs come from: what is known to work, changed.

use std::collections::HashSet;
use std::ops::Range;
use std::path::Path;

use anyhow::Result;
use imblock_common::testkit::Random;

/// Inputs that are kept; beyond, a new one takes the place of any.
const KEPT: usize = 4096;
/// Most inputs are no longer, in bytes.
const USUAL: usize = 16 << 10;
/// None is longer: a little more than the reader of policies takes.
const LONGEST: usize = (1 << 20) + 64;

/// What reads inputs.
pub(super) trait Subject {
    /// What the name of a file of such an input ends with.
    const ENDING: &'static str;
    /// What is read, as the command line has it.
    const NAME: &'static str;
    /// Where an input that ended it becomes a test.
    const TESTS: &'static str;

    /// Inputs to begin with.
    fn seeds(&self) -> Result<Vec<Vec<u8>>>;

    /// Changes an input, somewhere or in a place, as only such inputs are changed.
    fn change(&self, random: &mut Random, bytes: &mut Vec<u8>, place: Range<usize>);

    /// Reads an input, which lies in a file, too. A panic ends the process, and so the run.
    fn read(&self, input: &[u8], file: &Path) -> Fate;
}

/// What came of an input.
pub(super) struct Fate {
    /// Whether it could be read to its end.
    pub(super) works: bool,
    /// Equal for inputs that went the same way, as far as can be told from outside.
    pub(super) mark: u64,
}

/// Inputs that went ways of their own.
pub(super) struct Corpus<'a, S> {
    subject: &'a S,
    random: Random,
    kept: Vec<Vec<u8>>,
    marks: HashSet<u64>,
}

impl<'a, S: Subject> Corpus<'a, S> {
    pub(super) fn new(subject: &'a S, seed: u64) -> Result<Self> {
        Ok(Self {
            subject,
            random: Random::new(seed),
            kept: subject.seeds()?,
            marks: HashSet::new(),
        })
    }

    /// The next input.
    pub(super) fn invent(&mut self) -> Vec<u8> {
        let mut bytes = self.pick();
        for _ in 0..self.random.pick(&[1, 1, 1, 2, 3, 6], 1) {
            self.change(&mut bytes);
        }
        let longest = match self.random.one_in(500) {
            true => LONGEST,
            false => USUAL,
        };
        bytes.truncate(longest);
        bytes
    }

    /// Keeps an input that went a way of its own.
    pub(super) fn learn(&mut self, input: Vec<u8>, mark: u64) {
        if !self.marks.insert(mark) || input.len() > USUAL {
            return;
        }
        if self.kept.len() < KEPT {
            self.kept.push(input);
            return;
        }
        let place = self.random.below(KEPT);
        if let Some(kept) = self.kept.get_mut(place) {
            *kept = input;
        }
    }

    pub(super) fn len(&self) -> usize {
        self.kept.len()
    }

    /// How many ways were seen.
    pub(super) fn marks(&self) -> usize {
        self.marks.len()
    }

    fn pick(&mut self) -> Vec<u8> {
        let place = self.random.below(self.kept.len());
        self.kept.get(place).cloned().unwrap_or_default()
    }

    fn change(&mut self, bytes: &mut Vec<u8>) {
        let at = self.random.below(bytes.len() + 1);
        let length = self.random.pick(&[1, 1, 2, 4, 16, 64, 512], 1);
        let end = (at + length).min(bytes.len());
        match self.random.below(14) {
            0 => {
                bytes.drain(at..end);
            }
            1 => {
                let piece: Vec<u8> = bytes.drain(at..end).collect();
                let to = self.random.below(bytes.len() + 1);
                bytes.splice(to..to, piece);
            }
            2 => {
                let piece = bytes.get(at..end).unwrap_or_default().to_vec();
                let times = self.random.pick(&[1, 2, 8, 100, 3_000], 1);
                bytes.splice(at..at, piece.repeat(times));
            }
            3 => {
                let random = self.random.byte();
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = random;
                }
            }
            4 => {
                let other = self.pick();
                let from = self.random.below(other.len());
                bytes.truncate(at);
                bytes.extend(other.get(from..).unwrap_or_default());
            }
            5 => bytes.truncate(at),
            _ => self.subject.change(&mut self.random, bytes, at..end),
        }
    }
}
