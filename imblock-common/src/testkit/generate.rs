//! Frames invented from a seed: well-formed ones around the ports and hosts of [`super::World`],
//! random ones, and both with damage.

use alloc::string::String;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{
    ClientHello, Extension, Frame, KID_MAC, LONGEST_SUFFIX, SUPPORT_MAC, alloc, dns_query, flags,
};

/// Numbers that look random and follow from a seed (SplitMix64). Not for secrets.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

    /// The sequence of a seed.
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub const fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(Self::STEP);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// A number below `limit`; 0 for a limit of 0.
    pub fn below(&mut self, limit: usize) -> usize {
        let limit = u64::try_from(limit).unwrap_or(u64::MAX).max(1);
        usize::try_from(self.number() % limit).unwrap_or(0)
    }

    /// True once in `times`, on average.
    pub fn one_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    /// One of a list; `other` of an empty one.
    pub fn pick<T: Copy>(&mut self, list: &[T], other: T) -> T {
        let index = self.below(list.len());
        list.get(index).copied().unwrap_or(other)
    }

    /// A byte.
    pub const fn byte(&mut self) -> u8 {
        let [byte, ..] = self.number().to_le_bytes();
        byte
    }

    /// A 16-bit number.
    pub const fn word(&mut self) -> u16 {
        let [a, b, ..] = self.number().to_le_bytes();
        u16::from_le_bytes([a, b])
    }

    /// That many bytes.
    pub fn bytes(&mut self, count: usize) -> Vec<u8> {
        (0..count).map(|_| self.byte()).collect()
    }
}

/// Ports that the policies of the tests know, and their neighbours.
const PORTS: &[u16] = &[
    0, 22, 53, 67, 68, 443, 546, 547, 2222, 5050, 5060, 5222, 6666, 6667, 6668, 9090, 9863, 65_534,
    65_535,
];

/// Hosts that the policies of the tests know, and their neighbours.
const V4: &[Ipv4Addr] = &[
    Ipv4Addr::new(10, 0, 0, 1),
    Ipv4Addr::new(10, 0, 0, 5),
    Ipv4Addr::new(10, 0, 5, 9),
    Ipv4Addr::new(10, 0, 5, 77),
    Ipv4Addr::new(10, 0, 5, 127),
    Ipv4Addr::new(10, 0, 5, 128),
    Ipv4Addr::new(10, 0, 6, 0),
    Ipv4Addr::new(198, 51, 100, 7),
    Ipv4Addr::new(198, 51, 100, 9),
    Ipv4Addr::new(198, 51, 100, 63),
    Ipv4Addr::new(198, 51, 100, 64),
    Ipv4Addr::new(203, 0, 113, 1),
    Ipv4Addr::UNSPECIFIED,
    Ipv4Addr::BROADCAST,
];

const V6: &[Ipv6Addr] = &[
    Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1),
    Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 5),
    Ipv6Addr::new(0x2001, 0xdb8, 5, 0, 0, 0, 0, 9),
    Ipv6Addr::new(0x2001, 0xdb8, 5, 0x7fff, 0, 0, 0, 9),
    Ipv6Addr::new(0x2001, 0xdb8, 5, 0x8000, 0, 0, 0, 9),
    Ipv6Addr::new(0x2001, 0xdb8, 6, 0, 0, 0, 0, 0),
    Ipv6Addr::new(0x2001, 0xdb8, 0xffff, 0, 0, 0, 0, 7),
    Ipv6Addr::new(0x2001, 0xdb8, 0xffff, 0, 0, 0, 0, 9),
    Ipv6Addr::new(0x2001, 0xdb8, 0xffff, 0x64, 0, 0, 0, 1),
    Ipv6Addr::UNSPECIFIED,
    // The bytes of 10.0.5.9, and nothing behind them: not the IPv4 host.
    Ipv6Addr::new(0x0a00, 0x0509, 0, 0, 0, 0, 0, 0),
];

/// Known to no policy, though its neighbours are.
const OTHER_MAC: [u8; 6] = [0x02, 0, 0, 0xaa, 0xbb, 0xce];

