//! The frames of a capture that lead to the one that is asked about: those of its flow.

use std::collections::VecDeque;
use std::fs::File;
use std::io::Seek as _;
use std::path::{Path, PathBuf};

use imblock_common::packet::CapturedFrame;
use imblock_common::parse::Part;
use imblock_common::{Addr, Direction, Segment, Transport};
use ipnet::IpNet;

use super::{Ends, Step};
use crate::policy::Plan;
use crate::replay::capture::{Capture, CaptureError, Frame};
use crate::replay::client::{Client, ClientRules};
use crate::replay::link::LinkLayer;

/// A flow that is longer before the frame is told by its beginning and its latest frames.
const FIRST_MAX: usize = 64;
/// See [`FIRST_MAX`].
const LATEST_MAX: usize = 1024;
/// Frames that the kernel takes for a test: a page, less what it keeps to itself.
const FRAME_MAX: usize = 3520;

/// Why there is no answer for a frame of a capture.
#[derive(Debug, thiserror::Error)]
pub enum NoFrame {
    /// The capture can't be read.
    #[error(transparent)]
    Capture(#[from] CaptureError),
    /// It gives its bytes once, as a pipe does.
    #[error(
        "{path} can't be read twice, once for the frame and once for those of its flow before it: a pipe \
         gives its bytes once; write the capture to a file"
    )]
    OnlyOnce {
        /// The capture.
        path: PathBuf,
    },
    /// It has fewer frames.
    #[error("there is no frame {wanted} in {path}: it has {frames}, and the first is 1")]
    TooFew {
        /// The capture.
        path: PathBuf,
        /// How many it has.
        frames: u64,
        /// Which was asked for.
        wanted: u64,
    },
    /// The frame is of no flow.
    #[error("frame {wanted} of {path} {what}: it passes, for nothing is told of such frames")]
    NoFlow {
        /// The capture.
        path: PathBuf,
        /// Which was asked for.
        wanted: u64,
        /// What it is.
        what: &'static str,
    },
}

/// The flow of a frame, and the frames of it up to that one.
pub struct Found {
    /// Whose flow it is.
    pub ends: Ends,
    /// The frames, the one that is asked about last.
    pub steps: Vec<Step>,
    /// Frames of the flow that are left out.
    pub left_out: u64,
    /// Whether the last frame is cut short in the capture.
    pub cut: bool,
}

/// Finds a frame by its number, from 1, as Wireshark counts. `local` is what the user calls local.
pub fn find(path: &Path, wanted: u64, local: &[IpNet], plan: &Plan) -> Result<Found, NoFrame> {
    let mut recording = Recording::open(path)?;
    let flow = recording.flow_of(wanted)?;
    let rules = ClientRules::new(local, plan);
    let mut client = None;
    let mut first = Vec::new();
    let mut latest = VecDeque::new();
    let mut left_out = 0;
    let mut cut = false;
    let frames = recording.each(wanted, |number, frame| {
        let Some((segment, bytes)) = parsed(frame) else {
            return;
        };
        if !flow.is_of(&segment) {
            return;
        }
        let packet = CapturedFrame {
            bytes: frame.bytes,
            wire_length: frame.wire_length,
            is_ethernet: frame_link(frame) == Some(LinkLayer::Ethernet),
        };
        let source_is_client = match client {
            None => rules.client(packet, &segment) == Client::Source,
            Some((address, port)) => (segment.source, segment.source_port) == (address, port),
        };
        if client.is_none() {
            client = Some(if source_is_client {
                (segment.source, segment.source_port)
            } else {
                (segment.destination, segment.destination_port)
            });
        }
        cut = frame.bytes.len() < usize::try_from(frame.wire_length).unwrap_or(usize::MAX);
        let step = Step {
            what: format!("frame {number}"),
            direction: match source_is_client {
                true => Direction::Sent,
                false => Direction::Received,
            },
            frame: bytes,
        };
        if first.len() < FIRST_MAX {
            first.push(step);
            return;
        }
        latest.push_back(step);
        if latest.len() > LATEST_MAX {
            latest.pop_front();
            left_out += 1;
        }
    })?;
    if frames < wanted {
        return Err(recording.too_few(frames, wanted));
    }
    first.extend(latest);
    Ok(Found {
        ends: flow.ends(client),
        steps: first,
        left_out,
        cut,
    })
}

