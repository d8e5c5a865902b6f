//! A small policy that has one of everything the classifier knows, held in plain lists.
//!
//! Its answers come from linear search, so that they owe nothing to the tables of the kernel or of
//! a replay, which are tested against it.

mod lists;
mod memory;

use alloc::string::String;
use alloc::vec::Vec;
use core::net::IpAddr;

use super::NoFlows;
use super::alloc;
use crate::flows;
use crate::layout::{
    Control, Generic, Generics, Half, HopRule, HostEntry, Marker, MarkerSets, NameKey, PortEntry,
    Rate,
};
use crate::stream::Head;
use crate::tables::LivePolicy;
use crate::{Action, Addr, Tables, Transport};
use lists::{hosts, names, remotes, stun};

/// Services of [`World::standard`].
pub mod service {
    /// tcp/6667. Everyone: drop. Support: allow.
    pub const IRC: u16 = 1;
    /// tcp/5222. Everyone: count. Support: drop. Kids: reject.
    pub const XMPP: u16 = 2;
    /// udp/5060. Everyone: allow. Support: count. Kids: drop.
    pub const SIP: u16 = 3;
    /// tcp/5050 and udp/5050. Everyone and support: drop. Kids: count.
    pub const YAHOO: u16 = 4;
    /// The ports of DHCP and DHCPv6, which no sane policy would drop. Everyone: drop.
    pub const BOOT: u16 = 5;
    /// tcp/22, a protected port. Everyone: drop.
    pub const SHELL: u16 = 6;
    /// tcp/9863, a management port. Everyone: drop.
    pub const PANEL: u16 = 7;
    /// tcp/0 and udp/0, the first entries of the port table. Everyone: drop.
    pub const ZERO: u16 = 8;
    /// `whatsapp.com`, `t.me`, and 198.51.100.64/26 with 2001:db8:ffff:64::/64. Everyone: drop.
    /// Support: allow. Kids: count. Also the STUN attributes 0x4000 to 0x4007, and likely 0xff03.
    pub const CHAT: u16 = 9;
    /// `calls.whatsapp.com`, inside what is of chat, and a suffix as long as may be:
    /// [`super::LONGEST_SUFFIX`]. Everyone: count. Support: drop. Kids: allow. Also the STUN attribute
    /// 0x8070.
    pub const CALLS: u16 = 10;
    /// STUN that tells nothing else. Everyone: count.
    pub const STUN: u16 = 11;
    /// RTP that tells nothing else. Everyone: count.
    pub const RTP: u16 = 12;
    /// tcp/65535 and udp/65535, the last entries; itself the last service number. Everyone: drop.
    /// Support: count. Kids: allow.
    pub const LAST: u16 = 511;
}

/// Groups of [`World::standard`].
pub mod group {
    /// Hosts of no group.
    pub const EVERYONE: u16 = 0;
    /// 10.0.5.0/24 and 2001:db8:5::/48, and [`super::SUPPORT_MAC`] anywhere.
    pub const SUPPORT: u16 = 1;
    /// 10.0.5.128/25 and 2001:db8:5:8000::/49, inside those of support, and [`super::KID_MAC`] anywhere.
    pub const KIDS: u16 = 2;
}

/// A suffix that fills a [`NameKey`]: 59 bytes and the dot.
pub const LONGEST_SUFFIX: &str = "a-name-of-fifty-nine-bytes-which-just-fits-into-one.example";

/// A device of the kids.
pub const KID_MAC: [u8; 6] = [0x02, 0, 0, 0xaa, 0xbb, 0xcc];
/// A device of support.
pub const SUPPORT_MAC: [u8; 6] = [0x02, 0, 0, 0xaa, 0xbb, 0xcd];

