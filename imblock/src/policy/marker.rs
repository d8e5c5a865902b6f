//! Markers: bytes by which a payload tells its service.
//!
//! Invariant: a [`Marker`] that exists is one that the tables can hold, its pattern, needle and
//! numbers within their limits, and it has something that tells one payload from another.

mod read;
mod stun;

use imblock_common::Transport;
use imblock_common::layout::PortSpan;
use serde::{Serialize, Serializer};

use super::error_kind::PolicyErrorKind;
use super::marker_fault::MarkerFault;
use super::pattern::Pattern;
use super::source::{Placed, Span};
use super::words::{self, ServiceId};

pub use stun::StunAttribute;

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
            pub(super) const WORDS: &'static [&'static str] = &[$($word),*];

            fn parse(text: &str) -> Result<Self, PolicyErrorKind> {
                words::one_of($what, text, Self::WORDS, &[$(Self::$variant),*])
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

/// The name of an application protocol in a TLS hello; not one that every browser offers.
pub(super) fn protocol(text: &str) -> Result<String, PolicyErrorKind> {
    let fits = (1..imblock_common::layout::NameKey::LENGTH).contains(&text.len());
    let is_of_the_web = imblock_common::parse::tls::WEB_PROTOCOLS.contains(&text);
    match fits && !is_of_the_web && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        true => Ok(text.to_owned()),
        false => Err(MarkerFault::BadProtocol(text.to_owned()).into()),
    }
}
