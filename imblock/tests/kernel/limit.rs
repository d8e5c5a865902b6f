//! `action: limit` in the kernel: what the library does, and with several CPUs at once.

use std::thread;
use std::time::{Duration, Instant};

use imblock::policy::Plan;
use imblock::testing::kernel_or_skip;
use imblock_common::layout::{ActionRow, PortEntry, Rate, SERVICES_MAX};
use imblock_common::testkit::{Frame, World};
use imblock_common::{Action, Transport, Verdict, View};

use crate::plan::{ROOMY, plan_of};
use crate::twins::{Sighting, Twins};

const SERVICE: u16 = 1;

fn limited(rate: Rate) -> Plan {
    let mut plan = plan_of(
        &World {
            ports: vec![(Transport::Tcp, 7001, PortEntry::of(SERVICE))],
            actions: vec![(0, SERVICE, Action::Limit)],
            ..World::default()
        },
        ROOMY,
    );
    let mut row = ActionRow([0; SERVICES_MAX]);
    *row.0.get_mut(usize::from(SERVICE)).unwrap() = 1;
    plan.rates = vec![Rate::NONE, rate];
    plan.rate_rows = vec![row];
    plan
}

fn sighting(host: &str, length: usize) -> Sighting {
    let frame = Frame::eth()
        .ipv4(host, "198.51.100.7")
        .tcp(40_000, 7001)
        .payload(&vec![0; length - 54]);
    Sighting {
        frame: frame.build(),
        view: View::ALL[0],
        segments: 1,
    }
}

#[test]
fn both_homes_let_the_same_burst_pass() {
    if !kernel_or_skip("both_homes_let_the_same_burst_pass") {
        return;
    }
    // Five packets, and another one every hundred seconds or so: no clock matters.
    let twins = Twins::new(&limited(Rate::new(1, 1_000_000, false)), 3);
    for _ in 0..3 {
        for host in ["10.1.2.3", "10.1.2.4", "2.3.4.5"] {
            let big = sighting(host, 1_400);
            let seen = twins.see(&big);
            assert_eq!(seen, Some((true, true)), "{host}");
        }
    }
    let twins = Twins::new(&limited(Rate::new(1_000, 5_000, false)), 3);
    let big = sighting("10.1.2.3", 1_400);
    let passed: Vec<_> = (0..10).map(|_| twins.see(&big)).collect();
    // 5,000 bytes are not empty before the fourth.
    let (first, rest) = passed.split_at(4);
    assert!(
        first.iter().all(|seen| *seen == Some((true, true))),
        "{passed:?}"
    );
    assert!(
        rest.iter().all(|seen| *seen == Some((false, false))),
        "{passed:?}"
    );
    let (kernel, library) = twins.counted();
    assert_eq!(kernel, library);
    kernel.assert_adds_up();
    let limited = kernel
        .services
        .keys()
        .any(|(.., verdict)| *verdict == Verdict::Limited);
    assert!(limited);
}

#[test]
fn several_cpus_share_a_rate() {
    if !kernel_or_skip("several_cpus_share_a_rate") {
        return;
    }
    const PER_SECOND: u64 = 20_000;
    const DURATION: Duration = Duration::from_secs(3);
    // As much as a second of the rate may gather, so that on a busy machine both threads may
    // wait for a CPU without losing what a shorter burst would have let run over.
    let twins = Twins::new(&limited(Rate::new(PER_SECOND, PER_SECOND, true)), 3);
    let frame = sighting("10.1.2.3", 60).frame;
    let begin = Instant::now();
    let send = || {
        let (mut passed, mut sent) = (0_u64, 0_u64);
        while begin.elapsed() < DURATION {
            passed += u64::from(twins.kernel.test_run(View::ALL[0], &frame, None).unwrap());
            sent += 1;
        }
        (passed, sent, begin.elapsed())
    };
    let both = thread::scope(|scope| {
        [scope.spawn(send), scope.spawn(send)].map(|thread| thread.join().unwrap())
    });
    let passed = both.iter().map(|(passed, ..)| passed).sum::<u64>();
    let sent = both.iter().map(|(_, sent, _)| sent).sum::<u64>();
    let took = both.iter().map(|(.., took)| *took).max().unwrap();
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    let share = passed as f64 / ((took.as_secs_f64() + 1.0) * PER_SECOND as f64);
    println!("{passed} of {sent} packets passed from two CPUs in {took:?}: {share:.3} of the rate");
    // Where the machine is too busy to offer more than the rate, nothing is proved.
    let offered = sent > 2 * PER_SECOND * DURATION.as_secs();
    assert!(share < 1.05, "{share}");
    assert!(share > 0.95 || !offered, "{share}");
}
