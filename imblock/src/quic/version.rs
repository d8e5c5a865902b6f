//! The versions of QUIC whose Initial packets can be opened, and what differs between them.

/// What the protection of Initial packets depends on.
#[derive(Debug)]
pub(super) struct Version {
    /// What HKDF-Extract is salted with.
    pub(super) salt: [u8; 20],
    pub(super) labels: Labels,
    /// The packet types, in the order of their bits in the first byte.
    types: [PacketType; 4],
}

/// Labels of HKDF-Expand-Label, without the `tls13 ` in front of all of them.
#[derive(Debug)]
pub(super) struct Labels {
    pub(super) key: &'static str,
    pub(super) iv: &'static str,
    pub(super) header: &'static str,
}

/// A type of long header packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PacketType {
    Initial,
    ZeroRtt,
    Handshake,
    Retry,
}

/// A version number that has another meaning: the packet is a version negotiation.
pub(super) const NEGOTIATION: u32 = 0;

impl Version {
    /// The version of this number in a header; `None` for one that is not known here.
    pub(super) fn from_number(number: u32) -> Option<&'static Self> {
        Some(match number {
            // The last drafts already had the salt of RFC 9001.
            0x0000_0001 | 0xff00_0021..=0xff00_0022 => &V1,
            0x6b33_43cf => &V2,
            0xff00_001d..=0xff00_0020 => &DRAFT_29,
            // Facebook's mvfst had numbers of its own for what it took from the drafts.
            0xff00_0017..=0xff00_001c | 0xface_b002 | 0xface_b00e => &DRAFT_23,
            0xff00_0016 | 0xface_b001 => &DRAFT_22,
            // Google's own versions (`Q050`, `T051` and so on) have other frames or another handshake.
            _ => return None,
        })
    }

    /// What the first byte of a long header says.
    pub(super) fn packet_type(&self, first: u8) -> PacketType {
        let [zero, one, two, three] = self.types;
        match first >> 4 & 3 {
            0 => zero,
            1 => one,
            2 => two,
            _ => three,
        }
    }
}

/// RFC 9001 section 5.2.
static V1: Version = Version::like_v1([
    0x38, 0x76, 0x2c, 0xf7, 0xf5, 0x59, 0x34, 0xb3, 0x4d, 0x17, 0x9a, 0xe6, 0xa4, 0xc8, 0x0c, 0xad,
    0xcc, 0xbb, 0x7f, 0x0a,
]);

/// RFC 9369 section 3.
static V2: Version = Version {
    salt: [
        0x0d, 0xed, 0xe3, 0xde, 0xf7, 0x00, 0xa6, 0xdb, 0x81, 0x93, 0x81, 0xbe, 0x6e, 0x26, 0x9d,
        0xcb, 0xf9, 0xbd, 0x2e, 0xd9,
    ],
    labels: Labels {
        key: "quicv2 key",
        iv: "quicv2 iv",
        header: "quicv2 hp",
    },
    types: [
        PacketType::Retry,
        PacketType::Initial,
        PacketType::ZeroRtt,
        PacketType::Handshake,
    ],
};

/// draft-ietf-quic-tls-29 to -32.
static DRAFT_29: Version = Version::like_v1([
    0xaf, 0xbf, 0xec, 0x28, 0x99, 0x93, 0xd2, 0x4c, 0x9e, 0x97, 0x86, 0xf1, 0x9c, 0x61, 0x11, 0xe0,
    0x43, 0x90, 0xa8, 0x99,
]);

/// draft-ietf-quic-tls-23 to -28.
static DRAFT_23: Version = Version::like_v1([
    0xc3, 0xee, 0xf7, 0x12, 0xc7, 0x2e, 0xbb, 0x5a, 0x11, 0xa7, 0xd2, 0x43, 0x2b, 0xb4, 0x63, 0x65,
    0xbe, 0xf9, 0xf5, 0x02,
]);

/// draft-ietf-quic-tls-22, the first whose header is that of RFC 9000.
static DRAFT_22: Version = Version::like_v1([
    0x7f, 0xbc, 0xdb, 0x0e, 0x7c, 0x66, 0xbb, 0xe9, 0x19, 0x3a, 0x96, 0xcd, 0x21, 0x51, 0x9e, 0xbd,
    0x7a, 0x02, 0x64, 0x4a,
]);

impl Version {
    const fn like_v1(salt: [u8; 20]) -> Self {
        Self {
            salt,
            labels: Labels {
                key: "quic key",
                iv: "quic iv",
                header: "quic hp",
            },
            types: [
                PacketType::Initial,
                PacketType::ZeroRtt,
                PacketType::Handshake,
                PacketType::Retry,
            ],
        }
    }
}
