//! STUN attributes that one service alone uses.

use bytemuck::{Pod, Zeroable};

/// What each attribute type tells: a service number, perhaps with [`StunAttributes::CERTAIN`]; 0 for
/// nothing. One entry a half.
///
/// Flat, as the ports are: a message has many attributes, and looking each up in a list of ranges
/// takes the verifier a million steps.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
pub struct StunAttributes(pub [u16; StunAttributes::LEN]);

impl StunAttributes {
    /// 65,536 types.
    pub const LEN: usize = 1 << 16;
    /// Set in an entry that may drop, not only count.
    const CERTAIN: u16 = 1 << 15;
    /// The bits of the service number.
    const SERVICE: u16 = 0x01ff;

    /// The service that an attribute type tells, and whether that may drop; 0 and no for none.
    #[inline(always)]
    pub fn service(&self, attribute: u16) -> (u16, bool) {
        let entry = self.0.get(usize::from(attribute)).copied().unwrap_or(0);
        (entry & Self::SERVICE, entry & Self::CERTAIN != 0)
    }

    /// Says what an attribute type tells. Only the lowest nine bits of the service's number count.
    pub fn set(&mut self, attribute: u16, service: u16, certain: bool) {
        if let Some(entry) = self.0.get_mut(usize::from(attribute)) {
            let certain = if certain { Self::CERTAIN } else { 0 };
            *entry = service & Self::SERVICE | certain;
        }
    }
}

const _: () = assert!(size_of::<StunAttributes>() == 128 * 1024);
