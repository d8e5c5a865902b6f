//! The maps of an instance, opened and typed.

use aya::maps::{Array, HashMap, LpmTrie, Map, MapData, MapError, MapInfo, PerCpuArray};
use imblock_common::layout::{
    ABI, ActionRow, Control, Generics, HopRule, HostEntry, HostPrefix, HostRecord, LeaseRow,
    MacKey, Marker, MarkerSets, Name, NameKey, PolicyHeader, PortTable, Rate, Rejections,
    RemoteGate, ServiceSet, ServiceTotals, StunAttributes, maps,
};

use super::KernelError;
use super::mapped::{MappedHosts, MappedPlaces, MappedSlots};
use super::pins::Pins;
use super::wire::Wire;
use crate::policy::plan::Limits;

/// Handles to every map; what they hold is described in `imblock_common::layout`.
pub struct Maps {
    pub(super) control: Array<MapData, Wire<Control>>,
    pub(super) policies: Array<MapData, Wire<PolicyHeader>>,
    pub(super) ports: Array<MapData, Wire<PortTable>>,
    pub(super) actions: Array<MapData, Wire<ActionRow>>,
    pub(super) rates: Array<MapData, Wire<Rate>>,
    pub(super) rate_rows: Array<MapData, Wire<ActionRow>>,
    pub(super) limit_shared: PerCpuArray<MapData, u64>,
    pub(super) leases: Array<MapData, Wire<LeaseRow>>,
    pub(super) host_prefixes: LpmTrie<MapData, Wire<HostPrefix>, Wire<HostEntry>>,
    pub(super) macs: HashMap<MapData, Wire<MacKey>, u32>,
    pub(super) remotes: LpmTrie<MapData, Wire<HostPrefix>, Wire<u32>>,
    pub(super) remote_gates: Array<MapData, Wire<RemoteGate>>,
    pub(super) names: LpmTrie<MapData, Wire<NameKey>, Wire<u32>>,
    pub(super) generics: Array<MapData, Wire<Generics>>,
    pub(super) calls: Array<MapData, Wire<ServiceSet>>,
    pub(super) carriers: Array<MapData, Wire<ServiceSet>>,
    pub(super) hop_rules: Array<MapData, Wire<HopRule>>,
    pub(super) marker_sets: Array<MapData, Wire<MarkerSets>>,
    pub(super) markers: Array<MapData, Wire<Marker>>,
    pub(super) stun: Array<MapData, Wire<StunAttributes>>,
    pub(super) group_names: Array<MapData, Wire<Name>>,
    pub(super) service_names: Array<MapData, Wire<Name>>,
    pub(super) totals: PerCpuArray<MapData, Wire<ServiceTotals>>,
    pub(super) hosts: MappedHosts,
    pub(super) places: MappedPlaces,
    /// Programs are loaded after this is made, and name their maps by descriptor: these must stay open
    /// although nobody else asks for them.
    _slots: [Map; 2],
    /// As above.
    _unread: [Map; 4],
    pub(super) overflow: PerCpuArray<MapData, Wire<HostRecord>>,
    pub(super) frames: PerCpuArray<MapData, u64>,
    _flow_cells: Map,
    pub(super) flows: Map,
    /// Until the controller takes it.
    pub(super) initials: Option<Map>,
    pub(super) initial_counts: PerCpuArray<MapData, u64>,
    pub(super) rejections: PerCpuArray<MapData, Wire<Rejections>>,
    _heads: Map,
    pub(super) room_for_prefixes: u32,
}

