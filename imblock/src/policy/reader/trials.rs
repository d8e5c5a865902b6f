//! `tests`.

use std::net::IpAddr;

use imblock_common::Transport;

use super::Reader;
use crate::policy::document::TrialDocument;
use crate::policy::domain::Domain;
use crate::policy::error_kind::PolicyErrorKind;
use crate::policy::source::Placed;
use crate::policy::trial::{Expectation, Moment, Remote, Trial, TrialFault};

/// Where names are asked for in the clear over UDP.
const DNS: u16 = 53;

impl Reader<'_> {
    pub(super) fn trials(&mut self, documents: &[Placed<TrialDocument>]) -> Vec<Trial> {
        let documents = documents.iter();
        documents
            .filter_map(|document| self.trial(document))
            .collect()
    }

    fn trial(&mut self, document: &Placed<TrialDocument>) -> Option<Trial> {
        let Placed { value, at } = document;
        let from = self.word(&value.from, address);
        let to = self.optional(value.to.as_ref(), Remote::parse);
        let name = self.optional(value.name.as_ref(), Domain::parse);
        let expect = self.word(&value.expect, Expectation::parse);
        let moment = self.optional(value.at.as_ref(), Moment::parse);
        if value.to.is_none() && value.name.is_none() {
            self.fail(*at, TrialFault::Nothing.into());
            return None;
        }
        let (from, expect) = (from?, expect?);
        if let (Some(remote), Some(place)) = (to, &value.to) {
            if remote.address.is_ipv4() != from.is_ipv4() {
                self.fail(place.at, TrialFault::TwoFamilies.into());
                return None;
            }
            let clear = remote.transport == Transport::Tcp || remote.address.port() == DNS;
            if let (Some(name), false) = (&value.name, clear) {
                self.fail(name.at, TrialFault::NameOverUdp.into());
                return None;
            }
        }
        Some(Trial {
            from,
            to,
            name,
            expect,
            at: moment,
            place: value.expect.at,
        })
    }
}

fn address(text: &str) -> Result<IpAddr, PolicyErrorKind> {
    text.parse()
        .map_err(|_| TrialFault::Address(text.to_owned()).into())
}
