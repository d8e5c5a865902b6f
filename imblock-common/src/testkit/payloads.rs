//! Payloads that name a host: a TLS hello and a DNS question.

use alloc::vec::Vec;

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
const PADDING: u16 = 21;

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
                (16, Vec::from(*b"\0\x03\x02h2")),
                (43, Vec::from([2, 3, 4])),
                (
                    51,
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

    /// The bytes, record header included.
    pub fn build(&self) -> Vec<u8> {
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
        let mut record = Vec::from([22, 3, 1]);
        record.extend(length16(hello.len() + 4).to_be_bytes());
        record.extend([1, 0]);
        record.extend(length16(hello.len()).to_be_bytes());
        record.extend(hello);
        record
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
