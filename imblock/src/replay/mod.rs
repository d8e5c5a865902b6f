//! Dry runs: the kernel's classifier over captures, with no rights and no kernel.

pub mod tables;

pub use tables::MemoryTables;

#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]
mod fixtures;
