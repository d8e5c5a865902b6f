//! The pcapng format (draft-ietf-opsawg-pcapng): blocks, of which sections, interfaces and packets
//! matter here. Blocks of other types are passed over, whatever they hold.

use std::io::Read;
use std::ops::Range;

use super::window::{RECORD_MAX, Window};
use super::{Damage, Found, Problem};

/// Type of the block that begins a section; it reads the same from both ends.
pub(super) const MAGIC: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];

/// Block types that matter.
mod block {
    pub(super) const SECTION: u32 = 0x0a0d_0d0a;
    pub(super) const INTERFACE: u32 = 1;
    /// The packet block of old files.
    pub(super) const PACKET: u32 = 2;
    pub(super) const SIMPLE_PACKET: u32 = 3;
    pub(super) const ENHANCED_PACKET: u32 = 6;
}

/// Options of an interface that matter.
mod option {
    pub(super) const END: u16 = 0;
    /// `if_tsresol`
    pub(super) const TIME_RESOLUTION: u16 = 9;
    /// `if_tsoffset`
    pub(super) const TIME_OFFSET: u16 = 14;
}

/// What `if_tsresol` is where it is left out.
const MICROSECONDS: u8 = 6;

/// Type and length, in front of every block.
const BLOCK_HEADER: usize = 8;
/// The length once more, behind every block.
const BLOCK_TRAILER: usize = 4;
const BLOCK_MIN: u32 = 12;
const BYTE_ORDER_MAGIC: u32 = 0x1a2b_3c4d;
/// Fields of a section header: byte order, version, length of the section.
const SECTION_HEADER: usize = 16;
/// Fields of an interface description in front of its options: link type, reserved, snap length.
const INTERFACE_HEADER: usize = 8;
/// Fields of a packet block in front of the packet: interface, time (two words), both lengths.
const PACKET_HEADER: usize = 20;
/// The one field of a simple packet block in front of the packet: its length on the wire.
const SIMPLE_PACKET_HEADER: usize = 4;
/// More interfaces than any machine has. Their descriptions are the one thing that is kept.
const INTERFACES_MAX: usize = 65_536;

/// The section that is being read.
#[derive(Debug, Default)]
pub(super) struct PcapNg {
    big_endian: bool,
    interfaces: Vec<Interface>,
    /// Of the frame before, in nanoseconds: simple packets have no time of their own.
    timestamp: u64,
}

#[derive(Clone, Copy, Debug)]
struct Interface {
    link_type: u16,
    /// Bytes kept of each frame; 0 for all.
    snap_length: u32,
    units_per_second: u64,
    /// To be added to every time, in seconds.
    offset: i64,
}

impl PcapNg {
    pub(super) fn next<R: Read>(
        &mut self,
        window: &mut Window<R>,
    ) -> Result<Option<Found>, Problem> {
        loop {
            let Some((kind, length)) = self.block_start(window)? else {
                return Ok(None);
            };
            if !matters(kind) {
                whole(window.skip(length.into())?)?;
                continue;
            }
            let size = match usize::try_from(length) {
                Ok(size) if size <= RECORD_MAX => size,
                _ => return Err(Damage::TooLong(length.into()).into()),
            };
            whole(window.advance(size)? as u64)?;
            if let Some(found) = self.block(kind, length, window.current())? {
                return Ok(Some(found));
            }
        }
    }

    /// Type and length of the next block; none at the end. A section header says in which byte
    /// order it and what follows is written.
    fn block_start<R: Read>(
        &mut self,
        window: &mut Window<R>,
    ) -> Result<Option<(u32, u32)>, Problem> {
        let start = window.peek(BLOCK_HEADER + size_of::<u32>())?;
        if start.is_empty() {
            return Ok(None);
        }
        if let (Some(&MAGIC), Some(order)) = (start.first_chunk(), chunk(start, BLOCK_HEADER)) {
            self.big_endian = match (u32::from_be_bytes(order), u32::from_le_bytes(order)) {
                (BYTE_ORDER_MAGIC, _) => true,
                (_, BYTE_ORDER_MAGIC) => false,
                _ => return Err(Damage::Block("section header").into()),
            };
        }
        match (
            self.word(start, 0),
            self.word(start, 4),
            chunk::<4>(start, BLOCK_HEADER),
        ) {
            (Some(_), Some(length), _) if length < BLOCK_MIN => {
                Err(Damage::Lengths(length, BLOCK_MIN).into())
            }
            (Some(kind), Some(length), Some(_)) => Ok(Some((kind, length))),
            _ => Err(Problem::Cut {
                missing: (BLOCK_HEADER + size_of::<u32>() - start.len()) as u64,
            }),
        }
    }

