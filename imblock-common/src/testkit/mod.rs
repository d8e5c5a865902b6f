//! Frames for tests and benchmarks: built fluently ([`Frame`]), invented at random
//! ([`generate()`], [`generate_flow()`]), and told as sentences with what must become of them ([`fixtures()`]) under one
//! small policy ([`World`]).
//!
//! Invariant: the same call gives the same bytes on every machine, so a seed and an index name a
//! frame.

extern crate alloc;

mod checksum;
mod empty;
mod fixtures;
mod flow;
mod frame;
mod generate;
mod gso;
mod headers;
mod media;
mod payloads;
mod world;

pub use empty::{NoBuckets, NoFlows};
pub use fixtures::{Expect, Fixture, fixtures};
pub use flow::{End, Said, generate_flow};
pub use frame::{Frame, Layer, flags};
pub use generate::{Random, generate, mutate};
pub use gso::GsoFrame;
pub use headers::Extension;
pub use media::{quic_like, rtp_packet, stun_message};
pub use payloads::{
    ClientHello, dns_query, dns_query_tcp, http_request, socks4_address, socks4_host,
    socks5_address, socks5_host,
};
pub use world::{KID_MAC, LONGEST_SUFFIX, SUPPORT_MAC, World, group, service};
