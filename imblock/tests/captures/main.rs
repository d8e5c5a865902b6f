//! Captures of every kind, read and replayed.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "tests"
)]

mod clock;
mod formats;
mod hellos;
mod links;
mod options;
mod plan;
mod replays;
mod rtp;
mod shared;
mod why;
mod write;
