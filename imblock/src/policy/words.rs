//! The small words of a policy: ids, names, selectors, ports, prefixes, actions.
//!
//! Invariant: each type can only be made by its `parse`, so whoever holds one need not check it.

use std::fmt;
use std::net::IpAddr;

use imblock_common::layout::NAME_MAX;
use imblock_common::{Action, Side, Transport};
use ipnet::IpNet;
use serde::{Serialize, Serializer};

use super::error::PolicyErrorKind;
use super::plan::{EVERYONE, XdpAttachMode, action_from_name};

/// What names every service in a selector.
const ALL: &str = "all";
const TRANSPORTS: [(&str, Transport); 2] = [("tcp", Transport::Tcp), ("udp", Transport::Udp)];

/// The id of a service: small letters, digits and `-`, at most 32 bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceId(String);

impl ServiceId {
    /// Refuses what can't be an id. Whether such a service exists is another question.
    pub fn parse(text: &str) -> Result<Self, PolicyErrorKind> {
        let fault = match text {
            ALL => Some(WordFault::Reserved),
            _ => word_fault(text, |c| matches!(c, 'a'..='z' | '0'..='9' | '-')),
        };
        named(text, "a service", fault).map(Self)
    }

    /// The id as typed.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The name of a group: letters, digits, `-`, `_` and `.`, at most 32 bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupName(String);

impl GroupName {
    /// Refuses what can't be the name of a group.
    pub fn parse(text: &str) -> Result<Self, PolicyErrorKind> {
        let fault = match text {
            EVERYONE => Some(WordFault::Reserved),
            _ => word_fault(text, |c| {
                c.is_alphanumeric() || matches!(c, '-' | '_' | '.')
            }),
        };
        named(text, "a group", fault).map(Self)
    }

    /// The group of whoever is in no other.
    pub(super) fn everyone() -> Self {
        Self(EVERYONE.to_owned())
    }

    /// The name as typed.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The name of a policy: one line, at most 32 bytes.
pub(super) fn policy_name(text: &str) -> Result<String, PolicyErrorKind> {
    let fault = word_fault(text, |c| !c.is_control());
    named(text, "a policy", fault)
}

/// The name of an interface, as the kernel allows it: 15 bytes without `/` and blanks.
pub(super) fn interface_name(text: &str) -> Result<String, PolicyErrorKind> {
    const IFNAMSIZ: usize = 16;
    let fault = match word_fault(text, |c| c.is_ascii_graphic() && c != '/') {
        None if text.len() >= IFNAMSIZ => Some(WordFault::TooLongForInterface),
        None if matches!(text, "." | "..") => Some(WordFault::Reserved),
        fault => fault,
    };
    named(text, "an interface", fault)
}

fn named(
    text: &str,
    what: &'static str,
    fault: Option<WordFault>,
) -> Result<String, PolicyErrorKind> {
    let text = text.to_owned();
    match fault {
        Some(fault) => Err(PolicyErrorKind::BadName { text, what, fault }),
        None => Ok(text),
    }
}

fn word_fault(text: &str, allowed: impl Fn(char) -> bool) -> Option<WordFault> {
    if text.is_empty() {
        Some(WordFault::Empty)
    } else if text.len() > NAME_MAX {
        Some(WordFault::TooLong)
    } else {
        text.chars()
            .find(|c| !allowed(*c))
            .map(WordFault::BadCharacter)
    }
}

/// What is wrong with a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WordFault {
    /// Nothing there.
    #[error("is empty")]
    Empty,
    /// More than [`NAME_MAX`] bytes.
    #[error("is longer than {NAME_MAX} bytes")]
    TooLong,
    /// More than the kernel gives an interface.
    #[error("is longer than 15 bytes")]
    TooLongForInterface,
    /// A character that has no place in such a name.
    #[error("has a {0:?} in it")]
    BadCharacter(char),
    /// A word that means something else.
    #[error("means something else")]
    Reserved,
}

/// What kind of service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Category {
    /// Instant messaging.
    Im,
    /// Calls.
    Voip,
    /// File sharing between peers.
    P2p,
    /// Files sent by a messenger beside its chat.
    FileTransfer,
}

impl Category {
    const NAMES: [&'static str; 4] = ["im", "voip", "p2p", "file-transfer"];
    const ALL: [Self; 4] = [Self::Im, Self::Voip, Self::P2p, Self::FileTransfer];

    /// The category of a word.
    pub fn parse(text: &str) -> Result<Self, PolicyErrorKind> {
        one_of("category", text, &Self::NAMES, &Self::ALL)
    }

    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Im => "im",
            Self::Voip => "voip",
            Self::P2p => "p2p",
            Self::FileTransfer => "file-transfer",
        }
    }
}

