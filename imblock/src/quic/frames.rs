//! The frames of an Initial packet (RFC 9000 sections 17.2.2 and 19).

use super::cursor::Cursor;

const PADDING: u64 = 0x00;
const PING: u64 = 0x01;
const ACK: u64 = 0x02;
const ACK_ECN: u64 = 0x03;
const CRYPTO: u64 = 0x06;
const CONNECTION_CLOSE: u64 = 0x1c;

/// A piece of the handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Crypto<'a> {
    /// Where in the handshake it begins.
    pub(super) offset: u64,
    pub(super) data: &'a [u8],
}

/// The pieces of the handshake in an opened packet. Ends at the first frame that is cut or that an
/// Initial packet may not carry: a server does not read on there either.
pub(super) struct CryptoFrames<'a> {
    cursor: Cursor<'a>,
}

impl<'a> CryptoFrames<'a> {
    pub(super) fn new(frames: &'a [u8]) -> Self {
        Self {
            cursor: Cursor::new(frames),
        }
    }
}

impl<'a> Iterator for CryptoFrames<'a> {
    type Item = Crypto<'a>;

    fn next(&mut self) -> Option<Crypto<'a>> {
        loop {
            match self.cursor.varint()? {
                PADDING | PING => {}
                ACK => skip_ack(&mut self.cursor)?,
                ACK_ECN => {
                    skip_ack(&mut self.cursor)?;
                    skip_varints(&mut self.cursor, 3)?;
                }
                CRYPTO => {
                    let offset = self.cursor.varint()?;
                    let data = self.cursor.with_varint_length()?;
                    return Some(Crypto { offset, data });
                }
                CONNECTION_CLOSE => {
                    skip_varints(&mut self.cursor, 2)?;
                    self.cursor.with_varint_length()?;
                }
                _ => return None,
            }
        }
    }
}

fn skip_ack(cursor: &mut Cursor<'_>) -> Option<()> {
    let (_largest, _delay) = (cursor.varint()?, cursor.varint()?);
    let ranges = cursor.varint()?;
    let _first_range = cursor.varint()?;
    // A gap and a length each. The count may lie; the packet's end stops it.
    skip_varints(cursor, ranges.saturating_mul(2))
}

fn skip_varints(cursor: &mut Cursor<'_>, count: u64) -> Option<()> {
    for _ in 0..count {
        cursor.varint()?;
    }
    Some(())
}
