//! Policies that hold until a deadline: the programs go back by themselves, and everybody agrees
//! about the half in force.

use std::thread::sleep;
use std::time::Duration;

use imblock::kernel::{ActionChange, KernelError};
use imblock::policy::Plan;
use imblock::testing::kernel_or_skip;
use imblock_common::layout::PortEntry;
use imblock_common::testkit::{Frame, World};
use imblock_common::{Action, Transport, View};

use crate::plan::{ROOMY, plan_of};
use crate::twins::Twins;

/// Long enough to look, on a busy machine too, and short enough to wait for.
const SHORT: Duration = Duration::from_secs(2);
const LONG: Duration = Duration::from_secs(600);
/// More than two ticks of any clock.
const MARGIN: Duration = Duration::from_millis(50);

/// A policy by which one of two services is dropped.
fn policy(dropped: u16) -> Plan {
    let action = |service| match service == dropped {
        true => Action::Drop,
        false => Action::Count,
    };
    plan_of(
        &World {
            ports: vec![
                (Transport::Tcp, 7001, PortEntry::of(1)),
                (Transport::Tcp, 7002, PortEntry::of(2)),
            ],
            actions: vec![(0, 1, action(1)), (0, 2, action(2))],
            ..World::default()
        },
        ROOMY,
    )
}

impl Twins {
    /// Which of the two services is dropped.
    #[track_caller]
    fn dropped(&self) -> u16 {
        let passes = [7001, 7002].map(|port| {
            let frame = Frame::eth()
                .ipv4("10.1.2.3", "198.51.100.7")
                .tcp(40_000, port)
                .build();
            self.kernel.test_run(View::ALL[0], &frame, None).unwrap()
        });
        match passes {
            [false, true] => 1,
            [true, false] => 2,
            other => panic!("a mix of two policies: {other:?}"),
        }
    }

    fn generation(&self) -> u32 {
        self.maps.live().unwrap().header.generation
    }
}

/// With the first policy in force, as generation 1.
fn twins(test: &str) -> Option<Twins> {
    kernel_or_skip(test).then(|| Twins::new(&policy(1), 0))
}

#[test]
fn a_policy_that_nobody_confirms_goes_at_its_deadline() {
    let Some(mut twins) = twins("a_policy_that_nobody_confirms_goes_at_its_deadline") else {
        return;
    };
    assert_eq!(twins.maps.apply_for(&policy(2), SHORT).unwrap(), 2);
    assert_eq!((twins.dropped(), twins.generation()), (2, 2));
    let waiting = twins.maps.unconfirmed().unwrap().unwrap();
    assert_eq!((waiting.generation, waiting.fallback), (2, 1));
    assert!(waiting.left <= SHORT, "{waiting:?}");
    assert!(!twins.maps.is_overdue().unwrap());
    assert_eq!(twins.maps.settle().unwrap(), None);
    sleep(waiting.left + MARGIN);
    // Nobody has touched the maps: the programs and the readers agree all the same.
    assert_eq!((twins.dropped(), twins.generation()), (1, 1));
    assert!(twins.maps.is_overdue().unwrap());
    assert_eq!(twins.maps.unconfirmed().unwrap(), None);
    assert!(matches!(
        twins.maps.confirm(),
        Err(KernelError::NothingToConfirm)
    ));
    assert_eq!((twins.dropped(), twins.generation()), (1, 1));
    assert!(!twins.maps.is_overdue().unwrap());
    // The number of the policy that did not stay is not given again.
    assert_eq!(twins.maps.apply(&policy(2)).unwrap(), 4);
    assert_eq!((twins.dropped(), twins.generation()), (2, 4));
}

