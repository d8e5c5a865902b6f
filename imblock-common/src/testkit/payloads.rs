//! Payloads that name a host: a TLS hello, a DNS question, requests to a web server and to a proxy.

use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr};

use super::headers::length16;
use super::{Random, alloc};

/// A TLS 1.3 ClientHello (RFC 8446 section 4.1.2) in the making.
#[derive(Clone, Debug)]
pub struct ClientHello {
    session_id: usize,
    extensions: Vec<(u16, Vec<u8>)>,
}

/// Extension numbers, IANA "TLS ExtensionType Values".
const SERVER_NAME: u16 = 0;
const PROTOCOLS: u16 = 16;
const PADDING: u16 = 21;
const KEY_SHARE: u16 = 51;
/// X25519MLKEM768, and the bytes of its share (draft-ietf-tls-ecdhe-mlkem).
const POST_QUANTUM: u16 = 0x11ec;
const POST_QUANTUM_SHARE: usize = 1184 + 32;
/// Reserved extensions that servers must ignore (RFC 8701).
const GREASE: [u16; 2] = [0x0a0a, 0xfafa];

impl ClientHello {
    /// A hello to a host, its name first among the extensions.
    pub fn new(host: &str) -> Self {
        Self::nameless().with_name(0, host)
    }

    /// A hello that says no name.
    pub fn nameless() -> Self {
        Self {
            session_id: 32,
            extensions: Vec::from([
                (23, Vec::new()),
                (10, Vec::from([0, 4, 0, 29, 0, 23])),
                (PROTOCOLS, Vec::from(*b"\0\x03\x02h2")),
                (43, Vec::from([2, 3, 4])),
                (
                    KEY_SHARE,
                    [0, 36, 0, 29, 0, 32].into_iter().chain([9; 32]).collect(),
                ),
            ]),
        }
    }

    /// Adds a server name extension in front; `kind` is 0 for a host name (RFC 6066 section 3).
    #[must_use]
    pub fn with_name(self, kind: u8, host: &str) -> Self {
        let name = host.as_bytes();
        let mut data = Vec::new();
        data.extend(length16(name.len() + 3).to_be_bytes());
        data.push(kind);
        data.extend(length16(name.len()).to_be_bytes());
        data.extend(name);
        self.with_extension(SERVER_NAME, &data)
    }

    /// Adds an extension in front.
    #[must_use]
    pub fn with_extension(mut self, kind: u16, data: &[u8]) -> Self {
        self.extensions.insert(0, (kind, data.to_vec()));
        self
    }

    /// Adds a padding extension of that many bytes in front.
    #[must_use]
    pub fn padded(self, bytes: usize) -> Self {
        let zeros: Vec<u8> = core::iter::repeat_n(0, bytes).collect();
        self.with_extension(PADDING, &zeros)
    }

    /// Offers these protocols and no other (RFC 7301); none at all if the list is empty.
    #[must_use]
    pub fn protocols(mut self, protocols: &[&str]) -> Self {
        self.extensions.retain(|(kind, _)| *kind != PROTOCOLS);
        if protocols.is_empty() {
            return self;
        }
        let mut list = Vec::new();
        for protocol in protocols {
            list.push(u8::try_from(protocol.len()).unwrap_or(u8::MAX));
            list.extend(protocol.as_bytes());
        }
        let mut data = Vec::from(length16(list.len()).to_be_bytes());
        data.extend(list);
        self.with_extension(PROTOCOLS, &data)
    }

    /// Sends a post-quantum key share, too, and the reserved extensions that browsers add, so that
    /// the hello takes more than one packet.
    #[must_use]
    pub fn post_quantum(mut self) -> Self {
        self.extensions.retain(|(kind, _)| *kind != KEY_SHARE);
        let classic = [0, 29, 0, 32].into_iter().chain([9; 32]);
        let mut list = Vec::from(POST_QUANTUM.to_be_bytes());
        list.extend(length16(POST_QUANTUM_SHARE).to_be_bytes());
        list.extend(core::iter::repeat_n(9, POST_QUANTUM_SHARE));
        list.extend(classic);
        let mut data = Vec::from(length16(list.len()).to_be_bytes());
        data.extend(list);
        let [first, last] = GREASE;
        self.extensions.push((last, Vec::from([0])));
        self.with_extension(KEY_SHARE, &data)
            .with_extension(first, &[])
    }

    /// Sets the length of the session id, in bytes.
    #[must_use]
    pub const fn session_id(mut self, bytes: usize) -> Self {
        self.session_id = bytes;
        self
    }