    /// Takes in a whole block. A frame, if it is a packet.
    fn block(&mut self, kind: u32, length: u32, block: &[u8]) -> Result<Option<Found>, Damage> {
        let body = BLOCK_HEADER..block.len().saturating_sub(BLOCK_TRAILER);
        match self.word(block, body.end) {
            Some(trailer) if trailer == length => {}
            trailer => return Err(Damage::Lengths(length, trailer.unwrap_or_default())),
        }
        let inside = block.get(body.clone()).unwrap_or_default();
        match kind {
            block::SECTION => self.section(inside).map(|()| None),
            block::INTERFACE => self.interface(inside).map(|()| None),
            block::SIMPLE_PACKET => self.simple_packet(block, body).map(Some),
            _ => self.packet(kind, block, body).map(Some),
        }
    }

    fn section(&mut self, body: &[u8]) -> Result<(), Damage> {
        if body.len() < SECTION_HEADER {
            return Err(Damage::Block("section header"));
        }
        self.interfaces.clear();
        Ok(())
    }

    fn interface(&mut self, body: &[u8]) -> Result<(), Damage> {
        const DAMAGE: Damage = Damage::Block("interface description");
        let options = body.get(INTERFACE_HEADER..).ok_or(DAMAGE)?;
        if self.interfaces.len() == INTERFACES_MAX {
            return Err(DAMAGE);
        }
        let resolution = self.option(options, option::TIME_RESOLUTION);
        let resolution = resolution.and_then(<[u8]>::first).copied();
        self.interfaces.push(Interface {
            link_type: self.half_word(body, 0).ok_or(DAMAGE)?,
            snap_length: self.word(body, 4).ok_or(DAMAGE)?,
            units_per_second: units_per_second(resolution.unwrap_or(MICROSECONDS)).ok_or(DAMAGE)?,
            offset: self.time_offset(options),
        });
        Ok(())
    }

    /// An enhanced packet block, or a packet block of old: they differ in the width of the first
    /// field. Options are not looked at.
    fn packet(&mut self, kind: u32, block: &[u8], body: Range<usize>) -> Result<Found, Damage> {
        const DAMAGE: Damage = Damage::Block("packet");
        let field = |at| self.word(block, body.start + at).ok_or(DAMAGE);
        let id = match kind {
            block::PACKET => u32::from(self.half_word(block, body.start).ok_or(DAMAGE)?),
            _ => field(0)?,
        };
        let (high, low) = (field(4)?, field(8)?);
        let (kept, wire_length) = (field(12)?, field(16)?);
        let interface = self.interface_of(id)?;
        let start = body.start + PACKET_HEADER;
        let end = usize::try_from(kept).map_or(usize::MAX, |kept| start.saturating_add(kept));
        if end > body.end {
            return Err(DAMAGE);
        }
        self.timestamp = interface.nanoseconds(u64::from(high) << 32 | u64::from(low));
        Ok(Found {
            timestamp: self.timestamp,
            link_type: interface.link_type,
            wire_length,
            bytes: start..end,
        })
    }

