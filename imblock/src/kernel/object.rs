//! Loading the kernel object: maps made or adopted, programs verified.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::panic::resume_unwind;
use std::thread;

use aya::maps::{Map, MapData};
use aya::programs::{Program, ProgramError, SchedClassifier, TestRun as _, TestRunOptions, Xdp};
use aya::{Ebpf, EbpfLoader};
use imblock_common::flows::{WAYS, cells_for, flow_clock_shift, flow_idle};
use imblock_common::hosts::slots_for;
use imblock_common::layout::{ABI, Control, Stage, maps, programs};
use imblock_common::{Hook, Side, View};

use rustix::time::{ClockId, clock_getres};

use super::maps::Maps;
use super::pins::{InstanceName, Pins};
use super::stages::{self, Stages, Tags};
use super::{KernelError, features};
use crate::policy::plan::Limits;

/// The kernel object, as built by `cargo xtask build-ebpf`.
pub static OBJECT: &[u8] = aya::include_bytes_aligned!("../../bpf/imblock.o");

/// The name of the program that serves a view.
pub(super) const fn program_name(view: View) -> &'static str {
    match (view.side, view.hook) {
        (Side::Lan, Hook::Ingress) => programs::LAN_INGRESS,
        (Side::Lan, Hook::Egress) => programs::LAN_EGRESS,
        (Side::Wan, Hook::Ingress) => programs::WAN_INGRESS,
        (Side::Wan, Hook::Egress) => programs::WAN_EGRESS,
    }
}

/// The view that a program serves.
pub(super) fn view_of_program(name: &str) -> Option<View> {
    View::ALL
        .into_iter()
        .find(|view| program_name(*view) == name)
}

