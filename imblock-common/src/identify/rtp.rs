//! RTP (RFC 3550), by three packets in sequence.
//!
//! One packet says too little: a byte and a half of it are fixed, and of flows on any port that once
//! look like it, few are. Three with one source (SSRC) whose numbers rise say it, if the
//! timestamps move as well.
//!
//! Invariant: pure; what is known of a flow's direction fits into a [`RtpTrace`], which the flow
//! table keeps.

use bytemuck::{Pod, Zeroable};

use crate::Bytes;
use crate::content::Payload;

/// Packets of one source in sequence that make a stream.
const IN_SEQUENCE: u8 = 3;
/// As many make one even if all have one timestamp: a large picture.
const OF_ONE_PICTURE: u8 = 6;
/// The most that the sequence number may rise from one packet seen to the next: some are lost.
const STEP_MAX: u16 = 4;
/// Packets of other sources that don't end a trace: sound and picture share a flow.
const STRANGERS_MAX: u8 = 3;

const HEADER: usize = 12;
const VERSION: u8 = 0xc0;
const VERSION_2: u8 = 0x80;
const PADDING: u8 = 0x20;
const EXTENSION: u8 = 0x10;
const SOURCES: u8 = 0x0f;
/// Sender and receiver report, source description, goodbye, application (RFC 3550 section 12.1).
const RTCP_FIRST: u8 = 200;
const RTCP_LAST: u8 = 204;
const RTCP_HEADER: usize = 8;

/// What the head of a packet says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RtpHeader {
    /// The source; never 0.
    pub ssrc: u32,
    /// Sampling instant, in units of the encoding.
    pub timestamp: u32,
    /// Sequence number.
    pub sequence: u16,
    /// Whether it is a report about the stream (RTCP), which has neither of the two above.
    pub report: bool,
}

impl RtpHeader {
    /// As one word, never 0; of the timestamp what a trace keeps of it.
    #[inline(always)]
    pub const fn pack(self) -> u64 {
        self.ssrc as u64
            | (self.sequence as u64) << 32
            | (fold(self.timestamp) as u64) << 48
            | (self.report as u64) << 56
    }

    /// From a word of [`RtpHeader::pack`]; `None` for 0.
    #[inline(always)]
    pub const fn unpack(word: u64) -> Option<Self> {
        if word == 0 {
            return None;
        }
        Some(Self {
            ssrc: (word & 0xffff_ffff) as u32,
            sequence: (word >> 32 & 0xffff) as u16,
            // A byte by itself folds to itself.
            timestamp: (word >> 48 & 0xff) as u32,
            report: word >> 56 & 1 != 0,
        })
    }
}

/// What was seen of one direction of a flow. All zero at first. Aligned so that it is a word.
#[repr(C, align(8))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Pod, Zeroable)]
pub struct RtpTrace {
    /// The source.
    ssrc: u32,
    /// The latest sequence number.
    sequence: u16,
    /// Packets in sequence (4 bits), packets of strangers since (3 bits), whether the timestamp
    /// moved (1 bit).
    seen: u8,
    /// The latest timestamp, folded.
    timestamp: u8,
}

const _: () = assert!(size_of::<RtpTrace>() == 8);

/// What a packet makes of a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// It contradicts what was seen before. The trace begins anew with it.
    NotRtp,
    /// Too early to say.
    Waiting,
    /// It is a stream.
    Rtp,
}

impl RtpTrace {
    const COUNT: u8 = 0x0f;
    const STRANGER: u8 = 0x10;
    const MOVED: u8 = 0x80;

    #[inline(always)]
    const fn begun(header: RtpHeader) -> Self {
        Self {
            ssrc: header.ssrc,
            sequence: header.sequence,
            seen: 1,
            timestamp: fold(header.timestamp),
        }
    }

    #[inline(always)]
    const fn count(self) -> u8 {
        self.seen & Self::COUNT
    }

    #[inline(always)]
    const fn strangers(self) -> u8 {
        (self.seen & !Self::MOVED) / Self::STRANGER
    }

    #[inline(always)]
    const fn moved(self) -> bool {
        self.seen & Self::MOVED != 0
    }

