//! What the kernel program hands to the controller.

use bytemuck::{Pod, Zeroable};

use crate::flows::FlowKey;

/// The most bytes of a datagram that are handed over: a power of two above any that fits into an
/// Ethernet frame, so that the verifier learns the bound from a mask.
pub const DATAGRAM_MAX: usize = 2048;

/// A datagram with a QUIC Initial packet: a record of [`super::maps::INITIALS`].
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
pub struct InitialRecord {
    /// Whose it is.
    pub flow: FlowKey,
    /// Number of the flow's entry in [`super::maps::FLOWS`].
    pub entry: u32,
    /// Bytes of [`InitialRecord::datagram`] that mean something.
    pub length: u32,
    /// The UDP payload.
    pub datagram: [u8; DATAGRAM_MAX],
}

/// Bytes of [`super::maps::INITIALS`]: a power of two. Room for some 500 datagrams.
pub const INITIALS_SIZE: u32 = 1 << 20;

/// Slots of [`super::maps::INITIAL_COUNTS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum InitialFate {
    /// The controller finds it, or will when there is one.
    HandedOver = 0,
    /// There was no room: nobody reads, or not fast enough.
    Lost = 1,
}

impl InitialFate {
    /// All of them, in the order of the slots.
    pub const ALL: [Self; 2] = [Self::HandedOver, Self::Lost];
}

const _: () = assert!(size_of::<InitialRecord>() == 48 + DATAGRAM_MAX);
