//! What a policy compiles to: the exact contents of the tables, as plain data that can be printed,
//! compared, hashed, loaded into the kernel, or held in memory for a replay.

pub(crate) mod action_name;
mod evidence;
mod instant;
mod lists;

use std::fmt;

use imblock_common::layout::{
    ActionRow, Control, Generics, HopRule, HostEntry, Inside, PortEntry, PortTable, Rate,
    ServiceSet,
};
use imblock_common::{Action, Side, Transport};
use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::mac::Mac;
use super::selector::SelectorError;
use super::timetable::Timetable;

pub use evidence::{MarkerPlan, MarkerPlans, NameKind, NamePlan, StunPlan, stun_table};
pub use lists::{ports_by_service, select};

/// Name of group number 0: every host that no group claims.
pub const EVERYONE: &str = "everyone";

/// The tables of one policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The policy's name.
    pub name: String,
    /// Where to attach; may be empty, when the command line says where.
    pub interfaces: Vec<InterfacePlan>,
    /// Sizes of the tables that hosts fill.
    pub limits: Limits,
    /// Every service that is known, by ascending number.
    pub services: Vec<ServicePlan>,
    /// Names of the groups; the position is the number, [`EVERYONE`] is first.
    pub groups: Vec<String>,
    /// What each remote port tells.
    pub ports: Box<PortTable>,
    /// What each group does with each service; one row a group.
    pub actions: Vec<ActionRow>,
    /// The rates that `rate_rows` number; the first is none. Empty where nothing is limited.
    pub rates: Vec<Rate>,
    /// The number of each cell's rate, rows as in `actions`. Empty where nothing is limited.
    pub rate_rows: Vec<ActionRow>,
    /// When cells of `actions` end that were set by hand for a time only.
    pub leases: Vec<LeasePlan>,
    /// Where each cell of `actions` that some rule set comes from; anything else comes from
    /// `defaults`.
    pub origins: Vec<CellOrigin>,
    /// What depends on the clock. `actions` and `origins` are of an instant; see [`Plan::move_to`].
    pub timetable: Timetable,
    /// The texts that it was compiled from, the policy's own first; none where nobody knows.
    pub sources: Vec<PlanSource>,
    /// Hosts that belong to a group, are protected, or are the box itself. No prefix twice.
    pub prefixes: Vec<PrefixPlan>,
    /// Hosts that belong to a group by their device, whatever their address. No address twice.
    pub macs: Vec<MacPlan>,
    /// Addresses at which a service lives. No prefix twice.
    pub remotes: Vec<RemotePlan>,
    /// Names that belong to a service. No name twice.
    pub names: Vec<NamePlan>,
    /// Services that stand for a protocol.
    pub generics: Generics,
    /// Services that can be called with.
    pub calls: ServiceSet,
    /// Services in whose flows others travel.
    pub carriers: ServiceSet,
    /// When a host is on its way through the ports of a server, and what is done about it.
    pub hops: HopRule,
    /// What is done about QUIC.
    pub quic: QuicMode,
    /// Payloads that tell a service.
    pub markers: MarkerPlans,
    /// STUN attribute types that tell a service. Where two overlap the first counts.
    pub stun_attributes: Vec<StunPlan>,
    /// What the operator should know: collateral, rules without effect, evidence that is not used.
    pub warnings: Vec<String>,
}

/// An interface, and how to attach to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InterfacePlan {
    /// The interface's name.
    pub name: String,
    /// Which network it leads to.
    #[serde(with = "side_name")]
    pub side: Side,
    /// How XDP attaches.
    pub mode: XdpAttachMode,
    /// Whether what leaves the interface is judged too.
    pub egress: bool,
}

/// How XDP attaches to an interface.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum XdpAttachMode {
    /// In the driver if it can, else in the stack.
    #[default]
    Auto,
    /// In the driver or not at all.
    Native,
    /// In the stack.
    Generic,
}

/// What is done about QUIC, whose handshakes are encrypted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum QuicMode {
    /// Nothing.
    Allow,
    /// Handshakes are refused: clients come back over TCP, where names can be read at once.
    Block,
    /// The controller reads the names in handshakes.
    #[default]
    Inspect,
}

/// Sizes of the tables that hosts fill. They are set when the maps are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// (host, service) pairs with counters of their own, passed and refused traffic apart; what
    /// finds no room, or gives it up, is counted as overflow. Each takes 128 to 256 bytes a CPU, used or not.
    pub hosts: u32,
    /// Prefixes of groups and protected hosts, of both halves together.
    pub prefixes: u32,
    /// Flows that are remembered at the same time; rounded up to a power of two. Each takes 72
    /// bytes, used or not. In a full table a new flow takes the place of the one that was silent
    /// longest, and those in which a service was found stay.
    pub flows: u32,
    /// Prefixes of hosts whose counters have places by address, beside those of `hosts`. Each address takes
    /// 256 bytes a CPU, used or not.
    #[serde(with = "super::inside", default)]
    pub inside: Inside,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            hosts: 16_384,
            prefixes: 262_144,
            flows: 131_072,
            inside: Inside::NONE,
        }
    }
}

