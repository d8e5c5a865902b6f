//! What is counted: every frame once, every identified packet at one host or in the overflow.
#![expect(clippy::indexing_slicing, reason = "tests")]

use core::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use imblock_common::hosts::{HostSlot, InsideSlot, Slots};
use imblock_common::layout::{ABI, Control, Counts, HostRecord, Inside};
use imblock_common::testkit::{Frame, GsoFrame, World, generate, service};
use imblock_common::{
    Addr, Counters, Direction, Evidence, Outcome, Packet, Verdict, View, classify, record,
};

const LAN_INGRESS: View = View::ALL[0];
const LAN_EGRESS: View = View::ALL[1];
const WAN_INGRESS: View = View::ALL[2];
const WAN_EGRESS: View = View::ALL[3];

/// Counters in memory.
#[derive(Default)]
struct Ledger {
    flags: u32,
    now: Cell<u64>,
    frames: RefCell<BTreeMap<u32, u64>>,
    totals: RefCell<BTreeMap<(u16, Verdict), Counts>>,
    slots: RefCell<Vec<HostSlot>>,
    overflow: RefCell<BTreeMap<u16, HostRecord>>,
}

/// Nanoseconds of a tick.
const TICK: u64 = 1_000_000;

impl Counters for &Ledger {
    fn control(self) -> Control {
        Control {
            abi: ABI,
            generation: 1,
            flags: self.flags,
            host_slots: u32::try_from(self.slots.borrow().len()).unwrap_or(0),
            host_seed: 3,
            ticks_per_second: 1000,
            host_keys: 0,
            policy_flags: [0; 2],
            flow_cells: 0,
            flow_clock_shift: 0,
            flow_idle: 0,
            deadline: 0,
            fallback: 0,
            inside: Inside::NONE,
        }
    }

    fn tick(self) -> u32 {
        u32::try_from(self.now.get() / TICK).unwrap_or(0)
    }

    fn frame(self, slot: u32, packets: u64) {
        *self.frames.borrow_mut().entry(slot).or_default() += packets;
    }

    fn service(self, service: u16, _: Evidence, verdict: Verdict, traffic: Counts) {
        let mut totals = self.totals.borrow_mut();
        totals.entry((service, verdict)).or_default().add(traffic);
    }

    fn hosts(self) -> impl Slots {
        self
    }

    fn overflow(self, service: u16, update: impl FnOnce(&mut HostRecord)) {
        update(self.overflow.borrow_mut().entry(service).or_default());
    }
}

impl Slots for &Ledger {
    fn slot<R>(self, number: u32, visit: impl FnOnce(&mut HostSlot) -> R) -> Option<R> {
        self.slots
            .borrow_mut()
            .get_mut(usize::try_from(number).ok()?)
            .map(visit)
    }

    fn place<R>(self, _: u32, _: impl FnOnce(&mut InsideSlot) -> R) -> Option<R> {
        None
    }

    fn inside(&self) -> &Inside {
        &Inside::NONE
    }

    fn now(self) -> u64 {
        self.now.get()
    }

    fn vacate(self, first: u32) -> u32 {
        record::vacate(self, first)
    }
}

impl Ledger {
    fn with_slots(slots: usize) -> Self {
        Self {
            slots: RefCell::new(vec![HostSlot::default(); slots]),
            ..Self::default()
        }
    }

    /// The records by host and service.
    fn hosts(&self) -> BTreeMap<([u8; 16], u16), HostRecord> {
        let mut hosts = BTreeMap::<_, HostRecord>::new();
        for (host, service, record) in self.slots.borrow().iter().filter_map(HostSlot::read) {
            let merged = hosts.entry((host.octets(), service)).or_default();
            merged.merge(&record);
        }
        hosts
    }

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

fn all(record: &HostRecord) -> Counts {
    let mut sum = Counts::default();
    for counts in record.passed.iter().chain(&record.refused) {
        sum.add(*counts);
    }
    sum
}

#[test]
fn hosts_and_overflow_add_up_to_the_totals() {
    for slots in [0, 8, 16, 1024] {
        for flags in 0..4 {
            let mut ledger = Ledger::with_slots(slots);
            ledger.flags = flags;
            let frames = 5000;
            for index in 0..frames {
                let view = View::ALL[usize::try_from(index % 4).unwrap_or(0)];
                ledger.see(generate(11, index).as_slice(), view);
            }
            assert_eq!(ledger.frames.borrow().values().sum::<u64>(), frames);
            assert_eq!(slots == 0, ledger.hosts().is_empty());
            let mut sums = BTreeMap::<u16, Counts>::new();
            for ((_, service), record) in &ledger.hosts() {
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
    let ledger = Ledger::with_slots(64);
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
    let hosts = ledger.hosts();
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
        let mut ledger = Ledger::with_slots(64);
        ledger.flags = flags;
        ledger.see(frame.as_slice(), view);
        assert_eq!(ledger.frames.borrow().values().sum::<u64>(), 1);
        let total = ledger
            .totals
            .borrow()
            .values()
            .map(|c| c.packets)
            .sum::<u64>();
        assert_eq!(total, u64::try_from(ledger.hosts().len()).unwrap_or(9));
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
    let ledger = Ledger::with_slots(64);
    let frame = Frame::eth().vlan(3).ipv4("198.51.100.7", "10.0.0.5");
    let frame = frame.tcp(5222, 40_000).options(3).payload(&[0; 3000]);
    let bytes = frame.build();
    let headers = 14 + 4 + 20 + 32;
    assert_eq!(bytes.len(), headers + 3000);
    let buffer = GsoFrame {
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
