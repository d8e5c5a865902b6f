//! From what was typed of a marker to what it means.

use imblock_common::layout::{LAST_MAX, MARKER_PORTS_MAX, NEEDLE_MAX, PATTERN_MAX, WINDOW_MAX};

use super::{
    ByteOrder, LengthField, Marker, MarkerFault, MarkerFrom, MarkerPacket, MarkerTransport, Needle,
    Pattern, PayloadRange, PlainPorts, TypedPattern, Worth,
};
use crate::policy::document::{FindDocument, LengthDocument, MarkerDocument};
use crate::policy::error_kind::PolicyErrorKind;
use crate::policy::source::{Placed, Span};
use crate::policy::words::ServiceId;

/// Bits that a needle must tell to be enough of its own.
const NEEDLE_BITS: u32 = 32;

/// Something wrong, and where.
pub(super) type Wrong = (Span, PolicyErrorKind);

pub(super) fn wrong(at: Span, fault: MarkerFault) -> Wrong {
    (at, fault.into())
}

impl Marker {
    /// Reads a marker, up to its first mistake.
    pub(in crate::policy) fn read(document: &Placed<MarkerDocument>) -> Result<Self, Wrong> {
        let Placed { value, at } = document;
        let at = *at;
        let within = optional(value.within.as_ref(), |text| {
            Ok(Placed {
                value: ServiceId::parse(text)?,
                at: value.within.as_ref().map_or(at, |within| within.at),
            })
        })?;
        let packet = packet(value.packet.as_ref(), within.is_some())?;
        let nocase = value.nocase.as_ref().is_some_and(|nocase| nocase.value);
        let offset: u16 = ranged("offset", value.offset.as_ref(), 0, PATTERN_MAX)?;
        let pattern = typed(at, value.bytes.as_ref(), value.text.as_ref(), nocase)?;
        let reach = usize::from(offset) + pattern.as_ref().map_or(0, length);
        if reach > PATTERN_MAX {
            let typed = value.bytes.as_ref().or(value.text.as_ref());
            let place = typed.map_or(at, |typed| typed.at);
            return Err(wrong(place, MarkerFault::PatternTooLong(reach)));
        }
        let find = value.find.as_ref().map(|find| needle(find, nocase));
        let find = find.transpose()?;
        if let Some(nocase) = &value.nocase {
            let text = |of: &TypedPattern| matches!(of, TypedPattern::Text(_));
            let any = pattern.as_ref().is_some_and(text)
                || find.as_ref().is_some_and(|find| text(&find.pattern));
            if nocase.value && !any {
                return Err(wrong(nocase.at, MarkerFault::NocaseWithoutText));
            }
        }
        let marker = Self {
            transport: parsed(&value.transport, MarkerTransport::parse)?,
            from: optional(value.from.as_ref(), MarkerFrom::parse)?.unwrap_or_default(),
            packet,
            offset,
            pattern,
            nocase,
            length: value.length.as_ref().map(length_field).transpose()?,
            payload: optional(value.payload.as_ref(), PayloadRange::parse)?,
            last: optional(value.last.as_ref(), last)?,
            find,
            ports: ports(&value.ports)?,
            not_ports: ports(&value.not_ports)?,
            within,
            worth: optional(value.worth.as_ref(), Worth::parse)?.unwrap_or_default(),
            at,
        };
        if !marker.ports.is_empty() && !marker.not_ports.is_empty() {
            return Err(wrong(at, MarkerFault::PortsAndNotPorts));
        }
        if marker.worth == Worth::WithPort && marker.ports.is_empty() {
            let place = value.worth.as_ref().map_or(at, |worth| worth.at);
            return Err(wrong(place, MarkerFault::WithPortWithoutPorts));
        }
        match marker.tells_something() {
            true => Ok(marker),
            false => Err(wrong(at, MarkerFault::NothingFixed)),
        }
    }

    fn tells_something(&self) -> bool {
        let fixed = |pattern: &Pattern| pattern.bits_told() > 0;
        let needle = self.find.as_ref().map(|find| find.pattern.pattern());
        if self
            .pattern
            .as_ref()
            .is_some_and(|typed| fixed(typed.pattern()))
            || needle.is_some_and(|needle| needle.bits_told() >= NEEDLE_BITS)
        {
            return true;
        }
        let bound = !self.ports.is_empty() || self.within.is_some();
        let something = needle.is_some_and(fixed)
            || self.last.as_ref().is_some_and(fixed)
            || self.length.is_some()
            || self.payload.is_some();
        bound && something
    }

    /// The shortest payload that can bear it, but for what [`Marker::payload`] says.
    pub(in crate::policy) fn reach(&self) -> usize {
        let pattern = self.pattern.as_ref().map_or(0, length);
        let pattern = usize::from(self.offset) + pattern;
        let field = self
            .length
            .map_or(0, |field| usize::from(field.at) + usize::from(field.size));
        let last = self.last.as_ref().map_or(0, |last| last.cells().len());
        let needle = self
            .find
            .as_ref()
            .map_or(0, |find| usize::from(find.from) + length(&find.pattern));
        pattern.max(field).max(last).max(needle)
    }
}

fn length(typed: &TypedPattern) -> usize {
    typed.pattern().cells().len()
}

