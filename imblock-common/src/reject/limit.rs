//! How many answers there may be: a bucket of tokens, one a CPU.

use bytemuck::{Pod, Zeroable};

/// Answers a second and CPU. As many may come at once after a second of silence.
pub const REPLIES_PER_SECOND: u32 = 1000;

/// What is left of the answers. Empty before its first use, and full from then on: it was silent long
/// enough.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Pod, Zeroable)]
pub struct ReplyBucket {
    /// In parts of an answer, as many of them as a second has ticks: so nothing is divided.
    credit: u32,
    /// The tick at which this was said.
    at: u32,
}

impl ReplyBucket {
    /// Takes an answer out, if there is one. `now` is in ticks, of which a second has at most 1000.
    #[inline(always)]
    pub fn take(&mut self, now: u32, ticks_per_second: u32) -> bool {
        let full = REPLIES_PER_SECOND.wrapping_mul(ticks_per_second);
        let passed = now.wrapping_sub(self.at);
        // A second fills it whatever it was; and longer ones would not fit.
        let credit = if passed >= ticks_per_second {
            full
        } else {
            self.credit
                .wrapping_add(passed.wrapping_mul(REPLIES_PER_SECOND))
        };
        let credit = if credit > full { full } else { credit };
        self.at = now;
        let enough = credit >= ticks_per_second;
        self.credit = if enough {
            credit.wrapping_sub(ticks_per_second)
        } else {
            credit
        };
        enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HZ: u32 = 250;

    fn taken(bucket: &mut ReplyBucket, now: u32, wanted: u32) -> u32 {
        let mut taken = 0;
        for _ in 0..wanted {
            taken += u32::from(bucket.take(now, HZ));
        }
        taken
    }

    #[test]
    fn a_second_of_silence_fills_it_and_no_more() {
        let mut bucket = ReplyBucket::default();
        for now in [4_000_000_000, 4_000_000_250, 4_000_090_000] {
            assert_eq!(taken(&mut bucket, now, 3000), REPLIES_PER_SECOND);
        }
    }

    #[test]
    fn it_fills_tick_by_tick() {
        let mut bucket = ReplyBucket::default();
        let start = u32::MAX - 100;
        taken(&mut bucket, start, 3000);
        // Over the end of the clock, too.
        for tick in 1..=1000_u32 {
            let now = start.wrapping_add(tick);
            assert_eq!(taken(&mut bucket, now, 50), REPLIES_PER_SECOND / HZ);
        }
    }

    #[test]
    fn without_a_clock_nobody_is_kept_from_answering() {
        let mut bucket = ReplyBucket::default();
        assert!(bucket.take(0, 0));
    }
}
