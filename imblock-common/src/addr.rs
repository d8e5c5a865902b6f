//! Internet addresses in the form that the packet, the map keys and the kernel share.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Which Internet Protocol an [`Addr`] belongs to. The numbers are part of the map layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Family {
    /// IPv4.
    V4 = 4,
    /// IPv6.
    V6 = 6,
}

/// An IPv4 or IPv6 address.
///
/// Kept as four aligned words in memory order (the bytes as on the wire), because the kernel's
/// stack and hash keys want aligned words; an IPv4 address is the first word, the rest is zero.
/// Arithmetic on the words has no meaning: use [`Addr::octets`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Addr {
    words: [u32; 4],
    family: Family,
}

impl Addr {
    /// From four bytes as on the wire.
    #[inline(always)]
    pub const fn v4(octets: [u8; 4]) -> Self {
        Self {
            words: [u32::from_ne_bytes(octets), 0, 0, 0],
            family: Family::V4,
        }
    }

    /// From sixteen bytes as on the wire.
    #[inline(always)]
    pub const fn v6(octets: [u8; 16]) -> Self {
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = octets;
        Self {
            words: [
                u32::from_ne_bytes([a, b, c, d]),
                u32::from_ne_bytes([e, f, g, h]),
                u32::from_ne_bytes([i, j, k, l]),
                u32::from_ne_bytes([m, n, o, p]),
            ],
            family: Family::V6,
        }
    }

    /// IPv4 or IPv6.
    #[inline(always)]
    pub const fn family(&self) -> Family {
        self.family
    }

    /// The words in memory order, for map keys. An IPv4 address has three zero words at the end.
    #[inline(always)]
    pub const fn words(&self) -> [u32; 4] {
        self.words
    }

    /// From the words of a map key; the reverse of [`Addr::words`].
    #[inline(always)]
    pub const fn from_words(words: [u32; 4], family: Family) -> Self {
        Self { words, family }
    }

    /// Sixteen bytes as on the wire; an IPv4 address fills the first four.
    pub const fn octets(&self) -> [u8; 16] {
        let [a, b, c, d] = self.words;
        let [a, b, c, d] = [
            a.to_ne_bytes(),
            b.to_ne_bytes(),
            c.to_ne_bytes(),
            d.to_ne_bytes(),
        ];
        [
            a[0], a[1], a[2], a[3], b[0], b[1], b[2], b[3], c[0], c[1], c[2], c[3], d[0], d[1],
            d[2], d[3],
        ]
    }
}

impl From<Addr> for IpAddr {
    fn from(addr: Addr) -> Self {
        let octets = addr.octets();
        match addr.family {
            Family::V4 => {
                let [a, b, c, d, ..] = octets;
                Self::V4(Ipv4Addr::new(a, b, c, d))
            }
            Family::V6 => Self::V6(Ipv6Addr::from(octets)),
        }
    }
}

impl From<IpAddr> for Addr {
    fn from(addr: IpAddr) -> Self {
        match addr {
            IpAddr::V4(v4) => Self::v4(v4.octets()),
            IpAddr::V6(v6) => Self::v6(v6.octets()),
        }
    }
}
