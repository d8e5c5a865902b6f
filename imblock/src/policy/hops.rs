//! `hops`: what is done about hosts that were refused and try the server's other ports.

use imblock_common::Action;
use imblock_common::hops::AFTER_MAX;
use imblock_common::layout::HopRule;
use serde::{Serialize, Serializer};

use super::document::HopsDocument;
use super::error_kind::PolicyErrorKind;
use super::reader::Reader;
use super::words;

/// The longest `within`: beyond it, nobody would call it one attempt.
const WITHIN_MAX: u32 = 3_600;
/// The longest `for`.
const FOR_MAX: u32 = 86_400;

/// What a policy says about them. Left out, it is [`HopRule::COUNT`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Hops {
    /// What becomes of connections to a server that is shut: count or drop.
    #[serde(serialize_with = "as_name")]
    pub action: Action,
    /// How long after a refusal another port is a hop, in seconds.
    #[serde(serialize_with = "as_duration")]
    pub within: u32,
    /// How long a server stays shut, in seconds.
    #[serde(rename = "for", serialize_with = "as_duration")]
    pub shut: u32,
    /// How many other ports may be tried.
    pub after: u32,
}

impl Hops {
    pub(super) fn read(reader: &mut Reader<'_>, document: &HopsDocument) -> Self {
        let standard = Self::from(HopRule::COUNT);
        let within = |text: &str| duration("within", text, WITHIN_MAX);
        let shut = |text: &str| duration("for", text, FOR_MAX);
        Self {
            action: reader
                .optional(document.action.as_ref(), words::hop_action)
                .unwrap_or(standard.action),
            within: reader
                .optional(document.within.as_ref(), within)
                .unwrap_or(standard.within),
            shut: reader
                .optional(document.shut.as_ref(), shut)
                .unwrap_or(standard.shut),
            after: reader
                .optional(document.after.as_ref(), after)
                .unwrap_or(standard.after),
        }
    }

    /// As the tables have it.
    pub(super) fn rule(self) -> HopRule {
        HopRule {
            within_seconds: self.within,
            shut_seconds: self.shut,
            after: self.after,
            action: self.action as u32,
        }
    }
}

impl From<HopRule> for Hops {
    fn from(rule: HopRule) -> Self {
        Self {
            action: rule.action(),
            within: rule.within_seconds,
            shut: rule.shut_seconds,
            after: rule.after,
        }
    }
}

/// Seconds of `30s`, `5m` or `1h`.
fn duration(key: &'static str, text: &str, most: u32) -> Result<u32, PolicyErrorKind> {
    let wrong = || PolicyErrorKind::BadDuration {
        key,
        text: text.to_owned(),
        most: written(most),
    };
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_lowercase());
    let unit = match text.get(digits.len()..) {
        Some("s") => 1,
        Some("m") => 60,
        Some("h") => 3_600,
        _ => return Err(wrong()),
    };
    if !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return Err(wrong());
    }
    let number: u32 = digits.parse().map_err(|_| wrong())?;
    match number.checked_mul(unit) {
        Some(seconds) if (1..=most).contains(&seconds) => Ok(seconds),
        _ => Err(wrong()),
    }
}

fn after(text: &str) -> Result<u32, PolicyErrorKind> {
    match text.parse() {
        Ok(after) if (1..=AFTER_MAX).contains(&after) => Ok(after),
        _ => Err(PolicyErrorKind::HopsAfter(text.to_owned())),
    }
}

/// In the largest unit that leaves nothing over.
fn written(seconds: u32) -> String {
    match seconds {
        _ if seconds.is_multiple_of(3_600) => format!("{}h", seconds / 3_600),
        _ if seconds.is_multiple_of(60) => format!("{}m", seconds / 60),
        _ => format!("{seconds}s"),
    }
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature that serde asks for"
)]
fn as_duration<S: Serializer>(seconds: &u32, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(&written(*seconds))
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature that serde asks for"
)]
fn as_name<S: Serializer>(action: &Action, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(action.name())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_whole_and_bounded() {
        for (text, seconds) in [("1s", 1), ("30s", 30), ("5m", 300), ("1h", 3_600)] {
            assert_eq!(
                duration("within", text, 3_600).ok(),
                Some(seconds),
                "{text}"
            );
            assert_eq!(written(seconds), text);
        }
        for text in [
            "",
            "s",
            "30",
            "0s",
            "-1s",
            "+1s",
            "1.5m",
            "61m",
            "1 m",
            "1M",
            "2h",
            "1d",
            "1sm",
            "99999999999s",
            "4294967295h",
            "½m",
        ] {
            assert!(duration("within", text, 3_600).is_err(), "{text}");
        }
    }

    #[test]
    fn some_port_may_be_tried_and_not_too_many() {
        for (text, good) in [
            ("0", false),
            ("1", true),
            ("16", true),
            ("17", false),
            ("x", false),
        ] {
            assert_eq!(after(text).is_ok(), good, "{text}");
        }
    }
}
