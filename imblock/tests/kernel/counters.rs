//! Counters are exact: with both CPUs sending, with a full table, for buffers in pieces.

use std::thread;

use imblock::kernel::ActionChange;
use imblock::policy::plan::Limits;
use imblock::testing::kernel_or_skip;
use imblock_common::layout::{Counts, Inside};
use imblock_common::testkit::{Frame, World, group, service};
use imblock_common::{Action, Evidence, Outcome, Verdict, View};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::plan::{ROOMY, inside, plan_of};
use crate::twins::{Counted, Sighting, Twins};

const LAN_INGRESS: View = View::ALL[0];
const LAN_EGRESS: View = View::ALL[1];

fn to_port(host: &str, port: u16) -> Vec<u8> {
    Frame::eth()
        .ipv4(host, "198.51.100.7")
        .tcp(40_000, port)
        .build()
}

fn from_port(port: u16, host: &str) -> Vec<u8> {
    Frame::eth()
        .ipv4("198.51.100.7", host)
        .tcp(port, 40_000)
        .build()
}

/// Keeps this thread where it is.
pub(crate) fn stay_on_this_cpu() {
    pin_to(rustix::thread::sched_getcpu());
}

/// The CPUs that this process may use.
fn cpus() -> Vec<usize> {
    let allowed = sched_getaffinity(None).unwrap();
    (0..CpuSet::MAX_CPU)
        .filter(|cpu| allowed.is_set(*cpu))
        .collect()
}

fn pin_to(cpu: usize) {
    let mut set = CpuSet::new();
    set.set(cpu);
    sched_setaffinity(None, &set).unwrap();
}

#[test]
fn no_packet_is_lost_with_all_cpus_sending() {
    if !kernel_or_skip("no_packet_is_lost_with_all_cpus_sending") {
        return;
    }
    const EACH: usize = 20_000;
    const HOSTS: usize = 200;
    let none = Inside::NONE;
    for (room, inside) in [(10, none), (100, none), (65_536, none), (10, inside())] {
        let limits = Limits {
            hosts: room,
            inside,
            ..ROOMY
        };
        let twins = Twins::new(&plan_of(&World::standard(), limits), 0);
        let hosts: Vec<String> = (0..HOSTS).map(|n| format!("10.1.0.{n}")).collect();
        let frames: Vec<_> = hosts
            .iter()
            .flat_map(|host| [to_port(host, 6667), to_port(host, 5222)])
            .collect();
        let cpus = cpus();
        thread::scope(|scope| {
            for cpu in &cpus {
                let (kernel, frames) = (&twins.kernel, &frames);
                scope.spawn(move || {
                    pin_to(*cpu);
                    for frame in frames.iter().cycle().take(EACH) {
                        kernel.test_run(LAN_INGRESS, frame, None).unwrap();
                    }
                });
            }
        });
        let counted = Counted::of(&twins.maps.snapshot().unwrap());
        counted.assert_adds_up();
        let sent = u64::try_from(EACH * cpus.len()).unwrap();
        let half = Counts {
            packets: sent / 2,
            bytes: sent / 2 * 54,
        };
        let service = |number, verdict| counted.services.get(&(number, Evidence::Port, verdict));
        assert_eq!(service(service::IRC, Verdict::Dropped), Some(&half));
        assert_eq!(service(service::XMPP, Verdict::Counted), Some(&half));
        let frames = counted
            .frames
            .get(&(LAN_INGRESS.index(), Outcome::Identified));
        assert_eq!(frames, Some(&sent));
        assert_eq!(counted.overflow.is_empty(), room > 400, "room for {room}");
        // What came in while the table had room is in it, also when both CPUs came at once.
        let places = 2 * inside.hosts().min(128);
        assert!(counted.hosts.len() >= 400.min(usize::try_from(room + places).unwrap()));
    }
}

#[test]
fn hosts_inside_and_outside_are_both_read_back() {
    if !kernel_or_skip("hosts_inside_and_outside_are_both_read_back") {
        return;
    }
    // Room for eight pairs outside, which five hosts have no need of.
    let limits = Limits {
        hosts: 1,
        inside: inside(),
        ..ROOMY
    };
    let twins = Twins::new(&plan_of(&World::standard(), limits), 0);
    let inside = ["10.1.0.0", "10.1.0.1", "10.1.0.127", "10.0.5.127"];
    let outside = ["10.1.0.128", "10.0.255.255", "10.0.5.128"];
    for (times, host) in (1..).zip(inside.into_iter().chain(outside)) {
        for _ in 0..times {
            for (frame, view) in [
                (to_port(host, 6667), LAN_INGRESS),
                (to_port(host, 5222), LAN_INGRESS),
                (from_port(5222, host), LAN_EGRESS),
            ] {
                let sighting = Sighting {
                    frame,
                    view,
                    segments: 1,
                };
                twins.see(&sighting).unwrap();
            }
        }
    }
    let (kernel, library) = twins.counted();
    assert_eq!(kernel, library);
    kernel.assert_adds_up();
    for (times, host) in (1..).zip(inside.into_iter().chain(outside)) {
        let packets = |service| {
            let key = (host.parse().unwrap(), service);
            let (passed, refused) = kernel.hosts.get(&key).unwrap();
            let [sent, received] = passed.map(|counts| counts.packets);
            let [sent_too, received_too] = refused.map(|counts| counts.packets);
            [sent + sent_too, received + received_too]
        };
        assert_eq!(packets(service::IRC), [times, 0], "{host}");
        assert_eq!(packets(service::XMPP), [times, times], "{host}");
    }
    let in_use = twins.maps.hosts_in_use().unwrap();
    assert_eq!((in_use.hosts, in_use.inside), (6, 8));
    assert_eq!(twins.maps.limits().unwrap(), limits);
}

