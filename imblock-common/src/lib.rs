//! Everything that decides about a packet, as ordinary safe Rust with two homes.
//!
//! The kernel program implements [`Packet`], [`Tables`] and [`Counters`] over packet pointers and
//! BPF maps; user space implements them over byte slices and memory. What happens in between is
//! this crate, so a replayed capture, a unit test and the kernel give the same verdict.
//!
//! The way of a packet, a module a step:
//! [`packet`] (bytes) → [`parse`] (what they say) → [`orient`] (whose they are) →
//! [`identify`] (which service) → [`decide`] (what becomes of it) → [`record`] (what is counted).
//!
//! Invariant: nothing here does I/O, allocates, panics, or reads a byte except through
//! [`Bytes::read`].
#![no_std]
#![forbid(unsafe_code)]

pub mod addr;
pub mod buckets;
pub mod content;
pub mod decide;
pub mod flows;
pub mod hops;
pub mod hosts;
pub mod identify;
pub mod layout;
pub mod limit;
pub mod orient;
pub mod packet;
pub mod parse;
pub mod parts;
pub mod recent;
pub mod record;
pub mod reject;
mod reply;
mod sighting;
pub mod stream;
pub mod tables;
#[cfg(feature = "testkit")]
pub mod testkit;

use identify::port;
use limit::{Limited, Load};

pub use addr::{Addr, Family};
pub use decide::{Action, Verdict};
pub use identify::Evidence;
pub use orient::{Direction, Ends, Hook, Side, View};
pub use packet::{Bytes, Packet};
pub use parse::{Segment, Transport, Unparsed};
pub use record::{Extent, Judgement, Outcome};
pub use reply::Reply;
pub use sighting::{HandedOn, Sighting};
pub use tables::{Counters, Memory, Tables};

/// Judges one Ethernet frame: the whole way of a packet but for the counting.
///
/// `view` says where the frame was seen. The caller hands the result to [`record::record`] and acts
/// on [`Judgement::passes`], so that the counters and the action come from one value.
#[inline(always)]
pub fn classify<P: Packet, T: Tables>(packet: P, view: View, tables: T) -> Judgement {
    match parse::frame(packet) {
        Ok(segment) => judge(packet, &segment, view, tables),
        Err(unparsed) => Judgement::unjudged(unparsed.into()),
    }
}

/// Judges a parsed segment. [`classify`] without the parsing, for callers that know the link layer
/// by other means (a capture of raw IP, say).
#[inline(always)]
pub fn judge<P: Packet, T: Tables>(
    packet: P,
    segment: &Segment,
    view: View,
    tables: T,
) -> Judgement {
    let about = sight(packet, segment, view, tables);
    let action = by_port(packet, &about, tables);
    if action.refuses() {
        return refuse_outright(&about, action, tables);
    }
    let told = identify::identify(packet, &about, tables);
    decide(packet, &about, told, tables)
}

/// What the policy does about a packet whose remote port is reason enough to refuse its service:
/// [`Action::Allow`] of any other. What is refused goes to [`refuse_outright`]: nothing is asked of its
/// flow, and nothing is learned of it, so a flood of new flows takes no other one's place in the table.
#[inline(always)]
pub fn by_port<P: Packet, T: Tables>(packet: P, about: &Sighting, tables: T) -> Action {
    let remote_port = about.remote_port();
    if !remote_port.is_outright() {
        return Action::Allow;
    }
    let (action, _) = decide::wanted(packet, about, port::finding(remote_port), tables);
    action
}

/// What becomes of a packet that is refused for its port: see [`by_port`].
#[inline(always)]
pub fn refuse_outright<T: Tables>(about: &Sighting, action: Action, tables: T) -> Judgement {
    let told = port::finding(about.remote_port());
    let verdict = decide::refuse(about, action, tables);
    remember_of_datagram(about, told, verdict, tables);
    Judgement::identified(about, told, verdict)
}

/// Whose packet it is, and what else can be said of it before anything is looked up.
#[inline(always)]
pub fn sight<P: Packet, T: Tables>(
    packet: P,
    segment: &Segment,
    view: View,
    tables: T,
) -> Sighting {
    let ends = orient::orient(segment, view);
    let body = segment.body(packet);
    let policy = tables.policy();
    let remote_port = tables.port(policy.half, segment.transport, ends.remote_port);
    Sighting::new(packet, segment, &ends, body, remote_port, policy)
}

/// What becomes of a packet of which this was told.
#[inline(always)]
pub fn decide<P: Packet, T: Tables>(
    packet: P,
    about: &Sighting,
    told: Reply,
    tables: T,
) -> Judgement {
    let (wanted, group) = decide::wanted(packet, about, told, tables);
    let refused = told.is_refused() && !wanted.refuses();
    let wanted = if refused { Action::Drop } else { wanted };
    let is_within = || {
        let load = Load::new(record::traffic(packet, about.extent()));
        tables.limit_step(about, Limited::new(told.service(), group), load)
    };
    let verdict = decide::decide(about, wanted, is_within, tables);
    if refused && verdict == Verdict::Dropped {
        return Judgement::quic_refused();
    }
    if told.names_service() {
        if !verdict.passes() && about.begins() {
            identify::context::refused(about, told, tables);
        }
        remember_of_datagram(about, told, verdict, tables);
        Judgement::identified(about, told, verdict)
    } else {
        Judgement::unjudged(unidentified(about, told))
    }
}

/// The other fragments of a datagram fare as the first one does, the guard's hand included.
#[inline(always)]
fn remember_of_datagram<T: Tables>(about: &Sighting, told: Reply, verdict: Verdict, tables: T) {
    if about.is_first_part() && verdict != Verdict::Guarded {
        tables.first_part_step(about, told);
    }
}

/// What a packet is called of which no service was told.
#[inline(always)]
pub fn unidentified(about: &Sighting, told: Reply) -> Outcome {
    if about.is_later_part() {
        Outcome::LaterFragment
    } else if told.is_midstream() {
        Outcome::Midstream
    } else {
        Outcome::Unidentified
    }
}
