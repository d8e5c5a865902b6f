//! The reader of YAML, and its complaints in the words of policies.

use std::cell::Cell;
use std::fmt;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use serde_yaml::{Error as YamlError, Options, Spanned};

use super::{FamiliesDocument, IncludedDocument, PolicyDocument, ServiceDocument};
use crate::policy::error::PolicyError;
use crate::policy::error_kind::{PolicyErrorKind, SyntaxError};
use crate::policy::model::VERSION;
use crate::policy::source::{MAX_BYTES, Placed, Source, Span};

/// Deeper nesting is no policy. The deepest key today lies at 5.
const MAX_DEPTH: usize = 24;
/// Nodes that aliases may add to a document.
const MAX_ALIASED_NODES: usize = 100_000;

/// Reads a policy.
pub(in crate::policy) fn policy(source: &Arc<Source>) -> Result<PolicyDocument, PolicyError> {
    read(source).map_err(|error| other_version(source).unwrap_or(error))
}

/// Reads a file that a policy includes; the number is what its places will be known by.
pub(in crate::policy) fn included(
    source: &Arc<Source>,
    number: u16,
) -> Result<IncludedDocument, PolicyError> {
    FILE.set(number);
    let read = read(source);
    FILE.set(0);
    read
}

/// Reads one service, as in a file of the catalogue.
pub(in crate::policy) fn service(source: &Arc<Source>) -> Result<ServiceDocument, PolicyError> {
    read(source)
}

/// Reads the families of the catalogue.
pub(in crate::policy) fn families(source: &Arc<Source>) -> Result<FamiliesDocument, PolicyError> {
    read(source)
}

/// Writes plain data as people read it.
pub(in crate::policy) fn write(data: &impl Serialize) -> Result<String, fmt::Error> {
    serde_yaml::to_string(data).map_err(|_| fmt::Error)
}

/// The version error, if there is one: the keys of another version are not this one's mistakes.
fn other_version(source: &Arc<Source>) -> Option<PolicyError> {
    #[derive(Deserialize)]
    struct VersionOnly {
        version: Placed<u64>,
    }
    let VersionOnly { version } = read(source).ok()?;
    (version.value != VERSION).then(|| {
        let kind = PolicyErrorKind::UnsupportedVersion(version.value);
        PolicyError::new(source, version.at, kind)
    })
}

fn read<T: DeserializeOwned>(source: &Arc<Source>) -> Result<T, PolicyError> {
    if source.text().len() > MAX_BYTES {
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
        // The scanner's own bound, which has no kind of error to be told by.
        other if message(&other) == "recursion limit exceeded" => PolicyErrorKind::TooComplex,
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
pub(super) fn or_nothing<'de, D, T>(from: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(from)?.unwrap_or_default())
}
