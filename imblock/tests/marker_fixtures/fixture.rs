//! The messages of a file of `policies/tests/markers`, and the conversations that they come to.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::conversation::{Conversation, End, Transport};

/// The usual ports, which belong to no service of the catalogue (a test looks).
pub(crate) const CLIENT_PORT: u16 = 40_000;
pub(crate) const SERVER_PORT: u16 = 31_000;

/// A message that a marker hits, and those that it just misses.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fixture {
    /// Which marker of the service, from 1.
    pub(crate) marker: usize,
    /// What the message is, where it does not say so itself.
    #[expect(dead_code, reason = "for people")]
    note: Option<String>,
    hit: Payload,
    pub(crate) near: Vec<Near>,
    /// Who says it; where the marker does not mind, the client.
    from: Option<End>,
    /// What the client says before it, so that the connection is known for something.
    after: Option<Payload>,
    /// The server's port, where it matters.
    port: Option<u16>,
    /// The client's. A marker that is tied to its service's own ports is tried with them here: at
    /// the server's end the port alone would tell the service.
    client_port: Option<u16>,
}

/// A message that is not the service's: the hit, but for what is said here.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Near {
    /// How it differs.
    pub(crate) why: String,
    text: Option<String>,
    hex: Option<String>,
    /// Other bytes, at an offset.
    at: Option<usize>,
    put: Option<Payload>,
    /// How many bytes of its end are not there.
    cut: Option<usize>,
    /// Bytes behind its end, in hex.
    add: Option<String>,
    from: Option<End>,
    /// Nothing was said before.
    #[serde(default)]
    alone: bool,
    port: Option<u16>,
    client_port: Option<u16>,
}

/// Bytes: a text each of whose characters is one, or hex.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Payload {
    Text(String),
    Hex(String),
}

/// What has to be known of a service to say something to its markers.
#[derive(Debug, Deserialize)]
pub(crate) struct Catalogued {
    #[serde(default)]
    pub(crate) markers: Vec<Marker>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Marker {
    transport: Transport,
    from: Option<End>,
}

pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies/tests/markers")
}

/// The messages of a service; none where there is no file.
pub(crate) fn fixtures(id: &str) -> Vec<Fixture> {
    match fs::read_to_string(folder().join(format!("{id}.yaml"))) {
        Ok(text) => serde_yaml::from_str(&text).unwrap_or_else(|error| panic!("{id}: {error}")),
        Err(_) => Vec::new(),
    }
}

impl Marker {
    pub(crate) fn transports(&self) -> Vec<Transport> {
        match self.transport {
            Transport::Both => vec![Transport::Tcp, Transport::Udp],
            one => vec![one],
        }
    }

    pub(crate) fn speaker(&self) -> End {
        match self.from {
            Some(End::Server) => End::Server,
            _ => End::Client,
        }
    }
}

impl Fixture {
    /// The connection in which the hit is said; it comes last.
    pub(crate) fn conversation(&self, transport: Transport, from: End) -> Conversation {
        let before = self.after.as_ref();
        let mut said: Vec<_> = before
            .map(|after| (End::Client, after.bytes()))
            .into_iter()
            .collect();
        said.push((self.from.unwrap_or(from), self.hit.bytes()));
        Conversation {
            transport,
            client_port: self.client_port.unwrap_or(CLIENT_PORT),
            server_port: self.port.unwrap_or(SERVER_PORT),
            said,
        }
    }
}

impl Near {
    /// The connection of the hit, but for what differs.
    pub(crate) fn conversation(&self, of_hit: &Conversation) -> Conversation {
        let mut said = of_hit.said.clone();
        let (from, hit) = said.pop().unwrap();
        if self.alone {
            said.clear();
        }
        said.push((self.from.unwrap_or(from), self.payload(hit)));
        Conversation {
            transport: of_hit.transport,
            client_port: self.client_port.unwrap_or(of_hit.client_port),
            server_port: self.port.unwrap_or(of_hit.server_port),
            said,
        }
    }

    fn payload(&self, hit: Vec<u8>) -> Vec<u8> {
        let mut payload = match (&self.text, &self.hex) {
            (Some(text), _) => Payload::Text(text.clone()).bytes(),
            (None, Some(hex)) => Payload::Hex(hex.clone()).bytes(),
            (None, None) => hit,
        };
        if let (Some(at), Some(put)) = (self.at, &self.put) {
            let put = put.bytes();
            payload.splice(at..at + put.len(), put);
        }
        payload.truncate(payload.len() - self.cut.unwrap_or(0));
        if let Some(add) = &self.add {
            payload.extend(Payload::Hex(add.clone()).bytes());
        }
        payload
    }
}

impl Payload {
    fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Text(text) => text.chars().map(|c| u8::try_from(c).unwrap()).collect(),
            Self::Hex(hex) => hex
                .split_whitespace()
                .map(|byte| u8::from_str_radix(byte, 16).unwrap())
                .collect(),
        }
    }
}
