//! What size costs: a packet, in nanoseconds, and an instance, in memory.
//!
//! For each thing that may be small or large, the same frame goes through the program with the small
//! and with the large policy, in turn, and through an empty one that is taken off; the median of the
//! differences counts. What is decided when a policy is compiled (rules, services) must cost a packet
//! nothing. All tables have room for the large size, so that only what is in them differs.

mod cases;
mod interfaces;
mod plans;

use anyhow::{Context as _, Result, ensure};
use aya::Ebpf;
use aya::programs::Xdp;
use imblock::kernel::{Loaded, Maps};
use imblock_common::Side as NetworkSide;

use super::Args;
use super::programs;
use super::sheet::{Bound, Line, Promise, Sheet};
use super::timer;
use crate::kernel_object;
use cases::{Case, Front, Side};

pub(super) fn run(args: &Args) -> Result<Vec<Sheet>> {
    let mut sheets = interfaces::run()?;
    timer::bind_to_one_cpu()?;
    let mut cases = cases::all()?;
    cases.retain(|case| case.name.contains(&args.only));
    let cases = cases.into_iter().map(Prepared::of);
    let mut cases: Vec<Prepared> = cases.collect::<Result<_>>()?;
    for _ in 0..args.rounds {
        for case in &mut cases {
            case.measure(args.repeat)?;
        }
    }
    sheets.insert(0, sheet(&cases));
    Ok(sheets)
}

/// A case that can be measured.
struct Prepared {
    case: Case,
    empty: Program,
    small: Program,
    large: Program,
    /// Nanoseconds over the empty program, a value a round.
    small_times: Vec<f64>,
    large_times: Vec<f64>,
}

/// A program with what is in front of it, and what must live as long.
struct Program {
    front: Option<Ebpf>,
    name: &'static str,
    ours: Option<(Loaded, Maps)>,
    empty: Ebpf,
}

impl Program {
    fn of(side: Option<&Side>, front: Front) -> Result<Self> {
        let ours = side
            .map(|side| programs::with_policy(&side.plan))
            .transpose()?;
        let empty = programs::bench(programs::EMPTY)?;
        let next = match &ours {
            Some((loaded, _)) => loaded.ingress(NetworkSide::Lan)?,
            None => kernel_object::xdp(&empty, programs::EMPTY)?,
        };
        let name = match front {
            Front::Nothing => programs::EMPTY,
            Front::Host => programs::VARY_SOURCE,
            Front::Flow => programs::VARY_FLOW,
        };
        let front = match front {
            Front::Nothing => None,
            _ => Some(programs::front(name, next)?),
        };
        Ok(Self {
            front,
            name,
            ours,
            empty,
        })
    }

    fn xdp(&self) -> Result<&Xdp> {
        match (&self.front, &self.ours) {
            (Some(front), _) => kernel_object::xdp(front, self.name),
            (None, Some((loaded, _))) => Ok(loaded.ingress(NetworkSide::Lan)?),
            (None, None) => kernel_object::xdp(&self.empty, self.name),
        }
    }

    /// Nanoseconds a frame, over all frames of a side.
    fn measure(&self, side: &Side, repeat: u32) -> Result<f64> {
        let program = self.xdp()?;
        let times = side.frames.iter();
        let times = times.map(|frame| timer::nanoseconds(program, frame, repeat));
        let times: Vec<f64> = times.collect::<Result<_>>()?;
        let count = u32::try_from(times.len())?;
        Ok(times.iter().sum::<f64>() / f64::from(count.max(1)))
    }

    /// Fills the tables; an error unless the verdict is what is measured.
    fn prove(&self, case: &Case, side: &Side) -> Result<()> {
        let program = self.xdp()?;
        for frame in &side.before {
            programs::run(program, frame, side.warm_up)?;
        }
        let expected = case.verdict as u32;
        for frame in &side.frames {
            let (verdict, _) = programs::run(program, frame, 1)?;
            ensure!(
                verdict == expected,
                "{}: the verdict is {verdict}, not {expected}",
                case.name
            );
        }
        Ok(())
    }
}

impl Prepared {
    fn of(case: Case) -> Result<Self> {
        let program = |side| Program::of(side, case.front).context(case.name);
        let (empty, small, large) = (
            program(None)?,
            program(Some(&case.small))?,
            program(Some(&case.large))?,
        );
        small.prove(&case, &case.small)?;
        large.prove(&case, &case.large)?;
        Ok(Self {
            case,
            empty,
            small,
            large,
            small_times: Vec::new(),
            large_times: Vec::new(),
        })
    }

    fn measure(&mut self, repeat: u32) -> Result<()> {
        let Case { small, large, .. } = &self.case;
        let empty = self.empty.measure(small, repeat)?;
        self.small_times
            .push(self.small.measure(small, repeat)? - empty);
        self.large_times
            .push(self.large.measure(large, repeat)? - empty);
        Ok(())
    }

    /// What the large one costs more, a value a round.
    fn differences(&self) -> Vec<f64> {
        let pairs = self.small_times.iter().zip(&self.large_times);
        pairs.map(|(small, large)| large - small).collect()
    }
}

fn sheet(cases: &[Prepared]) -> Sheet {
    let mut lines = Vec::new();
    let mut promises = Vec::new();
    for prepared in cases {
        let differences = prepared.differences();
        let [from, to] = timer::quartiles(&differences);
        let difference = timer::median(&differences);
        lines.push(Line {
            name: prepared.case.name.to_owned(),
            cells: vec![
                Some(timer::median(&prepared.small_times)),
                Some(timer::median(&prepared.large_times)),
                Some(difference),
                Some(from),
                Some(to),
            ],
        });
        promises.extend(prepared.case.most.map(|most| Promise {
            what: format!("{}: the difference, ns", prepared.case.name),
            bound: Bound::AtMost(most),
            figure: Some(difference),
        }));
    }
    Sheet {
        part: "scale",
        title: "ns a packet over the empty program".to_owned(),
        columns: vec!["small", "large", "difference", "from", "to"],
        lines,
        promises,
        notes: vec![
            "each frame is another flow for names and prefixes, and finds no entry in the flow table"
                .to_owned(),
        ],
    }
}
