//! Frames that nobody thought of, through both homes: no verdict and no counter may differ.
//!
//! `IMBLOCK_SEED` repeats a run, `IMBLOCK_FRAMES` sets its length. A frame that the homes disagree
//! on is printed and kept under `target/`.

use std::fmt::Write as _;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};
use std::{env, fs};

use imblock::policy::plan::{Limits, Plan};
use imblock::testing::kernel_or_skip;
use imblock_common::testkit::{Random, World, generate};
use imblock_common::{Action, Hook, View};

use crate::counters::stay_on_this_cpu;
use crate::plan::{ROOMY, plan_of, random_world};
use crate::twins::{Sighting, Twins};

const FRAMES: u64 = 200_000;
/// Counters are compared after this many frames.
const BATCH: u64 = 5_000;

/// A policy, and which frames it judges.
struct Case {
    name: &'static str,
    plan: Plan,
    control_flags: u32,
    /// Whether the host table must have run full.
    overflows: bool,
}

#[test]
fn kernel_and_library_never_differ() {
    if !kernel_or_skip("kernel_and_library_never_differ") {
        return;
    }
    // Each CPU has a host table of its own: moved to another one, a full table would have room again.
    stay_on_this_cpu();
    let seed = number("IMBLOCK_SEED").unwrap_or_else(now);
    let frames = number("IMBLOCK_FRAMES").unwrap_or(FRAMES);
    println!("IMBLOCK_SEED={seed} IMBLOCK_FRAMES={frames}");
    let cases = cases(seed);
    let share = frames.div_ceil(u64::try_from(cases.len()).unwrap());
    let mut first = 0;
    for case in &cases {
        let range = first..first + share;
        first = range.end;
        case.compare(seed, range);
    }
}

fn cases(seed: u64) -> Vec<Case> {
    let mut random = Random::new(seed);
    let tiny = Limits { hosts: 7, ..ROOMY };
    let case = |name, world: &World, limits, control_flags| Case {
        name,
        plan: plan_of(world, limits),
        control_flags,
        overflows: limits == tiny,
    };
    vec![
        case("standard", &World::standard(), ROOMY, 0),
        case("standard, WAN counts all", &World::standard(), ROOMY, 3),
        case("standard, little room", &World::standard(), tiny, 1),
        case("drop, little room", &World::uniform(Action::Drop), tiny, 2),
        case("drop", &World::uniform(Action::Drop), ROOMY, 0),
        case("count", &World::uniform(Action::Count), ROOMY, 3),
        case("allow", &World::uniform(Action::Allow), ROOMY, 2),
        case("random", &random_world(&mut random), ROOMY, 3),
        case("random again", &random_world(&mut random), ROOMY, 1),
        case("random, little room", &random_world(&mut random), tiny, 3),
    ]
}

impl Case {
    fn compare(&self, seed: u64, frames: Range<u64>) {
        let twins = self.twins();
        let mut start = frames.start;
        while start < frames.end {
            let batch = start..(start + BATCH).min(frames.end);
            for index in batch.clone() {
                let sighting = sighting(seed, index);
                if let Some((kernel, library)) = twins.see(&sighting)
                    && kernel != library
                {
                    let what = format!("passes: kernel {kernel}, library {library}");
                    self.fail(seed, index, &sighting, &what);
                }
            }
            let (kernel, library) = twins.counted();
            if kernel != library {
                self.find(seed, batch.clone());
                panic!(
                    "{}: counters differ after frames {batch:?} of IMBLOCK_SEED={seed}, though not \
                     when these run alone:\nkernel  {kernel:?}\nlibrary {library:?}",
                    self.name
                );
            }
            kernel.assert_adds_up();
            start = batch.end;
        }
        let (counted, _) = twins.counted();
        assert!(
            counted.identified() > 100,
            "{}: hardly a service told",
            self.name
        );
        assert_eq!(
            !counted.overflow.is_empty(),
            self.overflows,
            "{}",
            self.name
        );
    }

    fn twins(&self) -> Twins {
        Twins::new(&self.plan, self.control_flags)
    }

    /// Runs a batch again from nothing, comparing the counters after every frame.
    fn find(&self, seed: u64, batch: Range<u64>) {
        let twins = self.twins();
        for index in batch {
            let sighting = sighting(seed, index);
            if twins.see(&sighting).is_some() {
                let (kernel, library) = twins.counted();
                if kernel != library {
                    let what = format!("counters:\nkernel  {kernel:?}\nlibrary {library:?}");
                    self.fail(seed, index, &sighting, &what);
                }
            }
        }
    }

    fn fail(&self, seed: u64, index: u64, sighting: &Sighting, what: &str) -> ! {
        let mut hex = String::new();
        for byte in &sighting.frame {
            write!(hex, "{byte:02x}").unwrap();
        }
        let told = format!(
            "policy `{}`, IMBLOCK_SEED={seed}, frame {index} at {:?}, {} segments\n{what}\n{hex}\n",
            self.name, sighting.view, sighting.segments
        );
        let kept = keep(seed, index, &told);
        panic!(
            "kernel and library differ, kept in {}: {told}",
            kept.display()
        );
    }
}

/// The frame of an index, at a view and of a size that follow from it too.
fn sighting(seed: u64, index: u64) -> Sighting {
    let mut random = Random::new(seed ^ !index);
    let view = random.pick(&View::ALL, View::ALL[0]);
    let segments = match view.hook {
        Hook::Ingress => 1,
        Hook::Egress => random.pick(&[1, 1, 1, 1, 1, 2, 45, 65_535], 1),
    };
    Sighting {
        frame: generate(seed, index),
        view,
        segments,
    }
}

fn keep(seed: u64, index: u64, told: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("differing-frames");
    fs::create_dir_all(&folder).unwrap();
    let file = folder.join(format!("seed-{seed}-frame-{index}.txt"));
    fs::write(&file, told).unwrap();
    file
}

fn number(variable: &str) -> Option<u64> {
    let text = env::var(variable).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{variable}=`{text}` is not a number")),
    )
}

fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    u64::from(now.subsec_nanos()) ^ now.as_secs() << 30
}
