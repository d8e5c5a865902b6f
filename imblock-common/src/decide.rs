//! What becomes of an identified packet: the group's action for the service, and the guard.

use crate::layout::{Control, PortEntry};
use crate::orient::Side;
use crate::{Packet, Reply, Sighting, Tables};

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
    /// Drop, and tell the local host at once that nothing will come of it: see [`crate::reject`].
    Reject = 3,
    /// Let pass at a rate, and drop what is more: see [`crate::limit`].
    Limit = 4,
}

impl Action {
    /// Every action.
    pub const ALL: [Self; 5] = [
        Self::Allow,
        Self::Count,
        Self::Drop,
        Self::Reject,
        Self::Limit,
    ];

    /// From a nibble of an [`crate::layout::ActionCell`]. A number from nowhere lets pass.
    #[inline(always)]
    pub const fn from_number(number: u8) -> Self {
        match number {
            1 => Self::Count,
            2 => Self::Drop,
            3 => Self::Reject,
            4 => Self::Limit,
            _ => Self::Allow,
        }
    }

    /// Whether packets are kept from going on.
    #[inline(always)]
    pub const fn refuses(self) -> bool {
        matches!(self, Self::Drop | Self::Reject)
    }

    /// The word for it in policies, output and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Count => "count",
            Self::Drop => "drop",
            Self::Reject => "reject",
            Self::Limit => "limit",
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
    /// Dropped, and answered where that is possible: see [`crate::reject`].
    Rejected = 4,
    /// Dropped, because it was over the limit. What is within is [`Verdict::Counted`].
    Limited = 5,
}

impl Verdict {
    /// Every verdict, in the order of the slots.
    pub const ALL: [Self; 6] = [
        Self::Allowed,
        Self::Counted,
        Self::Dropped,
        Self::Guarded,
        Self::Rejected,
        Self::Limited,
    ];

    /// From a slot of the service totals. A number from nowhere lets pass.
    #[inline(always)]
    pub const fn from_slot(slot: u64) -> Self {
        match slot {
            1 => Self::Counted,
            2 => Self::Dropped,
            3 => Self::Guarded,
            4 => Self::Rejected,
            5 => Self::Limited,
            _ => Self::Allowed,
        }
    }

    /// Whether the packet goes on.
    #[inline(always)]
    pub const fn passes(self) -> bool {
        !matches!(self, Self::Dropped | Self::Rejected | Self::Limited)
    }

    /// The word for it in output and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Counted => "counted",
            Self::Dropped => "dropped",
            Self::Guarded => "guarded",
            Self::Rejected => "rejected",
            Self::Limited => "limited",
        }
    }
}

/// What the policy wants done: what the local host's group does with the service; and that group.
#[inline(always)]
pub(crate) fn wanted<P: Packet, T: Tables>(
    packet: P,
    about: &Sighting,
    told: Reply,
    tables: T,
) -> (Action, u16) {
    if !told.names_service() {
        return (Action::Allow, 0);
    }
    // Forgotten, so that the verifier walks what follows once, and not once for each way to a group.
    let group = packet.forget_word(u32::from(group(packet, about, tables)));
    let group = (group & 0xffff) as u16;
    let action = match tables.action(about.policy().half, group, told.service()) {
        // What is only likely is watched, until the operator's word makes it certain.
        action if (action.refuses() || action == Action::Limit) && !told.is_certain() => {
            Action::Count
        }
        action => action,
    };
    (action, group)
}

/// The local host's group. Its hardware address counts before its prefix: who names one means that
/// device, whatever address it has today. Towards the world there is none of the host's on the link,
/// only the next router's.
#[inline(always)]
fn group<P: Packet, T: Tables>(packet: P, about: &Sighting, tables: T) -> u16 {
    let policy = about.policy();
    if policy.flags & Control::HAS_MACS != 0
        && matches!(about.side(), Side::Lan)
        && let Some(address) = packet.hardware_address(about.direction())
    {
        let group = tables.mac(policy.half, address);
        if group != 0 {
            return group;
        }
    }
    if policy.flags & Control::HAS_GROUPS == 0 {
        return 0;
    }
    tables.host(policy.half, &about.key.local()).group
}

/// What becomes of it: asks the guard before anything is refused. `is_within` says whether there is
/// room for it within the limit, and takes it.
#[inline(always)]
pub(crate) fn decide<T: Tables>(
    about: &Sighting,
    wanted: Action,
    is_within: impl FnOnce() -> bool,
    tables: T,
) -> Verdict {
    let wanted = match wanted {
        Action::Limit if is_within() => Action::Count,
        wanted => wanted,
    };
    // Asked once for all that is refused: the verifier would walk it once for each action.
    let is_over = wanted == Action::Limit;
    if (wanted.refuses() || is_over) && guarded(about, tables) {
        return Verdict::Guarded;
    }
    match wanted {
        Action::Allow => Verdict::Allowed,
        Action::Count => Verdict::Counted,
        Action::Drop => Verdict::Dropped,
        // It ends a connection, which is what both ends are to be told.
        Action::Reject if about.resets() => Verdict::Counted,
        Action::Reject => Verdict::Rejected,
        Action::Limit => Verdict::Limited,
    }
}

/// The same, where an action that refuses is all that there is to decide about.
#[inline(always)]
pub(crate) fn refuse<T: Tables>(about: &Sighting, action: Action, tables: T) -> Verdict {
    if guarded(about, tables) {
        Verdict::Guarded
    } else if action == Action::Reject {
        Verdict::Rejected
    } else {
        Verdict::Dropped
    }
}

/// Whether a packet may not be dropped whatever the rules say. Everything that is neither TCP nor
/// UDP (ARP, neighbour discovery, ICMP) never comes this far.
#[inline(always)]
fn guarded<T: Tables>(about: &Sighting, tables: T) -> bool {
    let remote_port = about.remote_port();
    if about.is_dhcp() || remote_port.is_protected() {
        return true;
    }
    let policy = about.policy();
    // Towards the world the box and its hosts are the servers: there the protected port is at the
    // local end. On the LAN it is not asked, or a client could buy its way out by its source port.
    let local_port = match about.side() {
        Side::Wan => {
            let transport = about.key.transport();
            tables.port(policy.half, transport, about.key.local_port())
        }
        Side::Lan => PortEntry::default(),
    };
    if local_port.is_protected() {
        return true;
    }
    let management = remote_port.is_management() || local_port.is_management();
    if !management && policy.flags & Control::HAS_PROTECTED_HOSTS == 0 {
        return false;
    }
    let local = tables.host(policy.half, &about.key.local());
    let remote = tables.host(policy.half, &about.key.remote());
    local.is_protected()
        || remote.is_protected()
        || (remote_port.is_management() && remote.is_own())
        || (local_port.is_management() && local.is_own())
}
