//! `rate` and `burst` of a rule.

use imblock_common::Action;

use super::Reader;
use crate::policy::document::RuleDocument;
use crate::policy::error_kind::PolicyErrorKind;
use crate::policy::rate::Limit;

impl Reader<'_> {
    /// `rate` and `burst`, which belong to `action: limit`, and it to them.
    pub(super) fn rate_limit(&mut self, rule: &RuleDocument, action: Action) -> Option<Limit> {
        let stray = [("rate", &rule.rate), ("burst", &rule.burst)];
        if action != Action::Limit {
            for (key, place) in stray {
                if let Some(place) = place {
                    self.fail(place.at, PolicyErrorKind::StrayRate(key));
                }
            }
            return None;
        }
        let Some(rate) = &rule.rate else {
            self.fail(rule.action.at, PolicyErrorKind::NoRate);
            return None;
        };
        let limit = self.word(rate, Limit::rate)?;
        match &rule.burst {
            Some(burst) => self.word(burst, |text| limit.with_burst(text)),
            None => Some(limit),
        }
    }
}
