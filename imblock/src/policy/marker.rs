//! Markers: bytes by which a payload tells its service.
//!
//! Invariant: a [`Marker`] that exists is one that the tables can hold, its pattern, needle and
//! numbers within their limits, and it has something that tells one payload from another.

use imblock_common::Transport;
use imblock_common::layout::{
    LAST_MAX, MARKER_PORTS_MAX, NEEDLE_MAX, PATTERN_MAX, PortSpan, WINDOW_MAX,
};
use serde::{Serialize, Serializer};

use super::document::{FindDocument, LengthDocument, MarkerDocument};
use super::error_kind::PolicyErrorKind;
use super::marker_fault::MarkerFault;
use super::pattern::Pattern;
use super::source::{Placed, Span};
use super::words::{self, ServiceId};

/// Bits that a needle must tell to be enough of its own.
const NEEDLE_BITS: u32 = 32;

/// Something about payloads by which a service is told.
#[derive(Clone, Debug, Serialize)]
pub struct Marker {
    /// Over what.
    pub transport: MarkerTransport,
    /// Who sends it.
    pub from: MarkerFrom,
    /// Which packets have it.
    pub packet: MarkerPacket,
    /// Where the pattern begins in the payload.
    pub offset: u16,
    /// What lies there.
    #[serde(flatten)]
    pub pattern: Option<TypedPattern>,
    /// Whether letters of the texts may have either case.
    pub nocase: bool,
    /// What a length field says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub length: Option<LengthField>,
    /// How long the payload is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload: Option<PayloadRange>,
    /// The payload's last bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<Pattern>,
    /// What is somewhere in the payload.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub find: Option<Needle>,
    /// Ports of which one end must have one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<PlainPorts>,
    /// Ports of which neither end may have one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_ports: Vec<PlainPorts>,
    /// The service whose flows alone are looked into, packet by packet.
    #[serde(rename = "in", skip_serializing_if = "Option::is_none")]
    pub within: Option<Placed<ServiceId>>,
    /// What it is worth.
    #[serde(rename = "use")]
    pub worth: Worth,
    /// Where it stands.
    #[serde(skip)]
    pub(super) at: Span,
}

/// The pattern at [`Marker::offset`].
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TypedPattern {
    /// Given in hex.
    Bytes(Pattern),
    /// Given as text.
    Text(Pattern),
}

impl TypedPattern {
    /// What each byte may be.
    pub fn pattern(&self) -> &Pattern {
        match self {
            Self::Bytes(pattern) | Self::Text(pattern) => pattern,
        }
    }
}

/// A length field, and what the payload's length has to do with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct LengthField {
    /// Where it lies in the payload.
    pub at: u16,
    /// Its bytes, 1 to 4.
    pub size: u8,
    /// Which byte comes first.
    pub order: ByteOrder,
    /// What it does not count.
    pub plus: i32,
    /// Whether the payload may be longer.
    pub fits: bool,
}

/// Where to look for what.
#[derive(Clone, Debug, Serialize)]
pub struct Needle {
    /// What.
    #[serde(flatten)]
    pub pattern: TypedPattern,
    /// The first offset at which it may begin.
    pub from: u16,
    /// The offset behind the last one.
    pub within: u16,
    /// Whether its letters may have either case.
    pub nocase: bool,
}

/// Words with one meaning each.
macro_rules! words {
    ($($(#[$doc:meta])* $name:ident($what:literal, default $default:ident) {
        $($(#[$variant_doc:meta])* $variant:ident = $word:literal,)*
    })*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
        pub enum $name {
            $($(#[$variant_doc])* #[serde(rename = $word)] $variant,)*
        }

        impl $name {
            fn parse(text: &str) -> Result<Self, PolicyErrorKind> {
                words::one_of($what, text, &[$($word),*], &[$(Self::$variant),*])
            }
        }

        impl Default for $name {
            fn default() -> Self {
                Self::$default
            }
        }
    )*};
}

words! {
    /// Over what a marker travels.
    MarkerTransport("transport", default Both) {
        /// TCP.
        Tcp = "tcp",
        /// UDP.
        Udp = "udp",
        /// Either.
        Both = "both",
    }
    /// Who sends a marker.
    MarkerFrom("sender", default Either) {
        /// The end that began the flow.
        Client = "client",
        /// The end that was called.
        Server = "server",
        /// Whoever.
        Either = "either",
    }
    /// Which packets have a marker.
    MarkerPacket("packet", default First) {
        /// The first payload of its sender.
        First = "first",
        /// The first packets of a flow.
        Early = "early",
        /// All packets.
        Any = "any",
    }
    /// What a marker is worth.
    Worth("use", default Drop) {
        /// It may drop.
        Drop = "drop",
        /// It may drop, for it is bound to ports.
        WithPort = "with-port",
        /// It counts, and may drop only where the policy trusts it.
        CountFirst = "count-first",
    }
    /// Which byte of a number comes first.
    ByteOrder("order", default Big) {
        /// The highest.
        Big = "big",
        /// The lowest.
        Little = "little",
    }
}

impl MarkerTransport {
    /// Whether a transport is meant.
    pub fn includes(self, transport: Transport) -> bool {
        match self {
            Self::Tcp => transport == Transport::Tcp,
            Self::Udp => transport == Transport::Udp,
            Self::Both => true,
        }
    }
}

/// Lengths of a payload, both inclusive, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PayloadRange {
    /// The shortest.
    pub least: u16,
    /// The longest.
    pub most: u16,
}

impl PayloadRange {
    fn parse(text: &str) -> Result<Self, PolicyErrorKind> {
        let bad = || MarkerFault::BadPayload(text.to_owned());
        let number = |text: &str| text.trim().parse::<u16>().map_err(|_| bad());
        let (least, most) = match text.split_once("..") {
            Some((least, "")) => (number(least)?, u16::MAX),
            Some((least, most)) => (number(least)?, number(most)?),
            None => (number(text)?, number(text)?),
        };
        match 0 < most && least <= most {
            true => Ok(Self { least, most }),
            false => Err(bad().into()),
        }
    }
}

impl Serialize for PayloadRange {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match *self {
            Self { least, most } if least == most => to.collect_str(&least),
            Self {
                least,
                most: u16::MAX,
            } => to.collect_str(&format_args!("{least}..")),
            Self { least, most } => to.collect_str(&format_args!("{least}..{most}")),
        }
    }
}

/// A range of ports, of whatever transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlainPorts {
    /// The first.
    pub first: u16,
    /// The last; not below the first.
    pub last: u16,
}