    #[inline(always)]
    const fn is_stream(self) -> bool {
        let wanted = if self.moved() {
            IN_SEQUENCE
        } else {
            OF_ONE_PICTURE
        };
        self.count() >= wanted
    }
}

/// Takes in a packet of the trace's direction.
#[inline(always)]
pub const fn step(trace: RtpTrace, header: RtpHeader) -> (RtpTrace, Step) {
    if header.report {
        return (trace, Step::Waiting);
    }
    if trace.count() == 0 {
        return (RtpTrace::begun(header), Step::Waiting);
    }
    let rise = header.sequence.wrapping_sub(trace.sequence);
    if header.ssrc != trace.ssrc || rise > STEP_MAX {
        if trace.strangers() < STRANGERS_MAX {
            let seen = trace.seen + RtpTrace::STRANGER;
            return (RtpTrace { seen, ..trace }, Step::Waiting);
        }
        return (RtpTrace::begun(header), Step::NotRtp);
    }
    if rise == 0 {
        // Seen twice.
        return (trace, Step::Waiting);
    }
    let count = trace.count()
        + if trace.count() < RtpTrace::COUNT {
            1
        } else {
            0
        };
    let moved = trace.moved() || fold(header.timestamp) != trace.timestamp;
    let next = RtpTrace {
        ssrc: trace.ssrc,
        sequence: header.sequence,
        seen: count | if moved { RtpTrace::MOVED } else { 0 },
        timestamp: fold(header.timestamp),
    };
    let step = if next.is_stream() {
        Step::Rtp
    } else {
        Step::Waiting
    };
    (next, step)
}

/// A timestamp in eight bits: equal ones stay equal, and few others become so.
#[inline(always)]
const fn fold(timestamp: u32) -> u8 {
    let [a, b, c, d] = timestamp.to_le_bytes();
    a ^ b.rotate_left(3) ^ c ^ d
}

/// Whether an RTP or RTCP packet may begin with this byte.
#[inline(always)]
pub(super) const fn may_begin(first: u8) -> bool {
    first & VERSION == VERSION_2
}

/// The head of a UDP payload that could be RTP or RTCP. Most that could are not: see [`step`].
#[inline(always)]
pub fn looks_like_rtp<B: Bytes>(packet: B, payload: Payload) -> Option<RtpHeader> {
    let at = packet.settle(payload.at)?;
    let end = packet.settle(payload.end)?;
    let [first, kind] = packet.read::<2>(at)?;
    if !may_begin(first) {
        return None;
    }
    if (RTCP_FIRST..=RTCP_LAST).contains(&kind) {
        return report(packet, at, end);
    }
    if !is_payload_type(kind & 0x7f) {
        return None;
    }
    let [.., s0, s1, t0, t1, t2, t3, r0, r1, r2, r3] = packet.read::<HEADER>(at)?;
    let ssrc = u32::from_be_bytes([r0, r1, r2, r3]);
    let mut least = HEADER + 4 * usize::from(first & SOURCES);
    if first & EXTENSION != 0 {
        least += 4;
    }
    if first & PADDING != 0 {
        least += 1;
    }
    if ssrc == 0 || end < at + least {
        return None;
    }
    Some(RtpHeader {
        ssrc,
        timestamp: u32::from_be_bytes([t0, t1, t2, t3]),
        sequence: u16::from_be_bytes([s0, s1]),
        report: false,
    })
}

/// The payload types of RFC 3551 that are in use: 0 to 34, and those that are agreed on.
#[inline(always)]
const fn is_payload_type(kind: u8) -> bool {
    kind <= 34 || kind >= 96
}

/// The head of an RTCP packet.
#[inline(always)]
fn report<B: Bytes>(packet: B, at: usize, end: usize) -> Option<RtpHeader> {
    let [_, _, l0, l1, r0, r1, r2, r3] = packet.read::<RTCP_HEADER>(at)?;
    let length = 4 * (usize::from(u16::from_be_bytes([l0, l1])) + 1);
    if at + length > end {
        return None;
    }
    Some(RtpHeader {
        ssrc: u32::from_be_bytes([r0, r1, r2, r3]),
        timestamp: 0,
        sequence: 0,
        report: true,
    })
}
