//! Frames that nobody thought of, through both homes: no verdict and no counter may differ.
//!
//! Frames stand alone or come in flows, which also say what the catalogue's markers look for.
//! `IMBLOCK_SEED` repeats a run, `IMBLOCK_FRAMES` sets its length. A frame that the homes disagree on
//! is printed and kept under `target/`.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};
use std::{env, fs};

use imblock::catalogue;
use imblock::policy::plan::{Limits, Plan};
use imblock::testing::kernel_or_skip;
use imblock_common::testkit::{ClientHello, End, Frame, Random, World, generate, generate_flow};
use imblock_common::{Action, Hook, Side, View};

use crate::captures::{NO_TALK, plan_of_text};
use crate::counters::stay_on_this_cpu;
use crate::phrases::phrases;
use crate::plan::{ROOMY, inside, plan_of, random_world};
use crate::twins::{Sighting, Twins};

const FRAMES: u64 = 200_000;
/// Counters are compared after this many frames.
const BATCH: u64 = 5_000;
/// One pair of homes is shown at most this many: few enough that no flow is pushed out of the tables,
/// for which one goes depends on clocks that the homes don't share.
const LIFE: u64 = 20_000;

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
    let invention = Invention {
        seed,
        phrases: phrases(),
    };
    let cases = cases(seed);
    let share = frames.div_ceil(u64::try_from(cases.len()).unwrap());
    let mut index = 0;
    for case in &cases {
        let lives = share.div_ceil(LIFE);
        for _ in 0..lives {
            index = case.compare(&invention, index, share.div_ceil(lives));
        }
    }
}

/// Its headers count to where a payload ends, not to the length that it gives.
#[test]
fn the_longest_packet_of_ipv6_is_judged_alike() {
    if !kernel_or_skip("the_longest_packet_of_ipv6_is_judged_alike") {
        return;
    }
    let hello = ClientHello::new("web.whatsapp.com").build();
    let frame = Frame::eth().ipv6("fd00::2", "2001:db8::7");
    let mut frame = frame.tcp(40_000, 443).payload(&hello).build();
    for longest in [u16::MAX - 40, u16::MAX] {
        frame.splice(18..20, longest.to_be_bytes());
        for view in View::ALL {
            let twins = Twins::new(&plan_of_text(NO_TALK), 0);
            let sighting = Sighting {
                frame: frame.clone(),
                view,
                segments: 1,
            };
            if let Some((kernel, library)) = twins.see(&sighting) {
                assert_eq!(kernel, library, "{view:?}, {longest} bytes");
            }
            let (kernel, library) = twins.counted();
            assert_eq!(kernel, library, "{view:?}, {longest} bytes");
        }
    }
}

fn cases(seed: u64) -> Vec<Case> {
    let mut random = Random::new(seed);
    let tiny = Limits { hosts: 7, ..ROOMY };
    let placed = Limits {
        inside: inside(),
        ..ROOMY
    };
    let little = Limits {
        inside: inside(),
        ..tiny
    };
    let case = |name, world: &World, limits, control_flags| Case {
        name,
        plan: plan_of(world, limits),
        control_flags,
        overflows: limits.hosts == tiny.hosts,
    };
    let catalogued = |name, text: &str| Case {
        name,
        plan: plan_of_text(text),
        control_flags: 0,
        overflows: false,
    };
    vec![
        catalogued("audit", catalogue::ready_policy("audit").unwrap()),
        catalogued("no talk", NO_TALK),
        case("standard", &World::standard(), ROOMY, 0),
        case("standard, WAN counts all", &World::standard(), ROOMY, 3),
        case("standard, little room", &World::standard(), tiny, 1),
        case("standard, hosts inside", &World::standard(), placed, 0),
        case(
            "random, hosts inside, little room",
            &random_world(&mut random),
            little,
            3,
        ),
        case("drop, little room", &World::uniform(Action::Drop), tiny, 2),
        case("drop", &World::uniform(Action::Drop), ROOMY, 0),
        case("reject", &World::uniform(Action::Reject), ROOMY, 1),
        case("count", &World::uniform(Action::Count), ROOMY, 3),
        case("allow", &World::uniform(Action::Allow), ROOMY, 2),
        case("random", &random_world(&mut random), ROOMY, 3),
        case("random again", &random_world(&mut random), ROOMY, 1),
        case("random, little room", &random_world(&mut random), tiny, 3),
    ]
}

