//! The whole product on a real network: namespaces, real sockets, the real executable.
//!
//! Each test has a network, an instance and a state directory of its own, so they run side by
//! side. Without the right to load BPF programs they are skipped; with `IMBLOCK_REQUIRE_KERNEL=1`
//! they then fail.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "tests"
)]

#[path = "../common/mod.rs"]
mod common;
mod support;

mod attach;
mod commit;
mod control;
mod demo;
mod filter;
mod inside;
mod leases;
mod limit;
mod names;
mod reject;
mod reload;
mod schedules;
mod takeover;
mod vlan;
