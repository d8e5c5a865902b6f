//! Frames that are said in turn, over and over, so that one of them is measured behind those that lead to
//! it, and as warm as the others are.

use anyhow::{Context as _, Result, ensure};
use aya::Ebpf;
use aya::maps::{Array, MapData};
use aya::programs::Xdp;
use imblock::kernel::{Loaded, Maps};
use imblock::policy::plan::Plan;
use imblock_common::Side;

use super::classes::Class;
use super::{policy, programs, timer};
use crate::kernel_object;

const PROGRAM: &str = "say_in_turn";
/// Bytes of a frame, and how many frames there may be. See `imblock-ebpf/src/bench.rs`.
const LINE: usize = 1536;
const LINES: usize = 4;
/// `Turn` there: the next frame, how many there are, and the flow's port.
type Turn = [u32; 3];

/// A class's frames, in front of our program with tables of its own and in front of the empty one.
pub(super) struct Script {
    ours: Ebpf,
    empty: Ebpf,
    lines: u32,
    _program: Loaded,
    _maps: Maps,
}

impl Script {
    pub(super) fn load(class: &Class, plan: &Plan, empty: &Xdp) -> Result<Self> {
        let plan = policy::few_hosts(plan, class.flow_table);
        let (program, maps) = programs::with_policy(&plan)?;
        let frames: Vec<&[u8]> = class
            .before
            .iter()
            .chain([&class.frame])
            .map(Vec::as_slice)
            .collect();
        Ok(Self {
            ours: front(program.ingress(Side::Lan)?, &frames)?,
            empty: front(empty, &frames)?,
            lines: u32::try_from(frames.len())?,
            _program: program,
            _maps: maps,
        })
    }

    /// An error unless our program does with the last frame what is measured. It also fills the tables.
    pub(super) fn prove(&mut self, class: &Class) -> Result<()> {
        begin(&mut self.ours, self.lines)?;
        let warm_up = class.front.warm_up().next_multiple_of(self.lines);
        let (verdict, _) = programs::run(
            kernel_object::xdp(&self.ours, PROGRAM)?,
            &[0; LINE],
            warm_up,
        )?;
        ensure!(
            verdict == class.verdict as u32,
            "{}: the verdict is {verdict}, not {:?}",
            class.name,
            class.verdict
        );
        Ok(())
    }

    /// What the last frame takes over the empty program: all of them, without those that are said before.
    /// And what the empty program takes a frame.
    pub(super) fn nanoseconds(&mut self, repeat: u32) -> Result<[f64; 2]> {
        let mut turns = |lines| -> Result<[f64; 2]> {
            let each = |object: &mut Ebpf| {
                begin(object, lines)?;
                timer::nanoseconds(kernel_object::xdp(object, PROGRAM)?, &[0; LINE], repeat)
            };
            let empty = each(&mut self.empty)?;
            let ours = each(&mut self.ours)?;
            Ok([(ours - empty) * f64::from(lines), empty])
        };
        let [all, empty] = turns(self.lines)?;
        let [before, _] = turns(self.lines - 1)?;
        Ok([all - before, empty])
    }
}

/// The front, with what it is to say.
fn front(next: &Xdp, frames: &[&[u8]]) -> Result<Ebpf> {
    ensure!(
        (2..=LINES).contains(&frames.len()),
        "{} frames can't be said in turn",
        frames.len()
    );
    let mut front = programs::front(PROGRAM, next)?;
    let map = front.map_mut("SCRIPT").context("no map SCRIPT")?;
    let mut script: Array<&mut MapData, [u8; LINE]> = map.try_into()?;
    for (number, frame) in (0..).zip(frames) {
        let mut line = [0; LINE];
        let place = line.get_mut(..frame.len()).context("a frame is too long")?;
        place.copy_from_slice(frame);
        script.set(number, line, 0)?;
    }
    Ok(front)
}

/// From now on, the first so many frames in turn, from the first one on.
fn begin(front: &mut Ebpf, lines: u32) -> Result<()> {
    let map = front.map_mut("TURN").context("no map TURN")?;
    let mut turn: Array<&mut MapData, Turn> = map.try_into()?;
    Ok(turn.set(0, [0, lines, 0], 0)?)
}
