//! The Internet checksum, RFC 1071.

use alloc::vec::Vec;

use super::alloc;

/// Over a header whose checksum field is zero, or over a pseudo header and a segment.
pub(super) fn internet_checksum(bytes: &[u8]) -> u16 {
    let mut sum = 0_u64;
    for pair in bytes.chunks(2) {
        let high = pair.first().copied().unwrap_or(0);
        let low = pair.get(1).copied().unwrap_or(0);
        sum += u64::from(u16::from_be_bytes([high, low]));
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    u16::try_from(sum).map_or(0, |sum| !sum)
}

/// Of a TCP segment or UDP datagram whose checksum field is zero. `addresses` are source and
/// destination, as on the wire.
pub(super) fn transport_checksum(addresses: &[u8], protocol: u8, segment: &[u8]) -> [u8; 2] {
    let length = u32::try_from(segment.len()).unwrap_or(u32::MAX);
    let mut pseudo = Vec::from(addresses);
    pseudo.extend(length.to_be_bytes());
    pseudo.extend([0, 0, 0, protocol]);
    pseudo.extend_from_slice(segment);
    match internet_checksum(&pseudo) {
        // In UDP a zero says "no checksum"; its other form is meant (RFC 768).
        0 => [0xff, 0xff],
        sum => sum.to_be_bytes(),
    }
}
