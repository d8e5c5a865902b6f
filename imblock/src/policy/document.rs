//! What was typed: the YAML as it stands, with places, before any of it means anything.
//!
//! Invariant: nothing else in the project knows YAML. Whatever the text, reading it takes memory
//! and time in proportion to [`super::source::MAX_BYTES`].

mod shapes;
mod when;

use std::cell::Cell;
use std::fmt;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use serde_yaml::{Error as YamlError, Options, Spanned};

use super::error::PolicyError;
use super::error_kind::{PolicyErrorKind, SyntaxError};
use super::source::{Placed, Source, Span};

pub(super) use when::{IncludedDocument, TrialDocument, WhenDocument, WordsDocument};

/// Deeper nesting is no policy. The deepest key today lies at 5.
const MAX_DEPTH: usize = 24;
/// Nodes that aliases may add to a document.
const MAX_ALIASED_NODES: usize = 100_000;

/// A policy file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PolicyDocument {
    pub(super) version: Placed<u64>,
    pub(super) name: Placed<String>,
    #[serde(default, deserialize_with = "or_nothing")]
    pub(super) include: Vec<Placed<String>>,
    #[serde(default, deserialize_with = "or_nothing")]
    pub(super) interfaces: Vec<InterfaceDocument>,
    #[serde(default, deserialize_with = "or_nothing")]
    pub(super) defaults: DefaultsDocument,
    #[serde(default, deserialize_with = "or_nothing")]
    pub(super) groups: GroupsDocument,
    #[serde(default, deserialize_with = "or_nothing")]
    pub(super) protect: ProtectDocument,
    #[serde(default, deserialize_with = "or_nothing")]
    pub(super) rules: Vec<Placed<RuleDocument>>,
    #[serde(default, deserialize_with = "or_nothing")]
    pub(super) services: Vec<ServiceDocument>,
    pub(super) hops: Option<HopsDocument>,
    pub(super) quic: Option<Placed<String>>,
    #[serde(default, deserialize_with = "or_nothing")]
    pub(super) trust: Vec<Placed<String>>,
    #[serde(default, deserialize_with = "or_nothing")]
    pub(super) limits: LimitsDocument,
    #[serde(default, deserialize_with = "or_nothing")]
    pub(super) tests: Vec<Placed<TrialDocument>>,
}

/// An item of `interfaces`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct InterfaceDocument {
    pub(super) name: Placed<String>,
    pub(super) side: Placed<String>,
    pub(super) mode: Option<Placed<String>>,
    pub(super) egress: Option<bool>,
}

/// `defaults`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct DefaultsDocument {
    pub(super) action: Option<Placed<String>>,
}

/// `groups`, in the order in which they stand.
#[derive(Debug, Default)]
pub(super) struct GroupsDocument(pub(super) Vec<(Placed<String>, Vec<Placed<String>>)>);

/// The file of families. A family is a name and a list, as a group is.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FamiliesDocument {
    pub(super) families: GroupsDocument,
}

/// `protect`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ProtectDocument {
    #[serde(default, deserialize_with = "or_nothing")]
    pub(super) ports: Vec<Placed<String>>,
    #[serde(default, deserialize_with = "or_nothing")]
    pub(super) hosts: Vec<Placed<String>>,
}

/// An item of `rules`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RuleDocument {
    pub(super) services: Placed<Vec<Placed<String>>>,
    pub(super) groups: Option<Placed<Vec<Placed<String>>>>,
    pub(super) action: Placed<String>,
    pub(super) rate: Option<Placed<String>>,
    pub(super) burst: Option<Placed<String>>,
    pub(super) when: Option<Placed<WhenDocument>>,
}

/// An item of `services`, and a file of the catalogue.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ServiceDocument {
    pub(super) id: Placed<String>,
    pub(super) name: Placed<String>,
    pub(super) category: Placed<String>,
    pub(super) status: Option<Placed<String>>,
    pub(super) ended: Option<Placed<String>>,
    #[serde(default, deserialize_with = "or_nothing")]
    pub(super) ports: Vec<Placed<String>>,
    #[serde(default, deserialize_with = "or_nothing")]
    pub(super) collateral: Vec<Placed<CollateralDocument>>,
    pub(super) default: Option<Placed<String>>,
    pub(super) notes: Option<String>,
    #[serde(default, deserialize_with = "or_nothing")]
    pub(super) names: Vec<Placed<String>>,
    #[serde(default, deserialize_with = "or_nothing")]
    pub(super) prefixes: Vec<Placed<String>>,
    pub(super) calls: Option<bool>,
    pub(super) opt_in: Option<bool>,
    #[serde(default, deserialize_with = "or_nothing")]
    pub(super) markers: Vec<Placed<MarkerDocument>>,
    #[serde(default, deserialize_with = "or_nothing")]
    pub(super) alpn: Vec<Placed<String>>,
    #[serde(default, deserialize_with = "or_nothing")]
    pub(super) stun: Vec<Placed<StunDocument>>,
}