/// The two ends of the flow of a frame.
struct Flow {
    transport: Transport,
    ends: [(Addr, u16); 2],
}

impl Flow {
    fn is_of(&self, segment: &Segment) -> bool {
        let [one, other] = self.ends;
        let source = (segment.source, segment.source_port);
        let destination = (segment.destination, segment.destination_port);
        let same = [(one, other), (other, one)].contains(&(source, destination));
        same && segment.transport == self.transport && segment.part != Part::Later
    }

    fn ends(&self, client: Option<(Addr, u16)>) -> Ends {
        let [one, other] = self.ends;
        let (local, remote) = match client == Some(other) {
            true => (other, one),
            false => (one, other),
        };
        Ends {
            transport: self.transport,
            local: (local.0.into(), local.1),
            remote: (remote.0.into(), remote.1),
        }
    }
}

/// A capture that is read twice.
struct Recording<'a> {
    path: &'a Path,
    /// The same one both times, whatever the path leads to by then: a capture in writing may be rotated.
    file: File,
}

impl<'a> Recording<'a> {
    fn open(path: &'a Path) -> Result<Self, NoFrame> {
        let file = File::open(path).map_err(|source| CaptureError::Open {
            file: path.display().to_string(),
            source,
        })?;
        Ok(Self { path, file })
    }

    /// The flow of a frame.
    fn flow_of(&mut self, wanted: u64) -> Result<Flow, NoFrame> {
        let path = self.path;
        let no_flow = |what| NoFrame::NoFlow {
            path: path.to_owned(),
            wanted,
            what,
        };
        let mut flow = Err(no_flow("is of a link layer that is not read"));
        let frames = self.each(wanted, |number, frame| {
            if number != wanted || LinkLayer::from_link_type(frame.link_type).is_none() {
                return;
            }
            flow = match parsed(frame) {
                None => Err(no_flow("is neither TCP nor UDP, or broken")),
                Some((segment, _)) if segment.part == Part::Later => {
                    Err(no_flow("is a later fragment, which has no ports"))
                }
                Some((segment, _)) => Ok(Flow {
                    transport: segment.transport,
                    ends: [
                        (segment.source, segment.source_port),
                        (segment.destination, segment.destination_port),
                    ],
                }),
            };
        })?;
        if frames < wanted || wanted == 0 {
            return Err(self.too_few(frames, wanted));
        }
        flow
    }

    /// Hands the frames to `visit`, from the first up to a number; how many there were.
    fn each(&mut self, last: u64, mut visit: impl FnMut(u64, &Frame<'_>)) -> Result<u64, NoFrame> {
        let path = self.path;
        self.file.rewind().map_err(|_| NoFrame::OnlyOnce {
            path: path.to_owned(),
        })?;
        let mut capture = Capture::new(&path.display().to_string(), &self.file)?;
        let mut number = 0;
        while let Some(frame) = capture.next_frame()? {
            number += 1;
            visit(number, &frame);
            if number >= last {
                break;
            }
        }
        Ok(number)
    }

    fn too_few(&self, frames: u64, wanted: u64) -> NoFrame {
        NoFrame::TooFew {
            path: self.path.to_owned(),
            frames,
            wanted,
        }
    }
}

fn frame_link(frame: &Frame<'_>) -> Option<LinkLayer> {
    LinkLayer::from_link_type(frame.link_type)
}

/// A frame's flow, and its bytes as Ethernet.
fn parsed(frame: &Frame<'_>) -> Option<(Segment, Vec<u8>)> {
    let link = frame_link(frame)?;
    let packet = CapturedFrame {
        bytes: frame.bytes,
        wire_length: frame.wire_length,
        is_ethernet: link == LinkLayer::Ethernet,
    };
    let segment = link.parse(packet).ok()?;
    let mut bytes = match link {
        LinkLayer::Ethernet => frame.bytes.to_vec(),
        _ => {
            let (ethertype, at) = link.network(packet).ok()?;
            let mut bytes = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
            bytes.extend(ethertype.to_be_bytes());
            bytes.extend(frame.bytes.get(at..)?);
            bytes
        }
    };
    bytes.truncate(FRAME_MAX);
    Some((segment, bytes))
}
