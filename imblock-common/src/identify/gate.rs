//! The gate in front of the flow table: whether a flow's cell, and its entry if it has one, say all
//! that is to be said of a packet.
//!
//! That is so for most packets there are. They cost a look at a cache line or two, and nothing is
//! written down, for nothing that is known of their flow changes.

use super::port;
use crate::content::Reply;
use crate::flows::{self, EARLY, FlowState, Initiator, Slots as _};
use crate::layout::Control;
use crate::{Sighting, Tables, Transport};

/// What [`super::in_depth`] would tell of the packet, if it would leave everything as it is; else
/// [`Reply::UNASKED`].
#[inline(always)]
pub fn told<T: Tables>(about: &Sighting, tables: T) -> Reply {
    let speaks = about.speaks();
    if about.begins() || speaks && about.asks_for_names() {
        return Reply::UNASKED;
    }
    let shape = tables.flow_shape();
    let place = flows::find(tables.flows(), about.key.hash(shape.seed), shape);
    let cell = place.cell;
    let is_young = cell.payloads(about.direction()) < EARLY;
    let is_settling = cell.is_gathering() || is_young && speaks;
    if place.is_nowhere() || !cell.is_fresh(shape) || is_settling {
        return Reply::UNASKED;
    }
    let remote_port = about.remote_port();
    if is_young && remote_port.is_contested() {
        return Reply::UNASKED;
    }
    let policy = about.policy();
    let by_port = port::finding(remote_port);
    let told = if cell.is_held() {
        let state = flows::state(tables.flows(), place.number, &about.key);
        // Forgotten, so that the verifier walks the rest once and not once for each cell.
        let state = FlowState(tables.flows().forget(state.0));
        let service = state.service();
        if state.is_other() {
            by_port
        } else if service == 0 || speaks && tables.carries(policy.half, service) {
            return Reply::UNASKED;
        } else {
            state.reply()
        }
    } else if by_port.names_service() {
        if cell.initiator() == Initiator::Remote {
            Reply::NOTHING
        } else {
            by_port
        }
    } else if policy.flags & Control::HAS_REMOTES != 0
        && tables.may_be_remote(policy.half, &about.key.remote())
    {
        return Reply::UNASKED;
    } else {
        Reply::NOTHING
    };
    let nobody_saw = cell.initiator() == Initiator::Unknown;
    if nobody_saw && !told.names_service() && about.key.transport() == Transport::Tcp {
        told.midstream()
    } else {
        told
    }
}
