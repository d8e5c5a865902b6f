//! The plan that is live, rebuilt from the maps: what the kernel has is what counts, whatever files
//! say by now.
//!
//! Invariant: tables made of it answer every packet as the live half did when it was read. What the
//! maps don't hold (names of services for people, rules, interfaces) is not made up.

use imblock_common::layout::{
    ActionCell, ActionRow, Control, Half, HostPrefix, MARKER_HEAD, Marker, MarkerSets, NameKey,
    PolicyHeader, Rate, StunAttributes, maps,
};
use imblock_common::{Action, Addr, Family, Transport};
use ipnet::IpNet;

use super::KernelError;
use super::batch::Batches;
use super::maps::Maps;
use crate::policy::plan::{
    MacPlan, MarkerPlan, MarkerPlans, NameKind, NamePlan, PrefixPlan, QuicMode, RemotePlan,
    ServicePlan, StunPlan,
};
use crate::policy::{ByteSet, Mac, MarkerFrom, Plan, Timetable};

/// How often to begin again when policies are applied while this reads.
const ATTEMPTS: u32 = 5;

impl Maps {
    /// The plan that is live, toggles included, and its header. Services have their ids for names and
    /// no category; there are no origins, no sources and no interfaces.
    pub fn plan(&self) -> Result<(Plan, PolicyHeader), KernelError> {
        let mut generation = self.generation()?;
        for _ in 0..ATTEMPTS {
            let read = self.plan_of(Half::of_generation(generation));
            let after = self.generation()?;
            if after == generation {
                return read;
            }
            generation = after;
        }
        Err(KernelError::Unsteady)
    }

    fn plan_of(&self, half: Half) -> Result<(Plan, PolicyHeader), KernelError> {
        let control = self.control()?;
        let header = self.read_header(half)?;
        let groups = self.read_groups(half, header.groups)?;
        let numbers = || (0..groups.len()).filter_map(|group| u16::try_from(group).ok());
        let actions = numbers()
            .map(|group| self.in_force_now(half, group, self.action_row(half, group)?))
            .collect::<Result<Vec<_>, _>>()?;
        let (rates, rate_rows) = match actions.iter().any(limits) {
            true => self.read_rates(half, numbers())?,
            false => (Vec::new(), Vec::new()),
        };
        let names = self.read_names(half)?;
        let [even, odd] = control.policy_flags;
        let flags = if half.index() == 0 { even } else { odd };
        let at = half.index();
        let plan = Plan {
            name: header.name.as_str().to_owned(),
            interfaces: Vec::new(),
            limits: self.limits()?,
            services: self.read_services()?,
            groups,
            ports: self.port_table(half)?,
            actions,
            rates,
            rate_rows,
            // What is over does not count, and what is not counts as it is.
            leases: Vec::new(),
            origins: Vec::new(),
            sources: Vec::new(),
            // The controller's, who has brought the cells to where they are.
            timetable: Timetable::default(),
            prefixes: self.read_prefixes(half)?,
            macs: self.read_macs(half)?,
            remotes: self.read_remotes(half)?,
            quic: quic(flags, names.is_empty()),
            names,
            generics: read(maps::GENERICS, self.generics.get(&at, 0))?,
            calls: read(maps::CALLS, self.calls.get(&at, 0))?,
            carriers: read(maps::CARRIERS, self.carriers.get(&at, 0))?,
            hops: read(maps::HOP_RULES, self.hop_rules.get(&at, 0))?,
            markers: MarkerPlans {
                tcp: self.read_markers(half, Transport::Tcp)?,
                udp: self.read_markers(half, Transport::Udp)?,
            },
            stun_attributes: self.read_stun(half)?,
            warnings: Vec::new(),
        };
        Ok((plan, header))
    }

    /// The rates that some cell has, and the rows of their numbers.
    fn read_rates(
        &self,
        half: Half,
        groups: impl Iterator<Item = u16>,
    ) -> Result<(Vec<Rate>, Vec<ActionRow>), KernelError> {
        let rows = groups
            .map(|group| {
                let at = ActionRow::index(half, group);
                read(maps::RATE_ROWS, self.rate_rows.get(&at, 0))
            })
            .collect::<Result<Vec<ActionRow>, _>>()?;
        let last = rows.iter().flat_map(|row| row.0).max().unwrap_or(0);
        let rates = (0..=last)
            .map(|number| {
                let at = Rate::index(half, number);
                read(maps::RATES, self.rates.get(&at, 0))
            })
            .collect::<Result<Vec<Rate>, _>>()?;
        Ok((rates, rows))
    }

