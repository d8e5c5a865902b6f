//! Longest-prefix tables in memory: addresses, and names backwards.

use std::collections::{BTreeSet, HashMap};

use imblock_common::layout::{Half, NameKey};
use imblock_common::{Addr, Family};
use ipnet::IpNet;

use crate::policy::plan::NamePlan;

/// Values by prefix, both families.
#[derive(Debug)]
pub(super) struct Prefixes<V> {
    v4: Lengths<V>,
    v6: Lengths<V>,
}

/// A mask, and the values of the prefixes of that length; the longest first.
type Lengths<V> = Vec<(u128, HashMap<u128, V>)>;

impl<V: Copy + Default> Prefixes<V> {
    pub(super) fn of(prefixes: impl Iterator<Item = (IpNet, V)>) -> Self {
        let mut tables = Self {
            v4: Vec::new(),
            v6: Vec::new(),
        };
        for (net, value) in prefixes {
            let addr = Addr::from(net.network());
            let mask = mask(net.prefix_len());
            let lengths = match addr.family() {
                Family::V4 => &mut tables.v4,
                Family::V6 => &mut tables.v6,
            };
            let at = match lengths.binary_search_by(|(other, _)| mask.cmp(other)) {
                Ok(at) => at,
                Err(at) => {
                    lengths.insert(at, (mask, HashMap::new()));
                    at
                }
            };
            if let Some((_, table)) = lengths.get_mut(at) {
                table.insert(bits(&addr) & mask, value);
            }
        }
        tables
    }

    /// The value of the longest prefix that covers an address.
    pub(super) fn longest(&self, addr: &Addr) -> V {
        let lengths = match addr.family() {
            Family::V4 => &self.v4,
            Family::V6 => &self.v6,
        };
        let bits = bits(addr);
        let found = lengths
            .iter()
            .find_map(|(mask, table)| table.get(&(bits & mask)));
        found.copied().unwrap_or_default()
    }
}

/// The address from the highest bit on, so that a prefix of either family is a mask from the top.
fn bits(addr: &Addr) -> u128 {
    u128::from_be_bytes(addr.octets())
}

fn mask(length: u8) -> u128 {
    u128::MAX
        .checked_shl(128 - u32::from(length.min(128)))
        .unwrap_or(0)
}

/// Service numbers by name.
#[derive(Debug, Default)]
pub(super) struct Names {
    /// By the kind of key, and the bytes of [`NameKey::backwards`] that matter.
    known: HashMap<(u8, Vec<u8>), u16>,
    /// How many bytes matter in some key: the most first.
    lengths: Vec<usize>,
}

impl Names {
    pub(super) fn of(names: &[NamePlan]) -> Self {
        let known = names.iter().filter_map(|name| {
            let (bits, key) = name.key(Half::of_generation(0))?;
            let length = usize::try_from((bits - NameKey::FIXED_BITS) / 8).ok()?;
            let matters = key.backwards.get(..length)?.to_vec();
            Some(((key.kind, matters), name.service))
        });
        let known: HashMap<_, _> = known.collect();
        let lengths: BTreeSet<_> = known.keys().map(|(_, matters)| matters.len()).collect();
        Self {
            known,
            lengths: lengths.into_iter().rev().collect(),
        }
    }

    /// The service of the longest suffix.
    pub(super) fn longest(&self, key: &NameKey) -> u16 {
        let suffixes = self
            .lengths
            .iter()
            .filter_map(|length| key.backwards.get(..*length));
        let found = suffixes
            .filter_map(|matters| self.known.get(&(key.kind, matters.to_vec())))
            .next();
        found.copied().unwrap_or(0)
    }
}