/// A service as the tables know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServicePlan {
    /// Its number in every table, 1 to 511; the same for as long as the maps live.
    pub number: u16,
    /// Its id, as people type it.
    pub id: String,
    /// Its name, as people read it.
    pub name: String,
    /// `im`, `voip`, `p2p`, `file-transfer`.
    pub category: String,
    /// Whether it still lives.
    pub historic: bool,
}

/// A cell whose lower half holds until a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeasePlan {
    /// Group number.
    pub group: u16,
    /// Service number.
    pub service: u16,
    /// In seconds since 1970.
    pub until: u64,
}

/// A prefix and what it says of its hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PrefixPlan {
    /// The hosts.
    pub net: IpNet,
    /// Their group and flags, those of wider prefixes included.
    pub entry: HostEntry,
}

/// A device and its group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MacPlan {
    /// Its hardware address.
    pub mac: Mac,
    /// Group number.
    pub group: u16,
}

/// A prefix at which a service lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RemotePlan {
    /// The addresses.
    pub net: IpNet,
    /// Service number.
    pub service: u16,
}

/// Which rule set a cell of the action table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CellOrigin {
    /// Group number.
    pub group: u16,
    /// Service number.
    pub service: u16,
    /// Position of the rule in the policy, from 1.
    pub rule: usize,
    /// File and line of the rule.
    pub place: String,
}

/// A text that a plan was compiled from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanSource {
    /// The file as it was named, or the name of a ready policy.
    pub name: String,
    /// SHA-256 of the text, in hexadecimal.
    pub sha256: String,
}

impl Plan {
    /// [`Control::policy_flags`] that this plan needs.
    pub fn flags(&self) -> u32 {
        let mut flags = 0;
        if self.prefixes.iter().any(|prefix| prefix.entry.group != 0) {
            flags |= Control::HAS_GROUPS;
        }
        if !self.macs.is_empty() {
            flags |= Control::HAS_MACS;
        }
        if self
            .prefixes
            .iter()
            .any(|prefix| prefix.entry.is_protected())
        {
            flags |= Control::HAS_PROTECTED_HOSTS;
        }
        if !self.names.is_empty() {
            flags |= Control::HAS_NAMES;
        }
        if !self.remotes.is_empty() {
            flags |= Control::HAS_REMOTES;
        }
        if !self.markers.tcp.is_empty() || !self.markers.udp.is_empty() {
            flags |= Control::HAS_MARKERS;
        }
        match self.quic {
            QuicMode::Block => flags |= Control::BLOCKS_QUIC,
            // Without names there is nothing to look for.
            QuicMode::Inspect if !self.names.is_empty() => flags |= Control::INSPECTS_QUIC,
            QuicMode::Inspect | QuicMode::Allow => {}
        }
        flags
    }

    /// The service of an id.
    pub fn service(&self, id: &str) -> Option<&ServicePlan> {
        self.services.iter().find(|service| service.id == id)
    }

    /// The number of a group.
    pub fn group(&self, name: &str) -> Option<u16> {
        self.groups
            .iter()
            .position(|group| group == name)
            .and_then(|n| u16::try_from(n).ok())
    }

    /// The services that a selector names; see [`Selector`].
    pub fn select(&self, selector: &str) -> Result<Vec<&ServicePlan>, SelectorError> {
        select(&self.services, selector)
    }

    /// What a remote port tells.
    pub fn port(&self, transport: Transport, port: u16) -> PortEntry {
        let entry = self.ports.0.get(PortTable::index(transport, port));
        PortEntry(entry.copied().unwrap_or_default())
    }
}

impl fmt::Display for XdpAttachMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Native => "native",
            Self::Generic => "generic",
        })
    }
}

/// The word for a side in policies and output.
pub fn side_name(side: Side) -> &'static str {
    match side {
        Side::Lan => "lan",
        Side::Wan => "wan",
    }
}

/// The action that a word in a policy or on the command line means.
pub fn action_from_name(name: &str) -> Option<Action> {
    Action::ALL.into_iter().find(|action| action.name() == name)
}

mod side_name {
    use imblock_common::Side;
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    #[expect(
        clippy::trivially_copy_pass_by_ref,
        reason = "the signature that serde asks for"
    )]
    pub(super) fn serialize<S: Serializer>(side: &Side, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(super::side_name(*side))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Side, D::Error> {
        match String::deserialize(from)?.as_str() {
            "lan" => Ok(Side::Lan),
            "wan" => Ok(Side::Wan),
            other => Err(Error::custom(format!(
                "unknown side `{other}`, expected lan or wan"
            ))),
        }
    }
}
