//! Policies: YAML read by people, compiled to table contents.
//!
//! `document` (what was typed) → `model` (what it means, parsed) → `compile` → `plan` (the exact
//! tables). Only `document` knows YAML; nothing here touches the system.

pub mod numbers;
pub mod plan;

pub use numbers::ServiceNumbers;
pub use plan::Plan;