/// How many entries the maps get whose sizes the policy says; all others have those of the object.
pub fn table_sizes(limits: &Limits) -> Result<[(&'static str, u32); 7], KernelError> {
    let cpus = possible_cpus()?;
    let places = limits.inside.slots().saturating_mul(cpus);
    let cells = cells_for(limits.flows);
    Ok([
        (maps::HOSTS, slots_for(limits.hosts).saturating_mul(cpus)),
        // The kernel makes no map without entries.
        (maps::INSIDE, places.max(1)),
        (maps::HOST_PREFIXES, limits.prefixes),
        (maps::REMOTES, limits.prefixes),
        (maps::NAMES, limits.prefixes),
        (maps::FLOW_CELLS, (cells / WAYS).max(1)),
        (maps::FLOWS, cells.max(1)),
    ])
}

/// An object whose maps are in the kernel. Programs are verified when they are first asked for.
pub struct Loaded {
    ebpf: Ebpf,
    stages: Stages,
    sightings: MapData,
}

impl Loaded {
    /// Makes maps that die with this value, and verifies the programs of all views and those of some
    /// stages behind them. For tests and benchmarks.
    pub fn unpinned(limits: &Limits, stages: &[Stage]) -> Result<(Self, Maps), KernelError> {
        let (mut loaded, maps) = Self::load(limits, None, &[])?;
        loaded.verify(&View::ALL, stages)?;
        Ok((loaded, maps))
    }

    /// Programs over the maps of an instance that is up, verified and attached to nothing: what they
    /// do with a frame is what the attached ones would do. For tests.
    pub fn of_instance(name: &InstanceName) -> Result<Self, KernelError> {
        let pins = Pins::of(name);
        let limits = Maps::pinned(&pins)?.limits()?;
        // A program names its maps by descriptor: they must be open until it is loaded.
        let (mut loaded, _maps) = Self::pinned(&limits, &pins)?;
        loaded.verify(&[View::LAN_INGRESS], &Stage::ALL)?;
        Ok(loaded)
    }

    /// Makes maps pinned where an instance keeps them, or adopts those that are there.
    pub(super) fn pinned(limits: &Limits, pins: &Pins) -> Result<(Self, Maps), KernelError> {
        pins.create()?;
        if pins.map(maps::CONTROL).exists() {
            let found = Maps::layout(pins)?;
            if found != ABI && found != 0 {
                return Err(KernelError::abi(Some(found)));
            }
        }
        Self::load(limits, Some(pins), &maps::ALL)
    }

    /// Makes maps that die with this value, but for the `shared` ones, which are those of an instance
    /// that is up.
    pub(super) fn beside(
        limits: &Limits,
        pins: &Pins,
        shared: &[&'static str],
    ) -> Result<(Self, Maps), KernelError> {
        Self::load(limits, Some(pins), shared)
    }

    /// `pinned` are the maps that are pinned, or adopted where they are.
    fn load(
        limits: &Limits,
        pins: Option<&Pins>,
        pinned: &[&'static str],
    ) -> Result<(Self, Maps), KernelError> {
        features::require_right()?;
        features::require_kernel()?;
        let mut loader = EbpfLoader::new();
        for (map, entries) in table_sizes(limits)? {
            loader.map_max_entries(map, entries);
        }
        if let Some(pins) = pins {
            for name in pinned {
                loader.map_pin_path(name, pins.map(name));
            }
        }
        let mut ebpf = loader
            .load(OBJECT)
            .map_err(|error| KernelError::Load(Box::new(error)))?;
        let stages = Stages::take(&mut ebpf)?;
        let sightings = ebpf.take_map(maps::SIGHTINGS);
        let Some(Map::PerCpuArray(sightings)) = sightings else {
            return Err(KernelError::Missing(maps::SIGHTINGS));
        };
        let mut maps = Maps::open(|name| {
            let map = ebpf.take_map(name).ok_or(KernelError::Missing(name))?;
            Ok(map)
        })?;
        let seed = if pins.is_some() { random_seed() } else { 0 };
        adopt(&mut maps, limits, seed)?;
        let loaded = Self {
            ebpf,
            stages,
            sightings,
        };
        Ok((loaded, maps))
    }

    /// Has the kernel verify the programs of some views and those of some stages behind them, all at the
    /// same time: it takes most of a start, and no program waits for another.
    pub(super) fn verify(&mut self, views: &[View], stages: &[Stage]) -> Result<(), KernelError> {
        let behind = |view: &View| {
            let hook = view.hook;
            stages.iter().map(move |stage| stages::name(hook, *stage))
        };
        let attached = views.iter().map(|view| program_name(*view));
        let names: Vec<&'static str> = attached.chain(views.iter().flat_map(behind)).collect();
        let wanted = |name: &str| names.iter().copied().find(|wanted| *wanted == name);
        thread::scope(|scope| {
            let programs = self.ebpf.programs_mut();
            let verifying: Vec<_> = programs
                .filter_map(|(name, program)| Some((wanted(name)?, program)))
                .map(|(name, program)| scope.spawn(move || load(name, program)))
                .collect();
            verifying
                .into_iter()
                .try_for_each(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic)))
        })?;
        let hooks = [Hook::Ingress, Hook::Egress];
        let mut needed = hooks
            .into_iter()
            .filter(|hook| views.iter().any(|view| view.hook == *hook));
        needed.try_for_each(|hook| self.stages.fill(&mut self.ebpf, hook, stages))
    }

    pub(super) fn xdp(&mut self, side: Side) -> Result<&mut Xdp, KernelError> {
        let name = program_name(View {
            side,
            hook: Hook::Ingress,
        });
        let program = verified(&mut self.ebpf, name)?;
        program.try_into().map_err(refused(name))
    }

    pub(super) fn classifier(&mut self, side: Side) -> Result<&mut SchedClassifier, KernelError> {
        let name = program_name(View {
            side,
            hook: Hook::Egress,
        });
        let program = verified(&mut self.ebpf, name)?;
        program.try_into().map_err(refused(name))
    }

    /// The tags of a view's program and of those behind it. They are verified if that has not happened.
    pub(super) fn tags(&mut self, view: View) -> Result<Tags, KernelError> {
        self.verify(&[view], &Stage::ALL)?;
        let name = program_name(view);
        let info = verified(&mut self.ebpf, name)?.info();
        let attached = info.map_err(refused(name))?.tag();
        let sightings = self.sightings.info();
        let sightings = sightings.map_err(KernelError::map(maps::SIGHTINGS, "read its id"))?;
        let [flow, depth, reject] = stages::tags(view.hook, sightings.id());
        Ok([attached, flow, depth, reject])
    }

    /// The program of a side's ingress. For benchmarks, which run it over and over.
    pub fn ingress(&self, side: Side) -> Result<&Xdp, KernelError> {
        let name = program_name(View {
            side,
            hook: Hook::Ingress,
        });
        let program = self.ebpf.program(name).ok_or(KernelError::Missing(name))?;
        program.try_into().map_err(refused(name))
    }

    /// Runs the program of a view over one frame, by `BPF_PROG_TEST_RUN`, and says whether it
    /// passes. `context` is a `struct __sk_buff` for an egress view, or nothing. A frame of fewer
    /// than 14 bytes is refused by the kernel, and so is a program that was not verified yet. Any
    /// number of threads may run programs at the same time.
    pub fn test_run(
        &self,
        view: View,
        frame: &[u8],
        context: Option<&[u8]>,
    ) -> Result<bool, KernelError> {
        Ok(self.test_run_on(view, frame, context)?.passed)
    }

    /// The same, and what the frame was made.
    pub fn test_run_on(
        &self,
        view: View,
        frame: &[u8],
        context: Option<&[u8]>,
    ) -> Result<TestRun, KernelError> {
        let name = program_name(view);
        let mut after = vec![0; frame.len() + GROWTH_MAX];
        let options = TestRunOptions {
            data_in: Some(frame),
            data_out: Some(&mut after),
            ctx_in: context,
            ..TestRunOptions::new()
        };
        let program = self.ebpf.program(name).ok_or(KernelError::Missing(name))?;
        let (result, passed) = match view.hook {
            Hook::Ingress => {
                let program: &Xdp = program.try_into().map_err(refused(name))?;
                (program.test_run(options), XDP_PASS)
            }
            Hook::Egress => {
                let program: &SchedClassifier = program.try_into().map_err(refused(name))?;
                (program.test_run(options), TC_ACT_UNSPEC)
            }
        };
        let result = result.map_err(refused(name))?;
        after.truncate(usize::try_from(result.data_size_out).unwrap_or(0));
        Ok(TestRun {
            passed: result.return_value == passed,
            action: result.return_value,
            frame: after,
        })
    }
}

/// What a program did with a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestRun {
    /// Whether it let the frame pass as it is.
    pub passed: bool,
    /// What it returned.
    pub action: u32,
    /// The frame, which a rejection rewrites.
    pub frame: Vec<u8>,
}

