//! What a packet costs when a second queue is served at the same time, on another CPU.

use anyhow::{Result, anyhow};

use super::super::sheet::{Line, Sheet};
use super::super::timer::{self, median, quartiles};
use super::super::xdp_filter::Features;
use super::candidates::{Candidate, FLOOR, Field, IMBLOCK, NOTHING, XDP_FILTER};
use super::counters::Fate;
use super::filter::Filter;
use super::frames::{Frame, OTHER_PORT};
use super::generator::Generator;
use super::imblock::Tool;
use super::peers::LISTED_PORT;
use super::policy::Policy;
use super::rig::Rig;
use super::series::Effort;

pub(super) const TITLE: &str = "veth: one queue and two, ns of CPU time a packet";

/// Frames a measurement and queue, at most: of those that are dropped, and of those that are forwarded.
const DROPPED: u32 = 400_000;
/// See [`DROPPED`].
const FORWARDED: u32 = 100_000;

const CANDIDATES: [Candidate; 4] = [
    (FLOOR, Filter::Drop, None),
    (NOTHING, Filter::Nothing, None),
    (IMBLOCK, Filter::Imblock(Policy::PLAIN), None),
    (XDP_FILTER, Filter::OfXdpTools(Features::All), None),
];

/// One candidate, and what it took with one queue and with two.
struct Pair<'a> {
    rig: &'a Rig,
    frame: &'a Frame,
    fate: Fate,
    one: Vec<f64>,
    two: Vec<f64>,
}

/// `None` where there is one CPU.
pub(super) fn sheet(
    tool: &Tool,
    generator: &mut Generator,
    effort: Effort,
) -> Result<Option<Sheet>> {
    let cpus = cpus()?;
    let [first, second, ..] = cpus.as_slice() else {
        println!("skipped: {TITLE}: there is one CPU");
        return Ok(None);
    };
    let field = Field::build(&CANDIDATES, 2, tool)?;
    // Each sender's hosts are the same, so that both CPUs count for the same ones.
    let listed = Frame::udp(LISTED_PORT, 60).of_hosts(1_000);
    let innocent = Frame::udp(OTHER_PORT, 60);
    let dropped = field.rigs().filter(|rig| rig.name != NOTHING);
    let dropped = dropped.map(|rig| Pair::new(rig, &listed, Fate::BeforeStack));
    let forwarded = field.rigs().filter(|rig| rig.name != FLOOR);
    let forwarded = forwarded.map(|rig| Pair::new(rig, &innocent, Fate::Forwarded));
    let mut pairs: Vec<_> = dropped.chain(forwarded).collect();
    for _ in 0..effort.rounds {
        for pair in &mut pairs {
            pair.measure(generator, [*first, *second], effort.most)?;
        }
    }
    for pair in &pairs {
        pair.rig.audit()?;
    }
    Ok(Some(Sheet {
        part: super::PART,
        title: TITLE.to_owned(),
        columns: vec!["one", "two", "quartile", "quartile", "two / one"],
        lines: pairs.iter().map(Pair::line).collect(),
        promises: Vec::new(),
        notes: field.notes.clone(),
    }))
}

impl<'a> Pair<'a> {
    fn new(rig: &'a Rig, frame: &'a Frame, fate: Fate) -> Self {
        Self {
            rig,
            frame,
            fate,
            one: Vec::new(),
            two: Vec::new(),
        }
    }

    fn measure(&mut self, generator: &mut Generator, cpus: [usize; 2], most: u32) -> Result<()> {
        let count = if self.fate == Fate::Forwarded {
            FORWARDED
        } else {
            DROPPED
        };
        let mut measure = |cpus: &[usize]| {
            let count = count.min(most);
            let send = |generator: &mut Generator| {
                self.rig
                    .send_on(cpus, generator, self.frame, self.fate, count)
            };
            // Frames may be lost when something else runs on one of the CPUs.
            send(generator).or_else(|_| send(generator))
        };
        let [first, _] = cpus;
        let (one, two) = (measure(&[first])?, measure(&cpus)?);
        self.one.push(one);
        self.two.push(two);
        Ok(())
    }

    fn line(&self) -> Line {
        let what = match self.fate {
            Fate::Forwarded => "forwarded",
            _ => "listed port, 1,000 hosts",
        };
        let ratios: Vec<_> = self
            .two
            .iter()
            .zip(&self.one)
            .map(|(two, one)| two / one)
            .collect();
        let [low, high] = quartiles(&self.two);
        let cells = [
            median(&self.one),
            median(&self.two),
            low,
            high,
            median(&ratios),
        ];
        Line {
            name: format!("{what}: {}", self.rig.name),
            cells: cells.map(Some).to_vec(),
        }
    }
}

/// The CPUs that threads of this process may be on, also if this one keeps to one of them.
fn cpus() -> Result<Vec<usize>> {
    let online = aya::util::online_cpus().map_err(|(what, error)| anyhow!("{what}: {error}"))?;
    let may_be_on = |cpu: &usize| {
        std::thread::scope(|scope| {
            let tried = scope.spawn(|| timer::stay_on(*cpu).is_ok());
            tried.join().unwrap_or(false)
        })
    };
    let cpus = online.into_iter().map(usize::try_from);
    let cpus = cpus.collect::<Result<Vec<_>, _>>()?;
    Ok(cpus.into_iter().rev().filter(may_be_on).collect())
}
