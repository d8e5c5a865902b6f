//! What can be wrong with a marker, in words, each with what to do about it.

use imblock_common::layout::{
    LAST_MAX, MARKER_PORTS_MAX, MARKER_STEPS_MAX, MARKERS_MAX, NEEDLE_MAX, PATTERN_MAX,
    SEARCH_SLICE, WINDOW_MAX,
};
use strum::{IntoStaticStr, VariantNames};

/// What is wrong with a marker.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, IntoStaticStr, VariantNames)]
pub enum MarkerFault {
    /// `zz` for a byte.
    #[error("`{0}` is no byte")]
    BadByte(String),
    /// `05..01`.
    #[error("the range {0} ends before it begins")]
    BackwardsRange(String),
    /// `\q` in a text.
    #[error("`{0}` has a `\\` that means nothing")]
    BadEscape(String),
    /// An empty pattern.
    #[error("there is no byte in it")]
    NoBytes,
    /// A pattern that reaches too far into the payload.
    #[error("the pattern reaches byte {0} of the payload; {PATTERN_MAX} are looked at")]
    PatternTooLong(usize),
    /// A needle that is too long.
    #[error("the needle has {0} bytes; it can have {NEEDLE_MAX}")]
    NeedleTooLong(usize),
    /// Too much at the end of the payload.
    #[error("`last` has {0} bytes; it can have {LAST_MAX}")]
    LastTooLong(usize),
    /// `bytes` beside `text`.
    #[error("a pattern is `bytes` or `text`, not both")]
    BytesAndText,
    /// `find` with neither.
    #[error("`find` needs `bytes` or `text`")]
    NothingToFind,
    /// `nocase` without text.
    #[error("`nocase` is about text, and there is none")]
    NocaseWithoutText,
    /// A number outside its range.
    #[error("`{key}` is {found}; it can be {least} to {most}")]
    OutOfRange {
        /// Which number.
        key: &'static str,
        /// What was typed.
        found: i64,
        /// The smallest.
        least: i64,
        /// The largest.
        most: i64,
    },
    /// A length of the payload that is none.
    #[error("`{0}` is no length of a payload")]
    BadPayload(String),
    /// A window that reaches too far.
    #[error("the search goes up to byte {0} of the payload; {WINDOW_MAX} are looked at")]
    WindowTooLarge(u64),
    /// A window without a place in it.
    #[error("nothing is searched: `within` is {within}, and `from` is {from}")]
    EmptyWindow {
        /// Where the search begins.
        from: u64,
        /// Where it ends.
        within: u64,
    },
    /// Not a port.
    #[error("`{0}` is no port of a marker")]
    BadPort(String),
    /// Too many ranges.
    #[error("there are {0} ranges of ports; a marker can have {MARKER_PORTS_MAX}")]
    TooManyPorts(usize),
    /// Both lists.
    #[error("a marker has `ports` or `not_ports`, not both")]
    PortsAndNotPorts,
    /// `use: with-port` without ports.
    #[error("`use: with-port` needs `ports`")]
    WithPortWithoutPorts,
    /// `packet: any` without `in`.
    #[error("`packet: any` looks at every packet, and there is no `in`")]
    AnyWithoutIn,
    /// `in` with another `packet`.
    #[error("`in` looks at every packet, so `packet` is any")]
    InWithPacket,
    /// Nothing to hold on to.
    #[error("nothing in this marker tells one payload from another")]
    NothingFixed,
    /// Not a STUN attribute type.
    #[error("`{0}` is no STUN attribute type")]
    BadAttribute(String),
    /// `with-port` for a STUN attribute.
    #[error("`use` of a STUN attribute is drop or count-first")]
    AttributeWithPort,
    /// Not the name of a protocol.
    #[error("`{0}` is no name of an application protocol")]
    BadProtocol(String),
    /// One marker that comes to very many.
    #[error("the ranges and alternatives of this marker come to more than {MARKERS_MAX} markers")]
    TooWide,
    /// More markers than the tables hold.
    #[error(
        "the services have {found} markers over {transport}, and there is room for {MARKERS_MAX}"
    )]
    TooMany {
        /// `TCP` or `UDP`.
        transport: &'static str,
        /// How many there are.
        found: usize,
    },
    /// More markers for one packet than there is time for.
    #[error(
        "one packet over {transport} may have to be held against the markers of {services} at once, which takes more than the {MARKER_STEPS_MAX} steps that it is given"
    )]
    TooMuchAtOnce {
        /// `TCP` or `UDP`.
        transport: &'static str,
        /// Ids of the services.
        services: String,
    },
}

impl MarkerFault {
    /// What to do about it.
    pub(super) fn help(&self) -> Option<String> {
        let help = match self {
            Self::BadByte(_) | Self::BackwardsRange(_) | Self::NoBytes => {
                "a byte is two hex digits as in 2a; `??` is any, `0?` and `?0` have one digit open, 01..05 is a range and 83|31 either of the two".into()
            }
            Self::BadEscape(_) => r"there are \r, \n, \t, \\ and \x1f".into(),
            Self::PatternTooLong(_) => "shorten it, or look for the rest with `find`".into(),
            Self::NeedleTooLong(_) => "the first bytes of it will do".into(),
            Self::BadPayload(_) => r#"write "74" for exactly 74 bytes, "24.." for 24 and more, "10..100" for what lies between"#.into(),
            Self::EmptyWindow { .. } => "a needle begins at `from` or behind it, and before `within`".into(),
            Self::BadPort(_) => "write 1863 or 6660-6669; the transport is the marker's".into(),
            Self::TooManyPorts(_) => "write wider ranges, or a second marker".into(),
            Self::PortsAndNotPorts => "`ports` alone says it".into(),
            Self::WithPortWithoutPorts => "say on which, as in `ports: [\"1863\"]`".into(),
            Self::AnyWithoutIn => "say `in: irc` to look into flows of irc, or `packet: early` for the first packets of any flow".into(),
            Self::InWithPacket => "leave `packet` out".into(),
            Self::NothingFixed => "give `bytes` or `text`; or a `find` of four bytes and more; or, together with `ports` or `in`, one of `find`, `length`, `payload` and `last`".into(),
            Self::BadAttribute(_) => "write 0x8070 or 0x4000-0x4007".into(),
            Self::TooWide => "leave bytes open with `??` behind the eighth, or write fewer alternatives there".into(),
            Self::TooMany { .. } => "ranges and alternatives behind the eighth byte, in `find` and in `last` make several of one".into(),
            Self::TooMuchAtOnce { .. } => format!("a marker takes a step, and a `find` one for every {SEARCH_SLICE} places: say more about the first bytes, or search less"),
            _ => return None,
        };
        Some(help)
    }
}