pub(super) fn parsed<T>(
    word: &Placed<String>,
    parse: impl FnOnce(&str) -> Result<T, PolicyErrorKind>,
) -> Result<T, Wrong> {
    parse(&word.value).map_err(|kind| (word.at, kind))
}

pub(super) fn optional<T>(
    word: Option<&Placed<String>>,
    parse: impl FnOnce(&str) -> Result<T, PolicyErrorKind>,
) -> Result<Option<T>, Wrong> {
    word.map(|word| parsed(word, parse)).transpose()
}

fn ranged<T: TryFrom<i64> + Default>(
    key: &'static str,
    number: Option<&Placed<i64>>,
    least: i64,
    most: usize,
) -> Result<T, Wrong> {
    let Some(number) = number else {
        return Ok(T::default());
    };
    let (found, most) = (number.value, i64::try_from(most).unwrap_or(i64::MAX));
    let fault = MarkerFault::OutOfRange {
        key,
        found,
        least,
        most,
    };
    let value = (least..=most).contains(&found).then(|| T::try_from(found));
    value
        .and_then(Result::ok)
        .ok_or_else(|| wrong(number.at, fault))
}

fn packet(word: Option<&Placed<String>>, within: bool) -> Result<MarkerPacket, Wrong> {
    let packet = optional(word, MarkerPacket::parse)?;
    let at = word.map(|word| word.at).unwrap_or_default();
    match (packet, within) {
        (Some(MarkerPacket::Any), false) => Err(wrong(at, MarkerFault::AnyWithoutIn)),
        (Some(MarkerPacket::First | MarkerPacket::Early), true) => {
            Err(wrong(at, MarkerFault::InWithPacket))
        }
        (_, true) => Ok(MarkerPacket::Any),
        (packet, false) => Ok(packet.unwrap_or_default()),
    }
}

fn typed(
    at: Span,
    bytes: Option<&Placed<String>>,
    text: Option<&Placed<String>>,
    nocase: bool,
) -> Result<Option<TypedPattern>, Wrong> {
    match (bytes, text) {
        (Some(_), Some(_)) => Err(wrong(at, MarkerFault::BytesAndText)),
        (None, None) => Ok(None),
        (Some(bytes), None) => {
            let pattern = parsed(bytes, |text| Ok(Pattern::bytes(text)?))?;
            Ok(Some(TypedPattern::Bytes(pattern)))
        }
        (None, Some(text)) => {
            let pattern = parsed(text, |text| Ok(Pattern::text(text, nocase)?))?;
            Ok(Some(TypedPattern::Text(pattern)))
        }
    }
}

fn last(text: &str) -> Result<Pattern, PolicyErrorKind> {
    let pattern = Pattern::bytes(text)?;
    match pattern.cells().len() {
        1..=LAST_MAX => Ok(pattern),
        more => Err(MarkerFault::LastTooLong(more).into()),
    }
}

fn length_field(document: &Placed<LengthDocument>) -> Result<LengthField, Wrong> {
    let value = &document.value;
    Ok(LengthField {
        at: ranged("at", Some(&value.at), 0, usize::from(u16::MAX - 4))?,
        size: ranged("size", Some(&value.size), 1, 4)?,
        order: optional(value.order.as_ref(), ByteOrder::parse)?.unwrap_or_default(),
        plus: ranged("plus", value.plus.as_ref(), -65_535, 65_535)?,
        fits: value.fits.unwrap_or(false),
    })
}

fn needle(document: &Placed<FindDocument>, nocase: bool) -> Result<Needle, Wrong> {
    let Placed { value, at } = document;
    let own_nocase = value.nocase.unwrap_or(false);
    let folded = nocase || own_nocase;
    let pattern = typed(*at, value.bytes.as_ref(), value.text.as_ref(), folded)?
        .ok_or_else(|| wrong(*at, MarkerFault::NothingToFind))?;
    if own_nocase && matches!(pattern, TypedPattern::Bytes(_)) {
        return Err(wrong(*at, MarkerFault::NocaseWithoutText));
    }
    if length(&pattern) > NEEDLE_MAX {
        let fault = MarkerFault::NeedleTooLong(length(&pattern));
        return Err(wrong(*at, fault));
    }
    let from: u16 = ranged("from", value.from.as_ref(), 0, usize::from(u16::MAX))?;
    let within: u16 = ranged("within", Some(&value.within), 0, usize::from(u16::MAX))?;
    if usize::from(within) > WINDOW_MAX {
        let fault = MarkerFault::WindowTooLarge(within.into());
        return Err(wrong(value.within.at, fault));
    }
    if from >= within {
        let (from, within) = (from.into(), within.into());
        let fault = MarkerFault::EmptyWindow { from, within };
        return Err(wrong(value.within.at, fault));
    }
    Ok(Needle {
        pattern,
        from,
        within,
        nocase: own_nocase,
    })
}

fn ports(list: &[Placed<String>]) -> Result<Vec<PlainPorts>, Wrong> {
    if let Some(beyond) = list.get(MARKER_PORTS_MAX) {
        return Err(wrong(beyond.at, MarkerFault::TooManyPorts(list.len())));
    }
    list.iter()
        .map(|word| parsed(word, PlainPorts::parse))
        .collect()
}
