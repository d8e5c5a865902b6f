//! By what services are told: names, markers and STUN attributes, as the tables have them.

use bytemuck::Zeroable as _;
use imblock_common::Transport;
use imblock_common::layout::{Half, MARKER_HEAD, Marker, NameKey, StunAttributes};

use crate::policy::marker::MarkerFrom;
use crate::policy::pattern::ByteSet;

/// What has a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum NameKind {
    /// A host, and with it every host below it.
    Host,
    /// An application protocol (ALPN).
    Protocol,
}

/// The markers of each transport, at most [`imblock_common::layout::MARKERS_MAX`]. The position is
/// the number: of two that fit a packet the first counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MarkerPlans {
    /// Of TCP.
    pub tcp: Vec<MarkerPlan>,
    /// Of UDP.
    pub udp: Vec<MarkerPlan>,
}

/// A marker as the tables have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MarkerPlan {
    /// What each of the payload's first bytes may be.
    pub head: [ByteSet; MARKER_HEAD],
    /// Who sends it.
    pub from: MarkerFrom,
    /// Whether it must be its sender's first payload.
    pub first: bool,
    /// The rest of it.
    pub record: Marker,
}

/// STUN attribute types that tell a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StunPlan {
    /// The first.
    pub first: u16,
    /// The last.
    pub last: u16,
    /// Service number.
    pub service: u16,
    /// Whether they may drop.
    pub certain: bool,
}

/// A name that belongs to a service; that of a host with all names below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamePlan {
    /// Whose name it is.
    pub kind: NameKind,
    /// In lower case, without a dot at either end; a protocol's name as it is.
    pub suffix: String,
    /// Service number.
    pub service: u16,
}

impl NamePlan {
    /// The key in the table of names, and its prefix length. `None` for a name that has no place
    /// there, which no policy can have.
    pub fn key(&self, half: Half) -> Option<(u32, NameKey)> {
        match self.kind {
            NameKind::Host => NameKey::of_suffix(half, &self.suffix),
            NameKind::Protocol => NameKey::of_alpn(half, &self.suffix),
        }
    }
}

impl MarkerPlans {
    /// Those of a transport.
    pub fn of(&self, transport: Transport) -> &[MarkerPlan] {
        match transport {
            Transport::Tcp => &self.tcp,
            Transport::Udp => &self.udp,
        }
    }
}

/// The table of STUN attributes.
pub fn stun_table(plans: &[StunPlan]) -> Box<StunAttributes> {
    let mut table = Box::new(StunAttributes::zeroed());
    // From the last on, so that where two overlap the first counts.
    for plan in plans.iter().rev() {
        for attribute in plan.first..=plan.last {
            table.set(attribute, plan.service, plan.certain);
        }
    }
    table
}
