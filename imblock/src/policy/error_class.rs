//! The kinds of mistakes by name, and all names there are: so that a test can tell whether each kind
//! was ever shown to somebody.

use strum::VariantNames as _;

use super::domain::DomainFault;
use super::error_kind::PolicyErrorKind;
use super::inside::InsideFault;
use super::marker_fault::MarkerFault;
use super::net::{PortFault, PrefixFault};
use super::numbers::NumberError;
use super::selector::SelectorError;
use super::words::WordFault;

impl PolicyErrorKind {
    /// The name of this kind, as `UnknownKey` or `BadPort/OutOfRange`.
    pub fn class(&self) -> String {
        let kind: &str = self.into();
        let fault: &str = match self {
            Self::BadName { fault, .. } => fault.into(),
            Self::BadPort { fault, .. } => fault.into(),
            Self::BadPrefix { fault, .. } => fault.into(),
            Self::BadDomain { fault, .. } => fault.into(),
            Self::Selector(fault) => fault.into(),
            Self::Marker(fault) => fault.into(),
            Self::Inside(fault) => fault.into(),
            Self::Number(fault) => fault.into(),
            _ => return kind.to_owned(),
        };
        format!("{kind}/{fault}")
    }

    /// The names of all kinds.
    pub fn classes() -> Vec<String> {
        let with_faults = [
            ("BadName", WordFault::VARIANTS),
            ("BadPort", PortFault::VARIANTS),
            ("BadPrefix", PrefixFault::VARIANTS),
            ("BadDomain", DomainFault::VARIANTS),
            ("Selector", SelectorError::VARIANTS),
            ("Marker", MarkerFault::VARIANTS),
            ("Inside", InsideFault::VARIANTS),
            ("Number", NumberError::VARIANTS),
        ];
        let mut classes = Vec::new();
        for kind in Self::VARIANTS {
            match with_faults.iter().find(|(known, _)| known == kind) {
                Some((_, faults)) => {
                    classes.extend(faults.iter().map(|fault| format!("{kind}/{fault}")));
                }
                None => classes.push((*kind).to_owned()),
            }
        }
        classes
    }
}
