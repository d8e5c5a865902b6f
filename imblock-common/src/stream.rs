//! The head of a client's TCP stream, gathered until the TLS hello in it is whole.
//!
//! A hello with a post-quantum key share (some 1.2 kB) rarely fits into one packet, nor need it lie
//! in one TLS record. A [`Head`] takes the stream's first segments in order, drops the record headers
//! wherever they were cut, and keeps the handshake for [`tls::handshake`]. A head is asked
//! after each segment ([`finding`]), until it answers something else than that there is more.
//!
//! Invariant: however a stream is cut into segments and records, and whatever is sent twice, the same
//! bytes are gathered, up to the limits below.

use bytemuck::{Pod, Zeroable};

use crate::content::{Answer, Finding, Payload, Scene};
use crate::identify::name;
use crate::layout::Half;
use crate::parse::tls::{self, Heard, RECORD_HEADER};
use crate::{Bytes, Evidence, Tables};

/// Bytes that a [`Head`] can hold.
pub const HEAD_MAX: usize = 4096 - 32;
/// Bytes that are copied at once, a power of two. No copy begins so late that one of this length
/// would not fit: the verifier adds up the largest of both. So any hello of up to
/// [`LAST_PIECE_AT`] bytes is gathered, and a longer one if it is cut well.
pub const PIECE_MAX: usize = 1024;
/// Where in [`Head::bytes`] the last copy may begin.
pub const LAST_PIECE_AT: usize = HEAD_MAX - PIECE_MAX;
/// TLS records of one hello.
pub const RECORDS_MAX: u8 = 8;
/// Segments of one hello.
pub const SEGMENTS_MAX: u8 = 4;
/// Copies out of one segment: a header and a content for each record, and some contents in two.
const PIECES_MAX: usize = 2 * RECORDS_MAX as usize + 4;

/// The beginning of one stream.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
pub struct Head {
    /// Whose it is, as the caller tells flows apart; 0 for nobody's.
    pub flow: u64,
    /// Sequence number of the next byte of the stream.
    pub next: u32,
    /// When it was last used, in the caller's ticks.
    pub tick: u32,
    /// Bytes of the handshake that were gathered.
    pub filled: u32,
    /// Bytes that the current record still has.
    record_left: u32,
    /// Bytes of the next record's header that lie behind the gathered ones, for want of the rest.
    header_filled: u32,
    /// Segments that brought something.
    segments: u8,
    /// Records whose header was read.
    records: u8,
    /// Whether nothing more is taken: 0 or 1.
    ended: u8,
    /// Zero.
    reserved: u8,
    /// The handshake, records' headers left out.
    pub bytes: [u8; HEAD_MAX],
}

/// [`RECORD_HEADER`], as lengths are counted here.
const HEADER: u32 = 5;

const _: () = {
    assert!(size_of::<Head>() == 4096);
    assert!(HEADER as usize == RECORD_HEADER);
};

/// What became of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Appended {
    /// It brought nothing: sent again, or not yet its turn.
    Nothing = 0,
    /// It brought something, and the next one may bring more.
    Some = 1,
    /// It may have brought something, but nothing more is taken: not a hello's records, or too much of
    /// them.
    Last = 2,
}

/// Where segments come from. In the kernel a helper copies; in user space a slice does.
pub trait Source: Bytes {
    /// Copies `length` bytes at offset `at` of the packet to [`Head::bytes`] at `to`. `length` is 1 to
    /// [`PIECE_MAX`], `to` at most [`LAST_PIECE_AT`]. `false` if they can't be read.
    fn load(self, at: usize, head: &mut Head, to: usize, length: usize) -> bool;
}

impl Source for &[u8] {
    #[inline(always)]
    fn load(self, at: usize, head: &mut Head, to: usize, length: usize) -> bool {
        let from = at
            .checked_add(length)
            .and_then(|behind| self.get(at..behind));
        let to = to
            .checked_add(length)
            .and_then(|behind| head.bytes.get_mut(to..behind));
        match (from, to) {
            (Some(from), Some(to)) => {
                to.copy_from_slice(from);
                true
            }
            _ => false,
        }
    }
}

/// The bytes of a [`Head`], for user space. The verifier can't make use of a slice's checks: the kernel
/// program reads the same bytes through a reader of its own.
#[derive(Clone, Copy, Debug)]
pub struct HeadBytes<'a>(pub &'a Head);

impl Bytes for HeadBytes<'_> {
    #[inline(always)]
    fn copy<const N: usize>(self, at: usize) -> Option<[u8; N]> {
        self.0.bytes.get(at..)?.first_chunk().copied()
    }
}

impl Head {
    /// Begins a stream's head. `next` is the sequence number of its first byte; the segment that has
    /// it is still to be appended.
    #[inline(always)]
    pub const fn begin(&mut self, flow: u64, next: u32, tick: u32) {
        self.flow = flow;
        self.next = next;
        self.tick = tick;
        self.filled = 0;
        self.record_left = 0;
        self.header_filled = 0;
        self.segments = 0;
        self.records = 0;
        self.ended = 0;
    }

    /// Where the gathered handshake lies in [`HeadBytes`].
    #[inline(always)]
    pub const fn payload(&self) -> Payload {
        Payload {
            at: 0,
            end: self.filled as usize,
        }
    }

    /// What the gathered handshake says.
    #[inline(always)]
    pub fn heard(&self) -> Heard {
        tls::handshake(HeadBytes(self), self.payload())
    }

