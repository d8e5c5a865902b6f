//! Captures, frame by frame: pcap and pcapng from any stream, in bounded memory.
//!
//! Invariant: no input panics, and every frame before a damaged or cut place is given out.

mod error;
mod pcap;
mod pcapng;
mod window;

use std::io::{self, Read};
use std::ops::Range;

pub use error::{CaptureError, Cut, Damage, NotACapture};

use pcap::Pcap;
use pcapng::PcapNg;
use window::Window;

/// A capture that is being read.
#[derive(Debug)]
pub struct Capture<R> {
    file: String,
    window: Window<R>,
    format: Format,
    frames: u64,
    cut: Option<Cut>,
}

/// A frame of a capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// When it was seen, in nanoseconds since 1970. A block without a time has that of the frame
    /// before it.
    pub timestamp: u64,
    /// What it begins with, as in <https://www.tcpdump.org/linktypes.html>.
    pub link_type: u16,
    /// What the capture kept of it.
    pub bytes: &'a [u8],
    /// How long it was on the wire, in bytes; never less than what was kept.
    pub wire_length: u32,
}

#[derive(Debug)]
enum Format {
    Pcap(Pcap),
    PcapNg(PcapNg),
    /// Nothing (more) to read.
    Nothing,
}

/// A frame, before its bytes are borrowed from the window.
struct Found {
    timestamp: u64,
    link_type: u16,
    wire_length: u32,
    /// Within [`Window::current`].
    bytes: Range<usize>,
}

/// Why there is no next frame.
enum Problem {
    Read(io::Error),
    NotACapture(NotACapture),
    Damage(Damage),
    /// The stream ends inside a record.
    Cut {
        missing: u64,
    },
}

impl<R: Read> Capture<R> {
    /// Reads the header. `file` is the name that errors give.
    pub fn new(file: &str, source: R) -> Result<Self, CaptureError> {
        let mut capture = Self {
            file: file.to_owned(),
            window: Window::new(source),
            format: Format::Nothing,
            frames: 0,
            cut: None,
        };
        match capture.open() {
            Ok(format) => capture.format = format,
            Err(problem) => capture.end(problem)?,
        }
        Ok(capture)
    }

    fn open(&mut self) -> Result<Format, Problem> {
        let start = self.window.peek(4)?;
        match start.first_chunk() {
            Some(&pcapng::MAGIC) => Ok(Format::PcapNg(PcapNg::default())),
            Some(magic) if pcap::MAGICS.contains(magic) => {
                Ok(Format::Pcap(Pcap::open(&mut self.window)?))
            }
            _ => Err(Problem::NotACapture(NotACapture::from_start(start))),
        }
    }

    /// The next frame; none at the end, also where the capture is cut ([`Capture::cut`] tells), and
    /// after an error.
    pub fn next_frame(&mut self) -> Result<Option<Frame<'_>>, CaptureError> {
        let found = match &mut self.format {
            Format::Pcap(pcap) => pcap.next(&mut self.window),
            Format::PcapNg(pcapng) => pcapng.next(&mut self.window),
            Format::Nothing => Ok(None),
        };
        match found {
            Ok(None) => Ok(None),
            Ok(Some(found)) => {
                self.frames += 1;
                let bytes = self.window.current().get(found.bytes).unwrap_or_default();
                let kept = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
                Ok(Some(Frame {
                    timestamp: found.timestamp,
                    link_type: found.link_type,
                    bytes,
                    wire_length: found.wire_length.max(kept),
                }))
            }
            Err(problem) => {
                self.end(problem)?;
                Ok(None)
            }
        }
    }

    /// Where the capture turned out to be cut.
    pub fn cut(&self) -> Option<&Cut> {
        self.cut.as_ref()
    }

    /// How many bytes of the capture were read.
    pub fn position(&self) -> u64 {
        self.window.offset()
    }

    /// Reads no further. A cut is no error: there is nothing wrong with what came before it.
    fn end(&mut self, problem: Problem) -> Result<(), CaptureError> {
        self.format = Format::Nothing;
        let file = self.file.clone();
        let offset = self.window.record_at();
        let frames = self.frames;
        match problem {
            Problem::Cut { missing } => {
                self.cut = Some(Cut {
                    file,
                    frames,
                    offset,
                    missing,
                });
                Ok(())
            }
            Problem::Read(source) => Err(CaptureError::Read {
                file,
                offset,
                source,
            }),
            Problem::NotACapture(start) => Err(CaptureError::NotACapture { file, start }),
            Problem::Damage(damage) => Err(CaptureError::Damaged {
                file,
                frames,
                offset,
                damage,
            }),
        }
    }
}

impl From<io::Error> for Problem {
    fn from(error: io::Error) -> Self {
        Self::Read(error)
    }
}

impl From<Damage> for Problem {
    fn from(damage: Damage) -> Self {
        Self::Damage(damage)
    }
}
