//! The lines of a report as data: what JSON holds and the table shows.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::net::IpAddr;

use imblock_common::layout::{Counts, HostRecord};
use imblock_common::{Outcome, Transport};
use jiff::Timestamp;
use serde::Serialize;

use super::Names;
use crate::replay::ReplaySummary;
use crate::replay::flow::IdentifiedFlow;

/// Version of the document's form.
const VERSION: u32 = 1;

/// The outcome of frames that no link layer is known for; the others are [`Outcome`]'s.
const UNKNOWN_LINK_TYPE: &str = "unknown_link_type";

/// The whole report.
#[derive(Serialize)]
pub(super) struct Document<'a> {
    version: u32,
    pub(super) policy: &'a str,
    pub(super) captures: u64,
    pub(super) failed: u64,
    pub(super) cut: u64,
    pub(super) frames: u64,
    pub(super) bytes: u64,
    pub(super) times_not_believed: u64,
    pub(super) duration_seconds: f64,
    pub(super) elapsed_seconds: f64,
    pub(super) frames_per_second: f64,
    /// In order, so that people see the rare ones last.
    #[serde(serialize_with = "as_map")]
    pub(super) outcomes: Vec<(&'static str, u64)>,
    pub(super) unknown_link_types: &'a BTreeMap<u16, u64>,
    pub(super) identified_flows: u64,
    pub(super) packets_without_flow: u64,
    pub(super) services: Vec<ServiceLine<'a>>,
    pub(super) hosts: Vec<HostLine<'a>>,
    /// Of hosts that found no room in the host table.
    pub(super) overflow: Vec<Usage<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) flows: Option<Vec<FlowLine<'a>>>,
}

/// Traffic of a service, by evidence and verdict.
#[derive(Serialize)]
pub(super) struct ServiceLine<'a> {
    pub(super) id: &'a str,
    pub(super) evidence: &'static str,
    pub(super) verdict: &'static str,
    pub(super) packets: u64,
    pub(super) bytes: u64,
}

/// What a host did with a service.
#[derive(Serialize)]
pub(super) struct HostLine<'a> {
    pub(super) host: IpAddr,
    #[serde(flatten)]
    pub(super) usage: Usage<'a>,
}

/// Traffic with a service.
#[derive(Serialize)]
pub(super) struct Usage<'a> {
    pub(super) service: &'a str,
    pub(super) passed: BothWays,
    pub(super) refused: BothWays,
    pub(super) active_seconds: u32,
    /// Never known: a capture has ended.
    idle_seconds: Option<u64>,
}

/// Traffic by direction.
#[derive(Clone, Copy, Serialize)]
pub(super) struct BothWays {
    pub(super) sent: Traffic,
    pub(super) received: Traffic,
}

/// Packets and bytes.
#[derive(Clone, Copy, Serialize)]
pub(super) struct Traffic {
    pub(super) packets: u64,
    pub(super) bytes: u64,
}

/// An identified flow.
#[derive(Serialize)]
pub(super) struct FlowLine<'a> {
    pub(super) capture: &'a str,
    pub(super) transport: &'static str,
    pub(super) client: IpAddr,
    pub(super) client_port: u16,
    pub(super) server: IpAddr,
    pub(super) server_port: u16,
    pub(super) service: &'a str,
    pub(super) category: &'a str,
    pub(super) evidence: &'static str,
    pub(super) verdict: &'static str,
    pub(super) packets: u64,
    pub(super) bytes: u64,
    pub(super) first_seen: String,
}

impl<'a> Document<'a> {
    pub(super) fn new(
        summary: &'a ReplaySummary,
        names: &Names<'a>,
        flows: Option<Vec<FlowLine<'a>>>,
    ) -> Self {
        let elapsed = summary.elapsed.as_secs_f64();
        Self {
            version: VERSION,
            policy: names.policy,
            captures: summary.captures,
            failed: summary.failed,
            cut: summary.cut,
            frames: summary.frames,
            bytes: summary.bytes,
            times_not_believed: summary.times_not_believed,
            duration_seconds: summary.duration.as_secs_f64(),
            elapsed_seconds: elapsed,
            frames_per_second: if elapsed > 0.0 {
                (summary.frames as f64 / elapsed).round()
            } else {
                0.0
            },
            outcomes: outcomes(summary),
            unknown_link_types: &summary.unknown_link_types,
            identified_flows: summary.identified_flows,
            packets_without_flow: summary.packets_without_flow,
            services: services(summary, names),
            hosts: hosts(summary, names),
            overflow: overflow(summary, names),
            flows,
        }
    }
}

