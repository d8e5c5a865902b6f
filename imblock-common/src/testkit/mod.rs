//! Frames for tests and benchmarks: built fluently ([`Frame`]), invented at random
//! ([`generate()`]).
//!
//! Invariant: the same call gives the same bytes on every machine, so a seed and an index name a
//! frame.

extern crate alloc;

mod checksum;
mod frame;
mod generate;

pub use frame::{Extension, Frame, Layer, flags};
pub use generate::{Random, generate, mutate};
