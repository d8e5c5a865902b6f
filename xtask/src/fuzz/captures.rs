//! Captures: what `replay` does with a file that anybody may have made.
//!
//! Invariant: whatever the bytes, the report is written and true. Each frame that was read was judged
//! or is told to be of a link type that is not; hosts and overflow add up to the totals; and the same
//! file read again tells the same.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::hash::{Hash as _, Hasher as _};
use std::mem::discriminant;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::slice;

use anyhow::{Context as _, Result, ensure};
use imblock::catalogue;
use imblock::policy::{self, Plan, ServiceNumbers, Source, Surroundings};
use imblock::replay::capture::{CaptureError, Cut};
use imblock::replay::{self, Format, Observer, ReplayRequest, ReplaySummary};
use imblock_common::layout::{Counts, HostRecord};
use imblock_common::testkit::{self, Random};

use super::corpus::{Fate, Subject};
use crate::workspace::root;

/// Conversations to begin with.
const SEEDS: u64 = 200;
/// What is said in QUIC, a datagram in hexadecimal a line.
const DATAGRAMS: &str = "imblock/src/quic/tests/fixtures";
/// Hellos of browsers.
const HELLOS: &str = "imblock-common/tests/hellos";
/// One in so many captures is read twice.
const TWICE: u64 = 8;

/// Magic numbers, types of blocks and of links, in both orders: what a reader of captures looks at.
const WORDS: &[&[u8]] = &[
    &0xa1b2_c3d4_u32.to_le_bytes(),
    &0xa1b2_c3d4_u32.to_be_bytes(),
    &0xa1b2_3c4d_u32.to_le_bytes(),
    &0xa1b2_cd34_u32.to_le_bytes(),
    &0x0a0d_0d0a_u32.to_le_bytes(),
    &0x1a2b_3c4d_u32.to_be_bytes(),
    &1_u32.to_le_bytes(),
    &2_u32.to_le_bytes(),
    &3_u32.to_le_bytes(),
    &6_u32.to_le_bytes(),
    &0_u32.to_le_bytes(),
    &[0x71, 0, 0, 0],
    &[101, 0, 0, 0],
    &[0x14, 1, 0, 0],
    &[9, 0, 1, 0, 6, 0, 0, 0],
    &[9, 0, 1, 0, 0xff, 0, 0, 0],
    &[14, 0, 8, 0],
    &[0x1f, 0x8b, 8, 0],
    &[0x28, 0xb5, 0x2f, 0xfd],
    &[0xff; 8],
    &[0xff, 0xff, 0xff, 0x7f],
    &[0; 16],
];

/// The reader of captures, under the policy `audit`.
pub(super) struct Captures {
    plan: Plan,
}

impl Captures {
    pub(super) fn new() -> Result<Self> {
        let (name, text) = catalogue::POLICIES
            .iter()
            .find(|(name, _)| name.contains("audit"))
            .context("no policy `audit`")?;
        let source = Source::new((*name).to_owned(), (*text).to_owned());
        let policy = policy::parse(source)?;
        let plan = policy.compile(&mut ServiceNumbers::default(), &Surroundings::default())?;
        Ok(Self { plan })
    }

    fn replay(&self, file: &Path) -> (ReplaySummary, Vec<u8>, Told) {
        let request = ReplayRequest {
            captures: vec![file.to_owned()],
            flows: true,
            format: Format::Ndjson,
            ..ReplayRequest::default()
        };
        let (mut out, mut told) = (Vec::new(), Told::default());
        match replay::run(&request, &self.plan, &mut out, &mut told) {
            Ok(summary) => (summary, out, told),
            Err(error) => fail(&format!("nothing can be said of it: {error}")),
        }
    }
}

impl Subject for Captures {
    const ENDING: &'static str = "pcap";
    const NAME: &'static str = "captures";
    const TESTS: &'static str = "imblock/tests/captures";

