//! Every mistake that a policy can have, in words, each with what to do about it.

use std::fmt;
use std::io;

use imblock_common::hops::AFTER_MAX;
use imblock_common::layout::NAME_MAX;
use strum::{IntoStaticStr, VariantNames};

use super::domain::DomainFault;
use super::include::IncludeFault;
use super::inside::InsideFault;
use super::marker_fault::MarkerFault;
use super::model::VERSION;
use super::net::{PortFault, PrefixFault};
use super::numbers::NumberError;
use super::schedule::WhenFault;
use super::selector::SelectorError;
use super::source::MAX_BYTES;
use super::trial::TrialFault;
use super::words::{Suggestion, WordFault};

/// What is wrong.
#[derive(Debug, thiserror::Error, IntoStaticStr, VariantNames)]
#[non_exhaustive]
pub enum PolicyErrorKind {
    /// The file can't be read.
    #[error("cannot read the policy: {0}")]
    Unreadable(#[source] io::Error),
    /// A pipe, a device or a folder where nobody waits.
    #[error("cannot read the policy: it is no regular file, and is not waited for")]
    NotRegular,
    /// No ready policy has this name.
    #[error("there is no ready policy `{0}`")]
    NoSuchPolicy(String),
    /// The text is longer than is read.
    #[error("the policy is larger than {} KiB", MAX_BYTES / 1024)]
    TooLarge,
    /// The text is not UTF-8.
    #[error("the policy is not UTF-8 text")]
    NotUtf8,
    /// There is nothing in the text.
    #[error("the policy is empty")]
    Empty,
    /// The text is not YAML, or not of a form that the other kinds know.
    #[error("{0}")]
    Syntax(#[source] SyntaxError),
    /// Lists in lists in lists, or aliases that multiply the text.
    #[error("the policy is nested too deeply, or its aliases make it too large")]
    TooComplex,
    /// A second YAML document behind the first.
    #[error("a policy is one YAML document, and here a second one begins")]
    SecondDocument,
    /// A key that does not exist here.
    #[error("unknown key `{key}`{}", Suggestion::of(key, expected))]
    UnknownKey {
        /// What was typed.
        key: String,
        /// What could have been.
        expected: Vec<&'static str>,
    },
    /// A key that must be there.
    #[error("the key `{0}` is missing")]
    MissingKey(&'static str),
    /// A key that is there twice.
    #[error("the key `{0}` is there twice")]
    DuplicateKey(String),
    /// Text for a number, a value for a list and so on.
    #[error("expected {0} here")]
    WrongType(&'static str),
    /// The policy is of another version of the language.
    #[error("this imblock reads policies of version {VERSION}, not {0}")]
    UnsupportedVersion(u64),
    /// A name that can't be one.
    #[error("`{text}` is no name for {what}: it {fault}")]
    BadName {
        /// What was typed.
        text: String,
        /// What it should name.
        what: &'static str,
        /// What is wrong with it.
        fault: WordFault,
    },
    /// A word that is not one of a few.
    #[error("unknown {what} `{text}`{suggestion}")]
    UnknownWord {
        /// What it should be.
        what: &'static str,
        /// What was typed.
        text: String,
        /// The words that exist.
        expected: &'static [&'static str],
        /// The nearest of them.
        suggestion: Suggestion,
    },
    /// `action: limit` says too little.
    #[error("`action: limit` needs a `rate`")]
    NoRate,
    /// A rate without a limit.
    #[error("`{0}` belongs to `action: limit`")]
    StrayRate(&'static str),
    /// The action needs a rate, and only rules have one.
    #[error("only a rule can have the action `limit`, for it needs a `rate`")]
    LimitOutsideOfRule,
    /// Not a rate.
    #[error("`{0}` is no rate")]
    BadRate(String),
    /// Not a burst, or not one of this rate.
    #[error("`{text}` is no burst of this rate")]
    BadBurst {
        /// What was typed.
        text: String,
        /// What it may be.
        range: String,
    },
    /// More rates than there is room for.
    #[error("the policy has {0} rates, and there is room for 255")]
    TooManyRates(usize),
    /// Not a port.
    #[error("`{text}` is no port: {fault}")]
    BadPort {
        /// What was typed.
        text: String,
        /// What is wrong with it.
        fault: PortFault,
    },
    /// Not a prefix.
    #[error("`{text}` is no prefix: {fault}")]
    BadPrefix {
        /// What was typed.
        text: String,
        /// What is wrong with it.
        fault: PrefixFault,
    },
    /// Not a name that a service can have.
    #[error("`{text}` is no name of a service: {fault}")]
    BadDomain {
        /// What was typed.
        text: String,
        /// What is wrong with it.
        fault: DomainFault,
    },
    /// Collateral of nothing, or of more than one thing.
    #[error("an item of `collateral` is about one port, one name or one prefix")]
    CollateralOf,
    /// A date that is none.
    #[error("`{0}` is no date: write 2018-07-17, 2018-07 or 2018")]
    BadDate(String),
    /// Not a selector of services.
    #[error(transparent)]
    Selector(#[from] SelectorError),
    /// No such group.
    #[error("unknown group `{text}`{suggestion}")]
    UnknownGroup {
        /// What was typed.
        text: String,
        /// The nearest that exists.
        suggestion: Suggestion,
    },
    /// A list that must not be empty.
    #[error("`{0}` is an empty list")]
    EmptyList(&'static str),
    /// Two interfaces, groups or services of the same name.
    #[error("{what} `{name}` is there twice")]
    Twice {
        /// What.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// A service of the policy has the id of one in the catalogue.
    #[error("the catalogue has a service `{0}` already")]
    InCatalogue(String),
    /// A prefix or a MAC address in two groups.
    #[error("{member} is in the group `{first}` and in `{second}`")]
    InTwoGroups {
        /// The prefix, or the address.
        member: String,
        /// The group that has it first.
        first: String,
        /// The group that has it again.
        second: String,
    },
    /// More groups than the tables hold.
    #[error("there are more than {0} groups")]
    TooManyGroups(usize),
    /// More MAC addresses than the tables hold.
    #[error("the groups have {found} MAC addresses, and there is room for {most}")]
    TooManyMacs {
        /// How many there are.
        found: usize,
        /// How many there can be.
        most: usize,
    },
    /// A limit outside its range.
    #[error("`limits.{key}` is {found}; it can be {least} to {most}")]
    LimitOutOfRange {
        /// Which limit.
        key: &'static str,
        /// What was typed.
        found: u64,
        /// The smallest.
        least: u32,
        /// The largest.
        most: u32,
    },
    /// Not a duration, or one that is too long.
    #[error("`hops.{key}: {text}` is no duration from 1s to {most}")]
    BadDuration {
        /// Of what.
        key: &'static str,
        /// What was typed.
        text: String,
        /// The longest.
        most: String,
    },
    /// Not a number of ports.
    #[error("`hops.after: {0}` is no number of ports from 1 to {AFTER_MAX}")]
    HopsAfter(String),
    /// The prefixes don't fit in the table.
    #[error("the policy has {found} prefixes; `limits.prefixes: {limit}` leaves room for {}", limit / 2)]
    TooManyPrefixes {
        /// Prefixes of the policy, the box's own addresses included.
        found: usize,
        /// The limit.
        limit: u32,
    },
    /// More names, or addresses of services, than the tables hold.
    #[error("the services have {found} {what}, and there is room for {most}")]
    TooMuchEvidence {
        /// `names` or `prefixes`.
        what: &'static str,
        /// How many there are, those of the catalogue included.
        found: usize,
        /// How many there can be.
        most: usize,
    },
    /// A marker, a STUN attribute or a protocol that is none, or too many of them.
    #[error(transparent)]
    Marker(#[from] MarkerFault),
    /// A `when` that is none.
    #[error(transparent)]
    When(#[from] WhenFault),
    /// A prefix of hosts that can't have places by address.
    #[error(transparent)]
    Inside(#[from] InsideFault),
    /// A file that can't be included.
    #[error(transparent)]
    Include(#[from] IncludeFault),
    /// A test that is none, or that came out otherwise.
    #[error(transparent)]
    Trial(#[from] TrialFault),
    /// No number is left for a service.
    #[error(transparent)]
    Number(#[from] NumberError),
}

impl PolicyErrorKind {
    pub(super) fn help(&self) -> Option<String> {
        let help = match self {
            Self::NotRegular => {
                "a policy that is to be read again must be a file; `imblock policy apply` takes any".into()
            }
            Self::NoSuchPolicy(_) => format!("the ready policies are {}", ready_policies()),
            Self::Unreadable(error) if error.kind() == io::ErrorKind::NotFound => {
                format!("give a file, or a ready policy: {}", ready_policies())
            }
            Self::NoRate => {
                "write `rate: 1 mbit/s` or `rate: 100 packets/s` beside it".into()
            }
            Self::LimitOutsideOfRule => {
                "write a rule: `{ services: [all], action: limit, rate: 1 mbit/s }`".into()
            }
            Self::BadRate(_) => {
                "write a whole number and bit/s, kbit/s, mbit/s, gbit/s or packets/s, from 1 kbit/s or 1 \
                 packets/s to 1000 gbit/s"
                    .into()
            }
            Self::BadBurst { range, .. } => format!("it can be {range}, in whole numbers"),
            Self::TooManyRates(_) => "let rules share their rates".into(),
            Self::TooLarge => {
                "is this the right file? Wide prefixes say the same in fewer lines".into()
            }
            Self::NotUtf8 => "save the file as UTF-8".into(),
            Self::Empty => {
                "begin with `version: 1` and `name: …`; docs/POLICY.md has examples".into()
            }
            Self::TooComplex => "write the lists out; groups and selectors keep them short".into(),
            Self::SecondDocument => "remove the `---`, or split the file".into(),
            Self::UnknownKey { expected, .. } => format!("the keys here are {}", expected.join(", ")),
            Self::MissingKey("version") => {
                format!("begin with `version: {VERSION}`")
            }
            Self::WrongType("a list") => "a list is `[a, b]`, or a line `- a` for each".into(),
            Self::UnknownWord { expected, .. } => format!("it can be {}", expected.join(" or ")),
            Self::BadName {
                fault: WordFault::TooLong,
                ..
            } => {
                format!("the kernel tables keep {NAME_MAX} bytes of a name")
            }
            Self::BadName {
                what: "a service", ..
            } => "an id has small letters, digits and `-`, and is not `all`".into(),
            Self::BadName {
                what: "a group", ..
            } => "it can have letters, digits, `-`, `_` and `.`; `everyone` is who is in no group"
                .into(),
            Self::UnsupportedVersion(_) => {
                format!("write `version: {VERSION}`, or use the imblock that the policy is for")
            }
            Self::BadPort { .. } => "write tcp/5050, udp/4000 or tcp/6660-6669".into(),
            Self::BadPrefix { fault, .. } => fault.help(),
            Self::BadDomain { text, fault } => fault.help(text),
            Self::CollateralOf => "write `{ port: tcp/4000, breaks: \"…\" }`, with `name` or `prefix` in place of `port`, and an item for each".into(),
            Self::TooMuchEvidence { what: "names", .. } => {
                "a name stands for all names below it: write the shorter one alone".into()
            }
            Self::TooMuchEvidence { .. } => "wider prefixes say the same in fewer lines".into(),
            Self::Selector(error) => error.help().into(),
            Self::Marker(fault) => return fault.help(),
            Self::UnknownGroup { .. } => {
                "groups are named under `groups:`; `everyone` is who is in none".into()
            }
            Self::EmptyList("groups") => {
                "leave `groups` out and the rule is for all of them".into()
            }
            Self::EmptyList("days" | "hours") => "leave it out and it is all of them".into(),
            Self::EmptyList(_) => "name a service, or `all`".into(),
            Self::InCatalogue(_) => "give yours another id; a rule can name both".into(),
            Self::InTwoGroups { .. } => {
                "a host has one group, that of its MAC address, else of the longest prefix around it; remove one of the two"
                    .into()
            }
            Self::BadDuration { .. } => "write 30s, 5m or 1h".into(),
            Self::HopsAfter(_) => {
                "it is how many other ports of the server may be tried before it is shut".into()
            }
            Self::TooManyMacs { .. } => {
                "give the hosts addresses of one prefix, and name that".into()
            }
            Self::Inside(fault) => fault.help(),
            Self::When(fault) => fault.help().into(),
            Self::Include(fault) => return fault.help().map(str::to_owned),
            Self::Trial(fault) => return fault.help().map(str::to_owned),
            Self::TooManyPrefixes { found, .. } => format!(
                "a new policy is written beside the old one, so the limit must be at least twice the number: `limits: {{ prefixes: {} }}`",
                found.saturating_mul(2)
            ),
            _ => return None,
        };
        Some(help)
    }
}

fn ready_policies() -> String {
    let names: Vec<_> = crate::catalogue::POLICIES
        .iter()
        .map(|(name, _)| *name)
        .collect();
    names.join(", ")
}

/// What the YAML reader says.
#[derive(Debug)]
pub struct SyntaxError(String);

impl SyntaxError {
    pub(super) fn new(message: &str) -> Self {
        Self(message.to_owned())
    }
}

impl fmt::Display for SyntaxError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for SyntaxError {}
