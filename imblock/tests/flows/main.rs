//! The flow table at work: what is remembered of a flow, who began it, and which of its payloads are read.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod initiators;
mod payloads;
mod refused_ports;
mod remembered;

use imblock::policy::{self, ServiceNumbers, Source, Surroundings};
use imblock::replay::MemoryTables;
use imblock_common::testkit::Frame;
use imblock_common::{Direction, View};

const SENT: View = View::LAN_INGRESS;
const RECEIVED: View = View::LAN_EGRESS;
const SECOND: u64 = 1_000_000_000;

fn tables(text: &str) -> MemoryTables {
    let policy = policy::parse(Source::new("test.yaml".to_owned(), text.to_owned())).unwrap();
    let plan = policy.compile(&mut ServiceNumbers::default(), &Surroundings::default());
    MemoryTables::new(&plan.unwrap())
}

/// A segment between a host of the LAN and a server outside, whichever of the two sends it.
fn between(view: View, host_port: u16, remote_port: u16, set: u8, payload: &[u8]) -> Vec<u8> {
    let (host, remote) = ("10.0.0.2", "192.0.2.7");
    let frame = match view.direction() {
        Direction::Sent => Frame::eth().ipv4(host, remote).tcp(host_port, remote_port),
        Direction::Received => Frame::eth().ipv4(remote, host).tcp(remote_port, host_port),
    };
    frame.flags(set).payload(payload).build()
}
