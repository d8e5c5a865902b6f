//! What a CPU knows of the packets that it rejected.

use bytemuck::{Pod, Zeroable};

use crate::reject::{Fate, Letter, ReplyBucket};

/// What a CPU did about rejected packets, and what it needs to do it.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
pub struct Rejections {
    /// Packets by [`Fate`].
    pub counts: [u64; Rejections::SLOTS],
    /// How many answers may follow.
    pub bucket: ReplyBucket,
    /// Where an answer is written down.
    pub letter: Letter,
}

impl Rejections {
    /// Slots for fates.
    pub const SLOTS: usize = 8;

    /// Counts a packet.
    #[inline(always)]
    pub fn count(&mut self, fate: Fate) {
        if let Some(count) = self.counts.get_mut(fate as usize & (Self::SLOTS - 1)) {
            *count = count.wrapping_add(1);
        }
    }
}

const _: () = assert!(Fate::ALL.len() <= Rejections::SLOTS);