/// Whether a service still runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Status {
    /// It does.
    #[default]
    Live,
    /// It was shut down, or nobody has seen it in years.
    Historic,
}

impl Status {
    const NAMES: [&'static str; 2] = ["live", "historic"];

    /// The status of a word.
    pub fn parse(text: &str) -> Result<Self, PolicyErrorKind> {
        one_of("status", text, &Self::NAMES, &[Self::Live, Self::Historic])
    }

    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Historic => "historic",
        }
    }
}

/// The side of an interface.
pub(super) fn side(text: &str) -> Result<Side, PolicyErrorKind> {
    one_of("side", text, &["lan", "wan"], &[Side::Lan, Side::Wan])
}

/// How XDP attaches to an interface.
pub(super) fn attach_mode(text: &str) -> Result<XdpAttachMode, PolicyErrorKind> {
    let modes = [
        XdpAttachMode::Auto,
        XdpAttachMode::Native,
        XdpAttachMode::Generic,
    ];
    one_of("mode", text, &["auto", "native", "generic"], &modes)
}

/// What a rule does.
pub(super) fn action(text: &str) -> Result<Action, PolicyErrorKind> {
    match action_from_name(text) {
        Some(action) => Ok(action),
        None if matches!(text, "reject" | "limit") => {
            Err(PolicyErrorKind::UnsupportedAction(text.to_owned()))
        }
        None => one_of("action", text, &["allow", "count", "drop"], &Action::ALL),
    }
}

fn one_of<T: Copy>(
    what: &'static str,
    text: &str,
    words: &'static [&'static str],
    meanings: &[T],
) -> Result<T, PolicyErrorKind> {
    let found = words.iter().zip(meanings).find(|(word, _)| **word == text);
    found
        .map(|(_, meaning)| *meaning)
        .ok_or_else(|| PolicyErrorKind::UnknownWord {
            what,
            text: text.to_owned(),
            expected: words,
            suggestion: Suggestion::of(text, words),
        })
}

/// A date or the part of one that is known: `2018`, `2018-07`, `2018-07-17`.
pub(super) fn date(text: &str) -> Result<String, PolicyErrorKind> {
    let mut parts = text.split('-');
    let digits = |part: Option<&str>, length| {
        part.is_none_or(|part| part.len() == length && part.bytes().all(|b| b.is_ascii_digit()))
    };
    let good = digits(parts.next(), 4)
        && digits(parts.next(), 2)
        && digits(parts.next(), 2)
        && parts.next().is_none();
    if good {
        Ok(text.to_owned())
    } else {
        Err(PolicyErrorKind::BadDate(text.to_owned()))
    }
}

/// Ports of one transport, `tcp/6660-6669`. The first is at least 1 and not above the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PortRange {
    transport: Transport,
    first: u16,
    last: u16,
}

impl PortRange {
    /// Reads `tcp/5050` or `udp/5000-5010`.
    pub fn parse(text: &str) -> Result<Self, PolicyErrorKind> {
        Self::read(text).map_err(|fault| PolicyErrorKind::BadPort {
            text: text.to_owned(),
            fault,
        })
    }

    fn read(text: &str) -> Result<Self, PortFault> {
        let (transport, ports) = text.split_once('/').ok_or(PortFault::NoTransport)?;
        let known = TRANSPORTS.iter().find(|(name, _)| *name == transport);
        let (_, transport) = known.ok_or(PortFault::UnknownTransport)?;
        let number = |text: &str| match text.parse() {
            Ok(0) | Err(_) => Err(PortFault::OutOfRange),
            Ok(port) => Ok(port),
        };
        let (first, last) = match ports.split_once('-') {
            Some((first, last)) => (number(first)?, number(last)?),
            None => (number(ports)?, number(ports)?),
        };
        Self::new(*transport, first, last).ok_or(PortFault::Backwards)
    }

    /// `None` when the range is empty or begins at port 0.
    pub(super) fn new(transport: Transport, first: u16, last: u16) -> Option<Self> {
        (1..=last).contains(&first).then_some(Self {
            transport,
            first,
            last,
        })
    }

    /// TCP or UDP.
    pub const fn transport(self) -> Transport {
        self.transport
    }

    /// Every port.
    pub fn ports(self) -> impl Iterator<Item = u16> {
        self.first..=self.last
    }

    /// Takes in the port behind the last one; `false` when `port` is another.
    pub(super) fn extend(&mut self, transport: Transport, port: u16) -> bool {
        let next = self.transport == transport && self.last.checked_add(1) == Some(port);
        if next {
            self.last = port;
        }
        next
    }

