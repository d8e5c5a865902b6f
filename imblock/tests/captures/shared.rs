//! Real captures, recorded by other people, where the machine has them.

use std::path::Path;

use imblock::replay::{Format, ReplayRequest, run};
use serde_json::Value;

use crate::plan::plan;
use crate::replays::Told;

#[test]
fn real_captures_are_replayed_and_every_frame_is_accounted_for() {
    let captures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/captures");
    if !captures.is_dir() {
        println!("skipped: no captures in {}", captures.display());
        return;
    }
    let request = ReplayRequest {
        captures: vec![captures],
        local: Vec::new(),
        flows: true,
        format: Format::Json,
    };
    let (mut out, mut told) = (Vec::new(), Told::default());
    let summary = run(&request, &plan(), &mut out, &mut told).unwrap();
    let document: Value = serde_json::from_slice(&out).unwrap();

    assert!(summary.captures > 100, "only {} captures", summary.captures);
    assert_eq!(told.failed.len() as u64, summary.failed);
    assert_eq!(told.cut.len() as u64, summary.cut);
    // Some of them are damaged on purpose, but only some.
    assert!(summary.failed * 20 < summary.captures, "{:#?}", told.failed);
    let outcomes = document["outcomes"].as_object().unwrap();
    let frames: u64 = outcomes.values().map(|n| n.as_u64().unwrap()).sum();
    assert_eq!(frames, summary.frames);

    let sum = |lines: &Value, field: &str| -> u64 {
        let lines = lines.as_array().unwrap().iter();
        lines.map(|line| line[field].as_u64().unwrap()).sum()
    };
    let identified = outcomes["identified"].as_u64().unwrap();
    assert!(identified > 0);
    assert_eq!(sum(&document["services"], "packets"), identified);
    // A flow also counts its packets of which nothing was told.
    assert!(sum(&document["flows"], "packets") >= identified);
    assert_eq!(
        document["flows"].as_array().unwrap().len() as u64,
        summary.identified_flows
    );
}
