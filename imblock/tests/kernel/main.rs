//! The kernel home of the classifier, through `BPF_PROG_TEST_RUN`: it decides and counts what the
//! library does.
//!
//! Every test makes maps of its own, which die with it; nothing is attached or pinned.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod captures;
mod commit;
mod counters;
mod differential;
mod fixtures;
mod flip;
mod hellos;
mod leases;
mod limit;
mod phrases;
mod plan;
mod read_back;
mod recorded;
mod reject;
mod start;
mod twins;
