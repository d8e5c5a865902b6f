//! One plan in both homes: kernel maps and memory, fed with the same frames at the same time.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::thread;
use std::time::Duration;

use imblock::kernel::{Loaded, Maps};
use imblock::policy::Plan;
use imblock::replay::MemoryTables;
use imblock::snapshot::Snapshot;
use imblock_common::layout::{Counts, HostRecord, Stage};
use imblock_common::testkit::GsoFrame;
use imblock_common::{Evidence, Hook, Outcome, Verdict, View, classify, record};
use rustix::time::{ClockId, clock_gettime};

/// Frames below this length are refused by `BPF_PROG_TEST_RUN`.
pub(crate) const SHORTEST: usize = 14;
/// Frames above this length don't fit in the one page that it takes for an skb.
const LONGEST_EGRESS: usize = 3000;

/// One plan in both homes.
pub(crate) struct Twins {
    pub(crate) kernel: Loaded,
    pub(crate) maps: Maps,
    pub(crate) memory: MemoryTables,
}

/// A frame as a hook sees it.
#[derive(Clone, Debug)]
pub(crate) struct Sighting {
    pub(crate) frame: Vec<u8>,
    pub(crate) view: View,
    /// Packets on the wire that it stands for; 1 at ingress.
    pub(crate) segments: u16,
}

impl Twins {
    /// The plan in both homes, nothing counted.
    pub(crate) fn new(plan: &Plan, control_flags: u32) -> Self {
        let (kernel, mut maps) = Loaded::unpinned(&plan.limits, &Stage::ALL).unwrap();
        maps.apply(plan).unwrap();
        maps.set_flags(control_flags).unwrap();
        let memory = MemoryTables::new(plan);
        memory.set_flags(control_flags);
        Self {
            kernel,
            maps,
            memory,
        }
    }

    /// Shows a frame to both homes. What each lets pass, or `None` for a frame that the kernel
    /// can't be given: the library judges it, and counts nothing.
    pub(crate) fn see(&self, sighting: &Sighting) -> Option<(bool, bool)> {
        let packet = GsoFrame {
            bytes: &sighting.frame,
            segments: u32::from(sighting.segments),
        };
        // The kernel first, so that it looks at its clock as soon as possible after this.
        self.memory.set_now(now_with_some_of_the_second_left());
        let kernel = sighting.fits().then(|| {
            let context = sighting.context();
            let passes = self
                .kernel
                .test_run(sighting.view, &sighting.frame, context.as_deref());
            passes.unwrap_or_else(|error| panic!("{sighting:02x?}: {error:?}"))
        });
        let judgement = classify(packet, sighting.view, &self.memory);
        let kernel = kernel?;
        record::record(&judgement, packet, sighting.view, &self.memory);
        Some((kernel, judgement.passes()))
    }

    /// What each home has counted.
    pub(crate) fn counted(&self) -> (Counted, Counted) {
        (
            Counted::of(&self.maps.snapshot().unwrap()),
            Counted::of(&self.memory.snapshot()),
        )
    }
}

impl Sighting {
    /// Whether `BPF_PROG_TEST_RUN` takes the frame. Where it makes an skb, an IP header that
    /// Ethernet announces must be whole (kernel 6.18).
    pub(crate) fn fits(&self) -> bool {
        let length = self.frame.len();
        match self.view.hook {
            Hook::Ingress => length >= SHORTEST,
            Hook::Egress => {
                let shortest = match self.frame.get(12..14) {
                    Some([0x08, 0x00]) => SHORTEST + 20,
                    Some([0x86, 0xdd]) => SHORTEST + 40,
                    _ => SHORTEST,
                };
                (shortest..=LONGEST_EGRESS).contains(&length)
            }
        }
    }

    /// A `struct __sk_buff` (`linux/bpf.h`) of which only `gso_segs` says something.
    fn context(&self) -> Option<Vec<u8>> {
        const LENGTH: usize = 192;
        const GSO_SEGS: usize = 164;
        if self.segments <= 1 {
            return None;
        }
        let mut context = vec![0; LENGTH];
        let field = context.get_mut(GSO_SEGS..GSO_SEGS + 4).unwrap();
        field.copy_from_slice(&u32::from(self.segments).to_ne_bytes());
        Some(context)
    }
}

/// The clock that the kernel program reads, in nanoseconds. What is remembered is remembered in whole
/// seconds, so it is not read when a second ends soon: the other home would see the next one, should
/// somebody else have the processor meanwhile.
fn now_with_some_of_the_second_left() -> u64 {
    const SECOND: i64 = 1_000_000_000;
    const ENOUGH: i64 = 100_000_000;
    loop {
        let now = clock_gettime(ClockId::MonotonicCoarse);
        let left = SECOND - now.tv_nsec;
        if left > ENOUGH {
            return u64::try_from(now.tv_sec * SECOND + now.tv_nsec).unwrap();
        }
        thread::sleep(Duration::from_nanos(u64::try_from(left).unwrap()));
    }
}

/// Traffic that passed, each way, and traffic that was refused.
type Traffic = ([Counts; 2], [Counts; 2]);

/// A snapshot in a form that can be compared: in order, and without times.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Counted {
    pub(crate) services: BTreeMap<(u16, Evidence, Verdict), Counts>,
    pub(crate) overflow: BTreeMap<u16, Traffic>,
    pub(crate) hosts: BTreeMap<(IpAddr, u16), Traffic>,
    pub(crate) frames: BTreeMap<(u32, Outcome), u64>,
}

impl Counted {
    pub(crate) fn of(snapshot: &Snapshot) -> Self {
        let mut counted = Self::default();
        for service in &snapshot.services {
            for cell in &service.cells {
                let key = (service.number, cell.evidence, cell.verdict);
                let before = counted.services.insert(key, cell.traffic);
                assert_eq!(before, None, "a cell twice in a snapshot");
            }
            let overflow = traffic(&service.overflow);
            if overflow != Traffic::default() {
                counted.overflow.insert(service.number, overflow);
            }
        }
        for host in &snapshot.hosts {
            let key = (host.host, host.service);
            let before = counted.hosts.insert(key, traffic(&host.record));
            assert_eq!(before, None, "a host twice in a snapshot");
        }
        for frames in &snapshot.frames {
            let key = (frames.view.index(), frames.outcome);
            let before = counted.frames.insert(key, frames.packets);
            assert_eq!(before, None, "a view and outcome twice in a snapshot");
        }
        counted
    }

    /// Panics unless hosts and overflow add up to each service's total.
    #[track_caller]
    pub(crate) fn assert_adds_up(&self) {
        let mut totals = BTreeMap::<u16, Counts>::new();
        for ((service, ..), counts) in &self.services {
            totals.entry(*service).or_default().add(*counts);
        }
        let mut sums = BTreeMap::<u16, Counts>::new();
        let hosts = self
            .hosts
            .iter()
            .map(|((_, service), traffic)| (service, traffic));
        for (service, (passed, refused)) in hosts.chain(&self.overflow) {
            for counts in passed.iter().chain(refused) {
                sums.entry(*service).or_default().add(*counts);
            }
        }
        assert_eq!(
            sums, totals,
            "hosts and overflow against the services' totals"
        );
    }

    /// Packets of every service together.
    pub(crate) fn identified(&self) -> u64 {
        self.services.values().map(|counts| counts.packets).sum()
    }
}

fn traffic(record: &HostRecord) -> Traffic {
    (record.passed, record.refused)
}
