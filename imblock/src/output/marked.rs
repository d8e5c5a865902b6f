//! Evidence out of payloads, as people read it.

use std::fmt;

use serde::Serialize;
use serde_json::Value;

use crate::policy::{
    Marker, MarkerFrom, MarkerPacket, MarkerTransport, Needle, Pattern, PayloadRange, PlainPorts,
    StunAttribute, TypedPattern, Worth,
};

/// Something that a service says, and what it is worth.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Marked {
    /// Where and what, in words.
    what: String,
    /// What a hit does.
    #[serde(rename = "use")]
    worth: Worth,
}

impl fmt::Display for Marked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sure = match self.worth {
            Worth::Drop => "sure",
            Worth::WithPort => "sure on these ports",
            Worth::CountFirst => "not sure: counts, and drops only if the policy trusts it",
        };
        write!(f, "{} ({sure})", self.what)
    }
}

impl From<&StunAttribute> for Marked {
    fn from(stun: &StunAttribute) -> Self {
        let what = match stun.first == stun.last {
            true => format!("{:#06x}", stun.first),
            false => format!("{:#06x} to {:#06x}", stun.first, stun.last),
        };
        Self {
            what,
            worth: stun.worth,
        }
    }
}

impl From<&Marker> for Marked {
    fn from(marker: &Marker) -> Self {
        let transport = match marker.transport {
            MarkerTransport::Tcp => "tcp",
            MarkerTransport::Udp => "udp",
            MarkerTransport::Both => "tcp and udp",
        };
        let sender = match marker.from {
            MarkerFrom::Client => "the client's",
            MarkerFrom::Server => "the server's",
            MarkerFrom::Either => "either side's",
        };
        let packets = match marker.packet {
            MarkerPacket::First => "first packet",
            MarkerPacket::Early => "first packets",
            MarkerPacket::Any => "packets",
        };
        let within = marker.within.as_ref();
        let within = within.map(|service| format!(" in {}", service.value.as_str()));
        Self {
            what: format!(
                "{transport}, {sender} {packets}{}: {}",
                within.unwrap_or_default(),
                conditions(marker).join("; ")
            ),
            worth: marker.worth,
        }
    }
}

/// All that must hold of a payload.
fn conditions(marker: &Marker) -> Vec<String> {
    let pattern = marker.pattern.as_ref().map(|pattern| {
        let pattern = typed(pattern);
        match marker.offset {
            0 => pattern,
            offset => format!("{pattern} at {offset}"),
        }
    });
    let any_case = marker.nocase || marker.find.as_ref().is_some_and(|find| find.nocase);
    let length = marker.length.map(|length| {
        let fits = if length.fits { "fits" } else { "is right" };
        format!("a length that {fits} at {}", length.at)
    });
    let last = marker.last.as_ref();
    [
        pattern,
        marker.find.as_ref().map(searched),
        any_case.then(|| "in any case".to_owned()),
        length,
        marker.payload.map(bytes),
        last.map(|last| format!("{} at the end", as_typed(last))),
        ports("on", &marker.ports),
        ports("not on", &marker.not_ports),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn searched(find: &Needle) -> String {
    let needle = typed(&find.pattern);
    let last = find.within.saturating_sub(1);
    format!("{needle} at {} to {last}", find.from)
}

fn bytes(payload: PayloadRange) -> String {
    match payload {
        PayloadRange { least, most } if least == most => format!("{least} bytes"),
        PayloadRange {
            least,
            most: u16::MAX,
        } => format!("{least} bytes or more"),
        PayloadRange { least, most } => format!("{least} to {most} bytes"),
    }
}

fn ports(preposition: &str, ports: &[PlainPorts]) -> Option<String> {
    let range = |range: &PlainPorts| match range.first == range.last {
        true => range.first.to_string(),
        false => format!("{}-{}", range.first, range.last),
    };
    let ranges: Vec<String> = ports.iter().map(range).collect();
    (!ranges.is_empty()).then(|| format!("{preposition} {}", ranges.join(", ")))
}

/// As it can be typed: no control character is left.
fn typed(pattern: &TypedPattern) -> String {
    let text = match pattern {
        TypedPattern::Bytes(bytes) => return as_typed(bytes),
        TypedPattern::Text(text) => as_typed(text),
    };
    let letters = text.chars().map(|c| match c {
        '\r' => "\\r".to_owned(),
        '\n' => "\\n".to_owned(),
        c if c.is_control() => format!("\\x{:02x}", u32::from(c)),
        c => c.to_string(),
    });
    format!("\"{}\"", letters.collect::<String>())
}

/// A pattern is written as it was typed.
fn as_typed(pattern: &Pattern) -> String {
    match serde_json::to_value(pattern) {
        Ok(Value::String(typed)) => typed,
        _ => String::new(),
    }
}
