//! What is counted: every frame once, every identified packet at one host or in the overflow.
#![expect(clippy::indexing_slicing, reason = "tests")]

use core::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use imblock_common::layout::{Control, Counts, HostRecord};
use imblock_common::testkit::{Frame, World, generate, service};
use imblock_common::{
    Addr, Counters, Direction, Evidence, Outcome, Packet, Verdict, View, classify, record,
};

const LAN_INGRESS: View = View::ALL[0];
const LAN_EGRESS: View = View::ALL[1];
const WAN_INGRESS: View = View::ALL[2];
const WAN_EGRESS: View = View::ALL[3];

/// Counters in memory, with room for `room` hosts.
#[derive(Default)]
struct Ledger {
    flags: u32,
    room: usize,
    now: Cell<u64>,
    frames: RefCell<BTreeMap<u32, u64>>,
    totals: RefCell<BTreeMap<(u16, Verdict), Counts>>,
    hosts: RefCell<BTreeMap<([u8; 16], u16), HostRecord>>,
    overflow: RefCell<BTreeMap<u16, HostRecord>>,
}

impl Counters for &Ledger {
    fn flags(self) -> u32 {
        self.flags
    }

    fn now(self) -> u64 {
        self.now.get()
    }

    fn frame(self, slot: u32, packets: u64) {
        *self.frames.borrow_mut().entry(slot).or_default() += packets;
    }

    fn service(self, service: u16, _: Evidence, verdict: Verdict, traffic: Counts) {
        let mut totals = self.totals.borrow_mut();
        totals.entry((service, verdict)).or_default().add(traffic);
    }

    fn host(self, host: &Addr, service: u16, update: impl FnOnce(&mut HostRecord)) -> bool {
        let mut hosts = self.hosts.borrow_mut();
        let key = (host.octets(), service);
        if hosts.len() >= self.room && !hosts.contains_key(&key) {
            return false;
        }
        update(hosts.entry(key).or_default());
        true
    }

    fn overflow(self, service: u16, update: impl FnOnce(&mut HostRecord)) {
        update(self.overflow.borrow_mut().entry(service).or_default());
    }
}

impl Ledger {
    fn see<P: Packet>(&self, packet: P, view: View) -> bool {
        let judgement = classify(packet, view, &World::standard());
        record::record(&judgement, packet, view, self);
        judgement.passes()
    }

    fn total(&self, service: u16) -> Counts {
        let mut sum = Counts::default();
        for ((of, _), counts) in self.totals.borrow().iter() {
            if *of == service {
                sum.add(*counts);
            }
        }
        sum
    }
}

/// One piece of a buffer that stands for several packets on the wire.
#[derive(Clone, Copy)]
struct Buffer<'a> {
    bytes: &'a [u8],
    segments: u32,
}

impl Packet for Buffer<'_> {
    fn copy<const N: usize>(self, at: usize) -> Option<[u8; N]> {
        self.bytes.copy(at)
    }

    fn length(self) -> u32 {
        self.bytes.length()
    }

    fn segments(self) -> u32 {
        self.segments
    }
}

fn all(record: &HostRecord) -> Counts {
    let mut sum = Counts::default();
    for counts in record.passed.iter().chain(&record.refused) {
        sum.add(*counts);
    }
    sum
}

#[test]
fn hosts_and_overflow_add_up_to_the_totals() {
    for room in [0, 1, 5, 1000] {
        for flags in 0..4 {
            let ledger = Ledger {
                flags,
                room,
                ..Ledger::default()
            };
            let frames = 5000;
            for index in 0..frames {
                let view = View::ALL[usize::try_from(index % 4).unwrap_or(0)];
                ledger.see(generate(11, index).as_slice(), view);
            }
            assert_eq!(ledger.frames.borrow().values().sum::<u64>(), frames);
            assert!(ledger.hosts.borrow().len() <= room);
            let mut sums = BTreeMap::<u16, Counts>::new();
            for ((_, service), record) in ledger.hosts.borrow().iter() {
                sums.entry(*service).or_default().add(all(record));
            }
            for (service, record) in ledger.overflow.borrow().iter() {
                sums.entry(*service).or_default().add(all(record));
            }
            let services: Vec<_> = ledger.totals.borrow().keys().map(|key| key.0).collect();
            assert!(services.len() > 8, "the frames tell too few services");
            for service in services {
                assert_eq!(sums.get(&service), Some(&ledger.total(service)));
            }
        }
    }
}

