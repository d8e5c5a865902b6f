//! An action as its word, for `#[serde(with)]`.

use imblock_common::Action;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serializer};

use super::action_from_name;

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "the signature that serde asks for"
)]
pub(crate) fn serialize<S: Serializer>(action: &Action, to: S) -> Result<S::Ok, S::Error> {
    to.serialize_str(action.name())
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Action, D::Error> {
    let name = String::deserialize(from)?;
    action_from_name(&name).ok_or_else(|| Error::custom(format!("unknown action `{name}`")))
}