    fn read_services(&self) -> Result<Vec<ServicePlan>, KernelError> {
        let numbers = self.service_numbers()?;
        let mut services: Vec<_> = numbers
            .iter()
            .map(|(id, number)| ServicePlan {
                number,
                id: id.to_owned(),
                name: id.to_owned(),
                category: String::new(),
                historic: false,
            })
            .collect();
        services.sort_by_key(|service| service.number);
        Ok(services)
    }

    fn read_prefixes(&self, half: Half) -> Result<Vec<PrefixPlan>, KernelError> {
        let listed = KernelError::map(maps::HOST_PREFIXES, "list the entries");
        let mut prefixes = Vec::new();
        Batches::of(&self.host_prefixes)
            .read(|key, entry| {
                let net = net_of(half, key.bits, &{ key.data });
                prefixes.extend(net.map(|net| PrefixPlan { net, entry }));
            })
            .map_err(listed)?;
        prefixes.sort_by_key(|prefix| prefix.net);
        Ok(prefixes)
    }

    fn read_macs(&self, half: Half) -> Result<Vec<MacPlan>, KernelError> {
        let listed = KernelError::map(maps::MACS, "list the entries");
        let mut macs = Vec::new();
        for entry in self.macs.iter() {
            let (key, group) = entry.map_err(&listed)?;
            if u32::from(key.0.half) != half.index() {
                continue;
            }
            macs.extend(Mac::new(key.0.address).map(|mac| MacPlan {
                mac,
                group: number(group),
            }));
        }
        macs.sort_by_key(|device| device.mac);
        Ok(macs)
    }

    fn read_remotes(&self, half: Half) -> Result<Vec<RemotePlan>, KernelError> {
        let listed = KernelError::map(maps::REMOTES, "list the entries");
        let mut remotes = Vec::new();
        Batches::of(&self.remotes)
            .read(|key, service| {
                let net = net_of(half, key.bits, &{ key.data });
                remotes.extend(net.map(|net| RemotePlan {
                    net,
                    service: number(service),
                }));
            })
            .map_err(listed)?;
        remotes.sort_by_key(|remote| remote.net);
        Ok(remotes)
    }

    fn read_names(&self, half: Half) -> Result<Vec<NamePlan>, KernelError> {
        let listed = KernelError::map(maps::NAMES, "list the entries");
        let mut names = Vec::new();
        Batches::of(&self.names)
            .read(|key, service| {
                let name = name_of(half, key.bits, &{ key.data });
                names.extend(name.map(|(kind, suffix)| NamePlan {
                    kind,
                    suffix,
                    service: number(service),
                }));
            })
            .map_err(listed)?;
        names.sort_by(|a, b| (a.kind, &a.suffix).cmp(&(b.kind, &b.suffix)));
        Ok(names)
    }

    fn read_stun(&self, half: Half) -> Result<Vec<StunPlan>, KernelError> {
        let table = self.stun.get(&half.index(), 0);
        let table = table
            .map(Box::new)
            .map_err(KernelError::map(maps::STUN, "read the STUN attributes"))?;
        Ok(stun(&table.0))
    }

    fn marker_sets_of(
        &self,
        half: Half,
        transport: Transport,
    ) -> Result<Box<super::wire::Wire<MarkerSets>>, KernelError> {
        let sets = self.marker_sets.get(&MarkerSets::index(half, transport), 0);
        sets.map(Box::new).map_err(KernelError::map(
            maps::MARKER_SETS,
            "read which markers fit what",
        ))
    }

    /// The markers that some set has; the sets say of each what its record does not.
    fn read_markers(
        &self,
        half: Half,
        transport: Transport,
    ) -> Result<Vec<MarkerPlan>, KernelError> {
        let sets = self.marker_sets_of(half, transport)?;
        let sets = &sets.0;
        let mut plans = Vec::new();
        for number in 0..=u8::MAX {
            let in_use =
                (0..=u8::MAX).any(|place| sets.get(MarkerSets::PLACE, place).contains(number));
            if !in_use {
                break;
            }
            let at = Marker::index(half, transport, number);
            let record = read(maps::MARKERS, self.markers.get(&at, 0))?;
            plans.push(marker(sets, number, record));
        }
        Ok(plans)
    }
}