impl Maps {
    /// Opens every map by name.
    pub(super) fn open(
        mut map: impl FnMut(&'static str) -> Result<Map, KernelError>,
    ) -> Result<Self, KernelError> {
        let slots = [map(maps::HOSTS)?, map(maps::INSIDE)?];
        let [hosts, places] = &slots;
        let hosts = mapped(maps::HOSTS, hosts)?;
        let places = mapped(maps::INSIDE, places)?;
        let prefixes = map(maps::HOST_PREFIXES)?;
        let room_for_prefixes = max_entries(maps::HOST_PREFIXES, &prefixes)?;
        Ok(Self {
            control: typed(maps::CONTROL, map(maps::CONTROL)?)?,
            policies: typed(maps::POLICIES, map(maps::POLICIES)?)?,
            ports: typed(maps::PORTS, map(maps::PORTS)?)?,
            actions: typed(maps::ACTIONS, map(maps::ACTIONS)?)?,
            rates: typed(maps::RATES, map(maps::RATES)?)?,
            rate_rows: typed(maps::RATE_ROWS, map(maps::RATE_ROWS)?)?,
            limit_shared: typed(maps::LIMIT_SHARED, map(maps::LIMIT_SHARED)?)?,
            leases: typed(maps::LEASES, map(maps::LEASES)?)?,
            host_prefixes: typed(maps::HOST_PREFIXES, prefixes)?,
            macs: typed(maps::MACS, map(maps::MACS)?)?,
            remotes: typed(maps::REMOTES, map(maps::REMOTES)?)?,
            remote_gates: typed(maps::REMOTE_GATES, map(maps::REMOTE_GATES)?)?,
            names: typed(maps::NAMES, map(maps::NAMES)?)?,
            generics: typed(maps::GENERICS, map(maps::GENERICS)?)?,
            calls: typed(maps::CALLS, map(maps::CALLS)?)?,
            carriers: typed(maps::CARRIERS, map(maps::CARRIERS)?)?,
            hop_rules: typed(maps::HOP_RULES, map(maps::HOP_RULES)?)?,
            marker_sets: typed(maps::MARKER_SETS, map(maps::MARKER_SETS)?)?,
            markers: typed(maps::MARKERS, map(maps::MARKERS)?)?,
            stun: typed(maps::STUN, map(maps::STUN)?)?,
            group_names: typed(maps::GROUP_NAMES, map(maps::GROUP_NAMES)?)?,
            service_names: typed(maps::SERVICE_NAMES, map(maps::SERVICE_NAMES)?)?,
            totals: typed(maps::TOTALS, map(maps::TOTALS)?)?,
            hosts,
            places,
            _slots: slots,
            _unread: [
                map(maps::RECENT)?,
                map(maps::HOPS)?,
                map(maps::PARTS)?,
                map(maps::LIMITS)?,
            ],
            overflow: typed(maps::OVERFLOW, map(maps::OVERFLOW)?)?,
            frames: typed(maps::FRAMES, map(maps::FRAMES)?)?,
            _flow_cells: map(maps::FLOW_CELLS)?,
            flows: map(maps::FLOWS)?,
            initials: Some(map(maps::INITIALS)?),
            initial_counts: typed(maps::INITIAL_COUNTS, map(maps::INITIAL_COUNTS)?)?,
            rejections: typed(maps::REJECTIONS, map(maps::REJECTIONS)?)?,
            _heads: map(maps::HEADS)?,
            room_for_prefixes,
        })
    }

    /// Opens the pinned maps of an instance, and refuses those of another layout.
    pub(super) fn pinned(pins: &Pins) -> Result<Self, KernelError> {
        match Self::layout(pins)? {
            ABI => Self::open(|name| pinned(pins, name)),
            found => Err(KernelError::abi(Some(found))),
        }
    }

    /// The version of the layout of an instance's pinned maps; 0 while they are being made. Asked before
    /// any other map is opened: those of another version have other sizes, or are not there.
    pub(super) fn layout(pins: &Pins) -> Result<u32, KernelError> {
        let control = pinned(pins, maps::CONTROL)?;
        let control: Array<MapData, Wire<Control>> =
            control.try_into().map_err(|error| match error {
                MapError::InvalidValueSize { .. } => KernelError::abi(None),
                error => KernelError::map(maps::CONTROL, "open it as what the layout says")(error),
            })?;
        let Wire(control) = control
            .get(&0, 0)
            .map_err(KernelError::map(maps::CONTROL, "read"))?;
        Ok(control.abi)
    }

    /// The kernel's id of a pinned map.
    pub(super) fn id(pins: &Pins, name: &'static str) -> Result<u32, KernelError> {
        let path = pins.map(name);
        let map = MapData::from_pin(&path).map_err(|source| KernelError::OpenMap {
            path: path.clone(),
            source: Box::new(source),
        })?;
        let info = map.info().map_err(KernelError::map(name, "read its id"))?;
        Ok(info.id())
    }

    /// Sizes of the tables, as the maps were made.
    pub fn limits(&self) -> Result<Limits, KernelError> {
        let control = self.control()?;
        Ok(Limits {
            hosts: control.host_keys,
            prefixes: self.room_for_prefixes,
            flows: control.flow_cells,
            inside: control.inside,
        })
    }

    pub(super) fn control(&self) -> Result<Control, KernelError> {
        self.control
            .get(&0, 0)
            .map(|wire| wire.0)
            .map_err(KernelError::map(maps::CONTROL, "read"))
    }

    pub(super) fn set_control(&mut self, control: Control) -> Result<(), KernelError> {
        self.control
            .set(0, Wire(control), 0)
            .map_err(KernelError::map(maps::CONTROL, "write the control word"))
    }
}

/// A pinned map of an instance.
fn pinned(pins: &Pins, name: &'static str) -> Result<Map, KernelError> {
    let path = pins.map(name);
    MapData::from_pin(&path)
        .and_then(Map::from_map_data)
        .map_err(|source| KernelError::OpenMap {
            path,
            source: Box::new(source),
        })
}

fn typed<T: TryFrom<Map, Error = MapError>>(
    name: &'static str,
    map: Map,
) -> Result<T, KernelError> {
    T::try_from(map).map_err(KernelError::map(name, "open it as what the layout says"))
}

fn mapped<const WORDS: usize>(
    name: &'static str,
    map: &Map,
) -> Result<MappedSlots<WORDS>, KernelError> {
    let slots = usize::try_from(max_entries(name, map)?).unwrap_or(usize::MAX);
    let Map::Array(data) = map else {
        return Err(KernelError::Missing(name));
    };
    MappedSlots::map(data.fd(), slots).map_err(|source| KernelError::MapMemory { source })
}

pub(super) fn max_entries(name: &'static str, map: &Map) -> Result<u32, KernelError> {
    let data = match map {
        Map::Array(data) | Map::LpmTrie(data) => data,
        _ => return Err(KernelError::Missing(name)),
    };
    let info: MapInfo = data
        .info()
        .map_err(KernelError::map(name, "read its size"))?;
    Ok(info.max_entries())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod newcomers;

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::fs;

    use imblock_common::layout::Inside;

    use super::super::object::Loaded;
    use super::*;
    use crate::testing;

    const LIMITS: Limits = Limits {
        hosts: 64,
        prefixes: 64,
        flows: 64,
        inside: Inside::NONE,
    };

    /// The pins of an instance of the test's own.
    struct Pinned(Pins);

    impl Drop for Pinned {
        fn drop(&mut self) {
            let _ = self.0.remove_all();
        }
    }

    #[test]
    fn maps_of_another_version_are_refused_by_name() {
        if !testing::kernel_or_skip("maps_of_another_version_are_refused_by_name") {
            return;
        }
        let name = format!("maps-{}", std::process::id());
        let pinned = Pinned(Pins::of(&name.parse().unwrap()));
        let pins = &pinned.0;
        let refusals = || {
            [
                Maps::pinned(pins).err(),
                Loaded::pinned(&LIMITS, pins).err(),
            ]
            .map(|error| error.map(|error| error.to_string()))
        };
        let (_, mut maps) = Loaded::pinned(&LIMITS, pins).unwrap();
        assert_eq!(refusals(), [None, None]);

        let control = maps.control().unwrap();
        maps.set_control(Control {
            abi: ABI - 1,
            ..control
        })
        .unwrap();
        let older = format!("(layout {}, this one's is {ABI})", ABI - 1);
        for refusal in refusals() {
            assert!(refusal.as_ref().unwrap().contains(&older), "{refusal:?}");
        }

        // A version whose control word was larger or smaller.
        let path = pins.map(maps::CONTROL);
        fs::remove_file(&path).unwrap();
        let other = MapData::from_pin(pins.map(maps::POLICIES)).unwrap();
        other.pin(&path).unwrap();
        for refusal in refusals() {
            let refusal = refusal.unwrap();
            assert!(refusal.contains("layout unknown"), "{refusal}");
            assert!(refusal.contains("imblock down"), "{refusal}");
        }
    }
}
