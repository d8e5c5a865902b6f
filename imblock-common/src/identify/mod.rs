//! Which service a segment belongs to: the order of evidence, one question a file.

pub mod context;
pub mod flow;
pub mod gate;
pub mod marker;
pub(crate) mod name;
pub mod needle;
pub mod payload;
pub(crate) mod port;
mod prefix;
mod question;
pub mod quic;
pub mod rtp;
pub mod stun;

use crate::content::{Answer, Reply};
use crate::layout::Control;
use crate::{Packet, Sighting, Tables};

pub use question::Question;

/// What told the service. The numbers are slots of the service totals.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum Evidence {
    /// The remote port.
    Port = 0,
    /// The remote address.
    Prefix = 1,
    /// The server name of a TLS handshake.
    Sni = 2,
    /// The name of a DNS question.
    Dns = 3,
    /// Bytes of the payload.
    Marker = 4,
    /// The host of an HTTP request.
    Http = 5,
    /// The server name of a QUIC handshake.
    Quic = 6,
    /// A STUN attribute, or STUN itself.
    Stun = 7,
    /// Three RTP packets in sequence.
    Rtp = 8,
    /// The destination that a SOCKS client asks for.
    Socks = 9,
    /// The application protocol that a TLS client offers.
    Alpn = 10,
    /// A call of what the same host had just talked to.
    Recent = 11,
    /// A host that was refused, on its way to another port of the same server.
    Hop = 12,
}

impl Evidence {
    /// Every kind of evidence, in the order of the slots.
    pub const ALL: [Self; 13] = [
        Self::Port,
        Self::Prefix,
        Self::Sni,
        Self::Dns,
        Self::Marker,
        Self::Http,
        Self::Quic,
        Self::Stun,
        Self::Rtp,
        Self::Socks,
        Self::Alpn,
        Self::Recent,
        Self::Hop,
    ];

    /// From a slot of the service totals. A number from nowhere is the first.
    #[inline(always)]
    pub const fn from_slot(slot: u8) -> Self {
        match slot {
            1 => Self::Prefix,
            2 => Self::Sni,
            3 => Self::Dns,
            4 => Self::Marker,
            5 => Self::Http,
            6 => Self::Quic,
            7 => Self::Stun,
            8 => Self::Rtp,
            9 => Self::Socks,
            10 => Self::Alpn,
            11 => Self::Recent,
            12 => Self::Hop,
            _ => Self::Port,
        }
    }

    /// The word for it in output and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Port => "port",
            Self::Prefix => "prefix",
            Self::Sni => "sni",
            Self::Dns => "dns",
            Self::Marker => "marker",
            Self::Http => "http",
            Self::Quic => "quic",
            Self::Stun => "stun",
            Self::Rtp => "rtp",
            Self::Socks => "socks",
            Self::Alpn => "alpn",
            Self::Recent => "recent",
            Self::Hop => "hop",
        }
    }
}

/// Asks each kind of evidence in turn, the cheapest first: a flood on a listed port costs a read of
/// a flat table. What is dearer has its gate in front.
#[inline(always)]
pub fn identify<P: Packet, T: Tables>(packet: P, about: &Sighting, tables: T) -> Reply {
    let told = at_once(about, tables);
    if told.is(Answer::Look) {
        in_depth(packet, about, told, tables)
    } else {
        told
    }
}

/// What can be told without a look into the packet, and without anything being learned: by port, or by
/// what is known of the flow. [`Answer::Look`] if that is not all that is to be told: then [`in_depth`]
/// is to be asked.
#[inline(always)]
pub fn at_once<T: Tables>(about: &Sighting, tables: T) -> Reply {
    if about.is_later_part() {
        return Reply::UNASKED;
    }
    let remote_port = about.remote_port();
    // Who calls a listed port, and says nothing yet, is told before anything is written down; and whatever
    // is said along with it where the port can't be anything else.
    let is_told = about.calls()
        && remote_port.names_service()
        && (remote_port.is_final() || !about.speaks() && !remote_port.is_contested());
    if is_told || about.policy().flags & Control::LOOKS_INTO_FLOWS == 0 {
        return port::finding(remote_port);
    }
    gate::told(about, tables)
}

/// What the flow's earlier packets, this one's payload, or else port and address tell; all of it is
/// remembered. `told` is what [`at_once`] said: [`Answer::Look`].
///
/// In the kernel these are two programs that go on in each other: one asks the payload, one the flow.
#[inline(always)]
pub fn in_depth<P: Packet, T: Tables>(
    packet: P,
    about: &Sighting,
    mut told: Reply,
    tables: T,
) -> Reply {
    if told == Reply::UNASKED {
        told = flow::tell(packet, about, told, tables);
    }
    if told.is(Answer::Look) {
        let reply = payload::look(packet, about, told, tables);
        told = flow::tell(packet, about, reply, tables);
    }
    told
}
