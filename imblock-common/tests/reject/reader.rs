//! A reader of packets that owes nothing to the library, and a sum of its own.

/// A packet as somebody else reads it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) stations: (Vec<u8>, Vec<u8>),
    pub(crate) tags: Vec<u8>,
    pub(crate) from: Vec<u8>,
    pub(crate) to: Vec<u8>,
    pub(crate) protocol: u8,
    pub(crate) hops: u8,
    pub(crate) body: Vec<u8>,
}

/// Reads a frame; all that it holds must be told by its lengths, and every checksum must be right.
pub(crate) fn seen(frame: &[u8]) -> Seen {
    let mut at = 12;
    while matches!(frame[at..at + 2], [0x81, 0x00] | [0x88, 0xa8]) {
        at += 4;
    }
    let tags = frame[12..at].to_vec();
    let ip = &frame[at + 2..];
    let (from, to, protocol, hops, body) = match frame[at..at + 2] {
        [0x08, 0x00] => {
            assert_eq!(ip[0], 0x45);
            assert_eq!(usize::from(word(ip, 2)), ip.len());
            assert_eq!(sum(&[&ip[..20]]), 0xffff, "IPv4");
            (&ip[12..16], &ip[16..20], ip[9], ip[8], &ip[20..])
        }
        [0x86, 0xdd] => {
            assert_eq!(ip[0] >> 4, 6);
            assert_eq!(usize::from(word(ip, 4)) + 40, ip.len());
            (&ip[8..24], &ip[24..40], ip[6], ip[7], &ip[40..])
        }
        _ => unreachable!("not IP: {frame:02x?}"),
    };
    let length = u32::try_from(body.len()).unwrap().to_be_bytes();
    let pseudo: &[&[u8]] = match protocol {
        1 => &[],
        _ => &[from, to, &length, &[0, protocol]],
    };
    let over_all = [pseudo, &[body]].concat();
    assert_eq!(sum(&over_all), 0xffff, "protocol {protocol}: {frame:02x?}");
    Seen {
        stations: (frame[..6].to_vec(), frame[6..12].to_vec()),
        tags,
        from: from.to_vec(),
        to: to.to_vec(),
        protocol,
        hops,
        body: body.to_vec(),
    }
}

pub(crate) fn word(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

pub(crate) fn long(bytes: &[u8], at: usize) -> u32 {
    u32::from(word(bytes, at)) << 16 | u32::from(word(bytes, at + 2))
}

/// The one's complement sum of pieces, each padded to a word.
pub(crate) fn sum(pieces: &[&[u8]]) -> u16 {
    let mut sum = 0_u16;
    for pair in pieces.iter().flat_map(|piece| piece.chunks(2)) {
        let next = u16::from(pair[0]) << 8 | u16::from(*pair.get(1).unwrap_or(&0));
        let (more, carried) = sum.overflowing_add(next);
        sum = more + u16::from(carried);
    }
    sum
}

/// What a card that finishes checksums finds in the field: the sum of the pseudo header.
pub(crate) fn pseudo_sum(frame: &[u8], length: u8) -> u16 {
    let mut at = 12;
    while matches!(frame[at..at + 2], [0x81, 0x00] | [0x88, 0xa8]) {
        at += 4;
    }
    let addresses = match frame[at] {
        0x08 => &frame[at + 14..at + 22],
        _ => &frame[at + 10..at + 42],
    };
    sum(&[addresses, &[0, 6, 0, length]])
}
