//! Real connections, recorded by other people, where the machine has them: `truth.tsv` tells the
//! name of each.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use imblock_common::Transport;
use imblock_common::packet::CapturedFrame;

use super::super::{Connections, Key, Named, NotRead, Outcome, client_hello_name};
use crate::replay::capture::Capture;
use crate::replay::link::LinkLayer;

const READ: &str = "read";
const MISSED: &str = "missed";
const UDP_HEADER: usize = 8;

/// From whom to whom.
type Way = (SocketAddr, SocketAddr);

impl Key for Way {
    type Host = IpAddr;

    fn host(&self) -> IpAddr {
        self.0.ip()
    }
}

/// What the datagrams of one way told.
#[derive(Debug, Default)]
struct Told {
    name: Option<String>,
    not_read: BTreeSet<String>,
    /// It has a version of which the keys are not known.
    other_version: bool,
}

#[test]
fn names_in_real_captures_are_read() {
    let captures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/captures");
    let Ok(truth) = std::fs::read_to_string(captures.join("truth.tsv")) else {
        println!("skipped: no truth.tsv in {}", captures.display());
        return;
    };
    let mut files: BTreeMap<&str, BTreeMap<Way, Told>> = BTreeMap::new();
    let mut tally: BTreeMap<&str, u32> = BTreeMap::new();
    for row in truth.lines() {
        let row: Vec<&str> = row.split('\t').collect();
        if !row[12].split(',').any(|signal| signal == "quic") {
            continue;
        }
        let [file, name] = [row[0], row[10]];
        let told = files
            .entry(file)
            .or_insert_with(|| told(&captures.join(file)));
        let (client, server) = (socket(row[2], row[3]), socket(row[4], row[5]));
        // Where the first packet was missed, the truth may take the server for the client.
        let ways = [(client, server), (server, client)];
        let told: Vec<&Told> = ways.iter().filter_map(|way| told.get(way)).collect();
        let found = told.iter().find_map(|told| told.name.as_deref());
        let result = match found {
            Some(found) if found == name => READ,
            Some(_) if name.is_empty() => "read, but the truth has no name",
            None if told.is_empty() => "in frames that can't be parsed",
            None if told.iter().any(|told| told.other_version) => "in a version without known keys",
            None if name.is_empty() => "without a name",
            _ => MISSED,
        };
        *tally.entry(result).or_default() += 1;
        if result != READ {
            println!("{file} {client} {name:?}: {result}. {found:?} {told:?}");
        }
    }
    println!("{tally:#?}");
    assert!(tally.contains_key(READ));
    assert!(!tally.contains_key(MISSED));
}

/// What the datagrams of a capture tell, by their way.
fn told(path: &Path) -> BTreeMap<Way, Told> {
    let mut connections = Connections::new(1024, Duration::from_secs(30));
    let mut told: BTreeMap<Way, Told> = BTreeMap::new();
    let file = path.display().to_string();
    let mut capture = Capture::new(&file, File::open(path).unwrap()).unwrap();
    while let Ok(Some(frame)) = capture.next_frame() {
        let packet = CapturedFrame {
            bytes: frame.bytes,
            wire_length: frame.wire_length,
            is_ethernet: true,
        };
        let parsed = LinkLayer::from_link_type(frame.link_type).map(|link| link.parse(packet));
        let Some(Ok(segment)) = parsed else { continue };
        let end = segment.end.min(frame.bytes.len());
        let payload = frame.bytes.get(segment.transport_at + UDP_HEADER..end);
        let (Some(payload), Transport::Udp) = (payload, segment.transport) else {
            continue;
        };
        let way = (
            SocketAddr::new(IpAddr::from(segment.source), segment.source_port),
            SocketAddr::new(IpAddr::from(segment.destination), segment.destination_port),
        );
        let told = told.entry(way).or_default();
        let now = Duration::from_nanos(frame.timestamp);
        match connections.datagram(&way, now, payload) {
            Outcome::Waiting => {}
            Outcome::Hello { bytes } => {
                if let Named::Name(name) = client_hello_name(bytes) {
                    told.name = Some(name);
                }
            }
            Outcome::Nothing(reason) => {
                told.other_version |=
                    matches!(reason, NotRead::OtherVersion(_)) || has_google_header(payload);
                told.not_read.insert(reason.to_string());
            }
        }
    }
    told
}

/// Whether it has the header of Google's versions before 44, with a connection id and a version.
fn has_google_header(payload: &[u8]) -> bool {
    payload.first().is_some_and(|flags| flags & 0x89 == 0x09) && payload.get(9..11) == Some(b"Q0")
}

fn socket(address: &str, port: &str) -> SocketAddr {
    SocketAddr::new(address.parse().unwrap(), port.parse().unwrap())
}
