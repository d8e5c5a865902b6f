//! The flow table: which flows were seen, and which service the told ones belong to.
//!
//! Two flat tables that both homes share. The **cells**, one word a flow, eight to a bucket of one
//! cache line, say how young a flow is and who began it; they are the cheap filter, for a flow that
//! nothing was found in has a cell, in either of two buckets, and nothing else. The **entries**, one
//! cache line for each cell, hold the exact key and the verdict of those flows that were told or are
//! being watched.
//!
//! A new flow takes a free cell of its two buckets, else one that was idle for long, else that of the
//! nothing-found flow that was silent longest; only a flow that was told may push out another that
//! was told. So a flood of new flows never makes the table forget a verdict.
//!
//! Both directions have one key, and all CPUs share the table without a lock. An entry is written
//! before its cell says that it is there, and is believed only if its key is the packet's, so a race
//! can cost a verdict for a packet or two (the flow is looked at again) but never lends a flow
//! another one's. A hash map of the kernel would be as safe and cost three times as much a lookup.

mod cell;
mod entry;
mod key;

use core::sync::atomic::{Ordering, compiler_fence};

use bytemuck::{Pod, Zeroable};

use crate::Direction;
use crate::identify::rtp::RtpTrace;

pub use cell::{Cell, Initiator};
pub use entry::{FlowEntry, FlowState};
pub use key::FlowKey;

/// Cells of a bucket: a cache line of them.
pub const WAYS: u32 = 8;

/// How many payloads of each end are looked into. After that, a flow is what it is.
pub const EARLY: u8 = 6;

/// After so many seconds a silent flow is forgotten: what RFC 4787 section 4.3 and RFC 5382 section 5
/// grant a silent flow at the least is shorter for UDP and longer for TCP. A TCP flow that was told by what
/// it said is known for longer, as long as nobody needs its place.
pub const FLOW_IDLE_SECONDS: u32 = 300;

/// [`FLOW_IDLE_SECONDS`] in units of the flow table's clock: less than 600, of 65,536 that it tells apart.
pub const fn flow_idle(ticks_per_second: u32) -> u32 {
    FLOW_IDLE_SECONDS.saturating_mul(ticks_per_second) >> flow_clock_shift(ticks_per_second)
}

/// The power of two whose ticks make the unit of the flow table's clock: of those that make no more than
/// a second, the largest. A unit is half a second at 250 ticks a second, and 1 at 1,024.
pub const fn flow_clock_shift(ticks_per_second: u32) -> u32 {
    match ticks_per_second {
        0 => 0,
        ticks => ticks.ilog2(),
    }
}

/// The most flows that a table has room for.
pub const FLOWS_MAX: u32 = 1 << 22;

/// Cells of a table with room for so many flows: a power of two, at least a bucket; none for none.
pub const fn cells_for(flows: u32) -> u32 {
    if flows == 0 {
        0
    } else if flows >= FLOWS_MAX {
        FLOWS_MAX
    } else if flows < WAYS {
        WAYS
    } else {
        flows.next_power_of_two()
    }
}

/// The cells of a bucket: one cache line.
#[repr(C, align(64))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Pod, Zeroable)]
pub struct Bucket(pub [u64; WAYS as usize]);

impl Bucket {
    /// The cell of a way, of which the lowest bits count.
    #[inline(always)]
    fn at(&self, way: u32) -> u64 {
        let cell = self.0.get((way & (WAYS - 1)) as usize);
        cell.copied().unwrap_or(Cell::NOBODYS.0)
    }
}

/// The size of a table, its seed and its clock.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// Cells: a power of two, at least [`WAYS`]; 0 for no table.
    pub cells: u32,
    /// Mixed into the hash.
    pub seed: u32,
    /// The cheap clock, in units of [`flow_clock_shift`] that wrap.
    pub now: u16,
    /// After so many units of silence a flow is forgotten.
    pub idle: u16,
}

/// What a cell is wanted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Claim {
    /// A new flow, of which nothing is known.
    New = 0,
    /// A flow that was told: it may push out another one that was.
    Told = 1,
}

