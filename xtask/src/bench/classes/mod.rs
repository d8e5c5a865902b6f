//! The kinds of frames that are measured.

mod contents;
mod ports;

use imblock_common::testkit::{Frame, flags};

use super::packets::Pledge;

/// A port whose service the benchmark's policy drops, for TCP and UDP; no service of the catalogue
/// has it.
pub(super) const DROPPED_PORT: u16 = 15_050;
/// The same for one that has ended, so that its port tells all there is to tell.
pub(super) const ENDED_PORT: u16 = 15_052;
/// The same for one that is rejected, for TCP.
pub(super) const REJECTED_PORT: u16 = 15_051;
/// Names of services that the policy drops and counts.
pub(super) const DROPPED_NAME: &str = "dropped.bench.example";
/// See [`DROPPED_NAME`].
pub(super) const COUNTED_NAME: &str = "counted.bench.example";
/// What a payload begins with that tells another service of the benchmark's, one digit of 1 to 8
/// behind it.
pub(super) const MARKER: &str = "BENCH MARKER ";
/// A port that no service has.
const OTHER_PORT: u16 = 8443;
/// A client's port.
const CLIENT_PORT: u16 = 49_152;

/// What an XDP program says, of `linux/bpf.h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Drop = 1,
    Pass = 2,
    /// Send it back where it came from.
    Answer = 3,
}

/// What is varied in each frame, before the program sees it.
#[derive(Clone, Copy)]
pub(super) enum Front {
    None,
    /// The host, one of so many at random.
    Hosts(u16),
    /// The client's port, one of so many at random (at most 32,768), and the host, one of a few.
    Flows {
        ports: u16,
        hosts: u8,
    },
}

impl Front {
    /// So many flows that each frame begins one, or follows one that was pushed out of the table.
    const FRESH: Self = Self::Flows {
        ports: 0x8000,
        hosts: 255,
    };

    /// How many frames it takes until nearly all that can be chosen was chosen.
    pub(super) fn warm_up(self) -> u32 {
        let choices = match self {
            Self::None => return 1,
            Self::Hosts(hosts) => u32::from(hosts),
            Self::Flows { ports, hosts } => u32::from(ports) * u32::from(hosts),
        };
        // All but one in 400 of them, at random; more than the flow table holds need not be known.
        (choices * 6).min(600_000)
    }
}

/// How the time of a class is measured.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum How {
    /// The same frame many times in one call.
    Repeated,
    /// What is said before and the frame in turn, over and over, by one of the flows that vary.
    InTurn,
    /// A frame a call, each of a flow of its own with what is said before: for what can't be said
    /// twice.
    OneByOne,
}

/// How many flows can be told.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum FlowTable {
    /// Room for every class.
    Large,
    /// A thousand, which stay in the cache.
    Small,
}

/// Frames of one kind.
#[derive(Clone)]
pub(super) struct Class {
    pub(super) name: &'static str,
    pub(super) frame: Vec<u8>,
    /// What is said before: the connection's beginning.
    pub(super) before: Vec<Vec<u8>>,
    /// What our program makes of the frame.
    pub(super) verdict: Verdict,
    /// What varies.
    pub(super) front: Front,
    pub(super) how: How,
    pub(super) flow_table: FlowTable,
    /// Whether the port decides, so that what xdp-filter does is the same.
    pub(super) by_port: bool,
    /// Whether a frame is handed to the controller.
    pub(super) handed_over: bool,
    /// What is promised of it.
    pub(super) pledge: Option<Pledge>,
}

impl Class {
    /// A frame that passes, over and over, and about which nothing is promised.
    fn new(name: &'static str, frame: &Frame) -> Self {
        Self {
            name,
            frame: frame.build(),
            before: Vec::new(),
            verdict: Verdict::Pass,
            front: Front::None,
            how: How::Repeated,
            flow_table: FlowTable::Large,
            by_port: false,
            handed_over: false,
            pledge: None,
        }
    }

