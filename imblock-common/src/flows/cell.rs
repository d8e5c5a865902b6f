//! One word about a flow.
//!
//! From the lowest bit: 32 of the hash, 16 of the time when it was last seen, four for the payloads of
//! each end, who began it, and four flags.

use super::{Claim, Shape};
use crate::Direction;

/// Who began a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Initiator {
    /// Nobody saw its beginning.
    Unknown = 0,
    /// The local host.
    Local = 1,
    /// The remote end: what listens is the local host's own.
    Remote = 2,
}

/// One word about a flow. All zero: nobody's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Cell(pub u64);

impl Cell {
    const SEEN_SHIFT: u32 = 32;
    const SENT_SHIFT: u32 = 48;
    const RECEIVED_SHIFT: u32 = 52;
    const INITIATOR_SHIFT: u32 = 56;
    /// An entry of the same number holds the flow's key and state.
    const HELD: u64 = 1 << 58;
    /// The head of the client's stream is being gathered.
    const GATHERING: u64 = 1 << 59;
    /// A LAN side sees what is sent, or by the next bit what is received.
    const ON_LAN_SHIFT: u32 = 60;

    /// The cell of no flow.
    pub const NOBODYS: Self = Self(0);

    /// Of a new flow, seen at a time.
    #[inline(always)]
    pub const fn new(hash: u64, initiator: Initiator, now: u16) -> Self {
        Self(
            Self::tag(hash)
                | (now as u64) << Self::SEEN_SHIFT
                | (initiator as u64) << Self::INITIATOR_SHIFT,
        )
    }

    /// The part of a hash that is compared. Never 0.
    #[inline(always)]
    const fn tag(hash: u64) -> u64 {
        (hash >> 32) | 1
    }

    /// Whether this is the cell of a flow, as far as its hash tells.
    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "the tag is the lower half")]
    pub(super) const fn is_of(self, hash: u64) -> bool {
        self.0 as u32 == Self::tag(hash) as u32
    }

    /// How many payloads an end has sent, up to [`EARLY`].
    #[inline(always)]
    pub const fn payloads(self, direction: Direction) -> u8 {
        let shift = match direction {
            Direction::Sent => Self::SENT_SHIFT,
            Direction::Received => Self::RECEIVED_SHIFT,
        };
        (self.0 >> shift & 0xf) as u8
    }

    /// One payload more.
    #[inline(always)]
    #[must_use]
    pub const fn with_payload(self, direction: Direction) -> Self {
        let shift = match direction {
            Direction::Sent => Self::SENT_SHIFT,
            Direction::Received => Self::RECEIVED_SHIFT,
        };
        Self(self.0.wrapping_add(1 << shift))
    }

    /// One payload less.
    #[inline(always)]
    #[must_use]
    pub(crate) const fn without_payload(self, direction: Direction) -> Self {
        let shift = match direction {
            Direction::Sent => Self::SENT_SHIFT,
            Direction::Received => Self::RECEIVED_SHIFT,
        };
        if self.payloads(direction) == 0 {
            return self;
        }
        Self(self.0.wrapping_sub(1 << shift))
    }

    /// When the flow was last seen.
    #[inline(always)]
    const fn seen(self) -> u16 {
        (self.0 >> Self::SEEN_SHIFT & 0xffff) as u16
    }

    /// The same, seen at another time.
    #[inline(always)]
    #[must_use]
    pub const fn seen_at(self, now: u16) -> Self {
        Self(self.0 & !(0xffff << Self::SEEN_SHIFT) | (now as u64) << Self::SEEN_SHIFT)
    }

    /// Who began the flow.
    #[inline(always)]
    pub const fn initiator(self) -> Initiator {
        match self.0 >> Self::INITIATOR_SHIFT & 3 {
            1 => Initiator::Local,
            2 => Initiator::Remote,
            _ => Initiator::Unknown,
        }
    }

    /// Whether an entry holds the flow's key and state.
    #[inline(always)]
    pub const fn is_held(self) -> bool {
        self.0 & Self::HELD != 0
    }

    /// The same, with an entry.
    #[inline(always)]
    #[must_use]
    pub const fn held(self) -> Self {
        Self(self.0 | Self::HELD)
    }

    /// Whether the head of the client's stream is being gathered.
    #[inline(always)]
    pub const fn is_gathering(self) -> bool {
        self.0 & Self::GATHERING != 0
    }

    /// The same, gathering or not.
    #[inline(always)]
    #[must_use]
    pub const fn gathering(self, gathering: bool) -> Self {
        if gathering {
            Self(self.0 | Self::GATHERING)
        } else {
            Self(self.0 & !Self::GATHERING)
        }
    }

    /// Whether a LAN side sees a direction of the flow: a WAN side that does so, too, sees the same payloads.
    #[inline(always)]
    pub const fn is_on_lan(self, direction: Direction) -> bool {
        self.0 & Self::on_lan_bit(direction) != 0
    }

    /// The same, seen on a LAN side.
    #[inline(always)]
    #[must_use]
    pub const fn on_lan(self, direction: Direction) -> Self {
        Self(self.0 | Self::on_lan_bit(direction))
    }

    #[inline(always)]
    const fn on_lan_bit(direction: Direction) -> u64 {
        match direction {
            Direction::Sent => 1 << Self::ON_LAN_SHIFT,
            Direction::Received => 2 << Self::ON_LAN_SHIFT,
        }
    }

    /// Whether the flow was silent for so long that it is another one by now.
    #[inline(always)]
    pub const fn is_stale(self, shape: Shape) -> bool {
        shape.now.wrapping_sub(self.seen()) > shape.idle
    }

    /// Whether the flow was last seen in this unit of the clock.
    #[inline(always)]
    pub(crate) const fn is_fresh(self, shape: Shape) -> bool {
        self.seen() == shape.now
    }

    /// How gladly the cell of another flow is given to a new one: the larger, the better; 0 for never.
    #[inline(always)]
    pub(super) const fn worth(self, shape: Shape, why: Claim) -> u64 {
        let silent = shape.now.wrapping_sub(self.seen());
        if silent > shape.idle {
            3 << 16 | silent as u64
        } else if !self.is_held() {
            2 << 16 | silent as u64
        } else if matches!(why, Claim::Told) {
            1 << 16 | silent as u64
        } else {
            0
        }
    }
}
