//! Flows of one capture: who is the client, what was told, how much there was.
//!
//! Invariant: no more than a fixed number of flows are kept. Packets of further flows are judged
//! all the same, each as if it were the first of its flow; they are only not listed.

use std::collections::HashMap;

use imblock_common::layout::Counts;
use imblock_common::{Addr, Evidence, Family, Judgement, Outcome, Segment, Transport, Verdict};

use super::client::Client;

/// How many flows of a capture are kept: some 200 MB when full.
pub const FLOWS_MAX: usize = 1_000_000;

/// The flows of one capture.
#[derive(Debug)]
pub struct FlowTable {
    flows: HashMap<FlowKey, Flow>,
    capacity: usize,
    packets_without_flow: u64,
}

/// What both directions of a flow have in common: its ends in an order of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct FlowKey {
    low: End,
    high: End,
    family: Family,
    transport: Transport,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct End {
    /// [`Addr::words`]: the order means nothing, but is one.
    addr: [u32; 4],
    port: u16,
}

/// A flow.
#[derive(Clone, Copy, Debug)]
pub struct Flow {
    client_is_low: bool,
    /// Position among the flows of the capture.
    number: usize,
    first_seen: u64,
    traffic: Counts,
    refused: u64,
    identity: Option<Identity>,
    /// What the latest packet that was refused was told to be.
    refusal: Option<Identity>,
}

/// What was told of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Service number.
    pub service: u16,
    /// What told it.
    pub evidence: Evidence,
    /// What becomes of it.
    pub verdict: Verdict,
}

/// A flow, told or not, for a comparison.
#[derive(Clone, Copy, Debug)]
pub struct JudgedFlow {
    /// TCP or UDP.
    pub transport: Transport,
    /// The local host and its port.
    pub client: (Addr, u16),
    /// The peer and its port.
    pub server: (Addr, u16),
    /// What was told of it; why, if some of it was refused, as above a rate or by a schedule.
    pub identity: Option<Identity>,
    /// All packets of the flow.
    pub traffic: Counts,
    /// How many of them were refused.
    pub refused: u64,
    /// When its first packet was seen, in nanoseconds since 1970.
    pub first_seen: u64,
}

/// A flow of which a service was told, for a report.
#[derive(Clone, Copy, Debug)]
pub struct IdentifiedFlow {
    /// TCP or UDP.
    pub transport: Transport,
    /// The local host.
    pub client: Addr,
    /// The port at the local host.
    pub client_port: u16,
    /// The peer.
    pub server: Addr,
    /// The port at the peer.
    pub server_port: u16,
    /// What the latest packet of which a service was told said; later evidence corrects earlier.
    pub identity: Identity,
    /// All packets of the flow, those of which nothing was told included.
    pub traffic: Counts,
    /// When its first packet was seen, in nanoseconds since 1970.
    pub first_seen: u64,
}

impl FlowTable {
    /// No flows yet, and room for so many.
    pub fn with_capacity(capacity: usize) -> Self {
        Self {
            flows: HashMap::new(),
            capacity,
            packets_without_flow: 0,
        }
    }

    /// Who is the client of a segment's flow, as the flow's first packet told; `decide` is asked if
    /// this is the first. Judges the packet by `judge`, and adds it to its flow.
    pub fn packet(
        &mut self,
        segment: &Segment,
        wire_length: u32,
        timestamp: u64,
        decide: impl FnOnce() -> Client,
        judge: impl FnOnce(Client) -> Judgement,
    ) {
        let (key, source_is_low) = FlowKey::of(segment);
        let number = self.flows.len();
        if let Some(flow) = self.flows.get_mut(&key) {
            let judgement = judge(client(flow.client_is_low, source_is_low));
            flow.add(wire_length, &judgement);
            return;
        }
        let client = decide();
        let judgement = judge(client);
        if number >= self.capacity {
            self.packets_without_flow += 1;
            return;
        }
        let mut flow = Flow {
            client_is_low: (client == Client::Source) == source_is_low,
            number,
            first_seen: timestamp,
            traffic: Counts::default(),
            refused: 0,
            identity: None,
            refusal: None,
        };
        flow.add(wire_length, &judgement);
        self.flows.insert(key, flow);
    }

    /// The flows of which a service was told, in the order of their first packets. Forgets all
    /// flows, so that the next capture begins afresh.
    pub fn take_identified(&mut self) -> Vec<IdentifiedFlow> {
        let mut identified: Vec<_> = self
            .flows
            .drain()
            .filter_map(|(key, flow)| Some((flow.number, key.describe(&flow)?)))
            .collect();
        identified.sort_unstable_by_key(|(number, _)| *number);
        identified.into_iter().map(|(_, flow)| flow).collect()
    }

    /// Every flow, in the order of their first packets: the same order whatever the policy. Forgets
    /// all of them.
    pub fn take_all(&mut self) -> Vec<JudgedFlow> {
        let mut flows: Vec<_> = self.flows.drain().collect();
        flows.sort_unstable_by_key(|(_, flow)| flow.number);
        let judged = flows.iter().map(|(key, flow)| key.judged(flow));
        judged.collect()
    }

    /// Packets whose flow found no room, since the table was made.
    pub fn packets_without_flow(&self) -> u64 {
        self.packets_without_flow
    }
}

impl FlowKey {
    /// The key, and whether the source is the lower end.
    fn of(segment: &Segment) -> (Self, bool) {
        let source = End {
            addr: segment.source.words(),
            port: segment.source_port,
        };
        let destination = End {
            addr: segment.destination.words(),
            port: segment.destination_port,
        };
        let source_is_low = source <= destination;
        let (low, high) = if source_is_low {
            (source, destination)
        } else {
            (destination, source)
        };
        let key = Self {
            low,
            high,
            family: segment.source.family(),
            transport: segment.transport,
        };
        (key, source_is_low)
    }

    fn describe(&self, flow: &Flow) -> Option<IdentifiedFlow> {
        let judged = self.judged(flow);
        let ((client, client_port), (server, server_port)) = (judged.client, judged.server);
        Some(IdentifiedFlow {
            transport: judged.transport,
            client,
            client_port,
            server,
            server_port,
            identity: flow.identity?,
            traffic: flow.traffic,
            first_seen: flow.first_seen,
        })
    }

    fn judged(&self, flow: &Flow) -> JudgedFlow {
        let (client, server) = if flow.client_is_low {
            (self.low, self.high)
        } else {
            (self.high, self.low)
        };
        let end = |end: End| (Addr::from_words(end.addr, self.family), end.port);
        JudgedFlow {
            transport: self.transport,
            client: end(client),
            server: end(server),
            identity: flow.refusal.or(flow.identity),
            traffic: flow.traffic,
            refused: flow.refused,
            first_seen: flow.first_seen,
        }
    }
}

impl Flow {
    fn add(&mut self, wire_length: u32, judgement: &Judgement) {
        self.traffic.add(Counts {
            packets: 1,
            bytes: wire_length.into(),
        });
        let is_refused = !judgement.passes();
        self.refused += u64::from(is_refused);
        if judgement.outcome == Outcome::Identified {
            self.identity = Some(Identity {
                service: judgement.service,
                evidence: judgement.evidence,
                verdict: judgement.verdict,
            });
            if is_refused {
                self.refusal = self.identity;
            }
        }
    }
}

fn client(client_is_low: bool, source_is_low: bool) -> Client {
    if client_is_low == source_is_low {
        Client::Source
    } else {
        Client::Destination
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod tests;
