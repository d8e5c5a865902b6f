//! What the controller answers when the classifier hands it a handshake: whose the flow is.
//!
//! The kernel's ring and a replay's queue feed the same inspector. Invariant: a name is looked up as
//! the classifier looks up the name of a TLS hello, in the tables of the policy that is live then.

use std::time::Duration;

use imblock_common::content::Finding;
use imblock_common::flows::{FlowKey, FlowState};
use imblock_common::layout::NameKey;
use imblock_common::{Addr, Evidence};

use super::connections::{Connections, Key, Outcome};
use super::hello::{ClientHello, Named, client_hello};

/// Connections whose name is not known yet: 23 MiB at the very most; see [`Connections::new`] for what an
/// attacker reaches with them.
const CONNECTIONS_MAX: usize = 1024;
/// A client that has not told its name by then has given up.
const AGE_MAX: Duration = Duration::from_secs(10);

impl Key for FlowKey {
    type Host = Addr;

    /// The local host. Where only a WAN side is seen, and behind another router, that is one address
    /// for many: they share what it has.
    fn host(&self) -> Addr {
        self.local()
    }
}

/// A datagram that the classifier handed over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HandedOver {
    /// Whose it is.
    pub flow: FlowKey,
    /// Number of the flow's entry, to which the answer is written.
    pub entry: u32,
    /// The UDP payload, or its first [`imblock_common::layout::DATAGRAM_MAX`] bytes.
    pub datagram: Vec<u8>,
}

/// Reads the names in handshakes.
#[derive(Debug)]
pub struct Inspector {
    connections: Connections<FlowKey>,
}

impl Default for Inspector {
    fn default() -> Self {
        Self {
            connections: Connections::new(CONNECTIONS_MAX, AGE_MAX),
        }
    }
}

impl Inspector {
    /// What a datagram tells of its flow, together with those that came before; `None` if that is
    /// nothing, or nothing yet. `now` is the time on any clock. `service` answers the number of the
    /// service of a name of a kind ([`NameKey::HOST`], [`NameKey::ALPN`]), 0 for none.
    pub fn read(
        &mut self,
        handed: &HandedOver,
        now: Duration,
        service: impl FnMut(u8, &str) -> u16,
    ) -> Option<FlowState> {
        let outcome = self
            .connections
            .datagram(&handed.flow, now, &handed.datagram);
        let Outcome::Hello { bytes } = outcome else {
            return None;
        };
        let hello = client_hello(bytes);
        let verdict = verdict(&hello, service);
        if verdict.is_some() || hello.complete {
            self.connections.forget(&handed.flow);
        }
        verdict
    }
}

/// Whose a flow is that begins with this hello.
fn verdict(hello: &ClientHello, mut service: impl FnMut(u8, &str) -> u16) -> Option<FlowState> {
    let told = |service, evidence| FlowState::told(Finding::flow(service, evidence).reply());
    if let Named::Name(name) = &hello.name {
        let number = service(NameKey::HOST, name);
        if number != 0 {
            return Some(told(number, Evidence::Quic));
        }
    }
    // What comes later in the hello may still tell.
    if !hello.complete {
        return None;
    }
    let protocols = hello.protocols.iter();
    if let Some(number) = protocols
        .map(|protocol| service(NameKey::ALPN, protocol))
        .find(|number| *number != 0)
    {
        return Some(told(number, Evidence::Alpn));
    }
    match &hello.name {
        // No top-level domain ends in a digit: that is an address, which says nothing.
        Named::Name(name) if !name.ends_with(|last: char| last.is_ascii_digit()) => {
            Some(FlowState::other(Evidence::Quic))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hello(name: Named, protocols: &[&str], complete: bool) -> ClientHello {
        ClientHello {
            name,
            protocols: protocols.iter().map(|name| (*name).to_owned()).collect(),
            complete,
        }
    }

    fn named(name: &str) -> Named {
        Named::Name(name.to_owned())
    }

    /// 7 has a name, 8 a protocol.
    fn service(kind: u8, name: &str) -> u16 {
        match (kind, name) {
            (NameKey::HOST, "t.me") => 7,
            (NameKey::ALPN, "chat") => 8,
            _ => 0,
        }
    }

    fn told(number: u16, evidence: Evidence) -> Option<FlowState> {
        Some(FlowState::told(Finding::flow(number, evidence).reply()))
    }

    #[test]
    fn the_name_comes_before_the_protocol() {
        let both = hello(named("t.me"), &["h3", "chat"], false);
        assert_eq!(verdict(&both, service), told(7, Evidence::Quic));
        let protocol = hello(named("example.org"), &["h3", "chat"], true);
        assert_eq!(verdict(&protocol, service), told(8, Evidence::Alpn));
        let nameless = hello(Named::None, &["chat"], true);
        assert_eq!(verdict(&nameless, service), told(8, Evidence::Alpn));
    }

    #[test]
    fn a_name_of_no_service_settles_the_flow_once_all_is_heard() {
        let other = Some(FlowState::other(Evidence::Quic));
        assert_eq!(
            verdict(&hello(named("example.org"), &[], true), service),
            other
        );
        assert_eq!(
            verdict(&hello(named("example.org"), &[], false), service),
            None
        );
    }

    #[test]
    fn an_address_or_no_name_says_nothing() {
        for name in [named("192.0.2.7"), Named::None, Named::More] {
            assert_eq!(verdict(&hello(name, &["h3"], true), service), None);
        }
    }
}
