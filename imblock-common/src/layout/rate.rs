//! How fast a service may be used.

use bytemuck::{Pod, Zeroable};

use super::Half;

/// A rate with its burst, as the programs reckon with it: in time.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
pub struct Rate {
    /// Nanoseconds that a byte or a packet takes, times 2^16; 0 for no rate.
    pub time: u64,
    /// How long a bucket takes to fill, in nanoseconds.
    pub burst: u64,
    /// [`Rate::PACKETS`].
    pub flags: u64,
}

impl Rate {
    /// Packets are counted, not bytes.
    pub const PACKETS: u64 = 1;
    /// As fast as may be.
    pub const NONE: Self = Self {
        time: 0,
        burst: 0,
        flags: 0,
    };
    /// Rates of a half, the first of which is none.
    pub const ROOM: usize = 256;
    /// The point in [`Rate::time`].
    pub(crate) const SHIFT: u32 = 16;

    /// Where a half's rate lies.
    #[inline(always)]
    pub const fn index(half: Half, number: u8) -> u32 {
        half.index() << 8 | number as u32
    }

    /// So many bytes or packets in a second, from 1 to 10^12, and at most 2^16 times as long a burst as
    /// the rate takes for one of them.
    pub fn new(per_second: u64, burst: u64, packets: bool) -> Self {
        const SECOND: u128 = 1_000_000_000;
        let per_second = u128::from(per_second.max(1));
        let time = (SECOND << Self::SHIFT) / per_second;
        let burst = u128::from(burst) * SECOND / per_second;
        Self {
            time: u64::try_from(time).unwrap_or(u64::MAX).max(1),
            burst: u64::try_from(burst).unwrap_or(u64::MAX).max(1),
            flags: if packets { Self::PACKETS } else { 0 },
        }
    }

    /// Whether there is no limit.
    #[inline(always)]
    pub const fn is_none(&self) -> bool {
        self.time == 0
    }

    /// Whether packets are counted, not bytes.
    #[inline(always)]
    pub const fn counts_packets(&self) -> bool {
        self.flags & Self::PACKETS != 0
    }
}

const _: () = assert!(size_of::<Rate>() == 24);
