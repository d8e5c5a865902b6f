//! What becomes of an identified packet: the group's action for the service, and the guard.

use crate::layout::{Control, HostEntry};
use crate::orient::Side;
use crate::tables::LivePolicy;
use crate::{Ends, Identified, Segment, Tables, Transport};

/// What a policy says about a service. The numbers are the nibbles of
/// [`crate::layout::ActionCell`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Action {
    /// Let pass, on purpose. Counted all the same.
    Allow = 0,
    /// Let pass and watch.
    Count = 1,
    /// Drop in silence.
    Drop = 2,
}

impl Action {
    /// Every action.
    pub const ALL: [Self; 3] = [Self::Allow, Self::Count, Self::Drop];

    /// From a nibble of an [`crate::layout::ActionCell`]. A number from nowhere lets pass.
    #[inline(always)]
    pub const fn from_number(number: u8) -> Self {
        match number {
            1 => Self::Count,
            2 => Self::Drop,
            _ => Self::Allow,
        }
    }

    /// The word for it in policies, output and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Count => "count",
            Self::Drop => "drop",
        }
    }
}

/// What became of an identified packet. The numbers are slots of the service totals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Verdict {
    /// Passed, because the policy allows the service.
    Allowed = 0,
    /// Passed, watched.
    Counted = 1,
    /// Dropped.
    Dropped = 2,
    /// Passed although the policy says otherwise: the guard holds its hand over it.
    Guarded = 3,
}

impl Verdict {
    /// Every verdict, in the order of the slots.
    pub const ALL: [Self; 4] = [Self::Allowed, Self::Counted, Self::Dropped, Self::Guarded];

    /// Whether the packet goes on.
    #[inline(always)]
    pub const fn passes(self) -> bool {
        !matches!(self, Self::Dropped)
    }

    /// The word for it in output and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Counted => "counted",
            Self::Dropped => "dropped",
            Self::Guarded => "guarded",
        }
    }
}

/// Looks up what the local host's group does with the service, and asks the guard before a drop.
#[inline(always)]
pub(crate) fn decide<T: Tables>(
    segment: &Segment,
    ends: &Ends,
    identified: Identified,
    policy: LivePolicy,
    tables: T,
) -> Verdict {
    let local = if policy.flags & Control::HAS_GROUPS != 0 {
        tables.host(policy.half, &ends.local)
    } else {
        HostEntry::default()
    };
    match tables.action(policy.half, local.group, identified.service) {
        Action::Allow => Verdict::Allowed,
        Action::Count => Verdict::Counted,
        Action::Drop if guarded(segment, ends, identified, policy, tables) => Verdict::Guarded,
        Action::Drop => Verdict::Dropped,
    }
}

/// Whether a packet may not be dropped whatever the rules say. Everything that is neither TCP nor
/// UDP (ARP, neighbour discovery, ICMP) never comes this far.
#[inline(always)]
fn guarded<T: Tables>(
    segment: &Segment,
    ends: &Ends,
    identified: Identified,
    policy: LivePolicy,
    tables: T,
) -> bool {
    if is_dhcp(segment) || identified.remote_port.is_protected() {
        return true;
    }
    // Towards the world the box and its hosts are the servers: there the protected port is at the
    // local end. On the LAN it is not asked, or a client could buy its way out by its source port.
    let local_port = match ends.side {
        Side::Wan => tables.port(policy.half, segment.transport, ends.local_port),
        Side::Lan => crate::layout::PortEntry::default(),
    };
    if local_port.is_protected() {
        return true;
    }
    let management = identified.remote_port.is_management() || local_port.is_management();
    if !management && policy.flags & Control::HAS_PROTECTED_HOSTS == 0 {
        return false;
    }
    let local = tables.host(policy.half, &ends.local);
    let remote = tables.host(policy.half, &ends.remote);
    local.is_protected()
        || remote.is_protected()
        || (identified.remote_port.is_management() && remote.is_own())
        || (local_port.is_management() && local.is_own())
}

/// DHCP (RFC 2131 section 4.1) and DHCPv6 (RFC 8415 section 7.2): both ports are of the protocol.
#[inline(always)]
fn is_dhcp(segment: &Segment) -> bool {
    let ports = (segment.source_port, segment.destination_port);
    segment.transport == Transport::Udp
        && matches!(ports, (67 | 68, 67 | 68) | (546 | 547, 546 | 547))
}
