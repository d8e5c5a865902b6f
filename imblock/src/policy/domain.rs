//! The names that services have on the network.
//!
//! Invariant: a [`Domain`] fits in a [`NameKey`], is in lower case and has at least two labels, none
//! of them empty.

use std::fmt;
use std::net::IpAddr;

use imblock_common::layout::NameKey;
use ipnet::IpNet;
use serde::{Serialize, Serializer};
use strum::{IntoStaticStr, VariantNames};

use super::error_kind::PolicyErrorKind;

/// The longest name, in bytes: the tables keep a dot behind it. A label of 63 bytes, the most that
/// the name service allows, is longer.
pub const DOMAIN_MAX: usize = NameKey::LENGTH - 1;

/// A domain name that stands for itself and every name below it: `whatsapp.com`. With a star in front,
/// the rest of a label: `*-teams.cloudapp.net` is `a-teams.cloudapp.net`, and what is below that.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Domain(String);

impl Domain {
    /// Reads a name of at least two labels, in whatever case.
    pub fn parse(text: &str) -> Result<Self, PolicyErrorKind> {
        match fault_of(text) {
            None => Ok(Self(text.to_ascii_lowercase())),
            Some(fault) => Err(PolicyErrorKind::BadDomain {
                text: text.to_owned(),
                fault,
            }),
        }
    }

    /// The name, in lower case, without a dot at either end.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What is wrong with a name: first what people mean well, then what is no name at all.
fn fault_of(text: &str) -> Option<DomainFault> {
    let bare = text.trim_start_matches("*.").trim_matches('.');
    let only_label = bare.strip_prefix('*').unwrap_or(bare);
    let rest = text.strip_prefix('*').filter(|rest| !rest.is_empty());
    let rest = rest.unwrap_or(text);
    if text.is_empty() {
        Some(DomainFault::Empty)
    } else if text.parse::<IpAddr>().is_ok() || text.parse::<IpNet>().is_ok() {
        Some(DomainFault::Address)
    } else if text.contains('/') {
        Some(DomainFault::Url)
    } else if !text.is_ascii() {
        Some(DomainFault::NotAscii)
    } else if !only_label.is_empty() && only_label.chars().all(is_of_a_label) {
        Some(DomainFault::TopLevel)
    } else if text.starts_with("*.") && !bare.is_empty() {
        Some(DomainFault::Wildcard)
    } else if text != bare && !bare.is_empty() {
        Some(DomainFault::OuterDot)
    } else if let Some(bad) = rest.chars().find(|c| !is_of_a_label(*c) && *c != '.') {
        Some(DomainFault::BadCharacter(bad))
    } else if text.len() > DOMAIN_MAX {
        Some(DomainFault::TooLong)
    } else if rest.split('.').any(str::is_empty) {
        Some(DomainFault::EmptyLabel)
    } else {
        None
    }
}

/// Letters, digits and hyphen, as host names have them, and the underscore of service records.
const fn is_of_a_label(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_')
}

impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for Domain {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&self.0)
    }
}

/// Why a text is no name of a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error, IntoStaticStr, VariantNames)]
pub enum DomainFault {
    /// Nothing there.
    #[error("it is empty")]
    Empty,
    /// `https://whatsapp.com/`.
    #[error("it is a link, or a part of one")]
    Url,
    /// `10.0.0.1`.
    #[error("it is an address")]
    Address,
    /// `bücher.example`.
    #[error("on the network it has another form, of plain letters")]
    NotAscii,
    /// `*.whatsapp.com`.
    #[error("a name stands for all names below it without the `*.`")]
    Wildcard,
    /// `whatsapp.com.` or `.whatsapp.com`.
    #[error("a dot stands between labels only")]
    OuterDot,
    /// `whats app.com`.
    #[error("it has {0:?} in it")]
    BadCharacter(char),
    /// More than [`DOMAIN_MAX`] bytes.
    #[error("it is longer than {DOMAIN_MAX} bytes")]
    TooLong,
    /// `whatsapp..com`.
    #[error("there is nothing between two dots")]
    EmptyLabel,
    /// `com`.
    #[error("it would match every name under it")]
    TopLevel,
}

impl DomainFault {
    /// What to do about it; `text` is what was typed.
    pub(super) fn help(self, text: &str) -> String {
        match self {
            Self::Wildcard | Self::OuterDot => {
                let bare = text.trim_start_matches("*.").trim_matches('.');
                format!("write {bare}")
            }
            Self::Address => "write it under `prefixes`".into(),
            Self::Url => "write the host's name alone, as in whatsapp.com".into(),
            Self::NotAscii => {
                "write it in punycode, each label beyond ASCII as xn--…: `idn` converts it".into()
            }
            Self::TooLong => "write its end: that stands for all names below it".into(),
            Self::TopLevel => "write at least two labels, as in whatsapp.com".into(),
            Self::Empty | Self::BadCharacter(_) | Self::EmptyLabel => {
                "a name has labels of letters, digits, `-` and `_` with dots between, as in whatsapp.com"
                    .into()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use imblock_common::layout::Half;

    use super::*;

    #[test]
    fn a_name_is_read_in_lower_case() {
        for text in [
            "whatsapp.com",
            "t.me",
            "_xmpp-client._tcp.example",
            "a-.b",
            "xn--bcher-kva.example",
        ] {
            assert_eq!(fault_of(text), None, "{text}");
        }
        let read = Domain::parse("Web.WhatsApp.COM").ok();
        assert_eq!(read.as_ref().map(Domain::as_str), Some("web.whatsapp.com"));
    }

    #[test]
    fn what_is_no_name_is_told_why() {
        use DomainFault::*;
        for (text, fault) in [
            ("", Empty),
            ("https://t.me/x", Url),
            ("t.me/x", Url),
            ("10.0.0.1", Address),
            ("10.0.0.0/8", Address),
            ("2001:db8::1", Address),
            ("bücher.example", NotAscii),
            ("*.t.me", Wildcard),
            ("t.me.", OuterDot),
            (".t.me", OuterDot),
            (".com", TopLevel),
            ("*.com", TopLevel),
            ("com.", TopLevel),
            ("*", BadCharacter('*')),
            ("a.*.b", BadCharacter('*')),
            ("t.me:443", BadCharacter(':')),
            ("a..b", EmptyLabel),
            (".", EmptyLabel),
            ("com", TopLevel),
            ("*com", TopLevel),
            ("*_", TopLevel),
            ("*com.", TopLevel),
        ] {
            assert_eq!(fault_of(text), Some(fault), "{text}");
        }
    }

    #[test]
    fn the_longest_name_fits_in_the_table() {
        let longest = format!("{}.b", "a".repeat(DOMAIN_MAX - 2));
        assert_eq!(fault_of(&longest), None);
        assert!(NameKey::of_suffix(Half::of_generation(0), &longest).is_some());
        let longer = format!("a{longest}");
        assert_eq!(fault_of(&longer), Some(DomainFault::TooLong));
        assert!(NameKey::of_suffix(Half::of_generation(0), &longer).is_none());
    }
}