    /// Puts the extensions into a random order.
    #[must_use]
    pub fn shuffled(mut self, random: &mut Random) -> Self {
        for index in (1..self.extensions.len()).rev() {
            let other = random.below(index + 1);
            self.extensions.swap(index, other);
        }
        self
    }

    /// The bytes, in one record.
    pub fn build(&self) -> Vec<u8> {
        self.build_records(usize::MAX)
    }

    /// The bytes, in records of at most that many bytes.
    pub fn build_records(&self, most: usize) -> Vec<u8> {
        let handshake = self.handshake();
        let records = handshake.chunks(most.clamp(1, 0x4000)).map(|part| {
            let mut record = Vec::from([22, 3, 1]);
            record.extend(length16(part.len()).to_be_bytes());
            record.extend(part);
            record
        });
        records.flatten().collect()
    }

    /// The handshake message, without a record around it.
    pub fn handshake(&self) -> Vec<u8> {
        let mut extensions = Vec::new();
        for (kind, data) in &self.extensions {
            extensions.extend(kind.to_be_bytes());
            extensions.extend(length16(data.len()).to_be_bytes());
            extensions.extend(data);
        }
        let mut hello = Vec::from([3, 3]);
        hello.extend([7; 32]);
        hello.push(u8::try_from(self.session_id).unwrap_or(u8::MAX));
        hello.extend(core::iter::repeat_n(8, self.session_id));
        hello.extend([0, 6, 0x13, 1, 0x13, 2, 0xc0, 0x2f]);
        hello.extend([1, 0]);
        hello.extend(length16(extensions.len()).to_be_bytes());
        hello.extend(extensions);
        let mut handshake = Vec::from([1, 0]);
        handshake.extend(length16(hello.len()).to_be_bytes());
        handshake.extend(hello);
        handshake
    }
}

/// A DNS query for the IPv4 address of a host (RFC 1035 section 4.1). A label that is too long for
/// the wire is cut to 63 bytes.
pub fn dns_query(host: &str) -> Vec<u8> {
    let mut message = Vec::from([0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in host.split('.').filter(|label| !label.is_empty()) {
        let label = label.as_bytes();
        let length = label.len().min(63);
        message.push(u8::try_from(length).unwrap_or(63));
        message.extend(label.iter().take(length));
    }
    message.extend([0, 0, 1, 0, 1]);
    message
}

/// The same query over TCP: its length in front (RFC 7766 section 8).
pub fn dns_query_tcp(host: &str) -> Vec<u8> {
    let message = dns_query(host);
    let mut bytes = Vec::from(length16(message.len()).to_be_bytes());
    bytes.extend(message);
    bytes
}

/// An HTTP/1.1 request with a `Host` field behind another one; `target` and `host` as they are to
/// stand there.
pub fn http_request(method: &str, target: &str, host: &str) -> Vec<u8> {
    let start = [
        method,
        " ",
        target,
        " HTTP/1.1\r\nUser-Agent: test\r\nHost: ",
    ]
    .concat();
    [&start, host, "\r\nAccept: */*\r\n\r\n"]
        .concat()
        .into_bytes()
}

/// A SOCKS5 request to connect to a host (RFC 1928 section 4).
pub fn socks5_host(host: &str, port: u16) -> Vec<u8> {
    let mut request = Vec::from([5, 1, 0, 3]);
    request.push(u8::try_from(host.len()).unwrap_or(u8::MAX));
    request.extend(host.as_bytes());
    request.extend(port.to_be_bytes());
    request
}

/// A SOCKS5 request to connect to an address.
pub fn socks5_address(address: IpAddr, port: u16) -> Vec<u8> {
    let mut request = Vec::from([5, 1, 0]);
    match address {
        IpAddr::V4(address) => {
            request.push(1);
            request.extend(address.octets());
        }
        IpAddr::V6(address) => {
            request.push(4);
            request.extend(address.octets());
        }
    }
    request.extend(port.to_be_bytes());
    request
}

/// A SOCKS4 request to connect to an address, for a user.
pub fn socks4_address(address: Ipv4Addr, port: u16, user: &str) -> Vec<u8> {
    let mut request = Vec::from([4, 1]);
    request.extend(port.to_be_bytes());
    request.extend(address.octets());
    request.extend(user.as_bytes());
    request.push(0);
    request
}

/// A SOCKS4a request to connect to a host, for a user.
pub fn socks4_host(host: &str, port: u16, user: &str) -> Vec<u8> {
    let mut request = socks4_address(Ipv4Addr::new(0, 0, 0, 1), port, user);
    request.extend(host.as_bytes());
    request.push(0);
    request
}
