//! The pcap format (draft-ietf-opsawg-pcap): a header, then records.

use std::io::Read;

use pcap_parser::PcapError;
use pcap_parser::nom::IResult;
use pcap_parser::pcap::{
    LegacyPcapBlock, parse_pcap_frame, parse_pcap_frame_be, parse_pcap_frame_modified,
    parse_pcap_header,
};

use super::window::{RECORD_MAX, Window};
use super::{Damage, Found, NotACapture, Problem};

/// The first four bytes of a file: microseconds, nanoseconds, and Kuznetzov's longer records, which
/// were only ever written on little-endian machines.
pub(super) const MAGICS: [[u8; 4]; 5] = [
    [0xd4, 0xc3, 0xb2, 0xa1],
    [0xa1, 0xb2, 0xc3, 0xd4],
    [0x4d, 0x3c, 0xb2, 0xa1],
    [0xa1, 0xb2, 0x3c, 0x4d],
    [0x34, 0xcd, 0xb2, 0xa1],
];

const FILE_HEADER: usize = 24;
const RECORD_HEADER: usize = 16;
const MODIFIED_RECORD_HEADER: usize = 24;
/// Where a record header holds the number of bytes that were kept.
const KEPT_AT: usize = 8;
/// The upper half of the field says how long a frame check sequence is.
const LINK_TYPE: u32 = 0xffff;

type ParseRecord = fn(&[u8]) -> IResult<&[u8], LegacyPcapBlock<'_>, PcapError<&[u8]>>;

/// What the file's header says.
#[derive(Debug)]
pub(super) struct Pcap {
    link_type: u16,
    nanoseconds_per_unit: u64,
    big_endian: bool,
    record_header: usize,
    parse: ParseRecord,
}

impl Pcap {
    pub(super) fn open<R: Read>(window: &mut Window<R>) -> Result<Self, Problem> {
        window.peek(FILE_HEADER)?;
        let missing = window.advance(FILE_HEADER)?;
        if missing > 0 {
            return Err(Problem::Cut {
                missing: missing as u64,
            });
        }
        let Ok((_, header)) = parse_pcap_header(window.current()) else {
            return Err(Problem::NotACapture(NotACapture::from_start(
                window.current(),
            )));
        };
        let link_type = header.network.0.cast_unsigned() & LINK_TYPE;
        let (record_header, parse): (_, ParseRecord) = if header.is_modified_format() {
            (MODIFIED_RECORD_HEADER, parse_pcap_frame_modified)
        } else if header.is_bigendian() {
            (RECORD_HEADER, parse_pcap_frame_be)
        } else {
            (RECORD_HEADER, parse_pcap_frame)
        };
        Ok(Self {
            link_type: u16::try_from(link_type).unwrap_or_default(),
            nanoseconds_per_unit: if header.is_nanosecond_precision() {
                1
            } else {
                1_000
            },
            big_endian: header.is_bigendian(),
            record_header,
            parse,
        })
    }

    pub(super) fn next<R: Read>(
        &mut self,
        window: &mut Window<R>,
    ) -> Result<Option<Found>, Problem> {
        let header = window.peek(self.record_header)?;
        if header.is_empty() {
            return Ok(None);
        }
        if header.len() < self.record_header {
            return Err(Problem::Cut {
                missing: (self.record_header - header.len()) as u64,
            });
        }
        let length = self.length(header)?;
        let missing = window.advance(length)?;
        if missing > 0 {
            return Err(Problem::Cut {
                missing: missing as u64,
            });
        }
        // A whole record can't fail to parse: its length was the only thing that could be wrong.
        let Ok((_, record)) = (self.parse)(window.current()) else {
            return Err(Damage::TooLong(length as u64).into());
        };
        let fraction = u64::from(record.ts_usec).saturating_mul(self.nanoseconds_per_unit);
        Ok(Some(Found {
            timestamp: u64::from(record.ts_sec) * 1_000_000_000 + fraction,
            link_type: self.link_type,
            wire_length: record.origlen,
            bytes: self.record_header..length,
        }))
    }

    /// Length of a record, its header included.
    fn length(&self, header: &[u8]) -> Result<usize, Damage> {
        let field = header.get(KEPT_AT..).and_then(<[u8]>::first_chunk);
        let field = field.copied().unwrap_or_default();
        let kept = if self.big_endian {
            u32::from_be_bytes(field)
        } else {
            u32::from_le_bytes(field)
        };
        let length = u64::from(kept).saturating_add(self.record_header as u64);
        match usize::try_from(length) {
            Ok(length) if length <= RECORD_MAX => Ok(length),
            _ => Err(Damage::TooLong(length)),
        }
    }
}
