//! `tests` of a policy: connections, and what must become of them.

mod run;

pub(crate) use run::NONSENSE;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use imblock_common::{Transport, Verdict};
use jiff::Timestamp;
use jiff::civil::DateTime;
use serde::{Serialize, Serializer};

use super::domain::Domain;
use super::error_kind::PolicyErrorKind;
use super::schedule::Zone;
use super::source::Span;
use super::words::one_of;

const HTTPS: u16 = 443;

/// A connection, and what must become of it.
#[derive(Clone, Debug, Serialize)]
pub struct Trial {
    /// The host on the LAN.
    pub from: IpAddr,
    /// Whom it talks to; any web server if nobody is named.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<Remote>,
    /// The name that it asks for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<Domain>,
    /// What must become of it.
    pub expect: Expectation,
    /// When; with the policy's compilation if it is not said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub at: Option<Moment>,
    /// Where it stands.
    #[serde(skip)]
    pub(super) place: Span,
}

/// `198.51.100.7:6667/tcp`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Remote {
    /// Address and port.
    pub address: SocketAddr,
    /// TCP or UDP.
    pub transport: Transport,
}

impl Remote {
    /// Reads an address with port and transport.
    pub fn parse(text: &str) -> Result<Self, PolicyErrorKind> {
        let wrong = || PolicyErrorKind::from(TrialFault::Remote(text.to_owned()));
        let (address, transport) = text.split_once('/').ok_or_else(wrong)?;
        let transport = match transport {
            "tcp" => Transport::Tcp,
            "udp" => Transport::Udp,
            _ => return Err(wrong()),
        };
        match address.parse::<SocketAddr>() {
            Ok(address) if address.port() != 0 => Ok(Self { address, transport }),
            _ => Err(wrong()),
        }
    }

    /// A web server that belongs to nobody: an address for documents, or one where all is thrown away
    /// (RFC 5737, RFC 6666).
    fn anybody(from: IpAddr) -> Self {
        let address: IpAddr = match from {
            IpAddr::V4(_) => Ipv4Addr::new(203, 0, 113, 113).into(),
            IpAddr::V6(_) => Ipv6Addr::new(0x100, 0, 0, 0, 0, 0, 0, 0x113).into(),
        };
        Self {
            address: SocketAddr::new(address, HTTPS),
            transport: Transport::Tcp,
        }
    }
}

impl fmt::Display for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let transport = match self.transport {
            Transport::Tcp => "tcp",
            Transport::Udp => "udp",
        };
        write!(f, "{}/{transport}", self.address)
    }
}

impl Serialize for Remote {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

/// An instant, as typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Moment {
    text: String,
    /// The instant.
    pub instant: Timestamp,
}

impl Moment {
    /// Reads `2026-03-29T21:45 Europe/Berlin`; without a zone, it is the box's own.
    pub fn parse(text: &str) -> Result<Self, PolicyErrorKind> {
        let wrong = || PolicyErrorKind::from(TrialFault::Moment(text.to_owned()));
        let (clock, zone) = match text.split_once(' ') {
            Some((clock, zone)) => (clock, Zone::parse(zone.trim())?),
            None => (text, Zone::of_the_box()),
        };
        let clock: DateTime = clock.parse().map_err(|_| wrong())?;
        let instant = zone.instant(clock).ok_or_else(wrong)?;
        Ok(Self {
            text: text.to_owned(),
            instant,
        })
    }
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.text)
    }
}

/// What becomes of a connection, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Expectation {
    /// It passes, on purpose.
    Allow,
    /// It passes and is watched.
    Count,
    /// It ends in silence.
    Drop,
    /// It is refused with an answer.
    Reject,
    /// It passes up to a rate.
    Limit,
    /// It passes although a rule says otherwise.
    Guarded,
    /// It passes as nobody's.
    Unidentified,
}

impl Expectation {
    const WORDS: [&'static str; 7] = [
        "allow",
        "count",
        "drop",
        "reject",
        "limit",
        "guarded",
        "unidentified",
    ];
    const ALL: [Self; 7] = [
        Self::Allow,
        Self::Count,
        Self::Drop,
        Self::Reject,
        Self::Limit,
        Self::Guarded,
        Self::Unidentified,
    ];

    /// Reads the word.
    pub fn parse(text: &str) -> Result<Self, PolicyErrorKind> {
        one_of("expectation", text, &Self::WORDS, &Self::ALL)
    }

    /// The word.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Count => "count",
            Self::Drop => "drop",
            Self::Reject => "reject",
            Self::Limit => "limit",
            Self::Guarded => "guarded",
            Self::Unidentified => "unidentified",
        }
    }

    /// What a verdict comes to; `action` is what the policy does with the service.
    fn of(verdict: Verdict, action: &str) -> Self {
        // By their words, which are also those of people.
        match (verdict.name(), action) {
            ("counted" | "limited", "limit") => Self::Limit,
            ("counted", _) => Self::Count,
            ("dropped", _) => Self::Drop,
            ("rejected", _) => Self::Reject,
            ("guarded", _) => Self::Guarded,
            _ => Self::Allow,
        }
    }
}

/// What is wrong with a test, or what came out of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TrialFault {
    /// Not an address.
    #[error("`{0}` is no IPv4 or IPv6 address")]
    Address(String),
    /// Not the other end of a connection.
    #[error("`{0}` is no address with a port and a transport")]
    Remote(String),
    /// Not an instant.
    #[error("`{0}` is no time")]
    Moment(String),
    /// Neither whom nor what for.
    #[error("a test needs `to`, `name` or both")]
    Nothing,
    /// From IPv4 to IPv6, or the other way.
    #[error("`from` and `to` are not of the same IP version")]
    TwoFamilies,
    /// A name that is encrypted.
    #[error("over UDP a name is tested on port 53 alone")]
    NameOverUdp,
    /// It came out otherwise.
    #[error("this test fails: expected {expected}, found {found}: {because}")]
    Failed {
        /// What the test says.
        expected: &'static str,
        /// What became of its connection.
        found: &'static str,
        /// By which evidence and which rule.
        because: String,
    },
}

impl TrialFault {
    /// What to do about it.
    pub(super) fn help(&self) -> Option<&'static str> {
        match self {
            Self::Remote(_) => Some("write 198.51.100.7:6667/tcp, or [2001:db8::7]:443/udp"),
            Self::Moment(_) => Some("write 2026-03-29T21:45 Europe/Berlin"),
            Self::NameOverUdp => Some("leave `to` out, or write /tcp"),
            Self::Failed { .. } => {
                Some("change the rules until it holds, or the test if that is what is wanted")
            }
            Self::Address(_) | Self::Nothing | Self::TwoFamilies => None,
        }
    }
}
