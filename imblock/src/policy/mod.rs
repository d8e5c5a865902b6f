//! Policies: YAML read by people, compiled to table contents.
//!
//! `source` (the text) → `document` (what was typed) → `reader` → `model` (what it means; its words
//! are in `words`, `selector`, `net`, `mac`, `domain`, `marker`, `pattern` and `hops`) → `compile`, with
//! `claims`, `hosts`, `markers`, `marker_sets` and `advice` → `plan` (the exact tables), with `hash`.
//! What goes wrong is an `error`, told by `report`. Only `document` knows YAML; nothing here touches
//! the system but for reading the file.

mod advice;
mod cells;
mod claims;
mod compile;
pub mod diff;
mod document;
mod domain;
mod error;
mod error_class;
mod error_kind;
mod family;
mod hash;
mod hops;
mod hosts;
mod include;
pub(crate) mod inside;
mod mac;
mod marker;
mod marker_fault;
mod marker_sets;
mod markers;
mod model;
mod net;
pub mod numbers;
mod pattern;
pub mod plan;
mod ports;
mod rate;
mod reader;
mod report;
mod schedule;
mod schema;
mod selector;
mod source;
mod timetable;
mod trial;
mod words;

pub use compile::Surroundings;
pub use domain::{DOMAIN_MAX, Domain, DomainFault};
pub use error::{PolicyError, PolicyErrors};
pub use error_kind::{PolicyErrorKind, SyntaxError};
pub use family::Family;
pub use hops::Hops;
pub use include::IncludeFault;
pub use inside::InsideFault;
pub use mac::Mac;
pub use marker::{
    ByteOrder, LengthField, Marker, MarkerFrom, MarkerPacket, MarkerTransport, Needle,
    PayloadRange, PlainPorts, StunAttribute, TypedPattern, Worth,
};
pub use marker_fault::MarkerFault;
pub use model::{Claim, Collateral, Group, Policy, Protect, Rule, Service, VERSION};
pub(crate) use net::prefix_argument;
pub use net::{PortFault, PortRange, PrefixFault};
pub use numbers::ServiceNumbers;
pub use pattern::{ByteSet, Pattern};
pub use plan::{Plan, ports_by_service, select};
pub use rate::Limit;
pub use schedule::{Days, Hours, HoursFault, Schedule, WhenFault, Zone};
pub use schema::{policy_schema, service_schema};
pub use selector::{Selector, SelectorError};
pub use source::{MAX_BYTES, Placed, PolicySource, STDIN, Source, Span};

pub use timetable::{TimedCell, Timetable};
pub(crate) use trial::NONSENSE;
pub use trial::{Expectation, Moment, Remote, Trial, TrialFault};
pub use words::{Category, GroupName, ServiceId, Status, Suggestion, WordFault};

use crate::catalogue;
use source::Patience;

/// Reads a policy. What is wrong with it comes all at once, except that the first mistake in its
/// form (no YAML, an unknown key, a wrong type) hides the rest.
pub fn load(source: &PolicySource) -> Result<Policy, PolicyErrors> {
    parse(source.read(Patience::Waits)?)
}

/// The same without waiting for anybody: a pipe or a device is refused, and so is one that is included.
pub fn load_at_once(source: &PolicySource) -> Result<Policy, PolicyErrors> {
    parse(source.read(Patience::None)?)
}

/// Reads a policy out of a text in memory.
pub fn parse(source: Source) -> Result<Policy, PolicyErrors> {
    Policy::read(source, catalogue::services()?)
}

impl Policy {
    /// Compiles the policy for a box. The services of the catalogue and the policy's own get their
    /// numbers from `numbers`.
    ///
    /// # Errors
    /// When the prefixes, the names or the services don't fit in the tables; `numbers` is then unchanged.
    pub fn compile(
        &self,
        numbers: &mut ServiceNumbers,
        surroundings: &Surroundings,
    ) -> Result<Plan, PolicyErrors> {
        self.compile_with(catalogue::services()?, numbers, surroundings)
    }

    /// The same, with these services beside the policy's own instead of the catalogue.
    ///
    /// # Errors
    /// As for [`Policy::compile`].
    pub fn compile_with(
        &self,
        catalogue: &[Service],
        numbers: &mut ServiceNumbers,
        surroundings: &Surroundings,
    ) -> Result<Plan, PolicyErrors> {
        compile::compile(self, catalogue, numbers, surroundings)
    }
}
