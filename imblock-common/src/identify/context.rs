//! What other flows of the same host tell: of a call whose packets name nobody, and of a connection
//! that follows a refusal.

use super::{Evidence, prefix};
use crate::content::{Finding, Reply};
use crate::hops::{self, Attempt, Pair};
use crate::{Action, Sighting, Tables, parts, recent};

/// For so long, a call may be one of what the host has just talked to.
const RECENT_SECONDS: u32 = 30;

/// Whose call it may be that is set up (STUN) or goes on (RTP) without a name: whose address is
/// called, else what the host talked to just before, which is only likely. `reply` if neither tells,
/// and nothing if the host has just named that server, and it is no service's.
#[inline(always)]
pub fn caller<T: Tables>(about: &Sighting, reply: Reply, tables: T) -> Reply {
    let by_prefix = prefix::finding(&about.key.remote(), about.policy(), tables);
    if by_prefix.names_service() {
        return by_prefix.meanwhile();
    }
    let (recent, shape) = tables.recent();
    let now = tables.seconds();
    let (host, server) = (about.key.local(), about.key.remote());
    if recent::was_named(recent, shape, &host, &server, now, NAMED_SECONDS) {
        return Reply::NOTHING;
    }
    match recent::lately(recent, shape, &about.key.local(), now, RECENT_SECONDS) {
        0 => reply,
        service => Finding::meanwhile(service, Evidence::Recent)
            .reply()
            .likely(),
    }
}

/// For so long, a server is what the host named when it last called it.
const NAMED_SECONDS: u32 = 300;

/// Notes that a host called a server by a name of no service: what it says to that server besides is
/// no messenger's call.
#[inline(always)]
pub fn named<T: Tables>(about: &Sighting, tables: T) {
    let (recent, shape) = tables.recent();
    let (host, server) = (about.key.local(), about.key.remote());
    recent::named(recent, shape, &host, &server, tables.seconds());
}

/// Whether calls are made with what a host talks to, so that it is worth a note. A guess is no talk.
#[inline(always)]
pub(super) fn is_noteworthy<T: Tables>(about: &Sighting, told: Reply, tables: T) -> bool {
    told.is_news()
        && !told.evidence_is(Evidence::Recent)
        && tables.calls(about.policy().half, told.service())
}

/// Notes what a host talks to.
#[inline(always)]
pub fn note<T: Tables>(about: &Sighting, told: Reply, tables: T) {
    let (recent, shape) = tables.recent();
    let now = tables.seconds();
    recent::note(recent, shape, &about.key.local(), told.service(), now);
}

/// Sees a connection that begins in the light of what was refused before: a client that tries port
/// after port. Counted; refused only when the policy shuts the server for it.
#[inline(always)]
pub fn hop<T: Tables>(about: &Sighting, tables: T) -> Reply {
    let (hops, shape) = tables.hops();
    let rule = tables.hop_rule(about.policy().half);
    let (host, server) = (about.key.local(), about.key.remote());
    let pair = Pair {
        host: &host,
        server: &server,
        port: about.key.remote_port(),
    };
    match hops::attempt(hops, shape, pair, tables.seconds(), rule) {
        Attempt::Shut { service } if rule.action() == Action::Drop => {
            Finding::flow(service, Evidence::Hop).reply()
        }
        Attempt::Shut { service } | Attempt::Hop { service, .. } => {
            Finding::flow(service, Evidence::Hop).reply().likely()
        }
        Attempt::Unknown | Attempt::SamePort => Reply::NOTHING,
    }
}

/// Notes what the first fragment of a datagram was told to be.
#[inline(always)]
pub fn first_part<T: Tables>(about: &Sighting, told: Reply, tables: T) {
    let (parts, shape) = tables.parts();
    parts::note(parts, shape, about, told, tables.seconds());
}

/// What the first fragment of this one's datagram was told to be.
#[inline(always)]
pub fn later_part<T: Tables>(about: &Sighting, tables: T) -> Reply {
    let (parts, shape) = tables.parts();
    parts::told(parts, shape, about, tables.seconds())
}

/// Notes that a host was refused a connection: a messenger will try another port of the server. Nothing is
/// noted of a connection that the remote end begins: it says nothing of what the host wants, and whoever
/// forges its sender could shut any server for the host.
#[inline(always)]
pub fn refused<T: Tables>(about: &Sighting, told: Reply, tables: T) {
    if !about.calls() {
        return;
    }
    let (hops, shape) = tables.hops();
    let (host, server) = (about.key.local(), about.key.remote());
    let pair = Pair {
        host: &host,
        server: &server,
        port: about.key.remote_port(),
    };
    let rule = tables.hop_rule(about.policy().half);
    hops::refused(hops, shape, pair, told.service(), tables.seconds(), rule);
}