#[test]
fn an_apply_settles_what_nobody_else_did() {
    let Some(mut twins) = twins("an_apply_settles_what_nobody_else_did") else {
        return;
    };
    twins.maps.apply_for(&policy(2), SHORT).unwrap();
    sleep(SHORT + MARGIN);
    assert_eq!(twins.maps.apply_for(&policy(2), LONG).unwrap(), 4);
    assert_eq!((twins.dropped(), twins.generation()), (2, 4));
    let waiting = twins.maps.unconfirmed().unwrap().unwrap();
    assert_eq!((waiting.generation, waiting.fallback), (4, 1));
}

#[test]
fn a_confirmed_policy_stays() {
    let Some(mut twins) = twins("a_confirmed_policy_stays") else {
        return;
    };
    twins.maps.apply_for(&policy(2), SHORT).unwrap();
    assert_eq!(twins.maps.confirm().unwrap(), 2);
    sleep(SHORT + MARGIN);
    assert_eq!((twins.dropped(), twins.generation()), (2, 2));
    assert!(!twins.maps.is_overdue().unwrap());
    assert!(matches!(
        twins.maps.confirm(),
        Err(KernelError::NothingToConfirm)
    ));
}

#[test]
fn nothing_else_is_applied_while_a_policy_waits() {
    let Some(mut twins) = twins("nothing_else_is_applied_while_a_policy_waits") else {
        return;
    };
    twins.maps.apply_for(&policy(2), LONG).unwrap();
    for result in [
        twins.maps.apply(&policy(1)),
        twins.maps.apply_for(&policy(1), LONG),
    ] {
        assert!(
            matches!(result, Err(KernelError::Unconfirmed { .. })),
            "{result:?}"
        );
    }
    assert_eq!((twins.dropped(), twins.generation()), (2, 2));
    assert_eq!(twins.maps.rollback().unwrap(), 1);
    assert_eq!((twins.dropped(), twins.generation()), (1, 1));
    assert_eq!(twins.maps.unconfirmed().unwrap(), None);
    assert_eq!(twins.maps.apply(&policy(2)).unwrap(), 4);
}

#[test]
fn a_rollback_goes_one_step_back() {
    let Some(mut twins) = twins("a_rollback_goes_one_step_back") else {
        return;
    };
    let refused = |twins: &mut Twins| {
        let result = twins.maps.rollback();
        assert!(
            matches!(result, Err(KernelError::NoPrevious(_))),
            "{result:?}"
        );
    };
    refused(&mut twins);
    twins.maps.apply(&policy(2)).unwrap();
    assert_eq!(twins.maps.rollback().unwrap(), 1);
    assert_eq!((twins.dropped(), twins.generation()), (1, 1));
    refused(&mut twins);
    assert_eq!((twins.dropped(), twins.generation()), (1, 1));
    assert_eq!(twins.maps.apply(&policy(2)).unwrap(), 4);
    assert_eq!(twins.maps.rollback().unwrap(), 1);
}

#[test]
fn what_is_set_by_hand_outlives_the_way_back() {
    let Some(mut twins) = twins("what_is_set_by_hand_outlives_the_way_back") else {
        return;
    };
    twins.maps.apply_for(&policy(2), SHORT).unwrap();
    let change = |service, action| ActionChange {
        group: 0,
        service,
        action: Some(action),
        end: None,
    };
    let changes = vec![change(1, Action::Drop), change(2, Action::Allow)];
    twins.maps.toggle(|_| changes.clone()).unwrap();
    assert_eq!(twins.dropped(), 1);
    // Service 1 is dropped by the first policy anyway; service 2 is dropped by neither now.
    sleep(SHORT + MARGIN);
    assert_eq!((twins.dropped(), twins.generation()), (1, 1));
    let reset = |service| ActionChange {
        group: 0,
        service,
        action: None,
        end: None,
    };
    twins
        .maps
        .toggle(|_| vec![change(1, Action::Count), change(2, Action::Drop)])
        .unwrap();
    assert_eq!(twins.dropped(), 2);
    twins.maps.toggle(|_| vec![reset(1), reset(2)]).unwrap();
    assert_eq!(twins.dropped(), 1);
}
