//! What can be wrong with a capture, said with file and place.

use std::fmt;
use std::io;

use super::window::RECORD_MAX;

/// Why a capture was not read to its end. Frames before the place were replayed.
#[derive(Debug, thiserror::Error)]
pub enum CaptureError {
    /// There is no such file, or no right to read it.
    #[error("can't open {file}: {source}")]
    Open {
        /// As given.
        file: String,
        /// What the system says.
        source: io::Error,
    },
    /// A directory without captures.
    #[error(
        "{directory} holds no *.pcap, *.pcapng or *.cap; name the file if it is called otherwise"
    )]
    NoCaptures {
        /// As given.
        directory: String,
    },
    /// Reading failed on the way.
    #[error("{file}: can't read on at byte {offset}: {source}")]
    Read {
        /// As given.
        file: String,
        /// From the start of the file.
        offset: u64,
        /// What the system says.
        source: io::Error,
    },
    /// The file is something else.
    #[error("{file} is no capture: {start}")]
    NotACapture {
        /// As given.
        file: String,
        /// What it is instead.
        start: NotACapture,
    },
    /// A record contradicts itself; what comes after it can't be found.
    #[error(
        "{file}: damaged at byte {offset}, after frame {frames}: {damage}; \
         frames before it were replayed, `pcapfix` may save those behind it"
    )]
    Damaged {
        /// As given.
        file: String,
        /// Frames that were read before.
        frames: u64,
        /// Where the damaged record begins.
        offset: u64,
        /// What is wrong with it.
        damage: Damage,
    },
}

/// What a file that is no capture is instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotACapture {
    /// It has no bytes, or too few for any format.
    Empty,
    /// Compressed by the named program.
    Compressed(&'static str),
    /// It begins with these bytes.
    Unknown([u8; 4]),
}

impl NotACapture {
    pub(super) fn from_start(start: &[u8]) -> Self {
        let Some(magic) = start.first_chunk::<4>() else {
            return Self::Empty;
        };
        match *magic {
            [0x1f, 0x8b, ..] => Self::Compressed("gzip"),
            [0x28, 0xb5, 0x2f, 0xfd] => Self::Compressed("zstd"),
            [0xfd, b'7', b'z', b'X'] => Self::Compressed("xz"),
            magic => Self::Unknown(magic),
        }
    }
}

impl fmt::Display for NotACapture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("it is empty; not even a header was written"),
            Self::Compressed(program) => write!(
                f,
                "it is compressed; try `{program} -dc FILE | imblock replay -`"
            ),
            Self::Unknown([a, b, c, d]) => write!(
                f,
                "it begins with {a:02x} {b:02x} {c:02x} {d:02x}; pcap and pcapng are read"
            ),
        }
    }
}

/// What is wrong with a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// It says that it is longer than any record is: so many bytes, with its header.
    #[error("a record says it is {0} bytes long with its header, which is more than {RECORD_MAX}")]
    TooLong(u64),
    /// A pcapng block says that it is shorter than its own frame, or two lengths differ.
    #[error("the block's two lengths, {0} and {1}, don't fit")]
    Lengths(u32, u32),
    /// A pcapng block can't be parsed.
    #[error("the {0} block can't be parsed")]
    Block(&'static str),
    /// A packet of an interface that the section does not describe.
    #[error("a packet of interface {id}, but the section describes {known}")]
    Interface {
        /// The interface that the packet names.
        id: u32,
        /// How many there are.
        known: usize,
    },
}

/// Where a capture ends in the middle of a record, as after a crash or a full disk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cut {
    /// As given.
    pub file: String,
    /// Whole frames before it.
    pub frames: u64,
    /// Where the incomplete record begins.
    pub offset: u64,
    /// How many bytes more the record says it has.
    pub missing: u64,
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            file,
            frames,
            offset,
            missing,
        } = self;
        write!(
            f,
            "{file} is cut: the record at byte {offset} lacks {missing} bytes; \
             the {frames} frames before it were replayed"
        )
    }
}
