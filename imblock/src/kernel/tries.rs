//! The longest-prefix tries: hosts, remote addresses and names, both halves in each.

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::panic::resume_unwind;
use std::thread;

use aya::maps::lpm_trie::Key;
use aya::maps::{LpmTrie, MapData, MapError};
use bytemuck::{Pod, Zeroable as _};
use imblock_common::layout::{Half, HostEntry, HostPrefix, NameKey, RemoteGate, maps};
use imblock_common::{Addr, Family};
use ipnet::IpNet;
use rustix::io::Errno;

use super::KernelError;
use super::batch::{Batches, TrieKey};
use super::maps::Maps;
use super::wire::Wire;
use crate::policy::Plan;

/// The contents of one half of a trie.
type Contents<K, V> = HashMap<TrieKey<K>, V>;

impl Maps {
    /// Brings one half of every trie to what the plan says.
    pub(super) fn write_tries(&mut self, half: Half, plan: &Plan) -> Result<(), KernelError> {
        self.remote_gates
            .set(half.index(), Wire(gate(plan)), 0)
            .map_err(KernelError::map(
                maps::REMOTE_GATES,
                "write which addresses to look up",
            ))?;
        let maps = &*self;
        // The two that can be long, at the same time.
        thread::scope(|scope| {
            let names = scope.spawn(|| maps.write_names(half, plan));
            let addresses = maps.write_addresses(half, plan);
            let names = names.join().unwrap_or_else(|panic| resume_unwind(panic));
            addresses.and(names)
        })
    }

    /// Guards addresses that the box has got since the live policy was put in force, as those that it had
    /// then. Returns the new ones.
    pub fn guard_own(&mut self, own: &[IpAddr]) -> Result<Vec<IpAddr>, KernelError> {
        let half = self.live_half()?;
        let mut new = Vec::new();
        for address in own {
            let TrieKey { bits, data } = address_key(half, &IpNet::from(*address));
            let key = Key::new(bits, Wire(data));
            // The group, and what else is said, is that of the prefix around it.
            let entry = match self.host_prefixes.get(&key, 0) {
                Ok(Wire(entry)) => entry,
                Err(MapError::KeyNotFound) => HostEntry::default(),
                Err(error) => {
                    return Err(KernelError::map(maps::HOST_PREFIXES, "look an address up")(
                        error,
                    ));
                }
            };
            if !entry.is_own() {
                let flags = entry.flags | HostEntry::OWN;
                let entry = HostEntry { flags, ..entry };
                self.host_prefixes
                    .insert(&key, Wire(entry), 0)
                    .map_err(KernelError::map(maps::HOST_PREFIXES, "guard an address"))?;
                new.push(*address);
            }
        }
        Ok(new)
    }

    fn write_addresses(&self, half: Half, plan: &Plan) -> Result<(), KernelError> {
        let room = self.room_for_prefixes;
        let of_half = move |key: &HostPrefix| u32::from(key.half) == half.index();
        let hosts = plan
            .prefixes
            .iter()
            .map(|host| (address_key(half, &host.net), host.entry));
        bring(
            maps::HOST_PREFIXES,
            &self.host_prefixes,
            of_half,
            hosts.collect(),
            room,
        )?;
        let remotes = plan
            .remotes
            .iter()
            .map(|remote| (address_key(half, &remote.net), u32::from(remote.service)));
        bring(
            maps::REMOTES,
            &self.remotes,
            of_half,
            remotes.collect(),
            room,
        )
    }

    fn write_names(&self, half: Half, plan: &Plan) -> Result<(), KernelError> {
        let of_half = move |key: &NameKey| u32::from(key.half) == half.index();
        let names = plan.names.iter().filter_map(|name| {
            let (bits, data) = name.key(half)?;
            Some((TrieKey { bits, data }, u32::from(name.service)))
        });
        bring(
            maps::NAMES,
            &self.names,
            of_half,
            names.collect(),
            self.room_for_prefixes,
        )
    }
}