    /// Conversations of all kinds, in both formats.
    fn seeds(&self) -> Result<Vec<Vec<u8>>> {
        let mut phrases = files(HELLOS, "bin")?;
        for lines in files(DATAGRAMS, "hex")? {
            let lines = String::from_utf8(lines)?;
            phrases.extend(lines.lines().map(unhex).collect::<Result<Vec<_>>>()?);
        }
        let seeds = (0..SEEDS).map(|number| {
            let said = testkit::generate_flow(1, number, &phrases);
            let mut frames: Vec<_> = said.into_iter().map(|(_, frame)| frame).collect();
            frames.push(testkit::generate(1, number));
            match number % 2 {
                0 => pcap(&frames),
                _ => pcapng(&frames),
            }
        });
        Ok(seeds.collect())
    }

    fn change(&self, random: &mut Random, bytes: &mut Vec<u8>, place: Range<usize>) {
        match random.below(4) {
            0 => {
                let word = random.pick(WORDS, &[]);
                let until = (place.start + word.len()).min(bytes.len());
                bytes.splice(place.start..until, word.iter().copied());
            }
            1 => {
                // Somewhere behind, where most of the frames lie.
                let mut rest = bytes.split_off(place.start);
                testkit::mutate(random, &mut rest);
                bytes.extend(rest);
            }
            2 => {
                let number = random.number() >> random.below(64);
                let size = random.pick(&[1, 2, 4, 8], 1);
                let mut number = number.to_le_bytes();
                if random.one_in(2) {
                    number.reverse();
                }
                let number = number.get(..size).unwrap_or_default();
                let until = (place.start + size).min(bytes.len());
                bytes.splice(place.start..until, number.iter().copied());
            }
            _ => {
                let bit = 1 << random.below(8);
                if let Some(byte) = bytes.get_mut(place.start) {
                    *byte ^= bit;
                }
            }
        }
    }

    fn read(&self, _input: &[u8], file: &Path) -> Fate {
        let (summary, report, told) = self.replay(file);
        if let Err(error) = is_true(&summary, &report) {
            fail(&format!("{error:#}:\n{}", String::from_utf8_lossy(&report)));
        }
        let mark = mark_of(&summary, &told);
        if mark.is_multiple_of(TWICE) && self.replay(file).1 != report {
            fail("read again, it tells something else");
        }
        Fate {
            works: summary.failed == 0,
            mark,
        }
    }
}

/// What a reading complains of.
#[derive(Default)]
struct Told {
    errors: Vec<u64>,
    is_cut: bool,
}

impl Observer for Told {
    fn is_cut(&mut self, _cut: &Cut) {
        self.is_cut = true;
    }

    fn fails(&mut self, error: &CaptureError) {
        let mut kind = DefaultHasher::new();
        discriminant(error).hash(&mut kind);
        self.errors.push(kind.finish());
    }
}

/// Whether a report and the counters behind it agree.
fn is_true(summary: &ReplaySummary, report: &[u8]) -> Result<()> {
    let lines = serde_json::Deserializer::from_slice(report).into_iter::<serde_json::Value>();
    let mut flows = 0;
    for line in lines {
        line.context("a line of the report is no JSON")?;
        flows += 1;
    }
    ensure!(
        flows == summary.identified_flows,
        "{flows} flows are listed of {}",
        summary.identified_flows
    );
    let judged: u64 = summary
        .snapshot
        .frames
        .iter()
        .map(|seen| seen.packets)
        .sum();
    let not_judged: u64 = summary.unknown_link_types.values().sum();
    ensure!(
        judged + not_judged == summary.frames,
        "of {} frames {judged} were judged, and {not_judged} could not be",
        summary.frames
    );
    let mut hosts: BTreeMap<u16, Counts> = BTreeMap::new();
    for host in &summary.snapshot.hosts {
        let sum = hosts.entry(host.service).or_default();
        add_all(sum, &host.record);
    }
    for service in &summary.snapshot.services {
        let mut sum = hosts.remove(&service.number).unwrap_or_default();
        add_all(&mut sum, &service.overflow);
        let mut total = service.passed();
        total.add(service.refused());
        ensure!(
            sum == total,
            "hosts and overflow of service {} are {sum:?}, the total is {total:?}",
            service.number
        );
    }
    ensure!(
        hosts.is_empty(),
        "hosts of services without a total: {hosts:?}"
    );
    Ok(())
}

