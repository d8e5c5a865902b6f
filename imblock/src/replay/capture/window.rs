//! A window over a stream: the record that is being read, whole and in one piece.
//!
//! Invariant: memory is bounded by [`RECORD_MAX`], whatever the stream says about its lengths.

use std::io::{self, ErrorKind, Read};
use std::ops::Range;

/// The longest record that is read, in bytes, with its header. Real ones are a frame long; jumbo frames, GSO buffers
/// and USB transfers stay far below.
pub(super) const RECORD_MAX: usize = 16 << 20;

/// What the window holds before it has to grow for a long record.
const CAPACITY: usize = 256 << 10;

/// Bytes of a stream from the last record on.
#[derive(Debug)]
pub(super) struct Window<R> {
    source: R,
    buffer: Vec<u8>,
    /// What was read from the source and is not yet part of a record.
    unread: Range<usize>,
    /// The record that [`Window::advance`] passed last.
    current: Range<usize>,
    /// Offset in the stream of `unread.start`.
    offset: u64,
    /// Offset in the stream at which [`Window::peek`] last looked.
    record_at: u64,
}

impl<R: Read> Window<R> {
    pub(super) fn new(source: R) -> Self {
        Self {
            source,
            buffer: vec![0; CAPACITY],
            unread: 0..0,
            current: 0..0,
            offset: 0,
            record_at: 0,
        }
    }

    /// How many bytes of the stream were passed.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// Where the latest record begins in the stream.
    pub(super) fn record_at(&self) -> u64 {
        self.record_at
    }

    /// The first bytes of the next record: `N` of them, or what is left of the stream.
    pub(super) fn peek(&mut self, length: usize) -> io::Result<&[u8]> {
        self.record_at = self.offset;
        self.fill(length)?;
        let end = self.unread.end.min(self.unread.start + length);
        Ok(self.buffer.get(self.unread.start..end).unwrap_or_default())
    }

    /// Passes a record of at most [`RECORD_MAX`] bytes, which is [`Window::current`] then. If the
    /// stream ends inside it, nothing is passed and the number of missing bytes is returned.
    pub(super) fn advance(&mut self, length: usize) -> io::Result<usize> {
        self.fill(length)?;
        if self.unread.len() < length {
            return Ok(length - self.unread.len());
        }
        self.current = self.unread.start..self.unread.start + length;
        self.unread.start += length;
        self.offset = self.offset.saturating_add(length as u64);
        Ok(0)
    }

    /// Passes a record of any length without keeping it. Returns the number of missing bytes.
    pub(super) fn skip(&mut self, length: u64) -> io::Result<u64> {
        let mut left = length;
        while left > 0 {
            let piece = usize::try_from(left).unwrap_or(CAPACITY).min(CAPACITY);
            self.fill(piece)?;
            let passed = self.unread.len().min(piece);
            if passed == 0 {
                break;
            }
            self.unread.start += passed;
            self.offset = self.offset.saturating_add(passed as u64);
            left -= passed as u64;
        }
        self.current = self.unread.start..self.unread.start;
        Ok(left)
    }

    /// The record passed last.
    pub(super) fn current(&self) -> &[u8] {
        self.buffer.get(self.current.clone()).unwrap_or_default()
    }

    /// Reads until `length` bytes are unread, or the stream ends.
    fn fill(&mut self, length: usize) -> io::Result<()> {
        if self.unread.len() >= length {
            return Ok(());
        }
        self.buffer.copy_within(self.unread.clone(), 0);
        self.unread = 0..self.unread.len();
        self.current = 0..0;
        let wanted = length.min(RECORD_MAX);
        if self.buffer.len() < wanted {
            self.buffer.resize(wanted.next_power_of_two(), 0);
        }
        while self.unread.len() < length {
            let space = self.buffer.get_mut(self.unread.end..).unwrap_or_default();
            match self.source.read(space) {
                Ok(0) => break,
                Ok(read) => self.unread.end = (self.unread.end + read).min(self.buffer.len()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
