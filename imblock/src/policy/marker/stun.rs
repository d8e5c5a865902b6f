//! STUN attributes by which a service is told.

use serde::{Serialize, Serializer};

use super::read::{Wrong, optional, parsed, wrong};
use super::{MarkerFault, Worth};
use crate::policy::source::Placed;

/// STUN attribute types that only one service uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StunAttribute {
    /// The first.
    pub first: u16,
    /// The last; not below the first.
    pub last: u16,
    /// What they are worth; never [`Worth::WithPort`].
    pub worth: Worth,
}

impl StunAttribute {
    /// Reads `0x8070` or `0x4000-0x4007`, and what it is worth.
    pub(in crate::policy) fn read(
        attribute: &Placed<String>,
        worth: Option<&Placed<String>>,
    ) -> Result<Self, Wrong> {
        let (first, last) = parsed(attribute, |text| {
            let bad = || MarkerFault::BadAttribute(text.to_owned());
            let (first, last) = text.split_once('-').unwrap_or((text, text));
            let number = |text: &str| {
                let digits = text.trim().strip_prefix("0x").ok_or_else(bad)?;
                u16::from_str_radix(digits, 16).map_err(|_| bad())
            };
            let (first, last) = (number(first)?, number(last)?);
            match first <= last {
                true => Ok((first, last)),
                false => Err(bad().into()),
            }
        })?;
        match optional(worth, Worth::parse)?.unwrap_or_default() {
            Worth::WithPort => {
                let at = worth.map_or(attribute.at, |worth| worth.at);
                Err(wrong(at, MarkerFault::AttributeWithPort))
            }
            worth => Ok(Self { first, last, worth }),
        }
    }
}

impl Serialize for StunAttribute {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Weighed {
            attribute: String,
            #[serde(rename = "use")]
            worth: Worth,
        }
        let attribute = match self.first == self.last {
            true => format!("0x{:04x}", self.first),
            false => format!("0x{:04x}-0x{:04x}", self.first, self.last),
        };
        match self.worth {
            Worth::Drop => to.serialize_str(&attribute),
            worth => Weighed { attribute, worth }.serialize(to),
        }
    }
}
