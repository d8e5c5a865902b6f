//! The commands, one a file; each reads as its story.

pub mod replay;
