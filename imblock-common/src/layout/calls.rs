//! Services by what can be asked of them: those that stand for a protocol, and sets of services.

use bytemuck::{Pod, Zeroable};

use super::SERVICES_MAX;

/// A protocol that many services share, and that is a service itself where the policy has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Generic {
    /// STUN and TURN that nothing else tells more about.
    Stun,
    /// RTP that nothing else tells more about.
    Rtp,
}

/// The numbers of the services that stand for a protocol; 0 where the policy has none. One entry a
/// half.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Pod, Zeroable)]
pub struct Generics {
    /// [`Generic::Stun`].
    pub stun: u16,
    /// [`Generic::Rtp`].
    pub rtp: u16,
}

impl Generics {
    /// The service's number; 0 for none.
    #[inline(always)]
    pub const fn service(self, generic: Generic) -> u16 {
        match generic {
            Generic::Stun => self.stun,
            Generic::Rtp => self.rtp,
        }
    }
}

/// Some of the services: a bit a service number.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Pod, Zeroable)]
pub struct ServiceSet(pub [u64; ServiceSet::WORDS]);

impl ServiceSet {
    /// [`SERVICES_MAX`] bits.
    pub const WORDS: usize = SERVICES_MAX / 64;

    /// Whether a service is among them. Only the lowest nine bits of its number count.
    #[inline(always)]
    pub fn contains(&self, service: u16) -> bool {
        let word = self.0.get(usize::from(service >> 6) & (Self::WORDS - 1));
        word.is_some_and(|word| word >> (service & 63) & 1 != 0)
    }

    /// Adds a service.
    pub fn insert(&mut self, service: u16) {
        if let Some(word) = self
            .0
            .get_mut(usize::from(service >> 6) & (Self::WORDS - 1))
        {
            *word |= 1 << (service & 63);
        }
    }
}

const _: () = {
    assert!(size_of::<Generics>() == 4);
    assert!(size_of::<ServiceSet>() == 64);
};
