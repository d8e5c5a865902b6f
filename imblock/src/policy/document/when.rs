//! `when` of a rule, `tests`, and files that are included.

use std::fmt;

use schemars::JsonSchema;
use serde::de::{SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::{GroupsDocument, ProtectDocument, RuleDocument, ServiceDocument, or_nothing};
use crate::policy::source::{Placed, Span};

/// `when` of a rule.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "When")]
pub(in crate::policy) struct WhenDocument {
    /// `mon-fri`, or a list of days and ranges of days; left out, every day.
    #[schemars(with = "Option<WordsDocument>")]
    pub(in crate::policy) days: Option<Placed<WordsDocument>>,
    /// `21:30-07:00`, or a list of such; a range belongs to the day on which it begins.
    #[schemars(with = "Option<WordsDocument>")]
    pub(in crate::policy) hours: Option<Placed<WordsDocument>>,
    /// A name of the IANA time zone database; left out, that of the box.
    #[schemars(with = "Option<String>")]
    pub(in crate::policy) timezone: Option<Placed<String>>,
}

/// A word, or a list of them.
#[derive(Debug, JsonSchema)]
#[schemars(rename = "Words", untagged)]
pub(in crate::policy) enum WordsDocument {
    /// One.
    One(String),
    /// Several.
    Many(#[schemars(with = "Vec<String>")] Vec<Placed<String>>),
}

/// An item of `tests`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Test")]
pub(in crate::policy) struct TrialDocument {
    /// The local host's address.
    #[schemars(with = "String")]
    pub(in crate::policy) from: Placed<String>,
    /// Where to: `198.51.100.7:6667/tcp`.
    #[schemars(with = "Option<String>")]
    pub(in crate::policy) to: Option<Placed<String>>,
    /// A name that is asked for.
    #[schemars(with = "Option<String>")]
    pub(in crate::policy) name: Option<Placed<String>>,
    /// What has to become of it.
    #[schemars(with = "String")]
    pub(in crate::policy) expect: Placed<String>,
    /// When, for rules with `when`: `2026-03-29T21:45 Europe/Berlin`.
    #[schemars(with = "Option<String>")]
    pub(in crate::policy) at: Option<Placed<String>>,
}

/// A file that a policy includes: what is not about the box as a whole.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::policy) struct IncludedDocument {
    pub(in crate::policy) version: Placed<u64>,
    #[serde(default, deserialize_with = "or_nothing")]
    pub(in crate::policy) include: Vec<Placed<String>>,
    #[serde(default, deserialize_with = "or_nothing")]
    pub(in crate::policy) groups: GroupsDocument,
    #[serde(default, deserialize_with = "or_nothing")]
    pub(in crate::policy) protect: ProtectDocument,
    #[serde(default, deserialize_with = "or_nothing")]
    pub(in crate::policy) rules: Vec<Placed<RuleDocument>>,
    #[serde(default, deserialize_with = "or_nothing")]
    pub(in crate::policy) services: Vec<ServiceDocument>,
    #[serde(default, deserialize_with = "or_nothing")]
    pub(in crate::policy) trust: Vec<Placed<String>>,
    #[serde(default, deserialize_with = "or_nothing")]
    pub(in crate::policy) tests: Vec<Placed<TrialDocument>>,
}

impl WordsDocument {
    /// Each word with its place; `at` is that of the whole.
    pub(in crate::policy) fn words(&self, at: Span) -> Vec<Placed<String>> {
        match self {
            Self::One(word) => vec![Placed {
                value: word.clone(),
                at,
            }],
            Self::Many(words) => words.clone(),
        }
    }
}

impl<'de> Deserialize<'de> for WordsDocument {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Words;

        impl<'de> Visitor<'de> for Words {
            type Value = WordsDocument;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a word, or a list of words")
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(WordsDocument::One(text.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
                let mut words = Vec::new();
                while let Some(word) = list.next_element()? {
                    words.push(word);
                }
                Ok(WordsDocument::Many(words))
            }
        }

        from.deserialize_any(Words)
    }
}
