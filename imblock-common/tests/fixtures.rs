//! Every fixture, through the library.

use imblock_common::testkit::{Expect, World, fixtures};
use imblock_common::{Evidence, Judgement, Outcome, Verdict, View, classify};

fn outcome_of(judgement: &Judgement) -> Expect {
    match judgement.outcome {
        Outcome::Identified => Expect::Judged(judgement.service, judgement.verdict),
        outcome => Expect::Passes(outcome),
    }
}

#[test]
fn every_fixture_holds() {
    let world = World::standard();
    let wrong: Vec<_> = fixtures()
        .into_iter()
        .filter_map(|fixture| {
            let judgement = classify(fixture.frame.as_slice(), fixture.view, &world);
            let got = outcome_of(&judgement);
            (got != fixture.expect).then(|| {
                let (name, expect) = (fixture.name, fixture.expect);
                format!("{name}: expected {expect:?}, got {got:?}")
            })
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn names_are_sentences_and_no_two_are_the_same() {
    let mut names: Vec<_> = fixtures().iter().map(|fixture| fixture.name).collect();
    let count = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), count);
}

#[test]
fn the_fixtures_show_every_outcome_verdict_and_view() {
    let fixtures = fixtures();
    let shows = |wanted: &dyn Fn(&Expect) -> bool| fixtures.iter().any(|f| wanted(&f.expect));
    for outcome in Outcome::ALL {
        // What takes a table of flows, or a policy of its own, is shown by tests that have those.
        let elsewhere = [
            Outcome::Identified,
            Outcome::Midstream,
            Outcome::QuicRefused,
        ];
        if !elsewhere.contains(&outcome) {
            assert!(shows(&|e| *e == Expect::Passes(outcome)), "{outcome:?}");
        }
    }
    // The small world has no token buckets: what they say is shown where there are some.
    for verdict in Verdict::ALL
        .into_iter()
        .filter(|it| *it != Verdict::Limited)
    {
        assert!(
            shows(&|e| matches!(e, Expect::Judged(_, v) if *v == verdict)),
            "{verdict:?}"
        );
    }
    for view in View::ALL {
        assert!(fixtures.iter().any(|fixture| fixture.view == view));
    }
}

#[test]
fn the_fixtures_show_every_kind_of_evidence() {
    let world = World::standard();
    // Markers and the like have fixtures of their own: this small world knows none.
    for evidence in [
        Evidence::Port,
        Evidence::Prefix,
        Evidence::Sni,
        Evidence::Dns,
    ] {
        let shown = fixtures().iter().any(|fixture| {
            let judgement = classify(fixture.frame.as_slice(), fixture.view, &world);
            judgement.outcome == Outcome::Identified && judgement.evidence == evidence
        });
        assert!(shown, "{evidence:?}");
    }
}

#[test]
fn a_frame_that_is_not_identified_passes_and_says_nothing() {
    let world = World::standard();
    for fixture in fixtures() {
        let judgement = classify(fixture.frame.as_slice(), fixture.view, &world);
        if judgement.outcome != Outcome::Identified {
            assert!(judgement.passes(), "{}", fixture.name);
            assert_eq!(judgement.service, 0, "{}", fixture.name);
            assert_eq!(judgement.verdict, Verdict::Allowed, "{}", fixture.name);
        } else {
            assert_eq!(judgement.direction, fixture.view.direction());
        }
    }
}
