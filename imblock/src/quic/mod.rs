//! QUIC, as far as a name can be read: the client's Initial packets and the TLS ClientHello in them.
//!
//! Initial packets are protected by keys that anybody can derive from them (RFC 9001 section 5.2),
//! but with a cipher that the kernel program can't run, so they are opened here. A datagram goes
//! `header` (which packets it holds) → `keys` (opened) → `frames` (pieces of the handshake) →
//! `crypto_stream` (in order) → [`Connection`] → [`client_hello`] (the name) → [`Inspector`] (whose it is).
//!
//! Invariant: no datagram panics, and whatever arrives, a [`Connection`] keeps at most
//! [`HANDSHAKE_MAX`] bytes of each of [`ATTEMPTS_MAX`] handshakes, [`CONNECTION_BYTES`] in all.

mod connection;
mod connections;
mod crypto_stream;
mod cursor;
mod frames;
mod header;
mod hello;
mod inspector;
mod keys;
mod shares;
mod version;

pub use connection::{ATTEMPTS_MAX, CONNECTION_BYTES, Connection, NotRead, Progress};
pub use connections::{Connections, Key, Outcome};
pub use crypto_stream::{HANDSHAKE_MAX, PIECES_MAX};
pub use hello::{ALPN_MAX, ClientHello, Named, client_hello, client_hello_name};
pub use inspector::{HandedOver, Inspector};

#[cfg(test)]
#[expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "tests"
)]
mod tests;