impl<'a> FlowLine<'a> {
    pub(super) fn new(capture: &'a str, flow: &IdentifiedFlow, names: &Names<'a>) -> Self {
        Self {
            capture,
            transport: match flow.transport {
                Transport::Tcp => "tcp",
                Transport::Udp => "udp",
            },
            client: flow.client.into(),
            client_port: flow.client_port,
            server: flow.server.into(),
            server_port: flow.server_port,
            service: names.id(flow.identity.service),
            category: names.category(flow.identity.service),
            evidence: flow.identity.evidence.name(),
            verdict: flow.identity.verdict.name(),
            packets: flow.traffic.packets,
            bytes: flow.traffic.bytes,
            first_seen: rfc3339(flow.first_seen),
        }
    }
}

impl<'a> Usage<'a> {
    fn new(service: &'a str, record: &HostRecord) -> Self {
        Self {
            service,
            passed: BothWays::new(record.passed),
            refused: BothWays::new(record.refused),
            active_seconds: record.active_seconds,
            idle_seconds: None,
        }
    }

    fn packets(&self) -> u64 {
        self.passed.packets().wrapping_add(self.refused.packets())
    }
}

impl BothWays {
    fn new([sent, received]: [Counts; 2]) -> Self {
        Self {
            sent: Traffic::new(sent),
            received: Traffic::new(received),
        }
    }

    pub(super) fn packets(&self) -> u64 {
        self.sent.packets.wrapping_add(self.received.packets)
    }

    pub(super) fn bytes(&self) -> u64 {
        self.sent.bytes.wrapping_add(self.received.bytes)
    }
}

impl Traffic {
    fn new(Counts { packets, bytes }: Counts) -> Self {
        Self { packets, bytes }
    }
}

/// Frames by outcome, all views together; they add up to all frames.
fn outcomes(summary: &ReplaySummary) -> Vec<(&'static str, u64)> {
    let of = |outcome| {
        let frames = summary.snapshot.frames.iter();
        let packets = frames.filter(|counts| counts.outcome == outcome);
        packets.map(|counts| counts.packets).sum()
    };
    Outcome::ALL
        .into_iter()
        .map(|outcome| (outcome.name(), of(outcome)))
        .chain([(UNKNOWN_LINK_TYPE, summary.unknown_link_types.values().sum())])
        .collect()
}

/// The busiest first.
fn services<'a>(summary: &ReplaySummary, names: &Names<'a>) -> Vec<ServiceLine<'a>> {
    let mut lines = Vec::new();
    for service in &summary.snapshot.services {
        for cell in &service.cells {
            lines.push(ServiceLine {
                id: names.id(service.number),
                evidence: cell.evidence.name(),
                verdict: cell.verdict.name(),
                packets: cell.traffic.packets,
                bytes: cell.traffic.bytes,
            });
        }
    }
    lines.sort_by_key(|line| (Reverse(line.packets), line.id, line.evidence, line.verdict));
    lines
}

/// The busiest first.
fn hosts<'a>(summary: &ReplaySummary, names: &Names<'a>) -> Vec<HostLine<'a>> {
    let hosts = summary.snapshot.hosts.iter();
    let mut lines: Vec<_> = hosts
        .map(|counts| HostLine {
            host: counts.host,
            usage: Usage::new(names.id(counts.service), &counts.record),
        })
        .collect();
    lines.sort_by_key(|line| (Reverse(line.usage.packets()), line.host, line.usage.service));
    lines
}

fn overflow<'a>(summary: &ReplaySummary, names: &Names<'a>) -> Vec<Usage<'a>> {
    let services = summary.snapshot.services.iter();
    services
        .filter(|service| service.overflow != HostRecord::default())
        .map(|service| Usage::new(names.id(service.number), &service.overflow))
        .collect()
}

/// Times that the format can't hold (a damaged clock) are the latest it can.
fn rfc3339(nanoseconds: u64) -> String {
    Timestamp::from_nanosecond(nanoseconds.into())
        .unwrap_or(Timestamp::MAX)
        .to_string()
}

fn as_map<S: serde::Serializer>(pairs: &[(&'static str, u64)], to: S) -> Result<S::Ok, S::Error> {
    to.collect_map(pairs.iter().copied())
}
