//! The programs that are compared, loaded and with their tables filled.

use std::cell::{RefCell, RefMut};
use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use aya::Ebpf;
use aya::maps::{MapData, ProgramArray};
use aya::programs::{TestRun as _, TestRunOptions, Xdp};
use imblock::kernel::{Handshakes, Loaded, Maps};
use imblock::policy::plan::Plan;
use imblock_common::Side;
use imblock_common::layout::Stage;

use super::classes::{Class, DROPPED_PORT, ENDED_PORT, Front, How};
use super::policy;
use super::script::Script;
use super::xdp_filter::{self, Features};
use crate::kernel_object;
use crate::workspace::BENCH_OBJECT;

/// All that is measured.
pub(super) struct Programs {
    ours: Loaded,
    /// Our programs name their maps by descriptor.
    _maps: Maps,
    /// What ours hands to the controller, which is nobody here.
    handshakes: RefCell<Handshakes>,
    empty: Ebpf,
    /// A front before ours and before the empty one; the tables of each are its own.
    hosts: [Ebpf; 2],
    flows_empty: Ebpf,
    /// By class, for those that vary flows: what one writes to the flow table is not for others.
    flows_ours: HashMap<&'static str, Apart>,
    /// By class, for those that say frames in turn.
    scripts: HashMap<&'static str, RefCell<Script>>,
    xdp_filter: Result<Ebpf>,
}

/// Our program with tables of its own, and what is in front of it.
struct Apart {
    front: Ebpf,
    _ours: Loaded,
    _maps: Maps,
}

impl Programs {
    pub(super) fn load(classes: &[Class]) -> Result<Self> {
        let plan = policy::plan()?;
        let (ours, mut maps) = with_policy(&plan)?;
        let handshakes = maps.take_handshakes()?;
        let handshakes = handshakes.context("somebody has the handshakes")?;
        let bench_empty = bench(EMPTY)?;
        let empty = kernel_object::xdp(&bench_empty, EMPTY)?;
        let hosts = [
            front(VARY_SOURCE, ours.ingress(Side::Lan)?)?,
            front(VARY_SOURCE, empty)?,
        ];
        let flows_empty = front(VARY_FLOW, empty)?;
        let mut flows_ours = HashMap::new();
        let mut scripts = HashMap::new();
        for class in classes {
            if class.how == How::InTurn {
                let script = Script::load(class, &plan, empty)?;
                scripts.insert(class.name, RefCell::new(script));
            }
            if class.is_apart() {
                let plan = policy::few_hosts(&plan, class.flow_table);
                let (ours, maps) = with_policy(&plan)?;
                let front = front(VARY_FLOW, ours.ingress(Side::Lan)?)?;
                let apart = Apart {
                    front,
                    _ours: ours,
                    _maps: maps,
                };
                flows_ours.insert(class.name, apart);
            }
        }
        Ok(Self {
            ours,
            _maps: maps,
            handshakes: RefCell::new(handshakes),
            empty: bench_empty,
            hosts,
            flows_empty,
            flows_ours,
            scripts,
            xdp_filter: xdp_filter::load(Features::All, [DROPPED_PORT, ENDED_PORT]),
        })
    }

    /// What the cost of a class is counted from.
    pub(super) fn empty(&self, class: &Class) -> Result<&Xdp> {
        let [_, hosts] = &self.hosts;
        match class.front {
            Front::None => kernel_object::xdp(&self.empty, EMPTY),
            Front::Hosts(_) => kernel_object::xdp(hosts, VARY_SOURCE),
            Front::Flows { .. } => kernel_object::xdp(&self.flows_empty, VARY_FLOW),
        }
    }

    pub(super) fn ours(&self, class: &Class) -> Result<&Xdp> {
        let [hosts, _] = &self.hosts;
        match class.front {
            Front::None => Ok(self.ours.ingress(Side::Lan)?),
            Front::Hosts(_) => kernel_object::xdp(hosts, VARY_SOURCE),
            Front::Flows { .. } => {
                let apart = self.flows_ours.get(class.name);
                kernel_object::xdp(
                    &apart.context("a class without a program")?.front,
                    VARY_FLOW,
                )
            }
        }
    }