/// An item of `collateral`: one of the first three keys, and what breaks.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CollateralDocument {
    pub(super) port: Option<Placed<String>>,
    pub(super) name: Option<Placed<String>>,
    pub(super) prefix: Option<Placed<String>>,
    pub(super) breaks: String,
}

/// An item of `markers`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct MarkerDocument {
    pub(super) transport: Placed<String>,
    pub(super) from: Option<Placed<String>>,
    pub(super) packet: Option<Placed<String>>,
    pub(super) offset: Option<Placed<i64>>,
    pub(super) bytes: Option<Placed<String>>,
    pub(super) text: Option<Placed<String>>,
    pub(super) nocase: Option<Placed<bool>>,
    pub(super) length: Option<Placed<LengthDocument>>,
    pub(super) payload: Option<Placed<String>>,
    pub(super) last: Option<Placed<String>>,
    pub(super) find: Option<Placed<FindDocument>>,
    #[serde(default, deserialize_with = "or_nothing")]
    pub(super) ports: Vec<Placed<String>>,
    #[serde(default, deserialize_with = "or_nothing")]
    pub(super) not_ports: Vec<Placed<String>>,
    #[serde(rename = "in")]
    pub(super) within: Option<Placed<String>>,
    #[serde(rename = "use")]
    pub(super) worth: Option<Placed<String>>,
}

/// `length` of a marker.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LengthDocument {
    pub(super) at: Placed<i64>,
    pub(super) size: Placed<i64>,
    pub(super) order: Option<Placed<String>>,
    pub(super) plus: Option<Placed<i64>>,
    pub(super) fits: Option<bool>,
}

/// `find` of a marker.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FindDocument {
    pub(super) bytes: Option<Placed<String>>,
    pub(super) text: Option<Placed<String>>,
    pub(super) from: Option<Placed<i64>>,
    pub(super) within: Placed<i64>,
    pub(super) nocase: Option<bool>,
}

/// An item of `stun`: a type or a range of types, alone or with what it is worth.
#[derive(Debug)]
pub(super) struct StunDocument {
    pub(super) attribute: Placed<String>,
    pub(super) worth: Option<Placed<String>>,
}

/// `hops`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HopsDocument {
    pub(super) action: Option<Placed<String>>,
    pub(super) within: Option<Placed<String>>,
    #[serde(rename = "for")]
    pub(super) shut: Option<Placed<String>>,
    pub(super) after: Option<Placed<String>>,
}

/// `limits`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LimitsDocument {
    pub(super) hosts: Option<Placed<u64>>,
    pub(super) prefixes: Option<Placed<u64>>,
    pub(super) flows: Option<Placed<u64>>,
}

/// Reads a policy.
pub(super) fn policy(source: &Arc<Source>) -> Result<PolicyDocument, PolicyError> {
    read(source).map_err(|error| other_version(source).unwrap_or(error))
}

/// Reads a file that a policy includes; the number is what its places will be known by.
pub(super) fn included(source: &Arc<Source>, number: u16) -> Result<IncludedDocument, PolicyError> {
    FILE.set(number);
    let read = read(source);
    FILE.set(0);
    read
}

/// Reads one service, as in a file of the catalogue.
pub(super) fn service(source: &Arc<Source>) -> Result<ServiceDocument, PolicyError> {
    read(source)
}

/// Reads the families of the catalogue.
pub(super) fn families(source: &Arc<Source>) -> Result<FamiliesDocument, PolicyError> {
    read(source)
}

/// Writes plain data as people read it.
pub(super) fn write(data: &impl Serialize) -> Result<String, fmt::Error> {
    serde_yaml::to_string(data).map_err(|_| fmt::Error)
}

/// The version error, if there is one: the keys of another version are not this one's mistakes.
fn other_version(source: &Arc<Source>) -> Option<PolicyError> {
    #[derive(Deserialize)]
    struct VersionOnly {
        version: Placed<u64>,
    }
    let VersionOnly { version } = read(source).ok()?;
    (version.value != super::model::VERSION).then(|| {
        let kind = PolicyErrorKind::UnsupportedVersion(version.value);
        PolicyError::new(source, version.at, kind)
    })
}