/// How much longer than a frame its answer may be.
const GROWTH_MAX: usize = 64;

/// `XDP_PASS` of `linux/bpf.h`.
const XDP_PASS: u32 = 2;
/// `TC_ACT_UNSPEC` (-1) of `linux/pkt_cls.h`.
const TC_ACT_UNSPEC: u32 = u32::MAX;

/// Stamps new maps, and refuses maps of another layout.
fn adopt(maps: &mut Maps, limits: &Limits, host_seed: u32) -> Result<(), KernelError> {
    let control = maps.control()?;
    match control.abi {
        ABI => Ok(()),
        0 => maps.set_control(Control {
            abi: ABI,
            host_slots: slots_for(limits.hosts),
            host_seed,
            host_keys: limits.hosts,
            ticks_per_second: ticks_per_second(),
            flow_cells: cells_for(limits.flows),
            flow_clock_shift: flow_clock_shift(ticks_per_second()),
            flow_idle: flow_idle(ticks_per_second()),
            inside: limits.inside,
            ..control
        }),
        found => Err(KernelError::abi(Some(found))),
    }
}

fn possible_cpus() -> Result<u32, KernelError> {
    let cpus = aya::util::nr_cpus().map_err(|(path, source)| KernelError::Pins {
        path: path.into(),
        what: "could not be read for the number of CPUs",
        source,
    })?;
    Ok(u32::try_from(cpus).unwrap_or(u32::MAX))
}

/// A number that nobody outside can know, from the keys that the standard library draws.
fn random_seed() -> u32 {
    let drawn = RandomState::new().build_hasher().finish();
    u32::try_from(drawn & 0xffff_ffff).unwrap_or(0)
}

/// The kernel's `HZ`: the coarse clocks advance once a tick, and say so as their resolution.
fn ticks_per_second() -> u32 {
    const SECOND: i64 = 1_000_000_000;
    let tick = clock_getres(ClockId::MonotonicCoarse).tv_nsec.max(1);
    u32::try_from(SECOND / tick).unwrap_or(1).max(1)
}

/// A program, verified if that has not happened.
pub(super) fn verified<'a>(
    ebpf: &'a mut Ebpf,
    name: &'static str,
) -> Result<&'a mut Program, KernelError> {
    let program = ebpf.program_mut(name).ok_or(KernelError::Missing(name))?;
    load(name, program)?;
    Ok(program)
}

fn load(name: &'static str, program: &mut Program) -> Result<(), KernelError> {
    let loaded = match program {
        Program::Xdp(xdp) => xdp.load(),
        Program::SchedClassifier(classifier) => classifier.load(),
        _ => Err(ProgramError::UnexpectedProgramType),
    };
    match loaded {
        Err(ProgramError::AlreadyLoaded) => Ok(()),
        other => other.map_err(refused(name)),
    }
}

pub(super) fn refused(program: &'static str) -> impl Fn(ProgramError) -> KernelError {
    move |source| KernelError::Program {
        program,
        source: Box::new(source),
    }
}