impl Case {
    /// Shows at least so many frames to a new pair of homes. Where the next one goes on.
    fn compare(&self, invention: &Invention, first: u64, frames: u64) -> u64 {
        let twins = self.twins();
        let (mut index, mut shown) = (first, 0);
        while shown < frames {
            let (batch, until) = (index, (shown + BATCH).min(frames));
            while shown < until {
                for sighting in invention.sightings(index) {
                    shown += 1;
                    if let Some((kernel, library)) = twins.see(&sighting)
                        && kernel != library
                    {
                        let what = format!("passes: kernel {kernel}, library {library}");
                        self.fail(invention.seed, index, &sighting, &what);
                    }
                }
                index += 1;
            }
            let (kernel, library) = twins.counted();
            if kernel != library {
                self.find(invention, first, batch, index);
                panic!(
                    "{}: counters differ between {batch} and {index} of IMBLOCK_SEED={}, though not \
                     when it is tried again from {first}:\nkernel  {kernel:?}\nlibrary {library:?}",
                    self.name, invention.seed
                );
            }
            kernel.assert_adds_up();
        }
        let (counted, _) = twins.counted();
        let (name, full) = (self.name, !counted.overflow.is_empty());
        let kinds: BTreeSet<_> = counted.services.keys().map(|(_, kind, _)| *kind).collect();
        println!("{name}: {} packets told by {kinds:?}", counted.identified());
        assert!(counted.identified() > 100, "{name}: hardly a service told");
        assert!(kinds.len() > 6 || frames < LIFE / 2, "{name}: {kinds:?}");
        assert_eq!(full, self.overflows, "{name}");
        let inside = twins.maps.hosts_in_use().unwrap().inside;
        let wanted = self.plan.limits.inside.hosts() != 0;
        assert_eq!(inside != 0, wanted, "{name}: pairs at places by address");
        index
    }

    fn twins(&self) -> Twins {
        Twins::new(&self.plan, self.control_flags)
    }

    /// Shows everything again from nothing, and from `batch` on compares the counters after every
    /// frame.
    fn find(&self, invention: &Invention, first: u64, batch: u64, end: u64) {
        let twins = self.twins();
        for index in first..end {
            for sighting in invention.sightings(index) {
                if twins.see(&sighting).is_some() && index >= batch {
                    let (kernel, library) = twins.counted();
                    if kernel != library {
                        let what = format!("counters:\nkernel  {kernel:?}\nlibrary {library:?}");
                        self.fail(invention.seed, index, &sighting, &what);
                    }
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

/// What is shown: all follows from the seed.
struct Invention {
    seed: u64,
    phrases: Vec<Vec<u8>>,
}

impl Invention {
    /// What follows from an index: a frame, or a flow.
    fn sightings(&self, index: u64) -> Vec<Sighting> {
        let mut random = Random::new(self.seed ^ !index);
        if random.one_in(4) {
            self.flow(index, &mut random)
        } else {
            let view = random.pick(&View::ALL, View::ALL[0]);
            vec![sighting(generate(self.seed, index), view, &mut random)]
        }
    }

    /// A flow, whose client is mostly local, as an interface of either side sees it.
    fn flow(&self, index: u64, random: &mut Random) -> Vec<Sighting> {
        let side = random.pick(&[Side::Lan, Side::Wan], Side::Lan);
        let (sent, received) = match side {
            Side::Lan => (Hook::Ingress, Hook::Egress),
            Side::Wan => (Hook::Egress, Hook::Ingress),
        };
        let local = if random.one_in(5) {
            End::Server
        } else {
            End::Client
        };
        let said = generate_flow(self.seed, index, &self.phrases).into_iter();
        let seen = said.map(|(from, frame)| {
            let hook = if from == local { sent } else { received };
            sighting(frame, View { side, hook }, random)
        });
        seen.collect()
    }
}

/// A frame at a view, of a size that the hook may meet.
fn sighting(frame: Vec<u8>, view: View, random: &mut Random) -> Sighting {
    let segments = match view.hook {
        Hook::Ingress => 1,
        Hook::Egress => random.pick(&[1, 1, 1, 1, 1, 2, 45, 65_535], 1),
    };
    Sighting {
        frame,
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
