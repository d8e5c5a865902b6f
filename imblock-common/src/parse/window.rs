//! The bytes up to where a message ends: what a frame has behind it is padding, or another message.

use crate::Bytes;

/// Bytes, and the offset at which the message in them ends.
#[derive(Clone, Copy)]
pub(super) struct Window<B> {
    pub(super) bytes: B,
    /// Behind the last byte of the message.
    pub(super) end: usize,
}

impl<B: Bytes> Window<B> {
    /// `N` bytes at an offset, if the message reaches as far and they can be read.
    #[inline(always)]
    pub(super) fn read<const N: usize>(self, at: usize) -> Option<[u8; N]> {
        if at + N > self.end {
            None
        } else {
            self.bytes.read(at)
        }
    }

    /// The offset itself, or `None` beyond the end of the message; see [`Bytes::settle`].
    #[inline(always)]
    pub(super) fn settle(self, at: usize) -> Option<usize> {
        if at > self.end {
            None
        } else {
            self.bytes.settle(at)
        }
    }

    /// How many bytes stand from `at` to the first one that `ends` says; `None` if there are more than
    /// `MOST`, or the message ends before.
    ///
    /// Each offset is settled, not counted up from the first: of an offset and a known distance the
    /// verifier keeps how far the packet must reach, and would follow every length to the end of the
    /// program.
    #[inline(always)]
    pub(super) fn until<const MOST: usize>(
        self,
        at: usize,
        ends: impl Fn(u8) -> bool,
    ) -> Option<usize> {
        let (mut cursor, mut seen) = (at, 0);
        while seen <= MOST {
            let [byte] = self.read::<1>(cursor)?;
            if ends(byte) {
                return self.bytes.settle(cursor.wrapping_sub(at));
            }
            cursor = self.settle(cursor + 1)?;
            seen += 1;
        }
        None
    }
}
