//! Bytes of one frame, readable without a panic and without `unsafe` in the reader's user.

use crate::content::{Finding, Payload, Reply, Scene};
use crate::identify::{Question, marker, needle, quic, rtp};
use crate::stream::{self, Head, HeadBytes, Piece, Source};
use crate::{Direction, Sighting, Tables};

/// The largest offset at which a frame is read. The verifier wants offset plus length to stay
/// within 0xffff; the cap is part of the meaning, so user space obeys it too.
pub const MAX_OFFSET: usize = 0x3fff;

/// Bytes that can be read at any offset: a frame, or a buffer. A read past the end gives `None`,
/// never a panic.
pub trait Bytes: Copy {
    /// Copies `N` bytes at offset `at`, which is at most [`MAX_OFFSET`]. Implementors check the end
    /// of the frame only; callers use [`Bytes::read`].
    fn copy<const N: usize>(self, at: usize) -> Option<[u8; N]>;

    /// `N` bytes at offset `at`, counted from the start of the frame.
    #[inline(always)]
    fn read<const N: usize>(self, at: usize) -> Option<[u8; N]> {
        if at > MAX_OFFSET { None } else { self.copy(at) }
    }

    /// The number itself. The kernel's readers make the verifier forget what it knows of it and which
    /// way led to it, so that it walks what follows once and not once for each way.
    #[inline(always)]
    fn forget_word(self, number: u32) -> u32 {
        number
    }

    /// As [`Bytes::forget_word`], for two words.
    #[inline(always)]
    fn forget(self, number: u64) -> u64 {
        let [a, b, c, d, e, f, g, h] = number.to_ne_bytes();
        let first = self.forget_word(u32::from_ne_bytes([a, b, c, d]));
        let second = self.forget_word(u32::from_ne_bytes([e, f, g, h]));
        bytemuck::cast([first, second])
    }

    /// The offset itself, or `None` beyond [`MAX_OFFSET`]; forgotten as by [`Bytes::forget_word`].
    #[inline(always)]
    fn settle(self, at: usize) -> Option<usize> {
        let at = self.forget_word(u32::try_from(at).ok()?) as usize;
        if at > MAX_OFFSET { None } else { Some(at) }
    }

    /// The offset itself, or `None` beyond [`MAX_OFFSET`]. Of a sum of what the frame says, the kernel's
    /// readers make the verifier forget all but that, for one instruction, where [`Bytes::settle`] takes
    /// four and two ways through memory. What it knows of a constant it goes on to know.
    #[inline(always)]
    fn bounded(self, at: usize) -> Option<usize> {
        if at > MAX_OFFSET { None } else { Some(at) }
    }
}

/// One frame.
pub trait Packet: Source {
    /// The payload's [`rtp::RtpHeader`], packed; 0 if it is no RTP. In the kernel, a function of its
    /// own.
    #[inline(always)]
    fn rtp(self, payload: Payload) -> u64 {
        rtp::looks_like_rtp(self, payload).map_or(0, rtp::RtpHeader::pack)
    }

    /// See [`marker::judge`]. In the kernel, a function of its own.
    #[inline(always)]
    fn judge_marker<T: Tables>(
        self,
        scene: &Scene,
        number: usize,
        searched: usize,
        tables: T,
    ) -> u64 {
        marker::judge(self, scene, number, searched, tables)
    }

    /// See [`needle::glance`]. In the kernel, a function of its own.
    #[inline(always)]
    fn glance<T: Tables>(self, scene: &Scene, reach: u64, tables: T) -> u16 {
        needle::glance(self, scene, reach, tables)
    }

    /// See [`quic::refuses`]. In the kernel, a function of its own.
    #[inline(always)]
    fn quic<T: Tables>(self, about: &Sighting, tables: T) -> bool {
        quic::refuses(self, about, tables)
    }

    /// Hands the datagram to the controller. `entry` is the number of the flow's entry.
    #[inline(always)]
    fn hand_over<T: Tables>(self, about: &Sighting, entry: u32, tables: T) {
        tables.hand_over(self, about, entry);
    }

    /// Gathers a segment of a hello that goes on in another one. In the kernel, a function of its
    /// own.
    #[inline(always)]
    fn gather<T: Tables>(self, piece: &Piece, tables: T) -> Reply {
        let finding = tables.head(piece.flow, |head, tick| {
            let read = |head: &Head| {
                let half = piece.scene.half;
                stream::finding(HeadBytes(head), head.payload(), half, tables)
            };
            stream::gather(self, head, piece, tick, Head::header, read)
        });
        finding.unwrap_or(Finding::NOTHING).reply()
    }

    /// Asks a question about the payload. The kernel's readers ask a function of its own.
    #[inline(always)]
    fn ask<T: Tables>(self, question: Question, scene: &Scene, tables: T) -> Reply {
        question.answer(self, scene, tables)
    }

    /// The hardware address of the end on this link that is the local host's: who sent the frame, or
    /// who is to get it. `None` for a frame without such a header, which no hook of the kernel sees.
    #[inline(always)]
    fn hardware_address(self, direction: Direction) -> Option<[u8; 6]> {
        match direction {
            Direction::Sent => self.read(6),
            Direction::Received => self.read(0),
        }
    }

    /// Length in bytes of the frame as sent, from the link header on. It may be more than what can
    /// be read: buffers in several pieces, captures cut short. `end` is where the packet ends by its
    /// own word; if that can be read, the kernel need not be asked.
    fn length(self, end: usize) -> u32;

    /// How many packets on the wire this frame stands for: 1, or the segments of a GSO buffer.
    fn segments(self) -> u32;
}

impl Bytes for &[u8] {
    #[inline(always)]
    fn copy<const N: usize>(self, at: usize) -> Option<[u8; N]> {
        self.get(at..)?.first_chunk().copied()
    }
}

impl Packet for &[u8] {
    #[inline(always)]
    fn length(self, _end: usize) -> u32 {
        u32::try_from(self.len()).unwrap_or(u32::MAX)
    }

    #[inline(always)]
    fn segments(self) -> u32 {
        1
    }
}

/// A frame of a capture: the bytes that were kept, and how long it was on the wire.
#[derive(Clone, Copy, Debug)]
pub struct CapturedFrame<'a> {
    /// What the capture kept of the frame.
    pub bytes: &'a [u8],
    /// Length on the wire, in bytes.
    pub wire_length: u32,
    /// Whether it begins with an Ethernet header.
    pub is_ethernet: bool,
}

impl Bytes for CapturedFrame<'_> {
    #[inline(always)]
    fn copy<const N: usize>(self, at: usize) -> Option<[u8; N]> {
        self.bytes.copy(at)
    }
}

impl Source for CapturedFrame<'_> {
    #[inline(always)]
    fn load(self, at: usize, head: &mut Head, to: usize, length: usize) -> bool {
        self.bytes.load(at, head, to, length)
    }
}

impl Packet for CapturedFrame<'_> {
    #[inline(always)]
    fn hardware_address(self, direction: Direction) -> Option<[u8; 6]> {
        if !self.is_ethernet {
            return None;
        }
        self.bytes.hardware_address(direction)
    }

    #[inline(always)]
    fn length(self, _end: usize) -> u32 {
        self.wire_length
    }

    #[inline(always)]
    fn segments(self) -> u32 {
        1
    }
}