    /// A simple packet is of the first interface, and only what is known of that one tells how much
    /// of the block is padding.
    fn simple_packet(&self, block: &[u8], body: Range<usize>) -> Result<Found, Damage> {
        let interface = self.interface_of(0)?;
        const DAMAGE: Damage = Damage::Block("simple packet");
        if body.len() < SIMPLE_PACKET_HEADER {
            return Err(DAMAGE);
        }
        let wire_length = self.word(block, body.start).ok_or(DAMAGE)?;
        let kept = match interface.snap_length {
            0 => wire_length,
            snap => wire_length.min(snap),
        };
        let start = body.start + SIMPLE_PACKET_HEADER;
        let end = usize::try_from(kept).map_or(usize::MAX, |kept| start.saturating_add(kept));
        Ok(Found {
            timestamp: self.timestamp,
            link_type: interface.link_type,
            wire_length,
            bytes: start..end.min(body.end),
        })
    }

    /// What is to be added to the times of an interface, in seconds.
    fn time_offset(&self, options: &[u8]) -> i64 {
        let option = self.option(options, option::TIME_OFFSET);
        match option.and_then(|value| chunk(value, 0)) {
            Some(bytes) if self.big_endian => i64::from_be_bytes(bytes),
            Some(bytes) => i64::from_le_bytes(bytes),
            None => 0,
        }
    }

    /// The value of the first option of that number. Nothing comes after the option that ends them, or after
    /// one that is cut.
    fn option<'a>(&self, options: &'a [u8], wanted: u16) -> Option<&'a [u8]> {
        const HEADER: usize = 4;
        let mut rest = options;
        loop {
            let number = self.half_word(rest, 0)?;
            let length = usize::from(self.half_word(rest, 2)?);
            if number == option::END {
                return None;
            }
            if number == wanted {
                return rest.get(HEADER..HEADER + length);
            }
            rest = rest.get(HEADER + length.next_multiple_of(4)..)?;
        }
    }

    fn interface_of(&self, id: u32) -> Result<Interface, Damage> {
        let known = self.interfaces.len();
        usize::try_from(id)
            .ok()
            .and_then(|index| self.interfaces.get(index).copied())
            .ok_or(Damage::Interface { id, known })
    }

    fn word(&self, bytes: &[u8], at: usize) -> Option<u32> {
        let field = chunk(bytes, at)?;
        Some(if self.big_endian {
            u32::from_be_bytes(field)
        } else {
            u32::from_le_bytes(field)
        })
    }

    fn half_word(&self, bytes: &[u8], at: usize) -> Option<u16> {
        let field = chunk(bytes, at)?;
        Some(if self.big_endian {
            u16::from_be_bytes(field)
        } else {
            u16::from_le_bytes(field)
        })
    }
}

impl Interface {
    /// A time of this interface, in nanoseconds since 1970.
    fn nanoseconds(&self, units: u64) -> u64 {
        const SECOND: u64 = 1_000_000_000;
        let nanoseconds = match self.units_per_second {
            1_000_000 => units.saturating_mul(1_000),
            SECOND => units,
            per_second => {
                let nanoseconds =
                    u128::from(units) * u128::from(SECOND) / u128::from(per_second.max(1));
                u64::try_from(nanoseconds).unwrap_or(u64::MAX)
            }
        };
        let offset = self.offset.unsigned_abs().saturating_mul(SECOND);
        if self.offset < 0 {
            nanoseconds.saturating_sub(offset)
        } else {
            nanoseconds.saturating_add(offset)
        }
    }
}

/// What the option `if_tsresol` means: a negative power of 10 or, with the highest bit set, of 2.
/// `None` for more than fit.
fn units_per_second(resolution: u8) -> Option<u64> {
    let exponent = u32::from(resolution & 0x7f);
    match resolution & 0x80 {
        0 => 10_u64.checked_pow(exponent),
        _ => 1_u64.checked_shl(exponent),
    }
}

fn matters(kind: u32) -> bool {
    matches!(
        kind,
        block::SECTION
            | block::INTERFACE
            | block::PACKET
            | block::SIMPLE_PACKET
            | block::ENHANCED_PACKET
    )
}

fn whole(missing: u64) -> Result<(), Problem> {
    match missing {
        0 => Ok(()),
        missing => Err(Problem::Cut { missing }),
    }
}

fn chunk<const N: usize>(bytes: &[u8], at: usize) -> Option<[u8; N]> {
    bytes.get(at..)?.first_chunk().copied()
}
