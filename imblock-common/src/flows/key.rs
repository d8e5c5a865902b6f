//! Which flow a packet belongs to.

use bytemuck::{Pod, Zeroable};

use crate::{Addr, Ends, Family, Transport};

/// A flow of a local host: the same key for what it sends and what it receives. Aligned so that it is
/// copied in whole words.
#[repr(C, align(8))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Pod, Zeroable)]
pub struct FlowKey {
    local: [u32; 4],
    remote: [u32; 4],
    /// The local port above the remote one.
    ports: u32,
    /// Family and transport.
    about: u32,
}

impl FlowKey {
    const IS_V6: u32 = 1;
    const IS_UDP: u32 = 2;

    /// The key of a packet's flow. `forget` is [`crate::Bytes::forget_word`].
    #[inline(always)]
    pub(crate) fn new(ends: &Ends, transport: Transport, forget: impl Fn(u32) -> u32) -> Self {
        let family = match ends.local.family() {
            Family::V4 => 0,
            Family::V6 => Self::IS_V6,
        };
        let transport = match transport {
            Transport::Tcp => 0,
            Transport::Udp => Self::IS_UDP,
        };
        Self {
            local: ends.local.words(),
            remote: ends.remote.words(),
            ports: u32::from(ends.local_port) << 16 | u32::from(ends.remote_port),
            about: forget(family | transport),
        }
    }

    /// The remote end's address.
    #[inline(always)]
    pub const fn remote(&self) -> Addr {
        Addr::from_words(self.remote, self.family())
    }

    /// The local host's address.
    #[inline(always)]
    pub const fn local(&self) -> Addr {
        Addr::from_words(self.local, self.family())
    }

    #[inline(always)]
    const fn family(&self) -> Family {
        match self.about & Self::IS_V6 {
            0 => Family::V4,
            _ => Family::V6,
        }
    }

    /// The port at the local host.
    #[inline(always)]
    pub const fn local_port(&self) -> u16 {
        (self.ports >> 16) as u16
    }

    /// The port at the remote end.
    #[inline(always)]
    pub const fn remote_port(&self) -> u16 {
        (self.ports & 0xffff) as u16
    }

    /// TCP or UDP.
    #[inline(always)]
    pub const fn transport(&self) -> Transport {
        match self.about & Self::IS_UDP {
            0 => Transport::Tcp,
            _ => Transport::Udp,
        }
    }

    /// A number for the key that an outsider who does not know the seed can't aim at.
    #[inline(always)]
    pub const fn hash(&self, seed: u32) -> u64 {
        // Multiply and fold, as in `hosts`; the constants are large odd numbers without a pattern. The
        // seed comes first, so that nobody knows what the rest is folded with.
        let [l0, l1, l2, l3] = self.local;
        let [r0, r1, r2, r3] = self.remote;
        let ends = ((l0 as u64) << 32 | r0 as u64) ^ seed as u64;
        // The ports low, where a multiplication spreads them furthest: they are often in sequence.
        let ports = (self.about as u64) << 32 | self.ports as u64;
        let mut hash = ends.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        if self.about & Self::IS_V6 != 0 {
            // The halves of the addresses side by side: four multiplications in a row take twice as long.
            let mut other =
                (((l2 as u64) << 32 | r2 as u64) ^ seed as u64).wrapping_mul(0xd134_2543_de82_ef95);
            hash = (hash ^ (hash >> 32) ^ ((l1 as u64) << 32 | r1 as u64))
                .wrapping_mul(0xd134_2543_de82_ef95);
            other = (other ^ (other >> 32) ^ ((l3 as u64) << 32 | r3 as u64))
                .wrapping_mul(0x9e37_79b9_7f4a_7c15);
            hash ^= other ^ (other >> 29);
        }
        hash = (hash ^ (hash >> 32) ^ ports).wrapping_mul(0xaf25_1af3_b0f0_25b5);
        hash = (hash ^ (hash >> 28)).wrapping_mul(0xd134_2543_de82_ef95);
        hash ^ (hash >> 32)
    }
}
