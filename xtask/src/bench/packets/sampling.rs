//! The figures of one class, round by round.

use std::thread::sleep;
use std::time::Duration;

use anyhow::{Result, ensure};
use aya::programs::Xdp;

use super::Row;
use crate::bench::classes::{Class, How, Verdict};
use crate::bench::programs::{Programs, run};
use crate::bench::timer;

/// Frames a round where each is a call of its own.
const CALLS: u32 = 64;
/// Answers are sent at a bounded rate. How often, and how long, more of them are waited for.
const WAITS: u32 = 40;
const WAIT: Duration = Duration::from_millis(50);

/// Nanoseconds a frame, a value a round.
#[derive(Default)]
pub(in crate::bench) struct Samples {
    empty: Vec<f64>,
    ours: Vec<f64>,
    xdp_filter: Vec<f64>,
    /// The last flow that was made for this class.
    flow: u32,
}

impl Samples {
    pub(super) fn measure(
        &mut self,
        programs: &Programs,
        class: &Class,
        repeat: u32,
    ) -> Result<()> {
        match class.how {
            How::OneByOne => return self.measure_one_by_one(programs, class),
            How::InTurn => {
                let [ours, empty] = programs.script(class)?.nanoseconds(repeat)?;
                self.ours.push(ours);
                self.empty.push(empty);
                return Ok(());
            }
            How::Repeated => {}
        }
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

    fn measure_one_by_one(&mut self, programs: &Programs, class: &Class) -> Result<()> {
        programs.handed_over();
        let (mut empty, mut ours) = (Vec::new(), Vec::new());
        for _ in 0..CALLS {
            self.flow += 1;
            let (before, frame) = class.of_flow(self.flow);
            let (_, took) = run(programs.empty(class)?, &frame, 1)?;
            empty.push(took.as_secs_f64() * 1e9);
            let took = self.one(programs.ours(class)?, class, (before, frame))?;
            ours.push(took.as_secs_f64() * 1e9);
        }
        let handed_over = programs.handed_over();
        let expected = if class.handed_over { ours.len() } else { 0 };
        ensure!(
            handed_over == expected,
            "{}: {handed_over} frames were handed to the controller, not {expected}",
            class.name
        );
        let empty = timer::middle_mean(&empty);
        self.empty.push(empty);
        self.ours.push(timer::middle_mean(&ours) - empty);
        Ok(())
    }

    /// What one frame takes, behind what is said before it. An error unless it is answered as it should
    /// be.
    fn one(
        &mut self,
        program: &Xdp,
        class: &Class,
        (mut before, mut frame): (Vec<Vec<u8>>, Vec<u8>),
    ) -> Result<Duration> {
        for _ in 0..WAITS {
            for frame in &before {
                run(program, frame, 1)?;
            }
            let (verdict, took) = run(program, &frame, 1)?;
            if verdict == class.verdict as u32 {
                return Ok(took);
            }
            ensure!(
                class.verdict == Verdict::Answer,
                "{}: the verdict is {verdict}, not {:?}",
                class.name,
                class.verdict
            );
            sleep(WAIT);
            self.flow += 1;
            (before, frame) = class.of_flow(self.flow);
        }
        anyhow::bail!("{}: it is not answered any more", class.name)
    }

    pub(in crate::bench) fn row(&self, class: &Class, instructions: u64) -> Row {
        Row {
            class: class.name,
            pledge: class.pledge,
            empty: timer::median(&self.empty),
            ours: timer::median(&self.ours),
            quartiles: timer::quartiles(&self.ours),
            xdp_filter: (!self.xdp_filter.is_empty()).then(|| timer::median(&self.xdp_filter)),
            instructions,
        }
    }
}
