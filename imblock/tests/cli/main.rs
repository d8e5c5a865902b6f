//! The command line as a black box: the real binary, its exit codes, and what it says.
//!
//! What needs the kernel happens in network namespaces of its own, with an instance and a state
//! directory of its own; no interface of the machine is touched.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests"
)]

mod commit;
mod controller;
mod diff;
mod documents;
mod fifo;
mod help;
mod interrupted;
mod learn;
mod leases;
mod packaging;
mod pipes;
mod policies;
mod refusals;
mod replay;
mod site;
mod state;
mod stdin;
mod support;
mod toggles;
mod why;
