//! Conversations of clients with a server, and what a replay tells of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::{IpAddr, Ipv4Addr};

use imblock::policy::Plan;
use imblock::replay::capture::{CaptureError, Cut};
use imblock::replay::{Observer, ReplayRequest, run};
use imblock_common::testkit::{Frame, Layer, flags};
use serde::Deserialize;

/// Who is talked to; clients are made up one by one.
const SERVER: IpAddr = IpAddr::V4(Ipv4Addr::new(198, 51, 100, 7));

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum End {
    Client,
    Server,
    Either,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Transport {
    Tcp,
    Udp,
    Both,
}

/// What is said in a connection, by whom.
#[derive(Clone, Debug)]
pub(crate) struct Conversation {
    pub(crate) transport: Transport,
    pub(crate) client_port: u16,
    pub(crate) server_port: u16,
    pub(crate) said: Vec<(End, Vec<u8>)>,
}

impl Conversation {
    /// All frames, those in which the connection is opened included.
    fn frames(&self, client: IpAddr) -> Vec<Vec<u8>> {
        let frame =
            |from, set, numbers, payload: &[u8]| self.frame(client, from, set, numbers, payload);
        let mut frames = Vec::new();
        // What each end has sent so far, in bytes.
        let (mut ours, mut theirs) = (1000, 5000);
        if self.transport == Transport::Tcp {
            frames.push(frame(End::Client, flags::SYN, (ours, 0), &[]));
            ours += 1;
            let both = flags::SYN | flags::ACK;
            frames.push(frame(End::Server, both, (theirs, ours), &[]));
            theirs += 1;
            frames.push(frame(End::Client, flags::ACK, (ours, theirs), &[]));
        }
        let first = self.said.first().map(|(from, _)| *from);
        if self.transport != Transport::Tcp && first == Some(End::Server) {
            // Who a datagram is from is known only if somebody was asked for it.
            frames.push(frame(End::Client, 0, (0, 0), b"?"));
        }
        for (from, payload) in &self.said {
            let length = u32::try_from(payload.len()).unwrap();
            let both = flags::PSH | flags::ACK;
            if *from == End::Server {
                frames.push(frame(*from, both, (theirs, ours), payload));
                theirs += length;
            } else {
                frames.push(frame(*from, both, (ours, theirs), payload));
                ours += length;
            }
        }
        frames
    }

    /// `numbers` are TCP's: of the first byte, and of the next that is expected.
    fn frame(
        &self,
        client: IpAddr,
        from: End,
        set: u8,
        numbers: (u32, u32),
        payload: &[u8],
    ) -> Vec<u8> {
        let (source, destination, ports) = match from {
            End::Server => (SERVER, client, (self.server_port, self.client_port)),
            _ => (client, SERVER, (self.client_port, self.server_port)),
        };
        let frame = Frame::eth().ip(source, destination);
        match self.transport {
            Transport::Udp => frame.udp(ports.0, ports.1).payload(payload).build(),
            _ => frame
                .tcp(ports.0, ports.1)
                .flags(set)
                .payload(payload)
                .patch(Layer::Transport, 4, &numbers.0.to_be_bytes())
                .patch(Layer::Transport, 8, &numbers.1.to_be_bytes())
                .build(),
        }
    }
}

/// What a replay told.
pub(crate) struct Told {
    /// The services of each conversation.
    pub(crate) services: Vec<BTreeSet<String>>,
    /// By which kinds of evidence each service was told.
    pub(crate) evidence: BTreeMap<String, BTreeSet<&'static str>>,
}

/// Replays conversations, each of a client of its own.
pub(crate) fn replayed(conversations: &[Conversation], plan: &Plan) -> Told {
    let folder = tempfile::tempdir().unwrap();
    let capture = folder.path().join("conversations.pcap");
    let clients = (0_u16..).map(client);
    let frames = clients.zip(conversations);
    let frames: Vec<_> = frames
        .flat_map(|(client, said)| said.frames(client))
        .collect();
    fs::write(&capture, pcap(&frames)).unwrap();
    let request = ReplayRequest {
        captures: vec![capture],
        local: vec!["10.0.0.0/8".parse().unwrap()],
        ..ReplayRequest::default()
    };
    let snapshot = run(&request, plan, &mut Vec::new(), &mut Silent)
        .unwrap()
        .snapshot;
    let id = |number: u16| {
        let service = plan
            .services
            .iter()
            .find(|service| service.number == number);
        service.unwrap().id.clone()
    };
    let services = (0_u16..).map(client).zip(conversations).map(|(client, _)| {
        let hosts = snapshot.hosts.iter().filter(|host| host.host == client);
        hosts.map(|host| id(host.service)).collect()
    });
    let evidence = snapshot.services.iter().map(|counts| {
        let evidence = counts.cells.iter().map(|cell| cell.evidence.name());
        (id(counts.number), evidence.collect())
    });
    Told {
        services: services.collect(),
        evidence: evidence.collect(),
    }
}

/// The client of a conversation.
fn client(number: u16) -> IpAddr {
    let [high, low] = number.to_be_bytes();
    Ipv4Addr::new(10, 1, high, low).into()
}

/// Is told what goes wrong with a capture, which is then the test's own fault.
struct Silent;

impl Observer for Silent {
    fn is_cut(&mut self, cut: &Cut) {
        panic!("{cut}");
    }

    fn fails(&mut self, error: &CaptureError) {
        panic!("{error}");
    }
}

/// A capture file: little-endian, microseconds, Ethernet, a millisecond between two frames.
fn pcap(frames: &[Vec<u8>]) -> Vec<u8> {
    let mut file = Vec::new();
    for field in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 0xffff, 1] {
        file.extend(field.to_le_bytes());
    }
    for (time, frame) in (0_u32..).step_by(1000).zip(frames) {
        let length = u32::try_from(frame.len()).unwrap();
        for field in [1_700_000_000, time, length, length] {
            file.extend(field.to_le_bytes());
        }
        file.extend(frame);
    }
    file
}