/// Whatever its direction, passed or refused.
fn add_all(sum: &mut Counts, record: &HostRecord) {
    for counts in record.passed.iter().chain(&record.refused) {
        sum.add(*counts);
    }
}

/// What was seen, and roughly how much of each.
fn mark_of(summary: &ReplaySummary, told: &Told) -> u64 {
    let size = |count: u64| count.checked_ilog2().map_or(0, |log| log + 1);
    let mut mark = DefaultHasher::new();
    (&told.errors, told.is_cut).hash(&mut mark);
    for count in [
        summary.frames,
        summary.identified_flows,
        summary.times_not_believed,
        summary.snapshot.initials.handed_over,
    ] {
        size(count).hash(&mut mark);
    }
    summary.unknown_link_types.len().hash(&mut mark);
    let outcomes = summary.snapshot.frames.iter();
    let outcomes: BTreeSet<usize> = outcomes
        .map(|seen| seen.outcome.slot(seen.view) as usize)
        .collect();
    outcomes.hash(&mut mark);
    let services = summary.snapshot.services.iter();
    let services: BTreeSet<_> = services
        .flat_map(|service| {
            service
                .cells
                .iter()
                .map(|cell| (service.number, cell.evidence as u8))
        })
        .collect();
    services.hash(&mut mark);
    mark.finish()
}

/// The classic format, of Ethernet, in microseconds.
fn pcap(frames: &[Vec<u8>]) -> Vec<u8> {
    let header = [0xa1b2_c3d4, 4 << 16 | 2, 0, 0, 0x4_0000, 1];
    let mut bytes = words(&header);
    for (time, frame) in (1..).zip(frames) {
        let length = length_of(frame);
        bytes.extend(words(&[1_700_000_000, time * 1_000, length, length]));
        bytes.extend(frame);
    }
    bytes
}

/// The format of blocks: one section, one interface.
fn pcapng(frames: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = block(0x0a0d_0d0a, &words(&[0x1a2b_3c4d, 1, u32::MAX, u32::MAX]));
    bytes.extend(block(1, &words(&[1, 0x4_0000])));
    for (time, frame) in (1..).zip(frames) {
        let length = length_of(frame);
        let mut body = words(&[0, 0x0006_0a24, time * 1_000, length, length]);
        body.extend(frame);
        body.resize(body.len().next_multiple_of(4), 0);
        bytes.extend(block(6, &body));
    }
    bytes
}

fn block(kind: u32, body: &[u8]) -> Vec<u8> {
    let length = length_of(body) + 12;
    [
        &words(&[kind, length]),
        body,
        &words(slice::from_ref(&length)),
    ]
    .concat()
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

fn length_of(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).unwrap_or(u32::MAX)
}

/// What the files of a folder hold.
fn files(folder: &str, ending: &str) -> Result<Vec<Vec<u8>>> {
    let folder = root().join(folder);
    let mut paths = Vec::new();
    for entry in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
        let path = entry?.path();
        if path.extension().is_some_and(|found| found == ending) {
            paths.push(path);
        }
    }
    // The same inputs for the same seed.
    paths.sort_unstable();
    let read = |path: PathBuf| fs::read(&path).with_context(|| path.display().to_string());
    paths.into_iter().map(read).collect()
}

fn unhex(line: &str) -> Result<Vec<u8>> {
    let digits = line.as_bytes().chunks(2);
    let byte = |pair| anyhow::Ok(u8::from_str_radix(std::str::from_utf8(pair)?, 16)?);
    digits.map(byte).collect()
}

#[expect(clippy::panic, reason = "ends the run, which is what a finding does")]
fn fail(what: &str) -> ! {
    panic!("{what}")
}
