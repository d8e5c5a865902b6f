//! From markers to what the tables keep of them: ranges and alternatives multiplied out, numbers
//! given, limits kept.
//!
//! Invariant: whatever the packet, the markers that it is held against take no more steps than it is
//! given, so that the tables tell exactly what the markers say.

use std::collections::{BTreeMap, BTreeSet};

use imblock_common::Transport;
use imblock_common::layout::{
    MARKER_HEAD, MARKER_PORTS_MAX, MARKER_STEPS_MAX, MARKERS_MAX, Marker as Record, MarkerSet,
    Masked, NEEDLE_MAX, PATTERN_MAX, PortSpan, SEARCH_SLICE,
};

use super::compile::Numbered;
use super::error_kind::PolicyErrorKind;
use super::marker::{ByteOrder, Marker, MarkerPacket, Worth};
use super::marker_fault::MarkerFault;
use super::model::Service;
use super::pattern::{ByteSet, MaskedByte, put};
use super::plan::{MarkerPlan, MarkerPlans, StunPlan};

/// Sets of markers that are looked at further, to find out whether they really fit one packet.
const HEAVY_MAX: usize = 10_000;
/// Services that are named in an error before the rest is left out.
const NAMED: usize = 8;

/// The markers of services, the most telling first. What `trusted` services only count by may drop.
pub(super) fn markers(
    services: &[Numbered<'_>],
    trusted: impl Fn(&Service) -> bool,
) -> Result<MarkerPlans, PolicyErrorKind> {
    let numbers: BTreeMap<&str, u16> = services
        .iter()
        .map(|(number, service)| (service.id.as_str(), *number))
        .collect();
    let over = |transport| {
        let mut plans = Vec::new();
        for (number, service) in services {
            let trusted = trusted(service);
            for marker in &service.markers {
                if !marker.transport.includes(transport) {
                    continue;
                }
                let within = marker.within.as_ref();
                let within = within.and_then(|within| numbers.get(within.value.as_str()));
                let of = Owner {
                    service: *number,
                    within: within.copied().unwrap_or(0),
                    trusted,
                };
                multiply(marker, of, &mut plans)?;
            }
        }
        plans.sort_by_key(|(told, _)| std::cmp::Reverse(*told));
        let plans: Vec<MarkerPlan> = plans.into_iter().map(|(_, plan)| plan).collect();
        fit(services, transport, &plans).map(|()| plans)
    };
    Ok(MarkerPlans {
        tcp: over(Transport::Tcp)?,
        udp: over(Transport::Udp)?,
    })
}

/// The STUN attributes of services, in the order of precedence.
pub(super) fn stun(services: &[Numbered<'_>], trusted: impl Fn(&Service) -> bool) -> Vec<StunPlan> {
    let mut plans = Vec::new();
    for (number, service) in services {
        let trusted = trusted(service);
        plans.extend(service.stun.iter().map(|stun| StunPlan {
            first: stun.first,
            last: stun.last,
            service: *number,
            certain: trusted || stun.worth != Worth::CountFirst,
        }));
    }
    plans
}

/// Whose marker.
#[derive(Clone, Copy)]
struct Owner {
    service: u16,
    within: u16,
    trusted: bool,
}

/// Adds the markers that one comes to, each with how much it tells, in bits.
fn multiply(
    marker: &Marker,
    of: Owner,
    plans: &mut Vec<(u32, MarkerPlan)>,
) -> Result<(), PolicyErrorKind> {
    let pattern = marker.pattern.as_ref().map(|typed| typed.pattern().cells());
    let offset = usize::from(marker.offset);
    let mut head = [ByteSet::ANY; MARKER_HEAD];
    let mut tail = Vec::new();
    for (place, cell) in (offset..).zip(pattern.unwrap_or_default()) {
        match head.get_mut(place) {
            Some(known) => *known = *cell,
            None => tail.push((Part::Pattern, place - MARKER_HEAD, *cell)),
        }
    }
    let find = marker.find.as_ref();
    let needle = find.map_or(&[][..], |find| find.pattern.pattern().cells());
    let last = marker.last.as_ref().map_or(&[][..], |last| last.cells());
    tail.extend(at_the_end(Part::Needle, NEEDLE_MAX, needle));
    tail.extend(at_the_end(Part::Last, size_of::<u64>(), last));

    let mut records = vec![record(marker, of)];
    for (part, place, cell) in tail {
        let values = cell.masked();
        if records.len().saturating_mul(values.len()) > MARKERS_MAX {
            return Err(MarkerFault::TooWide.into());
        }
        let with = |record: &Record, value| {
            let mut record = *record;
            part.put(&mut record, place, value);
            record
        };
        records = records
            .iter()
            .flat_map(|record| values.iter().map(|value| with(record, *value)))
            .collect();
    }
    let told = told(marker);
    plans.extend(records.into_iter().map(|record| {
        let plan = MarkerPlan {
            head,
            from: marker.from,
            first: marker.packet == MarkerPacket::First,
            record,
        };
        (told, plan)
    }));
    Ok(())
}

/// The cells of a pattern that lies at the end of some bytes.
fn at_the_end(
    part: Part,
    room: usize,
    cells: &[ByteSet],
) -> impl Iterator<Item = (Part, usize, ByteSet)> {
    let first = room.saturating_sub(cells.len());
    (first..)
        .zip(cells)
        .map(move |(place, cell)| (part, place, *cell))
}

/// A part of a record that has masked bytes.
#[derive(Clone, Copy)]
enum Part {
    Pattern,
    Needle,
    Last,
}

impl Part {
    fn put(self, record: &mut Record, place: usize, value: MaskedByte) {
        let words: &mut [Masked] = match self {
            Self::Pattern => &mut record.pattern,
            Self::Needle => &mut record.needle,
            Self::Last => std::slice::from_mut(&mut record.last),
        };
        put(words, place, value);
    }
}

/// Everything of a record but its masked bytes.
fn record(marker: &Marker, of: Owner) -> Record {
    let pattern = marker
        .pattern
        .as_ref()
        .map(|typed| typed.pattern().cells().len());
    let reach = usize::from(marker.offset) + pattern.unwrap_or(0);
    let find = marker.find.as_ref();
    let needle = find.map_or(0, |find| find.pattern.pattern().cells().len());
    let (ports, which) = match (marker.ports.as_slice(), marker.not_ports.as_slice()) {
        ([], []) => (&[][..], 0),
        ([], not) => (not, Record::PORTS_NOT),
        (only, _) => (only, Record::PORTS_ONLY),
    };
    let mut spans = [PortSpan::default(); MARKER_PORTS_MAX];
    let repeated = ports.iter().chain(std::iter::repeat_n(
        ports
            .first()
            .unwrap_or(&super::marker::PlainPorts { first: 0, last: 0 }),
        MARKER_PORTS_MAX,
    ));
    for (span, ports) in spans.iter_mut().zip(repeated) {
        *span = ports.span();
    }
    let length = marker.length;
    let mut flags = which;
    if marker.worth == Worth::CountFirst && !of.trusted {
        flags |= Record::UNCERTAIN;
    }
    if length.is_some_and(|length| length.order == ByteOrder::Little) {
        flags |= Record::LENGTH_LITTLE;
    }
    if length.is_some_and(|length| length.fits) {
        flags |= Record::LENGTH_FITS;
    }
    let payload = marker.payload;
    let least = payload.map_or(1, |payload| usize::from(payload.least));
    let shortest = least.max(marker.reach()).max(1);
    Record {
        pattern: [Masked::default(); (PATTERN_MAX - MARKER_HEAD) / 8],
        needle: [Masked::default(); NEEDLE_MAX / 8],
        last: Masked::default(),
        ports: spans,
        length_plus: length.map_or(0, |length| length.plus),
        length_at: length.map_or(0, |length| length.at),
        shortest: u16::try_from(shortest).unwrap_or(u16::MAX),
        longest: payload.map_or(u16::MAX, |payload| payload.most),
        find_from: find.map_or(0, |find| find.from),
        find_within: find.map_or(0, |find| find.within),
        service: of.service,
        within: of.within,
        flags,
        length_size: length.map_or(0, |length| length.size),
        find_length: u8::try_from(needle).unwrap_or(u8::MAX),
        reach: u8::try_from(reach).unwrap_or(u8::MAX),
        reserved: 0,
    }
}

/// How much a match tells, in bits: of two markers that fit a packet the more telling one counts.
fn told(marker: &Marker) -> u32 {
    let pattern = marker
        .pattern
        .as_ref()
        .map(super::marker::TypedPattern::pattern);
    let needle = marker.find.as_ref().map(|find| find.pattern.pattern());
    let bytes = [pattern, needle, marker.last.as_ref()];
    let bytes: u32 = bytes.iter().flatten().map(|bytes| bytes.bits_told()).sum();
    let length = match marker.length {
        Some(length) if length.fits => 4,
        Some(_) => 8,
        None => 0,
    };
    let exact = marker
        .payload
        .is_some_and(|payload| payload.least == payload.most);
    let ports = if marker.ports.is_empty() { 0 } else { 8 };
    bytes + length + if exact { 8 } else { 0 } + ports
}

/// Refuses markers that don't fit in the tables, or that take a packet too long.
fn fit(
    services: &[Numbered<'_>],
    transport: Transport,
    plans: &[MarkerPlan],
) -> Result<(), PolicyErrorKind> {
    let name = match transport {
        Transport::Tcp => "TCP",
        Transport::Udp => "UDP",
    };
    if plans.len() > MARKERS_MAX {
        let fault = MarkerFault::TooMany {
            transport: name,
            found: plans.len(),
        };
        return Err(fault.into());
    }
    let Some(alike) = too_many_at_once(plans) else {
        return Ok(());
    };
    let owners: BTreeSet<u16> = (0..=u8::MAX)
        .zip(plans)
        .filter(|(number, _)| alike.contains(*number))
        .map(|(_, plan)| plan.record.service)
        .collect();
    let ids = services
        .iter()
        .filter(|(number, _)| owners.contains(number));
    let ids: Vec<&str> = ids
        .map(|(_, service)| service.id.as_str())
        .take(NAMED)
        .collect();
    let fault = MarkerFault::TooMuchAtOnce {
        transport: name,
        services: ids.join(", "),
    };
    Err(fault.into())
}

/// Markers that some packet may have to be held against, if these take too many steps; those at hand
/// when it takes too long to tell.
///
/// Row after row of the sets: what every answer leaves of what the answers before it left, as long as
/// that is still too much. Mostly the first byte settles it.
fn too_many_at_once(plans: &[MarkerPlan]) -> Option<MarkerSet> {
    let heavy = |set: &Members| steps(plans, set) > MARKER_STEPS_MAX;
    let within: BTreeSet<u16> = plans.iter().map(|plan| plan.record.within).collect();
    let mut left: BTreeSet<Members> = within
        .into_iter()
        .map(|within| {
            let mut left = MarkerSet::default();
            for (number, plan) in (0..=u8::MAX).zip(plans) {
                if plan.record.within == 0 || plan.record.within == within {
                    left.insert(number);
                }
            }
            left.0
        })
        .filter(heavy)
        .collect();
    for row in MarkerPlans::sets(plans).rows {
        let different: BTreeSet<Members> = row.iter().map(|set| set.0).collect();
        left = left
            .into_iter()
            .flat_map(|left| {
                let parts = different.iter().map(move |set| [left, *set]);
                parts.map(|[left, set]| MarkerSet(left).and(&MarkerSet(set)).0)
            })
            .filter(heavy)
            .collect();
        if left.len() > HEAVY_MAX {
            break;
        }
    }
    left.into_iter().next().map(MarkerSet)
}

/// Some markers of a transport.
type Members = [u64; MARKERS_MAX / 64];

/// Steps that one packet may spend on some markers.
fn steps(plans: &[MarkerPlan], set: &Members) -> usize {
    let mut left = MarkerSet(*set);
    let mut sum = 0;
    while let Some(number) = left.lowest() {
        let plan = plans.get(number);
        sum += plan.map_or(0, |plan| steps_of(&plan.record));
        left = left.without_lowest();
    }
    sum
}

/// Steps that one packet may spend on a marker.
fn steps_of(record: &Record) -> usize {
    let places = record.find_within.saturating_sub(record.find_from);
    usize::from(places).div_ceil(SEARCH_SLICE).max(1)
}