fn read<T: DeserializeOwned>(source: &Arc<Source>) -> Result<T, PolicyError> {
    if source.text().len() > super::source::MAX_BYTES {
        return Err(PolicyError::without_place(
            source,
            PolicyErrorKind::TooLarge,
        ));
    }
    serde_yaml::from_str_with_options(source.text(), options())
        .map_err(|error| refusal(source, error))
}

fn options() -> Options {
    serde_yaml::options! {
        budget: serde_yaml::budget! { max_depth: MAX_DEPTH, flow_nesting_limit: MAX_DEPTH },
        alias_limits: serde_yaml::alias_limits! {
            max_total_replayed_events: MAX_ALIASED_NODES,
        },
        strict_booleans: true,
        with_snippet: false,
    }
}

/// Says in the words of policies what the YAML reader says in its own.
fn refusal(source: &Arc<Source>, error: YamlError) -> PolicyError {
    if is_blank(source.text()) {
        return PolicyError::without_place(source, PolicyErrorKind::Empty);
    }
    let at = match error.location() {
        Some(location) if location.span().byte_offset().is_some() => span_of(location),
        Some(location) => source.point(number(location.line()), number(location.column())),
        None => source.span(0, 0),
    };
    PolicyError::new(source, at, kind_of(error))
}

fn kind_of(error: YamlError) -> PolicyErrorKind {
    match error {
        YamlError::SerdeUnknownField {
            field, expected, ..
        } => PolicyErrorKind::UnknownKey {
            key: field,
            expected,
        },
        YamlError::SerdeMissingField { field, .. } => PolicyErrorKind::MissingKey(field),
        YamlError::DuplicateMappingKey { key, .. } => {
            PolicyErrorKind::DuplicateKey(key.unwrap_or_default())
        }
        YamlError::Unexpected { expected, .. } => PolicyErrorKind::WrongType(match expected {
            "sequence start" => "a list",
            "mapping start" => "keys with values",
            _ => "a single value",
        }),
        YamlError::InvalidScalar { .. } => PolicyErrorKind::WrongType("a whole number"),
        YamlError::InvalidBooleanStrict { .. } => PolicyErrorKind::WrongType("true or false"),
        YamlError::NullIntoString { .. } => PolicyErrorKind::WrongType("a value"),
        YamlError::Budget { .. }
        | YamlError::AliasReplayLimitExceeded { .. }
        | YamlError::AliasExpansionLimitExceeded { .. }
        | YamlError::AliasReplayStackDepthExceeded { .. }
        | YamlError::AliasReplayCounterOverflow { .. } => PolicyErrorKind::TooComplex,
        YamlError::MultipleDocuments { .. } => PolicyErrorKind::SecondDocument,
        YamlError::AliasError { error, .. } => kind_of(*error),
        other => PolicyErrorKind::Syntax(SyntaxError::new(&message(&other))),
    }
}

/// The reader's own words, without the place that it appends.
fn message(error: &YamlError) -> String {
    let message = error.to_string();
    let place = error.location().map_or(String::new(), |location| {
        format!(" at line {}, column {}", location.line(), location.column())
    });
    message.strip_suffix(&place).unwrap_or(&message).to_owned()
}

fn is_blank(text: &str) -> bool {
    text.lines().all(|line| {
        let line = line.trim();
        line.is_empty() || line.starts_with('#') || line == "---"
    })
}

thread_local! {
    /// The number of the file that is being read. The YAML reader hands no context to the places that
    /// it makes.
    static FILE: Cell<u16> = const { Cell::new(0) };
}

fn number(n: u64) -> usize {
    usize::try_from(n).unwrap_or(0)
}

fn span_of(location: serde_yaml::Location) -> Span {
    let span = location.span();
    Span {
        offset: span.byte_offset().map_or(0, number),
        length: span.byte_len().map_or(0, number),
        line: number(location.line()),
        column: number(location.column()),
        file: FILE.get(),
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Placed<T> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<T>::deserialize(from)?;
        Ok(Self {
            value: spanned.value,
            at: span_of(spanned.referenced),
        })
    }
}

/// A key with nothing behind it is as good as none: people comment out all of a list.
fn or_nothing<'de, D, T>(from: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(from)?.unwrap_or_default())
}