/// The tables, all CPUs' in common.
pub trait Slots: Copy {
    /// Hands a bucket to `visit`. `None` when there is no such bucket.
    fn bucket<R>(self, number: u32, visit: impl FnOnce(&mut Bucket) -> R) -> Option<R>;

    /// Hands an entry to `visit`, by its own number. `None` when there is no such entry.
    fn entry<R>(self, number: u32, visit: impl FnOnce(&mut FlowEntry) -> R) -> Option<R>;

    /// Number of the cell that a new flow gets; [`NOWHERE`] if there is none. A function of its own
    /// in the kernel.
    #[inline(always)]
    fn claim(self, hash: u64, shape: Shape, why: Claim) -> u32 {
        claim(self, hash, shape, why)
    }

    /// See [`crate::Bytes::forget_word`].
    #[inline(always)]
    fn forget_word(self, number: u32) -> u32 {
        number
    }

    /// See [`crate::Bytes::forget`].
    #[inline(always)]
    fn forget(self, number: u64) -> u64 {
        number
    }
}

/// The number of no cell.
pub const NOWHERE: u32 = u32::MAX;

/// Where a flow is in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Number of its cell, or [`NOWHERE`].
    pub number: u32,
    /// What the cell says; all zero for none.
    pub cell: Cell,
}

impl Place {
    const NOWHERE: Self = Self {
        number: NOWHERE,
        cell: Cell::NOBODYS,
    };

    /// Whether the flow has no cell.
    #[inline(always)]
    pub const fn is_nowhere(&self) -> bool {
        self.number == NOWHERE
    }
}

impl Shape {
    #[inline(always)]
    const fn buckets(self) -> u32 {
        self.cells / WAYS
    }

    /// The bucket of a hash.
    #[inline(always)]
    const fn bucket(self, hash: u64) -> u32 {
        // The upper half is the tag.
        (hash & 0xffff_ffff) as u32 & self.buckets().wrapping_sub(1)
    }

    /// The other bucket that a flow may lie in, the one beside its own: of two that are neighbours, and
    /// mostly on one page, both are full far less often than a single one.
    #[inline(always)]
    const fn beside(self, bucket: u32) -> u32 {
        (bucket ^ 1) & self.buckets().wrapping_sub(1)
    }

    /// The number of the entry of a cell. Entries of one way lie side by side: most flows have the first
    /// ones, and so share pages, and use all sets of a cache.
    #[inline(always)]
    pub(crate) const fn entry(self, number: u32) -> u32 {
        let (bucket, way) = place(number);
        way.wrapping_mul(self.buckets()).wrapping_add(bucket)
    }
}

/// Where a cell's number has its way; below lies the number of its bucket.
const WAY_SHIFT: u32 = 24;

const _: () = assert!(FLOWS_MAX / WAYS <= 1 << WAY_SHIFT);

/// The number of a cell.
#[inline(always)]
const fn number(bucket: u32, way: u32) -> u32 {
    way << WAY_SHIFT | bucket
}

/// The bucket and the way of a cell's number.
#[inline(always)]
const fn place(number: u32) -> (u32, u32) {
    (number & !(u32::MAX << WAY_SHIFT), number >> WAY_SHIFT)
}

/// Looks a flow up by its hash. Whoever makes use of an entry compares the key as well.
#[inline(always)]
pub fn find<S: Slots>(slots: S, hash: u64, shape: Shape) -> Place {
    let mut first = shape.bucket(hash);
    let mut tries = 0;
    while tries < 2 {
        let found = slots.bucket(first, |bucket| {
            let mut found = WAYS;
            for way in 0..WAYS {
                if Cell(bucket.at(way)).is_of(hash) {
                    found = way;
                    break;
                }
            }
            // Forgotten, lest the verifier walk all that follows once for each way.
            let way = slots.forget_word(found);
            if way < WAYS {
                let place = Place {
                    number: number(first, way),
                    cell: Cell(bucket.at(way)),
                };
                return Some(place);
            }
            // Cells are never given back, and the last one is taken last.
            let is_full = Cell(bucket.at(WAYS - 1)) != Cell::NOBODYS;
            (!is_full).then_some(Place::NOWHERE)
        });
        match found {
            Some(Some(place)) => return place,
            Some(None) | None => first = shape.beside(first),
        }
        tries += 1;
    }
    Place::NOWHERE
}

