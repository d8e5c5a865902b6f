//! What tells calls: services that have a number although no evidence names them, services that
//! can be called with, and STUN attributes that one of them alone uses.

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

/// Which services can be called with: a bit a service number. One entry a half.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Pod, Zeroable)]
pub struct CallServices(pub [u64; CallServices::WORDS]);

impl CallServices {
    /// [`SERVICES_MAX`] bits.
    pub const WORDS: usize = SERVICES_MAX / 64;

    /// Whether calls are known of a service. Only the lowest nine bits of its number count.
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
    assert!(size_of::<CallServices>() == 64);
};
