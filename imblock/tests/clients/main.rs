//! Real programs through a real router: messengers, their servers, and their innocent twins.
//!
//! Each case first runs under a policy that only counts, where the program must work and be told as
//! what it is, and then under one that drops it, where it must fail. Every program lives in a
//! network namespace of the case's own, so cases, and runs of all of them, go side by side.
//!
//! Programs come from Debian (`.ci/run` has the list) and from the Python package index. A case
//! whose program is missing is skipped, with a word.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

#[path = "../common/mod.rs"]
mod common;
mod support;

mod bittorrent;
mod dns;
mod innocent;
mod irc;
mod quic;
mod sip;
mod tls;
mod xmpp;
