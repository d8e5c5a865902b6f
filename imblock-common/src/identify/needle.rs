//! One look at a payload for all needles together.
//!
//! To look for each needle by itself costs its window, however unlike the payload is. So where several
//! might be there their beginnings are looked for together, at a cost that does not grow with their number:
//! mostly none is there. Invariant: a needle that is there is told.

use super::marker::{Look, word};
use crate::content::Scene;
use crate::layout::{NeedleGate, WINDOW_MAX};
use crate::{Bytes, Tables};

/// Bytes that are looked at at once.
const WORD: usize = 8;

/// The needles that may begin in the first `reach` bytes of the payload, one of
/// [`crate::layout::NEEDLE_REACHES`]; see [`NeedleGate`]. All, where these can't be read.
///
/// In the kernel a function of its own: the verifier walks it once.
#[inline(always)]
pub fn glance<B: Bytes, T: Tables>(bytes: B, scene: &Scene, reach: u64, tables: T) -> u16 {
    let Some(look) = &Look::new(bytes, scene) else {
        return 0;
    };
    let there = tables.marker_sets(scene.half, scene.transport, |sets| {
        there(bytes, look, reach, &sets.needles)
    });
    there.flatten().unwrap_or(u16::MAX)
}

#[inline(always)]
fn there<B: Bytes>(bytes: B, look: &Look<'_>, reach: u64, gate: &NeedleGate) -> Option<u16> {
    let (start, _, length) = look.place(bytes);
    let start = bytes.settle(start)?;
    let reach = length.min(usize::try_from(reach).ok()?);
    let mut trace = Trace::START;
    let mut at = 0;
    while at < WINDOW_MAX && at + WORD <= reach {
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