/// A policy.
#[derive(Clone, Debug, Default)]
pub struct World {
    /// Ports that tell or protect something.
    pub ports: Vec<(Transport, u16, PortEntry)>,
    /// Group, service and action; what is not listed is allowed.
    pub actions: Vec<(u16, u16, Action)>,
    /// Prefixes: address, length in bits, and what they say of their hosts.
    pub hosts: Vec<(IpAddr, u8, HostEntry)>,
    /// Hardware addresses and their groups.
    pub macs: Vec<([u8; 6], u16)>,
    /// Prefixes that services live at: address, length in bits, service.
    pub remotes: Vec<(IpAddr, u8, u16)>,
    /// Name suffixes, in lower case, and their services.
    pub names: Vec<(&'static str, u16)>,
    /// Protocols that TLS clients offer, in lower case, and their services.
    pub protocols: Vec<(&'static str, u16)>,
    /// STUN attribute types, from the first to the last: their service, and whether they are
    /// certain.
    pub stun: Vec<(u16, u16, u16, bool)>,
    /// Services that stand for a protocol.
    pub generics: Generics,
    /// Services that can be called with.
    pub calls: Vec<u16>,
}

impl World {
    /// The policy of the fixtures.
    pub fn standard() -> Self {
        Self {
            ports: ports(),
            actions: actions(),
            hosts: hosts(),
            macs: Vec::from([(KID_MAC, group::KIDS), (SUPPORT_MAC, group::SUPPORT)]),
            remotes: remotes(),
            names: names(),
            protocols: Vec::new(),
            stun: stun(),
            generics: Generics {
                stun: service::STUN,
                rtp: service::RTP,
            },
            calls: Vec::from([service::CHAT, service::CALLS]),
        }
    }

    /// The ports, names and remote prefixes of the standard policy, one action for all, and no groups or protected hosts.
    pub fn uniform(action: Action) -> Self {
        let mut actions = actions();
        actions.retain(|(group, ..)| *group == group::EVERYONE);
        for (.., cell) in &mut actions {
            *cell = action;
        }
        Self {
            ports: ports(),
            actions,
            hosts: Vec::new(),
            macs: Vec::new(),
            remotes: remotes(),
            names: names(),
            protocols: Vec::new(),
            stun: stun(),
            generics: Generics {
                stun: service::STUN,
                rtp: service::RTP,
            },
            calls: Vec::from([service::CHAT, service::CALLS]),
        }
    }

    /// [`Control::policy_flags`] that this policy needs.
    pub fn flags(&self) -> u32 {
        let mut flags = 0;
        if !self.names.is_empty() || !self.protocols.is_empty() {
            flags |= Control::HAS_NAMES;
        }
        if !self.remotes.is_empty() {
            flags |= Control::HAS_REMOTES;
        }
        if !self.macs.is_empty() {
            flags |= Control::HAS_MACS;
        }
        for (.., entry) in &self.hosts {
            if entry.group != group::EVERYONE {
                flags |= Control::HAS_GROUPS;
            }
            if entry.is_protected() {
                flags |= Control::HAS_PROTECTED_HOSTS;
            }
        }
        flags
    }
}

impl Tables for &World {
    fn rate(self, _: Half, _: u16, _: u16) -> Rate {
        Rate::NONE
    }

    fn policy(self) -> LivePolicy {
        LivePolicy {
            half: Half::of_generation(1),
            flags: self.flags(),
        }
    }

    fn port(self, _: Half, transport: Transport, port: u16) -> PortEntry {
        let mut known = self.ports.iter();
        let found = known.find(|(of, number, _)| (*of, *number) == (transport, port));
        found.map_or(PortEntry::default(), |(.., entry)| *entry)
    }

    fn host(self, _: Half, addr: &Addr) -> HostEntry {
        longest(&self.hosts, addr).unwrap_or_default()
    }

    fn may_be_remote(self, half: Half, addr: &Addr) -> bool {
        self.remote(half, addr) != 0
    }

    fn mac(self, _: Half, address: [u8; 6]) -> u16 {
        let mut known = self.macs.iter();
        let found = known.find(|(known, _)| *known == address);
        found.map_or(group::EVERYONE, |(_, group)| *group)
    }

    fn remote(self, _: Half, addr: &Addr) -> u16 {
        longest(&self.remotes, addr).unwrap_or(0)
    }

    fn name(self, key: &NameKey) -> u16 {
        let letters = key.backwards.iter().take_while(|byte| **byte != 0);
        let backwards: Vec<u8> = letters.copied().collect();
        let name: String = backwards.iter().rev().copied().map(char::from).collect();
        let under = |suffix: &str| {
            let before = name.strip_suffix(suffix);
            before.is_some_and(|before| before.ends_with('.'))
        };
        let list = match key.kind {
            NameKey::ALPN => &self.protocols,
            _ => &self.names,
        };
        let known = list.iter().filter(|(suffix, _)| under(suffix));
        let longest = known.max_by_key(|(suffix, _)| suffix.len());
        longest.map_or(0, |(_, service)| *service)
    }

    fn flows(self) -> impl flows::Slots {
        NoFlows
    }

    fn head<R>(self, _: u64, _: impl FnOnce(&mut Head, u32) -> R) -> Option<R> {
        None
    }

    fn flow_shape(self) -> flows::Shape {
        NoFlows::SHAPE
    }

    fn marker_sets<R>(self, _: Half, _: Transport, _: impl FnOnce(&MarkerSets) -> R) -> Option<R> {
        None
    }

    fn marker<R>(self, _: Half, _: Transport, _: u8, _: impl FnOnce(&Marker) -> R) -> Option<R> {
        None
    }

    fn action(self, _: Half, group: u16, service: u16) -> Action {
        let mut known = self.actions.iter();
        let found = known.find(|(of, what, _)| (*of, *what) == (group, service));
        found.map_or(Action::Allow, |(.., action)| *action)
    }

    fn stun_attribute(self, _: Half, attribute: u16) -> (u16, bool) {
        let mut known = self.stun.iter();
        let found = known.find(|(first, last, ..)| (*first..=*last).contains(&attribute));
        found.map_or((0, false), |(.., service, certain)| (*service, *certain))
    }

    fn generic(self, _: Half, generic: Generic) -> u16 {
        self.generics.service(generic)
    }

    fn carries(self, _: Half, _: u16) -> bool {
        false
    }

    fn calls(self, _: Half, service: u16) -> bool {
        self.calls.contains(&service)
    }

    fn hop_rule(self, _: Half) -> HopRule {
        HopRule::COUNT
    }
}

/// What the longest prefix that covers an address says.
fn longest<T: Copy>(prefixes: &[(IpAddr, u8, T)], addr: &Addr) -> Option<T> {
    let covering = prefixes.iter().filter(|(net, bits, _)| {
        let net = Addr::from(*net);
        net.family() == addr.family() && same_prefix(&net, addr, *bits)
    });
    let longest = covering.max_by_key(|(_, bits, _)| *bits);
    longest.map(|(.., said)| *said)
}

fn same_prefix(one: &Addr, other: &Addr, bits: u8) -> bool {
    let differing = u128::from_be_bytes(one.octets()) ^ u128::from_be_bytes(other.octets());
    differing.leading_zeros() >= u32::from(bits)
}

fn ports() -> Vec<(Transport, u16, PortEntry)> {
    use Transport::{Tcp, Udp};
    let boot = PortEntry::of(service::BOOT);
    Vec::from([
        (Tcp, 6667, PortEntry::of(service::IRC)),
        (Tcp, 5222, PortEntry::of(service::XMPP)),
        (Udp, 5060, PortEntry::of(service::SIP).alone(false, true)),
        (Tcp, 5050, PortEntry::of(service::YAHOO)),
        (Udp, 5050, PortEntry::of(service::YAHOO)),
        (Udp, 67, boot),
        (Udp, 68, boot),
        (Udp, 546, boot),
        (Udp, 547, boot),
        (Tcp, 22, PortEntry::of(service::SHELL).protected()),
        // Protected and managed, and of no service themselves.
        (Tcp, 2222, PortEntry::default().protected()),
        (Tcp, 9090, PortEntry::default().management()),
        (Tcp, 9863, PortEntry::of(service::PANEL).management()),
        (Tcp, 0, PortEntry::of(service::ZERO)),
        (Udp, 0, PortEntry::of(service::ZERO)),
        (Tcp, 65_535, PortEntry::of(service::LAST)),
        (Udp, 65_535, PortEntry::of(service::LAST).alone(false, true)),
    ])
}

fn actions() -> Vec<(u16, u16, Action)> {
    use Action::{Allow, Count, Drop, Reject};
    let table = [
        (service::IRC, [Drop, Allow, Drop]),
        (service::XMPP, [Count, Drop, Reject]),
        (service::SIP, [Allow, Count, Drop]),
        (service::YAHOO, [Drop, Drop, Count]),
        (service::BOOT, [Drop, Drop, Drop]),
        (service::SHELL, [Drop, Drop, Drop]),
        (service::PANEL, [Drop, Drop, Drop]),
        (service::ZERO, [Drop, Drop, Drop]),
        (service::CHAT, [Drop, Allow, Count]),
        (service::CALLS, [Count, Drop, Allow]),
        (service::STUN, [Count, Count, Count]),
        (service::RTP, [Count, Count, Count]),
        (service::LAST, [Drop, Count, Allow]),
    ];
    let groups = [group::EVERYONE, group::SUPPORT, group::KIDS];
    let rows = table.iter().flat_map(|(service, row)| {
        let cells = groups.iter().zip(row);
        cells.map(|(group, action)| (*group, *service, *action))
    });
    rows.collect()
}
