//! Dry runs: the kernel's classifier over captures, with no rights and no kernel.
//!
//! A frame goes [`capture`] (bytes of a file) → [`link`] (what they begin with) → [`client`] and
//! [`flow`] (whose they are) → `imblock_common::judge` → [`tables`] (counters) → [`report`].
//!
//! A capture was made where nothing was refused, so a refused flow goes on in it: verdicts say what
//! the policy would have done with each packet that was seen.

pub mod capture;
pub mod client;
mod clock;
pub mod compare;
pub mod flow;
pub mod link;
mod reading;
pub mod report;
mod schedules;
pub mod sources;
pub mod tables;

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::PathBuf;
use std::slice;
use std::time::{Duration, Instant};

use imblock_common::flows::FlowState;
use imblock_common::packet::CapturedFrame;
use imblock_common::parse::Part;
use imblock_common::{Counters, Outcome, Reply, View, decide, judge, record, sight};
use ipnet::IpNet;

pub use report::Format;
pub(crate) use schedules::set_cells;
pub use tables::MemoryTables;

use crate::policy::Plan;
use crate::quic::Inspector;
use crate::snapshot::Snapshot;
use capture::{CaptureError, Cut, Frame};
use client::{Client, ClientRules};
use flow::{FLOWS_MAX, FlowTable};
use link::LinkLayer;
use reading::Reading;
use report::Report;
use schedules::Schedules;
use sources::Source;

/// What to replay, and what to say of it.
#[derive(Clone, Debug, Default)]
pub struct ReplayRequest {
    /// Files, directories, or `-` for the standard input.
    pub captures: Vec<PathBuf>,
    /// What is local, where the user says so; see [`client`].
    pub local: Vec<IpNet>,
    /// Whether to list identified flows.
    pub flows: bool,
    /// In which form.
    pub format: Format,
}

/// What a replay found.
#[derive(Clone, Debug, Default)]
pub struct ReplaySummary {
    /// Captures that were opened, those that failed on the way included.
    pub captures: u64,
    /// Captures that could not be opened or not be read to their end.
    pub failed: u64,
    /// Captures that end in the middle of a record.
    pub cut: u64,
    /// Frames that were read.
    pub frames: u64,
    /// Their length on the wire, in bytes.
    pub bytes: u64,
    /// Frames whose time the next one contradicts. They are judged at the time of the one before.
    pub times_not_believed: u64,
    /// From the first to the last frame of each capture, as far as times can be believed, added up.
    pub duration: Duration,
    /// What the replay itself took.
    pub elapsed: Duration,
    /// Frames by link type where that is not understood. They are judged by nobody.
    pub unknown_link_types: BTreeMap<u16, u64>,
    /// Flows of which a service was told.
    pub identified_flows: u64,
    /// Packets that were judged, but whose flow could not be listed for want of room.
    pub packets_without_flow: u64,
    /// All counters. Frames that could not be parsed are those of the LAN's ingress.
    pub snapshot: Snapshot,
}

/// Why a replay ended early. What is wrong with a capture is told to the [`Observer`] instead, and
/// the others are replayed.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// The report could not be written.
    #[error("can't write the report: {0}")]
    Output(#[from] io::Error),
}

impl ReplayError {
    /// Whether the reader of the report went away, as `head` does: no reason to complain.
    pub fn is_broken_pipe(&self) -> bool {
        let Self::Output(error) = self;
        error.kind() == io::ErrorKind::BrokenPipe
    }
}

/// Is told what goes on.
pub trait Observer {
    /// About to read so many bytes, as far as sizes are known.
    fn begins(&mut self, _bytes: u64) {}
    /// So many more bytes were read.
    fn advances(&mut self, _bytes: u64) {}
    /// A capture is cut.
    fn is_cut(&mut self, cut: &Cut);
    /// So many frames of a capture have times that the next ones contradict.
    fn disbelieves(&mut self, _capture: &str, _frames: u64) {}
    /// A capture failed.
    fn fails(&mut self, error: &CaptureError);
}

/// Replays captures against a plan and writes the report to `out`.
pub fn run(
    request: &ReplayRequest,
    plan: &Plan,
    out: &mut dyn Write,
    observer: &mut dyn Observer,
) -> Result<ReplaySummary, ReplayError> {
    let started = Instant::now();
    let sources = sources::sources(&request.captures);
    observer.begins(sources.iter().flatten().filter_map(Source::size).sum());
    let (mut judge, mut reading) = (Judge::new(request, plan), Reading::default());
    let mut report = Report::new(request, plan, out);
    for source in sources {
        let name = reading.source(source, slice::from_mut(&mut judge), observer);
        let flows = judge.flows.take_identified();
        reading.summary.identified_flows += flows.len() as u64;
        report.flows(&name, &flows)?;
    }
    let summary = reading.finish(&judge, started.elapsed());
    report.finish(&summary)?;
    Ok(summary)
}

