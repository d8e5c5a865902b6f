//! The small words of a policy: ids, names, categories, actions.
//!
//! Invariant: each type can only be made by its `parse`, so whoever holds one need not check it.

use std::fmt;

use imblock_common::layout::NAME_MAX;
use imblock_common::{Action, Side};
use serde::{Serialize, Serializer};
use strum::{IntoStaticStr, VariantNames};

use super::error_kind::PolicyErrorKind;
use super::plan::{EVERYONE, QuicMode, XdpAttachMode, action_from_name};

/// What names every service in a selector.
pub(super) const ALL: &str = "all";

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

    /// An id that is known to exist.
    pub(super) fn known(text: &str) -> Self {
        Self(text.to_owned())
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error, IntoStaticStr, VariantNames)]
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
    #[error("has {0:?} in it")]
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
    pub(super) const NAMES: [&'static str; 4] = ["im", "voip", "p2p", "file-transfer"];
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
    pub(super) const NAMES: [&'static str; 2] = ["live", "historic"];

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

pub(super) const SIDES: [&str; 2] = ["lan", "wan"];
pub(super) const MODES: [&str; 3] = ["auto", "native", "generic"];
pub(super) const HOP_ACTIONS: [&str; 2] = ["count", "drop"];
pub(super) const QUIC: [&str; 3] = ["allow", "block", "inspect"];

/// The side of an interface.
pub(super) fn side(text: &str) -> Result<Side, PolicyErrorKind> {
    one_of("side", text, &SIDES, &[Side::Lan, Side::Wan])
}

/// How XDP attaches to an interface.
pub(super) fn attach_mode(text: &str) -> Result<XdpAttachMode, PolicyErrorKind> {
    let modes = [
        XdpAttachMode::Auto,
        XdpAttachMode::Native,
        XdpAttachMode::Generic,
    ];
    one_of("mode", text, &MODES, &modes)
}

const WORDS: [&str; ACTIONS.len()] = ["allow", "count", "drop", "reject"];
const ACTIONS: [Action; 4] = [Action::Allow, Action::Count, Action::Drop, Action::Reject];

const RULE_WORDS: [&str; RULE_ACTIONS.len()] = ["allow", "count", "drop", "reject", "limit"];
const RULE_ACTIONS: [Action; 5] = [
    Action::Allow,
    Action::Count,
    Action::Drop,
    Action::Reject,
    Action::Limit,
];

/// What a rule does.
pub(super) fn rule_action(text: &str) -> Result<Action, PolicyErrorKind> {
    one_of("action", text, &RULE_WORDS, &RULE_ACTIONS)
}

/// What is done where there is no rate to give: allow, count, drop or reject.
pub(super) fn action(text: &str) -> Result<Action, PolicyErrorKind> {
    match action_from_name(text) {
        Some(Action::Limit) => Err(PolicyErrorKind::LimitOutsideOfRule),
        Some(action) => Ok(action),
        None => one_of("action", text, &WORDS, &ACTIONS),
    }
}

/// What `hops` does.
pub(super) fn hop_action(text: &str) -> Result<Action, PolicyErrorKind> {
    let actions = [Action::Count, Action::Drop];
    one_of("action", text, &HOP_ACTIONS, &actions)
}

/// What is done about QUIC.
pub(super) fn quic(text: &str) -> Result<QuicMode, PolicyErrorKind> {
    let modes = [QuicMode::Allow, QuicMode::Block, QuicMode::Inspect];
    one_of("quic", text, &QUIC, &modes)
}

pub(super) fn one_of<T: Copy>(
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

/// The end of a message: `; did you mean …?`, or nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Suggestion(Option<String>);

impl Suggestion {
    /// The nearest of some words, if one is near: an edit for every three characters or so, and a capital
    /// for a small letter is none.
    pub(super) fn of(text: &str, words: &[&str]) -> Self {
        // Nobody meant a word of thirty letters more, and the comparison is quadratic.
        if text.len() > 2 * NAME_MAX {
            return Self(None);
        }
        let folded = text.to_lowercase();
        let near = |word: &&str| {
            let edits = strsim::damerau_levenshtein(&folded, &word.to_lowercase());
            (edits <= text.chars().count().div_ceil(3)).then_some((edits, (*word).to_owned()))
        };
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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suggestion_is_near() {
        let nearest = |text| Suggestion::of(text, &["whatsapp", "irc", "icq"]).0;
        assert_eq!(nearest("whatsap"), Some("whatsapp".into()));
        assert_eq!(nearest("icr"), Some("irc".into()));
        assert_eq!(nearest("telephone"), None);
        assert_eq!(nearest(&"irc".repeat(1_000_000)), None);
    }

    #[test]
    fn names_fit_in_the_tables() {
        let longest = "g".repeat(NAME_MAX);
        assert!(GroupName::parse(&longest).is_ok() && ServiceId::parse(&longest).is_ok());
        assert!(GroupName::parse(&format!("{longest}g")).is_err());
        // Bytes count, not letters.
        assert!(GroupName::parse(&"ü".repeat(NAME_MAX / 2)).is_ok());
        assert!(GroupName::parse(&"ü".repeat(NAME_MAX / 2 + 1)).is_err());
        assert!(GroupName::parse(EVERYONE).is_err() && ServiceId::parse(ALL).is_err());
    }
}
