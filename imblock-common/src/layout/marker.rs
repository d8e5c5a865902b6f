//! What the tables keep of markers: bytes by which a payload tells its service.
//!
//! Two steps, so that the cost of a packet does not grow with the number of markers: the sets leave
//! the few markers that fit its first bytes, its length and its place in the flow; each of these is
//! then held against its own record. Invariant: what the sets say of the first bytes and the place
//! is exact and not asked again; of the length only up to 254.

use bytemuck::{Pod, Zeroable};

use super::Half;
use crate::Transport;

/// Markers of one transport.
pub const MARKERS_MAX: usize = 256;
/// Bytes at the beginning of a payload that the sets know.
pub const MARKER_HEAD: usize = 8;
/// Bytes of a payload, counted from its first, that a pattern may reach.
pub const PATTERN_MAX: usize = 48;
/// The longest needle, in bytes.
pub const NEEDLE_MAX: usize = 32;
/// Bytes of a payload, counted from its first, in which a needle may begin.
pub const WINDOW_MAX: usize = 1024;
/// The most bytes at the end of a payload that a marker may name.
pub const LAST_MAX: usize = 4;
/// Ranges of ports of one marker.
pub const MARKER_PORTS_MAX: usize = 6;

/// Steps that one packet is given. A step holds one marker against it and looks for its needle at
/// [`SEARCH_SLICE`] places; a policy whose markers might need more for some packet is refused.
pub const MARKER_STEPS_MAX: usize = 32;
/// Places at which a needle is looked for in one step.
pub const SEARCH_SLICE: usize = 128;

/// Some of the markers of one transport: bit `m % 64` of word `m / 64` for marker `m`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Pod, Zeroable)]
pub struct MarkerSet(pub [u64; MARKERS_MAX / 64]);

impl MarkerSet {
    /// All 256, known or not.
    pub const ALL: Self = Self([u64::MAX; MARKERS_MAX / 64]);

    /// What is in both.
    #[inline(always)]
    #[must_use]
    pub const fn and(self, other: &Self) -> Self {
        let ([a, b, c, d], [e, f, g, h]) = (self.0, other.0);
        Self([a & e, b & f, c & g, d & h])
    }

    /// Whether nothing is in it.
    #[inline(always)]
    pub const fn is_empty(self) -> bool {
        let [a, b, c, d] = self.0;
        a | b | c | d == 0
    }

    /// The lowest number in it.
    #[inline(always)]
    pub const fn lowest(self) -> Option<usize> {
        let [a, b, c, d] = self.0;
        if a != 0 {
            Some(lowest_bit(a))
        } else if b != 0 {
            Some(64 + lowest_bit(b))
        } else if c != 0 {
            Some(128 + lowest_bit(c))
        } else if d != 0 {
            Some(192 + lowest_bit(d))
        } else {
            None
        }
    }

    /// The same without its lowest number. One less takes it away, and what is below it, where nothing
    /// is; arithmetic, for each branch is a way for the verifier to walk.
    #[inline(always)]
    #[must_use]
    pub const fn without_lowest(self) -> Self {
        let [a, b, c, d] = self.0;
        let from_a = a.wrapping_sub(1);
        let from_b = b.wrapping_sub(borrowed(a, from_a));
        let from_c = c.wrapping_sub(borrowed(b, from_b));
        let from_d = d.wrapping_sub(borrowed(c, from_c));
        Self([a & from_a, b & from_b, c & from_c, d & from_d])
    }

    /// Puts a marker in.
    pub fn insert(&mut self, number: u8) {
        if let Some(word) = self.0.get_mut(usize::from(number) / 64) {
            *word |= 1 << (number & 63);
        }
    }

    /// Whether a marker is in it.
    pub fn contains(&self, number: u8) -> bool {
        let word = self.0.get(usize::from(number) / 64);
        word.is_some_and(|word| word >> (number & 63) & 1 == 1)
    }
}

