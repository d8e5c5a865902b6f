//! Hosts by their hardware addresses.

use bytemuck::{Pod, Zeroable};

use super::{HALVES, Half};

/// Key of the table of hardware addresses: half and address.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Pod, Zeroable)]
pub struct MacKey {
    /// [`Half::index`].
    pub half: u8,
    /// Zero.
    pub reserved: u8,
    /// The address, in the order of the wire.
    pub address: [u8; 6],
}

impl MacKey {
    /// The most addresses that a policy can name.
    pub const MOST: usize = 8_192;
    /// Entries of the table: those of both halves.
    pub const ENTRIES: usize = HALVES * Self::MOST;

    /// The key of an address, in one half.
    #[inline(always)]
    pub const fn new(half: Half, address: [u8; 6]) -> Self {
        Self {
            half: if half.index() == 0 { 0 } else { 1 },
            reserved: 0,
            address,
        }
    }
}

const _: () = assert!(size_of::<MacKey>() == 8);
