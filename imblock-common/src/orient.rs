//! Whose packet it is: which end is the local host, which the remote one.
//!
//! A port tells a service only at the *remote* end, and counters belong to the *local* host, so a
//! client's ephemeral port or a server of one's own is never taken for a messenger.

use crate::{Addr, Segment};

/// Which network an interface leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// The hosts that are policed and counted.
    Lan,
    /// The rest of the world.
    Wan,
}

/// Where on an interface a frame is seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Hook {
    /// XDP: the frame enters the box.
    Ingress,
    /// TC egress: the frame leaves the box.
    Egress,
}

/// The direction of a packet, as its local host sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Direction {
    /// From the local host.
    Sent = 0,
    /// Towards the local host.
    Received = 1,
}

/// The place a frame is seen from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct View {
    /// The side of the interface.
    pub side: Side,
    /// The hook on the interface.
    pub hook: Hook,
}

impl View {
    /// What enters from the local hosts.
    pub const LAN_INGRESS: Self = Self::new(Side::Lan, Hook::Ingress);
    /// What leaves to the local hosts.
    pub const LAN_EGRESS: Self = Self::new(Side::Lan, Hook::Egress);
    /// What enters from the world.
    pub const WAN_INGRESS: Self = Self::new(Side::Wan, Hook::Ingress);
    /// What leaves to the world.
    pub const WAN_EGRESS: Self = Self::new(Side::Wan, Hook::Egress);

    /// Every view; its position is [`View::index`].
    pub const ALL: [Self; 4] = [
        Self::LAN_INGRESS,
        Self::LAN_EGRESS,
        Self::WAN_INGRESS,
        Self::WAN_EGRESS,
    ];

    const fn new(side: Side, hook: Hook) -> Self {
        Self { side, hook }
    }

    /// The view from which packets of a side go in a direction.
    #[inline(always)]
    pub const fn of(side: Side, direction: Direction) -> Self {
        match (side, direction) {
            (Side::Lan, Direction::Sent) => Self::LAN_INGRESS,
            (Side::Lan, Direction::Received) => Self::LAN_EGRESS,
            (Side::Wan, Direction::Received) => Self::WAN_INGRESS,
            (Side::Wan, Direction::Sent) => Self::WAN_EGRESS,
        }
    }

    /// Position in [`View::ALL`] and in the frame counters.
    #[inline(always)]
    pub const fn index(self) -> u32 {
        match (self.side, self.hook) {
            (Side::Lan, Hook::Ingress) => 0,
            (Side::Lan, Hook::Egress) => 1,
            (Side::Wan, Hook::Ingress) => 2,
            (Side::Wan, Hook::Egress) => 3,
        }
    }

    /// The direction of every packet seen from here: what enters from the LAN or leaves to the WAN
    /// was sent by a local host.
    #[inline(always)]
    pub const fn direction(self) -> Direction {
        match (self.side, self.hook) {
            (Side::Lan, Hook::Ingress) | (Side::Wan, Hook::Egress) => Direction::Sent,
            (Side::Lan, Hook::Egress) | (Side::Wan, Hook::Ingress) => Direction::Received,
        }
    }
}

/// A segment's two ends, told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends {
    /// The host that is policed and counted.
    pub local: Addr,
    /// The port at the local host.
    pub local_port: u16,
    /// The peer.
    pub remote: Addr,
    /// The port at the peer: what tells a service.
    pub remote_port: u16,
    /// Which of the two sent it.
    pub direction: Direction,
    /// Which network the frame was seen on.
    pub side: Side,
}

/// Tells the local host from the remote one.
#[inline(always)]
pub fn orient(segment: &Segment, view: View) -> Ends {
    let direction = view.direction();
    match direction {
        Direction::Sent => Ends {
            local: segment.source,
            local_port: segment.source_port,
            remote: segment.destination,
            remote_port: segment.destination_port,
            direction,
            side: view.side,
        },
        Direction::Received => Ends {
            local: segment.destination,
            local_port: segment.destination_port,
            remote: segment.source,
            remote_port: segment.source_port,
            direction,
            side: view.side,
        },
    }
}
