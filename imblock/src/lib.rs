//! The controller of imblock, and its command line.
//!
//! A policy goes `policy::document` → `model` → `compile` → [`policy::Plan`] → `kernel::tables`
//! (live) or `replay::tables` (dry run). Only [`mod@kernel`] knows aya, only `policy::document`
//! knows YAML.

pub mod commands;
pub mod exit;
pub mod policy;
pub mod replay;
pub mod snapshot;
pub mod status;
