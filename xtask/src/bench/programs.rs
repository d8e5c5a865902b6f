//! The programs that are compared, loaded and with their tables filled.

use std::path::PathBuf;

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use aya::maps::{Array, MapData, PerCpuArray, PerCpuValues, ProgramArray};
use aya::programs::{TestRun as _, TestRunOptions, Xdp};
use aya::{Ebpf, EbpfLoader};
use imblock_common::flows::{FLOW_IDLE, WAYS, cells_for};
use imblock_common::hosts::slots_for;
use imblock_common::layout::{
    ABI, ActionCell, ActionRow, Control, Half, PolicyHeader, PortEntry, PortTable, maps, programs,
};
use imblock_common::{Action, Transport};

use super::classes::{COUNTED_PORT, Class, DROPPED_PORT};
use crate::kernel_object;
use crate::workspace::{BENCH_OBJECT, OBJECT, root};

/// Room for every host of the largest class.
const HOSTS: u32 = 131_072;
/// Room for every flow of the largest class.
const FLOWS: u32 = cells_for(131_072);
/// Of `linux/bpf.h`.
const XDP_DROP: u32 = 1;
/// See [`XDP_DROP`].
const XDP_PASS: u32 = 2;

const GENERATION: u32 = 1;
const DROPPED_SERVICE: u16 = 1;
const COUNTED_SERVICE: u16 = 2;

/// All that is measured.
pub(super) struct Programs {
    ours: Ebpf,
    bench: Ebpf,
    /// `vary_source` in front of another program; the tables of each are its own.
    varied_ours: Ebpf,
    varied_empty: Ebpf,
    xdp_filter: Result<Ebpf>,
}

impl Programs {
    pub(super) fn load() -> Result<Self> {
        let mut ours = ours()?;
        let mut bench = bench()?;
        Ok(Self {
            varied_ours: varied(kernel_object::xdp(&mut ours, programs::LAN_INGRESS)?)?,
            varied_empty: varied(kernel_object::xdp(&mut bench, "empty")?)?,
            ours,
            bench,
            xdp_filter: xdp_filter(),
        })
    }

    /// What the cost of a class is counted from.
    pub(super) fn empty(&self, class: &Class) -> Result<&Xdp> {
        match class.hosts {
            None => loaded(&self.bench, "empty"),
            Some(_) => loaded(&self.varied_empty, "vary_source"),
        }
    }

    pub(super) fn ours(&self, class: &Class) -> Result<&Xdp> {
        match class.hosts {
            None => loaded(&self.ours, programs::LAN_INGRESS),
            Some(_) => loaded(&self.varied_ours, "vary_source"),
        }
    }

    /// `None` where it can't be compared: it is not there, or there are many hosts (it can't follow
    /// the program in front, which may do what it may not).
    pub(super) fn xdp_filter(&self, class: &Class) -> Option<&Xdp> {
        let object = self.xdp_filter.as_ref().ok()?;
        class
            .hosts
            .is_none()
            .then(|| loaded(object, XDP_FILTER).ok())?
    }

    pub(super) fn why_no_xdp_filter(&self) -> Option<String> {
        self.xdp_filter
            .as_ref()
            .err()
            .map(|error| format!("{error:#}"))
    }

    /// An error unless our program does with the class what is measured, and xdp-filter likewise.
    /// It also fills the table of hosts.
    pub(super) fn prove(&self, class: &Class) -> Result<()> {
        let warm_up = class.hosts.map_or(1, |hosts| u32::from(hosts) * 16);
        let expected = if class.passes { XDP_PASS } else { XDP_DROP };
        let verdict = verdict(self.ours(class)?, class, warm_up)?;
        ensure!(
            verdict == expected,
            "{}: the verdict is {verdict}, not {expected}",
            class.name
        );
        if let Some(xdp_filter) = self.xdp_filter(class) {
            let theirs = self::verdict(xdp_filter, class, 1)?;
            ensure!(
                theirs == expected,
                "{}: xdp-filter's verdict is {theirs}",
                class.name
            );
        }
        Ok(())
    }
}

fn verdict(program: &Xdp, class: &Class, repeat: u32) -> Result<u32> {
    let mut options = TestRunOptions::new();
    options.data_in = Some(&class.frame);
    options.repeat = repeat;
    Ok(program.test_run(options)?.return_value)
}

fn loaded<'a>(object: &'a Ebpf, name: &str) -> Result<&'a Xdp> {
    let program = object
        .program(name)
        .with_context(|| format!("no program {name}"))?;
    program
        .try_into()
        .with_context(|| format!("{name} is not XDP"))
}