/// What a word has to borrow from the next one, if so much is left of it when 1 or 0 is taken away.
#[inline(always)]
const fn borrowed(word: u64, left: u64) -> u64 {
    (!word & left) >> 63
}

/// Where the lowest bit of a word is. BPF has no instruction for it, and what the compiler puts in
/// its place is a table, which would be one more map.
#[inline(always)]
const fn lowest_bit(word: u64) -> usize {
    let bit = word & word.wrapping_neg();
    let mut number = 0;
    // Bit `n` of a number is set if the number is in the upper half of its 2^(n + 1).
    number |= (bit & 0xaaaa_aaaa_aaaa_aaaa).wrapping_neg() >> 63;
    number |= (bit & 0xcccc_cccc_cccc_cccc).wrapping_neg() >> 63 << 1;
    number |= (bit & 0xf0f0_f0f0_f0f0_f0f0).wrapping_neg() >> 63 << 2;
    number |= (bit & 0xff00_ff00_ff00_ff00).wrapping_neg() >> 63 << 3;
    number |= (bit & 0xffff_0000_ffff_0000).wrapping_neg() >> 63 << 4;
    number |= (bit & 0xffff_ffff_0000_0000).wrapping_neg() >> 63 << 5;
    (number & 63) as usize
}

/// For each of a few questions with 256 answers, the markers that an answer leaves. One entry a half
/// and transport, at [`MarkerSets::index`].
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
pub struct MarkerSets {
    /// The questions, and for each answer what it leaves.
    pub rows: [[MarkerSet; 256]; MarkerSets::ROWS],
    /// Which needles may be there.
    pub needles: NeedleGate,
}

impl MarkerSets {
    /// The row of the payload's length; below it one for each byte of [`MARKER_HEAD`].
    pub const LENGTH: usize = MARKER_HEAD;
    /// The row of [`MarkerSets::place`].
    pub const PLACE: usize = MARKER_HEAD + 1;
    /// Rows.
    pub const ROWS: usize = MARKER_HEAD + 2;
    /// Entries of both halves.
    pub const LEN: usize = super::HALVES * 2;

    /// Where the sets of a half and transport lie; below [`MarkerSets::LEN`].
    #[inline(always)]
    pub const fn index(half: Half, transport: Transport) -> u32 {
        half.index() << 1 | transport as u32
    }

    /// What an answer leaves.
    #[inline(always)]
    pub fn get(&self, row: usize, answer: u8) -> &MarkerSet {
        let row = self.rows.get(row);
        // No row, nothing left out. Every row there is has all answers.
        row.and_then(|row| row.get(usize::from(answer)))
            .unwrap_or(&MarkerSet::ALL)
    }

    /// The answer for a payload of `length` bytes; the last one stands for all that are longer.
    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "below 256")]
    pub const fn length(length: usize) -> u8 {
        if length < 255 { length as u8 } else { 255 }
    }

    /// The answer for who sent a payload (0 for nobody knows, 1 for the client, 2 for the server),
    /// whether it is the first of its sender, and whether its flow has a service already.
    #[inline(always)]
    pub const fn place(sender: u8, first: bool, known: bool) -> u8 {
        sender & 3 | (first as u8) << 2 | (known as u8) << 3
    }
}

/// By how many of its first bytes a needle is looked for, together with all others, before it is looked
/// for by itself.
pub const NEEDLE_START: usize = 4;

/// How far is looked at once for all needles: as far as one slice of places needs it, as two, and all
/// there is. A short window is not to cost what a long one does.
pub const NEEDLE_REACHES: [u64; 3] = [
    (SEARCH_SLICE + NEEDLE_MAX) as u64,
    (2 * SEARCH_SLICE + NEEDLE_MAX) as u64,
    (WINDOW_MAX + NEEDLE_START - 1) as u64,
];

