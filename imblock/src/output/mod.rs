//! What people and scripts read: text and JSON, rendered from plain data.
//!
//! A topic a file. Each first collects a typed document, which is the JSON, and writes the text from
//! that same document, so the two can't tell different stories. Nothing here reads a clock, the
//! kernel or a file.
//!
//! Text carries colour always; [`Console`] drops it where it isn't wanted. Whatever came from
//! elsewhere (names, mostly) loses its control characters on the way into a [`table::Cell`], so it
//! can't steer a terminal.

mod console;
pub mod diff;
pub mod document;
pub mod explain;
mod growth;
pub mod hosts;
pub mod learn;
mod marked;
mod names;
pub mod policy;
pub mod services;
pub mod status;
pub mod table;
pub mod units;
pub mod watch;
pub mod why;

#[cfg(test)]
pub(crate) mod sample;
#[cfg(test)]
mod tests;

pub use console::Console;
pub use names::{ServiceNames, view_name};

/// For whom to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// People: aligned tables and sentences.
    Text,
    /// Programs: one document, or one a line where it is a stream.
    Json,
}

impl Format {
    /// What the flag `--json` means.
    pub fn from_json_flag(json: bool) -> Self {
        if json { Self::Json } else { Self::Text }
    }
}