impl PlainPorts {
    fn parse(text: &str) -> Result<Self, PolicyErrorKind> {
        let bad = || MarkerFault::BadPort(text.to_owned());
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        let number = |text: &str| text.parse::<u16>().map_err(|_| bad());
        let (first, last) = (number(first)?, number(last)?);
        match (1..=last).contains(&first) {
            true => Ok(Self { first, last }),
            false => Err(bad().into()),
        }
    }

    pub(super) fn span(self) -> PortSpan {
        PortSpan {
            first: self.first,
            more: self.last - self.first,
        }
    }
}

impl Serialize for PlainPorts {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self.first == self.last {
            true => to.collect_str(&self.first),
            false => to.collect_str(&format_args!("{}-{}", self.first, self.last)),
        }
    }
}

/// Something wrong, and where.
type Wrong = (Span, PolicyErrorKind);

fn wrong(at: Span, fault: MarkerFault) -> Wrong {
    (at, fault.into())
}

impl Marker {
    /// Reads a marker, up to its first mistake.
    pub(super) fn read(document: &Placed<MarkerDocument>) -> Result<Self, Wrong> {
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
    pub(super) fn reach(&self) -> usize {
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

fn parsed<T>(
    word: &Placed<String>,
    parse: impl FnOnce(&str) -> Result<T, PolicyErrorKind>,
) -> Result<T, Wrong> {
    parse(&word.value).map_err(|kind| (word.at, kind))
}

fn optional<T>(
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

/// STUN attribute types that only one service uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StunAttribute {
    /// The first.
    pub first: u16,
    /// The last; not below the first.
    pub last: u16,
    /// What they are worth; never [`Worth::WithPort`].
    pub worth: Worth,
}

impl StunAttribute {
    /// Reads `0x8070` or `0x4000-0x4007`, and what it is worth.
    pub(super) fn read(
        attribute: &Placed<String>,
        worth: Option<&Placed<String>>,
    ) -> Result<Self, Wrong> {
        let (first, last) = parsed(attribute, |text| {
            let bad = || MarkerFault::BadAttribute(text.to_owned());
            let (first, last) = text.split_once('-').unwrap_or((text, text));
            let number = |text: &str| {
                let digits = text.trim().strip_prefix("0x").ok_or_else(bad)?;
                u16::from_str_radix(digits, 16).map_err(|_| bad())
            };
            let (first, last) = (number(first)?, number(last)?);
            match first <= last {
                true => Ok((first, last)),
                false => Err(bad().into()),
            }
        })?;
        match optional(worth, Worth::parse)?.unwrap_or_default() {
            Worth::WithPort => {
                let at = worth.map_or(attribute.at, |worth| worth.at);
                Err(wrong(at, MarkerFault::AttributeWithPort))
            }
            worth => Ok(Self { first, last, worth }),
        }
    }
}

impl Serialize for StunAttribute {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Weighed {
            attribute: String,
            #[serde(rename = "use")]
            worth: Worth,
        }
        let attribute = match self.first == self.last {
            true => format!("0x{:04x}", self.first),
            false => format!("0x{:04x}-0x{:04x}", self.first, self.last),
        };
        match self.worth {
            Worth::Drop => to.serialize_str(&attribute),
            worth => Weighed { attribute, worth }.serialize(to),
        }
    }
}

/// The name of an application protocol in a TLS hello.
pub(super) fn protocol(text: &str) -> Result<String, PolicyErrorKind> {
    let fits = (1..imblock_common::layout::NameKey::LENGTH).contains(&text.len());
    match fits && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        true => Ok(text.to_owned()),
        false => Err(MarkerFault::BadProtocol(text.to_owned()).into()),
    }
}
