//! Two policies over the same captures: which flows would fare otherwise under the second.
//!
//! Invariant: each frame is read once and judged by both, with the same clock, and flows are numbered by
//! their first packets, so the n-th flow of a capture is the same one under both.

use std::collections::BTreeMap;
use std::net::IpAddr;

use imblock_common::{Evidence, Transport, Verdict};

use super::flow::{Identity, JudgedFlow};
use super::reading::Reading;
use super::sources::{self, Source};
use super::{Judge, Observer, ReplayRequest};
use crate::policy::Plan;

/// What came of it.
#[derive(Clone, Debug, Default)]
pub struct Comparison {
    /// Captures that were read.
    pub captures: u64,
    /// Captures that could not be read, or not to their end.
    pub failed: u64,
    /// Frames that were read.
    pub frames: u64,
    /// Frames by link type where that is not understood. They are judged by neither policy.
    pub unknown_link_types: BTreeMap<u16, u64>,
    /// Packets of flows for which there was no room: they are not compared.
    pub packets_without_flow: u64,
    /// Flows that were seen.
    pub flows: u64,
    /// Flows of which the old policy drops something.
    pub dropped_before: u64,
    /// Flows of which the new policy drops something.
    pub dropped_after: u64,
    /// Flows of which the old policy drops nothing and the new one something.
    pub newly_dropped: Vec<FlowChange>,
    /// Flows of which the old policy drops something and the new one nothing.
    pub newly_passing: Vec<FlowChange>,
}

/// A flow that fares otherwise.
#[derive(Clone, Debug)]
pub struct FlowChange {
    /// The capture, as given.
    pub capture: String,
    /// The flow, as the new policy judges it.
    pub flow: JudgedFlow,
    /// What the old policy makes of it.
    pub old: Option<Fate>,
    /// What the new policy makes of it.
    pub new: Option<Fate>,
}

/// What a policy makes of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fate {
    /// Service number.
    pub service: u16,
    /// What told it.
    pub evidence: Evidence,
    /// What becomes of it.
    pub verdict: Verdict,
}

/// What changes for a host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HostChange {
    /// Flows that would be dropped, and are not.
    pub newly_dropped: u64,
    /// Flows that would pass, and do not.
    pub newly_passing: u64,
}

/// Replays captures under both plans. Services must have the same numbers in both.
pub fn compare(
    request: &ReplayRequest,
    old: &Plan,
    new: &Plan,
    observer: &mut dyn Observer,
) -> Comparison {
    let sources = sources::sources(&request.captures);
    observer.begins(sources.iter().flatten().filter_map(Source::size).sum());
    let mut judges = [Judge::new(request, old), Judge::new(request, new)];
    let mut reading = Reading::default();
    let mut comparison = Comparison::default();
    for source in sources {
        let name = reading.source(source, &mut judges, observer);
        let [before, after] = judges.each_mut().map(|judge| judge.flows.take_all());
        for pair in before.into_iter().zip(after) {
            comparison.flow(&name, pair);
        }
    }
    let [before, _] = &judges;
    comparison.packets_without_flow = before.flows.packets_without_flow();
    comparison.captures = reading.summary.captures;
    comparison.failed = reading.summary.failed;
    comparison.frames = reading.summary.frames;
    comparison.unknown_link_types = reading.summary.unknown_link_types;
    comparison
}

impl Comparison {
    fn flow(&mut self, capture: &str, (old, new): (JudgedFlow, JudgedFlow)) {
        self.flows += 1;
        let [before, after] = [old.refused > 0, new.refused > 0];
        self.dropped_before += u64::from(before);
        self.dropped_after += u64::from(after);
        let list = match (before, after) {
            (false, true) => &mut self.newly_dropped,
            (true, false) => &mut self.newly_passing,
            _ => return,
        };
        list.push(FlowChange {
            capture: capture.to_owned(),
            flow: new,
            old: old.identity.map(Fate::from),
            new: new.identity.map(Fate::from),
        });
    }

    /// Frames of which it is not told how they would fare.
    pub fn not_compared(&self) -> u64 {
        self.unknown_link_types.values().sum::<u64>() + self.packets_without_flow
    }

    /// The same by host.
    pub fn hosts(&self) -> BTreeMap<IpAddr, HostChange> {
        let mut hosts: BTreeMap<IpAddr, HostChange> = BTreeMap::new();
        for change in &self.newly_dropped {
            hosts.entry(change.host()).or_default().newly_dropped += 1;
        }
        for change in &self.newly_passing {
            hosts.entry(change.host()).or_default().newly_passing += 1;
        }
        hosts
    }
}

impl FlowChange {
    /// The local host.
    pub fn host(&self) -> IpAddr {
        self.flow.client.0.into()
    }

    /// `tcp 10.0.0.2:40000 -> 192.0.2.9:6667`.
    pub fn ends(&self) -> String {
        let transport = match self.flow.transport {
            Transport::Tcp => "tcp",
            Transport::Udp => "udp",
        };
        let end = |(address, port)| std::net::SocketAddr::new(IpAddr::from(address), port);
        let (client, server) = (end(self.flow.client), end(self.flow.server));
        format!("{transport} {client} -> {server}")
    }
}

impl From<Identity> for Fate {
    fn from(identity: Identity) -> Self {
        Self {
            service: identity.service,
            evidence: identity.evidence,
            verdict: identity.verdict,
        }
    }
}