    /// Whether the two have a port in common.
    pub(super) fn overlaps(self, other: Self) -> bool {
        self.transport == other.transport && self.first <= other.last && other.first <= self.last
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let transport = match self.transport {
            Transport::Tcp => "tcp",
            Transport::Udp => "udp",
        };
        write!(f, "{transport}/{}", self.first)?;
        if self.last != self.first {
            write!(f, "-{}", self.last)?;
        }
        Ok(())
    }
}

/// Why a text is no port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PortFault {
    /// `5050`.
    #[error("it does not say tcp or udp")]
    NoTransport,
    /// `sctp/5050`.
    #[error("the transport is neither tcp nor udp")]
    UnknownTransport,
    /// `tcp/0`, `tcp/70000`, `tcp/x`.
    #[error("ports are 1 to 65535")]
    OutOfRange,
    /// `tcp/20-10`.
    #[error("the range ends before it begins")]
    Backwards,
}

/// Reads a prefix; a bare address is a prefix of one host.
pub(super) fn prefix(text: &str) -> Result<IpNet, PolicyErrorKind> {
    read_prefix(text).map_err(|fault| PolicyErrorKind::BadPrefix {
        text: text.to_owned(),
        fault,
    })
}

fn read_prefix(text: &str) -> Result<IpNet, PrefixFault> {
    let net = match text.parse::<IpNet>() {
        Ok(net) => net,
        Err(_) => match text.parse::<IpAddr>() {
            Ok(addr) => IpNet::from(addr),
            Err(_) if is_mac(text) => return Err(PrefixFault::Mac),
            Err(_) if text.contains('%') => return Err(PrefixFault::Zone),
            Err(_) => return Err(PrefixFault::NotAnAddress),
        },
    };
    match net {
        _ if net.addr() != net.network() => Err(PrefixFault::HostBits(net)),
        IpNet::V6(v6) => match v6.addr().to_ipv4_mapped() {
            Some(_) if v6.prefix_len() >= 96 => Err(PrefixFault::Mapped),
            _ => Ok(net),
        },
        IpNet::V4(_) => Ok(net),
    }
}

fn is_mac(text: &str) -> bool {
    let hex = |part: &str| part.len() == 2 && part.bytes().all(|b| b.is_ascii_hexdigit());
    [':', '-']
        .into_iter()
        .any(|between| text.split(between).count() == 6 && text.split(between).all(hex))
}

/// The address as the tables see it: IPv4 in IPv6 is IPv4.
pub(super) fn host_prefix(addr: IpAddr) -> IpNet {
    match addr {
        IpAddr::V6(v6) => IpNet::from(v6.to_ipv4_mapped().map_or(IpAddr::V6(v6), IpAddr::V4)),
        IpAddr::V4(_) => IpNet::from(addr),
    }
}

/// Why a text is no prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PrefixFault {
    /// Something else altogether.
    #[error("it is no IPv4 or IPv6 address")]
    NotAnAddress,
    /// A hardware address.
    #[error("MAC addresses are not supported in this version, only prefixes")]
    Mac,
    /// `fe80::1%eth0`.
    #[error("a prefix has no zone")]
    Zone,
    /// `10.0.5.1/24`.
    #[error("the address has bits behind the prefix length")]
    HostBits(IpNet),
    /// `::ffff:10.0.0.1`.
    #[error("it is an IPv4 address in the clothes of IPv6, which no packet carries")]
    Mapped,
}

impl PrefixFault {
    pub(super) fn help(self) -> String {
        match self {
            Self::NotAnAddress => {
                "write 10.0.5.0/24, 10.0.5.9, 2001:db8:5::/64 or 2001:db8::9".into()
            }
            Self::Mac => "give the hosts fixed addresses and name those".into(),
            Self::Zone => "leave out the % and what follows".into(),
            Self::HostBits(net) => {
                format!(
                    "for the network write {}, for the host {}",
                    net.trunc(),
                    net.addr()
                )
            }
            Self::Mapped => "write it as IPv4".into(),
        }
    }
}

/// What names services: an id, `category:im`, `status:historic` or `all`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selector {
    /// One service.
    Service(ServiceId),
    /// Those of a category.
    Category(Category),
    /// Those of a status.
    Status(Status),
    /// Every one.
    All,
}