/// Names that the policies of the tests know, and their neighbours.
const NAMES: &[&str] = &[
    "whatsapp.com",
    "xwhatsapp.com",
    "whatsapp.com.example",
    "calls.whatsapp.com",
    "t.me",
    "me",
    "",
    LONGEST_SUFFIX,
];

/// The frame of a seed and an index: always the same bytes, at most some 1,500 of them, sometimes
/// none.
pub fn generate(seed: u64, index: u64) -> Vec<u8> {
    let mut start = Random::new(seed);
    let mut random = Random::new(start.number() ^ index.wrapping_mul(Random::STEP));
    if random.one_in(20) {
        let length = random.below(200);
        return random.bytes(length);
    }
    let mut bytes = invent(&mut random).build();
    if random.one_in(2) {
        for _ in 0..=random.below(3) {
            mutate(&mut random, &mut bytes);
        }
    }
    bytes
}

/// Damages a frame once: a flipped bit, a random byte, a length that lies, a cut, bytes too many.
pub fn mutate(random: &mut Random, bytes: &mut Vec<u8>) {
    // Most of what decides lies in the headers; damage in the payload finds little.
    let reach = bytes.len().min(if random.one_in(4) { 400 } else { 80 });
    let at = random.below(reach);
    match random.below(8) {
        0..=2 => {
            let bit = 1 << random.below(8);
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= bit;
            }
        }
        3 | 4 => {
            let random_byte = random.byte();
            let value = random.pick(&[0, 1, 5, 6, 0x11, 0x3c, 0x45, 0x4f, 0xff], random_byte);
            if let Some(byte) = bytes.get_mut(at) {
                *byte = value;
            }
        }
        5 => bytes.truncate(at),
        6 => {
            let length = random.below(bytes.len() + 1);
            bytes.truncate(length);
        }
        _ => {
            let count = random.below(64);
            bytes.extend(random.bytes(count));
        }
    }
}

/// A frame that is well formed, though nobody may ever have sent its like.
fn invent(random: &mut Random) -> Frame {
    let (source, destination) = (station(random), station(random));
    let mut frame = Frame::eth().stations(source, destination);
    let tags = random.pick(&[0, 0, 0, 1, 1, 2, 2, 3], 0);
    for _ in 0..tags {
        let id = random.word();
        frame = if random.one_in(3) {
            frame.provider_vlan(id)
        } else {
            frame.vlan(id)
        };
    }
    if random.one_in(6) {
        frame = frame.pppoe();
    }
    if random.one_in(30) {
        return arp_or_the_like(random, frame);
    }
    frame = if random.one_in(2) {
        ipv6(random, frame)
    } else {
        ipv4(random, frame)
    };
    if random.one_in(4) {
        return naming(random, frame);
    }
    frame = transport(random, frame);
    let length = random.pick(&[0, 0, 1, 5, 18, 100, 600], 0);
    frame = frame.payload(&random.bytes(length));
    if random.one_in(3) {
        frame = frame.padded();
    }
    frame
}

/// A station that the policies of the tests know, a neighbour of one, or any.
pub(super) fn station(random: &mut Random) -> [u8; 6] {
    let [a, b, c, d, e, f, ..] = random.number().to_le_bytes();
    let any = [a, b, c, d, e, f];
    random.pick(&[OTHER_MAC, OTHER_MAC, KID_MAC, SUPPORT_MAC, any], any)
}

fn arp_or_the_like(random: &mut Random, frame: Frame) -> Frame {
    let any = random.word();
    let ethertype = random.pick(&[0x0806, 0x88cc, 0x0042, 0x9100, any], any);
    let payload = random.bytes(46);
    frame.ethertype(ethertype).payload(&payload)
}

fn ipv4(random: &mut Random, frame: Frame) -> Frame {
    let (source, destination) = (v4(random), v4(random));
    let mut frame = frame.ip(IpAddr::V4(source), IpAddr::V4(destination));
    if random.one_in(4) {
        frame = frame.options(random.below(11));
    }
    if random.one_in(8) {
        let (offset, more) = fragment(random);
        frame = frame.fragment(offset, more);
    }
    frame
}

