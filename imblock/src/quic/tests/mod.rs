//! Tests of the QUIC reader, and what they share: packets made to order.

mod captures;
mod connection;
mod connections;
mod hello;
mod random;
mod vectors;

use aes_gcm::aead::AeadInOut;

use super::Key;
use super::header::{SAMPLE, SAMPLE_AFTER};
use super::keys::Keys;
use super::version::{PacketType, Version};

pub(super) const V1: u32 = 1;
pub(super) const V2: u32 = 0x6b33_43cf;

/// A host, and the number of a connection of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Of(u32, u32);

impl Key for Of {
    type Host = u32;

    fn host(&self) -> u32 {
        self.0
    }
}

/// The Initial packet of a client, as it wants to send it.
#[derive(Clone, Debug)]
struct Draft {
    version: u32,
    /// From which the keys follow.
    keys_from: Vec<u8>,
    destination_id: Vec<u8>,
    source_id: Vec<u8>,
    token: Vec<u8>,
    number: u32,
    /// Bytes of the number that are sent.
    number_length: usize,
    frames: Vec<u8>,
}

impl Draft {
    fn new(frames: Vec<u8>) -> Self {
        let id = b"original".to_vec();
        Self {
            version: V1,
            keys_from: id.clone(),
            destination_id: id,
            source_id: b"client".to_vec(),
            token: Vec::new(),
            number: 0,
            number_length: 1,
            frames,
        }
    }

    /// The protected packet (RFC 9001 section 5.4).
    fn seal(&self) -> Vec<u8> {
        let version = Version::from_number(self.version).unwrap();
        let keys = Keys::of_client(version, &self.keys_from).unwrap();
        let initial = (0..4_u8).find(|bits| version.packet_type(bits << 4) == PacketType::Initial);
        let first = 0xc0 | initial.unwrap() << 4 | (self.number_length as u8 - 1);
        let mut frames = self.frames.clone();
        // Enough for the sample, whatever the length of the number.
        frames.resize(frames.len().max(4), 0);

        let mut packet = long_header(first, self.version, &self.destination_id, &self.source_id);
        packet.extend(varint(self.token.len()));
        packet.extend(&self.token);
        packet.extend(varint(self.number_length + frames.len() + 16));
        let number_at = packet.len();
        packet.extend(&self.number.to_be_bytes()[4 - self.number_length..]);

        let nonce = keys.nonce(u64::from(self.number)).into();
        keys.packet
            .encrypt_in_place(&nonce, &packet, &mut frames)
            .unwrap();
        packet.extend(frames);

        let sample_at = number_at + SAMPLE_AFTER;
        let mask = keys.mask(packet[sample_at..sample_at + SAMPLE].try_into().unwrap());
        packet[0] ^= mask[0] & 0x0f;
        for at in 0..self.number_length {
            packet[number_at + at] ^= mask[1 + at];
        }
        packet
    }
}

fn long_header(first: u8, version: u32, destination_id: &[u8], source_id: &[u8]) -> Vec<u8> {
    let mut header = vec![first];
    header.extend(version.to_be_bytes());
    header.push(destination_id.len() as u8);
    header.extend(destination_id);
    header.push(source_id.len() as u8);
    header.extend(source_id);
    header
}

/// A variable-length integer, in four bytes.
fn varint(value: usize) -> [u8; 4] {
    (0x8000_0000 | value as u32).to_be_bytes()
}

/// A CRYPTO frame with the part of the handshake that begins at `offset`.
fn crypto(offset: usize, data: &[u8]) -> Vec<u8> {
    let mut frame = vec![6];
    frame.extend(varint(offset));
    frame.extend(varint(data.len()));
    frame.extend(data);
    frame
}

/// A datagram with one Initial packet and that part of the handshake.
fn datagram(number: u32, offset: usize, data: &[u8]) -> Vec<u8> {
    Draft {
        number,
        ..Draft::new(crypto(offset, data))
    }
    .seal()
}

/// A ClientHello with these extensions.
fn hello(extensions: &[(u16, Vec<u8>)]) -> Vec<u8> {
    let mut content = Vec::new();
    for (kind, bytes) in extensions {
        content.extend(kind.to_be_bytes());
        content.extend(with_length(bytes));
    }
    let mut body = vec![3, 3];
    body.extend([0x5a; 32]); // random
    body.extend([0]); // session id
    body.extend([0, 2, 0x13, 0x01]); // cipher suites
    body.extend([1, 0]); // compression methods
    body.extend(with_length(&content));
    let mut hello = (body.len() as u32).to_be_bytes().to_vec();
    hello[0] = 1;
    hello.extend(body);
    hello
}

fn sni(name: &str) -> (u16, Vec<u8>) {
    let mut entry = vec![0];
    entry.extend(with_length(name.as_bytes()));
    (0, with_length(&entry))
}

fn alpn(protocols: &[&[u8]]) -> (u16, Vec<u8>) {
    let mut list = Vec::new();
    for protocol in protocols {
        list.push(protocol.len() as u8);
        list.extend(*protocol);
    }
    (16, with_length(&list))
}

/// A hello as browsers send it now: with a key share of a post-quantum group, before the name.
fn large_hello(name: &str) -> Vec<u8> {
    hello(&[
        (0x0a0a, vec![]),
        (51, vec![0x17; 1300]),
        alpn(&[b"h3"]),
        sni(name),
        (57, vec![0x39; 300]),
    ])
}

fn with_length(bytes: &[u8]) -> Vec<u8> {
    let mut out = (bytes.len() as u16).to_be_bytes().to_vec();
    out.extend(bytes);
    out
}

/// Datagrams in hexadecimal, one a line.
fn datagrams(lines: &str) -> Vec<Vec<u8>> {
    lines.lines().map(unhex).collect()
}

fn unhex(hex: &str) -> Vec<u8> {
    let byte = |at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    (0..hex.len()).step_by(2).map(byte).collect()
}
