//! What names services, in rules and on the command line.
//!
//! Invariant: a [`Selector::Service`] names a service that existed when it was read.

use std::fmt;

use serde::{Serialize, Serializer};
use strum::{IntoStaticStr, VariantNames};

use super::family::Family;
use super::words::{ALL, Category, ServiceId, Status, Suggestion};
use crate::catalogue;

/// What names services: an id, `family:meta`, `category:im`, `status:historic` or `all`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selector {
    /// One service.
    Service(ServiceId),
    /// Those of a family.
    Family(&'static Family),
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
                Ok(_) => Ok(Self::Service(ServiceId::known(text))),
                Err(_) => Err(SelectorError::unknown_service(text, known)),
            },
            Some(("family", word)) => {
                // A mistake in the file of families is no mistake of who typed this.
                let families = catalogue::families().unwrap_or_default();
                let found = families.iter().find(|family| family.name.as_str() == word);
                found
                    .map(Self::Family)
                    .ok_or_else(|| SelectorError::unknown_family(word, families))
            }
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
            Self::Family(family) => family.has(id),
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
            Self::Family(family) => write!(f, "family:{}", family.name.as_str()),
            Self::Category(category) => write!(f, "category:{}", category.name()),
            Self::Status(status) => write!(f, "status:{}", status.name()),
            Self::All => f.write_str(ALL),
        }
    }
}

impl Serialize for Selector {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

/// Why a text selects no service.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, IntoStaticStr, VariantNames)]
pub enum SelectorError {
    /// No such service.
    #[error("unknown service `{text}`{suggestion}")]
    UnknownService {
        /// What was typed.
        text: String,
        /// The nearest id that exists.
        suggestion: Suggestion,
    },
    /// No such family.
    #[error("unknown family `{text}`{suggestion}")]
    UnknownFamily {
        /// What was typed.
        text: String,
        /// The nearest that exists.
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
    /// Something before a colon that is none of `family`, `category`, `status`.
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

    fn unknown_family(text: &str, families: &[Family]) -> Self {
        let known: Vec<&str> = families.iter().map(|known| known.name.as_str()).collect();
        Self::UnknownFamily {
            text: text.to_owned(),
            suggestion: Suggestion::of(text, &known),
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
            Self::UnknownFamily { .. } => {
                "families are of an owner (meta, google), a protocol (oscar) or a client (pidgin); \
                 docs/POLICY.md lists them"
            }
            Self::UnknownCategory { .. } => "the categories are im, voip, p2p, file-transfer",
            Self::UnknownStatus { .. } => "the status is live or historic",
            Self::UnknownForm(_) => {
                "a selector is the id of a service, `family:meta`, `category:im`, `status:historic` or `all`"
            }
        }
    }
}