#[test]
fn a_full_table_counts_the_rest_as_overflow() {
    if !kernel_or_skip("a_full_table_counts_the_rest_as_overflow") {
        return;
    }
    let limits = Limits { hosts: 4, ..ROOMY };
    let twins = Twins::new(&plan_of(&World::standard(), limits), 0);
    for _ in 0..3 {
        for host in 1..=9 {
            let v4 = to_port(&format!("10.1.0.{host}"), 6667);
            let v6 = Frame::eth()
                .ipv6(&format!("2001:db8:1::{host}"), "2001:db8:ffff::7")
                .tcp(40_000, 6667)
                .build();
            for frame in [v4, v6] {
                let sighting = Sighting {
                    frame,
                    view: LAN_INGRESS,
                    segments: 1,
                };
                assert_eq!(twins.see(&sighting), Some((false, false)));
            }
        }
    }
    let (kernel, library) = twins.counted();
    assert_eq!(kernel, library);
    kernel.assert_adds_up();
    // Four hosts of each family came first and stay.
    assert_eq!(kernel.hosts.len(), 8);
    let (_, [sent, _]) = kernel.overflow.get(&service::IRC).copied().unwrap();
    let expected = Counts {
        packets: 3 * 2 * 5,
        bytes: 3 * 5 * (54 + 74),
    };
    assert_eq!(sent, expected);
}

#[test]
fn a_gso_buffer_counts_as_the_packets_it_becomes() {
    if !kernel_or_skip("a_gso_buffer_counts_as_the_packets_it_becomes") {
        return;
    }
    let twins = Twins::new(&plan_of(&World::standard(), ROOMY), 0);
    let frame = Frame::eth()
        .ipv4("198.51.100.7", "10.1.0.5")
        .tcp(5222, 40_000);
    let sighting = Sighting {
        frame: frame.options(3).payload(&[0; 2800]).build(),
        view: LAN_EGRESS,
        segments: 2,
    };
    assert_eq!(twins.see(&sighting), Some((true, true)));
    let (kernel, library) = twins.counted();
    assert_eq!(kernel, library);
    let key = (service::XMPP, Evidence::Port, Verdict::Counted);
    let expected = Counts {
        packets: 2,
        bytes: 2 * (14 + 20 + 32) + 2800,
    };
    assert_eq!(kernel.services.get(&key), Some(&expected));
}

#[test]
fn a_frame_in_several_buffers_counts_whole() {
    if !kernel_or_skip("a_frame_in_several_buffers_counts_whole") {
        return;
    }
    let twins = Twins::new(&plan_of(&World::standard(), ROOMY), 0);
    let frame = Frame::eth()
        .ipv4("10.1.0.5", "198.51.100.7")
        .tcp(40_000, 6667);
    let sighting = Sighting {
        frame: frame.payload(&[0; 8946]).build(),
        view: LAN_INGRESS,
        segments: 1,
    };
    assert_eq!(twins.see(&sighting), Some((false, false)));
    let (kernel, library) = twins.counted();
    assert_eq!(kernel, library);
    let key = (service::IRC, Evidence::Port, Verdict::Dropped);
    let bytes = kernel.services.get(&key).map(|counts| counts.bytes);
    assert_eq!(bytes, Some(9000));
}

#[test]
fn a_toggle_is_one_byte_and_works_at_once() {
    if !kernel_or_skip("a_toggle_is_one_byte_and_works_at_once") {
        return;
    }
    let mut twins = Twins::new(&plan_of(&World::standard(), ROOMY), 0);
    let mut toggle = |group, service, action| {
        let change = ActionChange {
            group,
            service,
            action,
            end: None,
        };
        twins.maps.toggle(|_| vec![change]).unwrap();
        // IRC and Yahoo from a host of no group, IRC from support, which the policy allows.
        [("10.1.0.5", 6667), ("10.1.0.5", 5050), ("10.0.5.9", 6667)].map(|(host, port)| {
            let frame = to_port(host, port);
            twins.kernel.test_run(LAN_INGRESS, &frame, None).unwrap()
        })
    };
    let (everyone, support) = (group::EVERYONE, group::SUPPORT);
    let as_planned = [false, false, true];
    assert_eq!(toggle(everyone, service::IRC, None), as_planned);
    assert_eq!(
        toggle(everyone, service::IRC, Some(Action::Count)),
        [true, false, true]
    );
    assert_eq!(
        toggle(support, service::IRC, Some(Action::Drop)),
        [true, false, false]
    );
    assert_eq!(toggle(everyone, service::IRC, None), [false, false, false]);
    assert_eq!(toggle(support, service::IRC, None), as_planned);
}