fn ipv6(random: &mut Random, frame: Frame) -> Frame {
    let (source, destination) = (v6(random), v6(random));
    let mut frame = frame.ip(IpAddr::V6(source), IpAddr::V6(destination));
    if random.one_in(3) {
        for _ in 0..random.below(11) {
            frame = frame.extensions(&[extension(random)]);
        }
    }
    frame
}

fn extension(random: &mut Random) -> Extension {
    let units = random.pick(&[0, 0, 0, 1, 2, 5], 0);
    match random.below(6) {
        0 => Extension::hop_by_hop(units),
        1 => Extension::routing(units),
        2 => Extension::destination(units),
        3 => Extension::mobility(units),
        4 => Extension::authentication(units),
        _ => {
            let (offset, more) = fragment(random);
            Extension::fragment(offset, more)
        }
    }
}

fn fragment(random: &mut Random) -> (u16, bool) {
    let any = random.word();
    (random.pick(&[0, 0, 0, 1, 0x1fff, any], 0), random.one_in(2))
}

fn transport(random: &mut Random, frame: Frame) -> Frame {
    let (source, destination) = (port(random), port(random));
    match random.below(16) {
        0..=8 => {
            let frame = frame.tcp(source, destination);
            let set = random.pick(
                &[flags::SYN, flags::ACK, flags::PSH | flags::ACK],
                flags::RST,
            );
            let words = random.pick(&[0, 0, 0, 3, 5, 10], 0);
            frame.flags(set).options(words)
        }
        9..=14 => frame.udp(source, destination),
        _ => {
            let any = random.byte();
            frame.protocol(random.pick(&[1, 2, 47, 50, 51, 58, 59, 132], any))
        }
    }
}

/// A packet whose payload names a host, mostly towards the port where that is looked for, and
/// sometimes with damage in the payload.
fn naming(random: &mut Random, frame: Frame) -> Frame {
    let name = name(random);
    let other = port(random);
    let (frame, mut payload) = if random.one_in(2) {
        let remote = random.pick(&[53, 53, 53, 5353], other);
        (frame.udp(other, remote), dns_query(&name))
    } else {
        let remote = random.pick(&[443, 443, 80], other);
        let hello = ClientHello::new(&name).padded(random.below(500));
        let hello = hello.session_id(random.pick(&[0, 32, 33], 1));
        let payload = hello.shuffled(random).build();
        (frame.tcp(other, remote).options(random.below(11)), payload)
    };
    if random.one_in(4) {
        mutate(random, &mut payload);
    }
    frame.payload(&payload)
}

/// A known name or a neighbour of one, sometimes under labels of its own, in random case.
pub(super) fn name(random: &mut Random) -> String {
    let mut name = String::new();
    for _ in 0..random.pick(&[0, 0, 1, 2, 12, 130], 0) {
        name.push_str(random.pick(&["web.", "a.", "x"], "."));
    }
    name.push_str(random.pick(NAMES, ""));
    let capitals = name.chars().map(|letter| match random.one_in(4) {
        true => letter.to_ascii_uppercase(),
        false => letter,
    });
    capitals.collect()
}

pub(super) fn port(random: &mut Random) -> u16 {
    let any = random.word();
    match random.below(4) {
        0 => any,
        _ => random.pick(PORTS, any),
    }
}

pub(super) fn v4(random: &mut Random) -> Ipv4Addr {
    let any = random.number().to_le_bytes();
    let [a, b, c, d, ..] = any;
    match random.below(8) {
        0 => Ipv4Addr::new(a, b, c, d),
        1 => Ipv4Addr::new(10, 0, 5, d),
        _ => random.pick(V4, Ipv4Addr::UNSPECIFIED),
    }
}

pub(super) fn v6(random: &mut Random) -> Ipv6Addr {
    let (high, low) = (random.number(), random.number());
    let any = Ipv6Addr::from(u128::from(high) << 64 | u128::from(low));
    match random.below(8) {
        0 => any,
        _ => random.pick(V6, any),
    }
}