fn read<T: Copy>(
    map: &'static str,
    value: Result<super::wire::Wire<T>, aya::maps::MapError>,
) -> Result<T, KernelError> {
    value
        .map(|wire| wire.0)
        .map_err(KernelError::map(map, "read it"))
}

/// The sets are exact about the first bytes and the place in the flow.
fn marker(sets: &MarkerSets, number: u8, record: Marker) -> MarkerPlan {
    let mut head = [ByteSet::ANY; MARKER_HEAD];
    for (row, cell) in head.iter_mut().enumerate() {
        let bytes = (0..=u8::MAX).filter(|byte| sets.get(row, *byte).contains(number));
        *cell = bytes.collect();
    }
    let at = |sender, first| {
        let place = MarkerSets::place(sender, first, true);
        sets.get(MarkerSets::PLACE, place).contains(number)
    };
    let from = match (at(1, true), at(2, true)) {
        (true, false) => MarkerFrom::Client,
        (false, true) => MarkerFrom::Server,
        _ => MarkerFrom::Either,
    };
    MarkerPlan {
        head,
        from,
        first: !at(0, false),
        record,
    }
}

/// Whether some cell of a row limits; nobody asks for rates otherwise.
fn limits(row: &ActionRow) -> bool {
    row.0.iter().any(|cell| {
        let cell = ActionCell(*cell);
        [cell.action(), cell.policy()].contains(&Action::Limit)
    })
}

fn number(service: u32) -> u16 {
    u16::try_from(service).unwrap_or(0)
}

/// `Inspect` without a name to look for is as good as `Allow`, and is what a policy says by default.
fn quic(flags: u32, nameless: bool) -> QuicMode {
    if flags & Control::BLOCKS_QUIC != 0 {
        QuicMode::Block
    } else if flags & Control::INSPECTS_QUIC != 0 || nameless {
        QuicMode::Inspect
    } else {
        QuicMode::Allow
    }
}

/// The prefix of a key, if it is of this half.
fn net_of(half: Half, bits: u32, key: &HostPrefix) -> Option<IpNet> {
    if u32::from(key.half) != half.index() {
        return None;
    }
    let bits = u8::try_from(bits.checked_sub(HostPrefix::FIXED_BITS)?).ok()?;
    let family = match key.family {
        family if family == Family::V4 as u8 => Family::V4,
        family if family == Family::V6 as u8 => Family::V6,
        _ => return None,
    };
    IpNet::new(Addr::from_words(key.address, family).into(), bits).ok()
}

/// The name of a key, forwards, if it is of this half; see [`NameKey`].
fn name_of(half: Half, bits: u32, key: &NameKey) -> Option<(NameKind, String)> {
    if u32::from(key.half) != half.index() {
        return None;
    }
    let kind = match key.kind {
        NameKey::HOST => NameKind::Host,
        NameKey::ALPN => NameKind::Protocol,
        _ => return None,
    };
    let length = usize::try_from(bits.checked_sub(NameKey::FIXED_BITS)? / 8).ok()?;
    let backwards = key.backwards.get(..length)?;
    let (backwards, star) = match backwards {
        [whole @ .., b'.'] => (whole, ""),
        within_label => (within_label, "*"),
    };
    let forwards = backwards.iter().rev().copied().collect();
    let name = String::from_utf8(forwards).ok()?;
    Some((kind, format!("{star}{name}")))
}

/// Ranges of types that tell the same.
fn stun(table: &StunAttributes) -> Vec<StunPlan> {
    let mut plans: Vec<StunPlan> = Vec::new();
    for attribute in 0..=u16::MAX {
        let (service, certain) = table.service(attribute);
        if service == 0 {
            continue;
        }
        match plans.last_mut() {
            Some(last)
                if last.last.checked_add(1) == Some(attribute)
                    && (last.service, last.certain) == (service, certain) =>
            {
                last.last = attribute;
            }
            _ => plans.push(StunPlan {
                first: attribute,
                last: attribute,
                service,
                certain,
            }),
        }
    }
    plans
}