/// Our program under a policy of two ports.
fn ours() -> Result<Ebpf> {
    let cpus = aya::util::nr_cpus().map_err(|(path, error)| anyhow::anyhow!("{path}: {error}"))?;
    let slots = slots_for(HOSTS);
    let mut object = EbpfLoader::new()
        .map_max_entries(maps::HOSTS, slots * u32::try_from(cpus)?)
        .map_max_entries(maps::FLOW_CELLS, FLOWS / WAYS)
        .map_max_entries(maps::FLOWS, FLOWS)
        .load(&std::fs::read(root().join(OBJECT))?)
        .with_context(|| format!("cannot make the maps of {OBJECT}"))?;
    let half = Half::of_generation(GENERATION);
    let mut ports = PortTable([0; PortTable::LEN]);
    let mut row = ActionRow([0; imblock_common::layout::SERVICES_MAX]);
    for (service, port, action) in [
        (DROPPED_SERVICE, DROPPED_PORT, Action::Drop),
        (COUNTED_SERVICE, COUNTED_PORT, Action::Count),
    ] {
        for transport in [Transport::Tcp, Transport::Udp] {
            let entry = ports.0.get_mut(PortTable::index(transport, port));
            *entry.context("no such port")? = PortEntry::of(service).0;
        }
        let cell = row.0.get_mut(usize::from(service));
        *cell.context("no such service")? = ActionCell::of_policy(action).0;
    }
    let header = PolicyHeader {
        generation: GENERATION,
        groups: 1,
        ..bytemuck::Zeroable::zeroed()
    };
    let control = Control {
        abi: ABI,
        generation: GENERATION,
        flags: 0,
        host_slots: slots,
        host_seed: 0,
        ticks_per_second: 250,
        host_keys: HOSTS,
        policy_flags: [0; 2],
        flow_cells: FLOWS,
        flow_clock_shift: 8,
        flow_idle: FLOW_IDLE,
    };
    set::<_, { size_of::<PortTable>() }>(&mut object, maps::PORTS, half.index(), ports)?;
    set::<_, { size_of::<ActionRow>() }>(
        &mut object,
        maps::ACTIONS,
        ActionRow::index(half, 0),
        row,
    )?;
    set::<_, { size_of::<PolicyHeader>() }>(&mut object, maps::POLICIES, half.index(), header)?;
    set::<_, { size_of::<Control>() }>(&mut object, maps::CONTROL, 0, control)?;
    Ok(object)
}

/// Writes an entry of one of our maps. `N` is the size of the value in bytes.
fn set<T: bytemuck::Pod, const N: usize>(
    object: &mut Ebpf,
    name: &'static str,
    index: u32,
    value: T,
) -> Result<()> {
    let map = object
        .map_mut(name)
        .with_context(|| format!("no map {name}"))?;
    let mut map: Array<&mut MapData, [u8; N]> = map.try_into()?;
    let bytes: &[u8; N] = bytemuck::bytes_of(&value).try_into()?;
    Ok(map.set(index, bytes, 0)?)
}

fn bench() -> Result<Ebpf> {
    let bytes = std::fs::read(root().join(BENCH_OBJECT)).with_context(|| {
        format!("cannot read {BENCH_OBJECT}; `cargo xtask build-ebpf` makes it")
    })?;
    Ok(Ebpf::load(&bytes)?)
}

/// `vary_source` in front of a program.
fn varied(next: &Xdp) -> Result<Ebpf> {
    let mut front = bench()?;
    kernel_object::load(&mut front, "vary_source")?;
    let map = front.map_mut("NEXT").context("no map NEXT")?;
    let mut slots: ProgramArray<&mut MapData> = map.try_into()?;
    slots.set(0, next.fd()?, 0)?;
    Ok(front)
}

/// The variant that looks at everything and passes what is not listed: what `xdp-filter load` loads.
const XDP_FILTER: &str = "xdpfilt_alw_all";

/// xdp-filter's program with the same port listed.
fn xdp_filter() -> Result<Ebpf> {
    /// `MAP_FLAG_DST | MAP_FLAG_TCP | MAP_FLAG_UDP` of xdp-filter's `common_kern_user.h`.
    const LISTED: u64 = 0b1110;

    let path = xdp_filter_path()?;
    // Its maps ask to be pinned by name.
    let pins = BpffsFolder::create()?;
    let mut object = EbpfLoader::new()
        .default_map_pin_directory(&pins.0)
        .load_file(&path)
        .with_context(|| format!("cannot load {}", path.display()))?;
    kernel_object::load(&mut object, XDP_FILTER)?;
    let map = object
        .map_mut("filter_ports")
        .context("no map filter_ports")?;
    let mut ports: PerCpuArray<&mut MapData, u64> = map.try_into()?;
    let cpus = aya::util::nr_cpus().map_err(|(what, error)| anyhow!("{what}: {error}"))?;
    let listed = PerCpuValues::try_from(vec![LISTED; cpus])?;
    ports.set(u32::from(DROPPED_PORT.to_be()), listed, 0)?;
    Ok(object)
}

fn xdp_filter_path() -> Result<PathBuf> {
    for folder in std::fs::read_dir("/usr/lib")? {
        let path = folder?
            .path()
            .join("bpf")
            .join(XDP_FILTER)
            .with_extension("o");
        if path.is_file() {
            return Ok(path);
        }
    }
    bail!("xdp-tools is not installed (apt-get install xdp-tools)")
}

/// A folder for pins that nobody needs; it goes with this value.
struct BpffsFolder(PathBuf);

impl BpffsFolder {
    fn create() -> Result<Self> {
        let folder = PathBuf::from(format!("/sys/fs/bpf/imblock-bench-{}", std::process::id()));
        std::fs::create_dir(&folder)
            .with_context(|| format!("cannot make {}", folder.display()))?;
        Ok(Self(folder))
    }
}

impl Drop for BpffsFolder {
    fn drop(&mut self) {
        let pins = std::fs::read_dir(&self.0).into_iter().flatten().flatten();
        for pin in pins {
            let _ = std::fs::remove_file(pin.path());
        }
        let _ = std::fs::remove_dir(&self.0);
    }
}
