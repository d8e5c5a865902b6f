//! Every fixture of the testkit, through the kernel.

use imblock::policy::plan::Limits;
use imblock::testing::kernel_or_skip;
use imblock_common::layout::Stage;
use imblock_common::testkit::{Expect, Fixture, World, fixtures};
use imblock_common::{Outcome, View};

use crate::plan::{ROOMY, plan_of};
use crate::twins::{Counted, SHORTEST, Sighting, Twins};

/// Room for the hosts of all fixtures together, and not much more: all of it is read after each fixture.
const ENOUGH: Limits = Limits {
    hosts: 1024,
    ..ROOMY
};

/// What the counters must have gained by a fixture.
fn expected(fixture: &Fixture) -> (Option<(u16, imblock_common::Verdict)>, Outcome, bool) {
    match fixture.expect {
        Expect::Passes(outcome) => (None, outcome, true),
        Expect::Judged(service, verdict) => {
            let told = Some((service, verdict));
            (told, Outcome::Identified, verdict.passes())
        }
    }
}

#[test]
fn every_fixture_holds_in_the_kernel() {
    if !kernel_or_skip("every_fixture_holds_in_the_kernel") {
        return;
    }
    let mut wrong = Vec::new();
    let mut ran = 0;
    // All views count everything, so that every judgement can be read from the counters.
    let counts_all = 3;
    // Each fixture stands alone.
    let forgetful = Limits { flows: 0, ..ENOUGH };
    let twins = Twins::new(&plan_of(&World::standard(), forgetful), counts_all);
    let mut before = Counted::default();
    for fixture in fixtures() {
        if fixture.frame.len() < SHORTEST {
            continue;
        }
        let (service, outcome, passes) = expected(&fixture);
        let passed = twins
            .kernel
            .test_run(fixture.view, &fixture.frame, None)
            .unwrap();
        let after = Counted::of(&twins.maps.snapshot().unwrap());
        let gained_service = after
            .services
            .iter()
            .find(|(key, counts)| before.services.get(key) != Some(counts))
            .map(|((service, _, verdict), _)| (*service, *verdict));
        let gained_outcome = after
            .frames
            .iter()
            .find(|(key, packets)| before.frames.get(key) != Some(packets))
            .map(|(key, _)| *key);
        let right = passed == passes
            && gained_service == service
            && gained_outcome == Some((fixture.view.index(), outcome));
        if !right {
            wrong.push(format!(
                "{}: passed {passed}, counted as {gained_service:?} {gained_outcome:?}, expected {:?}",
                fixture.name, fixture.expect
            ));
        }
        before = after;
        ran += 1;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(ran > 100, "only {ran} fixtures fit");
}

#[test]
fn every_fixture_is_the_same_in_both_homes_from_every_view() {
    if !kernel_or_skip("every_fixture_is_the_same_in_both_homes_from_every_view") {
        return;
    }
    let twins = Twins::new(&plan_of(&World::standard(), ENOUGH), 0);
    for fixture in fixtures() {
        for view in View::ALL {
            let sighting = Sighting {
                frame: fixture.frame.clone(),
                view,
                segments: 1,
            };
            if let Some((kernel, library)) = twins.see(&sighting) {
                assert_eq!(kernel, library, "{} at {view:?}", fixture.name);
            }
        }
        let (kernel, library) = twins.counted();
        assert_eq!(kernel, library, "{}", fixture.name);
        assert!(library.overflow.is_empty(), "{}: no room", fixture.name);
    }
}

#[test]
fn without_a_policy_everything_passes_the_kernel() {
    if !kernel_or_skip("without_a_policy_everything_passes_the_kernel") {
        return;
    }
    let (kernel, maps) = imblock::kernel::Loaded::unpinned(&ROOMY, &Stage::ALL).unwrap();
    for fixture in fixtures() {
        if fixture.frame.len() >= SHORTEST {
            let passed = kernel.test_run(fixture.view, &fixture.frame, None).unwrap();
            assert!(passed, "{}", fixture.name);
        }
    }
    let counted = Counted::of(&maps.snapshot().unwrap());
    assert_eq!(counted.identified(), 0);
    assert!(counted.hosts.is_empty());
}
