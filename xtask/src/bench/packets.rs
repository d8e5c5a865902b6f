//! What the kernel program costs a packet, by class of frame: nanoseconds of CPU time.
//!
//! Method: `BPF_PROG_TEST_RUN` over one frame a class, many times a call, in CPU time of this
//! thread, which is bound to one CPU. Every round measures an empty program, ours and, where it is
//! installed, xdp-filter's, one after the other; the cost is the median over the rounds of
//! (program − empty). Where a class has many hosts or flows, a small program in front writes a
//! random one of them into each frame, for ours as for the empty one. The policy is the whole
//! catalogue's, so the tables are as full as anybody's.

mod promises;

use anyhow::{Result, ensure};

use super::classes::{self, Class};
use super::programs::Programs;
use super::sheet::{Line, Sheet};
use super::{Args, timer};
pub(super) use promises::Pledge;

/// What an empty XDP program takes by test run on a machine that has nothing else to do, in
/// nanoseconds: an Intel Xeon of 2023 under Linux 6.18.
const QUIET_EMPTY: f64 = 10.0;

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
    let programs = Programs::load(&classes)?;
    for class in &classes {
        programs.prove(class)?;
    }
    let mut samples: Vec<Samples> = classes.iter().map(|_| Samples::default()).collect();
    for _ in 0..args.rounds {
        for (class, samples) in classes.iter().zip(&mut samples) {
            samples.measure(&programs, class, args.repeat)?;
        }
    }
    let rows: Vec<Row> = classes
        .iter()
        .zip(&samples)
        .map(|(class, samples)| samples.row(class))
        .collect();
    Ok(vec![sheet(&rows, programs.why_no_xdp_filter())])
}

fn sheet(rows: &[Row], why_no_xdp_filter: Option<String>) -> Sheet {
    let mut notes = Vec::new();
    if let Some(reason) = why_no_xdp_filter {
        notes.push(format!("skipped: the comparison with xdp-filter: {reason}"));
    }
    if let Some(first) = rows.first()
        && first.empty > 2.0 * QUIET_EMPTY
    {
        notes.push(format!(
            "the empty program alone takes {:.0} ns here, more than twice the {QUIET_EMPTY:.0} that \
             the targets were set by: compare ratios",
            first.empty
        ));
    }
    Sheet {
        part: "packets",
        title: "ns a packet over the empty program".to_owned(),
        columns: vec!["imblock", "from", "to", "empty", "xdp-filter", "ratio"],
        lines: rows.iter().map(Row::line).collect(),
        promises: promises::of(rows),
        notes,
    }
}

/// Nanoseconds a frame, a value a round.
#[derive(Default)]
struct Samples {
    empty: Vec<f64>,
    ours: Vec<f64>,
    xdp_filter: Vec<f64>,
}

impl Samples {
    fn measure(&mut self, programs: &Programs, class: &Class, repeat: u32) -> Result<()> {
        let empty = timer::nanoseconds(programs.empty(class)?, &class.frame, repeat)?;
        let ours = timer::nanoseconds(programs.ours(class)?, &class.frame, repeat)?;
        self.empty.push(empty);
        self.ours.push(ours - empty);
        if let Some(xdp_filter) = programs.xdp_filter(class) {
            let xdp_filter = timer::nanoseconds(xdp_filter, &class.frame, repeat)?;
            self.xdp_filter.push(xdp_filter - empty);
        }
        Ok(())
    }

    fn row(&self, class: &Class) -> Row {
        Row {
            class: class.name,
            pledge: class.pledge,
            empty: timer::median(&self.empty),
            ours: timer::median(&self.ours),
            quartiles: timer::quartiles(&self.ours),
            xdp_filter: (!self.xdp_filter.is_empty()).then(|| timer::median(&self.xdp_filter)),
        }
    }
}

/// Medians of one class, in nanoseconds a frame; the programs over the empty one.
struct Row {
    class: &'static str,
    pledge: Option<Pledge>,
    empty: f64,
    ours: f64,
    quartiles: [f64; 2],
    xdp_filter: Option<f64>,
}

impl Row {
    fn ratio(&self) -> Option<f64> {
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
            ],
        }
    }
}
