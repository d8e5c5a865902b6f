//! The handshake's bytes, put in order.
//!
//! Invariant: at most [`HANDSHAKE_MAX`] bytes and [`PIECES_MAX`] separate pieces are kept, and a
//! byte that has come stays what it was.

use std::ops::Range;

use super::frames::Crypto;

/// How many bytes of a handshake are kept: a power of two. A hello with post-quantum keys has some
/// 2,000, seldom more than 4,000; servers need not keep more than 4,096 that are out of order (RFC 9000
/// section 7.5).
pub const HANDSHAKE_MAX: usize = 8 * 1024;

/// How many pieces with gaps between them are kept. Chrome cuts its hello in about ten and shuffles
/// them.
pub const PIECES_MAX: usize = 128;

/// What has come of a handshake.
#[derive(Debug, Default)]
pub(super) struct CryptoStream {
    /// Zero where nothing has come.
    bytes: Vec<u8>,
    /// Where something has come: in order, none touches another.
    pieces: Vec<Range<usize>>,
}

/// A piece lies behind what is kept, or there are too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TooMuch;

impl CryptoStream {
    /// What one may have on the heap, in bytes.
    pub(super) const HEAP_MAX: usize = HANDSHAKE_MAX + PIECES_MAX * size_of::<Range<usize>>();

    /// What it has on the heap, in bytes.
    #[cfg(test)]
    pub(super) fn heap(&self) -> usize {
        self.bytes.capacity() + self.pieces.capacity() * size_of::<Range<usize>>()
    }

    /// Takes a piece in. What is behind [`HANDSHAKE_MAX`] is cut off.
    pub(super) fn insert(&mut self, frame: Crypto<'_>) -> Result<(), TooMuch> {
        let start = usize::try_from(frame.offset).map_err(|_| TooMuch)?;
        if start >= HANDSHAKE_MAX {
            return Err(TooMuch);
        }
        let end = HANDSHAKE_MAX.min(start + frame.data.len());
        if start == end {
            return Ok(());
        }
        let touched = self.touched(start, end);
        if touched.is_empty() && self.pieces.len() >= PIECES_MAX {
            return Err(TooMuch);
        }
        self.reach(end);
        let pieces = self.pieces.get(touched.clone()).unwrap_or_default();
        let (mut at, mut merged) = (start, start..end);
        for piece in pieces {
            copy(&mut self.bytes, at..piece.start, start, frame.data);
            at = at.max(piece.end);
            merged = merged.start.min(piece.start)..merged.end.max(piece.end);
        }
        copy(&mut self.bytes, at..end, start, frame.data);
        self.pieces.splice(touched, [merged]);
        Ok(())
    }

    /// The bytes from the start up to the first gap.
    pub(super) fn prefix(&self) -> &[u8] {
        match self.pieces.first() {
            Some(first) if first.start == 0 => self.bytes.get(..first.end).unwrap_or_default(),
            _ => &[],
        }
    }

    /// Makes the bytes up to `end` there, zero where they are new. Left to itself, the vector would take up
    /// to twice what it may ever need.
    fn reach(&mut self, end: usize) {
        let length = self.bytes.len();
        if length < end {
            self.bytes.reserve_exact(end.next_power_of_two() - length);
            self.bytes.resize(end, 0);
        }
    }

    /// Which pieces overlap or adjoin the bytes from `start` to `end`.
    fn touched(&self, start: usize, end: usize) -> Range<usize> {
        let first = self.pieces.partition_point(|piece| piece.end < start);
        let behind = self.pieces.partition_point(|piece| piece.start <= end);
        first..behind
    }
}

/// Copies the part `gap` of `data`, which begins at `start`. Nothing if it is empty or turned round.
fn copy(bytes: &mut [u8], gap: Range<usize>, start: usize, data: &[u8]) {
    let from = data.get(gap.start.saturating_sub(start)..gap.end.saturating_sub(start));
    if let (Some(to), Some(from)) = (bytes.get_mut(gap), from) {
        to.copy_from_slice(from);
    }
}
