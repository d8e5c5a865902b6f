//! Applying a policy: every packet is judged by the old one or the new one, never by a mix.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use imblock::testing::kernel_or_skip;
use imblock_common::layout::{HostEntry, PortEntry};
use imblock_common::testkit::{Frame, World};
use imblock_common::{Action, Evidence, Transport, Verdict, View};

use crate::plan::{ROOMY, plan_of};
use crate::twins::{Counted, Twins};

/// Two policies turn every table around: which service a port is, which group the host is in, and
/// what a group does. Under each of them alone, port 7000 is dropped and port 7001 passes; under
/// any mix of two tables it is the other way round.
fn policy(turned: bool) -> World {
    let (bad, good) = if turned { (2, 1) } else { (1, 2) };
    let (home, elsewhere) = if turned { (2, 1) } else { (1, 2) };
    let entry = HostEntry {
        group: home,
        flags: 0,
    };
    World {
        ports: vec![
            (Transport::Tcp, 7000, PortEntry::of(bad)),
            (Transport::Tcp, 7001, PortEntry::of(good)),
        ],
        actions: vec![
            (home, bad, Action::Drop),
            (home, good, Action::Allow),
            (elsewhere, bad, Action::Allow),
            (elsewhere, good, Action::Drop),
        ],
        hosts: vec![("10.0.0.0".parse().unwrap(), 8, entry)],
        ..World::default()
    }
}

#[test]
fn no_packet_is_judged_by_a_mix_of_two_policies() {
    if !kernel_or_skip("no_packet_is_judged_by_a_mix_of_two_policies") {
        return;
    }
    const APPLIES: usize = 300;
    let plans = [false, true].map(|turned| plan_of(&policy(turned), ROOMY));
    let [first, _] = &plans;
    let Twins {
        kernel, mut maps, ..
    } = Twins::new(first, 0);
    let frames = [7000, 7001].map(|port| {
        Frame::eth()
            .ipv4("10.1.2.3", "198.51.100.7")
            .tcp(40_000, port)
            .build()
    });
    let done = AtomicBool::new(false);
    let (sent, wrong) = thread::scope(|scope| {
        let sender = scope.spawn(|| {
            let (mut sent, mut wrong) = (0_u64, 0_u64);
            while !done.load(Ordering::Relaxed) {
                let [bad, good] = &frames;
                let leaked = kernel.test_run(View::ALL[0], bad, None).unwrap();
                let passed = kernel.test_run(View::ALL[0], good, None).unwrap();
                wrong += u64::from(leaked) + u64::from(!passed);
                sent += 2;
            }
            (sent, wrong)
        });
        for plan in plans.iter().cycle().skip(1).take(APPLIES) {
            maps.apply(plan).unwrap();
        }
        done.store(true, Ordering::Relaxed);
        sender.join().unwrap()
    });
    assert_eq!(wrong, 0, "of {sent} packets in {APPLIES} applies");
    let counted = Counted::of(&maps.snapshot().unwrap());
    counted.assert_adds_up();
    assert_eq!(counted.identified(), sent);
    // Both policies were in force for a while, and each gave both verdicts.
    for service in [1, 2] {
        for verdict in [Verdict::Dropped, Verdict::Allowed] {
            let counts = counted.services.get(&(service, Evidence::Port, verdict));
            assert!(
                counts.is_some_and(|counts| counts.packets > 0),
                "{service} {verdict:?}"
            );
        }
    }
}