#[test]
fn a_packet_is_counted_under_its_verdict_host_and_direction() {
    let ledger = Ledger {
        room: 10,
        ..Ledger::default()
    };
    let frame = Frame::eth()
        .ipv4("10.0.0.5", "198.51.100.7")
        .tcp(40_000, 6667);
    let sent = frame.payload(&[0; 46]).build();
    let frame = Frame::eth()
        .ipv4("198.51.100.7", "10.0.0.5")
        .tcp(5222, 40_000);
    let received = frame.payload(&[0; 6]).build();
    assert!(!ledger.see(sent.as_slice(), LAN_INGRESS));
    assert!(ledger.see(received.as_slice(), LAN_EGRESS));
    let counts = |packets, bytes| Counts { packets, bytes };
    let totals = ledger.totals.borrow();
    let expected = [
        ((service::IRC, Verdict::Dropped), counts(1, 100)),
        ((service::XMPP, Verdict::Counted), counts(1, 60)),
    ];
    assert_eq!(*totals, BTreeMap::from(expected));
    let hosts = ledger.hosts.borrow();
    let record = |service| hosts[&(Addr::v4([10, 0, 0, 5]).octets(), service)];
    let irc = record(service::IRC);
    assert_eq!(irc.refused[Direction::Sent as usize], counts(1, 100));
    let xmpp = record(service::XMPP);
    assert_eq!(xmpp.passed[Direction::Received as usize], counts(1, 60));
    assert_eq!(hosts.len(), 2);
    let slot = Outcome::Identified.slot(LAN_INGRESS);
    assert_eq!(ledger.frames.borrow().get(&slot), Some(&1));
}

#[test]
fn a_wan_side_counts_what_passes_only_when_no_lan_side_does() {
    let to = |port| {
        Frame::eth()
            .ipv4("10.0.0.5", "198.51.100.7")
            .tcp(40_000, port)
            .build()
    };
    let from = |port| {
        Frame::eth()
            .ipv4("198.51.100.7", "10.0.0.5")
            .tcp(port, 40_000)
            .build()
    };
    let counted = |flags, view, frame: Vec<u8>| {
        let ledger = Ledger {
            flags,
            room: 10,
            ..Ledger::default()
        };
        ledger.see(frame.as_slice(), view);
        assert_eq!(ledger.frames.borrow().values().sum::<u64>(), 1);
        let total = ledger
            .totals
            .borrow()
            .values()
            .map(|c| c.packets)
            .sum::<u64>();
        assert_eq!(
            total,
            u64::try_from(ledger.hosts.borrow().len()).unwrap_or(9)
        );
        total == 1
    };
    let (sent, received) = (Control::WAN_COUNTS_SENT, Control::WAN_COUNTS_RECEIVED);
    for flags in 0..4 {
        assert_eq!(counted(flags, WAN_EGRESS, to(5222)), flags & sent != 0);
        assert_eq!(
            counted(flags, WAN_INGRESS, from(5222)),
            flags & received != 0
        );
        // What a WAN side drops, no LAN side ever sees.
        assert!(counted(flags, WAN_EGRESS, to(6667)));
        assert!(counted(flags, WAN_INGRESS, from(6667)));
        assert!(counted(flags, LAN_INGRESS, to(5222)));
        assert!(counted(flags, LAN_EGRESS, from(5222)));
    }
}

#[test]
fn a_gso_buffer_counts_as_the_packets_it_becomes() {
    let ledger = Ledger {
        room: 10,
        ..Ledger::default()
    };
    let frame = Frame::eth().vlan(3).ipv4("198.51.100.7", "10.0.0.5");
    let frame = frame.tcp(5222, 40_000).options(3).payload(&[0; 3000]);
    let bytes = frame.build();
    let headers = 14 + 4 + 20 + 32;
    assert_eq!(bytes.len(), headers + 3000);
    let buffer = Buffer {
        bytes: &bytes,
        segments: 3,
    };
    ledger.see(buffer, LAN_EGRESS);
    let expected = Counts {
        packets: 3,
        bytes: 3000 + 3 * 70,
    };
    assert_eq!(ledger.total(service::XMPP), expected);
    assert_eq!(ledger.frames.borrow().values().sum::<u64>(), 3);
}