/// What was seen in captures.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// The counters.
    pub summary: ReplaySummary,
    /// When a service was first seen, by number, in seconds since 1970.
    pub first_seen: BTreeMap<u16, u64>,
}

/// Replays captures against a plan, for what they tell of services.
pub fn observe(request: &ReplayRequest, plan: &Plan, observer: &mut dyn Observer) -> Seen {
    const SECOND: u64 = 1_000_000_000;
    let started = Instant::now();
    let sources = sources::sources(&request.captures);
    observer.begins(sources.iter().flatten().filter_map(Source::size).sum());
    let (mut judge, mut reading) = (Judge::new(request, plan), Reading::default());
    let mut first_seen: BTreeMap<u16, u64> = BTreeMap::new();
    for source in sources {
        reading.source(source, slice::from_mut(&mut judge), observer);
        for flow in judge.flows.take_identified() {
            let at = flow.first_seen / SECOND;
            let first = first_seen.entry(flow.identity.service).or_insert(at);
            *first = at.min(*first);
        }
    }
    Seen {
        summary: reading.finish(&judge, started.elapsed()),
        first_seen,
    }
}

const SENT: View = View::LAN_INGRESS;
const RECEIVED: View = View::LAN_EGRESS;

/// A policy that judges captures.
struct Judge<'a> {
    tables: MemoryTables,
    inspector: Inspector,
    rules: ClientRules<'a>,
    schedules: Schedules<'a>,
    flows: FlowTable,
}

impl<'a> Judge<'a> {
    fn new(request: &'a ReplayRequest, plan: &'a Plan) -> Self {
        Self {
            tables: MemoryTables::new(plan),
            inspector: Inspector::default(),
            rules: ClientRules::new(&request.local, plan),
            schedules: Schedules::of(&plan.timetable),
            flows: FlowTable::with_capacity(FLOWS_MAX),
        }
    }

    /// Another place or another time, whose flows may have the same addresses.
    fn begin(&mut self) {
        self.tables.forget_flows();
        self.schedules.begin();
        self.inspector = Inspector::default();
    }

    /// Judges and counts a frame; `now` is the time in the capture, in nanoseconds since 1970.
    fn frame(&mut self, frame: &Frame<'_>, link: LinkLayer, now: u64) {
        let tables = &self.tables;
        tables.set_now(now);
        self.schedules.bring(tables, now);
        let inspector = &mut self.inspector;
        let packet = CapturedFrame {
            bytes: frame.bytes,
            wire_length: frame.wire_length,
            is_ethernet: link == LinkLayer::Ethernet,
        };
        match link.parse(packet) {
            Err(unparsed) => tables.frame(Outcome::from(unparsed).slot(SENT), 1),
            // Without ports it belongs to no flow that a report could show.
            Ok(segment) if segment.part == Part::Later => {
                let view = self.rules.client(packet, &segment).view();
                let judgement = judge(packet, &segment, view, tables);
                record::record(&judgement, packet, view, tables);
            }
            Ok(segment) => self.flows.packet(
                &segment,
                frame.wire_length,
                frame.timestamp,
                || self.rules.client(packet, &segment),
                |client| {
                    let view = client.view();
                    let judgement = judge(packet, &segment, view, tables);
                    record::record(&judgement, packet, view, tables);
                    // The controller's part, as if it answered at once: the flow's next packet is
                    // judged by that, and the flow is listed as what it is even if none comes.
                    let told = answer(inspector, tables, Duration::from_nanos(now));
                    told.map_or(judgement, |reply| {
                        let about = sight(packet, &segment, view, tables);
                        decide(packet, &about, reply, tables)
                    })
                },
            ),
        }
    }
}

impl Client {
    /// Where a packet is seen of which this end is the client: at the LAN of a router.
    const fn view(self) -> View {
        match self {
            Self::Source => SENT,
            Self::Destination => RECEIVED,
        }
    }
}

/// Reads what was handed over, and writes down what it says of its flow. The service, if there is one.
fn answer(inspector: &mut Inspector, tables: &MemoryTables, now: Duration) -> Option<Reply> {
    let mut told = None;
    for handed in tables.take_handed_over() {
        let state = inspector.read(&handed, now, |kind, name| {
            tables.service_of_name(kind, name)
        });
        let settled = state.filter(|state| tables.settle(&handed.flow, handed.entry, *state));
        told = settled
            .map(FlowState::reply)
            .filter(|reply| reply.names_service())
            .or(told);
    }
    told
}

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
pub(crate) mod fixtures;