    /// Of a class that says frames in turn.
    pub(super) fn script(&self, class: &Class) -> Result<RefMut<'_, Script>> {
        let script = self.scripts.get(class.name);
        Ok(script.context("a class without a script")?.borrow_mut())
    }

    /// `None` where it can't be compared: it is not there, it has no such rule, or there is a front
    /// (it can't follow one, which may do what it may not).
    pub(super) fn xdp_filter(&self, class: &Class) -> Option<&Xdp> {
        let object = self.xdp_filter.as_ref().ok()?;
        let comparable = matches!(class.front, Front::None) && class.by_port;
        comparable.then(|| kernel_object::xdp(object, Features::All.program()).ok())?
    }

    pub(super) fn why_no_xdp_filter(&self) -> Option<String> {
        self.xdp_filter
            .as_ref()
            .err()
            .map(|error| format!("{error:#}"))
    }

    /// Says what is to be said before, then: an error unless our program does with the class what is
    /// measured, and xdp-filter likewise. It also fills the tables of hosts and flows.
    pub(super) fn prove(&self, class: &Class) -> Result<()> {
        if class.how == How::InTurn {
            return self.script(class)?.prove(class);
        }
        let warm_up = class.front.warm_up();
        let ours = self.ours(class)?;
        let (before, frame) = match class.how {
            How::OneByOne => class.of_flow(0),
            How::Repeated | How::InTurn => (class.before.clone(), class.frame.clone()),
        };
        for frame in &before {
            run(ours, frame, warm_up)?;
        }
        let expected = class.verdict as u32;
        let (verdict, _) = run(ours, &frame, warm_up)?;
        ensure!(
            verdict == expected,
            "{}: the verdict is {verdict}, not {expected}",
            class.name
        );
        if let Some(xdp_filter) = self.xdp_filter(class) {
            let (theirs, _) = run(xdp_filter, &class.frame, 1)?;
            ensure!(
                theirs == expected,
                "{}: xdp-filter's verdict is {theirs}",
                class.name
            );
        }
        Ok(())
    }

    /// How many frames were handed to the controller since this was asked last.
    pub(super) fn handed_over(&self) -> usize {
        let mut handshakes = self.handshakes.borrow_mut();
        std::iter::from_fn(|| handshakes.next()).count()
    }
}

/// Runs a program over a frame; its verdict, and the kernel's idea of how long it took, in whole
/// nanoseconds.
pub(super) fn run(program: &Xdp, frame: &[u8], repeat: u32) -> Result<(u32, Duration)> {
    let mut options = TestRunOptions::new();
    options.data_in = Some(frame);
    options.repeat = repeat;
    let result = program.test_run(options)?;
    Ok((result.return_value, result.duration))
}

/// Our program under a plan, written as the controller does.
pub(super) fn with_policy(plan: &Plan) -> Result<(Loaded, Maps)> {
    let (ours, mut maps) = Loaded::unpinned(&plan.limits, &Stage::ALL)?;
    maps.apply(plan)?;
    Ok((ours, maps))
}

/// One of the benchmark's own programs, loaded, with maps of its own.
pub(super) fn bench(name: &str) -> Result<Ebpf> {
    let mut object = kernel_object::open(BENCH_OBJECT)?;
    kernel_object::load(&mut object, name)?;
    Ok(object)
}

/// The program that all costs are counted from: it passes everything.
pub(super) const EMPTY: &str = "empty";

/// Chooses a host for each frame.
pub(super) const VARY_SOURCE: &str = "vary_source";
/// Chooses a port for each frame, and one of a few hosts.
pub(super) const VARY_FLOW: &str = "vary_flow";

/// One of them in front of a program.
pub(super) fn front(name: &str, next: &Xdp) -> Result<Ebpf> {
    let mut front = bench(name)?;
    let map = front.map_mut("NEXT").context("no map NEXT")?;
    let mut slots: ProgramArray<&mut MapData> = map.try_into()?;
    slots.set(0, next.fd()?, 0)?;
    Ok(front)
}