/// Which needles may lie in a payload, by one look at each of its bytes: Shift-Or over the beginnings
/// of all needles at once (Baeza-Yates and Gonnet, "A New Approach to Text Searching", 1992).
///
/// Marker `m` has bit `m % 16`: of those that share one, all are kept if any may be there.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
pub struct NeedleGate {
    /// For each byte, from the lowest 16 bits on, a 0 for the needles whose first byte it may be, whose
    /// second, and so on. A needle that is shorter may have any bytes in front.
    pub bytes: [u64; 256],
    /// The markers that have a needle.
    pub needles: MarkerSet,
    /// Those for which the first of [`NEEDLE_REACHES`] is not far enough, and those for which the second
    /// is not.
    pub beyond: [MarkerSet; 2],
}

impl NeedleGate {
    /// Of no markers.
    pub const EMPTY: Self = Self {
        bytes: [u64::MAX; 256],
        needles: MarkerSet([0; MARKERS_MAX / 64]),
        beyond: [MarkerSet([0; MARKERS_MAX / 64]); 2],
    };
    /// Bits of a byte's place in a beginning.
    pub const LANE: u32 = 16;

    /// Puts a marker's needle in, if it has one.
    pub fn insert(&mut self, number: u8, marker: &Marker) {
        let length = usize::from(marker.find_length);
        if length == 0 {
            return;
        }
        self.needles.insert(number);
        let reach = u64::from(marker.find_within) + NEEDLE_START as u64 - 1;
        for (near, beyond) in NEEDLE_REACHES.into_iter().zip(&mut self.beyond) {
            if reach > near {
                beyond.insert(number);
            }
        }
        // The needle's last byte is its record's last; of one that is shorter than its start, it is the
        // start's last.
        let start = NEEDLE_MAX - length.clamp(NEEDLE_START, NEEDLE_MAX);
        for (byte, needles) in (0_u64..).zip(&mut self.bytes) {
            let lanes = (0..u64::BITS).step_by(Self::LANE as usize);
            for (lane, place) in lanes.zip(start..) {
                let cell = marker.needle.get(place / 8).copied().unwrap_or_default();
                let shift = 8 * (place % 8);
                if cell.difference(byte << shift) >> shift & 0xff == 0 {
                    *needles &= !(1 << (lane + u32::from(number) % Self::LANE));
                }
            }
        }
    }

    /// How far is to be looked for the needles of some markers together; `None` where that is not worth
    /// it, for a single one is as well looked for by itself.
    #[inline(always)]
    pub const fn reach(&self, markers: MarkerSet) -> Option<u64> {
        let sought = markers.and(&self.needles);
        if sought.without_lowest().is_empty() {
            return None;
        }
        let ([beyond_one, beyond_two], [one, two, all]) = (&self.beyond, NEEDLE_REACHES);
        Some(if sought.and(beyond_one).is_empty() {
            one
        } else if sought.and(beyond_two).is_empty() {
            two
        } else {
            all
        })
    }

    /// What is left of some markers, if of all needles only these may be there.
    #[inline(always)]
    pub fn left(&self, markers: MarkerSet, there: u16) -> MarkerSet {
        let there = u64::from(there) * 0x0001_0001_0001_0001;
        let [a, b, c, d] = self.needles.0;
        markers.and(&MarkerSet([!a | there, !b | there, !c | there, !d | there]))
    }

    /// The needles that a byte can't be a part of, as their first byte, their second, and so on.
    #[inline(always)]
    pub fn not_of(&self, byte: u8) -> u64 {
        // Every byte has an entry.
        self.bytes.get(usize::from(byte)).copied().unwrap_or(0)
    }
}

/// Eight bytes, as a little-endian number, and which of their bits matter.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Pod, Zeroable)]
pub struct Masked {
    /// The bits as they have to be; 0 where the mask is 0.
    pub value: u64,
    /// The bits that matter.
    pub mask: u64,
}

