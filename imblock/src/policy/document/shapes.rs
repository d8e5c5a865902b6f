//! What may be written in more than one way, or keeps its order.

use std::fmt;

use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::{GroupsDocument, StunDocument};
use crate::policy::source::{Placed, Span};

impl<'de> Deserialize<'de> for GroupsDocument {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Groups;

        impl<'de> Visitor<'de> for Groups {
            type Value = GroupsDocument;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("names of groups, each with a list of prefixes")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut groups = Vec::new();
                while let Some((name, prefixes)) = map.next_entry::<_, Option<_>>()? {
                    groups.push((name, prefixes.unwrap_or_default()));
                }
                Ok(GroupsDocument(groups))
            }
        }

        from.deserialize_map(Groups)
    }
}

impl<'de> Deserialize<'de> for StunDocument {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Weighed {
            attribute: Placed<String>,
            #[serde(rename = "use")]
            worth: Option<Placed<String>>,
        }

        struct Stun;

        impl<'de> Visitor<'de> for Stun {
            type Value = StunDocument;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a STUN attribute type")
            }

            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(StunDocument {
                    attribute: Placed {
                        value: text.to_owned(),
                        at: Span::default(),
                    },
                    worth: None,
                })
            }

            fn visit_u64<E: serde::de::Error>(self, number: u64) -> Result<Self::Value, E> {
                self.visit_str(&format!("{number:#06x}"))
            }

            fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<Self::Value, E> {
                self.visit_str(&format!("{number:#06x}"))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                let map = serde::de::value::MapAccessDeserializer::new(map);
                let Weighed { attribute, worth } = Weighed::deserialize(map)?;
                Ok(StunDocument { attribute, worth })
            }
        }

        from.deserialize_any(Stun)
    }
}
