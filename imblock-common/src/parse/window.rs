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
}