/// Brings one half of a trie to the contents that are wanted, touching only what differs.
fn bring<K: Pod + Eq + Hash, V: Pod + PartialEq>(
    name: &'static str,
    trie: &LpmTrie<MapData, Wire<K>, Wire<V>>,
    of_half: impl Fn(&K) -> bool,
    mut wanted: Contents<K, V>,
    room: u32,
) -> Result<(), KernelError> {
    let trie = Batches::of(trie);
    let mut stale = Vec::new();
    let compare = |key: TrieKey<K>, value: V| {
        let data = key.data;
        if !of_half(&data) {
            return;
        }
        match wanted.get(&key) {
            Some(wanted_value) if *wanted_value == value => {
                wanted.remove(&key);
            }
            Some(_) => {}
            None => stale.push(key),
        }
    };
    trie.read(compare)
        .map_err(KernelError::map(name, "list the entries"))?;
    trie.remove(&stale)
        .map_err(KernelError::map(name, "remove entries"))?;
    let new: Vec<_> = wanted.into_iter().collect();
    trie.write(&new)
        .map_err(|error| write_error(name, error, room))
}

fn address_key(half: Half, net: &IpNet) -> TrieKey<HostPrefix> {
    let network = Addr::from(net.network());
    TrieKey {
        bits: HostPrefix::FIXED_BITS + u32::from(net.prefix_len()),
        data: HostPrefix::new(half, &network),
    }
}

/// Whatever an address of the plan's remotes may begin with.
pub(crate) fn gate(plan: &Plan) -> RemoteGate {
    let mut gate = RemoteGate::zeroed();
    for remote in &plan.remotes {
        for beginning in beginnings(&remote.net) {
            let (word, bit) = RemoteGate::place(&beginning);
            if let Some(bits) = gate.0.get_mut(word) {
                *bits |= bit;
            }
        }
    }
    gate
}

/// An address for everything that a gate can tell apart in a prefix.
fn beginnings(net: &IpNet) -> Box<dyn Iterator<Item = Addr>> {
    let spread = |family| {
        let open = RemoteGate::looked_at(family).saturating_sub(net.prefix_len());
        // What an IPv6 address begins with is folded to 16 bits: all of them are reached by so many.
        0..1u32 << open.min(16)
    };
    match net.network() {
        IpAddr::V4(first) => {
            let first = u32::from(first);
            let nth = move |n| Addr::from(IpAddr::from(Ipv4Addr::from(first | n << 16)));
            Box::new(spread(Family::V4).map(nth))
        }
        IpAddr::V6(first) => {
            let first = u128::from(first);
            let nth = move |n| {
                let beginning = first | u128::from(n) << 96;
                Addr::from(IpAddr::from(Ipv6Addr::from(beginning)))
            };
            Box::new(spread(Family::V6).map(nth))
        }
    }
}

fn write_error(name: &'static str, error: MapError, room: u32) -> KernelError {
    match &error {
        MapError::SyscallError(call)
            if call.io_error.raw_os_error() == Some(Errno::NOSPC.raw_os_error()) =>
        {
            KernelError::TooManyPrefixes { map: name, room }
        }
        _ => KernelError::map(name, "write entries")(error),
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A prefix of either family, and an address in it.
    fn inside() -> impl Strategy<Value = (IpNet, IpAddr)> {
        let v4 = (any::<[u32; 2]>(), 1..=32u8).prop_map(|([net, host], length)| {
            let mask = u32::MAX << (32 - length);
            let ip = |bits| IpAddr::from(Ipv4Addr::from(bits));
            (ip(net & mask), length, ip(net & mask | host & !mask))
        });
        let v6 = (any::<[u128; 2]>(), 1..=128u8).prop_map(|([net, host], length)| {
            let mask = u128::MAX << (128 - length);
            let ip = |bits| IpAddr::from(Ipv6Addr::from(bits));
            (ip(net & mask), length, ip(net & mask | host & !mask))
        });
        prop_oneof![v4, v6].prop_map(|(net, length, host)| {
            let net = IpNet::new(net, length).unwrap_or_else(|_| IpNet::from(net));
            (net, host)
        })
    }

    proptest! {
        #[test]
        fn whatever_lies_in_a_prefix_begins_as_the_prefix_says((net, host) in inside()) {
            let place = RemoteGate::place(&Addr::from(host));
            prop_assert!(beginnings(&net).any(|beginning| RemoteGate::place(&beginning) == place));
        }
    }

    #[test]
    fn a_long_ipv6_prefix_says_nothing_of_its_neighbours() {
        let place = |ip: &str| RemoteGate::place(&Addr::from(ip.parse::<IpAddr>().unwrap()));
        let net = "2001:67c:4e8::/48".parse().unwrap();
        let beginnings: Vec<_> = beginnings(&net)
            .map(|addr| RemoteGate::place(&addr))
            .collect();
        assert_eq!(beginnings, [place("2001:67c::1")]);
        assert_ne!(beginnings, [place("2001:db8::1")]);
    }
}
