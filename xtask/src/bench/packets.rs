//! What the kernel program costs a packet, by class of frame: nanoseconds of CPU time.
//!
//! Method: `BPF_PROG_TEST_RUN` over one frame a class, many times a call, in CPU time of this
//! thread, which is bound to one CPU. Every round measures an empty program, ours and, where it is
//! installed, xdp-filter's, one after the other; the cost is the median over the rounds of
//! (program − empty). Where a class has many hosts or flows, a small program in front writes a
//! random one of them into each frame, for ours as for the empty one. A frame that means something
//! behind others only is said in turn with them, and what they take without it is taken off. The policy
//! is the whole catalogue's, so the tables are as full as anybody's. What can't be said twice is measured
//! one frame a call, by the kernel's clock. Beside it stands how many instructions the frame takes.

mod ndpi;
mod promises;
mod sampling;

use anyhow::{Result, ensure};

use super::classes::{self, Class};
use super::count;
use super::programs::Programs;
use super::sheet::{Bound, Line, Promise, Sheet};
use super::{Args, timer};
pub(super) use promises::Pledge;
pub(super) use sampling::Samples;

/// What an empty XDP program takes by test run on a machine that has nothing else to do, in
/// nanoseconds: an Intel Xeon of 2023 under Linux 6.18.
const QUIET_EMPTY: f64 = 10.0;

/// What the last column is, and what it is not.
const INSTRUCTIONS: &str = "instructions: of BPF, as the kernel runs them, in a flow of its own and \
    without what the kernel's functions take that are called";

pub(super) fn run(args: &Args) -> Result<Vec<Sheet>> {
    timer::bind_to_one_cpu()?;
    let mut classes = classes::all();
    classes.retain(|class| class.name.contains(&args.only));
    if classes.is_empty() {
        // The word may be for another part.
        ensure!(
            args.parts.len() != 1,
            "no class has `{}` in its name",
            args.only
        );
        return Ok(Vec::new());
    }
    let counts = count::of(&classes)?;
    let programs = Programs::load(&classes)?;
    let samples = samples(&programs, &classes, args.rounds, args.repeat)?;
    let rows: Vec<Row> = classes
        .iter()
        .zip(&samples)
        .zip(&counts)
        .map(|((class, samples), count)| samples.row(class, count.instructions))
        .collect();
    let mut sheet = sheet(&rows, programs.why_no_xdp_filter());
    if let Some(hello) = rows
        .iter()
        .find(|row| row.pledge == Some(Pledge::WholeName))
    {
        compare_with_ndpi(&mut sheet, hello, args.rounds)?;
    }
    Ok(vec![sheet])
}

/// Measures each class in each round, after a proof that the programs do with it what is measured.
pub(super) fn samples(
    programs: &Programs,
    classes: &[Class],
    rounds: u32,
    repeat: u32,
) -> Result<Vec<Samples>> {
    for class in classes {
        programs.prove(class)?;
    }
    let mut samples: Vec<Samples> = classes.iter().map(|_| Samples::default()).collect();
    for _ in 0..rounds {
        for (class, samples) in classes.iter().zip(&mut samples) {
            samples.measure(programs, class, repeat)?;
        }
    }
    Ok(samples)
}

/// Adds what nDPI takes for the hello of a class.
fn compare_with_ndpi(sheet: &mut Sheet, hello: &Row, rounds: u32) -> Result<()> {
    let theirs = ndpi::nanoseconds(rounds)?;
    sheet.notes.push(match &theirs {
        Ok(theirs) => {
            format!("nDPI takes {theirs:.0} ns of CPU time for the same hello of a new flow")
        }
        Err(reason) => format!("skipped: the comparison with nDPI: {reason}"),
    });
    sheet.promises.push(Promise {
        what: format!(
            "nDPI's cost of the same hello, times that of: {}",
            hello.class
        ),
        bound: Bound::AtLeast(40.0),
        figure: theirs.ok().map(|theirs| theirs / hello.ours),
    });
    Ok(())
}

fn sheet(rows: &[Row], why_no_xdp_filter: Option<String>) -> Sheet {
    let mut notes = vec![INSTRUCTIONS.to_owned()];
    if let Some(reason) = why_no_xdp_filter {
        notes.push(format!("skipped: the comparison with xdp-filter: {reason}"));
    }
    // Without what a front takes.
    let empty = rows.iter().map(|row| row.empty).reduce(f64::min);
    if let Some(empty) = empty
        && empty > 2.0 * QUIET_EMPTY
    {
        notes.push(format!(
            "the empty program alone takes {empty:.0} ns here, more than twice the {QUIET_EMPTY:.0} that \
             the targets were set by: compare ratios"
        ));
    }
    Sheet {
        part: "packets",
        title: "ns a packet over the empty program".to_owned(),
        columns: vec![
            "imblock",
            "from",
            "to",
            "empty",
            "xdp-filter",
            "ratio",
            "instructions",
        ],
        lines: rows.iter().map(Row::line).collect(),
        promises: promises::of(rows),
        notes,
    }
}

/// Medians of one class, in nanoseconds a frame; the programs over the empty one.
pub(super) struct Row {
    class: &'static str,
    pledge: Option<Pledge>,
    empty: f64,
    ours: f64,
    quartiles: [f64; 2],
    xdp_filter: Option<f64>,
    instructions: u64,
}

impl Row {
    pub(super) fn ratio(&self) -> Option<f64> {
        self.xdp_filter.map(|theirs| self.ours / theirs)
    }

    fn line(&self) -> Line {
        let [from, to] = self.quartiles;
        Line {
            name: self.class.to_owned(),
            cells: vec![
                Some(self.ours),
                Some(from),
                Some(to),
                Some(self.empty),
                self.xdp_filter,
                self.ratio(),
                Some(self.instructions as f64),
            ],
        }
    }
}
