//! One look at a payload for all needles together.
//!
//! To look for each needle by itself costs its window, however unlike the payload is. So when the first
//! marker comes to its needle, the beginnings of all needles are looked for together, at a cost that
//! does not grow with their number: mostly none is there. Invariant: a needle that is there is told.

use super::marker::{Look, word};
use crate::content::Scene;
use crate::layout::{Marker, NEEDLE_MAX, NEEDLE_START, NeedleGate, SEARCH_SLICE, WINDOW_MAX};
use crate::{Bytes, Tables};

/// Bytes that are looked at at once.
const WORD: usize = 8;
/// How far a beginning may reach that lies in the longest window.
const REACH_MAX: usize = WINDOW_MAX + NEEDLE_START - 1;
/// How far is looked at once: as far as one slice of places needs it, as two, and all there is. A short
/// window is not to cost what a long one does, and each of these is looked at once a packet at most.
const REACHES: [u64; GLANCES_MAX] = [
    (SEARCH_SLICE + NEEDLE_MAX) as u64,
    (2 * SEARCH_SLICE + NEEDLE_MAX) as u64,
    REACH_MAX as u64,
];
/// How often a packet may be looked at for all needles.
pub const GLANCES_MAX: usize = 3;

/// What is known of all needles of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Glance {
    /// How many bytes of the payload, from its first, were looked at. 0 for none yet.
    pub reach: u64,
    /// Whose beginning is among them, see [`NeedleGate`].
    pub there: u16,
}

impl Glance {
    /// Nothing yet.
    pub const NONE: Self = Self { reach: 0, there: 0 };

    /// How many bytes would have to be looked at to know of a marker's needle; none if as many were.
    #[inline(always)]
    pub(super) const fn lacks(self, marker: &Marker) -> Option<u64> {
        let needed = marker.find_within as u64 + NEEDLE_START as u64 - 1;
        if needed > self.reach {
            Some(needed)
        } else {
            None
        }
    }

    /// Whether the needle of a marker may be there.
    #[inline(always)]
    pub(super) const fn shows(self, number: usize) -> bool {
        self.there >> (number % NeedleGate::LANE as usize) & 1 != 0
    }
}

/// How far is looked where so many bytes are needed.
#[inline(always)]
pub(super) const fn reach(needed: u64) -> u64 {
    let [one, two, all] = REACHES;
    if needed <= one {
        one
    } else if needed <= two {
        two
    } else {
        all
    }
}

/// The needles that may begin in the first `reach` bytes of the payload. All, where these can't be read.
///
/// In the kernel a function of its own: the verifier walks it once.
#[inline(always)]
pub fn glance<B: Bytes, T: Tables>(bytes: B, scene: &Scene, reach: u64, tables: T) -> Glance {
    let there = match Look::new(bytes, scene) {
        Some(look) => tables
            .marker_sets(scene.half, scene.transport, |sets| {
                there(bytes, &look, reach, &sets.needles)
            })
            .flatten(),
        None => None,
    };
    let there = there.unwrap_or(u16::MAX);
    Glance { reach, there }
}

#[inline(always)]
fn there<B: Bytes>(bytes: B, look: &Look<'_>, reach: u64, gate: &NeedleGate) -> Option<u16> {
    let (start, _, length) = look.place(bytes);
    let start = bytes.settle(start)?;
    let reach = length.min(usize::try_from(reach).ok()?);
    let mut trace = Trace::START;
    let mut at = 0;
    while at < REACH_MAX && at + WORD <= reach {
        trace = trace.behind(u64::from_le_bytes(bytes.read(start + at)?), gate);
        at += WORD;
    }
    // Zeros behind the end may be taken for a needle's; it is not found there.
    let trace = trace.behind(word(bytes, look, bytes.settle(at)?)?, gate);
    Some(trace.there())
}

/// Which needles the bytes up to one place may be of: bits that are 0.
#[derive(Clone, Copy)]
struct Trace {
    /// From the lowest 16 bits on: those whose first byte is the last one, those whose first two are
    /// the last two, and so on.
    begun: u64,
    /// Those that had begun at some place.
    some: u64,
}

impl Trace {
    /// In front of the payload. A needle that is shorter than its beginning takes what it finds there.
    const START: Self = Self {
        begun: 0,
        some: u64::MAX,
    };

    /// Eight bytes further, the lowest first.
    #[inline(always)]
    fn behind(mut self, word: u64, gate: &NeedleGate) -> Self {
        for byte in word.to_le_bytes() {
            self.begun = self.begun << NeedleGate::LANE | gate.not_of(byte);
            self.some &= self.begun;
        }
        self
    }

    /// Those whose whole beginning stood somewhere.
    #[inline(always)]
    const fn there(self) -> u16 {
        (!self.some >> (u64::BITS - NeedleGate::LANE)) as u16
    }
}
