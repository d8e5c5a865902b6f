//! The controller of imblock, and its command line.
//!
//! A policy goes `policy::document` → `model` → `compile` → [`policy::Plan`] → `kernel::tables`
//! (live) or `replay::tables` (dry run). Only [`mod@kernel`] knows aya, only `policy::document`
//! knows YAML.

pub mod catalogue;
pub mod cli;
pub mod commands;
pub mod demo;
pub mod exit;
pub mod guard;
pub mod kernel;
pub mod lab;
pub mod learn;
pub mod output;
pub mod policy;
pub mod provenance;
pub mod quic;
pub mod replay;
pub mod snapshot;
pub mod state;
pub mod status;
pub mod telemetry;
#[doc(hidden)]
pub mod testing;
pub mod time;
pub mod why;