/// See [`Slots::claim`].
#[inline(always)]
pub fn claim<S: Slots>(slots: S, hash: u64, shape: Shape, why: Claim) -> u32 {
    let own = shape.bucket(hash);
    let (mut best, mut found) = (0, NOWHERE);
    for first in [own, shape.beside(own)] {
        let free = slots.bucket(first, |bucket| {
            for (way, cell) in (0..).zip(bucket.0) {
                // Nothing is worth more, and most buckets have one among their first.
                if Cell(cell) == Cell::NOBODYS {
                    return number(first, way);
                }
                let worth = Cell(cell).worth(shape, why);
                // The first of equals.
                if worth > best {
                    (best, found) = (worth, number(first, way));
                }
            }
            NOWHERE
        });
        match free {
            None | Some(NOWHERE) => {}
            Some(number) => return number,
        }
    }
    found
}

/// Writes a cell. Numbers from nowhere are ignored.
#[inline(always)]
pub fn store<S: Slots>(slots: S, number: u32, cell: Cell) {
    let (bucket, way) = place(number);
    let _ = slots.bucket(bucket, |bucket| {
        if let Some(slot) = bucket.0.get_mut((way & (WAYS - 1)) as usize) {
            *slot = cell.0;
        }
    });
}

/// Writes down what is known of a flow. Its cell says that it is held only afterwards.
#[inline(always)]
pub fn hold<S: Slots>(slots: S, shape: Shape, number: u32, key: &FlowKey, state: FlowState) {
    let _ = slots.entry(shape.entry(number), |entry| {
        entry.begin(key);
        compiler_fence(Ordering::SeqCst);
        entry.state = state.0;
    });
}

/// What was seen of RTP in a direction of a held flow; nothing yet if the entry is another flow's.
#[inline(always)]
pub fn trace<S: Slots>(
    slots: S,
    shape: Shape,
    number: u32,
    key: &FlowKey,
    direction: Direction,
) -> RtpTrace {
    let trace = slots.entry(shape.entry(number), |entry| {
        if entry.key == *key {
            let [sent, received] = entry.rtp;
            match direction {
                Direction::Sent => sent,
                Direction::Received => received,
            }
        } else {
            RtpTrace::default()
        }
    });
    trace.unwrap_or_default()
}

/// Writes down what was seen of RTP in a direction, in an entry that [`attend`] gave to the flow.
#[inline(always)]
pub fn watch<S: Slots>(slots: S, shape: Shape, number: u32, direction: Direction, trace: RtpTrace) {
    let _ = slots.entry(shape.entry(number), |entry| {
        let [sent, received] = &mut entry.rtp;
        match direction {
            Direction::Sent => *sent = trace,
            Direction::Received => *received = trace,
        }
    });
}

/// Gives a flow an entry to which somebody may write what it is. One that it holds stays as it is;
/// what else lies there, were it of the same key, is of a flow that has ended.
#[inline(always)]
pub fn attend<S: Slots>(slots: S, shape: Shape, number: u32, key: &FlowKey, is_held: bool) {
    let _ = slots.entry(shape.entry(number), |entry| {
        if !is_held || entry.key != *key {
            entry.begin(key);
        }
    });
}

/// The state of a held flow; nothing is known if the entry is another flow's.
#[inline(always)]
pub fn state<S: Slots>(slots: S, shape: Shape, number: u32, key: &FlowKey) -> FlowState {
    let state = slots.entry(shape.entry(number), |entry| {
        if entry.key == *key {
            entry.state
        } else {
            FlowState::WATCHED.0
        }
    });
    FlowState(state.unwrap_or(FlowState::WATCHED.0))
}