impl Selector {
    /// Reads a selector. `known` are the ids that exist, sorted.
    pub fn parse(text: &str, known: &[&str]) -> Result<Self, SelectorError> {
        match text.split_once(':') {
            None if text == ALL => Ok(Self::All),
            None => match known.binary_search(&text) {
                Ok(_) => Ok(Self::Service(ServiceId(text.to_owned()))),
                Err(_) => Err(SelectorError::unknown_service(text, known)),
            },
            Some(("category", word)) => Category::parse(word)
                .map(Self::Category)
                .map_err(|_| SelectorError::unknown_category(word)),
            Some(("status", word)) => Status::parse(word)
                .map(Self::Status)
                .map_err(|_| SelectorError::unknown_status(word)),
            Some(_) => Err(SelectorError::UnknownForm(text.to_owned())),
        }
    }

    /// Whether a service is meant.
    pub fn matches(&self, id: &str, category: Category, status: Status) -> bool {
        match self {
            Self::Service(wanted) => wanted.as_str() == id,
            Self::Category(wanted) => *wanted == category,
            Self::Status(wanted) => *wanted == status,
            Self::All => true,
        }
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Service(id) => f.write_str(id.as_str()),
            Self::Category(category) => write!(f, "category:{}", category.name()),
            Self::Status(status) => write!(f, "status:{}", status.name()),
            Self::All => f.write_str(ALL),
        }
    }
}

/// Why a text selects no service.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SelectorError {
    /// No such service.
    #[error("unknown service `{text}`{suggestion}")]
    UnknownService {
        /// What was typed.
        text: String,
        /// The nearest id that exists.
        suggestion: Suggestion,
    },
    /// No such category.
    #[error("unknown category `{text}`{suggestion}")]
    UnknownCategory {
        /// What was typed.
        text: String,
        /// The nearest that exists.
        suggestion: Suggestion,
    },
    /// No such status.
    #[error("unknown status `{text}`{suggestion}")]
    UnknownStatus {
        /// What was typed.
        text: String,
        /// The nearest that exists.
        suggestion: Suggestion,
    },
    /// Something before a colon that is neither `category` nor `status`.
    #[error("`{0}` selects no services")]
    UnknownForm(String),
}

impl SelectorError {
    fn unknown_service(text: &str, known: &[&str]) -> Self {
        Self::UnknownService {
            text: text.to_owned(),
            suggestion: Suggestion::of(text, known),
        }
    }

    fn unknown_category(text: &str) -> Self {
        Self::UnknownCategory {
            text: text.to_owned(),
            suggestion: Suggestion::of(text, &Category::NAMES),
        }
    }

    fn unknown_status(text: &str) -> Self {
        Self::UnknownStatus {
            text: text.to_owned(),
            suggestion: Suggestion::of(text, &Status::NAMES),
        }
    }

    /// What to do about it.
    pub const fn help(&self) -> &'static str {
        match self {
            Self::UnknownService { .. } => {
                "`imblock services` lists what is known; a service of your own goes under `services:`"
            }
            Self::UnknownCategory { .. } => "the categories are im, voip, p2p, file-transfer",
            Self::UnknownStatus { .. } => "the status is live or historic",
            Self::UnknownForm(_) => {
                "a selector is the id of a service, `category:im`, `status:historic` or `all`"
            }
        }
    }
}

/// The end of a message: `; did you mean …?`, or nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Suggestion(Option<String>);

impl Suggestion {
    /// The nearest of some words, if one is near: an edit for every three characters or so.
    pub(super) fn of(text: &str, words: &[&str]) -> Self {
        let near = |word: &&str| {
            let edits = strsim::damerau_levenshtein(text, word);
            (edits <= text.chars().count().div_ceil(3)).then_some((edits, (*word).to_owned()))
        };
        // Nobody meant a word of thirty letters more, and the comparison is quadratic.
        if text.len() > 2 * NAME_MAX {
            return Self(None);
        }
        let nearest = words
            .iter()
            .filter_map(near)
            .min_by_key(|(edits, _)| *edits);
        Self(nearest.map(|(_, word)| word))
    }

    /// The word.
    pub fn word(&self) -> Option<&str> {
        self.0.as_deref()
    }
}

impl fmt::Display for Suggestion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(word) => write!(f, "; did you mean `{word}`?"),
            None => Ok(()),
        }
    }
}

/// Types that are written in policies and output as one word.
macro_rules! serialize_as_text {
    ($($type:ty => |$value:ident| $text:expr;)*) => {$(
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
                let $value = self;
                to.collect_str(&$text)
            }
        }
    )*};
}

serialize_as_text! {
    ServiceId => |id| id.0;
    GroupName => |name| name.0;
    Category => |category| category.name();
    Status => |status| status.name();
    PortRange => |range| range;
    Selector => |selector| selector;
}