impl Masked {
    /// The bits of a word that are not as they have to be.
    #[inline(always)]
    pub const fn difference(self, word: u64) -> u64 {
        (word ^ self.value) & self.mask
    }
}

/// A range of ports.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Pod, Zeroable)]
pub struct PortSpan {
    /// The first.
    pub first: u16,
    /// How many more there are.
    pub more: u16,
}

impl PortSpan {
    /// How far the range goes on behind a port; negative if the port is not in it. Arithmetic, for a
    /// branch doubles the ways that the verifier walks.
    #[inline(always)]
    pub const fn room(self, port: u16) -> i64 {
        self.more as i64 - port.wrapping_sub(self.first) as i64
    }
}

/// A marker, but for the bytes that the sets know. One entry a half, transport and number, at
/// [`Marker::index`]; of two that fit the one with the lower number counts.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
pub struct Marker {
    /// The payload's bytes from [`MARKER_HEAD`] on.
    pub pattern: [Masked; (PATTERN_MAX - MARKER_HEAD) / 8],
    /// The needle, zeros in front: the last word has its last bytes.
    pub needle: [Masked; NEEDLE_MAX / 8],
    /// The payload's last bytes.
    pub last: Masked,
    /// Ports that [`Marker::PORTS_ONLY`] or [`Marker::PORTS_NOT`] speak of. Unused ones repeat the
    /// first.
    pub ports: [PortSpan; MARKER_PORTS_MAX],
    /// What the length field does not count, in bytes.
    pub length_plus: i32,
    /// Where the length field lies in the payload.
    pub length_at: u16,
    /// The shortest payload, in bytes. At least as long as pattern, length field and last bytes.
    pub shortest: u16,
    /// The longest payload, in bytes.
    pub longest: u16,
    /// The first offset at which the needle may begin.
    pub find_from: u16,
    /// The offset behind the last one at which the needle may begin.
    pub find_within: u16,
    /// The service that it tells, 1 to 511.
    pub service: u16,
    /// The service whose flows alone are looked into, packet by packet; 0 for all flows.
    pub within: u16,
    /// [`Marker::UNCERTAIN`] and the like.
    pub flags: u16,
    /// Bytes of the length field, 1 to 4; 0 for none.
    pub length_size: u8,
    /// Bytes of the needle; 0 for none.
    pub find_length: u8,
    /// Bytes of the payload that `pattern` and the sets speak of.
    pub reach: u8,
    /// Zero.
    pub reserved: u8,
}

impl Marker {
    /// Counts, but may not drop.
    pub const UNCERTAIN: u16 = 1;
    /// The length field has its lowest byte first.
    pub const LENGTH_LITTLE: u16 = 2;
    /// What the length field says may be less than what is there.
    pub const LENGTH_FITS: u16 = 4;
    /// Only if one end's port is in `ports`.
    pub const PORTS_ONLY: u16 = 8;
    /// Not if one end's port is in `ports`.
    pub const PORTS_NOT: u16 = 16;

    /// Entries of both halves.
    pub const LEN: usize = MarkerSets::LEN * MARKERS_MAX;

    /// Where a marker lies; below [`Marker::LEN`].
    #[inline(always)]
    pub const fn index(half: Half, transport: Transport, number: u8) -> u32 {
        MarkerSets::index(half, transport) << 8 | number as u32
    }

    /// Whether all of the flags are set.
    #[inline(always)]
    pub const fn has(&self, flags: u16) -> bool {
        self.flags & flags == flags
    }
}

const _: () = {
    assert!(size_of::<NeedleGate>() == 256 * 8 + 3 * 32);
    assert!(NeedleGate::LANE as usize * NEEDLE_START == u64::BITS as usize);
    assert!(size_of::<MarkerSets>() == 10 * 256 * 32 + size_of::<NeedleGate>());
    assert!(size_of::<Marker>() == 208);
    assert!(WINDOW_MAX / SEARCH_SLICE <= MARKER_STEPS_MAX);
};