    /// Takes what is new of a segment: the payload at `payload` in the packet, whose first byte has the
    /// sequence number `sequence`. `header` reads a record's header at an offset of [`Head::bytes`]:
    /// [`Head::header`], unless there is a cheaper way.
    #[inline(always)]
    pub fn append<S: Source>(
        &mut self,
        source: S,
        sequence: u32,
        payload: Payload,
        header: impl Fn(&Self, usize) -> [u8; RECORD_HEADER],
    ) -> Appended {
        if self.ended != 0 {
            return Appended::Last;
        }
        // A segment from beyond `next` is almost 2^32 bytes before it, and no segment is as long.
        let seen = self.next.wrapping_sub(sequence);
        let length = u32::try_from(payload.length()).unwrap_or(0);
        if seen >= length {
            return Appended::Nothing;
        }
        self.segments = self.segments.wrapping_add(1);
        let new = payload.at + seen as usize;
        let wanted = self.take(source, new, (length - seen) as usize, header);
        if wanted.is_some() && self.segments < SEGMENTS_MAX {
            Appended::Some
        } else {
            self.ended = 1;
            Appended::Last
        }
    }

    /// Takes `left` bytes at `at`. `None` when nothing behind them is wanted.
    ///
    /// What changes from turn to turn is settled, so that all turns look the same to the verifier.
    #[inline(always)]
    fn take<S: Source>(
        &mut self,
        source: S,
        at: usize,
        left: usize,
        header: impl Fn(&Self, usize) -> [u8; RECORD_HEADER],
    ) -> Option<()> {
        // More than a head can hold is never taken anyway.
        let left = if left < HEAD_MAX { left } else { HEAD_MAX };
        let (mut at, mut left) = (source.settle(at)?, source.settle(left)?);
        let mut pieces = 0;
        while left != 0 {
            if pieces == PIECES_MAX {
                return None;
            }
            let in_header = self.record_left == 0;
            // A header lies behind the handshake until it is whole; then its record overwrites it.
            let (there, wanted) = if in_header {
                let there = self.header_filled;
                (there, HEADER.saturating_sub(there))
            } else {
                (0, self.record_left)
            };
            let to = source.settle(self.filled.saturating_add(there) as usize)?;
            let most = (wanted as usize).min(left).min(PIECE_MAX);
            let length = source.settle(most)?;
            if to > LAST_PIECE_AT || length == 0 || length > PIECE_MAX {
                return None;
            }
            if !source.load(at, self, to, length) {
                return None;
            }
            at = source.settle(at + length)?;
            left = source.settle(left.wrapping_sub(length))?;
            let taken = u32::try_from(length).unwrap_or(0);
            self.next = self.next.wrapping_add(taken);
            if !in_header {
                self.filled = self.filled.wrapping_add(taken);
                self.record_left = self.record_left.wrapping_sub(taken);
            } else if taken < wanted {
                self.header_filled = there.wrapping_add(taken);
            } else {
                self.enter(header(self, self.filled as usize))?;
            }
            pieces += 1;
        }
        Some(())
    }

    /// The five bytes at an offset of [`Head::bytes`]; zeros where there are none.
    #[inline(always)]
    pub fn header(&self, at: usize) -> [u8; RECORD_HEADER] {
        HeadBytes(self).read(at).unwrap_or([0; RECORD_HEADER])
    }

    /// Goes on into a record. `None` if it is none of a hello, or one too many.
    #[inline(always)]
    fn enter(&mut self, header: [u8; RECORD_HEADER]) -> Option<()> {
        self.header_filled = 0;
        self.records = self.records.wrapping_add(1);
        let length = tls::handshake_record(header)?;
        if self.records > RECORDS_MAX {
            return None;
        }
        self.record_left = u32::from(length);
        Some(())
    }
}

/// How many heads are gathered at the same time. A place is a flow's by its hash; of two flows that
/// want one place, the later one has it, and the hello of the other goes unread.
pub const HEADS: u32 = 1024;

/// A segment of a stream whose head is being gathered.
#[derive(Clone, Copy, Debug)]
pub struct Piece {
    /// The payload and its flow.
    pub scene: Scene,
    /// The flow's hash.
    pub flow: u64,
    /// Sequence number of the payload's first byte.
    pub sequence: u32,
    /// Whether the head begins with it.
    pub begins: bool,
}

/// Gathers a segment into its stream's head, and says what the hello asks for, if that is there by
/// now. `header` as in [`Head::append`]; `finding` reads the head, see [`finding`].
#[inline(always)]
pub fn gather<S: Source>(
    source: S,
    head: &mut Head,
    piece: &Piece,
    tick: u32,
    header: impl Fn(&Head, usize) -> [u8; RECORD_HEADER],
    finding: impl FnOnce(&Head) -> Finding,
) -> Finding {
    if piece.begins {
        head.begin(piece.flow, piece.sequence, tick);
    } else if head.flow != piece.flow {
        return Finding::NOTHING;
    }
    let more = Finding::only(Answer::More, Evidence::Sni);
    let appended = head.append(source, piece.sequence, piece.scene.payload, header);
    if appended == Appended::Nothing {
        return more;
    }
    let finding = finding(head);
    if finding.answer == Answer::More && appended == Appended::Last {
        return Finding::NOTHING;
    }
    finding
}

/// What the gathered hello asks for, and whose it is. `bytes` are those of the head, and `gathered`
/// is its [`Head::payload`].
#[inline(always)]
pub fn finding<B: Bytes, T: Tables>(bytes: B, gathered: Payload, half: Half, tables: T) -> Finding {
    name::of_hello(bytes, tls::handshake(bytes, gathered), half, tables)
}
