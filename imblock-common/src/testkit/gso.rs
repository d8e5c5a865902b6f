//! A frame that stands for several packets on the wire.

use crate::stream::{Head, Source};
use crate::{Bytes, Packet};

/// One piece of a GSO or GRO buffer.
#[derive(Clone, Copy, Debug)]
pub struct GsoFrame<'a> {
    /// What can be read of it.
    pub bytes: &'a [u8],
    /// Packets on the wire.
    pub segments: u32,
}

impl Bytes for GsoFrame<'_> {
    fn copy<const N: usize>(self, at: usize) -> Option<[u8; N]> {
        self.bytes.copy(at)
    }
}

impl Source for GsoFrame<'_> {
    fn load(self, at: usize, head: &mut Head, to: usize, length: usize) -> bool {
        self.bytes.load(at, head, to, length)
    }
}

impl Packet for GsoFrame<'_> {
    fn length(self, end: usize) -> u32 {
        self.bytes.length(end)
    }

    fn segments(self) -> u32 {
        self.segments
    }
}
