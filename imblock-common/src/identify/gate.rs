//! The gate in front of the flow table: whether a flow's cell, and its entry if it has one, say all
//! that is to be said of a packet.
//!
//! That is so for most packets there are. They cost a look at a cache line or two, and nothing is
//! written down but that the flow of nobody goes on.

use super::{flow, port};
use crate::content::Reply;
use crate::flows::{self, EARLY, FlowState, Initiator, Slots as _};
use crate::layout::Control;
use crate::{Sighting, Tables};

/// What [`super::in_depth`] would tell of the packet, if it would learn nothing; else that it must be
/// looked into, and then nothing has been touched: with what the flow's cell says of the payload that is
/// to be asked, or [`Reply::UNASKED`] where the cell does not say all.
#[inline(always)]
pub fn told<T: Tables>(about: &Sighting, tables: T) -> Reply {
    // Of what begins nothing more is asked; said with it, the verifier walks a quarter less.
    let speaks = about.speaks() && !about.begins();
    if about.begins() || speaks && about.asks_for_names() {
        return Reply::UNASKED;
    }
    let shape = tables.flow_shape();
    let hash = about.key.hash(shape.seed);
    let place = flows::find(tables.flows(), hash, shape);
    let cell = place.cell;
    let remote_port = about.remote_port();
    // No payload tells better. But who called from such a port is a client of the local host's, by chance.
    if remote_port.is_final() && cell.initiator() != Initiator::Remote {
        return port::finding(remote_port);
    }
    let is_young = cell.payloads(about.direction()) < EARLY;
    let is_settling = cell.is_gathering() || is_young && speaks;
    // The first packet in a while of a flow that was told is news to others: who talks to whom.
    let is_nobodys = !cell.is_held() && !remote_port.names_service();
    let goes_on = cell.is_fresh(shape) || is_nobodys && !cell.is_stale(shape);
    if place.is_nowhere() || !goes_on || is_settling {
        let is_new = place.is_nowhere() || flow::is_over(cell, about, shape);
        return if !speaks || cell.is_held() {
            Reply::UNASKED
        } else if is_new {
            flow::to_be_asked(flow::fresh(about, hash, shape), about.direction(), 0)
        } else if is_young {
            flow::to_be_asked(cell, about.direction(), 0)
        } else {
            Reply::UNASKED
        };
    }
    if is_young && remote_port.is_contested() {
        return Reply::UNASKED;
    }
    let policy = about.policy();
    let told = if cell.is_held() {
        let state = flows::state(tables.flows(), shape, place.number, &about.key);
        // Forgotten, so that the verifier walks the rest once.
        let state = FlowState(tables.flows().forget(state.0));
        let service = state.service();
        if state.is_other() {
            port::finding(remote_port)
        } else if service == 0 || speaks && tables.carries(policy.half, service) {
            return Reply::UNASKED;
        } else {
            state.reply()
        }
    } else if remote_port.names_service() {
        port::of_flow(remote_port, cell.initiator())
    } else if policy.flags & Control::HAS_REMOTES != 0
        && tables.may_be_remote(policy.half, &about.key.remote())
    {
        return Reply::UNASKED;
    } else {
        Reply::NOTHING
    };
    if !cell.is_fresh(shape) {
        flows::store(tables.flows(), place.number, cell.seen_at(shape.now));
    }
    flow::in_midstream(about, told, cell.initiator() == Initiator::Unknown)
}
