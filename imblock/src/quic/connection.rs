//! A client's side of a QUIC connection, up to its ClientHello.

use std::collections::VecDeque;

use super::crypto_stream::CryptoStream;
use super::frames::CryptoFrames;
use super::header::{Initial, Initials};
use super::keys::{Keys, Opened};
use super::version::Version;

/// How many handshakes are followed between two ends at a time: the one that a Retry made begin
/// again and its successor, or two connections that share their ports.
pub const ATTEMPTS_MAX: usize = 2;

/// The most memory that a connection takes, in bytes, whatever its client sends. Where the crate is
/// compiled for 64 bits that is some 23 KiB.
pub const CONNECTION_BYTES: usize =
    ATTEMPTS_MAX * (size_of::<Attempt>() + ID_MAX + CryptoStream::HEAP_MAX);
const _: () = assert!(CONNECTION_BYTES <= 23 << 10);

/// A connection id's length is one byte.
const ID_MAX: usize = 255;

/// How many Initial packets of a datagram are tried. Clients send one or two.
const INITIALS_MAX: usize = 8;

/// What a client has sent to one server. Knows no addresses: whoever feeds it takes care that the
/// datagrams have the same two ends. What the server sends does no harm: it is not under the keys
/// of the client.
#[derive(Debug, Default)]
pub struct Connection {
    /// The one that was fed last is in front.
    attempts: VecDeque<Attempt>,
}

/// What a datagram brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// A piece of the handshake, but its beginning is still missing.
    Waiting,
    /// A piece of the handshake; [`Connection::hello`] has its beginning, and maybe all of it.
    Hello,
    /// Nothing.
    Nothing(NotRead),
}

/// Why nothing of a handshake was read from a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum NotRead {
    /// Another protocol, or packets of later in a connection.
    #[error("no Initial packet in it")]
    NotInitial,
    /// A version of QUIC (or something that looks like one) whose keys are not known.
    #[error("version {0:#010x} is not known")]
    OtherVersion(u32),
    /// A packet would end behind the datagram, or is too short to be one.
    #[error("a packet in it is cut")]
    Truncated,
    /// Damaged, or sent by the server, or of a connection whose first packet was not seen.
    #[error("the packet is not under the keys of this connection")]
    Undecryptable,
    /// Acknowledgements and the like, or frames that make no sense.
    #[error("no piece of a handshake in the packet")]
    NoHandshake,
    /// More than [`super::HANDSHAKE_MAX`] bytes, or cut in more than [`super::PIECES_MAX`] pieces.
    #[error("the handshake is too long, or in too many pieces")]
    TooMuch,
}

impl Connection {
    /// Reads what the client sent in one UDP datagram. At most eight Initial packets of it are
    /// opened.
    pub fn datagram(&mut self, payload: &[u8]) -> Progress {
        let mut not_read = None;
        let mut read = false;
        for packet in Initials::new(payload).take(INITIALS_MAX) {
            match packet.and_then(|packet| self.packet(&packet)) {
                Ok(()) => read = true,
                Err(reason) => not_read = not_read.or(Some(reason)),
            }
        }
        if !read {
            Progress::Nothing(not_read.unwrap_or(NotRead::NotInitial))
        } else if self.hello().is_empty() {
            Progress::Waiting
        } else {
            Progress::Hello
        }
    }

    /// What has come of the handshake that was fed last, from its start up to the first gap: a
    /// ClientHello with its handshake header, for [`super::client_hello`].
    pub fn hello(&self) -> &[u8] {
        self.attempts
            .front()
            .map_or(&[], |attempt| attempt.stream.prefix())
    }

    /// What it has on the heap, in bytes.
    #[cfg(test)]
    pub(super) fn heap(&self) -> usize {
        let attempts = self.attempts.iter();
        let held = attempts.map(|it| it.destination_id.capacity() + it.stream.heap());
        self.attempts.capacity() * size_of::<Attempt>() + held.sum::<usize>()
    }

    fn packet(&mut self, packet: &Initial<'_>) -> Result<(), NotRead> {
        let frames = self.open(packet).ok_or(NotRead::Undecryptable)?;
        // `open` has put the attempt to which the packet belongs in front.
        let attempt = self.attempts.front_mut().ok_or(NotRead::Undecryptable)?;
        let mut outcome = Err(NotRead::NoHandshake);
        for frame in CryptoFrames::new(&frames) {
            match attempt.stream.insert(frame) {
                Ok(()) => outcome = Ok(()),
                Err(_) if outcome.is_ok() => {}
                Err(_) => outcome = Err(NotRead::TooMuch),
            }
        }
        outcome
    }

    /// The frames of a packet. The known keys are tried first: once the server has answered, the
    /// client uses the connection id that the server chose, but the keys stay (RFC 9001 section
    /// 5.2). After a Retry, the keys follow from the new id, and the handshake begins again.
    fn open(&mut self, packet: &Initial<'_>) -> Option<Vec<u8>> {
        for at in 0..self.attempts.len() {
            let opened = self.attempts.get_mut(at).and_then(|it| it.open(packet));
            if let Some(frames) = opened {
                self.attempts.swap(0, at);
                return Some(frames);
            }
        }
        let (attempt, frames) = Attempt::new(packet)?;
        self.attempts.truncate(ATTEMPTS_MAX - 1);
        // Not in steps of four, of which two would never be used.
        self.attempts.reserve_exact(1);
        self.attempts.push_front(attempt);
        Some(frames)
    }
}

/// One handshake.
#[derive(Debug)]
struct Attempt {
    /// From which the keys follow.
    destination_id: Vec<u8>,
    version: &'static Version,
    keys: Keys,
    largest_number: u64,
    stream: CryptoStream,
}

impl Attempt {
    /// The handshake that begins with this packet, and the packet's frames.
    fn new(packet: &Initial<'_>) -> Option<(Self, Vec<u8>)> {
        let keys = Keys::of_client(packet.version, packet.destination_id)?;
        let Opened { number, frames } = keys.open(packet, None)?;
        let attempt = Self {
            destination_id: packet.destination_id.to_vec(),
            version: packet.version,
            keys,
            largest_number: number,
            stream: CryptoStream::default(),
        };
        Some((attempt, frames))
    }

    fn open(&mut self, packet: &Initial<'_>) -> Option<Vec<u8>> {
        if !std::ptr::eq(self.version, packet.version) {
            // The server may have chosen another version: the same handshake goes on in it, with
            // keys from the same connection id (RFC 9369 section 4.1).
            let keys = Keys::of_client(packet.version, &self.destination_id)?;
            let opened = keys.open(packet, Some(self.largest_number))?;
            (self.version, self.keys) = (packet.version, keys);
            return Some(self.opened(opened));
        }
        let opened = self.keys.open(packet, Some(self.largest_number))?;
        Some(self.opened(opened))
    }

    fn opened(&mut self, opened: Opened) -> Vec<u8> {
        self.largest_number = self.largest_number.max(opened.number);
        opened.frames
    }
}
