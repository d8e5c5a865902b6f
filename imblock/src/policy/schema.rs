//! The JSON Schema of policies, for editors: drawn from the types that the reader fills.
//!
//! Invariant: what the schema refuses the reader refuses too, but for quotes: the reader takes `7` for a name
//! and `"7"` for a number. Not the other way round: whether a group exists, two claims
//! meet or a marker says enough only the reader tells.

use std::borrow::Cow;

use imblock_common::Action as Done;
use imblock_common::hops::AFTER_MAX;
use imblock_common::layout::{NAME_MAX, PATTERN_MAX, WINDOW_MAX};
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

use super::document::{GroupsDocument, PolicyDocument, ServiceDocument, StunDocument};
use super::domain::DOMAIN_MAX;
use super::reader::limits;
use super::source::Placed;
use super::{marker, model, words};

/// The schema of a policy, JSON Schema draft 7.
pub fn policy_schema() -> Value {
    of::<PolicyDocument>("A policy of imblock")
}

/// The schema of a file of the catalogue, which has one service.
pub fn service_schema() -> Value {
    of::<ServiceDocument>("A service of the catalogue of imblock")
}

fn of<T: JsonSchema>(title: &str) -> Value {
    let mut schema = SchemaSettings::draft07()
        .into_generator()
        .into_root_schema_for::<T>();
    schema.insert("title".to_owned(), json!(title));
    schema.to_value()
}

impl<T: JsonSchema> JsonSchema for Placed<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn schema_id() -> Cow<'static, str> {
        T::schema_id()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        T::json_schema(generator)
    }
}

impl JsonSchema for GroupsDocument {
    fn schema_name() -> Cow<'static, str> {
        "Groups".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let members = generator.subschema_for::<Option<Vec<Member>>>();
        json_schema!({ "type": "object", "additionalProperties": members })
    }
}

impl JsonSchema for StunDocument {
    fn schema_name() -> Cow<'static, str> {
        "Stun".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let attribute = generator.subschema_for::<StunAttribute>();
        let worth = generator.subschema_for::<Option<Worth>>();
        json_schema!({
            "anyOf": [
                attribute,
                {
                    "type": "object",
                    "properties": { "attribute": attribute, "use": worth },
                    "required": ["attribute"],
                    "additionalProperties": false,
                },
            ],
        })
    }
}

/// Words that the reader takes as text, and what the schema says of them.
macro_rules! words {
    ($($(#[$doc:meta])* $name:ident = $schema:expr;)*) => {$(
        $(#[$doc])*
        pub(super) struct $name;

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                $schema
            }
        }
    )*};
}

words! {
    Version = json_schema!({ "const": model::VERSION });
    PolicyName = short_text();
    InterfaceName = pattern(r"^[!-.0-~]{1,15}$");
    Side = one_of(&words::SIDES);
    Mode = one_of(&words::MODES);
    Action = one_of(&Done::ALL.map(Done::name));
    HopAction = one_of(&words::HOP_ACTIONS);
    Quic = one_of(&words::QUIC);
    Category = one_of(&words::Category::NAMES);
    Status = one_of(&words::Status::NAMES);
    MarkerTransport = one_of(marker::MarkerTransport::WORDS);
    MarkerFrom = one_of(marker::MarkerFrom::WORDS);
    MarkerPacket = one_of(marker::MarkerPacket::WORDS);
    Worth = one_of(marker::Worth::WORDS);
    ByteOrder = one_of(marker::ByteOrder::WORDS);
    /// A service, or several.
    Selector = pattern(concat!(
        r"^(all|family:[^:]+|category:(im|voip|p2p|file-transfer)",
        r"|status:(live|historic)|[a-z0-9-]{1,32})$",
    ));
    ServiceId = pattern(r"^[a-z0-9-]{1,32}$");
    GroupName = json_schema!({ "type": ["string", "integer"] });
    Port = pattern(r"^(tcp|udp)/[0-9]{1,5}(-[0-9]{1,5})?$");
    /// The words of markers that look like numbers may stand without quotes.
    PlainPorts = text_or_number(r"^[0-9]{1,5}(-[0-9]{1,5})?$");
    Span = text_or_number(r"^[0-9]+(\.\.[0-9]*)?$");
    Hex = json_schema!({ "type": ["string", "integer"] });
    StunAttribute = text_or_number(r"^(0x)?[0-9a-fA-F]+(-(0x)?[0-9a-fA-F]+)?$");
    /// Of IPv4.
    InsidePrefix = pattern(r"^[0-9.]+(/[0-9]{1,2})?$");
    Prefix = pattern(r"^[0-9a-fA-F:.]+(/[0-9]{1,3})?$");
    /// A prefix, or a MAC address.
    Member = pattern(concat!(
        r"^([0-9a-fA-F:.]+(/[0-9]{1,3})?",
        r"|[0-9a-fA-F]{2}(:[0-9a-fA-F]{2}){5}|[0-9a-fA-F]{2}(-[0-9a-fA-F]{2}){5})$",
    ));
    Domain = json_schema!({
        "type": "string",
        "pattern": r"^\*?[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)+$",
        "maxLength": DOMAIN_MAX,
    });
    Date = text_or_number(r"^[0-9]{4}(-[0-9]{2}){0,2}$");
    Duration = pattern(r"^[0-9]+[smh]$");
    HopsAfter = json_schema!({
        "type": ["string", "integer"], "pattern": r"^\+?[0-9]+$", "minimum": 1, "maximum": AFTER_MAX,
    });
    Offset = number(0, size(PATTERN_MAX));
    Window = number(1, size(WINDOW_MAX));
    LengthSize = number(1, 4);
    HostsLimit = limit(limits::HOSTS);
    PrefixesLimit = limit(limits::PREFIXES);
    FlowsLimit = limit(limits::FLOWS);
}

fn one_of(words: &[&str]) -> Schema {
    json_schema!({ "enum": words })
}

fn pattern(pattern: &str) -> Schema {
    json_schema!({ "type": "string", "pattern": pattern })
}

/// What YAML takes for a number when it stands without quotes, and the reader for a word.
fn text_or_number(pattern: &str) -> Schema {
    json_schema!({ "type": ["string", "integer"], "pattern": pattern })
}

fn short_text() -> Schema {
    json_schema!({ "type": "string", "minLength": 1, "maxLength": NAME_MAX })
}

fn number(least: i64, most: i64) -> Schema {
    json_schema!({ "type": "integer", "minimum": least, "maximum": most })
}

fn limit((least, most): (u32, u32)) -> Schema {
    number(least.into(), most.into())
}

fn size(most: usize) -> i64 {
    i64::try_from(most).unwrap_or(i64::MAX)
}
