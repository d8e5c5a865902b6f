//! Leases: cells that go back to the policy by themselves.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use imblock::kernel::{ActionChange, lease_end};
use imblock::policy::Plan;
use imblock::policy::plan::LeasePlan;
use imblock::testing::kernel_or_skip;
use imblock_common::layout::{ActionCell, PortEntry};
use imblock_common::testkit::{Frame, World};
use imblock_common::{Action, Transport, View};

use crate::plan::{ROOMY, plan_of};
use crate::twins::Twins;

const SERVICE: u16 = 1;
const PORT: u16 = 7001;

/// A policy that counts the service.
fn policy() -> Plan {
    plan_of(
        &World {
            ports: vec![(Transport::Tcp, PORT, PortEntry::of(SERVICE))],
            actions: vec![(0, SERVICE, Action::Count)],
            ..World::default()
        },
        ROOMY,
    )
}

fn frame() -> Vec<u8> {
    Frame::eth()
        .ipv4("10.1.2.3", "198.51.100.7")
        .tcp(40_000, PORT)
        .build()
}

fn wall() -> Duration {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap()
}

/// The lease of a drop until a second of the wall clock.
fn lease(until: u64) -> ActionChange {
    ActionChange {
        group: 0,
        service: SERVICE,
        action: Some(Action::Drop),
        end: Some(lease_end(until)),
    }
}

impl Twins {
    fn passes(&self) -> bool {
        self.kernel.test_run(View::ALL[0], &frame(), None).unwrap()
    }

    /// What the controller says is done with the service.
    fn shown(&self) -> ActionCell {
        let live = self.maps.live().unwrap();
        let found = live.services.iter().find(|found| found.number == SERVICE);
        *found.unwrap().cells.first().unwrap()
    }

    /// Waits for the first packet that passes; when that was, on the wall clock.
    #[track_caller]
    fn first_to_pass(&self, until: u64) -> Duration {
        let latest = Duration::from_secs(until + 2);
        loop {
            let passes = self.passes();
            let now = wall();
            if passes {
                return now;
            }
            assert!(now < latest, "the lease does not end");
        }
    }
}

#[test]
fn a_lease_begins_at_once_and_ends_on_time() {
    if !kernel_or_skip("a_lease_begins_at_once_and_ends_on_time") {
        return;
    }
    /// What a command may take from when it has the maps.
    const AT_ONCE: Duration = Duration::from_millis(5);
    /// A unit of the programs' clock, rounded up, and a busy machine.
    const LATE: Duration = Duration::from_millis(67 * 2 + 100);
    let mut twins = Twins::new(&policy(), 0);
    assert!(twins.passes());

    // With packets under way all the time, on another CPU. Again while others have the processors.
    let mut fastest = Duration::MAX;
    for _ in 0..50 {
        if fastest < AT_ONCE {
            break;
        }
        let (done, frame) = (AtomicBool::new(false), frame());
        let Twins { kernel, maps, .. } = &mut twins;
        let kernel = &*kernel;
        let until = wall().as_secs() + 100;
        let took = thread::scope(|scope| {
            let first_drop = scope.spawn(|| {
                while kernel.test_run(View::ALL[0], &frame, None).unwrap() {
                    assert!(!done.load(Ordering::Relaxed), "never dropped");
                }
                Instant::now()
            });
            thread::sleep(Duration::from_millis(20));
            let begin = Instant::now();
            maps.toggle(|_| vec![lease(until)]).unwrap();
            let first_drop = first_drop.join().unwrap();
            done.store(true, Ordering::Relaxed);
            first_drop.saturating_duration_since(begin)
        });
        fastest = fastest.min(took);
        let reset = ActionChange {
            action: None,
            end: None,
            ..lease(until)
        };
        maps.toggle(|_| vec![reset]).unwrap();
        assert!(twins.passes());
    }
    println!("the first packet was dropped {fastest:?} after the toggle was begun");
    assert!(fastest < AT_ONCE, "{fastest:?}");

    // Never early; once on time is enough, as others may have the processor at the moment of the end.
    let mut latest = Duration::MAX;
    for _ in 0..5 {
        if latest < LATE {
            break;
        }
        let until = wall().as_secs() + 3;
        twins.maps.toggle(|_| vec![lease(until)]).unwrap();
        let shown = twins.shown();
        assert_eq!(
            (shown.action(), shown.policy()),
            (Action::Drop, Action::Count)
        );
        assert!(shown.is_leased());
        let end = twins.first_to_pass(until);
        let late = end.checked_sub(Duration::from_secs(until));
        println!("the first packet passed {late:?} after the lease's end");
        latest = late.unwrap_or_else(|| panic!("{end:?} of {until}"));
        // Nobody has written anything: what is shown follows the programs.
        assert_eq!(twins.shown(), ActionCell::of_policy(Action::Count));
    }
    assert!(latest < LATE, "{latest:?}");
}

#[test]
fn a_plan_brings_leases_along() {
    if !kernel_or_skip("a_plan_brings_leases_along") {
        return;
    }
    let mut twins = Twins::new(&policy(), 0);
    let until = wall().as_secs() + 4;
    let mut plan = policy();
    let row = plan.actions.first_mut().unwrap();
    let cell = row.0.get_mut(usize::from(SERVICE)).unwrap();
    *cell = ActionCell(*cell).leased(Action::Drop).0;
    plan.leases.push(LeasePlan {
        group: 0,
        service: SERVICE,
        until,
    });
    assert!(twins.passes());
    twins.maps.apply(&plan).unwrap();
    assert!(!twins.passes());
    assert!(twins.first_to_pass(until) >= Duration::from_secs(until));
}

#[test]
fn a_lease_becomes_a_toggle_and_a_toggle_a_lease() {
    if !kernel_or_skip("a_lease_becomes_a_toggle_and_a_toggle_a_lease") {
        return;
    }
    let mut twins = Twins::new(&policy(), 0);
    let over = lease(wall().as_secs());
    let forever = ActionChange { end: None, ..over };
    twins.maps.toggle(|_| vec![forever]).unwrap();
    assert!(!twins.passes());
    // One that is over before it begins: less than a unit of the clock from now.
    twins.maps.toggle(|_| vec![over]).unwrap();
    thread::sleep(Duration::from_millis(150));
    assert!(twins.passes());
    assert_eq!(twins.shown(), ActionCell::of_policy(Action::Count));
    twins.maps.toggle(|_| vec![forever]).unwrap();
    assert!(!twins.passes());
}
