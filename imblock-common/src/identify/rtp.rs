//! RTP: three packets in sequence (RFC 3550).

use bytemuck::{Pod, Zeroable};

/// What was seen of a stream so far.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Pod, Zeroable)]
pub struct RtpTrace {
    /// Synchronization source.
    pub ssrc: u32,
    /// The latest sequence number.
    pub sequence: u16,
    /// Packets in sequence.
    pub seen: u8,
    /// Zero.
    pub reserved: u8,
}
