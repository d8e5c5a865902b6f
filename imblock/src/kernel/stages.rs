//! The programs behind the attached ones: which they are, and how the attached ones find them.
//!
//! A packet that finds no program behind the attached one passes, and nothing is told of it. So where
//! programs are replaced, those behind them come first. At a first start it is the other way round: the
//! attached programs are verified in a fraction of the time, and until the others are, ports are enforced
//! where else nothing would be.

use aya::Ebpf;
use aya::maps::{MapData, ProgramArray};
use aya::programs::{ProgramInfo, loaded_programs};
use imblock_common::Hook;
use imblock_common::layout::{Stage, maps, programs};

use super::KernelError;
use super::object::{refused, verified};

/// What the kernel makes of the instructions of an attached program, and of those of the programs behind
/// it: equal for equal programs, whatever maps they have. 0 for one that is not there.
pub type Tags = [u64; 1 + Stage::ALL.len()];

/// The tables in which the programs of a hook find the next one.
pub(super) struct Stages {
    xdp: ProgramArray<MapData>,
    skb: ProgramArray<MapData>,
}

impl Stages {
    /// Takes the tables of an object.
    pub(super) fn take(ebpf: &mut Ebpf) -> Result<Self, KernelError> {
        let mut table = |name: &'static str| {
            let map = ebpf.take_map(name).ok_or(KernelError::Missing(name))?;
            ProgramArray::try_from(map).map_err(KernelError::map(name, "open it as programs"))
        };
        Ok(Self {
            xdp: table(maps::XDP_STAGES)?,
            skb: table(maps::SKB_STAGES)?,
        })
    }

    /// Verifies the programs of a hook's stages and puts them where the attached ones look.
    pub(super) fn fill(
        &mut self,
        ebpf: &mut Ebpf,
        hook: Hook,
        stages: &[Stage],
    ) -> Result<(), KernelError> {
        let (table, table_name) = match hook {
            Hook::Ingress => (&mut self.xdp, maps::XDP_STAGES),
            Hook::Egress => (&mut self.skb, maps::SKB_STAGES),
        };
        for stage in stages {
            let name = name(hook, *stage);
            let fd = verified(ebpf, name)?.fd();
            table
                .set(*stage as u32, fd.map_err(refused(name))?, 0)
                .map_err(KernelError::map(table_name, "put a program into it"))?;
        }
        Ok(())
    }
}

/// The name of the program of a stage.
pub(super) const fn name(hook: Hook, stage: Stage) -> &'static str {
    match (hook, stage) {
        (Hook::Ingress, Stage::Flow) => programs::XDP_FLOW,
        (Hook::Ingress, Stage::Depth) => programs::XDP_DEPTH,
        (Hook::Ingress, Stage::Reject) => programs::XDP_REJECT,
        (Hook::Egress, Stage::Flow) => programs::SKB_FLOW,
        (Hook::Egress, Stage::Depth) => programs::SKB_DEPTH,
        (Hook::Egress, Stage::Reject) => programs::SKB_REJECT,
    }
}

/// The tags of the programs behind the attached ones of a hook: of all programs that are loaded, those
/// that read what is left to them in the map with this id.
pub(super) fn tags(hook: Hook, sightings: u32) -> [u64; Stage::ALL.len()] {
    let shares = |program: &ProgramInfo| {
        let maps = program.map_ids().ok().flatten();
        maps.is_some_and(|maps| maps.contains(&sightings))
    };
    Stage::ALL.map(|stage| {
        loaded_programs()
            .filter_map(Result::ok)
            .find(|program| program.name_as_str() == Some(name(hook, stage)) && shares(program))
            .map_or(0, |program| program.tag())
    })
}
