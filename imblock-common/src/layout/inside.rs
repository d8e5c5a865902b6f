//! The local hosts whose counters have places by address.

use core::net::Ipv4Addr;

use bytemuck::{Pod, Zeroable};

const PREFIXES_MAX: usize = 4;

/// Prefixes of IPv4 whose addresses have places of their own for their counters, so that nothing is
/// searched for, and neighbours share pages. One after the other, so that each address has a
/// number from 0.
///
/// Invariant: no address is in two of the prefixes, and they have [`Inside::HOSTS_MAX`] together at most.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
pub struct Inside {
    /// Addresses of all prefixes together; 0 when there is none.
    hosts: u32,
    prefixes: [InsidePrefix; PREFIXES_MAX],
}

/// One of them.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
struct InsidePrefix {
    /// The first address, in host byte order.
    network: u32,
    /// How many addresses it has, a power of two; 0 where there is no prefix.
    hosts: u32,
    /// The number of the first address.
    first: u32,
}

impl Inside {
    /// The most prefixes.
    pub const PREFIXES_MAX: usize = PREFIXES_MAX;
    /// The most addresses: at [`Inside::WAYS`] slots each, 64 MiB a CPU.
    pub const HOSTS_MAX: u32 = 1 << 18;
    /// Slots of an address. What a service sends has one of them and what it receives has another, so a
    /// flood of one service from all hosts stays in an eighth of the slots.
    pub const WAYS: u32 = 8;

    /// The number of an address that is in none of the prefixes.
    pub(crate) const NOWHERE: u32 = u32::MAX;

    /// No prefix.
    pub const NONE: Self = Self {
        hosts: 0,
        prefixes: [InsidePrefix {
            network: 0,
            hosts: 0,
            first: 0,
        }; PREFIXES_MAX],
    };

    /// The same, and a prefix behind the others. `None` when there is no room for it, one of its
    /// addresses is there already, or it is no prefix.
    #[must_use]
    pub fn with(mut self, network: Ipv4Addr, bits: u8) -> Option<Self> {
        let hosts = 1_u32.checked_shl(32_u32.checked_sub(bits.into())?)?;
        let network = network.to_bits();
        let together = self.hosts.checked_add(hosts)?;
        let met =
            |other: &InsidePrefix| other.has(network) || network == other.network & !(hosts - 1);
        let is_prefix = network & (hosts - 1) == 0;
        let mut known = self.prefixes.iter().filter(|prefix| prefix.hosts != 0);
        if !is_prefix || together > Self::HOSTS_MAX || known.any(met) {
            return None;
        }
        let free = self.prefixes.iter_mut().find(|prefix| prefix.hosts == 0)?;
        *free = InsidePrefix {
            network,
            hosts,
            first: self.hosts,
        };
        self.hosts = together;
        Some(self)
    }

    /// The prefixes, in the order in which they were added: network and length.
    pub fn prefixes(&self) -> impl Iterator<Item = (Ipv4Addr, u8)> {
        let known = self.prefixes.into_iter().filter(|prefix| prefix.hosts != 0);
        known.map(|prefix| {
            let bits = 32_u32.saturating_sub(prefix.hosts.trailing_zeros());
            (Ipv4Addr::from_bits(prefix.network), (bits & 0xff) as u8)
        })
    }

    /// How many addresses the prefixes have together.
    #[inline(always)]
    pub const fn hosts(&self) -> u32 {
        self.hosts
    }

    /// How many slots they take on each CPU.
    #[inline(always)]
    pub const fn slots(&self) -> u32 {
        self.hosts.wrapping_mul(Self::WAYS)
    }

    /// The number of an address in host byte order; [`Inside::NOWHERE`] for one outside.
    #[inline(always)]
    pub(crate) const fn number(&self, address: u32) -> u32 {
        // One by one: the verifier walks a loop anew for each prefix.
        let [first, second, third, fourth] = self.prefixes;
        if first.has(address) {
            first.number(address)
        } else if second.has(address) {
            second.number(address)
        } else if third.has(address) {
            third.number(address)
        } else if fourth.has(address) {
            fourth.number(address)
        } else {
            Self::NOWHERE
        }
    }

    /// The address of a number.
    pub(crate) fn host(&self, number: u32) -> Option<Ipv4Addr> {
        self.prefixes.iter().find_map(|prefix| {
            let behind = number.checked_sub(prefix.first)?;
            let is_its = behind < prefix.hosts;
            is_its.then(|| Ipv4Addr::from_bits(prefix.network.wrapping_add(behind)))
        })
    }
}

impl Default for Inside {
    fn default() -> Self {
        Self::NONE
    }
}

impl InsidePrefix {
    #[inline(always)]
    const fn has(&self, address: u32) -> bool {
        address.wrapping_sub(self.network) < self.hosts
    }

    /// Of an address that it has.
    #[inline(always)]
    const fn number(&self, address: u32) -> u32 {
        address.wrapping_sub(self.network).wrapping_add(self.first)
    }
}

const _: () = assert!(size_of::<Inside>() == 52);