    /// Whether it has tables of its own.
    pub(super) fn is_apart(&self) -> bool {
        matches!(self.front, Front::Flows { .. }) && self.how != How::InTurn
    }

    /// What is said before, and the frame, of a flow of its own for each number. IPv4 without tags only.
    pub(super) fn of_flow(&self, number: u32) -> (Vec<Vec<u8>>, Vec<u8>) {
        let before = self.before.iter();
        let before = before.map(|frame| of_flow(number, frame.clone()));
        (before.collect(), of_flow(number, self.frame.clone()))
    }

    /// The same class, each frame of another flow.
    fn varied(self, ports: u16, hosts: u8) -> Self {
        let choosing = |frame| choosing_from(ports, hosts, frame);
        Self {
            frame: choosing(self.frame),
            before: self.before.into_iter().map(choosing).collect(),
            front: Front::Flows { ports, hosts },
            ..self
        }
    }

    /// The same class, each frame of a flow that is new or forgotten.
    fn fresh(self) -> Self {
        match Front::FRESH {
            Front::Flows { ports, hosts } => self.varied(ports, hosts),
            _ => self,
        }
    }
}

pub(super) fn all() -> Vec<Class> {
    let mut classes = ports::all();
    classes.extend(contents::all());
    classes
}

/// A frame of IPv4 without tags, of the first host.
pub(super) fn v4() -> Frame {
    Frame::eth().ipv4("10.0.0.2", "198.51.100.7").padded()
}

/// A TCP segment to a port.
fn data(port: u16) -> Frame {
    data_of(CLIENT_PORT, port)
}

/// The same, of another client.
fn data_of(client: u16, port: u16) -> Frame {
    v4().tcp(client, port).flags(flags::ACK | flags::PSH)
}

fn v6() -> Frame {
    Frame::eth().ipv6("2001:db8::2", "2001:db8:ffff::7")
}

/// Tells the program in front how many there are: in the IPv4 identification and, of hosts where that
/// is of ports, in the time to live. Nothing else looks at them.
pub(super) fn choosing_from(many: u16, few: u8, mut frame: Vec<u8>) -> Vec<u8> {
    const IDENTIFICATION_AT: usize = 18;
    const TIME_TO_LIVE_AT: usize = 22;
    put(&mut frame, IDENTIFICATION_AT, &many.to_be_bytes());
    put(&mut frame, TIME_TO_LIVE_AT, &[few]);
    frame
}

/// Puts a number's own port, and beyond 32,768 its own host, into the source of a frame of IPv4 without
/// tags.
pub(super) fn of_flow(number: u32, mut frame: Vec<u8>) -> Vec<u8> {
    const HOST_AT: usize = 28;
    const PORT_AT: usize = 34;
    let [_, _, port, low] = (number & 0x7fff | 0x8000).to_be_bytes();
    let [_, _, net, host] = (number >> 15).wrapping_add(2).to_be_bytes();
    put(&mut frame, HOST_AT, &[net, host]);
    put(&mut frame, PORT_AT, &[port, low]);
    frame
}

fn put(frame: &mut [u8], at: usize, bytes: &[u8]) {
    for (byte, value) in frame.iter_mut().skip(at).zip(bytes) {
        *byte = *value;
    }
}

#[cfg(test)]
#[expect(clippy::indexing_slicing, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn each_number_has_a_flow_of_its_own() {
        let frame = data(443).build();
        let source = |number| {
            let frame = of_flow(number, frame.clone());
            (frame[26..30].to_vec(), frame[34..36].to_vec())
        };
        assert_eq!(source(0), (vec![10, 0, 0, 2], vec![0x80, 0]));
        assert_eq!(source(0x7fff), (vec![10, 0, 0, 2], vec![0xff, 0xff]));
        assert_eq!(source(0x8001), (vec![10, 0, 0, 3], vec![0x80, 1]));
    }

    #[test]
    fn names_tell_classes_apart() {
        let mut names: Vec<_> = all().iter().map(|class| class.name).collect();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
