//! Which Initial packets a datagram holds (RFC 9000 sections 12.2 and 17.2).
//!
//! Invariant: an [`Initial`] is long enough for the sample of its header protection.

use super::connection::NotRead;
use super::cursor::Cursor;
use super::version::{NEGOTIATION, PacketType, Version};

/// Header protection is sampled this far behind the first byte of the packet number, however long
/// that is (RFC 9001 section 5.4.2).
pub(super) const SAMPLE_AFTER: usize = 4;
/// Length in bytes of the sample.
pub(super) const SAMPLE: usize = 16;

const LONG_HEADER: u8 = 0x80;

/// An Initial packet, still protected.
#[derive(Clone, Copy, Debug)]
pub(super) struct Initial<'a> {
    pub(super) version: &'static Version,
    pub(super) destination_id: &'a [u8],
    /// The whole packet.
    pub(super) bytes: &'a [u8],
    /// Where in it the packet number begins.
    pub(super) number_at: usize,
}

/// The Initial packets of a datagram, in order. Handshake and 0-RTT packets between them are
/// skipped. Nothing comes after an error: nobody knows where the next packet would begin.
pub(super) struct Initials<'a> {
    rest: &'a [u8],
}

/// What stands at a place of a datagram.
enum Found<'a> {
    Initial(Initial<'a>),
    Skipped,
    /// A packet of no client, or one that says no length: it is the last.
    Last,
}

impl<'a> Initials<'a> {
    pub(super) fn new(datagram: &'a [u8]) -> Self {
        Self { rest: datagram }
    }

    fn packet(&mut self) -> Result<Found<'a>, NotRead> {
        let bytes = std::mem::take(&mut self.rest);
        let mut cursor = Cursor::new(bytes);
        // The bit below, which RFC 9000 wants set, may be anything (RFC 9287).
        let first = match cursor.u8() {
            Some(first) if first & LONG_HEADER != 0 => first,
            _ => return Ok(Found::Last),
        };
        let number = cursor.u32().ok_or(NotRead::Truncated)?;
        if number == NEGOTIATION {
            return Ok(Found::Last);
        }
        let version = Version::from_number(number).ok_or(NotRead::OtherVersion(number))?;
        let packet_type = version.packet_type(first);
        if packet_type == PacketType::Retry {
            return Ok(Found::Last);
        }
        self.body(version, packet_type, bytes, cursor)
            .ok_or(NotRead::Truncated)
    }

    /// The rest of the packet, from its connection ids on.
    fn body(
        &mut self,
        version: &'static Version,
        packet_type: PacketType,
        bytes: &'a [u8],
        mut cursor: Cursor<'a>,
    ) -> Option<Found<'a>> {
        let destination_id = cursor.with_u8_length()?;
        let _source_id = cursor.with_u8_length()?;
        if packet_type == PacketType::Initial {
            let _token = cursor.with_varint_length()?;
        }
        let length = usize::try_from(cursor.varint()?).ok()?;
        let number_at = bytes.len().checked_sub(cursor.rest().len())?;
        cursor.take(length)?;
        self.rest = cursor.rest();
        if packet_type != PacketType::Initial {
            return Some(Found::Skipped);
        }
        if length < SAMPLE_AFTER + SAMPLE {
            return None;
        }
        let bytes = bytes.get(..number_at.checked_add(length)?)?;
        Some(Found::Initial(Initial {
            version,
            destination_id,
            bytes,
            number_at,
        }))
    }
}

impl<'a> Iterator for Initials<'a> {
    type Item = Result<Initial<'a>, NotRead>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.packet() {
                Ok(Found::Initial(initial)) => return Some(Ok(initial)),
                Ok(Found::Skipped) => {}
                Ok(Found::Last) => return None,
                Err(not_read) => return Some(Err(not_read)),
            }
        }
    }
}
